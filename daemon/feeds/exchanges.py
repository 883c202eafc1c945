"""The exchanges a feed can come from, by the name that stands in the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError, NetError
from daemon.feeds.binance_rest import Binance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.config import FeedConfig
    from daemon.feeds.base import Exchange
    from daemon.instruments import Instrument, Market
    from daemon.seams import Net

EXCHANGES: Final[dict[str, Exchange]] = {
    "binance": Binance(),
}

_TIMEOUT_S: Final = 20.0


def find_exchange(name: str) -> Exchange:
    """Return the exchange of this name; raises ConfigError."""
    try:
        return EXCHANGES[name]
    except KeyError:
        known = ", ".join(EXCHANGES)
        raise ConfigError(f"feed.exchange {name!r} is not supported; there is {known}") from None


async def fetch_instruments(
    exchange: Exchange, net: Net, market: Market, symbols: Sequence[str], base_url: str = ""
) -> list[Instrument]:
    """Ask the exchange for the rules of these symbols; raises NetError or ConfigError, one sentence each."""
    url = exchange.instruments_url(market, symbols, base_url)
    answer = await net.request("GET", url, {}, b"", _TIMEOUT_S)
    if answer.status != 200:
        said = answer.body[:200].decode(errors="replace")
        asked = ", ".join(symbols)
        if b"-1121" in answer.body:  # invalid symbol
            raise ConfigError(f"{exchange.name} {market} does not list {asked}; correct feed.symbols")
        raise NetError(
            f"{exchange.name} {market} refused the rules of {asked} (HTTP {answer.status}): {said}"
        )
    return exchange.instruments(market, symbols, answer.body)


async def ask_instruments(
    exchange: Exchange, get: Callable[[str], Awaitable[bytes | None]], feed: FeedConfig
) -> list[Instrument] | None:
    """Return the rules as they are by now, None where `get` brings none; raises as `fetch_instruments`."""
    body = await get(exchange.instruments_url(feed.market, feed.symbols, feed.rest_url))
    return None if body is None else exchange.instruments(feed.market, feed.symbols, body)
