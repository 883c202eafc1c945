"""What must hold at every call of a seam, and what must hold once all is quiet again."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import msgspec

from daemon.orders.money import UNIT as MONEY_UNIT
from daemon.orders.order import ANSWER_DUE, State
from daemon.orders.portfolio import Portfolio
from daemon.orders.records import FRAME, HEADER, LATCH, MAGIC, PLACE, RUN, Latch, Placed, unpack
from daemon.orders.records import Run as RunRecord
from daemon.simulator.symbols import UNIT
from kernels.dtypes import X_PRICE_TICKS, X_QTY_LOTS, X_SIDE
from tests.simulation.approvals import Approvals
from tests.simulation.limits import Limits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from daemon.events import ExecutionReport
    from daemon.simulator.order import Order
    from tests.simulation.run import Run
    from tests.simulation.world import World

#: an order that adds risk may be so much older than the feed's silence allows: the watch's own period
WATCH_NS = 150_000_000
#: what prices may move between an order's approval and its arrival
SLACK = 1.02
#: requests that carry a new order
_PLACING = (b'"order.place"', b'"order.cancelReplace"', b'"algoOrder.place"')

#: of the daemon's units of money in one of the exchange's
OURS = 10**10
#: what floats of balances may differ by
CENT = 0.01


class ViolationError(AssertionError):
    """A promise about money was broken; `kind` says which."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def places(payload: bytes) -> bool:
    """Whether a request carries a new order."""
    return any(method in payload for method in _PLACING)


def placed_in(payload: bytes) -> tuple[str, dict[str, Any]]:
    """Return the client's id and the parameters of a request that carries a new order."""
    params = msgspec.json.decode(payload)["params"]
    return params.get("newClientOrderId") or params["clientAlgoId"], params


class Checks:
    """Looks on from outside: at what is written, sent and held."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._run_number = 0
        self._recorded: dict[str, Placed] = {}
        self._sent: set[str] = set()
        self._arrived: set[str] = set()
        self._heard_ns = 0
        #: where the journal says that the kill switch is thrown: file, and its size with that
        self._latched: tuple[Path, int] | None = None
        self.approvals = Approvals(world.time)
        self.limits = Limits(world, self)
        #: what trades had brought when a person had the day's loss measured anew; None: nobody knows any more
        self._brought: float | None = 0.0
        self.orders = 0
        self.replacements = 0  # of these
        self.amends = 0
        self.ticks = 0  # frames of market data
        self.requests = 0
        #: trades that a process has accounted for: instrument, side and id
        self._booked: set[tuple[int, int, int]] = set()
        self._booked_by = 0

    def _fail(self, kind: str, text: str) -> NoReturn:
        error = ViolationError(kind, f"at {self._world.now_s:.3f} s, {text}")
        self._world.on_broken(error)  # whoever catches it on its way up
        raise error

    # --- at every call --------------------------------------------------------------------------------------
    def recorded(self, path: Path, data: bytes) -> None:
        """Learn what was appended to the journal."""
        at = HEADER.size if data.startswith(MAGIC) else 0
        while at < len(data):
            size, _ = FRAME.unpack_from(data, at)
            body = data[at + FRAME.size : at + FRAME.size + size]
            at += FRAME.size + size
            if body[0] == RUN:
                record = unpack(body)
                assert isinstance(record, RunRecord)
                self._run_number = record.run
            elif body[0] == PLACE:
                record = unpack(body)
                assert isinstance(record, Placed)
                self._recorded[f"{self._world.config.name}-{self._run_number}-{record.seq}"] = record
            elif body[0] == LATCH:
                record = unpack(body)
                assert isinstance(record, Latch)
                size = len(self._world.disk.read(path))
                self._latched = (self._latched or (path, size)) if record.halted else None

    def power_cut(self) -> None:
        """Learn that the machine goes dark: what is not on the disk is forgotten, a kill switch, say."""
        if self._brought:
            self.forget_begin()
        if self._latched is not None and self._world.disk.durable(self._latched[0]) < self._latched[1]:
            self._latched = None

    def halted_by_loss(self) -> None:
        """Judge a halt for a loss: there was one."""
        if not self.limits.lost:
            self._fail("halted without a loss", "the account had not lost what it may")

    def rebase(self, run: Run) -> None:
        """Learn that a person had the day's loss measured anew."""
        self._brought = self._brought_by_day(run)
        self.limits.rebase()

    def forget_begin(self) -> None:
        """Learn that a process died while it measured anew: from where, its successor alone knows."""
        self._brought = None
        self.limits.known = False

    def heard(self, run: Run) -> None:
        """Learn that the daemon was given market data."""
        if run.alive:
            self.ticks += 1
            self._heard_ns = self._world.time.now_ns()

    def watch(self) -> AbstractContextManager[Any]:
        """Look on at each trade that is accounted for."""
        fill = Portfolio.fill

        def noted(portfolio: Portfolio, desk: Any, row: int, side: int, report: ExecutionReport) -> bool:
            self._books(report, side)
            return fill(portfolio, desk, row, side, report)

        return patch.object(Portfolio, "fill", noted)

    def _books(self, report: ExecutionReport, side: int) -> None:
        """Judge a trade that is accounted for: each process does so once, its journal's first."""
        run = self._world.run
        if run.number != self._booked_by:
            self._booked_by = run.number
            self._booked.clear()
        trade = (report.instrument, side, report.trade_id)
        if trade in self._booked:
            self._fail("counted twice", f"{report.client_order_id}, trade {report.trade_id}")
        self._booked.add(trade)
        fills = self._world.exchange.registry.fills
        if not any(fill.trade_id == report.trade_id and fill.order.side == side for fill in fills):
            self._fail("counted what was not traded", f"{report.client_order_id}, trade {report.trade_id}")

    def sent(self, run: Run, payload: bytes) -> None:
        """Judge a request that leaves."""
        if not places(payload):
            self.amends += b'"order.amend.keepPriority"' in payload or b'"order.modify"' in payload
            return
        self.replacements += b'"order.cancelReplace"' in payload
        name, params = placed_in(payload)
        self.orders += 1
        if name in self._sent:
            self._fail("sent twice", name)
        self._sent.add(name)
        record = self._recorded.get(name)
        if record is None:
            self._fail("sent before it was recorded", name)
        self._judge_wish(run, name, params, record)
        if self.adds_risk(params):
            self._judge_risk(run, name, params)

    def _judge_wish(self, run: Run, name: str, params: dict[str, Any], record: Placed) -> None:
        """Judge whether an order is what was recorded and approved, and whether one more may leave."""
        instrument = run.app.core.engine.instruments[record.instrument]
        price = params.get("price") or params.get("stopPrice") or params["triggerPrice"]
        side = 1 if params["side"] == "BUY" else -1
        wish = (
            side,
            Decimal(price) / instrument.tick_size,
            Decimal(params["quantity"]) / instrument.lot_size,
        )
        recorded = (record.action[X_SIDE], record.action[X_PRICE_TICKS], record.action[X_QTY_LOTS])
        if wish != recorded or params["symbol"] != instrument.exchange_symbol:
            self._fail("sent other than recorded", f"{name}: {params}")
        if not self.approvals.take(record):
            self._fail("sent without an approval", name)
        if not self.limits.spend(run):
            self._fail("sent too often", name)

    def _judge_risk(self, run: Run, name: str, params: dict[str, Any]) -> None:
        """Judge whether an order that may add risk may leave now."""
        core = run.app.core
        if core.orders.risk.latch is not None or self._latched is not None:
            self._fail("sent while halted", name)
        silent_ns = self._world.time.now_ns() - self._heard_ns
        if silent_ns > self._world.config.feed.stale_ms * 1_000_000 + WATCH_NS:
            self._fail("sent on a stale feed", f"{name}, silent for {silent_ns / 1e9:.3f} s")
        index = next(i.index for i in core.engine.instruments if i.exchange_symbol == params["symbol"])
        followed = "depth" in self._world.config.feed.streams
        if not core.engine.synced[index] or (followed and not run.seam.books.whole(params["symbol"])):
            self._fail("sent on a gapped book", name)
        notional = float(params["price"]) * float(params["quantity"])
        if self.limits.too_large(notional):
            self._fail("order too large", f"{name}, of {notional:.2f}")
        lost_for_s = self.limits.lost_for_s
        if lost_for_s:
            self._fail("sent after a loss", f"{name}, {lost_for_s:.1f} s after it went beyond its limit")

    def arrived(self, payload: bytes) -> None:
        """Judge a request that the exchange hears: what left once may not come twice, whoever repeats it."""
        if places(payload):
            name, _ = placed_in(payload)
            if name in self._arrived:
                self._fail("arrived twice", name)
            self._arrived.add(name)

    def adds_risk(self, params: dict[str, Any]) -> bool:
        """Whether an order may make a position larger: on spot each that buys."""
        return params["side"] == "BUY"

    def exposed(self) -> None:
        """Judge what the exchange holds: position and whatever may still buy, at the price it would pay."""
        self.limits.look()
        world = self._world
        limit = world.config.risk.position_notional_max * SLACK
        for symbol, market in world.exchange.markets.items():
            base = market.symbol.base
            balance = world.account.balance(base)
            price = market.touch()[0] / 1e8
            worth = (balance.free + balance.locked) / 1e8 * price
            for order in world.exchange.registry.open_orders(world.account, symbol):
                if order.side > 0 and order.client_id.startswith(f"{world.config.name}-"):
                    worth += order.leaves / 1e8 * price
            if worth > limit:
                self._fail("limit exceeded", f"{symbol}: {worth:.2f} of {limit:.2f}")

    def equity(self) -> float:
        """Return what the account is worth, at the exchange's prices of now."""
        worth = self._world.account.balance("USDT")
        value = worth.free + worth.locked
        for market in self._world.exchange.markets.values():
            held = self._world.account.balance(market.symbol.base)
            value += (held.free + held.locked) * market.touch()[0] // UNIT
        return value / UNIT

    def asked(self, run: Run) -> None:
        """Judge that nothing is asked of an exchange that has banned us, and said until when."""
        self.requests += 1
        left_ns = run.banned_until_ns - self._world.time.now_ns()
        if left_ns > 0:
            self._fail("asked while banned", f"which lasts {left_ns / 1e9:.3f} s more")

    # --- once it is quiet -----------------------------------------------------------------------------------
    def doubts(self, run: Run) -> bool:
        """Whether an order is in doubt: that closes its market for as long as an absence takes."""
        return any(order.state is State.UNKNOWN for order in run.app.core.orders.life.open.values())

    def open_again(self, run: Run) -> None:
        """Judge that every strategy may trade again: a gate that stays closed is a daemon that is down."""
        core = run.app.core
        for instrument in core.engine.instruments:
            gate = core.orders.risk.gate(instrument.index)
            if gate:
                self._fail("closed for good", f"{instrument.symbol} by gate {gate}")

    def halted(self) -> None:
        """Judge that nothing stands that adds risk, some seconds after the kill switch was thrown."""
        world = self._world
        standing = world.exchange.registry.open_orders(world.account)
        left = ", ".join(order.client_id for order in standing if self.risks(order))
        if left:
            self._fail("stands while halted", left)

    def risks(self, order: Order) -> bool:
        """Whether an order at the exchange may make a position larger."""
        return order.side > 0

    def money_differs(self, run: Run) -> None:
        """Judge what is set aside for open orders, and what strategies and the day are said to earn."""
        world, core = self._world, run.app.core
        for asset, balance in world.account.balances.items():
            ours, theirs = core.portfolio.purse(asset).reserved, balance.locked * OURS
            if ours != theirs:
                self._fail("reserve differs", f"{asset}: ours {ours}, theirs {theirs}")
        paid = 0
        for fill in world.exchange.registry.fills:
            notional = fill.price * fill.qty * 100  # of two times 10**-8
            paid += notional if fill.order.side > 0 else fill.commission * OURS - notional
        spent = sum(one.cost - one.realised + one.fees for one in core.portfolio.holdings.values())
        if paid != spent:
            self._fail("result differs", f"strategies have spent {spent}, and trades have cost {paid}")
        self.day_differs(run)

    def day_differs(self, run: Run) -> None:
        """Judge the day's result. Not where a clock that was set has begun another day."""
        worth = run.app.core.portfolio.worth
        if len(worth.save().begun) > 1 or self._brought is None:
            return
        brought = self._brought_by_day(run) - self._brought
        if abs(worth.day_pnl - brought) > CENT:
            self._fail("result differs", f"the day's is {worth.day_pnl}, and trades have made it {brought}")

    def _brought_by_day(self, run: Run) -> float:
        """Return what all strategies' trades have brought, what they hold at its mid."""
        core = run.app.core
        brought = self.brought_beside()
        for (desk, row), held in core.portfolio.holdings.items():
            mid = core.portfolio.worth.mids[core.orders.desks[desk].instruments[row]]
            brought += held.qty_float * mid + (held.realised - held.cost - held.fees) / MONEY_UNIT
        return brought

    def brought_beside(self) -> float:
        """Return what came to the account by itself, not by trades."""
        return 0.0

    def on_the_way(self, run: Run) -> bool:
        """Whether the exchange owes a word, so that two looks at one moment must differ."""
        return any(order.state in ANSWER_DUE for order in run.app.core.orders.life.open.values())

    def settled(self, run: Run) -> None:
        """Judge that daemon and exchange agree."""
        core = run.app.core
        theirs = self.their_orders()
        ours = set(core.orders.life.open)
        if ours != theirs:
            self._fail("open orders differ", f"ours {sorted(ours)}, theirs {sorted(theirs)}")
        unknown = [o.client_order_id for o in core.orders.life.open.values() if o.state is State.UNKNOWN]
        if unknown:
            self._fail("still unknown", ", ".join(unknown))
        self.books_differ(run)

    def their_orders(self) -> set[str]:
        """Return the ids of what is open at the exchange."""
        world = self._world
        return {order.client_id for order in world.exchange.registry.open_orders(world.account)}

    def books_differ(self, run: Run) -> None:
        """Judge positions and balances."""
        world, core = self._world, run.app.core
        for index, desk in enumerate(core.orders.desks):
            instrument = core.engine.instruments[desk.instruments[0]]
            held = world.account.balance(instrument.base)
            theirs_qty = (held.free + held.locked) * OURS
            holding = core.portfolio.holdings[index, 0]
            if holding.qty != theirs_qty:
                self._fail(
                    "position differs", f"{instrument.symbol}: ours {holding.qty}, theirs {theirs_qty}"
                )
        for asset, balance in world.account.balances.items():
            ours_total, theirs_total = (
                core.portfolio.purse(asset).total,
                (balance.free + balance.locked) * OURS,
            )
            if ours_total != theirs_total:
                self._fail("balance differs", f"{asset}: ours {ours_total}, theirs {theirs_total}")
