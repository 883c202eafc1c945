from __future__ import annotations

from tests.daemon.test_config import BASE, read, refusal


def test_a_venue_on_ccxt_is_the_feed_s_exchange_and_has_a_journal_of_its_own():
    live = BASE.replace('"paper"', '"live"') + '[venue]\nkind = "ccxt"\n'
    config = read(live)
    assert (config.venue.exchange, config.journal.path) == ("binance", "var/x/journal-live-binance")
    other = read(live + 'exchange = "binanceus"')
    assert (other.venue.exchange, other.journal.path) == ("binanceus", "var/x/journal-live-binanceus")
    assert "takes keys of key_type" in refusal(live + 'key_type = "ed25519"')
    assert "venue.timeout_ms is 10001, on ccxt 10000 at most" in refusal(live + "timeout_ms = 10001")
    assert "has a transport of its own" in refusal(live + 'transport = "websockets"')
    assert 'is of venue.kind = "ccxt" only' in refusal(live.replace("ccxt", "binance") + 'exchange = "okx"')
    usdm = live.replace("[feed]", '[feed]\nmarket = "usdm"')
    assert 'venue.kind = "ccxt" trades feed.market = "spot" only' in refusal(usdm)


def test_on_paper_it_is_rehearsed_as_it_is_written():
    live = BASE.replace('"paper"', '"live"') + '[venue]\nkind = "ccxt"\nexchange = "binance"\nstops = false\n'
    config = read(live, TICKD__MODE="paper", TICKD__VENUE__KIND="paper")
    assert (config.venue.kind, config.journal.path) == ("paper", "var/x/journal-paper")
