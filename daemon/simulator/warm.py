"""Compiling, or loading from the cache, every kernel the exchange uses, before its first socket opens."""

from __future__ import annotations

from random import Random

from daemon.clock import VirtualTime
from daemon.instruments import make_instrument
from daemon.simulator.account import Account
from daemon.simulator.exchange import Exchange
from daemon.simulator.market import MarketSettings, SyntheticMarket
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.publisher import Publisher
from daemon.simulator.rates import Limits
from daemon.simulator.streams import Hub
from daemon.simulator.symbols import UNIT, list_symbol
from daemon.simulator.synthetic import SyntheticDriver


def warm_up() -> None:
    """Run a throwaway exchange through every kind of event and order."""
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
    time = VirtualTime(1_000_000_000)
    account = Account("warm", {"USDT": 10**9 * UNIT, "BTC": 10**6 * UNIT}, 0, 0, Limits())
    exchange = Exchange([list_symbol(instrument)], [account], time, Random(1))
    market = exchange.market("BTCUSDT")
    source = SyntheticMarket(instrument, MarketSettings(), time.now_ns())
    driver = SyntheticDriver(source, [market], Publisher(Hub(), market))
    resting = []
    for kind, tif, side in (
        ("LIMIT_MAKER", "GTC", 1),
        ("LIMIT_MAKER", "GTC", -1),
        ("MARKET", "GTC", 1),
        ("LIMIT", "IOC", -1),
    ):
        price = (
            0
            if kind == "MARKET"
            else (market.bid if side > 0 else market.ask) + (0 if tif == "GTC" else -(10**10))
        )
        new = NewOrder(
            side=side,
            type=kind,
            tif=tif,
            price=price,
            qty=UNIT // 100,
            quote_qty=0,
            stop_price=0,
            client_id="",
            response="ACK",
            stp="NONE",
            strategy={},
        )
        resting.append(exchange.place(account, market, new)[0])
    exchange.amend(resting[0], UNIT // 200, "warm")
    driver.advance(time.now_ns() + 500_000_000)
    for order in exchange.open_orders(account):
        exchange.cancel(order, "warm")
