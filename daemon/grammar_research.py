"""The part of the command line's grammar that a strategy is tried by, on data that is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.grammar_values import count, day, pair, seconds, seed

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_fetch(one: ArgumentParser) -> None:
    """Add what a fetch takes."""
    one.epilog = (
        "Days are UTC. A day that is whole on the disk is not asked for again, so that what was interrupted "
        "goes on where it was. Exit codes: 0 everything is there, 1 something failed and what was fetched "
        "before is kept, 130 interrupted, likewise."
    )
    one.add_argument("symbols", nargs="+", metavar="SYMBOL", help="such as BTC/USDT")
    one.add_argument("--exchange", default="binance", metavar="NAME", help="or ccxt:kraken, say (binance)")
    one.add_argument("--market", choices=["spot", "usdm", "coinm"], default="spot", help="(spot)")
    one.add_argument("--what", choices=["klines", "trades", "aggTrades"], default="klines", help="(klines)")
    one.add_argument("--interval", metavar="TIME", help="of klines: 1s, 1m .. 1d (1m)")
    one.add_argument("--from", dest="since", type=day, required=True, metavar="DAY", help="2026-01-31, say")
    one.add_argument("--until", type=day, metavar="DAY", help="without this one (up to now)")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of Parquet, as of convert")
    one.add_argument(
        "--source",
        choices=["rest", "archive"],
        default="rest",
        help="the exchange, or its archive's files and their checksums (rest)",
    )
    one.add_argument("--url", default="", help="ask there, in the exchange's place: a simulated one, say")
    one.add_argument("--at-once", type=count, default=10, metavar="N", help="requests at once (10)")
    one.add_argument(
        "--weight", type=count, metavar="N", help="use up so much a minute (9/10 of what is allowed)"
    )
    one.add_argument(
        "--ttl", type=seconds, default=60.0, metavar="S", help="a day that is not over is fetched again (60)"
    )


def add_backtest(one: ArgumentParser) -> None:
    """Add what a backtest takes."""
    one.add_argument("path", type=Path, metavar="FOLDER", help="ticks of one symbol, of tickd convert")
    one.add_argument("--config", type=Path, help="take strategy, risk and paper settings from this file")
    one.add_argument(
        "--strategy", help="a shipped strategy or FILE.py:decide (ema_cross; ml where a model is given)"
    )
    one.add_argument("--model", type=Path, metavar="FOLDER", help="a model bundle")
    one.add_argument(
        "--in-training", action="store_true", help="though the model was trained on that time; is marked so"
    )
    one.add_argument("--point", type=count, default=60, metavar="S", help="between points of equity (60)")


def add_checks(one: ArgumentParser) -> None:
    """Add what takes the place of a backtest's figures."""
    which = one.add_mutually_exclusive_group()
    which.add_argument(
        "--parity", action="store_true", help="hold it to a replay of the same ticks by the daemon's engine"
    )
    which.add_argument(
        "--prove", action="store_true", help="prove that nothing is decided by what the record says later"
    )
    one.add_argument("--cuts", type=count, metavar="N", help="with --prove: places where it is cut (20)")
    one.add_argument("--seed", type=seed, metavar="N", help="with --prove: of where these are (1)")


def add_page(one: ArgumentParser) -> None:
    """Add what a page of a backtest takes."""
    one.add_argument("--html", type=Path, metavar="FILE", help="write a report there, which must not exist")
    one.add_argument(
        "--no-reruns", action="store_true", help="of the report: leave out how it bears delay and fees"
    )


def add_sweep(one: ArgumentParser) -> None:
    """Add what many of them take."""
    one.epilog = (
        "A range is NAME=A:B:STEP, both ends in it, or NAME=a,b,c; several make a grid. Exit codes: 0 all "
        "trials were done, 1 some failed and the others are told, 130 interrupted with what was done told."
    )
    add_backtest(one)
    one.add_argument(
        "--param", action="append", default=[], metavar="NAME=RANGE", help="vary a parameter; repeat it"
    )
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=RANGE", help="likewise a key such as paper.queue"
    )
    one.add_argument("--search", choices=["grid", "random", "tpe"], default="grid", help="(grid)")
    one.add_argument("--trials", type=count, metavar="N", help="how often, of random and tpe")
    one.add_argument("--seed", type=seed, default=1, help="of random and tpe (1)")
    one.add_argument("--threads", type=count, metavar="N", help="trials at once (as many as there are cores)")
    where = one.add_mutually_exclusive_group()
    where.add_argument("--dask", default="", metavar="ADDRESS", help="let this Dask scheduler's workers try")
    where.add_argument("--cluster", type=count, default=0, metavar="N", help="or so many processes here")
    one.add_argument("--by", default="sharpe", metavar="FIGURE", help="rank by it (sharpe)")
    one.add_argument("--best", type=count, default=10, metavar="N", help="show so many (10)")
    one.add_argument("--heat", type=pair, metavar="X,Y", help="a map of the figure over two names")
    one.add_argument(
        "--walk-forward", type=count, default=0, metavar="K", help="choose on a part, measure on the next"
    )
    one.add_argument("--out", type=Path, metavar="FILE", help="keep each trial there, and go on from it")


def add_train(one: ArgumentParser) -> None:
    """Add what a training takes."""
    one.add_argument(
        "path", type=Path, nargs="?", metavar="TICKS", help="ticks of one symbol, of tickd convert"
    )
    one.add_argument("--synthetic", action="store_true", help="on the seeded synthetic market in their place")
    one.add_argument("--seed", type=seed, default=1, help="of the synthetic market and the training (1)")
    one.add_argument("--minutes", type=count, help="of synthetic market to learn from, 10 at least (120)")
    one.add_argument("--horizon-ms", type=count, default=5_000, help="how far ahead it foresees (5000)")
    one.add_argument("--every", type=count, metavar="N", help="of ticks: learn from each N-th decision (32)")
    one.add_argument("--trees", type=count, metavar="N", help="of ticks: how many it grows (100)")
    one.add_argument(
        "--folds", type=count, metavar="N", help="of ticks: judge on so many parts of what it learns from (4)"
    )
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the bundle goes")
