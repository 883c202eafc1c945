from __future__ import annotations

from itertools import islice

import msgspec
import pytest

from daemon.tape import bare
from daemon.tape.capture import read_frames

CAPTURES = ("binance-spot-btcusdt-20240808.gz", "binance-usdm-btcusdt-20240808.gz")


class CountingClock:
    """A clock that ticks once a look."""

    def __init__(self):
        self.looks = 0

    def mono_ns(self):
        self.looks += 1
        return self.looks * 1000


def test_the_clock_is_read_before_and_after_the_whole_file(lines_of, capture_of):
    clock = CountingClock()
    assert bare.time_bare_decode(capture_of(lines_of(100)), clock) == 1000
    assert clock.looks == 2


@pytest.mark.parametrize("name", CAPTURES)
def test_every_kind_of_frame_of_a_real_capture_is_read_and_not_skipped(captures, name):
    kinds = {
        b"@trade": msgspec.json.Decoder(bare._TradeFrame, strict=False),
        b"@bookTicker": msgspec.json.Decoder(bare._QuoteFrame, strict=False),
        b"@depth": msgspec.json.Decoder(bare._DepthFrame),
        b'"lastUpdateId"': msgspec.json.Decoder(bare._Snapshot),
    }
    seen = dict.fromkeys(kinds, 0)
    for _, payload in islice(read_frames(captures / name), 20_000):
        kind = next(kind for kind in kinds if kind in payload[:64])
        kinds[kind].decode(payload)  # a frame that is refused would cost less than it should
        seen[kind] += 1
    assert all(seen.values())


def test_what_is_wrong_with_a_file_is_left_to_the_replay(lines_of, capture_of):
    lines = lines_of(50)
    stamp = lines[20].partition(b" ")[0]
    broken = capture_of([*lines[:20], stamp + b' {"stream":"btcusdt@trade","data":{}}', *lines[20:]])
    assert bare.time_bare_decode(broken, CountingClock()) == 1000
    broken.write_bytes(broken.read_bytes()[:-20])
    assert bare.time_bare_decode(broken, CountingClock()) == 1000
    broken.write_bytes(b"\n".join(lines))
    assert bare.time_bare_decode(broken, CountingClock()) == 1000
