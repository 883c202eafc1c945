from __future__ import annotations

import pytest

from daemon.config import from_tree
from daemon.config_checks import absence_s_min, check_currency, check_market
from daemon.errors import ConfigError
from tests.daemon.test_config import BASE, read, refusal


def live(market, **sections):
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": ["BTC/USDT"], "market": market},
        "strategy": [{"name": "ema_cross"}],
        **sections,
    }
    return from_tree(tree, {}, "f.toml")


def test_losses_are_counted_in_what_the_symbols_price_or_by_default():
    for currency in ("", "BTC", "USDT", "ETH"):
        check_currency(currency, ["BTC/USDT", "ETH/USDT:USDT"])
    with pytest.raises(
        ConfigError, match=r"risk.currency is 'EUR', which no symbol prices; it can be BTC, USDT"
    ):
        check_currency("EUR", ["BTC/USDT"])


def test_what_is_traded_has_a_value_in_the_currency_of_losses():
    check_currency("", ["BTC/USDT", "ETH/BTC", "BTC/FDUSD"])
    check_currency("USDT", ["BTC/USDT@binance", "BTC/USDT:USDT@okx"])
    check_currency("", ["BTC/USDT:USDT", "ETH/USDC:USDC", "BTC/USDC:USDC"])
    with pytest.raises(ConfigError, match=r"prices ETH in USDT, .* so no loss in ETH/EUR would count"):
        check_currency("", ["BTC/USDT", "ETH/EUR"])
    with pytest.raises(ConfigError, match=r"prices USDC in USDT, .*: add USDC/USDT to feed.symbols"):
        check_currency("USDT", ["BTC/USDT:USDT", "ETH/USDC:USDC"])


def test_each_market_takes_what_is_its_own():
    spot, usdm = live("spot"), live("usdm", venue={"leverage": 3})
    check_market(spot, spot.strategy, "f.toml")
    check_market(usdm, usdm.strategy, "f.toml")
    odd = live("spot", venue={"leverage": 3})
    with pytest.raises(ConfigError, match=r"are of feed.market"):
        check_market(odd, odd.strategy, "f.toml")
    with pytest.raises(ConfigError, match="two strategies cannot share BTC/USDT:USDT"):
        check_market(usdm, usdm.strategy * 2, "f.toml")


def test_a_strategy_knows_what_is_free_of_one_quote():
    mixed = live("spot", feed={"symbols": ["BTC/USDT", "ETH/USDT", "ETH/BTC"]})
    with pytest.raises(ConfigError, match=r"f.toml: strategy\[0\] trades in BTC and USDT, and would know"):
        check_market(mixed, mixed.strategy, "f.toml")


def test_an_isolated_position_that_begins_too_near_its_liquidation_is_refused():
    for leverage, margin, taken in ((19, "isolated", True), (20, "isolated", False), (125, "cross", True)):
        config = live("usdm", venue={"leverage": leverage, "margin": margin})
        if taken:
            check_market(config, config.strategy, "f.toml")
            continue
        with pytest.raises(
            ConfigError, match=r"venue.leverage = 20 an isolated position is liquidated sooner"
        ):
            check_market(config, config.strategy, "f.toml")


def test_a_venue_on_ccxt_is_the_feed_s_exchange_and_has_a_journal_of_its_own():
    live = BASE.replace('"paper"', '"live"') + '[venue]\nkind = "ccxt"\n'
    config = read(live)
    assert (config.venue.exchange, config.journal.path) == ("binance", "var/x/journal-live-binance")
    other = read(live + 'exchange = "binanceus"')
    assert (other.venue.exchange, other.journal.path) == ("binanceus", "var/x/journal-live-binanceus")
    through = live.replace("[feed]", '[feed]\nexchange = "ccxt:kraken"') + "stops = false"
    assert read(through).venue.exchange == "kraken"
    unknown = live + 'exchange = "hitbtc"\n'
    assert "'hitbtc' is not among those known here (bigone, binance," in refusal(unknown)
    assert "into [venue.form], which lacks id, id_length, immediate, post_only (" in refusal(unknown)
    form = '[venue.form]\nid = "client_order_id"\nid_length = 36\nimmediate = { ioc = true }\n'
    assert "which lacks post_only (" in refusal(unknown + form)
    told = read(unknown + "post_only = false\n" + form).venue.form
    named = read(live, TICKD__VENUE__CREDENTIALS__apiKey="K").venue
    assert named.credentials == {"apiKey": "K"}
    assert (told.id, told.options) == ("client_order_id", {"defaultType": "spot"})
    assert "too short for those of this daemon" in refusal(
        unknown + "post_only = false\n" + form.replace("36", "9")
    )
    assert "venue.form is known for binance; leave the section out" in refusal(live + form)
    assert "venue.form has no key 'id_lenght'; did you mean 'id_length'?" in refusal(
        unknown + "[venue.form]\nid_lenght = 3"
    )
    for key in ("exchange = 'okx'", "credentials = { apiKey = 'K' }", "form = { id = 'x' }"):
        assert 'is of venue.kind = "ccxt" only' in refusal(live.replace("ccxt", "binance") + key)
    assert "takes keys of key_type" in refusal(live + 'key_type = "ed25519"')
    assert "venue.timeout_ms is 10001, on ccxt 10000 at most" in refusal(live + "timeout_ms = 10001")
    assert 'is of venue.kind = "binance"' in refusal(
        live + 'environment = "testnet"\nkey_env = "K"\nsecret_env = "S"'
    )
    assert "has a transport of its own" in refusal(live + 'transport = "websockets"')
    assert 'is of venue.kind = "ccxt" only' in refusal(live.replace("ccxt", "binance") + 'exchange = "okx"')
    usdm = live.replace("[feed]", '[feed]\nmarket = "usdm"')
    assert 'venue.kind = "ccxt" trades feed.market = "spot" only' in refusal(usdm)


def test_a_countdown_through_ccxt_is_for_exchanges_that_have_one():
    live = BASE.replace('"paper"', '"live"') + '[venue]\nkind = "ccxt"\nstops = false\ndead_man_s = 30\n'
    assert read(live + 'exchange = "okx"').venue.dead_man_s == 30
    assert "f.toml: binance is not known to cancel all orders after a countdown" in refusal(live)
    assert "venue.dead_man_s is 121, and at okx must be between 10 and 120" in refusal(
        live.replace("30", "121") + 'exchange = "okx"'
    )
    stops = live.replace("stops = false", "stops = true") + 'exchange = "kraken"'
    assert "the countdown of kraken cancels protective stops too" in refusal(stops)


def test_on_paper_it_is_rehearsed_as_it_is_written():
    live = BASE.replace('"paper"', '"live"') + '[venue]\nkind = "ccxt"\nexchange = "binance"\nstops = false\n'
    config = read(live, TICKD__MODE="paper", TICKD__VENUE__KIND="paper")
    assert (config.venue.kind, config.journal.path) == ("paper", "var/x/journal-paper")


@pytest.mark.parametrize(("window_ms", "seconds"), [(5000, 60.0), (60_000, 71.0)])
def test_an_order_is_not_taken_for_absent_while_it_could_still_arrive(window_ms, seconds):
    venue = {"kind": "binance", "recv_window_ms": window_ms}
    assert absence_s_min(live("spot", mode="live", venue=venue).venue) == seconds
    with pytest.raises(ConfigError, match=rf"absence_s is 59, and must be at least {seconds:g} with this"):
        live("spot", mode="live", venue=venue | {"absence_s": 59})
    simulated = venue | {"absence_s": 2, "ws_url": "ws://127.0.0.1:9/ws-api/v3"}
    assert live("spot", mode="live", venue=simulated).venue.absence_s == 2


def test_a_feed_is_one_of_ours_or_any_of_ccxt_s_which_has_a_transport_of_its_own():
    through = BASE.replace("[feed]", '[feed]\nexchange = "ccxt:bitstamp"')
    assert read(through).feed.exchange == "ccxt:bitstamp"
    for name in ("mtgox", "ccxt:", "ccxt:../x", "ccxt:Kraken"):
        said = refusal(through.replace("ccxt:bitstamp", name))
        assert "feed.exchange must be binance, bybit, okx, kraken, coinbase, or ccxt:NAME" in said
    other = through.replace("[feed]", '[feed]\ntransport = "websockets"')
    assert "ccxt:bitstamp has a transport of its own; leave feed.transport out" in refusal(other)
    assert 'feed.compress needs feed.transport = "websockets"' in refusal(
        through.replace("[feed]", "[feed]\ncompress = true")
    )
