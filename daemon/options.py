"""What the command line asks of each verb, typed; the verbs themselves live elsewhere."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - msgspec reads the annotations at run time
from typing import Literal

import msgspec

from daemon.config import Config  # noqa: TC001 - likewise
from daemon.tape.player import WHOLE, Span


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd demo`."""

    seconds: float | None = None  # None: demo.SECONDS, or a tape to its end
    tape: Path | None = None  # a capture to stream instead of the synthetic market
    speed: float = 1.0  # of the tape; inf: as fast as it goes
    seed: int = 1
    strategy: str = "ml"
    port: int = 0  # of the HTTP face, beside its Unix socket; 0: none
    json: bool = False
    svg: Path | None = None  # where the last view is drawn


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd run` and `tickd paper`, beside their configuration."""

    seconds: float | None = None  # None: until a signal
    with_parent: bool = False  # or until standard input closes
    hold: bool = False  # prepare, and open no socket before a line comes on standard input
    json: bool = False


class DirectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd flatten --direct`, beside its configuration."""

    yes: bool = False  # a person need not be asked
    everything: bool = False  # whoever bought it
    reason: str = ""
    json: bool = False


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd replay`."""

    files: tuple[Path, ...]  # several are merged
    config: Config | None = None  # strategies, risk and paper settings; else one strategy with the defaults
    strategy: str | None = None  # None: ml with a model, ema_cross without
    model: Path | None = None
    repeat: int = 1
    span: Span = WHOLE
    port: int = 0  # of loopback, where its metrics are served; 0: nowhere
    json: bool = False


class BacktestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd backtest`."""

    path: Path  # a folder of typed ticks, or one file of it
    config: Config | None = None  # as of a replay, as are the next two
    strategy: str | None = None
    model: Path | None = None
    point_s: int = 60  # between two points of the equity curve
    html: Path | None = None  # a report
    reruns: bool = True  # of a report: how the result bears delay and fees
    in_training: bool = False  # it may be of the time that its model was trained on
    marked: str = ""  # how it is, in words: stands on all that comes of it
    check: Literal["", "parity", "prove"] = ""  # in the place of figures
    cuts: int = 20  # of a proof
    seed: int = 1  # of where they are
    json: bool = False


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd train`; path: of ticks, None: the synthetic market."""

    path: Path | None
    out: Path
    seed: int
    horizon_ms: int
    minutes: int = 120  # of the synthetic market
    every: int = 32  # of the others: decisions a row
    trees: int = 100
    folds: int = 4
    json: bool = False


class SweepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd sweep`."""

    path: Path  # as of a backtest, as are the next five
    config: Config | None = None
    strategy: str | None = None
    model: Path | None = None
    point_s: int = 60
    in_training: bool = False
    params: tuple[str, ...] = ()  # NAME=A:B:STEP or NAME=a,b,c
    sets: tuple[str, ...] = ()  # likewise of the configuration's keys
    search: Literal["grid", "random", "tpe"] = "grid"
    trials: int | None = None  # of the other two
    seed: int = 1
    threads: int | None = None  # None: as many as there are cores
    dask: str = ""  # a scheduler's address; "": none
    cluster: int = 0  # Dask's processes of our own; 0: none
    by: str = "sharpe"  # the figure that ranks
    best: int = 10  # trials that people are shown
    heat: tuple[str, str] | None = None  # names along and down a map of the figure
    walk_forward: int = 0  # parts that are measured out of sample; 0: the record is taken whole
    out: Path | None = None  # where trials are kept
    json: bool = False


class RecordOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd record`."""

    config: Config
    seconds: float | None = None  # None: until a signal
    json: bool = False


class ConvertOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd convert`."""

    files: tuple[Path, ...]
    out: Path
    form: str = ""  # "": recognised by content
    exchange: str = ""  # what follows: where the file does not say it
    market: Literal["spot", "usdm", "coinm"] | None = None
    symbol: str = ""
    columns: dict[str, str] = {}  # what a CSV's column is -> its name, or its number from 1
    unit: str = ""  # of a CSV's times
    strict: bool = False
    json: bool = False


class FetchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd fetch`."""

    symbols: tuple[str, ...]
    out: Path
    first: int  # the first day, counted from 1970
    end: int | None = None  # the day behind the last one; None: behind today
    exchange: str = "binance"
    market: Literal["spot", "usdm", "coinm"] = "spot"
    what: Literal["klines", "trades", "aggTrades"] = "klines"
    interval: str = "1m"  # of klines
    source: Literal["rest", "archive"] = "rest"
    url: str = ""  # in place of the exchange's
    at_once: int = 10  # requests
    weight: int | None = None  # a minute; None: nine tenths of what the exchange allows
    ttl_s: float = 60.0  # of a day that was fetched before it was over
    json: bool = False


class BarsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd bars`: one of the four that close a bar is given."""

    file: Path
    symbol: str = ""  # of a tape of several
    every_ns: int | None = None
    ticks: int | None = None  # trades
    volume: str | None = None  # decimal text, base currency
    notional: str | None = None  # likewise, quote currency
    clock: Literal["exchange", "local"] = "exchange"
    last: int = 20  # bars that are printed
    csv: Path | None = None
    parquet: Path | None = None
    json: bool = False


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd replay --verify`."""

    session: Path  # its folder
    journal: Path | None = None  # None: where the session wrote it
    config: Config | None = None  # in place of the session's own; likewise what follows
    strategy: str | None = None
    model: Path | None = None
    json: bool = False


class LatencyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd bench latency`."""

    seconds: float = 40.0  # of measuring, all participants and scenarios together
    rate: float = 10_000.0  # ticks a second of the Poisson schedule
    symbols: int = 8
    trees: int = 100
    mode: Literal["spin", "epoll"] = "spin"
    many: tuple[int, ...] = (1, 10, 100, 500)  # symbols of the daemons that follow many; empty: leave it out
    exchange: str = ""  # another exchange process's URL; empty: our own
    cores: tuple[int, ...] = ()  # the exchange's and the daemon's; empty: the first two there are
    seed: int = 1
    check: bool = False
    record: bool = False  # our daemon's session goes on the record
    json: bool = False


class JournalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd journal`."""

    folder: Path
    show: str = ""  # a view of daemon/faces/journal_views.py, or records
    summary: bool = False
    waterfall: str | None = None  # an order
    slippage: Path | None = None  # another journal of the same time
    symbol: str | None = None  # all that follow: only what bears it
    strategy: str | None = None
    order: str | None = None
    kind: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None  # not itself
    last: int | None = None
    csv: Path | None = None
    parquet: Path | None = None
    json: bool = False


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tickd report`."""

    session: Path  # a journal's folder, or a tape's session
    journal: Path | None = None  # where the journal of that session is now
    run: int | None = None  # of a journal: only this one
    html: Path | None = None
    json: bool = False
