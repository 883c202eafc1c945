"""Whose books a refused frame puts in doubt, and how quotes without ids are numbered."""

from __future__ import annotations

import pytest

from daemon.errors import FrameError
from daemon.feeds.unnumbered import UnnumberedDecoder
from daemon.instruments import make_instrument


def make(index: int, symbol: str):
    return make_instrument(
        index, "", "spot", symbol, tick_size="1", lot_size="1", qty_min="1", qty_max="1", notional_min="0",
        exchange_symbol=symbol,
    )  # fmt: skip


class Sour(UnnumberedDecoder):
    depth_channel = "book"

    def _decode(self, payload: bytes, wire_ns: int) -> list:
        raise FrameError("type", "it never likes one")


DECODER = Sour([make(0, "BTC/USD"), make(1, "ETH/USD"), make(2, "BTC/EUR")])


@pytest.mark.parametrize(
    ("payload", "books"),
    [
        (b'{"channel":"book","data":[{"symbol":"ETH/USD"}]}', [1]),
        (b'{"data":[{"symbol":"ETH/USD"},{"symbol":"BTC\\/EUR"}],"channel":"book"}', [1, 2]),
        (b'{"channel":"book","data":[{"symbol":"XRP/USD"}]}', []),
        (b'{"channel":"trade","data":[{"symbol":"ETH/USD"}]}', []),
        (b'{"method":"subscribe"}', []),
        (b'{"channel":"trade","data":[{"symbol":"ETH/USD"', [0, 1, 2]),
        (b'{"channel":7,"data":[{"symbol":"ETH/USD"}]}', [0, 1, 2]),
        (b"", [0, 1, 2]),
    ],
)
def test_a_refused_frame_names_the_books_it_may_have_been_of(payload: bytes, books: list[int]) -> None:
    with pytest.raises(FrameError) as caught:
        DECODER.decode(payload, 1)
    assert list(caught.value.books) == books


def test_a_quote_is_numbered_by_its_stamp_or_by_when_it_came() -> None:
    quote = (1.0, 2.0, 3.0, 4.0)
    assert DECODER._quote("ETH/USD", 9_000_000, 5_000_000, quote).id == 5_000
    assert DECODER._quote("BTC/EUR", 9_000_000, 0, quote).id == 9_000
    with pytest.raises(FrameError, match=r"4\.0 bid above 3\.0 ask"):
        DECODER._quote("ETH/USD", 9, 5, (4.0, 2.0, 3.0, 4.0))
    with pytest.raises(FrameError, match="'XRP/USD' was not asked for"):
        DECODER._quote("XRP/USD", 9, 5, quote)
