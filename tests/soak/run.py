"""A daemon on a bad line for as long as it is let: real processes, real sockets, a fault every 20 s.

The exchange streams forty times what a busy market did in a capture, cuts every connection every few seconds,
and misbehaves on top of that. The daemon trades on. What it has of memory, descriptors, threads and tasks is
sampled all the while, and at the end its books are compared with the exchange's.
"""

from __future__ import annotations

import json
import time
from itertools import cycle
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.end_to_end.agreement import check_agreement
from tests.end_to_end.harness import CROSS, MAKER
from tests.end_to_end.test_faults import post, struck
from tests.soak.slopes import Slope, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.harness import Bench, Daemon

#: forty times the frames that a spot capture of BTC/USDT has in a second, of ten symbols together
RATE: Final = 40 * 119
_OTHERS: Final = ("ETH", "SOL", "XRP", "BNB", "ADA", "DOGE", "TRX", "AVAX", "LINK")
_SYMBOLS: Final = ("BTC/USDT", *(f"{name}/USDT" for name in _OTHERS))
_ONE: Final = 'warmup_ticks = 20\nsymbols = ["BTC/USDT"]'
_SAMPLE_S: Final = 1.0
#: between cuts of the market data; every tenth is of orders too: each of those takes a snapshot of the
#: account, and for more of these an exchange has no room
_CUT_S: Final = 2.75
_MARKET: Final = {"kind": "disconnect", "of": "market"}
_CUTS: Final = (*(_MARKET,) * 9, {"kind": "disconnect"})
_FAULT_S: Final = 20.0
#: none lasts into the next
FAULTS: Final = (
    {"kind": "drop", "method": "executionReport", "count": 2},
    {"kind": "duplicate", "method": "executionReport", "count": 6},
    {"kind": "reorder", "method": "executionReport", "count": 4},
    {"kind": "delay", "method": "executionReport", "count": 4, "delay_s": 1.5},
    {"kind": "lose_answer", "method": "order.place", "count": 2},
    {"kind": "lose_request", "method": "order.place", "count": 2},
    {"kind": "http_5xx", "lasts_s": 3.0, "share": 0.5},
    {"kind": "-1006", "method": "order.place", "count": 2},
    {"kind": "-1007", "method": "order.place", "count": 2},
    {"kind": "rate_429", "lasts_s": 2.0, "delay_s": 2.0},
    {"kind": "ban_418", "lasts_s": 5.0},
    {"kind": "query_lag", "lasts_s": 8.0, "delay_s": 3.0},
    {"kind": "depth_gap", "count": 2},
    {"kind": "crossed_book", "count": 1},
    {"kind": "stall", "of": "market", "lasts_s": 8.0},
    {"kind": "storm", "lasts_s": 8.0, "delay_s": 0.5},
    {"kind": "refuse_connect", "lasts_s": 4.0},
    {"kind": "server_shutdown", "delay_s": 3.0},
    {"kind": "maintenance", "lasts_s": 5.0},
    {"kind": "break", "symbol": "BTCUSDT", "lasts_s": 3.0},
    {"kind": "clock_step", "lasts_s": 8.0, "delay_s": 5.0},
    {"kind": "partial_fill", "lasts_s": 8.0},
)
#: what half an hour must see at least
_LONG_MIN, _RECONNECTS_LEAST = 30, 500
#: what may grow in an hour: half a megabyte of memory, and nothing at all of the rest
ALLOWED: Final = {"memory_kb": 512.0, "descriptors": 0.5, "threads": 0.5, "tasks": 0.5}
#: what an order leaves in memory, by tracemalloc: 4,096 of those that ended are kept, 50,000 numbers,
#: and half an hour has fewer
_ORDER_KB: Final = 0.65


class Outcome(NamedTuple):
    """What a soak saw."""

    minutes: float
    reconnects: int
    orders: int
    fills: int
    faults: dict[str, int]
    slopes: dict[str, Slope]

    @property
    def kept_kb(self) -> float:
        """What the orders of an hour leave in stores that are bounded, and not full yet."""
        return self.orders * _ORDER_KB * 60 / self.minutes

    @property
    def easy(self) -> bool:
        """Whether a long soak saw fewer connections made anew than tell whether each leaves something."""
        return self.minutes >= _LONG_MIN and self.reconnects < _RECONNECTS_LEAST

    def leaks(self) -> list[str]:
        """Return what surely grows."""
        allowed = ALLOWED | {"memory_kb": ALLOWED["memory_kb"] + self.kept_kb}
        return [name for name, one in self.slopes.items() if one.grows(allowed[name])]

    def lines(self) -> list[str]:
        """Return it in words."""
        strikes = f"{sum(self.faults.values())} strikes of {len(self.faults)} kinds of faults"
        met = f"{self.reconnects} reconnects, {self.orders:,} orders, {self.fills} fills, {strikes}"
        found = [f"{self.minutes:g} minutes at {RATE:,} events/s: {met}"]
        if self.easy:
            found.append(f"  TOO EASY: {_RECONNECTS_LEAST} connections made anew are wanted")
        leaks = self.leaks()
        for name, one in self.slopes.items():
            verdict = "GROWS" if name in leaks else "within noise"
            if name == "memory_kb":
                verdict += f", {self.kept_kb:+,.0f} an hour are the orders that are remembered"
            found.append(
                f"  {name}: {one.last:,.0f} at the end, {one.per_hour:+,.1f} an hour "
                f"(99 %: +-{one.doubt:,.1f}): {verdict}"
            )
        return found


def soak(bench: Bench, minutes: float, seed: int, say: Callable[[str], object] = print) -> Outcome:
    """Let a daemon trade for so long, and compare its books with the exchange's."""
    listed = [word for symbol in _SYMBOLS for word in ("--symbol", symbol)]
    exchange = bench.exchange(*listed, "--rate", RATE // len(_SYMBOLS), "--seed", seed)
    before = exchange.holds()
    port = int(exchange.urls["spot"].rpartition(":")[2])
    env = {
        "TICKD__venue__absence_s": "10.0",
        "TICKD__venue__backoff_s_max": "0.5",
        "TICKD__feed__backoff_s_max": "0.5",
        "TICKD__feed__symbols": json.dumps(_SYMBOLS),
    }
    strategies = (one.replace("warmup_ticks = 20", _ONE) for one in (CROSS, MAKER))
    daemon = bench.live(exchange, *strategies, env=env)
    daemon.ready()
    samples = _suffer(daemon, port, minutes * 60, Random(f"soak {seed}"), say)
    faults = struck(port)
    state = daemon.until(
        lambda state: state["state"] == "READY" and not state["orders"]["unknown"], "it is READY again", 120
    )
    check_agreement(bench, exchange, daemon, before)
    assert daemon.child.end() == 0
    at_s = [one["at_s"] for one in samples]
    return Outcome(
        minutes,
        state["feed_reconnects"] + state["venue_reconnects"],
        state["orders"]["placed"],
        state["orders"]["fills"],
        faults,
        {name: slope(at_s, [one[name] for one in samples]) for name in ALLOWED},
    )


def _suffer(
    daemon: Daemon, port: int, seconds: float, random: Random, say: Callable[[str], object]
) -> list[dict[str, float]]:
    begin = time.monotonic()
    cut_s, fault_s, told_s = _CUT_S, _FAULT_S / 2, 60.0
    samples: list[dict[str, float]] = []
    cuts = cycle(_CUTS)
    while (now_s := time.monotonic() - begin) < seconds:
        assert daemon.child.alive, daemon.child.err[-2000:]
        if now_s >= cut_s:
            cut_s = max(cut_s + _CUT_S, now_s)  # by the clock, whatever a sample takes
            post(port, next(cuts))
        if now_s >= fault_s:
            fault_s = now_s + _FAULT_S
            post(port, random.choice(FAULTS))
        state = daemon.state()
        if state is not None:
            samples.append({"at_s": now_s, "tasks": state["tasks"], **_process(daemon.child.popen.pid)})
            if state["state"] == "HALTED" and "not say what it holds" not in state["reason"]:
                raise AssertionError(f"HALTED: {state['reason']}")
        if state is not None and now_s >= told_s:
            told_s += 60.0
            say(f"{now_s / 60:.0f} min: {json.dumps({k: round(v) for k, v in samples[-1].items()})}")
        time.sleep(_SAMPLE_S)
    return samples


def _process(pid: int) -> dict[str, float]:
    """Return what a process has; of its memory what is its own, not the journal's pages."""
    process = Path("/proc", str(pid))
    told = dict(line.split(":", 1) for line in (process / "status").read_text("ascii").splitlines())
    return {
        "memory_kb": float(told["RssAnon"].split()[0]),
        "threads": float(told["Threads"]),
        "descriptors": float(sum(1 for _ in (process / "fd").iterdir())),
    }
