import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import FileFormatError
from daemon.simulator.marketdata import MarketData
from daemon.simulator.publisher import Publisher
from daemon.simulator.streams import Hub, MarketSession
from daemon.simulator.symbols import UNIT, list_symbol, text
from daemon.simulator.tape import TapePlayer, price_units, scan
from kernels import book as books
from kernels.dtypes import BUY, SELL
from tests.daemon.simulator.conftest import DEPTH, QUOTE, SNAPSHOT, TRADE, Outbox

FOREVER = 1 << 62


def player(path, *streams):
    """Return a player with one combined listener of `streams` (all of the tape's by default)."""
    facts = scan(path)
    hub, outbox = Hub(), Outbox()
    MarketSession(hub, outbox, list(streams or facts.streams), True, 1024)
    market = MarketData(list_symbol(facts.instrument))
    return TapePlayer(path, facts, hub, Publisher(hub, market, facts.streams), [market]), market, outbox


@given(st.integers(0, 10**17))
def test_price_units_are_exact(amount):
    assert price_units(text(amount)) == amount
    assert price_units(text(amount).rstrip("0").rstrip(".") or "0") == amount


@pytest.mark.parametrize("number", ["1.123456789", "x", "", "1e5", "1.2.3"])
def test_what_is_no_price_is_refused(number):
    with pytest.raises(ValueError):  # noqa: PT011 - int()'s own, and ours
        price_units(number)


def test_a_look_at_a_tape_tells_its_streams_instrument_and_snapshot(write):
    facts = scan(write(QUOTE, SNAPSHOT, TRADE, QUOTE))
    assert facts.streams == ("btcusdt@bookTicker", "btcusdt@trade")
    assert facts.instrument.symbol == "BTC/USDT"
    assert msgspec.json.decode(facts.snapshot)["lastUpdateId"] == 10


def test_frames_are_handed_on_byte_for_byte_and_move_the_market(write):
    tape, market, outbox = player(write(QUOTE, TRADE))
    batch = tape.play(FOREVER, 100)
    assert (batch.frames, batch.next_ns, batch.waits) == (2, None, False)
    assert outbox.sent == [QUOTE.encode(), TRADE.encode()]
    assert market.touch() == (100 * UNIT, UNIT, 10_001 * UNIT // 100, 2 * UNIT)
    assert (market.last_price, market.trades[0].trade_id) == (10_001 * UNIT // 100, 7)


def test_only_what_is_due_is_played_and_never_more_than_asked(write):
    tape, _, outbox = player(write(QUOTE, QUOTE, QUOTE, QUOTE))
    assert tape.first_ns == 1_000
    assert tape.play(2_500, 100).next_ns == 3_000
    assert len(outbox.sent) == 2
    assert tape.play(FOREVER, 1).frames == 1
    assert tape.play(FOREVER, 100).next_ns is None
    assert tape.frames == 4


def test_the_tape_waits_at_its_snapshot_until_the_book_is_asked_for(write):
    tape, market, outbox = player(
        write(DEPTH % (8, 9, "99.00", "5"), SNAPSHOT, DEPTH % (11, 12, "98.00", "3"))
    )
    assert tape.play(FOREVER, 100).waits
    assert market.served(10).lastUpdateId == 10  # the snapshot to come
    assert tape.play(FOREVER, 100).waits
    tape.asked = True
    assert tape.play(FOREVER, 100).next_ns is None
    assert len(outbox.sent) == 2
    assert market.levels(10)[0] == [["100.00000000", "1.00000000"], ["98.00000000", "3.00000000"]]
    assert market.served(10).lastUpdateId == 12


def test_nobody_waits_where_nobody_hears_depth_or_patience_is_lost(write):
    lines = (QUOTE, DEPTH % (8, 9, "99.00", "5"), SNAPSHOT, QUOTE)
    tape, _, _ = player(write(*lines), "btcusdt@bookTicker")
    assert tape.play(FOREVER, 100).next_ns is None
    tape, market, _ = player(write(*lines))
    assert tape.play(FOREVER, 100).waits
    tape.lose_patience()
    assert tape.play(FOREVER, 100).next_ns is None
    assert market.synced


def test_a_frame_that_makes_no_sense_is_handed_on_and_counted(write):
    broken = [
        '{"stream":"btcusdt@trade","data":{"t":"x"}}',
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"t":1,"p":"NaN","q":"1","T":1,"m":true}}',
        '{"stream":"btcusdt@depth@100ms","data":{"U":1,"u":2,"b":[["-1","1"]],"a":[]}}',
        '{"stream":"btcusdt@bookTicker","data":{"b":"1e308"}}',
        '{"stream":"btcusdt@unheard","data":{}}',
    ]
    tape, market, outbox = player(write(QUOTE, *broken))
    assert tape.play(FOREVER, 100).next_ns is None
    assert [payload.decode() for payload in outbox.sent] == [QUOTE, *broken]
    assert tape.unreadable == 3
    assert market.touch() == (0, 0, 0, 0)  # the broken quote was the latest, and is no market
    assert list(market.trades) == []


def test_a_print_of_nothing_is_no_trade(write):
    tape, market, outbox = player(write(TRADE.replace("0.50", "0.00").replace("100.01", "0.00")))
    tape.play(FOREVER, 100)
    assert (len(outbox.sent), list(market.trades)) == (1, [])


def test_a_line_that_is_no_frame_ends_the_tape_with_its_number(write):
    tape, _, outbox = player(write(QUOTE, QUOTE))
    path = write(QUOTE, "no json", QUOTE)
    with pytest.raises(FileFormatError, match="line 2"):
        scan(path)
    assert outbox.sent == []
    assert tape.play(FOREVER, 1).frames == 1


def test_derived_streams_are_written_from_a_tape(write):
    tape, _, outbox = player(write(TRADE, DEPTH % (1, 2, "99.00", "5")), "btcusdt@aggTrade", "btcusdt@depth5")
    tape.play(FOREVER, 100)
    assert [message["stream"] for message in outbox.take()] == ["btcusdt@aggTrade", "btcusdt@depth5"]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("binance-spot-btcusdt-20240808.gz", {"trade": 9_757, "bookTicker": 28_040, "depth": 3_451}),
        ("binance-usdm-btcusdt-20240808.gz", {"trade": 21_313, "bookTicker": 66_089, "depth": 6_551}),
    ],
)
def test_a_real_capture_is_streamed_whole(captures, name, counts):
    tape, market, outbox = player(captures / name)
    tape.asked = True
    while tape.play(FOREVER, 512).next_ns is not None:
        pass
    found: dict[str, int] = {}
    for payload in outbox.sent:
        kind = payload[11 : payload.index(b'"', 11)].decode().split("@")[1]
        found[kind] = found.get(kind, 0) + 1
    assert found == counts
    assert tape.unreadable == 0
    bid, _, ask, _ = market.touch()
    best_bid, best_ask = (int(books.levels(market.book, side)[0][-1]) for side in (BUY, SELL))
    book_bid = best_bid * market.symbol.tick
    assert 0 < bid < ask
    assert abs(book_bid - bid) < bid // 1_000  # the book followed to the end
    assert best_bid < best_ask
