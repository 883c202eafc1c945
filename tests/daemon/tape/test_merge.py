"""Several tapes as one: by wire time, drains whole, and every strategy decides as on its own tape alone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config import from_tree
from daemon.errors import FileFormatError, UsageError
from daemon.instruments import make_instrument
from daemon.options import ReplayOptions
from daemon.tape import replay as replays
from daemon.tape.merge import MergedSource, open_sources
from daemon.tape.player import Span
from daemon.tape.source import CaptureSource, Chunk, MarketFeed
from tests.daemon.tape.test_replay import lasting

RULES = {"qty_min": "0.00001", "qty_max": "9000", "notional_min": "5"}
ETH = make_instrument(0, "binance", "spot", "ETH/USDT", tick_size="0.01", lot_size="0.00001", **RULES)
OKX = make_instrument(
    0, "okx", "spot", "BTC/USDT", tick_size="0.1", lot_size="0.00001", exchange_symbol="BTC-USDT", **RULES
)
TOPS = {"streams": ("trade", "quote")}


def of_eth(lines, later_ns=0):
    """Return lines as they would be of ETH/USDT, so much later."""
    return [
        b"%d %s" % (int(one[:19]) + later_ns, one[20:].replace(b"btc", b"eth").replace(b"BTC", b"ETH"))
        for one in lines
    ]


def of_okx(lines):
    """Return the trades and quotes of lines as OKX tells them, a millisecond later."""
    told = []
    for line in lines:
        stamp, payload = int(line[:19]) + 1_000_000, line[20:]
        data = msgspec.json.decode(payload).get("data", {})
        if b"@trade" in payload:
            side = "sell" if data["m"] else "buy"
            body = (
                f'{{"instId":"BTC-USDT","tradeId":"{data["t"]}","px":"{data["p"][:-1]}","sz":"{data["q"]}",'
            )
            body += f'"side":"{side}","ts":"1723161254000","count":"1"}}'
            channel = "trades"
        elif b"@bookTicker" in payload:
            bid = float(data["b"][:-1])
            asks, bids = f'["{bid + 0.1:.1f}","{data["A"]}","0","1"]', f'["{bid:.1f}","{data["B"]}","0","1"]'
            body = f'{{"asks":[{asks}],"bids":[{bids}],"ts":"1723161254000","seqId":{data["u"]}}}'
            channel = "bbo-tbt"
        else:
            continue
        text = f'{stamp} {{"arg":{{"channel":"{channel}","instId":"BTC-USDT"}},"data":[{body}]}}'
        told.append(text.encode())
    return told


def tops_of(lines):
    return [one for one in lines if b"@trade" in one or b"@bookTicker" in one]


def played(*paths, config=None, span=replays.WHOLE):
    source = open_sources(paths)
    options = ReplayOptions(files=tuple(paths), config=config)
    return replays.replay(source, replays._config(options, source), span)


def digests(result):
    return result.decision_digest.split("-")


# --- the order ----------------------------------------------------------------------------------------------
def test_one_path_is_no_merge(lines_of, capture_of):
    assert isinstance(open_sources([capture_of(lines_of(50))]), CaptureSource)


def test_whose_sessions_they_are_is_told_once_each():
    assert merged(Fake("b", frames(1)), Fake("a", frames(2)))[0].traded_by == ["both", "a", "b"]


class Fake:
    """A source of one instrument, whose entries are given by (wire_ns, stream, last)."""

    def __init__(self, name, entries, symbol="", size=2, last_ns=0):
        self.name, self.entries, self.size = name, entries, size
        self.instruments = [make_instrument(0, "binance", "spot", symbol or f"{name}/USDT", tick_size="1",
                                            lot_size="1", **RULES)]  # fmt: skip
        self.streams = self.capture = None
        self.started_ns, self.last_ns = 0, last_ns
        self.traded_by = ["both", name]
        self.markets = [MarketFeed(None, self.instruments)]

    def chunks(self, from_ns):
        del from_ns
        for at in range(0, len(self.entries), self.size):
            some = self.entries[at : at + self.size]
            yield Chunk(*zip(*[(*one, b"%s%d" % (self.name.encode(), at + k)) for k, one in enumerate(some)],
                             strict=True))  # fmt: skip

    def notes(self):
        return [self.name]


def merged(*sources):
    source = MergedSource(sources)
    entries = [one for chunk in source.chunks(0) for one in zip(*chunk, strict=True)]
    return source, [(wire_ns, payload) for wire_ns, _, _, payload in entries]


def frames(*wires_ns):
    return [(one, "feed/0", True) for one in wires_ns]


def test_entries_stand_by_wire_time_and_ties_by_symbol_however_they_are_named():
    a, b = Fake("A", frames(1, 4, 5, 9)), Fake("B", frames(0, 4, 4, 6, 7))
    wanted = [
        (0, b"B0"), (1, b"A0"), (4, b"A1"), (4, b"B1"), (4, b"B2"), (5, b"A2"), (6, b"B3"), (7, b"B4"),
        (9, b"A3"),
    ]  # fmt: skip
    for order in ((a, b), (b, a)):
        source, entries = merged(*order)
        assert entries == wanted
        assert (source.notes(), source.backwards(99)) == (["A", "B"], 0)


def test_a_drain_stays_whole_where_its_last_frame_was_received():
    a = Fake("A", [(1, "feed/0", False), (2, "snapshot/A", False), (3, "feed/0", False), (6, "feed/0", True)])
    b = Fake("B", frames(0, 2, 5, 6, 7))
    _, entries = merged(a, b)
    assert entries == [
        (0, b"B0"), (2, b"B1"), (5, b"B2"), (1, b"A0"), (2, b"A1"), (3, b"A2"), (6, b"A3"), (6, b"B3"),
        (7, b"B4"),
    ]  # fmt: skip


def test_a_whole_book_waits_for_the_drain_that_decides_on_it_and_a_cut_for_none():
    a = Fake("A", [(1, "snapshot/A", False), (4, "feed/0", True), (6, "cut/0", False), (8, "core", False)])
    _, entries = merged(a, Fake("B", frames(3, 7)))
    assert entries == [(3, b"B0"), (1, b"A0"), (4, b"A1"), (6, b"A2"), (7, b"B1"), (8, b"A3")]


def test_a_drain_that_a_tape_breaks_off_stands_at_its_last_entry():
    a = Fake("A", [(1, "feed/0", False), (4, "feed/0", False)])
    _, entries = merged(a, Fake("B", frames(3, 7)))
    assert entries == [(3, b"B0"), (1, b"A0"), (4, b"A1"), (7, b"B1")]


def test_a_tape_that_runs_backwards_keeps_its_own_order():
    source, entries = merged(Fake("A", frames(5, 3, 8)), Fake("B", frames(4, 6)))
    assert entries == [(4, b"B0"), (5, b"A0"), (3, b"A1"), (6, b"B1"), (8, b"A2")]
    assert source.backwards(99) == 1


_ENTRY = st.tuples(
    st.integers(0, 30), st.sampled_from(["feed/0", "feed/1", "snapshot/X", "cut/0", "core"]), st.booleans()
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.lists(_ENTRY, max_size=12), min_size=2, max_size=4), st.integers(1, 5))
def test_the_order_is_that_of_a_slow_twin(tapes, size):
    names = "ABCD"[: len(tapes)]
    _, entries = merged(
        *(Fake(name, sorted(tape), size=size) for name, tape in zip(names, tapes, strict=True))
    )
    slow = []
    for name, tape in zip(names, tapes, strict=True):
        drain, is_open = [], False
        for at, (wire_ns, stream, last) in enumerate(sorted(tape)):
            drain.append((wire_ns, b"%s%d" % (name.encode(), at)))
            is_open = {"f": not last, "s": True, "c": False}[stream[0]] if stream != "core" else is_open
            if not is_open:
                slow.append((wire_ns, name, drain))
                drain = []
        if drain:
            slow.append((drain[-1][0], name, drain))
    assert entries == [one for _, _, drain in sorted(slow, key=lambda one: one[:2]) for one in drain]


# --- what is one record, and what is not --------------------------------------------------------------------
def test_a_symbol_that_two_tell_at_the_same_time_is_refused(lines_of, tape_of):
    lines = lines_of(100)
    first, second = tape_of(lines[:60]), tape_of(lines[40:])
    with pytest.raises(FileFormatError, match=r"tape0 and .*tape1 both tell BTC/USDT of binance at 20"):
        played(first, second)


@pytest.mark.parametrize("named", [1, -1])
def test_of_tapes_that_is_known_before_anything_is_played(lines_of, tape_of, named):
    lines = lines_of(100)
    first, second, third = tape_of(lines[:60]), tape_of(lines[40:80]), tape_of(lines[80:])
    (first / "manifest.json").unlink()  # killed, so that its own entries tell where it ends
    chunks = open_sources([first, second, third][::named]).chunks(0)
    with pytest.raises(FileFormatError, match=r"tape0 and .*tape1 both tell BTC/USDT of binance at 20"):
        next(chunks)
    assert list(open_sources([first, third][::named]).chunks(0))


def test_of_what_does_not_say_where_it_ends_when_the_second_begins():
    many = frames(*range(5_000))
    late = Fake("B", frames(4_500, 6_000), symbol="X/USDT")
    chunks = MergedSource([Fake("A", many, symbol="X/USDT", size=100), late]).chunks(0)
    assert len(next(chunks).wires_ns) >= 4_096
    with pytest.raises(FileFormatError, match="A and B both tell X/USDT of binance at 1970"):
        next(chunks)
    chunks = MergedSource([Fake("A", many, symbol="X/USDT", size=100, last_ns=4_999), late]).chunks(0)
    with pytest.raises(FileFormatError, match="A and B both tell X/USDT of binance at 1970"):
        next(chunks)


def test_a_symbol_goes_on_from_session_to_session_and_its_book_begins_anew(lines_of, tape_of):
    lines = lines_of(1_000)
    first, second = tape_of(lines[:600]), tape_of(lines[600:])
    whole, parts = played(tape_of(lines)), played(second, first)
    assert parts.events == whole.events
    assert parts.gaps == {"disconnected": 1}
    assert parts.books_unsynced == ["BTC/USDT"]  # the second session's tape has no whole book
    assert played(first).gaps == {}


def test_other_rules_and_other_streams_are_refused(lines_of, tape_of):
    lines = lines_of(60)
    coarse = make_instrument(0, "binance", "spot", "BTC/USDT", tick_size="0.1", lot_size="0.00001", **RULES)
    with pytest.raises(UsageError, match=r"BTC/USDT of binance with the tick_size 0\.\d+ and another"):
        open_sources([tape_of(lines[:30]), tape_of(lines[30:], coarse)])
    with pytest.raises(UsageError, match=r"holds .* and .*, which cannot be merged: replay them apart"):
        open_sources([tape_of(lines), tape_of(lines, ETH, members=TOPS)])


# --- what is traded -----------------------------------------------------------------------------------------
def test_two_symbols_of_one_exchange_are_traded_as_on_their_own_tapes(lines_of, tape_of):
    lines, others = lines_of(1_500), of_eth(lines_of(1_200, seed=2), 1_300_000)
    one, other = tape_of(lines), tape_of(others, ETH)
    both = played(one, other)
    assert both.symbols == ["BTC/USDT", "ETH/USDT"]
    assert digests(both) == [*digests(played(one)), *digests(played(other))]
    assert both.orders.fills > 0
    assert lasting(played(other, one)) == lasting(both)
    assert (both.backwards, both.books_unsynced) == (0, [])


def test_two_exchanges_are_two_feeds_and_name_their_instruments(lines_of, tape_of):
    lines = lines_of(1_500)
    one, other = tape_of(tops_of(lines), members=TOPS), tape_of(
        of_okx(lines), OKX, members={**TOPS, "exchange": "okx"}
    )  # fmt: skip
    both = played(other, one)
    assert both.symbols == ["BTC/USDT@binance", "BTC/USDT@okx"]
    apart = played(one), played(other)
    assert digests(both) == [digest for result in apart for digest in digests(result)]
    assert both.events == {kind: sum(one.events[kind] for one in apart) for kind in both.events}
    assert both.orders.fills > 0
    assert lasting(played(one, other)) == lasting(both)


def test_one_strategy_may_own_instruments_of_two_exchanges(lines_of, tape_of):
    lines = lines_of(1_500)
    paths = [
        tape_of(tops_of(lines), members=TOPS),
        tape_of(of_okx(lines), OKX, members={**TOPS, "exchange": "okx"}),
    ]
    symbols = ["BTC/USDT@binance", "BTC/USDT@okx"]
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": symbols, "streams": ["trade", "quote"]},
        "strategy": [{"name": "pairs", "symbols": symbols}],
        "paper": {"balances": {"USDT": "100000"}},
    }
    result = played(*paths, config=from_tree(tree, {}, "a test"))
    assert result.strategies == ["pairs"]
    assert result.decisions > 1_000


def test_a_part_is_played_by_time(lines_of, tape_of):
    lines, others = lines_of(1_000), of_eth(lines_of(1_000, seed=2), 1_300_000)
    one, other = tape_of(lines, segment_s=1), tape_of(others, ETH, segment_s=1)
    span = Span(from_ns=int(lines[400][:19]), until_ns=int(lines[800][:19]))
    result = played(one, other, span=span)
    assert result.decisions - result.orders.fills == 800 + 1  # on the other book, which is there already
    with pytest.raises(FileFormatError, match="ends before that"):
        played(one, other, span=Span(from_ns=2**62))


def test_a_capture_may_be_one_of_them(lines_of, tape_of, capture_of):
    lines = lines_of(500)
    result = played(capture_of(lines), tape_of(of_eth(lines, 1), ETH))
    assert result.symbols == ["BTC/USDT", "ETH/USDT"]
    assert sum(result.events.values()) == 1_000
    assert result.ratio == 0.0
    with pytest.raises(UsageError, match="a tape and a capture both tell BTC/USDT of binance: replay them"):
        open_sources([capture_of(lines), tape_of(lines)])
