from __future__ import annotations

from daemon.orders.refusals import REFUSAL_NAMES, REFUSED_POSITION_MAX
from kernels import dtypes as dt


def test_what_only_the_daemon_refuses_for_has_a_code_and_a_name_of_its_own():
    assert REFUSED_POSITION_MAX not in dt.REFUSAL_NAMES
    assert len(set(REFUSAL_NAMES.values())) == len(REFUSAL_NAMES) == len(dt.REFUSAL_NAMES) + 1
