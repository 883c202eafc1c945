from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.clock import VirtualTime
from daemon.config import Config, FeedConfig, LoopConfig, PaperConfig, StrategyConfig, VenueConfig
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.events import Balance
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.instruments import make_instrument
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.orders.desk import detached_desk
from daemon.orders.money import UNIT, Holding
from daemon.orders.portfolio import Portfolio
from daemon.redact import redact
from daemon.seams import Seams
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_address import AddressBudget
from daemon.venues.binance_settings import UsdmSettings
from daemon.venues.binance_usdm import UsdmVenue
from daemon.venues.binance_wire import RateLimit
from daemon.venues.hosts import PLACES
from daemon.venues.make import (
    check_key_rights,
    check_keys,
    limits_used,
    make_live,
    make_paper,
    make_rehearsal,
    make_venue,
    restore_paper,
    share_limits,
)
from daemon.venues.paper import PaperVenue
from kernels.matcher import LOG_PROB, LOG_PROB_2, POWER_PROB, POWER_PROB_2, POWER_PROB_3, RISK_ADVERSE
from kernels.ring import new_rings

KEYS = {"TICKD_KEY": "thekeykey", "TICKD_SECRET": "thesecret"}


@pytest.fixture
def config_of():
    def config_of(market="spot", **venue):
        return Config(
            name="x",
            mode="paper",
            feed=FeedConfig(symbols=("BTC/USDT",), market=market),
            strategy=(StrategyConfig(name="ema_cross"),),
            venue=VenueConfig(**venue),
        )

    return config_of


@pytest.fixture
def make(config_of):
    time = VirtualTime(1)
    seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(0))
    rules = {"tick_size": "0.1", "lot_size": "0.001", "qty_min": "0.001", "qty_max": "9", "notional_min": "5"}

    def make(environ=KEYS, paper=None, market="spot", **venue):
        btc = make_instrument(0, "binance", market, "BTC/USDT", **rules)
        config = msgspec.structs.replace(config_of(market, **venue), paper=paper or PaperConfig())
        return make_venue(config, [btc], new_rings(1), seams, environ)

    return make


def test_a_paper_venue_follows_the_market_and_has_the_configured_account(make):
    paper = PaperConfig(
        latency_in_us=70, latency_out_us=90, fee_taker=Decimal("0.002"), balances={"USDT": Decimal(7)}
    )
    venue, followers = make(kind="paper", paper=paper)
    assert isinstance(venue, PaperVenue)
    assert followers == [venue]
    assert venue._way._delays() == (70_000, 90_000)
    assert venue.account.balances()["USDT"].free == 7


@pytest.mark.parametrize(
    ("queue", "model"),
    [
        ("risk_adverse", RISK_ADVERSE),
        ("log_prob", LOG_PROB),
        ("log_prob_2", LOG_PROB_2),
        ("power_prob", POWER_PROB),
        ("power_prob_2", POWER_PROB_2),
        ("power_prob_3", POWER_PROB_3),
    ],
)
def test_a_paper_venues_orders_queue_as_configured(make, queue, model):
    venue, _ = make(kind="paper", paper=PaperConfig(queue=queue, queue_power=2.5))
    (matcher,) = venue._markets[0].matcher
    assert (matcher["queue_model"], matcher["queue_power"]) == (model, 2.5)


@pytest.mark.parametrize(
    ("latency", "says"),
    [
        ("measured", 'is neither "fixed" nor "measured:FOLDER"'),
        ("measured:", 'is neither "fixed" nor "measured:FOLDER"'),
        ("measured:/nowhere", "holds 0 answered orders, and 20 or more are needed"),
    ],
)
def test_a_latency_that_cannot_be_measured_is_refused(make, latency, says):
    with pytest.raises(ConfigError, match=says):
        make(kind="paper", paper=PaperConfig(latency=latency))


def test_a_futures_venue_has_its_own_addresses_and_is_set_up_as_configured(make):
    venue, _ = make(kind="binance", market="usdm", leverage=3, margin="isolated", dead_man_s=9)
    assert isinstance(venue, UsdmVenue)
    assert venue._settings == UsdmSettings(
        leverage=3, margin="isolated", position_notional_max=5000.0, countdown_ms=9000
    )
    venue, _ = make(kind="binance", market="usdm", ws_url="wss://x/ws", stream_url="wss://y")
    assert (venue._settings.ws_url, venue._setup.stream_url) == ("wss://x/ws", "wss://y")


def test_paper_needs_no_keys(make):
    assert make({}, kind="paper")[0].name == "paper"


def test_a_live_venue_has_the_configured_addresses_and_follows_nothing(make):
    venue, followers = make(kind="binance", ws_url="wss://x/ws", rest_url="https://x", timeout_ms=300)
    assert isinstance(venue, BinanceVenue)
    assert followers == []
    assert (venue._settings.ws_url, venue._settings.rest_url) == ("wss://x/ws", "https://x")
    assert venue._settings.timeout_ms == 300


@pytest.mark.parametrize(
    ("market", "replace", "replaces"), [("spot", True, True), ("spot", False, False), ("usdm", True, False)]
)
def test_quotes_are_replaced_on_spot_unless_the_file_says_no(make, market, replace, replaces):
    venue, _ = make(market=market, kind="binance", replace=replace)
    assert venue.can_replace is replaces
    assert hasattr(venue, "replace") is replaces


def test_without_an_address_it_is_the_exchanges_own(make):
    venue, _ = make(kind="binance")
    assert venue._settings.ws_url.startswith("wss://ws-api.binance.com")
    assert venue._settings.rest_url == "https://api.binance.com"


def test_keys_come_from_the_variables_that_are_named(make):
    assert make({"A": "thekeykey", "B": "thesecret"}, kind="binance", key_env="A", secret_env="B")
    for missing in KEYS:
        with pytest.raises(ConfigError, match=f"the environment variable {missing} has"):
            make({**KEYS, missing: ""}, kind="binance")


def test_what_neither_the_environment_nor_the_keyring_has_is_told_with_the_command_that_puts_it_there(
    config_of, monkeypatch
):
    held = {"TICKD_KEY": "thekeykey"}
    monkeypatch.setattr("daemon.credentials._ask_keyring", lambda service, name: held.get(name, ""))
    for kind in ("binance", "ccxt"):
        config = msgspec.structs.replace(config_of(kind=kind, exchange="binance"), keyring="tickd")
        with pytest.raises(ConfigError, match=r"nor the keyring has .*: keyring set tickd TICKD_SECRET$"):
            check_keys(config, RealDisk(), {})
        check_keys(config, RealDisk(), {"TICKD_SECRET": "thesecret"})


def test_a_venue_on_ccxt_has_what_is_configured(make):
    environ = {**KEYS, "TICKD_PASSWORD": "thepassword"}
    venue, followers = make(
        environ, kind="ccxt", exchange="okx", rest_url="https://x", stops=False, timeout_ms=300
    )
    assert (type(venue).__name__, venue.name, venue.can_amend) == ("CcxtVenue", "okx", False)
    assert followers == []
    client = venue.client
    assert (client.apiKey, client.secret, client.password) == ("thekeykey", "thesecret", "thepassword")
    assert client.urls["api"]["rest"] == "https://x"
    assert (client.order_timeout_ms, venue._settings.stops) == (300, False)
    assert redact("thepassword") == "***"


@pytest.mark.parametrize(("as_it_is", "countdown_ms"), [(False, 30_000), (True, 0)])
def test_only_a_daemon_begins_a_countdown_through_ccxt(config_of, make, as_it_is, countdown_ms):
    told = {"kind": "ccxt", "exchange": "okx", "stops": False, "dead_man_s": 30}
    venue, _ = make(**told)
    live = make_live(config_of(**told), venue._instruments, venue._seams, KEYS, as_it_is=as_it_is)
    assert live._settings.countdown_ms == countdown_ms


@pytest.mark.parametrize("missing", KEYS)
def test_ccxt_wants_keys_too(make, missing):
    with pytest.raises(ConfigError, match=f"the environment variable {missing} has"):
        make({**KEYS, missing: ""}, kind="ccxt", exchange="binance")


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("kind", ["binance", "ccxt"])
def test_what_is_too_short_to_be_a_key_is_refused_with_one_sentence(config_of, make, kind, name):
    named = {"kind": kind} if kind == "binance" else {"kind": kind, "exchange": "binance"}
    short = {**KEYS, name: "sevench"}
    sentence = f"what {name} holds is no key of an exchange: it has fewer than 8 characters"
    with pytest.raises(ConfigError, match=sentence) as refused:
        make(short, **named)
    assert "sevench" not in str(refused.value)
    with pytest.raises(ConfigError, match=sentence):
        check_keys(config_of(**named), RealDisk(), short)


def test_a_short_passphrase_is_masked_where_it_stands_by_itself(make):
    environ = {**KEYS, "TICKD_PASSWORD": "w0rds7!"}
    make(environ, kind="ccxt", exchange="kucoin", stops=False)
    assert redact("kucoin said w0rds7! is wrong") == "kucoin said *** is wrong"


def test_an_address_of_ccxt_must_be_encrypted(make):
    with pytest.raises(ConfigError, match="is not encrypted"):
        make(kind="ccxt", exchange="binance", ws_url="ws://example.org")


def test_without_the_package_ccxt_the_start_ends_with_one_sentence(config_of, monkeypatch):
    config = config_of(kind="ccxt", exchange="binance")
    check_keys(config, RealDisk(), KEYS)
    monkeypatch.setattr("daemon.venues.make.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'^venue.kind = "ccxt" needs the package ccxt; install it: '):
        check_keys(config, RealDisk(), KEYS)


def test_secrets_that_the_file_names_take_the_place_of_key_and_secret(config_of, make):
    named = {"kind": "ccxt", "exchange": "binance", "credentials": {"walletAddress": "W", "privateKey": "P"}}
    venue, _ = make({"W": "0x1", "P": "0x22222222"}, **named)
    config = config_of(**named)
    assert (venue.client.walletAddress, venue.client.privateKey) == ("0x1", "0x22222222")
    assert not venue.client.apiKey
    with pytest.raises(ConfigError, match="the environment variable P has the venue's key"):
        check_keys(config, RealDisk(), {**KEYS, "W": "0x1"})


def test_only_orders_for_binance_are_rehearsed(config_of):
    config = config_of(kind="ccxt", exchange="binance")
    spinning = msgspec.structs.replace(config, loop=LoopConfig(spin=True, rehearse_us=1_000))
    assert make_rehearsal(spinning, [], None, KEYS, lambda: 0) is None


def test_orders_for_binance_are_rehearsed_where_that_is_asked_for(config_of, make):
    venue, _ = make(kind="binance")
    config = config_of(kind="binance")
    for spin, rehearse_us, rehearsed in ((True, 1_000, True), (True, 0, False), (False, 1_000, False)):
        loop = LoopConfig(spin=spin, rehearse_us=rehearse_us)
        found = make_rehearsal(
            msgspec.structs.replace(config, loop=loop), venue._listed, venue._seams, KEYS, lambda: 0
        )
        assert (found is not None) is rehearsed


def test_no_key_is_wanted_for_paper_and_the_signer_s_for_binance(config_of):
    check_keys(config_of(kind="paper"), RealDisk(), {})
    check_keys(config_of(kind="binance"), RealDisk(), KEYS)
    with pytest.raises(ConfigError, match="TICKD_KEY has the venue's key"):
        check_keys(config_of(kind="binance"), RealDisk(), {})


def test_a_testnet_has_its_own_addresses_unless_the_file_says_others(make):
    venue, _ = make(kind="binance", environment="testnet")
    assert (venue._settings.ws_url, venue._settings.rest_url) == (
        PLACES["testnet"].ws_url,
        PLACES["testnet"].rest_url,
    )
    venue, _ = make(kind="binance", environment="testnet", rest_url="https://x")
    assert (venue._settings.ws_url, venue._settings.rest_url) == (PLACES["testnet"].ws_url, "https://x")


@pytest.mark.parametrize(
    ("mode", "market", "url", "asked"),
    [
        ("paper", "spot", "", None),
        ("live", "spot", "", "https://api.binance.com"),
        ("live", "usdm", "", "https://api.binance.com"),  # only Spot tells what a key may do
        ("live", "usdm", "https://fapi.binance.com", "https://api.binance.com"),
        ("live", "usdm", "https://x", "https://x"),
    ],
)
def test_a_live_key_s_rights_are_asked_where_its_exchange_tells_them(
    config_of, make, monkeypatch, mode, market, url, asked
):
    seen = []

    async def refuse(rest, venue, of):
        assert of == market
        seen.append(rest._url)
        return ["it may trade"]

    monkeypatch.setattr("daemon.venues.make.refuse_withdrawals", refuse)
    venue, _ = make(kind="binance", market=market, rest_url=url)
    config = msgspec.structs.replace(config_of(market, kind="binance", rest_url=url), mode=mode)
    told = asyncio.run(check_key_rights(config, venue, venue._seams, KEYS))
    assert (seen, told) == (([asked], ["it may trade"]) if asked else ([], []))


@pytest.mark.parametrize("allowed", [True, False])
def test_through_ccxt_the_exchange_of_the_orders_is_asked_with_the_keys_of_the_file(
    config_of, make, monkeypatch, allowed
):
    seen = []

    async def refuse(settings, clock, context, *, allowed):
        seen.append((settings.exchange, settings.credentials["apiKey"], allowed))
        return []

    monkeypatch.setattr("daemon.venues.ccxt_rights.refuse_withdrawals", refuse)
    told = {"kind": "ccxt", "exchange": "kraken", "allow_withdrawals": allowed}
    venue, _ = make(**told)
    config = msgspec.structs.replace(config_of(**told), mode="live")
    assert asyncio.run(check_key_rights(config, venue, venue._seams, KEYS)) == []
    assert seen == [("kraken", "thekeykey", allowed)]


def test_an_ed25519_key_is_read_from_its_file(make, tmp_path):
    path = tmp_path / "key.pem"
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path.chmod(0o600)
    venue, _ = make(KEYS, kind="binance", key_type="ed25519", private_key_file=str(path))
    assert venue._signer.can_logon


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "does not exist; check the name"),
        (b"\xff\xfe", "is no PEM text"),
        (b"no key at all", "is no unencrypted PEM text"),
    ],
)
def test_a_key_file_that_is_none_is_refused_by_its_name(make, tmp_path, content, why):
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        make(kind="binance", key_type="ed25519", private_key_file=str(path))
    assert "\n" not in str(caught.value)
    assert why in str(caught.value)
    assert "no key at all" not in str(caught.value)


@pytest.mark.parametrize(("market", "symbol"), [("spot", "BTC/USDT"), ("usdm", "BTC/USDT:USDT")])
def test_a_paper_account_goes_on_where_its_journal_ended(market, symbol):
    rules = {"tick_size": "0.1", "lot_size": "0.001", "qty_min": "0.001", "qty_max": "9", "notional_min": "5"}
    instrument = make_instrument(0, "binance", market, symbol, **rules)
    desk = detached_desk(0, "one", (0,))
    portfolio = Portfolio([instrument], [desk], "USDT")
    time = VirtualTime(1)
    seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(0))
    config = Config(
        name="x",
        mode="paper",
        feed=FeedConfig(symbols=(symbol,), market=market),
        strategy=(StrategyConfig(name="ema_cross"),),
        paper=PaperConfig(balances={"USDT": Decimal(1000)}),
    )
    venue = make_paper(config, [instrument], new_rings(1), seams, [])

    restore_paper(venue, portfolio)  # without a journal: what is configured
    assert venue.account.balances() == {"USDT": Balance(Decimal(1000), Decimal(0))}

    portfolio.set_total({"USDT": 700 * UNIT, "BTC": UNIT // 4})
    portfolio.put_holding(desk, 0, Holding(UNIT // 4, 15_000 * UNIT))
    restore_paper(venue, portfolio)
    balances = venue.account.balances()
    assert (balances["USDT"].free, balances["BTC"].free) == (Decimal(700), Decimal("0.25"))
    assert venue.account.positions == ([0] if market == "spot" else [250])


def test_limits_are_told_as_the_exchange_told_them_and_of_paper_none(make):
    venue, _ = make(kind="binance")
    told = lambda: [(one.name, one.used, one.limit) for one in limits_used(venue, 1)]  # noqa: E731
    assert told() == [("request_weight_60s", 0, 0)]
    venue.budget.learn([RateLimit("ORDERS", "SECOND", 10, 100, 7)], venue.server.time_ms(1))
    assert told() == [("request_weight_60s", 0, 0), ("orders_10s", 7, 100)]
    paper, _ = make(kind="paper")
    assert limits_used(paper, 1) == []


@pytest.mark.parametrize(("host", "shared"), [("api.binance.com", True), ("elsewhere.example", False)])
def test_who_is_told_to_keep_still_holds_back_the_other_at_the_same_host(make, host, shared):
    venue, _ = make(kind="binance")
    time = VirtualTime(1)
    fetcher = SnapshotFetcher(["u"], Seams(time, time, NoNet(), None, InlineWorker(), random.Random(0)))
    share_limits(venue, fetcher, f"https://{host}/api/v3/depth")
    fetcher.limits.limited(418, 9_000)
    assert (venue.budget.blocked_ms(venue.server.time_ms(1)) > 0) is shared
    held = []
    fetcher.hold = held.append
    share_limits(venue, fetcher, f"https://{host}/api/v3/depth")
    venue.on_limited(429, 0)
    assert bool(held) is shared
    assert isinstance(fetcher.limits, AddressBudget) is shared
