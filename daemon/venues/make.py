"""The venue that a configuration asks for."""

from __future__ import annotations

from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import msgspec

from daemon.credentials import find_secret, read_key_file
from daemon.errors import ConfigError
from daemon.net import trust
from daemon.orders.money import UNIT
from daemon.redact import SECRET_LENGTH_MIN, register
from daemon.rehearsal import Rehearsal
from daemon.status import RateLimit
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_replacing import ReplacingBinanceVenue
from daemon.venues.binance_settings import BinanceSettings, UsdmSettings
from daemon.venues.binance_usdm import UsdmVenue
from daemon.venues.hosts import PLACES
from daemon.venues.key_rights import refuse_withdrawals
from daemon.venues.paper import PaperVenue
from daemon.venues.paper_latency import drawn, fixed, folder_of, measured
from daemon.venues.signing import check_encrypted, make_signer
from kernels.matcher import LOG_PROB, LOG_PROB_2, POWER_PROB, POWER_PROB_2, POWER_PROB_3, RISK_ADVERSE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import Config
    from daemon.feeds.snapshots import SnapshotFetcher
    from daemon.instruments import Instrument
    from daemon.orders.portfolio import Portfolio
    from daemon.seams import Disk, Seams
    from daemon.venues.base import LiveVenue, Venue
    from daemon.venues.ccxt_client import CcxtSettings
    from daemon.venues.ccxt_venue import CcxtVenue
    from daemon.venues.signing import Signer


#: paper.queue: hftbacktest's RiskAdverse, LogProb and PowerProb queue models
QUEUES: Final = {
    "risk_adverse": RISK_ADVERSE,
    "log_prob": LOG_PROB,
    "log_prob_2": LOG_PROB_2,
    "power_prob": POWER_PROB,
    "power_prob_2": POWER_PROB_2,
    "power_prob_3": POWER_PROB_3,
}

#: what ccxt signs with; passwords, and names that some exchanges want too, may be short
_KEYS: Final = frozenset({"apiKey", "secret", "privateKey"})


def make_venue(
    config: Config,
    instruments: Sequence[Instrument],
    rings: NDArray[np.void],
    seams: Seams,
    environ: Mapping[str, str],
) -> tuple[Venue, list[PaperVenue]]:
    """Return the venue, and who of it must see the market (the paper venue). Raises ConfigError."""
    if config.venue.kind == "paper":
        paper = make_paper(config, instruments, rings, seams, measure(config, seams.disk))
        return paper, [paper]
    return make_live(config, instruments, seams, environ), []


def make_live(
    config: Config,
    instruments: Sequence[Instrument],
    seams: Seams,
    environ: Mapping[str, str],
    *,
    as_it_is: bool = False,
) -> LiveVenue:
    """Return the venue at the exchange that is configured; raises ConfigError.

    as_it_is: change nothing of how the account is set up, and begin no countdown.
    """
    if config.venue.kind == "ccxt":
        return _ccxt(config, instruments, seams, environ, as_it_is=as_it_is)
    return _binance(config, instruments, seams, environ, as_it_is=as_it_is)


def share_limits(venue: Venue, fetcher: SnapshotFetcher, url: str) -> None:
    """Let orders and the feed's books from `url` share one budget, and either's being told to keep still.

    An exchange limits and bans an address, whatever is asked from it. `url`: any that the feed asks.
    """
    host = urlsplit(url).hostname or ""
    if isinstance(venue, BinanceVenue):
        if host == urlsplit(venue.rest_url).hostname:
            venue.budget.on_block = fetcher.hold
            fetcher.limits = venue.address
    elif not isinstance(venue, PaperVenue):
        from daemon.venues.ccxt_still import share  # noqa: PLC0415 - as in `_ccxt`

        share(cast("CcxtVenue", venue), fetcher, host)


def limits_used(venue: Venue, now_ns: int) -> list[RateLimit]:
    """Return how much of the exchange's limits is used now; nothing of a venue that does not know them."""
    if not isinstance(venue, BinanceVenue):
        return []
    used = venue.budget.used(venue.server.time_ms(now_ns))
    return [RateLimit(name=name, used=count, limit=limit) for name, (count, limit) in used.items()]


def make_rehearsal(
    config: Config,
    instruments: Sequence[Instrument],
    seams: Seams,
    environ: Mapping[str, str],
    written_ns: Callable[[], int],
) -> Rehearsal | None:
    """Return who keeps the order path warm, where that is asked for and orders leave for Binance.

    written_ns() is when the latest order's bytes had left.
    """
    loop, venue = config.loop, config.venue
    if not (loop.spin and loop.rehearse_us) or venue.kind != "binance":
        return None
    signer = _signer(config, seams.disk, environ)
    settings = BinanceSettings(recv_window_ms=venue.recv_window_ms)
    return Rehearsal(instruments[0], signer, settings, seams, loop.rehearse_us * 1000, written_ns)


def check_keys(config: Config, disk: Disk, environ: Mapping[str, str]) -> None:
    """Raise ConfigError where the keys that the venue will need are not there, or are none."""
    if config.venue.kind == "ccxt":
        _credentials(config, disk, environ)
        if find_spec("ccxt") is None:
            raise ConfigError('venue.kind = "ccxt" needs the package ccxt; install it: scripts/setup ccxt')
    elif config.venue.kind != "paper":
        _signer(config, disk, environ)


async def check_key_rights(
    config: Config, venue: Venue, seams: Seams, environ: Mapping[str, str]
) -> list[str]:
    """Return what a person should know of the live key; raises ConfigError for one that may withdraw."""
    if config.mode != "live":
        return []
    if config.venue.kind == "ccxt":
        from daemon.venues import ccxt_rights  # noqa: PLC0415 - as in `_ccxt`

        settings, context = _ccxt_settings(config, seams.disk, environ)
        allowed = config.venue.allow_withdrawals
        return await ccxt_rights.refuse_withdrawals(settings, seams.clock, context, allowed=allowed)
    assert isinstance(venue, BinanceVenue)
    rest, market = venue.rest, config.feed.market
    host, place = urlsplit(config.venue.rest_url).hostname, PLACES["production"]
    if market != "spot" and (host is None or host in place.hosts):  # only Spot tells
        rest = rest.of_spot(place.rest_url)
    return await refuse_withdrawals(rest, config.venue, market)


def measure(config: Config, disk: Disk) -> list[int]:
    """Return the round trips in ns that a paper venue draws its waits from, none: they are fixed.

    Raises ConfigError for a journal that tells too few.
    """
    journal = folder_of(config.paper.latency)
    return [] if journal is None else measured(disk, journal)


def make_paper(
    config: Config,
    instruments: Sequence[Instrument],
    rings: NDArray[np.void],
    seams: Seams,
    round_trips_ns: Sequence[int],
) -> PaperVenue:
    """Return a paper venue as configured, that reads the feed's `rings`; `round_trips_ns`: of `measure`."""
    paper = config.paper
    there_back_ns = paper.latency_in_us * 1000, paper.latency_out_us * 1000
    return PaperVenue(
        instruments,
        rings,
        seams.clock,
        seams.scheduler,
        balances=paper.balances,
        fee_maker=paper.fee_maker,
        fee_taker=paper.fee_taker,
        delays=drawn(round_trips_ns) if round_trips_ns else fixed(*there_back_ns),
        queue=(QUEUES[paper.queue], paper.queue_power),
        round_trips_ns=round_trips_ns,
    )


def restore_paper(venue: PaperVenue, portfolio: Portfolio) -> None:
    """Give a paper account what the journal says it ended with; without one it keeps what is configured.

    There is no venue that remembers: a paper account that began anew would contradict its own strategies.
    """
    free = {asset: Decimal(purse.total) / UNIT for asset, purse in portfolio.purses.items()}
    if not any(free.values()):
        return
    lots = [0] * len(portfolio.instruments)
    costs = [Decimal(0)] * len(portfolio.instruments)
    places = {desk.index: desk.instruments for desk in portfolio.desks}
    for (desk, row), holding in portfolio.holdings.items():
        instrument = portfolio.instruments[places[desk][row]]
        if not instrument.spot:
            lots[instrument.index] += round(Decimal(holding.qty) / UNIT / instrument.lot_size)
            costs[instrument.index] += Decimal(holding.cost) / UNIT
    venue.account.restore(free, lots, costs)


def _binance(
    config: Config,
    instruments: Sequence[Instrument],
    seams: Seams,
    environ: Mapping[str, str],
    *,
    as_it_is: bool,
) -> BinanceVenue:
    venue, signer = config.venue, _signer(config, seams.disk, environ)
    usdm = UsdmSettings(
        recv_window_ms=venue.recv_window_ms,
        timeout_ms=venue.timeout_ms,
        backoff_s_max=venue.backoff_s_max,
        leverage=venue.leverage,
        margin=venue.margin,
        position_notional_max=config.risk.position_notional_max,
        as_it_is=as_it_is,
        countdown_ms=0 if as_it_is else venue.dead_man_s * 1000,
    )
    spot = BinanceSettings(
        recv_window_ms=venue.recv_window_ms,
        timeout_ms=venue.timeout_ms,
        backoff_s_max=venue.backoff_s_max,
    )
    urls = {name: url for name in ("ws_url", "rest_url", "stream_url") if (url := getattr(venue, name))}
    if venue.environment != "production" and config.feed.market == "spot":
        place = PLACES[venue.environment]
        urls = {"ws_url": place.ws_url, "rest_url": place.rest_url} | urls
    if config.feed.market == "usdm":
        return UsdmVenue(instruments, signer, msgspec.structs.replace(usdm, **urls), seams)
    urls.pop("stream_url", None)
    kind = ReplacingBinanceVenue if venue.replace else BinanceVenue
    return kind(instruments, signer, msgspec.structs.replace(spot, **urls), seams)


def _ccxt(
    config: Config,
    instruments: Sequence[Instrument],
    seams: Seams,
    environ: Mapping[str, str],
    *,
    as_it_is: bool,
) -> CcxtVenue:
    """Return a venue on ccxt, which is imported here: it takes a second and 100 MB."""
    from daemon.venues.ccxt_venue import CcxtVenue  # noqa: PLC0415 - see above

    settings, context = _ccxt_settings(config, seams.disk, environ)
    if as_it_is:
        settings = msgspec.structs.replace(settings, countdown_ms=0)
    return CcxtVenue(instruments, settings, seams, context)


def _ccxt_settings(
    config: Config, disk: Disk, environ: Mapping[str, str]
) -> tuple[CcxtSettings, ssl.SSLContext | None]:
    """Return how the exchange is reached, and by what its certificates are verified."""
    from daemon.venues.ccxt_client import CcxtSettings  # noqa: PLC0415 - as above

    venue = config.venue
    for url in (venue.rest_url, venue.ws_url):
        if url:
            check_encrypted(url)
    settings = CcxtSettings(
        exchange=venue.exchange,
        name=config.name,
        credentials=_credentials(config, disk, environ),
        form=venue.form,
        rest_url=venue.rest_url,
        ws_url=venue.ws_url,
        hosts=venue.hosts,
        proxy=venue.proxy,
        post_only=venue.post_only,
        stops=venue.stops,
        recv_window_ms=venue.recv_window_ms,
        timeout_ms=venue.timeout_ms,
        backoff_s_max=venue.backoff_s_max,
        countdown_ms=venue.dead_man_s * 1000,
    )
    return settings, trust(venue.ca_file) if venue.ca_file else None


def _credentials(config: Config, disk: Disk, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what ccxt signs with, which is never shown."""
    venue = config.venue
    names = venue.credentials or {"apiKey": venue.key_env, "secret": venue.secret_env}
    found = {
        what: (_key if what in _KEYS else _secret)(config, disk, environ, name)
        for what, name in names.items()
    }
    third = "" if venue.credentials else venue.password_env
    if third and (password := find_secret(environ, disk, third, config.keyring)):
        found["password"] = password
    for secret in found.values():
        register(secret, word=True)
    return found


def _signer(config: Config, disk: Disk, environ: Mapping[str, str]) -> Signer:
    venue = config.venue
    api_key = _key(config, disk, environ, venue.key_env)
    if venue.private_key_file:
        secret = read_key_file(disk, Path(venue.private_key_file), "venue.private_key_file")
    else:
        secret = _key(config, disk, environ, venue.secret_env)
    return make_signer(venue.key_type, api_key, secret)


def _key(config: Config, disk: Disk, environ: Mapping[str, str], name: str) -> str:
    """Return what requests are signed with; raises ConfigError for what is none."""
    value = _secret(config, disk, environ, name)
    if len(value) < SECRET_LENGTH_MIN:
        raise ConfigError(
            f"what {name} holds is no key of an exchange: it has fewer than {SECRET_LENGTH_MIN} characters, "
            "and could not be masked; check where it was copied from"
        )
    return value


def _secret(config: Config, disk: Disk, environ: Mapping[str, str], name: str) -> str:
    value = find_secret(environ, disk, name, config.keyring)
    if not value and config.keyring:
        raise ConfigError(
            f"neither the environment variable {name} nor the keyring has the venue's key; put it there: "
            f"keyring set {config.keyring} {name}"
        )
    if not value:
        raise ConfigError(
            f"neither a systemd credential nor the environment variable {name} has the venue's key; "
            "put it there"
        )
    return value
