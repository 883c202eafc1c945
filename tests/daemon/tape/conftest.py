"""A small capture that is made up: the same for the same seed, whole, and as long as a test needs."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_NS = 1_723_161_254_000_000_000


def made_up(count: int, *, seed: int = 1, snapshot: bool = True) -> list[bytes]:
    """Return `count` lines of Spot frames, one in 3 ms, and the snapshot among the first."""
    rng = np.random.default_rng(seed)
    mid, trade, update = 6_000_000, 100, 1_000
    lines = []
    for number in range(count):
        stamp = START_NS + number * 3_000_000
        mid += int(rng.integers(-400, 401))
        bid, ask = mid / 100, (mid + 1) / 100
        draw = rng.random()
        if number == 4 and snapshot:
            bids = ",".join(f'["{(mid - 1 - k) / 100:.2f}","1.00000"]' for k in range(50))
            asks = ",".join(f'["{(mid + 1 + k) / 100:.2f}","1.00000"]' for k in range(50))
            payload = f'{{"lastUpdateId":{update},"bids":[{bids}],"asks":[{asks}]}}'
        elif number < 4 or draw < 0.2:
            first, update = update + 1, update + 3
            level = f'["{40_000 + number % 90}.00","{rng.integers(0, 9)}.5"]'
            payload = (
                f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161254000,"s":"BTCUSDT",'
                f'"U":{first},"u":{update},"b":[{level}],"a":[]}}}}'
            )
        elif draw < 0.4:
            trade += 1
            payload = (
                f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161254000,"s":"BTCUSDT","t":{trade},'
                f'"p":"{bid:.2f}","q":"0.00123","T":1723161254000,"m":{str(rng.random() < 0.5).lower()}}}}}'
            )
        else:
            payload = (
                f'{{"stream":"btcusdt@bookTicker","data":{{"u":{number + 1},"s":"BTCUSDT","b":"{bid:.2f}",'
                f'"B":"{rng.integers(1, 9)}.00000","a":"{ask:.2f}","A":"2.00000"}}}}'
            )
        lines.append(f"{stamp} {payload}".encode())
    return lines


def write(path: Path, lines: list[bytes]) -> Path:
    """Write a capture."""
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    return path


@pytest.fixture(scope="session")
def lines_of() -> Callable[..., list[bytes]]:
    """Return the maker of lines."""
    return made_up


@pytest.fixture
def capture_of(tmp_path: Path) -> Callable[[list[bytes]], Path]:
    """Return what writes lines into a capture of their own."""
    numbers = iter(range(100))
    return lambda lines: write(tmp_path / f"capture{next(numbers)}.gz", lines)
