"""What a daemon runs with: frozen structs, read from one TOML file and the environment.

    config = load(Path("configs/paper.toml"), os.environ)
    TICKD__FEED__STALE_MS=3000          overrides feed.stale_ms
    TICKD__STRATEGY__0__PARAMS__SPAN=9  overrides strategy[0].params.span

An override's value is read as TOML; text that is no TOML value is taken as a string. Unknown keys, wrong
types and values out of range are refused by a ConfigError of one sentence that names the key and the nearest
valid one. Secrets never stand in the file: it names what holds them. Relative paths are relative to the
working directory.
"""

from __future__ import annotations

import math
import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

from daemon.config_checks import (
    Source,
    check_currency,
    check_lines,
    check_market,
    check_mqtt,
    check_paper,
    complete_venue,
)
from daemon.config_overrides import override
from daemon.config_section import Section
from daemon.config_sinks import MqttConfig, WebhookConfig
from daemon.errors import ConfigError, unread
from daemon.explain import explain, keys_of
from daemon.instruments import Market, unify
from daemon.orders.windows import parse_windows
from daemon.venues.ccxt_exchanges import ExchangeForm
from daemon.venues.hosts import Environment, check_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


Mode = Literal["paper", "live", "demo"]
Stream = Literal["trade", "quote", "depth"]
Transport = Literal["picows", "websockets"]
Fraction = Annotated[float, Meta(gt=0, le=1)]
#: an upper bound refuses what can only be a slip: a limit in other units, a guard turned off
Amount = Annotated[float, Meta(gt=0, le=1e12)]
Latency = Annotated[int, Meta(ge=0, le=10_000_000)]
Steps = Annotated[int, Meta(ge=0, le=1_000_000)]
_NAME_FORM: Final = "1 to 16 of a-z, 0-9, _ and -, and begin with a letter or digit"
#: it becomes a folder, a client order id's prefix and a metric's label
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,15}\Z", description=_NAME_FORM)]
TimeOfDay = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="a time from 00:00 to 23:59")
]


class LoopConfig(Section, frozen=True):
    """The event loop. `spin` polls without sleeping, for the lowest latency at the price of one core.

    `lock_memory` keeps the process in memory where the system permits it; where not, the log says so.
    `rehearse_us`: a spinning loop that sent no order for so long walks the way of one (daemon/rehearsal.py),
    so that the next finds it warm; a tick that comes meanwhile waits some 20 us. 0: never.
    """

    spin: bool = False
    cpu: Annotated[int, Meta(ge=-1)] = -1  # the core to stay on; -1: any
    lock_memory: bool = False
    rehearse_us: Annotated[int, Meta(ge=0)] = 0


class LineConfig(Section, frozen=True):
    """How the other side is reached. `proxy` serves websockets and HTTP alike, with either transport."""

    transport: Transport = "picows"  # "websockets" is the slower one that can compress
    compress: bool = False  # where the other side can, at about a sixth of the rate
    proxy: str = ""  # http://host:port or http://user:password@host:port
    ca_file: str = ""  # the certificates to trust in place of the system's, PEM
    #: what fails again and again, a connection or a book, is tried again later each time, up to so much later
    backoff_s_max: Annotated[float, Meta(ge=0.5, le=300)] = 30.0


class FeedConfig(LineConfig, frozen=True, kw_only=True):
    """Market data in. Empty URLs are the exchange's own."""

    symbols: Annotated[tuple[str, ...], Meta(min_length=1)]
    exchange: Source = "binance"
    market: Market = "spot"
    streams: Annotated[tuple[Stream, ...], Meta(min_length=1)] = ("trade", "quote", "depth")
    ws_url: str = ""
    rest_url: str = ""
    stale_ms: Annotated[int, Meta(ge=1, le=600_000)] = (
        5000  # silence after which no order that adds risk leaves
    )
    #: a start whose exchange cannot be asked for its instruments' rules goes by those that it told so many
    #: hours ago at most; 0: never
    rules_ttl_h: Annotated[float, Meta(ge=0, le=720)] = 24.0
    ring: Annotated[int, Meta(ge=1, le=32_768)] = (
        1024  # trades and quotes kept as they came, per instrument; all instruments share 32,768
    )


class VenueConfig(LineConfig, frozen=True):
    """Where orders go. Empty URLs are the exchange's own.

    Keys come from a systemd credential, an environment variable or a keyring by the names given here, or from
    a key file.
    """

    kind: Literal["paper", "binance", "ccxt"] = "paper"
    environment: Environment = "production"  # whose hosts alone the keys may reach, beside this machine's
    hosts: tuple[str, ...] = ()  # others they may reach: a gateway of one's own
    exchange: str = ""  # of "ccxt", by ccxt's name; empty: the feed's
    form: ExchangeForm = ExchangeForm()  # of "ccxt": how an exchange not known here takes orders
    post_only: bool = True  # of "ccxt": strategies may rest orders, so the exchange must have post-only
    stops: bool = True  # likewise protective stops
    ws_url: str = ""
    rest_url: str = ""
    stream_url: str = ""  # of USD-M's user data
    leverage: Annotated[int, Meta(ge=1, le=125)] = 1  # of USD-M, set before the first order
    margin: Literal["cross", "isolated"] = "cross"  # likewise
    #: of USD-M, and of "ccxt" at some exchanges: so long after the daemon fell silent the exchange cancels
    #: what rests; 0: never
    dead_man_s: Annotated[int, Meta(ge=0, le=600)] = 0
    key_env: str = "TICKD_KEY"
    secret_env: str = "TICKD_SECRET"  # noqa: S105 - the variable's name
    key_type: Literal["hmac", "ed25519"] = "hmac"
    private_key_file: str = ""  # of an Ed25519 key, PEM; not readable by others
    password_env: str = "TICKD_PASSWORD"  # noqa: S105 - likewise, of the third secret that some want
    #: of "ccxt", in place of those three: ccxt's own name of a secret, and the variable's
    credentials: dict[str, str] = field(default_factory=dict)
    allow_withdrawals: bool = False  # live trading with a key that may also withdraw
    recv_window_ms: Annotated[int, Meta(ge=1, le=60_000)] = 5000
    #: an order without an answer for so long is UNKNOWN
    timeout_ms: Annotated[int, Meta(ge=1, le=60_000)] = 2000
    #: one that nobody finds so long after it was sent is VOID; 0: as soon as that is safe, 60 s at least
    absence_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    #: of Spot: a resting order is moved by one request (order.cancelReplace), not by a cancel and a new order
    replace: bool = True
    #: open orders in the traded symbols that the daemon never sent
    foreign_orders: Literal["cancel", "adopt", "ignore"] = "cancel"
    #: its orders, trades and balances are compared with ours so often, and after each reconnect
    reconcile_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0


class PaperConfig(Section, frozen=True):
    """How local fills behave. Fees are fractions of notional."""

    #: "fixed": the two below; "measured:FOLDER": as the orders of that journal waited for their answers
    latency: str = "fixed"
    latency_in_us: Latency = 5000  # one way, from us to the venue
    latency_out_us: Latency = 5000  # and back
    #: what is ahead of a resting order when the quantity displayed at its price shrinks (kernels/matcher.py)
    queue: Literal["risk_adverse", "log_prob", "log_prob_2", "power_prob", "power_prob_2", "power_prob_3"] = (
        "risk_adverse"
    )
    queue_power: Annotated[float, Meta(gt=0, le=100)] = 3.0  # of the power_probs
    fee_maker: Decimal = Decimal("0.001")
    fee_taker: Decimal = Decimal("0.001")
    balances: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(100_000)})


class StrategyConfig(Section, frozen=True):
    """One strategy: a shipped one by name, or a file's function as `path/file.py:decide`."""

    name: Annotated[str, Meta(min_length=1)]
    symbols: tuple[str, ...] = ()  # empty: the feed's
    params: dict[str, float] = field(default_factory=dict)
    tuning: dict[str, float] = field(default_factory=dict)  # of the features: spans, windows, half-lives
    model: str = ""  # a bundle's folder; empty: no model
    warmup_ticks: Annotated[int, Meta(ge=0, le=100_000_000)] = 200
    #: what missed ticks do to its memory (strategies/base.py); empty: what the strategy says itself
    on_gap: Literal["", "reset", "mark"] = ""
    #: what becomes of its resting orders while it sees no market; likewise
    on_silence: Literal["", "withdraw", "leave"] = ""


class RiskConfig(Section, frozen=True):
    """Hard limits. Notionals are in the quote currency, loss and drawdown in `currency`."""

    order_notional_max: Amount = 1_000.0
    position_notional_max: Amount = 5_000.0  # in an instrument, of each strategy and of all together
    open_orders_max: Annotated[int, Meta(ge=1, le=1000)] = 20  # of a strategy in an instrument
    collar: Fraction = 0.01  # how far a price may lie through the other side, or away from mid
    #: of derivatives: the share of wallet and open profit that may be initial margin, open orders included
    margin_used_max: Fraction = 0.8
    #: likewise: how far all prices must be able to move against what is held until liquidation, a fraction
    liquidation_distance_min: Annotated[float, Meta(ge=0, lt=1)] = 0.05
    orders_per_s_max: Annotated[float, Meta(gt=0, le=100_000)] = 10.0
    daily_loss_max: Amount = 500.0  # beyond it the kill switch latches
    drawdown_max: Amount = 1_000.0  # likewise
    currency: str = ""  # in which the account is valued; empty: the first symbol's quote
    day_begins: TimeOfDay = "00:00"  # UTC
    #: when risk may be added, UTC, such as "mon-fri 08:00-16:30"; empty: always
    windows: tuple[str, ...] = ()
    flatten_on_halt: bool = False  # close everything after a loss beyond its limit or a strategy's failure
    #: while the feed lags by more above its lowest of five minutes no risk is added; 0: not looked at
    feed_lag_ms_max: Annotated[int, Meta(ge=0, le=60_000)] = 0
    #: a decision on an older tick, the loop's stall before it was read included, may not add risk
    tick_age_ms_max: Annotated[int, Meta(ge=1, le=60_000)] = 1000


class ReconcileConfig(Section, frozen=True):
    """How near is near enough for a resting order to be left alone."""

    price_tolerance_ticks: Steps = 0
    qty_tolerance_lots: Steps = 0
    rest_ms_min: Annotated[int, Meta(ge=0, le=3_600_000)] = 100


class JournalConfig(Section, frozen=True):
    """The record of orders. `sync`: by group of `group_ms`, left to the system, or before every intent."""

    path: str = ""  # empty: var/NAME/journal-MODE
    sync: Literal["group", "os", "intent"] = "group"
    group_ms: Annotated[int, Meta(ge=1, le=10_000)] = 100
    checkpoint_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # between two of strategies' memories; 0: none
    #: an older one is not taken up; nor is one from before a silence that features forget after (silence_s)
    checkpoint_age_s_max: Annotated[float, Meta(ge=0, le=86_400)] = 300.0
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = (
        0  # what is older is deleted, by whole files; 0: none
    )


class TapeConfig(Section, frozen=True):
    """The record of the market: every frame as it came. Bounds of a segment are before compression."""

    record: bool = False
    path: str = ""  # empty: var/NAME/tape-MODE
    segment_mb: Annotated[int, Meta(ge=1, le=1024)] = 128
    segment_s: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    buffer_mb: Annotated[int, Meta(ge=1, le=4096)] = 64  # what waits for a slow disk; beyond it is dropped
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0  # older segments are deleted; 0: none
    quota_gb: Annotated[float, Meta(ge=0, le=1e6)] = 50.0  # likewise the oldest beyond so much; 0: none


class HttpConfig(Section, frozen=True):
    """The faces. The Unix socket is the owner's alone; a loopback port takes commands with a token only."""

    socket: str = ""  # empty: var/NAME/tickd.sock
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0: no port
    token_env: str = "TICKD_TOKEN"  # noqa: S105 - the variable's name


class LogConfig(Section, frozen=True):
    """Where words go."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"
    file: str = ""  # empty: standard error


class Config(Section, frozen=True):
    """All of it."""

    name: Name
    mode: Mode
    feed: FeedConfig
    strategy: Annotated[tuple[StrategyConfig, ...], Meta(min_length=1)]
    keyring: str = ""  # the service under which a keyring holds secrets; empty: none is asked
    loop: LoopConfig = LoopConfig()
    venue: VenueConfig = VenueConfig()
    paper: PaperConfig = field(default_factory=PaperConfig)
    risk: RiskConfig = RiskConfig()
    reconcile: ReconcileConfig = ReconcileConfig()
    journal: JournalConfig = JournalConfig()
    tape: TapeConfig = TapeConfig()
    http: HttpConfig = HttpConfig()
    mqtt: MqttConfig = MqttConfig()
    webhook: WebhookConfig = WebhookConfig()
    log: LogConfig = LogConfig()


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a file and its overrides; raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the configuration {path} {unread(error)}") from None
    try:
        tree = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return from_tree(tree, environ, str(path))


def from_tree(tree: dict[str, Any], environ: Mapping[str, str], source: str) -> Config:
    """Build a configuration from TOML's own types; `source` begins the sentence of a ConfigError."""
    overrides = {
        variable: override(Config, tree, variable, text)
        for variable, text in sorted(environ.items())
        if variable.startswith("TICKD__")
    }
    try:
        _refuse_infinite(tree, "")
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        keys = keys_of(str(error))
        giver = next((one for one, its in overrides.items() if its == keys[: len(its)]), source)
        raise ConfigError(f"{giver}: {explain(str(error), Config, 'the file')}") from None
    return _complete(config, source)


# --- what the types cannot say ------------------------------------------------------------------------------
def _refuse_infinite(node: Any, where: str) -> None:
    """TOML knows inf and nan, and neither is a limit or a parameter; raises as msgspec does."""
    if isinstance(node, float) and not math.isfinite(node):
        raise msgspec.ValidationError(f"must be a finite number, not {node} - at `${where}`")
    if isinstance(node, dict):
        for key, value in node.items():
            _refuse_infinite(value, f"{where}.{key}")
    if isinstance(node, list):
        for number, value in enumerate(node):
            _refuse_infinite(value, f"{where}[{number}]")


def _complete(config: Config, source: str) -> Config:
    feed = config.feed
    try:
        symbols = tuple(unify(symbol, feed.market) for symbol in feed.symbols)
        strategies = tuple(
            msgspec.structs.replace(one, symbols=tuple(unify(s, feed.market) for s in one.symbols) or symbols)
            for one in config.strategy
        )
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    if len(set(symbols)) != len(symbols):
        raise ConfigError(f"{source}: feed.symbols names a symbol twice")
    for number, one in enumerate(strategies):
        for symbol in one.symbols:
            if symbol not in symbols:
                raise ConfigError(f"{source}: strategy[{number}] wants {symbol}, which feed.symbols lacks")
    if config.mode == "paper" and config.venue.kind != "paper":
        raise ConfigError(f'{source}: mode is "paper", so venue.kind must be "paper" too')
    if config.mode == "live" and config.venue.kind == "paper":
        raise ConfigError(f'{source}: mode is "live", so venue.kind must name an exchange, such as "binance"')
    if config.mode == "live":
        check_market(config, strategies, source)
    try:
        check_environment(config)
        parse_windows(config.risk.windows)
        check_currency(config.risk.currency, symbols)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    venue = complete_venue(config, source)
    check_lines(feed, venue, source)
    check_paper(config.paper, source)
    check_mqtt(config.mqtt, config.mode, source)
    folder = f"var/{config.name}"
    journal = f"{folder}/journal-{config.mode}"  # a rehearsal on paper must not reach the real orders' record
    if venue.kind == "ccxt":
        journal += f"-{venue.exchange}"  # nor may one exchange be asked about another's orders
    return msgspec.structs.replace(
        config,
        feed=msgspec.structs.replace(feed, symbols=symbols),
        venue=venue,
        strategy=strategies,
        journal=msgspec.structs.replace(config.journal, path=config.journal.path or journal),
        tape=msgspec.structs.replace(config.tape, path=config.tape.path or f"{folder}/tape-{config.mode}"),
        http=msgspec.structs.replace(config.http, socket=config.http.socket or f"{folder}/tickd.sock"),
    )
