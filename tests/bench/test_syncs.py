"""The policies' costs are measured over journals that can be read again, and told beside the bare file's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.disk import RealDisk
from daemon.orders.reader import read_all
from tests.bench import syncs

if TYPE_CHECKING:
    from pathlib import Path


def test_each_policy_appends_as_many_records_as_there_were_rounds(tmp_path: Path) -> None:
    found = asyncio.run(syncs.measure(5, tmp_path))
    assert [(one.what, one.count) for one in found] == [
        (name, 5) for name in (syncs.BARE, "os", "group", "intent")
    ]
    assert found[0].to_bare == 1.0
    for policy in syncs.POLICIES:
        kinds = [type(record).__name__ for _, _, record in read_all(RealDisk(), tmp_path / policy)]
        assert kinds.count("Placed") == 5


def test_costs_are_told_beside_the_bare_files() -> None:
    bare, other = syncs.costs({syncs.BARE: [1000, 2000, 3000], "intent": [3000] * 3})
    assert (bare.p50_us, bare.to_bare) == (2.0, 1.0)
    assert (other.p50_us, other.p99_us, other.to_bare) == (3.0, 3.0, 1.5)
