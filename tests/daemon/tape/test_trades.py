"""Trades of tapes, captures and typed ticks: the same of the same market, whole numbers, each once."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config import TapeConfig
from daemon.errors import FileFormatError, UsageError
from daemon.instruments import make_instrument
from daemon.options import BarsOptions, ConvertOptions
from daemon.tape.bars import BarsResult, make, rule_of, run
from daemon.tape.convert import convert
from daemon.tape.recorder import Recorder
from daemon.tape.trades import Admission, Told, open_trades

RULES = {"qty_min": "0.00001", "qty_max": "9000", "notional_min": "5"}


def told(source):
    errors = Counter()
    parts = list(source.read(errors))
    return Told(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), errors


def bars(path, **options):
    asked = BarsOptions(file=path, **options)
    source = open_trades(path, asked.symbol)
    result = BarsResult(file="", symbol="", by="", clock=asked.clock)
    parts = [part.copy() for part in make(source, rule_of(asked, source.instrument), result)]
    return np.concatenate(parts), result


def ticks_of(out, *paths, **more):
    convert(ConvertOptions(files=paths, out=out, **more), lambda: 0, lambda _name, _part: None)
    return out


def recorded(session, header, tmp_path, entries, **members):
    one = session()
    one.recorder = Recorder(one.seams, tmp_path / "tape", header(**members), TapeConfig())
    for stamp, payload in entries:
        one.time.advance(stamp)
        one.take("feed/0", payload)
    asyncio.run(one.recorder.close())
    return tmp_path / "tape"


@pytest.mark.parametrize(
    "options", [{"every_ns": 1_000_000_000, "clock": "local"}, {"ticks": 7}, {"volume": "0.01"}]
)
def test_tape_capture_and_ticks_of_one_market_make_the_same_bars(
    lines_of, capture_of, tape_of, tmp_path, options
):
    lines = lines_of(1_500)
    capture, tape = capture_of(lines), tape_of(lines)
    wanted, counted = bars(capture, **options)
    for path in (tape, next(tape.glob("*.arrows")), ticks_of(tmp_path / "ticks", tape)):
        got, result = bars(path, **options)
        assert got.tobytes() == wanted.tobytes()
        assert result == counted
    assert len(wanted) > 3


def test_a_tape_of_several_wants_the_symbol_named(session, header, tmp_path, capsys):
    instruments = tuple(
        make_instrument(index, "binance", "spot", symbol, tick_size="0.5", lot_size="0.001", **RULES)
        for index, symbol in enumerate(("BTC/USDT", "ETH/USDT"))
    )

    def trade(name, number, price):
        return (
            f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":1,"s":"{name}","t":{number},'
            f'"p":"{price}","q":"0.25","T":1723161254000,"m":true}}}}'
        ).encode()

    start = 1_723_161_254_000_000_000
    entries = [
        (start + 1, trade("BTCUSDT", 5, "10.5")),
        (start + 2, trade("ETHUSDT", 9, "7.5")),
        (start + 3, b'{"stream":"ethusdt@bookTicker","data":{}}'),
        (start + 4, b"no frame"),
        (start + 5, trade("ETHUSDT", 10, "8.0")),
    ]
    path = recorded(session, header, tmp_path, entries, instruments=instruments)
    with pytest.raises(UsageError, match="holds BTC/USDT, ETH/USDT, several instruments: name one"):
        open_trades(path)
    with pytest.raises(UsageError, match="no SOL/USDT: name one of them"):
        open_trades(path, "SOL/USDT")
    found, errors = told(open_trades(path, "ETH/USDT"))
    assert (found.prices.tolist(), found.lots.tolist(), found.ids.tolist()) == ([15, 16], [250, 250], [9, 10])
    assert (found.wire_ns - start).tolist() == [2, 5]
    assert errors == {"json": 1}
    run(BarsOptions(file=path, symbol="ETH/USDT", ticks=1))
    assert "2 trades" in capsys.readouterr().out


def test_a_capture_of_another_symbol_is_refused(lines_of, capture_of):
    path = capture_of(lines_of(50))
    assert open_trades(path, "BTC/USDT").instrument.symbol == "BTC/USDT"
    with pytest.raises(UsageError, match="holds BTC/USDT, not ETH/USDT"):
        open_trades(path, "ETH/USDT")


def test_a_tape_without_trades_is_refused(lines_of, tape_of):
    path = tape_of(lines_of(50), members={"streams": ("quote",)})
    with pytest.raises(FileFormatError, match="holds quote and no trades"):
        open_trades(path)


SWAP = make_instrument(
    0, "okx", "usdm", "BTC/USDT:USDT", tick_size="0.1", lot_size="0.0001", exchange_symbol="BTC-USDT-SWAP",
    contract_size=Decimal("0.01"), **RULES,
)  # fmt: skip


def swap_trade(number, size, price="60000.1", side="buy"):
    return (
        f'{{"arg":{{"channel":"trades","instId":"BTC-USDT-SWAP"}},"data":[{{"instId":"BTC-USDT-SWAP",'
        f'"tradeId":"{number}","px":"{price}","sz":"{size}","side":"{side}","ts":"1723161254000",'
        f'"count":"1"}}]}}'
    ).encode()


def test_contracts_are_counted_in_the_base(session, header, tmp_path):
    start = 1_723_161_254_000_000_000
    sizes = ["0.01", "0.03", "0.07", "1", "2.29", "1000000.11"]  # contracts of 0.01 BTC
    entries = [(start + k, swap_trade(k + 1, size)) for k, size in enumerate(sizes)]
    members = {"instruments": (SWAP,), "exchange": "okx", "market": "usdm"}
    source = open_trades(recorded(session, header, tmp_path, entries, **members))
    found, _ = told(source)
    assert [source.instrument.qty.text(lots) for lots in found.lots.tolist()] == [
        "0.0001", "0.0003", "0.0007", "0.0100", "0.0229", "10000.0011",
    ]  # fmt: skip
    assert source.trade_ids == "growing"


def test_a_quantity_off_the_grid_is_refused(session, header, tmp_path):
    members = {"instruments": (SWAP,), "exchange": "okx", "market": "usdm"}
    path = recorded(
        session, header, tmp_path, [(1_723_161_254_000_000_000, swap_trade(7, "0.005"))], **members
    )
    with pytest.raises(
        FileFormatError, match=r"trade 7 has a quantity of 5e-05, which is no multiple of 0\.0001"
    ):
        told(open_trades(path))


def test_ticks_without_sides_leave_out_what_was_bought(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("time,price,size\n1723161254000,10.5,1\n1723161255000,11,2\n")
    out = ticks_of(
        tmp_path / "ticks", path, exchange="mine", symbol="BTC/USDT", market="spot",
        columns={"time": "time", "price": "price", "size": "size"},
    )  # fmt: skip
    target = tmp_path / "bars.csv"
    run(BarsOptions(file=out, ticks=1, csv=target))
    rows = [line.split(",") for line in target.read_text().splitlines()]
    assert [(row[2], row[6], row[9], row[10]) for row in rows[1:]] == [
        ("10.5", "1", "", ""),
        ("11.0", "2", "", ""),
    ]
    assert "of an unknown side 2" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(UsageError, match="does not know when its trades were received"):
        run(BarsOptions(file=out, ticks=1, clock="local"))


# --- ids ----------------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.integers(-1, 12), max_size=8), max_size=5),
    st.sampled_from(["contiguous", "growing", "names"]),
)
def test_news_are_what_a_slow_twin_takes_for_news(batches, rule):
    ids = Admission(rule)
    seen, newest, repeated, missed = set(), -1, 0, 0
    for batch in batches:
        wanted = []
        for one in batch:
            news = one < 0 or (one not in seen if rule == "names" else one > newest)
            wanted.append(news)
            repeated += not news
            if news and one >= 0:
                missed += (one - newest - 1) if rule == "contiguous" and newest >= 0 else 0
                newest = one
                seen.add(one)
        assert ids.admit(np.array(batch, np.int64)).tolist() == wanted
    assert (ids.repeated, ids.missed) == (repeated, missed)
