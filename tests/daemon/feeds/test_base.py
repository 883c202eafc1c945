"""The label that metrics carry is bounded: every reason a decoder or the level parser gives is listed."""

from __future__ import annotations

from daemon.feeds import binance
from daemon.feeds.base import FRAME_REASONS, STREAMS
from kernels.levels import ERROR_NAMES


def test_every_reason_is_listed_once() -> None:
    assert len(set(FRAME_REASONS)) == len(FRAME_REASONS)
    assert set(ERROR_NAMES.values()) <= set(FRAME_REASONS)
    assert set(binance._REASONS.values()) <= set(FRAME_REASONS)


def test_the_streams_are_the_three_kinds_of_ticks() -> None:
    assert STREAMS == ("trade", "quote", "depth")
