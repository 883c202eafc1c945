"""Compiling, or loading from the cache, every kernel the exchange uses, before its first socket opens."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from daemon.clock import VirtualTime
from daemon.instruments import make_instrument
from daemon.simulator.account import Account
from daemon.simulator.exchange import Exchange
from daemon.simulator.market import MarketSettings, SyntheticMarket
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT, list_symbol

if TYPE_CHECKING:
    from collections.abc import Callable

_NOW_NS = 1_000_000_000
_BOOK = b'{"bids":[["100.00","5.0"],["99.00","5.0"]],"asks":[["101.00","5.0"],["102.00","5.0"]]}'
_DEPTH = b'{"b":[["99.50","1.0"]],"a":[]}'


#: what `warm_up` tells of
STEPS: Final = 2


def warm_up(synthetic: bool, step: Callable[[str], object] | None = None) -> None:
    """Run a throwaway exchange through every kind of event and order, and a market if one is wanted.

    step(name) is called before each part: without a cache they take half a minute, and somebody may wait.
    """
    step = step or _quiet
    step("the exchange's matching")
    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="0.01",
        lot_size="0.00001",
        qty_min="0.00001",
        qty_max="9000",
        notional_min="5",
    )
    time = VirtualTime(_NOW_NS)
    account = Account("warm", {"USDT": 10**6 * UNIT, "BTC": 10**3 * UNIT}, 0, 0, Limits())
    exchange = Exchange([list_symbol(instrument)], [account], time, Random(1))  # noqa: S311 - makes order ids
    market = exchange.market("BTCUSDT")
    market.snapshot(1, _BOOK)
    market.quote(100 * UNIT, 5 * UNIT, 101 * UNIT, 5 * UNIT)
    bid, _ = exchange.place(account, market, _order("LIMIT_MAKER", 1, 99 * UNIT))
    exchange.place(account, market, _order("MARKET", 1, 0))
    exchange.amend(bid, UNIT // 2, "warm")
    market.depth(2, _DEPTH)
    market.quote(100 * UNIT, 4 * UNIT, 101 * UNIT, 5 * UNIT)
    market.trade(1, 100 * UNIT, UNIT, True, 1_000)
    exchange.cancel(bid, "warm")
    if synthetic:
        step("the exchange's market")
        SyntheticMarket(instrument, MarketSettings(), _NOW_NS).advance(2 * _NOW_NS)


def _quiet(_: str) -> None:
    """Nobody waits."""


def _order(kind: str, side: int, price: int) -> NewOrder:
    return NewOrder(
        side=side,
        type=kind,
        tif="GTC",
        price=price,
        qty=UNIT,
        quote_qty=0,
        stop_price=0,
        client_id="",
        response="ACK",
        stp="NONE",
        strategy={},
    )
