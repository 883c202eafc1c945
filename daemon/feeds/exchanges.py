"""The exchanges a feed can come from, by the name that stands in the configuration; others through ccxt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from daemon.config_checks import PREFIX
from daemon.errors import ConfigError, NetError
from daemon.feeds.binance_rest import Binance
from daemon.feeds.bybit_rest import Bybit
from daemon.feeds.ccxt_rest import CcxtExchange
from daemon.feeds.coinbase_rest import Coinbase
from daemon.feeds.kraken_rest import Kraken
from daemon.feeds.okx_rest import Okx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from daemon.config import FeedConfig
    from daemon.feeds.base import Exchange
    from daemon.instruments import Instrument, Market
    from daemon.seams import Response

EXCHANGES: Final[dict[str, Exchange]] = {
    "binance": Binance(),
    "bybit": Bybit(),
    "coinbase": Coinbase(),
    "kraken": Kraken(),
    "okx": Okx(),
}


class Asks(Protocol):
    """Who makes HTTP requests: a Net, or one that is patient."""

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one; raises NetError."""


_TIMEOUT_S: Final = 20.0
_INVALID_SYMBOL: Final = b"-1121"


def find_exchange(name: str, market: Market) -> Exchange:
    """Return the exchange of this name; raises ConfigError where there is none, or not with this market."""
    exchange = CcxtExchange(name) if name.startswith(PREFIX) else EXCHANGES.get(name)
    if exchange is None:
        known = ", ".join(EXCHANGES)
        raise ConfigError(f"feed.exchange {name!r} is not supported; there is {known}, and {PREFIX}NAME")
    if market not in exchange.markets:
        known = ", ".join(exchange.markets)
        raise ConfigError(f"feed.market {market!r} of {name} is not supported; there is {known}")
    return exchange


async def fetch_instruments(
    exchange: Exchange,
    net: Asks,
    market: Market,
    symbols: Sequence[str],
    base_url: str = "",
    remembered: Callable[[], Mapping[str, Instrument]] = dict,
) -> list[Instrument]:
    """Ask the exchange for the rules of these symbols; raises NetError or ConfigError, one sentence each.

    remembered(): by symbol, what to take for those that it lists no more.
    """
    url = exchange.instruments_url(market, symbols, base_url)
    answer = await net.request("GET", url, {}, b"", _TIMEOUT_S)
    if answer.status != 200 and _INVALID_SYMBOL in answer.body and remembered():  # it does not say which
        url = exchange.instruments_url(market, (), base_url)
        answer = await net.request("GET", url, {}, b"", _TIMEOUT_S)
    if answer.status != 200:
        said = answer.body[:200].decode(errors="replace")
        asked = ", ".join(symbols)
        if _INVALID_SYMBOL in answer.body:
            raise ConfigError(f"{exchange.name} {market} does not list {asked}; correct feed.symbols")
        raise NetError(
            f"{exchange.name} {market} refused the rules of {asked} (HTTP {answer.status}): {said}",
            answer.status,
        )
    try:
        return exchange.instruments(market, symbols, answer.body)
    except ConfigError:
        if not (kept := remembered()):
            raise
        return exchange.instruments(market, symbols, answer.body, kept)


async def ask_instruments(
    exchange: Exchange,
    get: Callable[[str], Awaitable[bytes | None]],
    feed: FeedConfig,
    instruments: Sequence[Instrument],
) -> list[Instrument] | None:
    """Return the rules as they are by now, None where `get` brings none; raises as `fetch_instruments`.

    Of `instruments`, those that were not listed at the start are not asked about, and stay as they are.
    """
    listed = [one.symbol for one in instruments if one.listed]
    if not listed:
        return None
    body = await get(exchange.instruments_url(feed.market, listed, feed.rest_url))
    kept = {one.symbol: one for one in instruments if not one.listed}
    return None if body is None else exchange.instruments(feed.market, feed.symbols, body, kept)
