from __future__ import annotations

import pytest

from daemon.errors import ConfigError, UsageError
from daemon.stage import Stage, Want
from kernels.dtypes import BUY, REST, TARGET

BOTH = """
PARAMS = {"qty": 2.0}
STATES, INSTRUMENTS, TIMER_S = 1, 2, 0.0

def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += 1
    if rows[1, -1] == 0.0:
        return -1
    out[0] = 2, 1, 3, 1, book[1, 0, 0, 0], params[0]
    out[1] = 1, 0, 9, 9, now_ns * 1e-9, position[0, 0]
    return 2
"""


@pytest.fixture
def stage(tmp_path):
    path = tmp_path / "both.py"
    path.write_text(BOTH)
    return lambda **params: Stage(path, **params)


def test_what_is_set_is_what_the_strategy_sees_and_what_it_wants_is_read_back(stage):
    made = stage(qty=5.0)
    made.market(99.0, 101.0, 1)
    made.hold(0.25)
    rest, target = made.ask(1.5)
    assert rest == Want(REST, 1, 3, BUY, 5.0, 99.0)
    assert target == Want(TARGET, 0, 0, 0, 0.25, 1_700_000_001.5)
    assert made.state[0] == 1.0


def test_no_opinion_is_none(stage):
    made = stage()
    made.rows[1, -1] = 0.0
    assert made.ask() is None


def test_what_is_not_the_strategy_s_is_refused(stage, tmp_path):
    with pytest.raises(UsageError, match=r"has no parameter 'size'; it has qty"):
        stage(size=1.0)
    with pytest.raises(ConfigError, match="is unknown; use one of"):
        Stage("nosuch")
    with pytest.raises(ValueError, match="not in"):
        stage().feature("nosuch", 1.0)
