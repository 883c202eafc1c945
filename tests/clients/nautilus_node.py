"""A node of nautilus_trader's that trades at a simulated exchange, run by test_nautilus.py in .venv-peers.

Its argument is JSON: the snippet of the page, and the names it reads. It prints what became of each order.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import LoggingConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

ONE = InstrumentId.from_str("BTCUSDT.BINANCE")


class Steps(Strategy):
    """At every tenth quote the next step; the node ends after the last."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(ONE)
        self.seen = dict.fromkeys(("quotes", "trades", "deltas"), 0)
        self.orders = {}
        self.subscribe_quote_ticks(ONE)
        self.subscribe_trade_ticks(ONE)
        self.subscribe_order_book_deltas(ONE)

    def on_trade_tick(self, tick) -> None:
        self.seen["trades"] += 1

    def on_order_book_deltas(self, deltas) -> None:
        self.seen["deltas"] += 1

    def on_quote_tick(self, tick) -> None:
        self.seen["quotes"] += 1
        step, between = divmod(self.seen["quotes"], 10)
        if not between and step <= 8:
            self.bid = float(tick.bid_price)
            getattr(self, f"step_{step}")()

    def send(self, name, make, side, *price, **more) -> None:
        qty = self.instrument.make_qty(Decimal("0.01"))
        prices = [self.instrument.make_price(self.bid * share) for share in price]
        self.orders[name] = getattr(self.order_factory, make)(ONE, side, qty, *prices, **more)
        self.submit_order(self.orders[name])

    def step_1(self) -> None:
        self.send("bought", "market", OrderSide.BUY)

    def step_2(self) -> None:
        self.send("resting", "limit", OrderSide.BUY, 0.97, post_only=True)

    def step_3(self) -> None:
        self.send("stop", "stop_limit", OrderSide.SELL, 0.95, 0.96)
        self.send("taking", "limit", OrderSide.BUY, 1.01, post_only=True)

    def step_4(self) -> None:
        self.send("unfilled", "limit", OrderSide.BUY, 0.99, time_in_force=TimeInForce.IOC)

    def step_5(self) -> None:
        self.cancel_order(self.orders["resting"])

    def step_6(self) -> None:
        self.cancel_all_orders(ONE)

    def step_7(self) -> None:
        self.send("sold", "market", OrderSide.SELL)

    def step_8(self) -> None:
        states = {name: order.status_string() for name, order in self.orders.items()}
        print("OUTCOME" + json.dumps({"orders": states, "seen": self.seen}))
        self.node.stop()


def main() -> None:
    asked = json.loads(sys.argv[1])
    names = asked["names"]
    exec(asked["snippet"], names)
    node = TradingNode(
        TradingNodeConfig(
            logging=LoggingConfig(log_level="WARNING", log_colors=False),
            data_clients={BINANCE: names["data"]},
            exec_clients={BINANCE: names["orders"]},
            timeout_disconnection=2.0,
            timeout_post_stop=1.0,
        )
    )
    strategy = Steps(StrategyConfig(strategy_id="STEPS-1"))
    strategy.node = node
    node.trader.add_strategy(strategy)
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()


if __name__ == "__main__":
    main()
