"""What a configuration's types cannot say: which of its values go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.config import Config, StrategyConfig


def check_market(config: Config, strategies: Sequence[StrategyConfig], source: str) -> None:
    """Refuse what cannot be traded live on the feed's market."""
    market, venue = config.feed.market, config.venue
    if market == "coinm":
        raise ConfigError(f'{source}: orders can be sent for feed.market = "spot" or "usdm", not "coinm"')
    if market == "spot":
        if (venue.leverage, venue.margin, venue.dead_man_s, venue.stream_url) != (1, "cross", 0, ""):
            names = "venue.leverage, margin, dead_man_s and stream_url"
            raise ConfigError(f'{source}: {names} are of feed.market = "usdm"; leave them out')
        return
    if config.loop.rehearse_us:
        raise ConfigError(f'{source}: loop.rehearse_us walks the way of spot orders; leave it out for "usdm"')
    least_s = max(
        5, len(config.feed.symbols) * 3 // 2
    )  # each symbol is told three times in that, at weight 10
    if 0 < venue.dead_man_s < least_s:
        raise ConfigError(f"{source}: venue.dead_man_s must be at least {least_s} for so many symbols, or 0")
    owned = [symbol for one in strategies for symbol in one.symbols]
    for symbol in owned:
        if owned.count(symbol) > 1:  # the account nets what they hold, and so what each has made
            raise ConfigError(
                f"{source}: two strategies cannot share {symbol}, of which there is one position"
            )


def check_currency(currency: str, symbols: Iterable[str]) -> None:
    """Refuse a currency in which the account cannot be valued."""
    known = sorted({asset for symbol in symbols for asset in symbol.partition(":")[0].split("/")})
    if currency and currency not in known:
        raise ConfigError(
            f"risk.currency is {currency!r}, which no symbol prices; it can be {', '.join(known)}"
        )
