"""A paper daemon whose feed is ccxt's OKX, on real sockets: it becomes READY, trades, mends its book."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, ClassVar

from tests.daemon.feeds.loopback import mends_its_book
from tests.daemon.feeds.test_paper_okx import Okx

if TYPE_CHECKING:
    from collections.abc import Iterator

#: ccxt asks for every kind of market
OTHERS = ("FUTURES", "SWAP", "OPTION&uly=BTC-USD", "OPTION&uly=ETH-USD")


class OkxOfNow(Okx):
    """OKX with one pair, and trades of now: what is older than the feed is history."""

    listed_at: ClassVar = {
        f"/api/v5/public/instruments?instType={kind}": b'{"code":"0","msg":"","data":[]}' for kind in OTHERS
    }

    def go_on(self) -> Iterator[bytes]:
        now = b'"ts":"%d"' % (time.time_ns() // 1_000_000)
        return (re.sub(rb'"ts":"\d+"', now, one) for one in super().go_on())


def test_a_paper_daemon_trades_on_what_ccxt_gives_and_mends_its_book(tmp_path) -> None:
    told = asyncio.run(mends_its_book(tmp_path, "ccxt:okx", OkxOfNow, "BTC/USDT", "gap"))
    assert told.paths.count("/ws/v5/public") == 2
    assert told.paths.count("/api/v5/public/instruments?instType=SPOT") == 2  # a start, and after the cut
    first, second = (
        [(verb, [arg["channel"] for arg in args]) for verb, args in voice.asked if args]
        for voice in told.voices
    )
    assert sorted(first[:3]) == [("subscribe", [one]) for one in ("bbo-tbt", "books", "trades")]
    assert first[3:] == [("unsubscribe", ["books"]), ("subscribe", ["books"])]
    assert sorted(second) == sorted(first[:3])
