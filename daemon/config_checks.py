"""What a configuration's types cannot say: which of its values go together."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from daemon.errors import ConfigError
from daemon.instruments import assets_of
from daemon.venues.ccxt_exchanges import ExchangeForm, check_countdown, find_form
from daemon.venues.hosts import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.config import (
        Config,
        FeedConfig,
        Mode,
        PaperConfig,
        StrategyConfig,
        VenueConfig,
    )
    from daemon.config_sinks import MqttConfig

#: what stands before ccxt's name of an exchange whose feed is ccxt's
PREFIX: Final = "ccxt:"
#: an order through ccxt may leave so late; it is taken for absent later still (daemon/orders/doubts.py)
_CCXT_TIMEOUT_MS_MAX: Final = 10_000
_BALANCE_MAX: Final = Decimal(10**15)
_FEE_MAX: Final = Decimal("0.1")


#: an exchange that has a feed here, or any of ccxt's (daemon/feeds/ccxt_rest.py)
Source = Annotated[
    str,
    Meta(
        pattern=r"^(binance|bybit|okx|kraken|coinbase|ccxt:[a-z0-9]+)$",
        description="binance, bybit, okx, kraken, coinbase, or ccxt:NAME by ccxt's name of another",
    ),
]

#: of the broker; an address of IPv6 has colons, a port has a key of its own
Host = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9:][A-Za-z0-9.:_-]{0,252})?\Z",
        description="the name or address of a host alone: letters, digits, '.', ':', '_' and '-'",
    ),
]
#: neither a wildcard nor '$' nor an empty level: what is told stays below it, and nothing else does
Topic = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,31}){0,3}\Z",
        description="one to four levels with '/' between, each 1 to 32 of A-Z, a-z, 0-9, '_', '.' and '-', "
        "beginning with a letter or digit",
    ),
]
ClientId = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z", description="at most 64 of A-Z, a-z, 0-9, '_' and '-'"),
]

#: of what holds a secret: an address or a key that stands here by mistake would be shown as a name is
SecretName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]{0,64}\Z",
        description="the name of a secret, and not the secret: at most 64 of A-Z, a-z, 0-9, '_', '.' and '-'",
    ),
]


def check_market(config: Config, strategies: Sequence[StrategyConfig], source: str) -> None:
    """Refuse what cannot be traded live on the feed's market."""
    market, venue = config.feed.market, config.venue
    if venue.kind == "binance" and config.feed.exchange != "binance":
        raise ConfigError(
            f'{source}: venue.kind = "binance" trades what feed.exchange = "binance" shows; '
            f'for {config.feed.exchange} name venue.kind = "ccxt"'
        )
    if market == "coinm":
        raise ConfigError(f'{source}: orders can be sent for feed.market = "spot" or "usdm", not "coinm"')
    if market != "spot" and venue.kind == "ccxt":
        raise ConfigError(f'{source}: venue.kind = "ccxt" trades feed.market = "spot" only, not {market!r}')
    for number, one in enumerate(strategies):
        quotes = sorted({assets_of(symbol)[1] for symbol in one.symbols})
        if len(quotes) > 1:
            raise ConfigError(
                f"{source}: strategy[{number}] trades in {' and '.join(quotes)}, and would know what is free "
                "of one alone; give each quote a strategy of its own"
            )
    if market == "spot":
        counts = venue.dead_man_s and venue.kind != "ccxt"
        if counts or (venue.leverage, venue.margin, venue.stream_url) != (1, "cross", ""):
            names = "venue.leverage, margin, dead_man_s and stream_url"
            raise ConfigError(f'{source}: {names} are of feed.market = "usdm"; leave them out')
        return
    if venue.margin == "isolated" and 1 / venue.leverage <= config.risk.liquidation_distance_min:
        raise ConfigError(
            f"{source}: at venue.leverage = {venue.leverage} an isolated position is liquidated sooner than "
            f"risk.liquidation_distance_min = {config.risk.liquidation_distance_min:g} permits; lower either"
        )
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


def complete_venue(config: Config, source: str) -> VenueConfig:
    """Return the section with what follows from the others; raises ConfigError."""
    venue = config.venue
    least_s = absence_s_min(venue)
    simulated = urlsplit(venue.ws_url).hostname in LOOPBACK or config.mode != "live"
    if 0 < venue.absence_s < least_s and not simulated:
        raise ConfigError(
            f"{source}: venue.absence_s is {venue.absence_s:g}, and must be at least {least_s:g} with this "
            "venue.recv_window_ms, or an order could still trade that was taken for absent"
        )
    if venue.kind == "ccxt":
        if venue.key_type != "hmac" or venue.private_key_file:
            raise ConfigError(f'{source}: venue.kind = "ccxt" takes keys of key_type = "hmac" only')
        if venue.transport != "picows":
            raise ConfigError(
                f'{source}: venue.kind = "ccxt" has a transport of its own; leave venue.transport out'
            )
        if venue.environment != "production":
            raise ConfigError(f'{source}: venue.environment is of venue.kind = "binance"; leave it out')
        if venue.timeout_ms > _CCXT_TIMEOUT_MS_MAX:
            raise ConfigError(
                f"{source}: venue.timeout_ms is {venue.timeout_ms}, on ccxt {_CCXT_TIMEOUT_MS_MAX} at most"
            )
        exchange = venue.exchange or config.feed.exchange.removeprefix(PREFIX)
        try:
            form = find_form(exchange, config.name, venue.form, post_only=venue.post_only)
            check_countdown(exchange, venue.dead_man_s, stops=venue.stops)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        return msgspec.structs.replace(venue, exchange=exchange, form=form)
    if venue.kind != "paper":  # which takes what was written for real orders
        for key, without in (("exchange", ""), ("form", ExchangeForm()), ("credentials", {})):
            if getattr(venue, key) != without:
                raise ConfigError(f'{source}: venue.{key} is of venue.kind = "ccxt" only')
    return venue


def check_lines(feed: FeedConfig, venue: VenueConfig, source: str) -> None:
    """Refuse what a transport cannot do."""
    if feed.exchange.startswith(PREFIX) and feed.transport != "picows":
        raise ConfigError(f"{source}: {feed.exchange} has a transport of its own; leave feed.transport out")
    for section, line in (("feed", feed), ("venue", venue)):
        if line.compress and line.transport == "picows":
            raise ConfigError(
                f'{source}: {section}.compress needs {section}.transport = "websockets", picows has none'
            )


def absence_s_min(venue: VenueConfig) -> float:
    """Return after how long an order that was never heard of can trade no more.

    Its receive window, 10 s that queries lag behind, and one for two clocks apart.
    """
    return max(60.0, venue.recv_window_ms / 1000 + 11)


def check_paper(paper: PaperConfig, source: str) -> None:
    """Refuse fees and balances that can only be a slip."""
    for key in ("fee_maker", "fee_taker"):
        fee = getattr(paper, key)
        if not fee.is_finite() or abs(fee) >= _FEE_MAX:  # a rebate is negative
            raise ConfigError(f"{source}: paper.{key} is a fraction of notional between -0.1 and 0.1")
    for asset, amount in paper.balances.items():
        if not (amount.is_finite() and 0 <= amount <= _BALANCE_MAX):
            raise ConfigError(
                f"{source}: paper.balances.{asset} is {amount}, and must be between 0 and {_BALANCE_MAX:.0e}"
            )


def check_mqtt(mqtt: MqttConfig, mode: Mode, source: str) -> None:
    """Refuse a broker that cannot be spoken to as the section has it."""
    if not mqtt.host:
        if mqtt != type(mqtt)():
            raise ConfigError(f"{source}: mqtt.host names no broker; name it, or leave [mqtt] out")
        return
    if ":" in mqtt.host and not _is_ipv6(mqtt.host):
        raise ConfigError(f"{source}: mqtt.host is {mqtt.host!r}; a port stands in mqtt.port")
    if mode == "demo" and mqtt.host not in LOOPBACK:
        raise ConfigError(
            f"{source}: a demo stays on this machine, so mqtt.host can be {' or '.join(LOOPBACK)}"
        )
    for key in ("ca_file", "certificate_file", "key_file"):
        if getattr(mqtt, key) and not mqtt.tls:
            raise ConfigError(f"{source}: mqtt.{key} is of mqtt.tls = true; set that, or leave it out")
    if bool(mqtt.certificate_file) is not bool(mqtt.key_file):
        raise ConfigError(
            f"{source}: mqtt.certificate_file and mqtt.key_file go together; name both, or none"
        )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def check_currency(currency: str, symbols: Sequence[str]) -> None:
    """Refuse a currency, or the first symbol's quote, in which what is traded cannot be valued."""
    near: dict[str, set[str]] = {}  # what is priced in what, either way
    traded = []
    for symbol in symbols:
        base, quote = assets_of(symbol)
        near.setdefault(base, set()).add(quote)
        near.setdefault(quote, set()).add(base)
        traded += [(quote, symbol)] if ":" in symbol else [(base, symbol), (quote, symbol)]
    if currency and currency not in near:
        raise ConfigError(
            f"risk.currency is {currency!r}, which no symbol prices; it can be {', '.join(sorted(near))}"
        )
    into = currency or assets_of(symbols[0])[1]
    for asset, symbol in traded:
        if asset != into and into not in near[asset] and not near[asset] & near[into]:
            raise ConfigError(
                f"no symbol prices {asset} in {into}, over one other asset at most, so no loss in {symbol} "
                f"would count: add {asset}/{into} to feed.symbols, or run it as a daemon of its own"
            )
