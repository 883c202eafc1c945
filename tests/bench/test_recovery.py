"""A start on a full journal is measured beside one on an empty journal: restored features, then READY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.disk import RealDisk
from daemon.orders.reader import read_all
from daemon.orders.records import Placed
from tests.bench import recovery

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = 10_000
#: a core's work, to that of a start with nothing to recover, as 3 s are wanted where such a start takes 1.7 s
CPU_MAX = 3.0 / 1.7
#: likewise the whole time, in which a start may wait for what is no work; others at work make it vary
WHOLE_MAX = 3.0


@pytest.mark.heavy(seconds=220)
def test_ten_thousand_orders_make_no_start_much_longer(tmp_path: Path, record_property) -> None:
    starts = recovery.measure(tmp_path, (0, ORDERS), 3)
    for one in starts:
        assert one.began.startswith("restored"), one.began
    kept = read_all(RealDisk(), recovery.aside(tmp_path, ORDERS))
    assert sum(isinstance(record, Placed) for _, _, record in kept) >= ORDERS
    empty, full = ([one for one in starts if one.orders == count] for count in (0, ORDERS))
    # the best of each: whoever else uses the cores only ever adds
    whole_s = [min(one.whole_s for one in each) for each in (empty, full)]
    cpu_s = [min(one.cpu_s for one in each) for each in (empty, full)]
    record_property(
        "figure",
        f"READY with {ORDERS:,} orders journalled after {whole_s[1]:.2f} s, {cpu_s[1]:.2f} of a core, "
        f"with none after {whole_s[0]:.2f}, {cpu_s[0]:.2f}",
    )
    assert cpu_s[1] <= CPU_MAX * cpu_s[0]
    assert whole_s[1] <= WHOLE_MAX * whole_s[0]
