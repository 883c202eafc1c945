"""Where the twenty failures are played: the simulation's world, with a script in place of drawn faults.

The daemon is the production one and the exchange the simulator's own, on virtual time (tests/simulation). A
script is a coroutine: it says what the strategy wants, lets something go wrong, and looks. Whatever it, or a
check at a seam, finds is an AssertionError that names the promise; each mutation says which it must be.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import msgspec

from daemon.simulator.fault import read_one
from kernels import dtypes as d
from tests.simulation.byte_net import HOST, PORT
from tests.simulation.checks import places
from tests.simulation.faults import KINDS, Fault
from tests.simulation.planted import BUGS
from tests.simulation.world import World, daemon_config, exchange_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from daemon.core import Core
    from daemon.orders.order import Order
    from daemon.simulator.order import Order as TheirOrder

SYMBOL = "BTC/USDT"
FEED: dict[str, Any] = {
    "symbols": [SYMBOL],
    "stale_ms": 2000,
    "ws_url": f"ws://{HOST}:{PORT}",
    "rest_url": f"http://{HOST}:{PORT}",
}
#: where every script begins: fed, warm and READY
READY_S = 30.0
#: how often a condition is looked at
LOOK_S = 0.01
#: what the puppet wants to have standing, as rows of `out`
standing: list[tuple[float, ...]] = []


class Mutation(NamedTuple):
    """A piece of handling taken out, and the word of the failure's test by which that must show."""

    handling: str  # module.function
    becomes: str
    plant: Callable[[], Any]
    caught: str


def mutation(owner: Any, name: str, becomes: str, stand_in: Any, caught: str) -> Mutation:
    """Return the mutation that puts `stand_in` where `owner`, a class or a module, has `name`."""
    where = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
    return Mutation(f"{where}.{name}", becomes, lambda: patch.object(owner, name, stand_in), caught)


def planted(bug: str, handling: str, caught: str) -> Mutation:
    """Return one of the simulation's bugs as the mutation of a piece of handling."""
    return Mutation(handling, bug, BUGS[bug].plant, caught)


def ignore(*_: object, **__: object) -> None:
    """Do nothing, in the place of what did something."""


@contextmanager
def both(*patches: Any) -> Iterator[None]:
    """Put several in at once: where two pieces of handling stand in for each other, one alone is no loss."""
    with ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        yield


class Sent(NamedTuple):
    """An order that left, and what the daemon held then, as it and as the exchange had it."""

    at_s: float
    name: str
    side: str
    qty: float
    held: tuple[float, float]
    free: float  # at the exchange, of the coin


class Stage(World):
    """One script with its world."""

    def __init__(self, script: Callable[[Stage], Awaitable[None]], **sections: Any) -> None:
        """Build it; `sections` replace the configuration's, `exchange` and `venue` add to theirs."""
        more, venue = sections.pop("exchange", {}), sections.pop("venue", {})
        puppet = {"name": f"{Path(__file__).parent / 'strategy' / 'puppet.py'}:decide", "warmup_ticks": 20}
        usual: dict[str, Any] = {
            "strategy": [puppet],
            "feed": FEED,
            "risk": {
                "order_notional_max": 1e4,
                "position_notional_max": 2e4,
                "orders_per_s_max": 20.0,
                "collar": 0.05,
            },
        }
        settings = exchange_settings(1, **({"symbols": (SYMBOL,)} | more))
        config = daemon_config(**(usual | sections))
        config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **venue))
        super().__init__(1, [], config, settings)
        self._script = script
        self.sent: list[Sent] = []
        self.market = self.exchange.markets["BTCUSDT"]
        self._judge, self.checks.sent = self.checks.sent, self._on_sent  # type: ignore[method-assign]
        standing.clear()

    def _on_sent(self, run: Any, payload: bytes) -> None:
        if places(payload):
            params = msgspec.json.decode(payload)["params"]
            name, side, qty = params["newClientOrderId"], params["side"], float(params["quantity"])
            free = self.account.balance("BTC").free / 1e8
            self.sent.append(Sent(self.now_s, name, side, qty, self.position, free))
        self._judge(run, payload)

    async def _main(self) -> None:
        self._begin()
        await self.until(lambda: self.state == "READY", "READY", READY_S)
        await self._script(self)
        await self._end()

    # --- what the script asks for ---------------------------------------------------------------------------
    async def rest(self, seconds: float) -> None:
        """Let so much time pass."""
        for _ in range(int(seconds // 1)):  # a violation is heard of within a second
            await self._until(self.now_s + 1)
        await self._until(self.now_s + seconds % 1)

    async def until(self, holds: Callable[[], object], what: str, within_s: float) -> None:
        """Wait for a condition; it is an AssertionError that it did not come true."""
        end_s = self.now_s + within_s
        while not holds():
            assert self.now_s < end_s, f"not within {within_s:g} s: {what}"
            await self._until(self.now_s + LOOK_S)

    def want(self, *rows: tuple[float, ...]) -> None:
        """Let the strategy want these rows of `out`, and nothing else."""
        standing[:] = rows

    def bid(self, qty: float = 0.01, below: float = 0.002, level: int = 0) -> tuple[float, ...]:
        """Return the wish for a resting bid, so far below the touch."""
        return (d.REST, 0, level, d.BUY, round(self.market.touch()[0] / 1e8 * (1 - below), 1), qty)

    def hold(self, qty: float) -> tuple[float, ...]:
        """Return the wish for a position, at any price."""
        worst = 1.03 if qty else 0.97
        return (d.TARGET, 0, 0, 0, round(self.market.touch()[0] / 1e8 * worst, 1), qty)

    def go_wrong(self, kind: str, **keys: Any) -> None:
        """Let the exchange misbehave (daemon/simulator/fault.py)."""
        self.faults.add([read_one({"kind": kind, **keys}, kind)])

    def befall(self, kind: str, lasts_s: float = 0.0, size: int = 1) -> None:
        """Let one of the simulation's faults strike (tests/simulation/faults.py)."""
        self.struck(kind)
        KINDS[kind].strike(self, Fault(self.now_s, kind, lasts_s, size))

    def trade_through(self) -> None:
        """Let the market trade through every resting bid of ours, and come back."""
        market = self.market
        open_orders = self.exchange.registry.open_orders(self.account)
        price = min(order.price for order in open_orders if order.side > 0) - market.symbol.tick
        market.trade(10**9 + len(self.sent), price, 10**9, True, self.time.now_ns() // 1_000_000)

    # --- what it looks at -----------------------------------------------------------------------------------
    @property
    def core(self) -> Core:
        return self.run.app.core

    @property
    def state(self) -> str:
        return self.core.engine.state if hasattr(self, "run") and hasattr(self.run.app, "core") else ""

    @property
    def ours(self) -> list[Order]:
        """Open orders, as the daemon has them."""
        return list(self.core.orders.life.open.values())

    @property
    def theirs(self) -> list[TheirOrder]:
        """Every order the exchange ever took."""
        return list(self.exchange.registry.orders.values())

    @property
    def position(self) -> tuple[float, float]:
        """What the daemon holds, and what the exchange has of it."""
        balance = self.account.balance("BTC")
        return self.core.portfolio.holdings[0, 0].qty / 1e18, (balance.free + balance.locked) / 1e8

    async def agree(self, within_s: float = 5.0) -> None:
        """Wait until it is READY and agrees with the exchange, digit by digit; raises what they differ in."""
        end_s = self.now_s + within_s
        while True:
            try:
                assert self.state == "READY", f"not within {within_s:g} s: READY, but {self.state}"
                self.checks.settled(self.run)
            except AssertionError:
                if self.now_s > end_s:
                    raise
                self._broken = None  # not yet
            else:
                return
            await self._until(self.now_s + LOOK_S)

    def after_s(self, at_s: float) -> list[Sent]:
        """Return the orders that left since then."""
        return [one for one in self.sent if one.at_s > at_s]


def play(script: Callable[[Stage], Awaitable[None]], **sections: Any) -> Stage:
    """Play a script to its end; raises AssertionError for what is not as promised."""
    stage = Stage(script, **sections)
    stage.play()
    return stage
