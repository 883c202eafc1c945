from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.config import from_tree, load
from daemon.errors import EXIT_CONFIG, ConfigError

BASE = """
name = "x"
mode = "paper"
[feed]
symbols = ["btcusdt", "ETH-USDT"]
[[strategy]]
name = "ema_cross"
"""


def read(text: str, **environ: str):
    return from_tree(tomllib.loads(text), environ, "f.toml")


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    assert caught.value.exit_code == EXIT_CONFIG
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_what_is_kept_of_strategies_and_how_often_the_venue_is_met_is_bounded():
    config = read(BASE + 'on_gap = "mark"')
    assert config.strategy[0].on_gap == "mark"
    assert (config.journal.checkpoint_s, config.venue.reconcile_s) == (10.0, 60.0)
    assert "on_gap is 'forget', and can be" in refusal(BASE + 'on_gap = "forget"')
    assert "reconcile_s" in refusal(BASE + "[venue]\nreconcile_s = 0.5")
    assert "checkpoint_s" in refusal(BASE + "[journal]\ncheckpoint_s = -1")


def test_what_the_file_leaves_out_is_filled_in():
    config = read(BASE)
    assert config.feed.symbols == ("BTC/USDT", "ETH/USDT")
    assert config.strategy[0].symbols == ("BTC/USDT", "ETH/USDT")
    assert config.journal.path == "var/x/journal-paper"
    assert (config.tape.record, config.tape.path) == (False, "var/x/tape-paper")
    assert config.http.socket == "var/x/tickd.sock"
    assert config.paper.balances == {"USDT": Decimal(100_000)}


def test_a_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        read(BASE).risk.collar = 1.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[riks]\ncollar = 0.1", "the file has no key 'riks'; did you mean 'risk'?"),
        ("[risk]\ncolar = 0.1", "risk has no key 'colar'; did you mean 'collar'?"),
        ("[risk]\nzzz = 0.1", "risk has no key 'zzz'"),
        ("[risk]\ncollar = 'a'", "risk.collar: expected float, got str"),
        ("[risk]\ncollar = 2.0", "risk.collar: expected float <= 1.0"),
        (
            "[risk]\nday_begins = '24:00'",
            "risk.day_begins must be a time from 00:00 to 23:59",
        ),
        (
            "[risk]\nwindows = ['noon']",
            "risk.windows: 'noon' is no window; write it like \"mon-fri 08:00-16:30\"",
        ),
        (
            "[risk]\ncurrency = 'EUR'",
            "risk.currency is 'EUR', which no symbol prices; it can be BTC, ETH, USDT",
        ),
        ("[risk]\ncollar = nan", "risk.collar: must be a finite number, not nan"),
        ("[risk]\ndaily_loss_max = inf", "risk.daily_loss_max: must be a finite number, not inf"),
        ("[feed_]\n", "the file has no key 'feed_'; did you mean 'feed'?"),
        ("[venue]\nkind = 'papr'", "venue.kind is 'papr', and can be paper or binance or ccxt"),
        ("[venue]\nkind = 'binance'", 'mode is "paper", so venue.kind must be "paper" too'),
        (
            "[venue]\ncompress = true",
            'venue.compress needs venue.transport = "websockets", picows has none',
        ),
        ("[venue]\ntransport = 'aiohttp'", "venue.transport is 'aiohttp', and can be picows or websockets"),
        ("[paper]\nfee_maker = 'nan'", "paper.fee_maker is a fraction of notional between -0.1 and 0.1"),
        ("[paper]\nbalances = {USDT = -1}", "paper.balances.USDT is -1, and must be between 0 and 1e+15"),
        (
            "[paper]\nbalances = {USDT = 1e16}",
            "paper.balances.USDT is 1E+16, and must be between 0 and 1e+15",
        ),
        ("[http]\nport = 70000", "http.port: expected int <= 65535"),
        ("[[strategy]]\nmodel = 'm'", "strategy[1] lacks the key 'name'"),
        ("[[strategy]]\nname = 'ml'\nmodle = 'm'", "strategy[1] has no key 'modle'; did you mean 'model'?"),
        (
            "[[strategy]]\nname = 'ml'\nsymbols = ['XRPUSDT']",
            "strategy[1] wants XRP/USDT, which feed.symbols lacks",
        ),
        ("[[strategy]]\nname = 'ml'\nparams = {a = 'b'}", "strategy[1].params[...]: expected float, got str"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(text, sentence):
    assert refusal(BASE + text) == f"f.toml: {sentence}"


@pytest.mark.parametrize(
    ("section", "key", "most", "kind"),
    [
        ("feed", "stale_ms", 600_000, "int"),
        ("feed", "ring", 32_768, "int"),
        ("venue", "timeout_ms", 60_000, "int"),
        ("paper", "latency_in_us", 10_000_000, "int"),
        ("paper", "latency_out_us", 10_000_000, "int"),
        ("risk", "order_notional_max", 1e12, "float"),
        ("risk", "position_notional_max", 1e12, "float"),
        ("risk", "open_orders_max", 1000, "int"),
        ("risk", "orders_per_s_max", 100_000.0, "float"),
        ("risk", "daily_loss_max", 1e12, "float"),
        ("risk", "drawdown_max", 1e12, "float"),
        ("risk", "tick_age_ms_max", 60_000, "int"),
        ("risk", "feed_lag_ms_max", 60_000, "int"),
        ("reconcile", "price_tolerance_ticks", 1_000_000, "int"),
        ("reconcile", "qty_tolerance_lots", 1_000_000, "int"),
        ("reconcile", "rest_ms_min", 3_600_000, "int"),
        ("journal", "group_ms", 10_000, "int"),
        ("tape", "segment_mb", 1024, "int"),
        ("tape", "segment_s", 86_400, "int"),
        ("tape", "buffer_mb", 4096, "int"),
        ("tape", "quota_gb", 1e6, "float"),
    ],
)
def test_a_number_that_would_turn_a_guard_off_is_refused(section, key, most, kind):
    tree = tomllib.loads(BASE)
    tree.setdefault(section, {})[key] = most
    assert getattr(getattr(from_tree(tree, {}, "f.toml"), section), key) == most
    for more in (most * 2, most * 10**6):
        variable = f"TICKD__{section}__{key}".upper()
        assert (
            refusal(BASE, **{variable: str(more)})
            == f"{variable}: {section}.{key}: expected {kind} <= {most}"
        )


@pytest.mark.parametrize("text", ["nan", "-inf", "1e999", "1" + "0" * 400])
@pytest.mark.parametrize("table", ["PARAMS", "TUNING"])
def test_a_strategy_s_numbers_are_finite(table, text):
    sentence = refusal(BASE, **{f"TICKD__STRATEGY__0__{table}__SPAN": text})
    assert "must be a finite number" in sentence or "number out of range" in sentence


def test_live_mode_wants_a_real_venue_on_a_market_that_orders_can_be_sent_to():
    live = BASE.replace('"paper"', '"live"')
    assert 'venue.kind must name an exchange, such as "binance"' in refusal(live)
    coinm = live.replace("[feed]", '[feed]\nmarket = "coinm"') + '[venue]\nkind = "binance"'
    assert 'feed.market = "spot" or "usdm", not "coinm"' in refusal(coinm)


def futures(more="", strategies=""):
    live = BASE.replace('"paper"', '"live"').replace("[feed]", '[feed]\nmarket = "usdm"')
    live = live.replace('name = "ema_cross"', 'name = "ema_cross"\nsymbols = ["BTC/USDT"]')
    return live + f'{strategies}\n[venue]\nkind = "binance"\n{more}\n'


def test_futures_are_traded_at_a_leverage_a_margin_and_a_countdown():
    config = read(futures('leverage = 5\nmargin = "isolated"\ndead_man_s = 30'))
    assert (config.venue.leverage, config.venue.margin, config.venue.dead_man_s) == (5, "isolated", 30)
    assert "venue.leverage" in refusal(futures("leverage = 126"))


def test_what_futures_cannot_do_is_refused():
    assert "rehearse_us" in refusal(futures(), TICKD__LOOP__REHEARSE_US="1000")
    assert "dead_man_s must be at least 5" in refusal(futures("dead_man_s = 4"))
    another = '[[strategy]]\nname = "ema_cross"\nsymbols = ["BTC/USDT"]\n'
    assert "two strategies cannot share BTC/USDT:USDT" in refusal(futures(strategies=another))
    read(futures(strategies=another.replace("BTC", "ETH")))


@pytest.mark.parametrize(
    "key", ["leverage = 2", 'margin = "isolated"', "dead_man_s = 10", 'stream_url = "wss://x"']
)
def test_spot_has_neither_leverage_nor_margin_nor_a_countdown(key):
    spot = futures(key).replace('market = "usdm"', 'market = "spot"')
    assert "leave them out" in refusal(spot)


def test_symbols_are_checked():
    assert "symbol 'zz' is not understood" in refusal(BASE.replace("btcusdt", "zz"))
    assert "names a symbol twice" in refusal(BASE.replace("ETH-USDT", "BTC/USDT"))


def test_what_is_wrong_in_the_file_is_the_files_whatever_else_is_overridden():
    sentence = refusal(BASE + "[risk]\ncollar = 2.0", TICKD__RISK__CURRENCY="USDT", TICKD__NAME="one")
    assert sentence == "f.toml: risk.collar: expected float <= 1.0"


def test_a_file_that_is_missing_or_no_toml_is_one_sentence(tmp_path):
    path = tmp_path / "x.toml"
    with pytest.raises(ConfigError, match=r"x\.toml does not exist; check the name"):
        load(path, {})
    path.write_bytes(b"name = \xff")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(path, {})
    path.write_text("name =")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(path, {})


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.toml")), ids=lambda p: p.name
)
def test_every_shipped_configuration_loads(path):
    assert load(path, {}).name == path.stem
