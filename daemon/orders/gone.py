"""Symbols that are gone from the configuration, or from their exchange, and steps that an exchange has left.

One that the configuration lacks is forgotten where nothing is open in it. Only the whole record tells: it is
told again with the instruments it was made with (daemon/orders/retelling.py), and the start goes on from the
state at its end, less what is settled. One that its exchange lists no more stays as the journal remembers it,
and nothing is sent or asked for it: what else is traded goes on. Where an exchange counts in other ticks or
lots than when the journal was written, the record is told again in those of then, and the orders at its end
are counted anew; what is held is not counted in steps.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from daemon.errors import JournalError
from daemon.instruments import NOT_LISTED
from daemon.orders.checkpoint import save
from daemon.orders.closing import lots_of
from daemon.orders.money import UNIT
from daemon.orders.order import State
from daemon.orders.reader import last_run
from daemon.orders.records import Checkpoint, CommandTaken, Run
from daemon.orders.retelling import Retelling, instruments_of
from kernels.dtypes import BUY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from daemon.instruments import Instrument
    from daemon.orders.manager import Orders
    from daemon.orders.order import Order
    from daemon.orders.reader import History
    from daemon.seams import Disk


def remembered(disk: Disk, folder: Path) -> dict[str, Instrument]:
    """Return by symbol what the journal's last run traded, for want of an exchange that lists it."""
    try:
        run = last_run(disk, folder)
    except (JournalError, OSError):  # who opens it for good says what is wrong with it
        return {}
    if run is None or len(run.steps) != len(run.instruments):
        return {}
    return {one.symbol: msgspec.structs.replace(one, status=NOT_LISTED) for one in instruments_of(run)}


def without_gone(history: History, orders: Orders) -> History:
    """Return the history for an order side that lacks some of its symbols, or counts one in other steps.

    It is the same where it does neither. A position in one that it lacks, from a lot on, or an open order
    stays, and the recovery refuses it; so it does all of an older version's journal, which did not record the
    steps that lots are counted in.
    """
    here = {one.symbol: one for one in orders.instruments}
    runs = [record for record in history.records if isinstance(record, Run)]
    if all(_counts_alike(run, here) for run in runs):
        return history
    begun = _begun(history)
    if not all(len(run.steps) == len(run.instruments) for run in begun):
        return history
    telling = Retelling([], orders.portfolio.worth.reporting)
    for record in history.records:
        if not isinstance(record, Run) or record in begun:
            telling.take(record)
    last = telling.orders
    if last is None:
        return history
    names = [one.symbol for one in last.instruments]
    gone = {index for index, symbol in enumerate(names) if symbol not in here}
    run = msgspec.structs.replace(
        runs[-1],
        instruments=names,
        steps=[(str(one.tick_size), str(one.lot_size)) for one in last.instruments],
        strategies=[(desk.name, [names[index] for index in desk.instruments]) for desk in last.desks],
    )
    saved = _recounted(_settled(last, gone), last.instruments, here)
    stops = [one for one in history.records if isinstance(one, CommandTaken) and one.command.verb == "stop"]
    return history._replace(records=[run, saved, *stops[-1:]])


def _counts_alike(run: Run, here: Mapping[str, Instrument]) -> bool:
    """Whether all that a run traded is here, in the same steps; an older version recorded none."""
    if not here.keys() >= set(run.instruments):
        return False
    return all(
        (Decimal(tick), Decimal(lot)) == (here[symbol].tick_size, here[symbol].lot_size)
        for symbol, (tick, lot) in zip(run.instruments, run.steps, strict=False)
    )


def _begun(history: History) -> list[Run]:
    """Return the runs that have a checkpoint: one whose was torn began nothing."""
    return [
        run
        for run, after in pairwise(history.records)
        if isinstance(run, Run) and isinstance(after, Checkpoint)
    ]


def _settled(orders: Orders, gone: Collection[int]) -> Checkpoint:
    """Return the state without what is over in the instruments that are gone."""
    saved = save(orders)
    rows = {
        (desk.index, row): orders.instruments[index]
        for desk in orders.desks
        for row, index in enumerate(desk.instruments)
        if index in gone
    }
    over = {o.client_order_id for o in saved.orders if o.instrument in gone and o.state >= State.FILLED}
    return msgspec.structs.replace(
        saved,
        orders=[order for order in saved.orders if order.client_order_id not in over],
        owed=[owed for owed in saved.owed if owed.client_order_id not in over],
        holdings=[
            one
            for one in saved.holdings
            if (one.strategy, one.row) not in rows
            or lots_of(rows[one.strategy, one.row], int(one.qty) / UNIT)
        ],
        trades=[(-1, []) if index in gone else ids for index, ids in enumerate(saved.trades)],
        unvalued=[one for one in saved.unvalued if one[:2] not in rows],
    )


def _recounted(saved: Checkpoint, were: Sequence[Instrument], here: Mapping[str, Instrument]) -> Checkpoint:
    """Return the state with its orders counted in the steps of now, where those are others."""
    changed = {
        was.index: (was, now)
        for was in were
        if (now := here.get(was.symbol)) and (now.tick_size, now.lot_size) != (was.tick_size, was.lot_size)
    }
    owed = {one.client_order_id: one for one in saved.owed}
    for order in saved.orders:
        if order.instrument in changed:
            was, now = changed[order.instrument]
            _recount(order, was, now)
            if (one := owed.get(order.client_order_id)) is not None:
                lots = _count(one.cum_lots, was.lot_size, now.lot_size, ROUND_CEILING)
                owed[order.client_order_id] = msgspec.structs.replace(one, cum_lots=lots)
    return msgspec.structs.replace(saved, owed=list(owed.values()))


def _recount(order: Order, was: Instrument, now: Instrument) -> None:
    """Count an order in other steps; what is no whole count of them is taken for the worse."""
    worse = ROUND_CEILING if order.side == BUY else ROUND_FLOOR
    order.price_ticks = _count(order.price_ticks, was.tick_size, now.tick_size, worse)
    order.decided_half_ticks = _count(order.decided_half_ticks, was.tick_size, now.tick_size, worse)
    order.qty_lots = _count(order.qty_lots, was.lot_size, now.lot_size, ROUND_CEILING)
    order.asked_lots = _count(order.asked_lots, was.lot_size, now.lot_size, ROUND_CEILING)
    order.filled_lots = _count(order.filled_lots, was.lot_size, now.lot_size, ROUND_FLOOR)


def _count(count: int, was: Decimal, now: Decimal, rounding: str) -> int:
    """Return how many steps of now so many of then are."""
    return int((count * was / now).to_integral_value(rounding))
