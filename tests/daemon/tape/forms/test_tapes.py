"""Tapes to ticks: what a capture of the same frames gives, for every instrument, and what is missing told."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np
import pytest

from daemon.config import TapeConfig
from daemon.errors import FileFormatError
from daemon.instruments import make_instrument
from daemon.tape.forms.base import State
from daemon.tape.forms.table import Wanted, find_source
from daemon.tape.forms.tapes import Tapes, refuse_contracts
from daemon.tape.recorder import Recorder
from kernels.columns import D_END, D_ROW, D_SEQ, T_END, T_ID, T_ROW, T_SEQ


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


def test_two_tapes_one_after_the_other_count_on(session, lines_of, tmp_path):
    tape_of(session, entries_of(lines_of(50)))
    state = State({})
    for _ in range(2):
        list(Tapes().pieces(tmp_path / "tape", state))
    assert state.seq == 100


def test_what_an_exchange_tells_in_contracts_is_refused(tmp_path):
    usual = {"tick_size": "0.1", "lot_size": "0.001", "qty_min": "0.001", "qty_max": "9", "notional_min": "0"}
    plain = make_instrument(0, "okx", "usdm", "BTC/USDT:USDT", **usual)
    swap = make_instrument(0, "okx", "usdm", "BTC/USDT:USDT", contract_size=Decimal("0.01"), **usual)
    refuse_contracts(tmp_path, [plain])
    with pytest.raises(FileFormatError, match=r"okx tells BTC/USDT:USDT in contracts of 0\.01, which cannot"):
        refuse_contracts(tmp_path, [plain, swap])
