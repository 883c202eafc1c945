"""The world of a seed at USD-M futures: positions both ways, funding, margin, and what must hold of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.simulator.symbols import UNIT
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.exchange import FuturesExchange
from tests.simulation import byte_net
from tests.simulation.checks import OURS, SLACK, Checks
from tests.simulation.world import SYMBOLS, World, daemon_config, exchange_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.simulator.order import Order
    from tests.simulation.faults import Fault, Level
    from tests.simulation.run import Run

#: of the exchange's rounding of each profit, in its units
ROUNDED = 10_000


class UsdmChecks(Checks):
    """What must hold at futures, where selling adds risk too."""

    def adds_risk(self, params: dict[str, Any]) -> bool:
        return params.get("reduceOnly") != "true"

    def risks(self, order: Order) -> bool:
        return not order.reduce_only

    def money_differs(self, run: Run) -> None:
        """Judge the day's result. What margin sets aside is the exchange's own figure."""
        self.day_differs(run)

    def brought_beside(self) -> float:
        told = {"REALIZED_PNL", "COMMISSION", "TRANSFER"}
        rows = [one["row"] for one in self._world.exchange.income]
        return sum(float(row["income"]) for row in rows if row["incomeType"] not in told)

    def exposed(self) -> None:
        """Judge the largest position there may be, at the price of now."""
        self.limits.look()
        world = self._world
        limit = world.config.risk.position_notional_max * SLACK
        for symbol, market in world.exchange.markets.items():
            held = world.account.position(market.symbol).qty
            longest = shortest = held
            for order in world.exchange.registry.open_orders(world.account, symbol):
                if not order.reduce_only and order.client_id.startswith(f"{world.config.name}-"):
                    longest += order.leaves if order.side > 0 else 0
                    shortest -= order.leaves if order.side < 0 else 0
            worth = max(longest, -shortest) / 1e8 * market.touch()[0] / 1e8
            if worth > limit:
                self._fail("limit exceeded", f"{symbol}: {worth:.2f} of {limit:.2f}")

    def equity(self) -> float:
        account = self._world.account
        return (account.wallet("USDT") + sum(one.unrealised for one in account.positions.values())) / UNIT

    def their_orders(self) -> set[str]:
        """Return the ids of what is open at the exchange, its conditional orders among them."""
        waiting = {algo.client_id for algo in self._world.exchange.algos.values() if algo.open}
        return super().their_orders() | waiting

    def books_differ(self, run: Run) -> None:
        """Judge positions and wallets."""
        world, core = self._world, run.app.core
        for instrument in core.engine.instruments:
            symbol = world.exchange.markets[instrument.exchange_symbol].symbol
            ours = sum(
                holding.qty
                for (desk, row), holding in core.portfolio.holdings.items()
                if core.orders.desks[desk].instruments[row] == instrument.index
            )
            theirs = world.account.position(symbol).qty * OURS
            if ours != theirs:
                self._fail("position differs", f"{instrument.symbol}: ours {ours}, theirs {theirs}")
        for asset in world.account.balances:
            ours, theirs = core.portfolio.purse(asset).total, world.account.wallet(asset) * OURS
            if abs(ours - theirs) > ROUNDED * OURS:
                self._fail("balance differs", f"{asset}: ours {ours}, theirs {theirs}")


class UsdmWorld(World):
    """A seed at futures, funded every 21 seconds, not when it ends."""

    def __init__(
        self,
        seed: int,
        faults: Sequence[Fault],
        sync: str = "group",
        transport: str = "picows",
        level: Level = "messages",
    ) -> None:
        place, orders = (f"{byte_net.HOST}:{port}" for port in (byte_net.PORT, byte_net.ORDERS_PORT))
        local = {"ws_url": f"ws://{place}", "rest_url": f"http://{place}", "transport": transport}
        swinger = Path(__file__).parent / "swinger.py"
        config = daemon_config(
            sync,
            loses=seed % 4 == 2,
            feed={"market": "usdm", "symbols": list(SYMBOLS), "stale_ms": 2000, **local},
            venue=local
            | {
                "kind": "binance",
                "ws_url": f"ws://{orders}/ws-fapi/v1",
                "stream_url": f"ws://{orders}/private",
                "reconcile_s": 20.0,
                "leverage": 5,
            },
            strategy=[
                {
                    "name": f"{swinger}:decide",
                    "symbols": [symbol],
                    "params": {"who": float(who), "qty": qty},
                    "warmup_ticks": 20,
                }
                for who, (symbol, qty) in enumerate(zip(SYMBOLS, (0.002, 0.045), strict=True))
            ],
        )
        settings = exchange_settings(seed, market="usdm", funding_s=21.0)
        super().__init__(seed, faults, config, settings, level=level)
        assert isinstance(self.account, FuturesAccount)
        assert isinstance(self.exchange, FuturesExchange)
        self.checks = UsdmChecks(self)
