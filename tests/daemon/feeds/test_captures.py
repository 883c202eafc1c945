"""Real captures through the core: every frame counted, no gap, books that agree with the quotes."""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from kernels import book as books
from kernels.dtypes import BUY, QUOTE, SELL

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> list[tuple[int, bytes]]:
    with gzip.open(path) as file:
        return [
            (int(stamp), payload) for stamp, payload in (line.rstrip(b"\n").split(b" ", 1) for line in file)
        ]


CASES = [
    ("binance-spot-btcusdt-20240808.gz", "spot", "BTC/USDT", (9_757, 28_040, 3_451, 1)),
    ("binance-usdm-btcusdt-20240808.gz", "usdm", "BTC/USDT", (21_313, 66_089, 6_551, 1)),
    ("binance-coinm-btcusd_perp-20240808.gz", "coinm", "BTC/USD", (2_286, 19_136, 26_847, 1)),
    ("binance-coinm-btcusd_perp-20240809.gz", "coinm", "BTC/USD", (2_949, 29_219, 17_948, 0)),
]


class Checked:
    """Replays a capture and compares the book with the newest quote that the depth update had seen."""

    def __init__(self, bench, instrument, path: Path, market, symbol) -> None:
        self.it = bench(instrument(market, symbol))
        self.lane = self.it.core.lanes[0]
        self.quotes: dict[int, tuple[int, int]] = {}
        self.agreed = self.differed = 0
        price = instrument(market, symbol).price
        quote_id = 0
        for wire_ns, payload in read(path):
            ticks, told = len(self.it.sink.ticks), len(self.it.sink.books)
            self.it.core.process(payload, wire_ns, False)
            if len(self.it.sink.ticks) > ticks and self.it.sink.ticks[-1].kind == QUOTE:
                quote = self.it.sink.ticks[-1]
                quote_id = quote.id
                self.quotes[quote_id] = (price.count(quote.a), price.count(quote.c))
            # a book that ends at the very update of the newest quote has that quote on top
            if len(self.it.sink.books) > told and self.lane.sync.last_id == quote_id:
                same = self.it.sink.books[-1][2:] == self.quotes[quote_id]
                self.agreed += same
                self.differed += not same


@pytest.mark.parametrize(("name", "market", "symbol", "counts"), CASES)
def test_a_capture_is_read_whole(bench, instrument, captures: Path, name, market, symbol, counts) -> None:
    checked = Checked(bench, instrument, captures / name, market, symbol)
    core, lane = checked.it.core, checked.lane
    assert (lane.trade.count, lane.quote.count, lane.depth.count, lane.snapshots) == counts
    assert core.frames == sum(counts)
    assert len(checked.it.sink.ticks) == counts[0] + counts[1]
    assert core.errors == {}
    assert lane.gaps == {}
    assert (lane.trade_ids.gaps, lane.trade_ids.repeated, lane.trade_ids.older) == (0, 0, 0)
    assert (lane.quote_ids.repeated, lane.quote_ids.older) == (0, 0)
    if counts[3]:
        assert checked.it.sink.statuses == [(0, True, "snapshot")]
        assert lane.sync.synced
        assert lane.sync.held_dropped == 0
        assert checked.differed == 0
        assert checked.agreed > 100
    else:
        assert checked.it.sink.books == []


def twin_of(path: Path, one, frames_max: int) -> dict[int, dict[int, int]]:
    """Build both sides as dicts from ticks to lots, slowly, from the snapshot and what follows it."""
    messages = [json.loads(payload) for _, payload in read(path)[:frames_max]]
    snapshot = next(message for message in messages if "lastUpdateId" in message)
    updates = [message["data"] for message in messages if message.get("data", {}).get("e") == "depthUpdate"]
    lists = [(snapshot["bids"], snapshot["asks"])]
    lists += [(update["b"], update["a"]) for update in updates if update["u"] > snapshot["lastUpdateId"]]
    twin: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
    for bids, asks in lists:
        for side, levels in ((BUY, bids), (SELL, asks)):
            for price, qty in levels:
                lots = int(Decimal(qty) / one.lot_size)
                if Decimal(qty) > 0:
                    twin[side][one.price.parse(price)] = max(1, lots)
                else:
                    twin[side].pop(one.price.parse(price), None)
    return twin


@pytest.mark.parametrize(("name", "market", "symbol", "counts"), CASES[:3])
def test_the_book_equals_one_built_from_a_dict(
    bench, instrument, captures: Path, name, market, symbol, counts
) -> None:
    one = instrument(market, symbol)
    it = bench(one)
    for wire_ns, payload in read(captures / name)[:20_000]:
        it.core.process(payload, wire_ns, False)
    book = it.core.lanes[0].book
    for side, levels in twin_of(captures / name, one, 20_000).items():
        assert len(levels) > 500
        ticks, lots = books.levels(book, side)
        assert len(ticks) == len(levels)
        assert dict(zip(ticks.tolist(), lots.tolist(), strict=True)) == levels


@pytest.mark.parametrize(("name", "market", "symbol", "counts"), CASES[1:3])
def test_an_update_that_was_taken_out_of_a_capture_is_one_gap(
    bench, instrument, captures: Path, name, market, symbol, counts
) -> None:
    frames = read(captures / name)[:20_000]
    synced = next(place for place, (_, payload) in enumerate(frames) if b"lastUpdateId" in payload)
    depths = [place for place, (_, payload) in enumerate(frames) if b'"depthUpdate"' in payload]
    del frames[next(place for place in depths if place > synced + 1_000)]
    it = bench(instrument(market, symbol))
    for wire_ns, payload in frames:
        it.core.process(payload, wire_ns, False)
    assert it.core.lanes[0].gaps == {"gap": 1}
    assert it.sink.statuses == [(0, True, "snapshot"), (0, False, "gap")]
    assert it.requests[-1:] == [0]


#: captures of 2021, without a snapshot: (name, market, updates held at least)
OLDER = [("binance", "spot", 150), ("binance-futures", "usdm", 700), ("binance-delivery", "coinm", 900)]
DATED = re.compile(r"_\d{6}$")


def undated(instrument, frames: list[tuple[int, bytes]], market) -> list:
    """Return the instruments of all that is streamed and has no end."""
    streams = {json.loads(payload)["stream"].partition("@")[0] for _, payload in frames}
    return [
        msgspec.structs.replace(instrument(market, name, index), exchange_symbol=name.upper())
        for index, name in enumerate(sorted(name for name in streams if not DATED.search(name)))
    ]


@pytest.mark.parametrize(("name", "market", "held"), OLDER)
def test_an_older_capture_has_all_its_books_chained(
    bench, instrument, captures: Path, name, market, held
) -> None:
    """It has no snapshot, so updates are held: one that did not follow would have had them dropped."""
    frames = read(captures / "older" / f"{name}.gz")
    it = bench(*undated(instrument, frames, market))
    told = {"": 0}
    for wire_ns, payload in frames:
        it.core.process(payload, wire_ns, False)
        name, _, stream = json.loads(payload)["stream"].partition("@")
        reason = "" if stream in ("bookTicker", "depth@100ms") else "stream"
        reason = "symbol" if DATED.search(name) else reason
        told[reason] = told.get(reason, 0) + 1
    lanes = it.core.lanes
    counted = sum(lane.quote.count + lane.depth.count for lane in lanes)
    assert (counted, it.core.errors) == (told.pop(""), told)
    assert sum(lane.sync.held for lane in lanes) > held
    assert [lane.sync.held_dropped for lane in lanes] == [0] * len(lanes)


def test_an_update_that_an_older_capture_lacks_has_what_was_held_before_it_dropped(
    bench, instrument, captures: Path
) -> None:
    frames = read(captures / "older" / "binance-delivery.gz")
    ours = undated(instrument, frames, "coinm")
    depths = [
        place for place, (_, payload) in enumerate(frames) if b'"ETCUSD_PERP","ps":"ETCUSD","U"' in payload
    ]
    del frames[depths[20]]
    it = bench(*ours)
    for wire_ns, payload in frames:
        it.core.process(payload, wire_ns, False)
    dropped = {one.exchange_symbol: it.core.lanes[one.index].sync.held_dropped for one in ours}
    assert {name: count for name, count in dropped.items() if count} == {"ETCUSD_PERP": 20}
