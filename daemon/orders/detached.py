"""What strategies have left that are not configured any more: it is told, or no start is made with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import ConfigError
from daemon.orders.closing import lots_of
from daemon.orders.money import to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders


def left_behind(orders: Orders) -> list[str]:
    """Return a sentence for each position, and its open orders, that no strategy minds any more."""
    told = []
    for desk, row, instrument in _rows(orders):
        held = orders.portfolio.holdings[desk.index, row]
        what = []
        if lots_of(instrument, held.qty_float):
            what.append(f"{to_text(held.qty)} {instrument.base}")
        count = sum((one.strategy, one.row) == (desk.index, row) for one in orders.life.open.values())
        if count:
            what.append(f"{count} open order{'s' if count > 1 else ''}")
        if what:
            told.append(
                f"nobody minds {' and '.join(what)} of {desk.name} in {instrument.symbol}: no strategy of "
                "that name trades it now; configure one, or flatten"
            )
    return told


def refuse_netted(orders: Orders) -> None:
    """Raise ConfigError where a strategy would trade against what another one, gone by now, has left.

    A derivative's exchange nets the two, so what either holds could not be closed by itself.
    """
    for desk, row, instrument in _rows(orders):
        held = orders.portfolio.holdings[desk.index, row].qty
        heirs = [one.name for one in orders.desks if not one.detached and instrument.index in one.instruments]
        if held and heirs and not instrument.spot:
            raise ConfigError(
                f"the journal's strategy {desk.name} holds {to_text(held)} {instrument.base} of "
                f"{instrument.symbol}, which {heirs[0]} trades now, and the exchange nets what two hold: "
                f"start with {desk.name} until nothing is open, or close it by `tickd flatten --direct`"
            )


def _rows(orders: Orders) -> Iterator[tuple[Desk, int, Instrument]]:
    for desk in orders.desks:
        if desk.detached:
            for row, index in enumerate(desk.instruments):
                yield desk, row, orders.instruments[index]
