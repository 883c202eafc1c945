"""Symbols that are gone from the configuration, or from their exchange, and what the journal has of them.

One that the configuration lacks is forgotten where nothing is open in it. Only the whole record tells: it is
told again with the instruments it was made with (daemon/orders/retelling.py), and the start goes on from the
state at its end, less what is settled. One that its exchange lists no more stays as the journal remembers it,
and nothing is sent or asked for it: what else is traded goes on.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from daemon.instruments import Instrument
    from daemon.orders.manager import Orders
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
    """Return the history for an order side that lacks some of its symbols; the same where it lacks none.

    A position in one of them, from a lot on, or an open order stays, and the recovery refuses it; so it does
    all of an older version's journal, which did not record the steps that lots are counted in.
    """
    here = {one.symbol for one in orders.instruments}
    runs = [record for record in history.records if isinstance(record, Run)]
    if all(here.issuperset(run.instruments) for run in runs):
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
    stops = [one for one in history.records if isinstance(one, CommandTaken) and one.command.verb == "stop"]
    return history._replace(records=[run, _settled(last, gone), *stops[-1:]])


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
