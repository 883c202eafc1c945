"""Which of an exchange's listed instruments are the configured ones."""

from __future__ import annotations

import difflib
from decimal import InvalidOperation
from typing import TYPE_CHECKING, TypeVar

import msgspec

from daemon.errors import ConfigError, NetError
from daemon.instruments import unify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.instruments import Instrument, Market

_Listed = TypeVar("_Listed")


def pick_instruments(
    exchange: str,
    market: Market,
    symbols: Sequence[str],
    listed: Mapping[str, _Listed],
    name_of: Callable[[str], str],
    make: Callable[[int, _Listed], Instrument],
    remembered: Mapping[str, Instrument],
) -> list[Instrument]:
    """Return the instruments in the order of `symbols`, indices from 0.

    listed: what the exchange tells of each, by the name that `name_of(symbol)` gives.
    Raises ConfigError for a symbol that is not listed and not `remembered` by its unified name, and NetError
    where the rules of one are no numbers.
    """
    found = []
    for index, symbol in enumerate(symbols):
        name = name_of(symbol)
        if name not in listed:
            if kept := remembered.get(unify(symbol, market)):
                found.append(msgspec.structs.replace(kept, index=index, exchange=exchange))
                continue
            near = difflib.get_close_matches(name, listed, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{exchange} {market} lists no {unify(symbol, market)}{hint}")
        try:
            found.append(make(index, listed[name]))
        except InvalidOperation:
            raise NetError(f"{exchange} {market} tells rules of {name} that are no numbers") from None
    return found
