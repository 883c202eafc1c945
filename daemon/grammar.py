"""The command line's grammar: which verbs there are, and what each takes.

It imports argparse alone, so that `tickd --help` answers at once. What argparse refuses becomes a UsageError
of one sentence, with the nearest verb or option where there is one.
"""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from daemon import __version__
from daemon.errors import UsageError
from daemon.grammar_research import add_backtest, add_checks, add_fetch, add_page, add_sweep, add_train
from daemon.grammar_values import (
    columns,
    cores,
    count,
    counts,
    instant,
    length,
    port,
    positive,
    seconds,
    seed,
    speed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

JOURNAL_VIEWS: Final = ("records", "orders", "fills", "positions", "commands", "refusals")
_EPILOG: Final = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 a check did not hold, 4 no daemon answers, 78 configuration, "
    "130 interrupted twice."
)


def parse(words: list[str]) -> argparse.Namespace:
    """Return the arguments, `verb` among them; None for no verb. Raises UsageError."""
    parser, verbs = build()
    first = next((word for word in words if not word.startswith("-")), None)
    if first is not None and first not in verbs:
        raise UsageError(f"there is no verb {first!r}{_nearest(first, verbs)}; tickd --help lists them")
    if first == "simulate":  # its options are the simulator's own, and are known once that is imported
        return argparse.Namespace(verb=first, words=words[words.index(first) + 1 :])
    args, rest = parser.parse_known_args(words)
    if rest:
        asked = verbs.get(args.verb, parser)
        options = [option for action in asked.actions for option in action.option_strings]
        raise UsageError(f"{asked.prog} does not take {rest[0]!r}{_nearest(rest[0], options)}")
    return args


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusals are a UsageError."""

    @property
    def actions(self) -> list[argparse.Action]:
        """Return what it takes."""
        return self._actions

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise UsageError(f"{message}; see {self.prog} --help")


def build() -> tuple[Parser, dict[str, Parser]]:
    """Return the whole grammar, and each verb's own part of it."""
    parser = Parser(
        prog="tickd",
        description="A live trading daemon for crypto markets.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tickd {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(verb=None)
    group = parser.add_subparsers(metavar="VERB", title="verbs")
    verbs: dict[str, Parser] = {}

    def verb(name: str, text: str) -> Parser:
        one = group.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
        )
        one.set_defaults(verb=name)
        one.add_argument("--debug", action="store_true", help="show tracebacks")
        verbs[name] = one
        return one

    _add_trading(verb)
    _add_making(verb)
    _add_looking(verb)
    _add_commands(verb)
    return parser, verbs


def _add_trading(verb: Callable[[str, str], Parser]) -> None:
    one = verb("demo", "trade against a simulated exchange: offline, without keys, in a minute")
    _add_seconds(one, "stop after so long (60; of a tape, at its end)")
    _add_tape(one)
    one.add_argument("--seed", type=seed, default=1, help="of the synthetic market (1)")
    one.add_argument("--strategy", default="ml", help="a shipped strategy or FILE.py:decide (ml)")
    one.add_argument("--port", type=port, default=0, help="serve HTTP on this loopback port too")
    one.add_argument("--svg", type=Path, metavar="FILE", help="draw the last live view into FILE")
    _add_json(one)

    one = verb("run", "trade as a configuration says; real orders want --live too")
    one.add_argument("config", type=Path)
    one.add_argument("--live", action="store_true", help="really send orders")
    _add_run(one)

    one = verb("paper", "trade on a live feed with local fills; no keys")
    one.add_argument("config", type=Path)
    _add_run(one)

    _add_record(verb("record", "write down every frame of a feed as it came, and trade nothing"))

    one = verb("replay", "run a tape or a capture through the engine that trades, on virtual time")
    one.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a session's folder, a segment, a capture; or several",
    )
    one.add_argument("--config", type=Path, help="take strategies, risk and paper settings from this file")
    one.add_argument(
        "--strategy", help="a shipped strategy or FILE.py:decide (ema_cross; ml where a model is given)"
    )
    one.add_argument("--model", type=Path, metavar="FOLDER", help="a model bundle")
    one.add_argument(
        "--verify", action="store_true", help="the file is a session's folder: hold its replay to its journal"
    )
    one.add_argument("--journal", type=Path, metavar="FOLDER", help="with --verify: where the journal is now")
    one.add_argument("--repeat", type=count, default=1, help="run it so many times and compare (1)")
    one.add_argument("--speed", type=speed, default=float("inf"), help="a factor of its own, or max (max)")
    one.add_argument(
        "--from", dest="since", type=instant, default=0, metavar="TIME", help="trade from then on"
    )
    one.add_argument("--until", type=instant, metavar="TIME", help="end before that (UTC)")
    one.add_argument("--port", type=port, default=0, help="serve its metrics on this loopback port meanwhile")
    _add_json(one)


def _add_making(verb: Callable[[str, str], Parser]) -> None:
    add_fetch(one := verb("fetch", "bring klines and trades of the past from an exchange to Parquet"))
    _add_json(one)
    _add_convert(
        verb("convert", "turn market data of many forms into typed ticks, and report what is wrong in it")
    )
    _add_bars(verb("bars", "make bars of the trades of a tape, a capture or ticks"))

    one = verb("backtest", "run a strategy over typed ticks at compiled speed: orders and fills of a replay")
    add_backtest(one)
    add_page(one)
    add_checks(one)
    _add_json(one)
    add_sweep(one := verb("sweep", "run many backtests of one strategy over the same ticks, and rank them"))
    _add_json(one)

    one = verb("train", "train a model bundle; the same arguments make the same model")
    add_train(one)
    _add_json(one)

    one = verb("new", "write a strategy that works, and its test, to go on from")
    one.add_argument("what", choices=["strategy"])
    one.add_argument("name", metavar="NAME", help="of its file, such as reversal")
    one.add_argument("--folder", type=Path, default=Path(), help="where the two files go (here)")

    verb("simulate", "be the exchange: Binance's protocol on loopback")

    one = verb("bench", "measure this machine: the path from tick to order, wire to wire")
    one.add_argument("what", choices=["latency"])
    one.add_argument("--seconds", type=positive, default=40.0, help="of measuring, all together (40)")
    one.add_argument("--rate", type=positive, default=10_000.0, help="ticks a second, where Poisson (10000)")
    one.add_argument("--symbols", type=count, default=8, help="each with a strategy of its own (8)")
    one.add_argument("--trees", type=count, default=100, help="of the model (100)")
    one.add_argument("--mode", choices=["spin", "epoll"], default="spin", help="of the daemon's loop (spin)")
    one.add_argument(
        "--many",
        type=counts,
        default=(1, 10, 100, 500),
        metavar="N,N",
        help="symbols of the daemons compared; 0: leave it out (1,10,100,500)",
    )
    one.add_argument("--exchange", default="", metavar="URL", help="use this exchange process, not our own")
    one.add_argument("--cores", type=cores, default=(), metavar="A,B", help="the exchange's and the daemon's")
    one.add_argument("--seed", type=seed, default=1, help="of the market (1)")
    one.add_argument("--record", action="store_true", help="put our daemon's session on the record")
    one.add_argument("--check", action="store_true", help="fail where a ratio is beyond a generous bound")
    _add_json(one)


def _add_convert(one: Parser) -> None:
    one.add_argument("files", type=Path, nargs="+", metavar="FILE", help="in the order of their times")
    one.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="a folder of Parquet; or a new .csv or .npz"
    )
    one.add_argument(
        "--from", dest="form", default="", metavar="FORM", help="what the files are, if not recognised"
    )
    one.add_argument("--exchange", default="", metavar="NAME", help="where the files do not say it")
    one.add_argument("--market", choices=["spot", "usdm", "coinm"], help="likewise")
    one.add_argument("--symbol", default="", help="likewise, such as BTC/USDT")
    one.add_argument(
        "--columns",
        type=columns,
        default={},
        metavar="ROLE=COLUMN,..",
        help="of any CSV: time, price, size, side, id, bid, .. by header or number",
    )
    one.add_argument(
        "--unit", choices=["s", "ms", "us", "ns"], default="", help="of its times (each by its size)"
    )
    one.add_argument("--strict", action="store_true", help="write nothing where anything is wrong (exit 3)")
    _add_json(one)


def _add_bars(one: Parser) -> None:
    one.epilog = (
        "A bar of time holds the trades from its open up to, and without, its end; an interval without a "
        "trade is a bar of no quantity at the last price. Any other bar closes with the trade that fills it, "
        "which is whole in it. Numbers are exact decimals; of COIN-M, quantities are contracts. The first "
        "bar of time and the one that the file leaves open are not complete."
    )
    one.add_argument("file", type=Path, help="a tape, a capture, or ticks that tickd convert made")
    one.add_argument("--symbol", default="", help="which instrument's, where a tape has several")
    size = one.add_mutually_exclusive_group(required=True)
    size.add_argument("--every", type=length, metavar="TIME", help="bars of 100ms, 1s, 5m, 1h or 1d, say")
    size.add_argument("--ticks", type=count, metavar="N", help="bars of so many trades")
    size.add_argument("--volume", metavar="Q", help="bars of so much base currency, or as many contracts")
    size.add_argument("--notional", metavar="Q", help="bars of so much quote currency")
    one.add_argument(
        "--clock",
        choices=["exchange", "local"],
        default="exchange",
        help="the exchange's stamps, or of receipt (exchange)",
    )
    one.add_argument("--last", type=count, default=20, metavar="N", help="print the last N (20)")
    target = one.add_mutually_exclusive_group()
    target.add_argument("--csv", type=Path, metavar="FILE", help="write all there, which must not exist")
    target.add_argument("--parquet", type=Path, metavar="FILE", help="likewise")
    _add_json(one)


def _add_looking(verb: Callable[[str, str], Parser]) -> None:
    one = verb("config", "show a configuration whole, secrets masked")
    one.add_argument("action", choices=["show"])
    one.add_argument("config", type=Path)
    _add_json(one)

    one = verb("state", "show what a running daemon tells about itself")
    _add_remote(one)
    _add_json(one)

    one = verb("top", "watch a running daemon")
    _add_remote(one)
    one.add_argument(
        "--interval", type=positive, default=1.0, metavar="SECONDS", help="between two looks (1)"
    )

    _add_journal(verb("journal", "tell what happened: records, orders, money"))
    _add_report(verb("report", "report a past session: what ran, its orders, money, halts and gaps"))


def _add_commands(verb: Callable[[str, str], Parser]) -> None:
    for name, text in (
        ("halt", "stop a running daemon from adding risk and cancel what stands"),
        ("resume", "let a halted daemon trade again"),
        ("flatten", "halt, cancel everything and close every position"),
    ):
        one = verb(name, text)
        _add_remote(one)
        one.add_argument("--reason", default="", help="kept on the record")
        if name == "resume":
            one.add_argument("--rebase", action="store_true", help="measure the day's loss and the fall anew")
    one.add_argument(
        "--wait",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="tell how it gets on, at most so long (60)",
    )
    one.add_argument(
        "--direct", type=Path, metavar="CONFIG", help="with the keys alone, when no daemon runs: of this file"
    )
    one.add_argument("--yes", action="store_true", help="with --direct: do not ask whether to")
    one.add_argument(
        "--everything",
        action="store_true",
        help="with --direct: sell all of the symbols' coins, whoever bought them; needs no journal",
    )
    _add_json(one)


def _add_journal(one: Parser) -> None:
    one.epilog = (
        "Slippage is what trades cost more, above zero, or less, below it, than they would have at the price "
        "the order was decided at: the mid that the strategy saw, of a stop its trigger; limit slippage "
        "is the same against the order's own price. A basis point is a hundredth of a percent of what these "
        "trades turned over. A refusal that repeats itself is recorded once a second. Money is exact, in the "
        "quote; times are UTC."
    )
    one.add_argument("folder", type=Path)
    one.add_argument(
        "--show", choices=JOURNAL_VIEWS, metavar="WHAT", help=f"{', '.join(JOURNAL_VIEWS)} (records)"
    )
    one.add_argument("--summary", action="store_true", help="what it comes to, by strategy and instrument")
    one.add_argument(
        "--slippage", type=Path, metavar="FOLDER", help="compare with a journal of the same time: paper, say"
    )
    one.add_argument("--waterfall", metavar="ORDER", help="one order's steps, with the time between them")
    one.add_argument("--order", metavar="ID", help="explain one order; with --show, only what is of it")
    one.add_argument("--symbol", help="only of this instrument, such as BTC/USDT")
    one.add_argument("--strategy", metavar="NAME", help="only of this strategy")
    one.add_argument(
        "--kind",
        help="only of this kind: a record's what; target, rest, stop; maker, taker; a command; why refused",
    )
    one.add_argument("--since", type=instant, metavar="TIME", help="from 2026-01-31T12:00:00 UTC on, say")
    one.add_argument("--until", type=instant, metavar="TIME", help="before that")
    one.add_argument("--last", type=count, metavar="N", help="only the last N")
    one.add_argument("--csv", type=Path, metavar="FILE", help="write it there, which must not exist")
    one.add_argument("--parquet", type=Path, metavar="FILE", help="likewise")
    _add_json(one)


def _add_report(one: Parser) -> None:
    one.add_argument("session", type=Path, help="a journal's folder, or the folder of a session's tape")
    one.add_argument("--journal", type=Path, metavar="FOLDER", help="of a tape: where the journal is now")
    one.add_argument("--run", type=count, metavar="N", help="of a journal: only this run of it (all)")
    one.add_argument("--html", type=Path, metavar="FILE", help="write a page there too, which must not exist")
    _add_json(one)


def _add_record(one: Parser) -> None:
    one.add_argument("config", type=Path, nargs="?", help="take the feed and the tape's bounds from it")
    one.add_argument("--exchange", help="without a configuration: binance, bybit, coinbase, kraken or okx")
    one.add_argument("--market", help="likewise: spot, usdm or coinm (spot)")
    one.add_argument(
        "--symbol", action="append", default=[], help="likewise, such as BTC/USDT; may be repeated"
    )
    one.add_argument(
        "--stream", action="append", default=[], help="likewise: trade, quote or depth; may be repeated (all)"
    )
    one.add_argument("--out", type=Path, metavar="FOLDER", help="where the session's folder is made")
    _add_seconds(one, "stop after so long")
    _add_json(one)


def _add_seconds(one: Parser, text: str) -> None:
    one.add_argument("--seconds", type=positive, help=text)


def _add_run(one: Parser) -> None:
    _add_seconds(one, "stop after so long")
    one.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    one.add_argument(
        "--hold", action="store_true", help="connect to nothing before a line comes on standard input"
    )
    _add_json(one)


def _add_tape(one: Parser) -> None:
    one.add_argument("--tape", type=Path, metavar="FILE", help="stream this capture, not a synthetic market")
    one.add_argument("--speed", type=speed, help="of the tape: a factor, or max (1)")


def _add_json(one: Parser) -> None:
    one.add_argument("--json", action="store_true", help="report as JSON on standard output")


def _add_remote(one: Parser) -> None:
    one.add_argument("--name", help="the daemon's name, when several run here")
    one.add_argument("--socket", type=Path, help="the daemon's Unix socket")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
