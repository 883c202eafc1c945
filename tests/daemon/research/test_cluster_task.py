"""What a Dask worker runs, run here."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import FileFormatError, TickdError
from daemon.research.cluster_task import Spec, try_there
from daemon.research.sweep import try_one
from daemon.research.trial import Bench, Part
from daemon.tape.replay import Given

GIVEN = Given(None, "ema_cross", None)


@pytest.fixture(scope="module")
def bench(swung):
    made = Bench(swung, GIVEN, 1)
    made.read()
    return made


def test_a_task_travels_and_finds_what_a_thread_does(bench, swung):
    spec = Spec(swung, GIVEN, 1, bench.record.digest, *bench.digests())
    for part in (None, Part(bench.record.first_ns, bench.record.first_ns + 2 * 10**10)):
        task = pickle.loads(pickle.dumps(partial(try_there, spec, {"qty": "0.002"}, 1, 2, part)))
        found = pickle.loads(pickle.dumps(task()))
        assert found == try_one(bench, {"qty": "0.002"}, 1, 2, part)
        assert found.figures["fills"] > 2


def test_a_worker_reads_its_record_once(swung, bench, monkeypatch):
    spec = Spec(swung, GIVEN, 7, bench.record.digest, *bench.digests())
    try_there(spec, {}, 0, 0, None)
    monkeypatch.setattr(Bench, "read", None)
    assert try_there(spec, {}, 0, 1, None).trial == 1


def test_a_worker_without_the_record_or_with_another_says_so(swung, bench):
    with pytest.raises(TickdError, match="reads other ticks at"):
        try_there(Spec(swung, GIVEN, 1, "other", *bench.digests()), {}, 0, 0, None)
    for odd in (("other", ""), (bench.digests()[0], "other")):
        with pytest.raises(TickdError, match="has another strategy or model than this process"):
            try_there(Spec(swung, GIVEN, 1, bench.record.digest, *odd), {}, 0, 0, None)
    with pytest.raises((FileFormatError, TickdError)):
        try_there(
            Spec(Path("/nowhere/ticks"), GIVEN, 1, bench.record.digest, *bench.digests()), {}, 0, 0, None
        )


def test_a_worker_chooses_the_kernels_cache_before_a_task_s_arguments_import_numba(swung, tmp_path):
    task = pickle.dumps(partial(try_there, Spec(swung, GIVEN, 1, "", "", ""), {}, 0, 0, None))
    text = (
        "import os, pickle, sys; pickle.loads(sys.stdin.buffer.read()); import numba;"
        "print(numba.core.config.CACHE_DIR)"
    )
    environ = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environ |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", text], input=task, capture_output=True, env=environ, check=True
    ).stdout.decode()
    assert told.startswith(str(tmp_path))
