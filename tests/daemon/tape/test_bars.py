"""Bars of captures: the exchange's own minutes, exact text, and everything odd told."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyarrow.parquet import read_table

from daemon.cli import main
from daemon.errors import FileFormatError, UsageError
from daemon.options import BarsOptions
from daemon.simulator.bars import Bars
from daemon.simulator.symbols import UNIT
from daemon.tape import bars as module
from daemon.tape import trades as trades_module
from daemon.tape.bars import COLUMNS, BarsResult, make, rule_of
from daemon.tape.capture import capture_instrument
from daemon.tape.trades import open_trades, read_capture
from kernels import bars as kernel

if TYPE_CHECKING:
    from pathlib import Path

SPOT = "binance-spot-btcusdt-20240808.gz"
USDM = "binance-usdm-btcusdt-20240808.gz"
INVERSE = "binance-coinm-btcusd_perp-20240808.gz"
MINUTE = 60_000_000_000


def found(path: Path, **options: Any) -> tuple[np.ndarray, BarsResult]:
    asked = BarsOptions(file=path, **options)
    source = open_trades(path, asked.symbol)
    result = BarsResult(file="", symbol="", by="", clock=asked.clock)
    parts = [part.copy() for part in make(source, rule_of(asked, source.instrument), result)]
    return np.concatenate(parts), result


def trade(number: int, at_ms: int, price: str, qty: str, maker: bool = False) -> bytes:
    data = {
        "e": "trade",
        "E": at_ms,
        "s": "BTCUSDT",
        "t": number,
        "p": price,
        "q": qty,
        "T": at_ms,
        "m": maker,
    }
    frame = json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":"))
    return b"%d %s\n" % (at_ms * 1_000_000 + 7, frame.encode())


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(*lines: bytes) -> Path:
        path = tmp_path / "capture.gz"
        path.write_bytes(gzip.compress(b"".join(lines)))
        return path

    return write


# --- real captures ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "trades"), [(SPOT, 9_757), (USDM, 21_313), (INVERSE, 2_286)])
def test_minutes_are_the_klines_that_an_exchange_makes_of_the_same_trades(
    captures: Path, name: str, trades: int
) -> None:
    """The simulated exchange keeps klines by code of its own, in units of 1e-8."""
    path = captures / name
    its = Bars()
    with gzip.open(path) as lines:
        for line in lines:
            message = json.loads(line.partition(b" ")[2])
            if message.get("stream", "").endswith("@trade"):
                data = message["data"]
                price, qty = (round(float(data[key]) * UNIT) for key in "pq")
                its.add(data["t"], price, qty, data["m"], data["T"])
    got, result = found(path, every_ns=MINUTE)
    assert (result.trades, result.missed, result.repeated, result.errors) == (trades, 0, 0, {})
    want = its.rows("1m")
    instrument = capture_instrument(path)
    price, lot = (int(step * UNIT) for step in (instrument.tick_size, instrument.lot_size))
    assert len(got) == len(want) >= 5
    for bar, its_bar in zip(got, want, strict=True):
        assert bar["open_ns"] == its_bar.open_ms * 1_000_000
        assert [bar[one] * price for one in ("open", "high", "low", "close")] == [
            its_bar.open,
            its_bar.high,
            its_bar.low,
            its_bar.close,
        ]
        assert (bar["lots"] * lot, bar["buy_lots"] * lot) == (its_bar.volume, its_bar.taker_volume)
        assert (bar["count"], bar["first_id"], bar["last_id"]) == (
            its_bar.count,
            its_bar.first_id,
            its_bar.last_id,
        )
    assert got["complete"].tolist() == [0, *[1] * (len(got) - 2), 0]


def test_seconds_of_a_capture_roll_up_to_its_minutes(captures: Path) -> None:
    seconds, _ = found(captures / USDM, every_ns=1_000_000_000)
    minutes, _ = found(captures / USDM, every_ns=MINUTE)
    state, out = kernel.new_state(kernel.TIME, MINUTE), np.zeros(20, kernel.BAR)
    n = kernel.roll(state, seconds, out)
    assert n == len(minutes) - 1  # the last is open
    assert out[:n].tobytes() == minutes[:n].tobytes()
    assert state["bar"][0].tobytes() == minutes[-1].tobytes()


@pytest.mark.parametrize(
    "options", [{"ticks": 500}, {"volume": "25.5"}, {"notional": "1000000"}, {"every_ns": 100_000_000}]
)
def test_each_trade_is_in_one_bar_whatever_batch_it_came_in(
    captures: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    whole, result = found(captures / SPOT, **options)
    monkeypatch.setattr(module, "_BATCH", 97)
    monkeypatch.setattr(trades_module, "_BATCH", 89)
    cut, _ = found(captures / SPOT, **options)
    assert cut.tobytes() == whole.tobytes()
    assert whole["count"].sum() == result.trades == 9_757
    traded = whole[whole["count"] > 0]
    assert (traded["first_id"][1:] == traded["last_id"][:-1] + 1).all()


def test_the_verb_writes_every_bar_and_prints_the_last(
    captures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "bars.csv"
    words = ["bars", str(captures / SPOT), "--every", "1s", "--csv", str(target), "--last", "2", "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert said["bars"] == len(rows) > 300
    assert said["last"] == rows[-2:]
    assert tuple(rows[0]) == COLUMNS
    assert sum(int(row["count"]) for row in rows) == said["trades"] == 9_757
    assert said["empty"] == sum(row["count"] == "0" for row in rows)
    quiet = next(row for row in rows if row["count"] == "0")
    assert quiet["open"] == quiet["close"] == rows[rows.index(quiet) - 1]["close"]
    assert (float(quiet["volume"]), quiet["first_id"]) == (0.0, "")
    assert main(words) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err


# --- made-up ones -------------------------------------------------------------------------------------------
def test_text_is_exact(written: Any, tmp_path: Path) -> None:
    path = written(trade(1, 60_000, "0.30", "0.001"), trade(2, 119_999, "0.1", "0.02", maker=True))
    target = tmp_path / "bars.csv"
    module.run(BarsOptions(file=path, every_ns=MINUTE, csv=target))
    assert target.read_text().splitlines() == [
        ",".join(COLUMNS),
        "60000000000,120000000000,0.3,0.3,0.1,0.1,0.021,0.0023,2,0.001,0.0003,1,2,0",
    ]


def test_parquet_holds_the_same_text(written: Any, tmp_path: Path) -> None:
    path = written(trade(1, 60_000, "0.3", "0.001"), trade(2, 180_000, "0.1", "0.02"))
    module.run(BarsOptions(file=path, every_ns=MINUTE, parquet=tmp_path / "bars.parquet"))
    rows = read_table(tmp_path / "bars.parquet").to_pylist()
    assert [row["count"] for row in rows] == ["1", "0", "1"]
    assert rows[1]["first_id"] is None
    assert tuple(rows[0]) == COLUMNS


def test_what_is_odd_is_told_and_counted(written: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        trade(10, 60_000, "100.5", "2"),
        trade(10, 60_000, "100.5", "2"),  # again
        trade(14, 61_500, "100.5", "1"),  # three are missing
        trade(15, 61_000, "100.0", "1"),  # earlier than the one before
        trade(16, 61_900, "0", "1"),  # no price
        b'61900000000 {"stream":"btcusdt@trade","data":{"e":"trade","t":"x"}}\n',
    )
    got, result = found(path, every_ns=1_000_000_000)
    assert (result.repeated, result.missed, result.backwards) == (1, 3, 1)
    assert sum(result.errors.values()) == 2
    assert got["lots"].tolist() == [2, 2]
    module.run(BarsOptions(file=path, every_ns=1_000_000_000))
    printed = " ".join(capsys.readouterr().out.split())
    assert "trades missed 3, repeated 1, stamped backwards 1, frames refused" in printed


def test_times_of_receipt_are_taken_where_asked_for(written: Any) -> None:
    path = written(trade(1, 60_000, "1.5", "2"), trade(2, 70_000, "1.5", "2"))
    assert found(path, ticks=1)[0]["open_ns"].tolist() == [60_000_000_000, 70_000_000_000]
    assert found(path, ticks=1, clock="local")[0]["open_ns"].tolist() == [60_000_000_007, 70_000_000_007]


def test_the_bar_that_a_file_leaves_open_is_marked(written: Any) -> None:
    path = written(trade(1, 60_000, "1.5", "2"), trade(2, 70_000, "1.5", "2"), trade(3, 71_000, "1.5", "2"))
    got, _ = found(path, volume="4")
    assert got[["lots", "complete", "end_ns"]].tolist() == [(4, 1, 70_000_000_000), (2, 0, 71_000_000_000)]
    assert len(found(path, ticks=3)[0]) == 1


def test_a_trade_off_the_grid_ends_it(written: Any) -> None:
    path = written(*(trade(k, 60_000 + k, "1.5", "2") for k in range(3)), trade(9, 70_000, "1.55", "2"))
    asked = BarsOptions(file=path, ticks=1)
    result = BarsResult(file="", symbol="", by="", clock=asked.clock)
    instrument = capture_instrument(path, scanned=1)
    with pytest.raises(FileFormatError, match=r"trade 9 has a price of 1\.55, which is no multiple of 0\.1"):
        list(make(read_capture(path, instrument), rule_of(asked, instrument), result))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"volume": "0"}, "--volume 0 is no size of a bar"),
        ({"volume": "much"}, "--volume much is no number"),
        ({"notional": "nan"}, "--notional nan is no number"),
        ({"notional": "-3"}, "must be positive"),
        ({"volume": "1e40"}, "fit into 64 bits"),
    ],
)
def test_a_size_that_is_none_is_refused(written: Any, options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        found(written(trade(1, 60_000, "1.5", "2")), **options)


def test_a_size_between_two_steps_is_the_next(written: Any) -> None:
    path = written(trade(1, 60_000, "1.5", "2"))
    assert rule_of(BarsOptions(file=path, volume="2.5"), capture_instrument(path)).size == 3
    assert rule_of(BarsOptions(file=path, notional="2.51"), capture_instrument(path)).size == 26


def test_contracts_of_a_fixed_worth_have_no_notional(captures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say --volume, in contracts"):
        found(captures / INVERSE, notional="1000")
    target = tmp_path / "bars.csv"
    module.run(BarsOptions(file=captures / INVERSE, volume="5000", csv=target))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["notional"] for row in rows} == {""}
    assert all(int(row["volume"]) >= 5_000 for row in rows[:-1])


def test_the_command_line_takes_one_size_and_lengths_that_divide_a_day(
    written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(trade(1, 60_000, "1.5", "2")))
    for words, says in (
        ([], "one of the arguments --every --ticks --volume --notional is required"),
        (["--every", "1m", "--ticks", "3"], "not allowed with"),
        (["--every", "7m"], "'7m' is no whole part of a day"),
        (["--every", "0s"], "'0s' is no whole part of a day"),
        (["--every", "2d"], "'2d' is no whole part of a day"),
    ):
        assert main(["bars", path, *words]) == 2
        assert says in capsys.readouterr().err
    assert main(["bars", path + "x", "--ticks", "1"]) == 2
