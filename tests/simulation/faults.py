"""Faults, drawn up front from a seed as a plain list, so that a failing run can be cut down."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from daemon.simulator.errors import ApiError
from daemon.simulator.fault import read_one
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.symbols import UNIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.world import World

#: virtual seconds in which faults begin, after the daemon has had time to start
FIRST_S, LAST_S = 10.0, 150.0
#: how many a seed draws
FAULTS_MIN, FAULTS_MAX = 10, 18
_S = 1_000_000_000

Level = Literal["messages", "bytes", "usdm", "usdm-bytes"]


class Fault(NamedTuple):
    """One thing that goes wrong: `at_s` and `lasts_s` in virtual seconds, `size` as its kind reads it."""

    at_s: float
    kind: str
    lasts_s: float = 0.0
    size: int = 1


def _cut(orders: bool, market: bool) -> Callable[[World, Fault], None]:
    def strike(world: World, fault: Fault) -> None:
        for line in list(world.lines):
            if orders if line.orders else market:
                line.cut("the connection was lost", fault.size * 1_000_000)

    return strike


def _storm(world: World, fault: Fault) -> None:
    cut = _cut(orders=True, market=True)
    for step in range(int(fault.lasts_s / 0.7)):
        world.after(step * 0.7, lambda: cut(world, fault))


def _reset(world: World, fault: Fault) -> None:
    """Reset each connection once so many more bytes have passed: in the middle of whatever that is."""
    for link in world.network.links:
        link.near.breaks_after = link.far.breaks_after = fault.size


def _swallow(world: World, fault: Fault) -> None:
    """Let nothing pass any more on what is open, without a word to either end: both ways, or up or down."""
    for link in world.network.links:
        link.near.swallows = link.near.swallows or fault.size != 2
        link.far.swallows = link.far.swallows or fault.size != 1


def _unread(world: World, fault: Fault) -> None:
    """Let the exchange read nothing that comes with orders."""
    world.weather.unread_until_ns[True] = world.time.now_ns() + int(fault.lasts_s * _S)


def _hold(orders: bool) -> Callable[[World, Fault], None]:
    def strike(world: World, fault: Fault) -> None:
        world.weather.held_until_ns[orders] = world.time.now_ns() + int(fault.lasts_s * _S)

    return strike


def _set(where: str, name: str, value: object, well: object) -> Callable[[World, Fault], None]:
    """Set an attribute for the fault's length."""

    def strike(world: World, fault: Fault) -> None:
        place = getattr(world, where)
        setattr(place, name, fault.size if value is int else value)
        world.after(fault.lasts_s, lambda: setattr(place, name, well))

    return strike


def _frames(what: str) -> Callable[[World, Fault], None]:
    def strike(world: World, fault: Fault) -> None:
        world.weather.next[what] += fault.size

    return strike


def _mute(world: World, fault: Fault) -> None:
    world.weather.mute_ns = int(fault.lasts_s * _S)
    world.weather.next["mute"] += fault.size


def _kill(world: World, _: Fault) -> None:
    world.run.kill()


def _crash(world: World, fault: Fault) -> None:
    world.run.crash_in = fault.size


def _power_cut(world: World, _: Fault) -> None:
    world.cut_power()


def _blackouts(world: World, fault: Fault) -> None:
    """Cut the power again and again, on a disk so slow that little is synced between.

    Before each the process is killed: its successor trades at once, where after a power cut it would wait.
    """
    world.disk.sync_ns = 8 * _S
    at_s = 0.0
    while at_s < fault.lasts_s:
        world.after(at_s, lambda: _kill(world, fault))
        at_s += world.random.uniform(3.0, 8.0)
        world.after(at_s, world.cut_power)
        at_s += world.random.uniform(2.0, 6.0)
    world.after(fault.lasts_s, lambda: setattr(world.disk, "sync_ns", 0))


def _clock_step(world: World, fault: Fault) -> None:
    """Set the machine's clock by up to an hour, and as often by less than a second as by minutes."""
    world.clock_off_ns += int((fault.size / 2_500 - 1) ** 3 * 3_600 * _S)


def _halt(world: World, fault: Fault) -> None:
    """Let a person halt, or (`size` 1) have everything closed, and resume later."""
    world.command("flatten" if fault.size else "halt")
    world.after(fault.lasts_s, lambda: world.command("resume"))


def _foreign_order(world: World, _: Fault) -> None:
    """Let somebody place an order of another program's on the account, too far away to be filled."""
    market = world.random.choice(list(world.exchange.markets.values()))
    symbol, bid = market.symbol, market.touch()[0]
    order = NewOrder(
        side=1,
        type="LIMIT",
        tif="GTC",
        price=bid * 9 // 10 // symbol.tick * symbol.tick,
        qty=round(150 * UNIT / bid * UNIT) // symbol.lot * symbol.lot,
        quote_qty=0,
        stop_price=0,
        client_id="",
        response="ACK",
        stp="NONE",
    )
    with suppress(ApiError):  # a closed market refuses it
        world.exchange.place(world.account, market, order)


def _transfer(world: World, fault: Fault) -> None:
    """Let somebody pay money in, or take it out."""
    amount = fault.size - 200
    world.exchange.deposit(world.account, "USDT", amount * UNIT)
    world.checks.limits.moved(amount)


def _slow_disk(world: World, fault: Fault) -> None:
    world.disk.sync_ns = fault.size * 1_000_000
    world.after(fault.lasts_s, lambda: setattr(world.disk, "sync_ns", 0))


def _exchange(kind: str, **keys: Any) -> Callable[[World, Fault], None]:
    """Let the exchange misbehave by a fault of its own (daemon/simulator/fault.py); `size` is its count."""

    def strike(world: World, fault: Fault) -> None:
        lasts: dict[str, Any] = {"lasts_s": fault.lasts_s} if fault.lasts_s else {"count": fault.size}
        if kind == "server_shutdown":
            lasts = {}
        world.faults.add([read_one({"kind": kind, **lasts, **keys}, kind)])

    return strike


class Kind(NamedTuple):
    """How a kind strikes, how often it is drawn, and between what its length and size are."""

    strike: Callable[[World, Fault], None]
    weight: int = 2
    lasts_s: tuple[float, float] = (0.0, 0.0)
    size: tuple[int, int] = (1, 1)


KINDS: dict[str, Kind] = {
    "cut_orders": Kind(_cut(orders=True, market=False), 4, size=(0, 2_000)),
    "cut_market": Kind(_cut(orders=False, market=True), 2, size=(0, 2_000)),
    "cut_all": Kind(_cut(orders=True, market=True), 2, size=(0, 2_000)),
    "storm": Kind(_storm, 1, (2.0, 10.0), (0, 300)),
    "stall_orders": Kind(_hold(orders=True), 3, (0.5, 15.0)),
    "stall_market": Kind(_hold(orders=False), 2, (0.5, 15.0)),
    "refuse_orders": Kind(_set("weather", "refusing_orders", True, False), 2, (1.0, 20.0)),
    "refuse_market": Kind(_set("weather", "refusing_market", True, False), 1, (1.0, 20.0)),
    "lag": Kind(_set("weather", "lag_ns", int, 0), 2, (1.0, 20.0), (5_000_000, 3_000_000_000)),
    "lose_report": Kind(_frames("lose_report"), 4, size=(1, 4)),
    "repeat_report": Kind(_frames("repeat_report"), 4, size=(1, 5)),
    "delay_report": Kind(_frames("delay_report"), 4, size=(1, 4)),
    "lose_answer": Kind(_frames("lose_answer"), 4, size=(1, 4)),
    "delay_answer": Kind(_frames("delay_answer"), 3, size=(1, 4)),
    "lose_request": Kind(_frames("lose_request"), 3, size=(1, 3)),
    "mute": Kind(_mute, 4, (3.0, 15.0), (1, 3)),
    "rest_lost_answer": Kind(_set("weather", "http_fate", "lost answer", ""), 1, (2.0, 15.0)),
    "rest_lost_request": Kind(_set("weather", "http_fate", "lost request", ""), 1, (2.0, 15.0)),
    "rest_503": Kind(_set("weather", "http_fate", "503", ""), 1, (2.0, 15.0)),
    "kill": Kind(_kill, 4),
    "crash": Kind(_crash, 6, size=(0, 400)),
    "power_cut": Kind(_power_cut, 4),
    "blackouts": Kind(_blackouts, 1, (2.0, 16.0)),
    "slow_disk": Kind(_slow_disk, 2, (5.0, 30.0), (50, 5_000)),
    "sync_fails": Kind(_set("disk", "fails_syncs", True, False), 1, (0.2, 5.0)),
    "write_fails": Kind(_set("disk", "fails_writes", True, False), 1, (0.2, 5.0)),
    "disk_full": Kind(_set("disk", "full", True, False), 1, (0.2, 5.0)),
    "clock_step": Kind(_clock_step, 1, size=(0, 5_000)),
    "halt": Kind(_halt, 1, (1.0, 10.0), (0, 1)),
    "foreign_order": Kind(_foreign_order, 2),
    "transfer": Kind(_transfer, 2, size=(0, 400)),
    "5xx_done": Kind(_exchange("http_5xx", method="order.place"), 2, size=(1, 3)),
    "5xx_undone": Kind(_exchange("http_5xx", method="order.place", executed=False), 2, size=(1, 3)),
    "5xx_rest": Kind(_exchange("http_5xx", of="rest"), 1, size=(1, 6)),
    "-1006": Kind(_exchange("-1006", of="api"), 2, size=(1, 4)),
    "-1007": Kind(_exchange("-1007", of="api"), 2, size=(1, 4)),
    "-1007_undone": Kind(_exchange("-1007", of="api", executed=False), 2, size=(1, 4)),
    "rate_429": Kind(_exchange("rate_429", delay_s=8.0), 2, size=(1, 3)),
    "ban_418": Kind(_exchange("ban_418"), 1, (5.0, 25.0)),
    "half_replaced": Kind(_exchange("cancel_replace_half"), 2, size=(1, 3)),
    "query_lag": Kind(_exchange("query_lag", delay_s=8.0), 3, (10.0, 60.0)),
    "depth_gap": Kind(_exchange("depth_gap"), 2, size=(1, 4)),
    "crossed_book": Kind(_exchange("crossed_book"), 1, size=(1, 2)),
    "partial_fill": Kind(_exchange("partial_fill"), 3, size=(2, 20)),
    "reorder": Kind(_exchange("reorder", of="events"), 3, size=(1, 6)),
    "break": Kind(_exchange("break", symbol="BTCUSDT"), 1, (2.0, 20.0)),
    "exchange_clock": Kind(_exchange("clock_step", delay_s=4.0), 1, (5.0, 30.0)),
    "maintenance": Kind(_exchange("maintenance"), 1, (2.0, 15.0)),
    "server_shutdown": Kind(_exchange("server_shutdown", delay_s=3.0), 1),
}


BYTE_KINDS: dict[str, Kind] = {
    "reset": Kind(_reset, 4, size=(0, 2_000)),
    "swallow": Kind(_swallow, 4, size=(0, 2)),
    "shred": Kind(_set("weather", "shredding", True, False), 3, (1.0, 30.0)),
    "unresolved": Kind(_set("weather", "unresolved", True, False), 2, (1.0, 20.0)),
    "unread": Kind(_unread, 3, (0.5, 15.0)),
}
KINDS_OF: dict[Level, dict[str, Kind]] = {
    "messages": KINDS,
    "bytes": KINDS | BYTE_KINDS,
    "usdm": KINDS,  # messages too
    "usdm-bytes": KINDS | BYTE_KINDS,
}


def draw(seed: int, mix: Mapping[str, int] | None = None, level: Level = "messages") -> list[Fault]:
    """Return a seed's faults, in time order; `mix` gives other kinds and weights than all of the level's."""
    random = Random(f"faults {seed}")
    kinds = KINDS_OF[level]
    weights = mix or {name: kind.weight for name, kind in kinds.items()}
    drawn = []
    for _ in range(random.randint(FAULTS_MIN, FAULTS_MAX)):
        name = random.choices(list(weights), list(weights.values()))[0]
        kind = kinds[name]
        at_s = round(random.uniform(FIRST_S, LAST_S), 3)
        lasts_s = round(random.uniform(*kind.lasts_s), 3)
        # small sizes are drawn as often as large ones: what happens next matters most
        low, high = kind.size
        size = low + round((high - low) * random.random() ** 3)
        drawn.append(Fault(at_s, name, lasts_s, size))
    return sorted(drawn)
