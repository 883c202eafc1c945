"""Which hosts a venue's keys may reach: those of its environment, this machine's, and those that are named.

A key tells nobody which environment it is of. So the configuration says it, the variables that hold keys are
named apart, and a host of the other environment is refused before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from daemon.errors import ConfigError
from daemon.proxy import parse_proxy

if TYPE_CHECKING:
    from daemon.config import Config, FeedConfig, VenueConfig

Environment = Literal["production", "testnet"]

#: this machine's: simulated exchanges, gateways of one's own
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Place(NamedTuple):
    """An environment of Binance: Spot's addresses in it, and every host that Spot and USD-M answer on."""

    ws_url: str
    rest_url: str
    hosts: tuple[str, ...]


PLACES: Final[dict[Environment, Place]] = {
    "production": Place(
        "wss://ws-api.binance.com:443/ws-api/v3",
        "https://api.binance.com",
        (
            "ws-api.binance.com",
            "api.binance.com",
            "api-gcp.binance.com",
            *(f"api{number}.binance.com" for number in range(1, 5)),
            "ws-fapi.binance.com",
            "fapi.binance.com",
            "fstream.binance.com",
        ),
    ),
    "testnet": Place(
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "https://testnet.binance.vision",
        (
            "ws-api.testnet.binance.vision",
            "testnet.binance.vision",
            "api1.testnet.binance.vision",
            "testnet.binancefuture.com",
            "stream.binancefuture.com",
            "fstream.binancefuture.com",
            "demo-fapi.binance.com",
        ),
    ),
}
#: where a testnet tells its prices
_TEST_PRICES: Final = (*PLACES["testnet"].hosts, "stream.testnet.binance.vision")
#: where production's keys are looked for; those of a testnet must have other names
_PRODUCTION_NAMES: Final = ("TICKD_KEY", "TICKD_SECRET")


def venue_hosts(config: Config) -> tuple[str, ...]:
    """Return every host that the venue's connections may reach, its proxy too."""
    if config.mode == "demo":
        return LOOPBACK
    venue = config.venue
    proxy = (parse_proxy(venue.proxy).host,) if venue.proxy else ()
    return (*PLACES[venue.environment].hosts, *LOOPBACK, *venue.hosts, *proxy)


def check_environment(config: Config) -> None:
    """Raise ConfigError where live keys could reach a host of another environment, or go by its prices."""
    venue = config.venue
    if config.mode != "live":
        return
    allowed = venue_hosts(config)
    for key in ("ws_url", "rest_url", "stream_url"):
        url = getattr(venue, key)
        if not url and venue.environment != "production" and config.feed.market == "usdm":
            raise ConfigError(f"venue.{key} is empty: the addresses of USD-M's testnet have to be named")
        host = urlsplit(url).hostname or ""
        if url and host not in allowed:
            other = next((name for name, place in PLACES.items() if host in place.hosts), "")
            raise ConfigError(
                f"venue.{key}: host {host} is {other}'s, and venue.environment is {venue.environment!r}"
                if other
                else f"venue.{key}: host {host or url!r} is not known of {venue.environment}; name it in "
                "venue.hosts if its owner may see the key"
            )
    if venue.environment != "production":
        _refuse_production_names(venue)
    else:
        _refuse_test_prices(config.feed, venue)


def _refuse_test_prices(feed: FeedConfig, venue: VenueConfig) -> None:
    """Raise ConfigError where prices that are nobody's would decide on real orders, and bound them."""
    real = PLACES["production"].hosts
    if any(url and urlsplit(url).hostname not in real for url in (venue.ws_url, venue.rest_url)):
        return  # a simulated exchange, or whatever its owner has named
    for key in ("ws_url", "rest_url"):
        host = urlsplit(getattr(feed, key)).hostname
        if host in _TEST_PRICES:
            raise ConfigError(
                f"feed.{key}: {host} tells a testnet's prices, and venue.environment = 'production' sends "
                f"real orders: leave feed.{key} out, or send them to the testnet too"
            )


def _refuse_production_names(venue: VenueConfig) -> None:
    for key in ("key_env", "secret_env"):
        name = getattr(venue, key)
        if name in _PRODUCTION_NAMES and not (key == "secret_env" and venue.private_key_file):
            raise ConfigError(
                f"venue.{key}: {name} holds production's key; with venue.environment = "
                f"{venue.environment!r} name another, such as {name.replace('TICKD', 'TICKD_TESTNET')}"
            )
