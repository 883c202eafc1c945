import numpy as np

from daemon.bench.bare import COUNT, Bare
from daemon.bench.model import load_trees
from daemon.demo import MODEL
from daemon.disk import RealDisk


def test_the_bare_sum_reads_every_quote_and_its_row_is_known_and_varies():
    bare = Bare(load_trees(RealDisk(), MODEL), symbols=3, seed=5)
    came = int(bare._rings["head"].sum())
    taken = bare.measure()
    assert taken.shape == (COUNT,)
    assert (taken > 0).all()
    assert int(bare._rings["head"].sum()) == came + COUNT
    row = bare._row.copy()
    assert np.isfinite(row[:6]).sum() >= 3
    bare.measure()
    assert (row != bare._row).any()
