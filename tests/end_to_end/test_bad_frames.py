"""A market that lies: every bad frame is counted by its reason and forgotten, and trading goes on."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.end_to_end.harness import CROSS, checked_bench, fetch, until
from tests.end_to_end.liar import Liar

#: with dips of 5 USDT every 40 ticks the trend turns all the time
FAST = CROSS.replace("band_bps = 0.0", "band_bps = 0.05")


@pytest.fixture(scope="module")
def liar():
    with Liar() as one:
        yield one


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with checked_bench(tmp_path_factory.mktemp("bad_frames")) as one:
        yield one


@pytest.fixture(scope="module")
def daemon(bench, liar):
    """One for all: each test compares with what it told before, and leaves it trading."""
    config = bench.config({"spot": liar.url}, FAST, mode="paper", kind="paper")
    one = bench.daemon(bench.tickd("paper", config, "--json"))
    one.ready()
    one.until(lambda state: state["instruments"][0]["book_synced"], "the book is in sync")
    one.filled()
    yield one
    assert one.child.end() == 0
    assert one.child.json["state"] == "STOPPED"


@pytest.fixture
def before(daemon):
    return daemon.state()


def bad_frames(liar):
    """Return (reason, frame) of everything that can be wrong with one."""
    now = time.time_ns() // 1_000_000
    trade, quote, depth = liar.trade, liar.quote, liar.depth
    good = trade()
    return [
        ("json", good[: len(good) // 2]),
        ("json", good[:-1]),
        ("json", b""),
        ("json", b"\x00\x01\x02"),
        ("json", b'{"stream":"btcusdt@trade","data":{"e":"trade","t":NaN}}'),
        ("json", quote().replace(b'"60000.00"', b"NaN").replace(b'"60005.00"', b"NaN")),
        ("type", b"[" * 100_000),
        ("type", b"[1,2,3]"),
        ("type", b"null"),
        ("type", b'{"stream":"btcusdt@trade","data":[]}'),
        ("type", b'{"hello":"world"}'),
        ("type", trade(m="yes")),
        ("price", trade(p={"a": 1})),
        ("price", trade(p="NaN")),
        ("price", trade(p="-60000.00")),
        ("price", trade(p="1e308")),
        ("price", trade(p="0")),
        ("price", trade(p=None)),
        ("price", quote(b="inf")),
        ("price", quote(a="-1")),
        ("price", quote(a="1e308")),
        ("qty", trade(q="-0.5")),
        ("qty", trade(q="0")),
        ("qty", trade(q="1e308")),
        ("qty", quote(B="nan")),
        ("crossed", quote(b="60010.00", a="60000.00")),
        ("id", trade(t=-1)),
        ("id", trade(t=2**63)),
        ("id", quote(u=1.5)),
        ("time", trade(T=10**18)),
        ("time", trade(T="soon")),
        ("symbol", trade(s="ETHUSDT")),
        ("symbol", liar.frame("ethusdt@trade", e="trade", s="ETHUSDT", t=1, p="1", q="1", T=now, m=True)),
        ("stream", liar.frame("btcusdt@kline_1m", e="kline", s="BTCUSDT")),
        ("id", depth(u=1)),
        ("price", trade(p="6" * 400)),
        ("json", b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"' + b"x" * (1 << 20)),
        ("symbol", trade(s="x" * (1 << 20))),
    ]


def reasons(state):
    return Counter(state["feed_errors"])


def test_every_malformed_frame_is_counted_by_reason_and_trading_goes_on(daemon, liar, before):
    wanted = reasons(before)
    for reason, frame in bad_frames(liar):
        liar.send(frame)
        wanted[reason] += 1
    state = daemon.until(lambda state: reasons(state).total() >= wanted.total(), "all bad frames are counted")
    assert reasons(state) == wanted
    text = fetch(daemon.socket, "/metrics")[1]
    for reason, count in wanted.items():
        assert f'tickd_feed_errors_total{{reason="{reason}"}} {count:.1f}' in text
    one = daemon.filled(3)
    assert (one["state"], one["instruments"][0]["book_synced"]) == ("READY", True)
    assert one["feed_reconnects"] == before["feed_reconnects"]
    assert 59_000 < one["instruments"][0]["bid"] <= one["instruments"][0]["ask"] < 61_000


def test_repeated_and_disordered_ids_are_taken_once(daemon, liar, before):
    old = liar.trade()
    new = liar.trade()
    liar.send(new, old, new, old)
    quotes = [liar.quote() for _ in range(3)]
    liar.send(*quotes, *reversed(quotes), *quotes)
    repeated = liar.depth()
    liar.send(repeated, repeated)
    after = daemon.filled()
    assert after["feed_errors"] == before["feed_errors"]
    assert after["instruments"][0]["book_synced"]


def test_a_gap_and_bad_levels_cost_the_book_and_nothing_more(daemon, liar, before):
    snapshots = liar.snapshots
    liar.update += 50
    liar.send(liar.depth())
    state = daemon.until(resynced(before, 1), "the book is rebuilt after a gap")
    assert liar.snapshots > snapshots
    assert reasons(state) == reasons(before)
    liar.send(liar.depth(b=[["59990.00"]]))
    state = daemon.until(resynced(before, 2), "the book is rebuilt after bad levels")
    assert reasons(state) - reasons(before) == {"levels": 1}
    daemon.filled()


def resynced(before, gaps):
    begun = before["instruments"][0]

    def holds(state):
        one = state["instruments"][0]
        more = (one["book_gaps"] - begun["book_gaps"], one["book_resyncs"] - begun["book_resyncs"])
        return more == (gaps, gaps) and one["book_synced"]

    return holds


def test_a_cut_stream_and_a_frame_larger_than_any_are_connected_again(daemon, liar, before):
    connects = liar.connects
    for number, disturb in enumerate([liar.cut, lambda: liar.send(liar.trade(s="x" * (17 << 20)))], 1):
        disturb()
        until(lambda: liar.connects >= connects + number, "it connects again")  # noqa: B023 - used at once
        state = daemon.until(
            lambda state: state["feed_connected"] and state["instruments"][0]["book_synced"],
            "it streams again",
        )
        assert state["feed_reconnects"] == before["feed_reconnects"] + number
    daemon.filled()
