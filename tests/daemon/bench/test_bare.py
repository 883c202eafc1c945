import os

import numpy as np

from daemon.bench.bare import COUNT, Bare
from daemon.bench.model import load_trees
from daemon.demo import MODEL
from daemon.disk import RealDisk


def test_the_bare_sum_reads_every_quote_and_its_row_is_known_and_varies():
    allowed = os.sched_getaffinity(0)
    bare = Bare(load_trees(RealDisk(), MODEL), symbols=3, seed=5)
    came = int(bare._rings["head"].sum())
    taken = bare.measure(min(allowed))
    assert taken.shape == (COUNT,)
    assert (taken > 0).all()
    assert int(bare._rings["head"].sum()) == came + COUNT
    assert os.sched_getaffinity(0) == allowed
    row = bare._row.copy()
    assert np.isfinite(row[:6]).sum() >= 3
    bare.measure(min(allowed))
    assert (row != bare._row).any()
