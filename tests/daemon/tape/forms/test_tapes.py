"""Tapes to ticks: what a capture of the same frames gives, for every instrument, and what is missing told."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np
import pytest

from daemon.config import TapeConfig
from daemon.instruments import make_instrument
from daemon.tape.forms.base import State
from daemon.tape.forms.table import Wanted, find_source
from daemon.tape.forms.tapes import Tapes
from daemon.tape.recorder import Recorder
from kernels.columns import D_END, D_ROW, D_SEQ, D_SIZE, T_B, T_D, T_END, T_ID, T_ROW, T_SEQ


def tape_of(session, entries, header=None):
    """Record (stamp, stream, payload, last) and return the session."""
    one = session()
    if header is not None:
        one.recorder = Recorder(one.seams, one.recorder.folder, header, TapeConfig())

    async def live():
        for stamp, stream, payload, last in entries:
            one.time.advance(stamp)
            one.take(stream, payload, last=last)
        await one.recorder.close()

    asyncio.run(live())
    return one


def entries_of(lines):
    for number, line in enumerate(lines):
        stamp, _, payload = line.partition(b" ")
        stream = "snapshot/BTC/USDT" if b"lastUpdateId" in payload else "feed/0"
        yield int(stamp), stream, payload, number % 3 == 0


def rows(path, **wanted):
    state = State({})
    _, source = find_source(path, Wanted(**wanted))
    pieces = list(source.pieces(path, state))
    found = {}
    for name in dict.fromkeys(one.series.symbol for one in pieces):
        mine = [one.block for one in pieces if one.series.symbol == name]
        found[name] = (
            np.concatenate([one.ticks for one in mine], axis=1),
            np.concatenate([one.depth for one in mine], axis=1),
        )
    return found, {key[1]: one.findings for key, one in state.checks.items()}


def test_a_tape_gives_what_a_capture_of_its_frames_gives(session, lines_of, capture_of, tmp_path):
    lines = lines_of(1_500)
    tape_of(session, entries_of(lines))
    found, findings = rows(tmp_path / "tape")
    expected, _ = rows(capture_of(lines))
    ticks, depth = found["BTC/USDT"]
    ticks2, depth2 = expected["BTC/USDT"]
    assert findings == {"BTC/USDT": {}}
    assert (ticks[T_END] == (ticks[T_SEQ] % 3 == 0)).all()
    assert (depth[D_END] == (depth[D_SEQ] % 3 == 0)).all()
    ticks[T_END], depth[D_END] = 1, 1
    ticks2[T_ROW] -= 1  # entries count from 0, lines from 1
    depth2[D_ROW] -= 1
    assert (ticks == ticks2).all()
    assert (depth == depth2).all()


def test_a_segment_alone_is_a_tape_too(session, lines_of, tmp_path):
    tape_of(session, entries_of(lines_of(200)))
    (segment,) = (tmp_path / "tape").glob("*.arrows")
    assert find_source(segment, Wanted())[0] == "tape"
    found, _ = rows(segment)
    assert found["BTC/USDT"][0].shape[1] > 100


@pytest.mark.parametrize("spaced", [False, True])
def test_every_instrument_has_its_own_rows_and_checks(session, header, tmp_path, spaced):
    instruments = tuple(
        make_instrument(
            index, "binance", "spot", symbol, tick_size="0.50", lot_size="0.001", qty_min="0.001",
            qty_max="9", notional_min="5",
        )
        for index, symbol in enumerate(("BTC/USDT", "ETH/USDT"))
    )  # fmt: skip

    def trade(name, number):
        text = (
            f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":1,"s":"{name}","t":{number},"p":"10.5",'
            f'"q":"0.25","T":1723161254000,"m":true}}}}'
        )
        return (text.replace(":", ": ", 1) if spaced else text).encode()

    start = 1_723_161_254_000_000_000
    entries = [
        (start + number, "feed/0", trade(name, 5 + number // 2 + (number > 5 and name == "ETHUSDT")), True)
        for number in range(10)
        for name in (("BTCUSDT", "ETHUSDT")[number % 2],)
    ]
    tape_of(
        session, [*entries, (start + 20, "core", b"not the market", True)], header(instruments=instruments)
    )
    found, findings = rows(tmp_path / "tape")
    assert found["BTC/USDT"][0][T_ID].tolist() == [5, 6, 7, 8, 9]
    assert found["ETH/USDT"][0][T_ID].tolist() == [5, 6, 7, 9, 10]
    assert found["ETH/USDT"][0][T_SEQ].tolist() == [1, 3, 5, 7, 9]
    assert {symbol: list(one) for symbol, one in findings.items()} == {"BTC/USDT": [], "ETH/USDT": ["gap"]}
    assert findings["ETH/USDT"]["gap"].first[0].row == 7


def test_what_is_lost_is_told(session, lines_of, tmp_path):
    entries = list(entries_of(lines_of(300)))
    entries.insert(100, (entries[100][0], "cut/0", b"", True))
    entries[200] = (*entries[200][:2], b"no frame", True)
    tape_of(session, entries)
    _, findings = rows(tmp_path / "tape")
    mine = findings["BTC/USDT"]
    assert (mine["cut"].count, mine["cut"].first[0].row) == (1, 100)
    assert mine["frame"].first[0].row == 200


def test_connections_that_the_recorder_s_own_end_closes_are_no_cut(session, lines_of, tmp_path):
    entries = list(entries_of(lines_of(300)))
    end = entries[-1][0] + 5
    entries.insert(100, (entries[100][0], "cut/0", b"", False))
    entries += [(end, "cut/0", b"", False), (end, "cut/1", b"", False), (end, "core", b"stop", False)]
    tape_of(session, entries)
    _, findings = rows(tmp_path / "tape")
    assert {kind: [one.row for one in told.first] for kind, told in findings["BTC/USDT"].items()} == {
        "cut": [100]
    }


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, range(341)), (1, [341]), (7, range(342))],
)
def test_a_cut_is_told_of_the_instruments_of_its_connection(
    session, header, lines_of, tmp_path, number, told
):
    rules = {"tick_size": "0.01", "lot_size": "0.00001", "qty_min": "1", "qty_max": "9", "notional_min": "0"}
    every = [make_instrument(k, "binance", "spot", f"S{k}/USDT", **rules) for k in range(342)]
    entries = list(entries_of(lines_of(20, snapshot=False)))
    entries.insert(10, (entries[10][0], f"cut/{number}", b"", False))
    tape_of(session, entries, header(instruments=tuple(every)))
    _, findings = rows(tmp_path / "tape")
    cut = [symbol for symbol, found in findings.items() if "cut" in found]
    assert cut == [f"S{k}/USDT" for k in told]


def test_a_book_of_what_is_no_instrument_of_the_tape_is_told_and_left_out(session, lines_of, tmp_path):
    entries = list(entries_of(lines_of(20)))
    entries.insert(10, (entries[10][0], "snapshot/ETH/USDT", b"{}", False))
    tape_of(session, entries)
    _, findings = rows(tmp_path / "tape")
    (told,) = findings["BTC/USDT"]["frame"].first
    assert (told.row, told.text) == (10, "symbol: a book of 'ETH/USDT' is of no instrument of the tape")


def test_two_tapes_one_after_the_other_count_on(session, lines_of, tmp_path):
    tape_of(session, entries_of(lines_of(50)))
    state = State({})
    for _ in range(2):
        list(Tapes().pieces(tmp_path / "tape", state))
    assert state.seq == 100


def swap(kind, *bodies, action=""):
    acted = f'"action":"{action}",' if action else ""
    arg = f'{{"channel":"{kind}","instId":"BTC-USDT-SWAP"}}'
    return f'{{"arg":{arg},{acted}"data":[{",".join(bodies)}]}}'.encode()


@pytest.mark.parametrize(
    ("contract", "lot", "wanted"),
    [("0.01", "0.0001", ["0.0013", "0.0007", "0.02", "0.1", "0", "0.0003"]),
     ("100", "1", ["13", "7", "200", "1000", "0", "3"]),
     ("0.5", "0.005", ["0.065", "0.035", "1", "5", "0", "0.015"])],
)  # fmt: skip
def test_contracts_are_counted_in_the_base(session, header, tmp_path, contract, lot, wanted):
    instrument = make_instrument(
        0, "okx", "usdm", "BTC/USDT:USDT", tick_size="0.1", lot_size=lot, qty_min=lot, qty_max="9",
        notional_min="0", exchange_symbol="BTC-USDT-SWAP", contract_size=Decimal(contract),
    )  # fmt: skip
    start = 1_723_161_254_000_000_000
    trade = '{"instId":"BTC-USDT-SWAP","tradeId":"7","px":"60000.1","sz":"0.13","side":"buy",'
    trade += '"ts":"1723161254000"}'
    top = '{"asks":[["60000.2","2","0","1"]],"bids":[["60000.1","0.07","0","1"]],"ts":"1723161254000",'
    top += '"seqId":5}'
    book = (
        '{"asks":[["60000.2","10","0","1"]],"bids":[["60000.1","0","0","0"],["59999.9","0.03","0","1"]],'
        '"ts":"1723161254000","prevSeqId":%d,"seqId":%d}'
    )
    entries = [
        (start, "feed/0", swap("trades", trade), True),
        (start + 1, "feed/0", swap("bbo-tbt", top), True),
        (start + 2, "feed/0", swap("books", book % (-1, 4), action="snapshot"), True),
        (start + 3, "feed/0", swap("books", book % (4, 5), action="update"), True),
    ]
    tape_of(session, entries, header(instruments=(instrument,), exchange="okx", market="usdm"))
    state = State({})
    _, source = find_source(tmp_path / "tape", Wanted())
    (piece,) = source.pieces(tmp_path / "tape", state)
    step = Decimal(10) ** -state.grids["okx", "BTC/USDT:USDT"].size_places
    ticks, depth = piece.block
    got = [ticks[T_B, 0], ticks[T_B, 1], ticks[T_D, 1], *depth[D_SIZE, -3:][[2, 0, 1]]]
    assert [int(one) * step for one in got] == [Decimal(one) for one in wanted]
    assert depth[D_SIZE, :3].tolist() == depth[D_SIZE, 3:].tolist()
    assert state.checks["okx", "BTC/USDT:USDT"].findings == {}


def test_a_quantity_of_too_many_digits_is_told(session, header, tmp_path):
    instrument = make_instrument(
        0, "okx", "usdm", "BTC/USDT:USDT", tick_size="0.1", lot_size="0.0001", qty_min="1", qty_max="9",
        notional_min="0", exchange_symbol="BTC-USDT-SWAP", contract_size=Decimal("0.01"),
    )  # fmt: skip
    trade = '{"instId":"BTC-USDT-SWAP","tradeId":"%d","px":"1.1","sz":"%s","side":"buy","ts":"1723161254000"}'
    huge = '{"asks":[["2","900000000000000000.01","0","1"]],"bids":[],"ts":"1723161254000","seqId":5}'
    start = 1_723_161_254_000_000_000
    entries = [
        (start, "feed/0", swap("trades", trade % (1, "0.12345678901234567")), True),
        (start, "feed/0", swap("trades", trade % (2, "123456789012.345")), True),
        (start, "feed/0", swap("books", huge, action="snapshot"), True),
    ]
    tape_of(session, entries, header(instruments=(instrument,), exchange="okx", market="usdm"))
    found, findings = rows(tmp_path / "tape")
    ticks, _ = found["BTC/USDT:USDT"]
    assert ticks[T_B].tolist() == [123456789012345]  # of 0.00001 BTC: 0.001 contracts
    assert findings["BTC/USDT:USDT"]["frame"].count == 2
