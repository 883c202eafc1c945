from itertools import pairwise

import msgspec
import pytest

from daemon.simulator.market import MarketSettings, SyntheticMarket
from daemon.simulator.marketdata import MarketData
from daemon.simulator.publisher import Publisher
from daemon.simulator.streams import Hub, MarketSession
from daemon.simulator.symbols import list_symbol
from daemon.simulator.synthetic import SyntheticDriver
from kernels import book as books
from kernels.dtypes import BUY, SELL
from tests.daemon.simulator.conftest import Outbox, instrument

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture
def run():
    """Run a spot market (its grid the listing's) for some seconds with a listener of three streams."""
    from daemon.simulator.settings import _catalogued

    def run(seconds, step_ns=SECOND_NS // 7):
        one = _catalogued(0, "spot", "BTC/USDT")
        source = SyntheticMarket(one, MarketSettings(seed=4), START_NS)
        hub, outbox, market = Hub(), Outbox(), MarketData(list_symbol(one))
        streams = [f"btcusdt@{kind}" for kind in ("trade", "bookTicker", "depth@100ms")]
        MarketSession(hub, outbox, streams, True, 1024)
        driver = SyntheticDriver(source, [market], Publisher(hub, market))
        now = START_NS
        while now < START_NS + seconds * SECOND_NS:
            now = min(now + step_ns, START_NS + seconds * SECOND_NS)
            driver.advance(now)
        return driver, source, market, [msgspec.json.decode(payload) for payload in outbox.sent]

    return run


def test_the_listing_starts_from_the_whole_book(run):
    _, source, market, messages = run(0)
    snapshot = source.snapshot()
    assert messages == []
    assert market.synced
    assert len(books.levels(market.book, BUY)[0]) == len(snapshot.bids)
    assert market.touch()[0] == int(snapshot.bids[0, 0]) * market.symbol.tick


def test_the_book_that_listeners_build_equals_the_markets(run):
    _, source, market, messages = run(5)
    depth = [message["data"] for message in messages if message["stream"].endswith("@depth@100ms")]
    assert len(depth) == 50
    assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(depth))
    assert depth[-1]["u"] == market.update_id
    kinds = {message["stream"].partition("@")[2] for message in messages}
    assert kinds == {"trade", "bookTicker", "depth@100ms"}
    for side, rows in ((BUY, source.snapshot().bids), (SELL, source.snapshot().asks)):
        ticks, lots = books.levels(market.book, side)
        book = dict(zip(ticks.tolist(), lots.tolist(), strict=True))
        published = dict(rows.tolist())
        same = sum(book.get(ticks) == lots for ticks, lots in published.items())
        assert same > 0.9 * len(published)  # but for what happened since the last 100 ms


def test_the_stream_is_the_same_however_it_is_cut(run):
    assert run(2)[3] == run(2, step_ns=SECOND_NS)[3]


def test_trades_and_quotes_carry_rising_ids(run):
    _, _, market, messages = run(3)
    trades = [message["data"] for message in messages if message["stream"].endswith("@trade")]
    assert [trade["t"] for trade in trades] == list(range(trades[0]["t"], trades[0]["t"] + len(trades)))
    assert market.trades[-1].trade_id == trades[-1]["t"]
    quotes = [message["data"]["u"] for message in messages if message["stream"].endswith("@bookTicker")]
    assert quotes == sorted(quotes)


def test_an_instrument_of_another_grid_is_listed_on_the_catalogues():
    from daemon.simulator.settings import _catalogued

    assert str(_catalogued(0, "spot", "BTC/USDT").lot_size) == "0.00001"
    assert str(instrument("BTC/USDT").lot_size) == "0.001"
