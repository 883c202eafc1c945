"""One order's life in sentences: what it was decided on, what was asked and answered, how it ended."""

from __future__ import annotations

from array import array
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.events import ExecutionReport
from daemon.faces.journal_table import SIDES, VERBS, stamp, wish
from daemon.faces.journal_views import average, decided_price, plus, worth
from daemon.orders.audit import Filled, Moved
from daemon.orders.money import to_text
from daemon.orders.order import State
from daemon.orders.records import Adopted, Asked, Checkpoint, Placed, RefusedAction, Voided
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.orders.retelling import Retelling, Spells
from kernels.dtypes import PLACE, STOP, X_INSTRUMENT, X_SLOT, X_VERB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.orders.audit import Audit
    from daemon.orders.order import Order
    from daemon.orders.records import Record

#: what the venue's words, and their absence, mean
_WORDS = {
    "NEW": "the venue acknowledged it",
    "REJECTED": "the venue rejected it",
    "CANCELED": "the venue canceled it",
    "EXPIRED": "it expired at the venue",
    "REPLACED": "the venue amended it",
    "CANCEL_REJECTED": "the venue refused to cancel it",
    "AMEND_REJECTED": "the venue refused to amend it",
    "TIMEOUT": "the venue gave no answer",
    "NOT_FOUND": "asked about it, the venue did not know it",
}
#: whose word it is not: what never left
_UNSENT = {"REJECTED": "it was", "CANCEL_REJECTED": "its cancel was", "AMEND_REJECTED": "its amend was"}


def story(journal: Iterable[Record], order: str) -> Iterator[tuple[int, str]]:
    """Yield (when, sentence) of an order, oldest first; nothing where the journal does not know it."""
    teller = _Teller(order)
    for record in journal:
        ns = stamp(record)
        for sentence in teller.take(record, ns):
            yield ns, sentence
    yield from teller.end()


class _Teller:
    """Knows one order, and says what each record means for it."""

    def __init__(self, cid: str) -> None:
        self._cid = cid
        self._heard: list[Filled | Moved] = []
        self._telling = Retelling([self._listen])
        self._spells = Spells()
        self._order: Order | None = None
        self._decided_ns = 0
        self._last_ns = 0
        self._notional = 0
        self._slippage: int | None = 0
        self._limit_slippage = 0
        self._traded = 0
        self._fees: dict[str, Decimal] = {}

    def take(self, record: Record, ns: int) -> Iterator[str]:
        """Yield the sentences of a record."""
        refused = self._of_slot(record) if isinstance(record, RefusedAction) else False
        self._heard.clear()
        self._telling.take(record)
        orders = self._telling.orders
        if orders is None:
            return
        self._last_ns = ns or self._last_ns
        if isinstance(record, Checkpoint):
            yield from self._loaded()
            return
        if refused:
            assert isinstance(record, RefusedAction)
            verb = VERBS.get(record.action[X_VERB], "")
            yield f"to {verb} it was refused: {REFUSAL_NAMES.get(record.code, str(record.code))}"
            return
        if not self._is_mine(record):
            return
        self._order = orders.life.find(self._cid)
        order = self._order
        if order is None:
            return
        self._decided_ns = self._decided_ns or order.wire_ns or order.sent_ns
        yield from self._said(record, order)
        yield from self._became(order)

    def end(self) -> Iterator[tuple[int, str]]:
        """Yield what is to be said where the journal ends."""
        order = self._order
        if order is not None and not order.state.terminal:
            left = self._qty(order.leaves_lots, order)
            yield self._last_ns, f"the journal ends here: the order is {order.state.name}, {left} are left"

    def _listen(self, audit: Audit) -> None:
        if (
            isinstance(audit, (Filled, Moved))
            and audit.order is not None
            and audit.order.client_order_id == self._cid
        ):
            self._heard.append(audit)

    def _is_mine(self, record: Record) -> bool:
        if isinstance(record, Placed):
            run = self._telling.run
            return run is not None and f"{run.prefix}-{run.run}-{record.seq}" == self._cid
        if isinstance(record, Adopted):
            return record.order.client_order_id == self._cid
        return isinstance(record, (Asked, ExecutionReport, Voided)) and record.client_order_id == self._cid

    def _of_slot(self, refused: RefusedAction) -> bool:
        """Whether an amend or a cancel that was refused was of the order: then it holds the slot."""
        orders, action = self._telling.orders, refused.action
        if orders is None or action[X_VERB] == PLACE or refused.strategy >= len(orders.desks):
            return False
        held = orders.desks[refused.strategy].orders[action[X_INSTRUMENT]][action[X_SLOT]]
        return held is not None and held.client_order_id == self._cid

    # --- sentences ----------------------------------------------------------------------------------------
    def _said(self, record: Record, order: Order) -> Iterator[str]:
        if isinstance(record, Placed):
            yield from self._decided(record, order)
        elif isinstance(record, Asked):
            amend = record.qty_lots > 0
            what = f"lower it to {self._qty(record.qty_lots, order)}" if amend else "cancel it"
            yield f"the venue was asked to {what}{self._after()}"
        elif isinstance(record, Adopted):
            yield (
                f"found at the venue, unknown to the journal: {self._what(order)}, {order.state.name}, "
                f"{self._qty(order.filled_lots, order)} filled"
            )
        elif isinstance(record, Voided):
            yield "it is not at the venue, by the absence rule"
        elif isinstance(record, ExecutionReport):
            yield self._trade(record, order) if record.kind == "TRADE" else self._word(record, order)

    def _decided(self, placed: Placed, order: Order) -> Iterator[str]:
        orders, run = self._telling.orders, self._telling.run
        assert orders is not None
        assert run is not None
        name = orders.desks[order.strategy].name
        decided = decided_price(order, orders.instruments[order.instrument]) if self._telling.priced else ""
        at = f", the mid at {decided}" if decided and order.kind != STOP else ""
        yield f"strategy {name}, run {run.run}, decided to {self._what(order)} ({wish(placed.action)}){at}"
        yield f"it had seen {_features(placed.row)}"
        yield "risk approved it (what it refuses gets no order id), and it was recorded, to be sent at once"

    def _word(self, report: ExecutionReport, order: Order) -> str:
        if report.unsent:
            return f"{_UNSENT.get(report.kind, 'the question about it was')} {report.reason}{self._after()}"
        if report.kind == "STATUS":
            told = f"asked about it, the venue said {report.status}"
            told += f", {self._qty(report.cum_lots, order)} filled"
        else:
            told = _WORDS.get(report.kind, report.kind)
        if report.kind == "NEW" and report.venue_order_id:
            told += f" as its order {report.venue_order_id}"
        if report.reason or report.code:
            told += f": {report.reason or 'no reason given'}" + (f" ({report.code})" if report.code else "")
        return told + self._after()

    def _trade(self, report: ExecutionReport, order: Order) -> str:
        if not any(isinstance(audit, Filled) for audit in self._heard):
            return "a fill was told again, and is not counted twice"
        value = worth(self._telling, order, report)
        self._notional += value.notional
        self._slippage = plus(self._slippage, value.slippage)
        self._limit_slippage += value.limit_slippage
        self._traded += report.last_lots * self._telling.by[report.instrument].lot
        fee = "no fee"
        if report.commission:
            asset = report.commission_asset
            self._fees[asset] = self._fees.get(asset, Decimal(0)) + report.commission
            fee = f"fee {report.commission:f} {asset}"
        return (
            f"filled {self._qty(report.last_lots, order)} at {self._price(report.last_ticks, order)} as "
            f"{'maker' if report.is_maker else 'taker'}, {self._than(report.last_ticks, order)}, {fee}"
            f"{self._after()}"
        )

    def _became(self, order: Order) -> Iterator[str]:
        """Yield what the record's steps made of the order."""
        for audit in self._heard:
            if not isinstance(audit, Moved):
                continue
            spell = self._spells.moved(audit)
            if audit.after is State.UNKNOWN and audit.before is not State.UNKNOWN:
                yield "so it is UNKNOWN: its worst case stays reserved, and the venue is asked about it"
            elif spell is not None:
                seconds = (spell[1] - spell[0]) / 1e9
                yield f"that resolved the doubt: it is {audit.after.name}, after {seconds:.6f} s UNKNOWN"
            if audit.after.terminal and not audit.before.terminal:
                yield f"it ended {audit.after.name}{self._sum(order)}{self._after()}"

    def _loaded(self) -> Iterator[str]:
        """Yield what a checkpoint means: a new run doubts what was open, and older files may be gone."""
        orders, run = self._telling.orders, self._telling.run
        assert orders is not None
        assert run is not None
        order = orders.life.find(self._cid)
        if order is None:
            return
        before, self._order = self._order, order
        if before is None:
            self._decided_ns = order.wire_ns or order.sent_ns
            yield (
                f"the journal's first word of it, in a checkpoint: {self._what(order)}, {order.state.name}, "
                f"{self._qty(order.filled_lots, order)} filled"
            )
        elif order.state is State.UNKNOWN and before.state is not State.UNKNOWN:
            yield f"the daemon started anew as run {run.run} while it was open, so it is UNKNOWN"
        self._spells.loaded(orders)

    # --- phrases ------------------------------------------------------------------------------------------
    def _what(self, order: Order) -> str:
        orders = self._telling.orders
        assert orders is not None
        symbol = orders.instruments[order.instrument].symbol
        side = SIDES.get(order.side, "trade")
        return (
            f"{side} {self._qty(order.qty_lots, order)} {symbol} at {self._price(order.price_ticks, order)}"
        )

    def _than(self, ticks: int, order: Order) -> str:
        better = order.side * (order.price_ticks - ticks)
        if not better:
            return "at its own price"
        return f"{self._price(abs(better), order)} {'better' if better > 0 else 'worse'} than its price"

    def _sum(self, order: Order) -> str:
        if not self._traded:
            return f", nothing of {self._qty(order.qty_lots, order)} filled"
        told = f", {self._qty(order.filled_lots, order)} of {self._qty(order.qty_lots, order)} filled"
        if not self._telling.priced:
            return told
        orders = self._telling.orders
        assert orders is not None
        one = orders.instruments[order.instrument]
        fees = ", ".join(f"{amount:f} {asset}" for asset, amount in self._fees.items()) or "none"
        slippage = "slippage unknown"
        if self._slippage is not None:
            slippage = f"slippage {to_text(self._slippage)} {one.quote}"
        return (
            f"{told} at {average(self._notional, self._traded, one)} on average, fees {fees}, {slippage}, "
            f"{to_text(self._limit_slippage)} {one.quote} against its price"
        )

    def _after(self) -> str:
        return f", {(self._last_ns - self._decided_ns) / 1e3:,.1f} us after the decision"

    def _qty(self, lots: int, order: Order) -> str:
        orders = self._telling.orders
        assert orders is not None
        one = orders.instruments[order.instrument]
        return one.qty.text(lots) if self._telling.priced else f"{lots} lots"

    def _price(self, ticks: int, order: Order) -> str:
        orders = self._telling.orders
        assert orders is not None
        one = orders.instruments[order.instrument]
        return one.price.text(ticks) if self._telling.priced else f"{ticks} ticks"


def _features(row: bytes) -> str:
    """Return a feature row's names and values; the model's prediction stands in its last column."""
    from kernels.features import FEATURES  # noqa: PLC0415 - numba, needed for one order in a journal

    values = array("d", row)
    if len(values) != len(FEATURES) + 1:
        return f"a row of {len(values)} features, whose names this version does not know: {list(values)}"
    named = list(zip((*FEATURES, "prediction"), values, strict=True))
    told = ", ".join(f"{name} {value:.6g}" for name, value in named if value == value)  # noqa: PLR0124 - not NaN
    missing = ", ".join(name for name, value in named if value != value)  # noqa: PLR0124 - NaN
    return (told or "no feature") + (f"; not ready were {missing}" if missing else "")
