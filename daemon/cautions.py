"""What a person should know of the limits and the account before trading begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core import Core

_TOO_WIDE: Final = (
    "risk.collar lets orders in {} be {} away from the market, and the exchange rejects what is more than {} "
    "away from its own average or mark price"
)
_UNPRICED: Final = "no symbol prices {}, so what the account has of it is no part of its value"


def cautions(core: Core, collar: float) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each."""
    if unpriced := core.portfolio.worth.unpriced:
        yield "unpriced", _UNPRICED.format(", ".join(unpriced))
    for one in core.engine.instruments:
        if 0 < one.reference_bound < collar:
            yield "collar", _TOO_WIDE.format(one.symbol, collar, one.reference_bound)
