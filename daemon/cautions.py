"""What a person should know of limits and account before trading begins, and whether it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.faces.journal_table import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import FilteringBoundLogger

    from daemon.config import Config
    from daemon.core import Core

_TOO_WIDE: Final = (
    "risk.collar lets orders in {} be {} away from the market, and the exchange rejects what is more than {} "
    "away from its own average or mark price"
)
_UNCOUNTED: Final = (
    "venue.dead_man_s = 0: should this daemon or its line die, what rests at the exchange stays until "
    "somebody cancels it; with 30, say, the exchange does so after as many seconds of silence"
)
_UNPRICED: Final = "no symbol prices {}, so what the account has of it is no part of its value"


def cautions(core: Core, config: Config) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each."""
    collar, venue = config.risk.collar, config.venue
    if config.mode == "live" and config.feed.market == "usdm" and not venue.dead_man_s:
        yield "dead_man", _UNCOUNTED
    if unpriced := core.portfolio.worth.unpriced:
        yield "unpriced", _UNPRICED.format(", ".join(unpriced))
    for one in core.engine.instruments:
        if 0 < one.reference_bound < collar:
            yield "collar", _TOO_WIDE.format(one.symbol, collar, one.reference_bound)


def say_begun(log: FilteringBoundLogger, core: Core) -> None:
    """Log that the daemon is up: that it trades, or is halted since an earlier run, and what ends that."""
    engine = core.engine
    latch, venue = engine.risk.latch, core.orders.venue.name
    symbols = ", ".join(one.symbol for one in engine.instruments)
    if latch is None:
        log.info("ready", symbols=symbols, venue=venue, state=engine.state)
        return
    then = "every position is being closed; tickd resume ends that" if latch.flatten else "tickd resume"
    since = iso(latch.now_ns)
    log.warning("halted", symbols=symbols, venue=venue, since=since, reason=latch.reason, then=then)
