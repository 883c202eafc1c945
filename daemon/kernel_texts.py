"""What is generated of a strategy: the source of its live kernels, and of the loops around them.

numba finds a function that is called by its name and inlines it; handed over it costs 30 us a call.
daemon/compile.py imports these texts as modules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from strategies.base import Strategy

_HEAD: Final = '''"""The live kernels of strategy {name}, generated: edit the strategy, not this file."""

from numba import njit

from kernels import pipeline, shapes
from kernels.pipeline import TURN_FULL, TURN_MISS, TURN_WHY
from kernels.ring import MASK
{imports}

@njit(cache=True)
def absorb(mem, rings, row):
    """Take the ticks that wait for instrument `row`."""
    pipeline.absorb(mem, rings, row)
    {take}


@njit(cache=True)
def book(mem, rings, row, levels, tick_size, lot_size, wire_ns):
    """Take the changed book of instrument `row`."""
    pipeline.book(mem, rings, row, levels, tick_size, lot_size, wire_ns)


'''
_COMPILED: Final = '''@njit(cache=True)
def drain(mem, rings, account, {model}now_ns, why):
    """Decide, and return how many actions wait in mem."""
    pipeline.prepare(mem, rings, account, now_ns)
    {predict}
    {close}
    m = mem[0]
    # [:] makes plain arrays, as DECIDE_SIGNATURE has them, of the record's, whose types tell their shapes
    wanted = decide(now_ns, why, m.rows[:], m.book[:], m.position[:], m.working[:], m.account[:], m.state[:],
                    m.params[:], m.out[:])
    return pipeline.finish(mem, wanted, now_ns)


@njit(cache=True)
def turn(mem, rings, account, {model}frame, stream, wire_ns):
    """Read a frame that was all there was to read, and decide on it: as read and drain, in one call."""
    pipeline.fetch(mem)
    came = shapes.read(frame, stream, rings, wire_ns)
    if came == shapes.MISS:
        return TURN_MISS
    rings[stream[0].instrument].turns += 1
    count = drain(mem, rings, account, {model}wire_ns, TURN_WHY)
    return count if came & MASK or count < 0 else count | TURN_FULL
'''
_INTERPRETED: Final = '''@njit(cache=True)
def prepare(mem, rings, account, {model}now_ns, why):
    """Fill the rows that decide reads; return why it is asked."""
    pipeline.prepare(mem, rings, account, now_ns)
    {predict}
    {close}
    return why


@njit(cache=True)
def finish(mem, wanted, now_ns):
    """Turn what decide wrote into actions, and return how many."""
    return pipeline.finish(mem, wanted, now_ns)
'''
#: a strategy without a model neither passes its arrays (70 ns) nor asks for it
_WITH_MODEL: Final = {"model": "nodes, roots, bits, ", "predict": "pipeline.predict(mem, nodes, roots, bits)"}
_WITHOUT: Final = {"model": "", "predict": "# no model: the prediction stays NaN"}

#: nor does one without bars make any
_WITH_BARS: Final = {
    "take": "wake_bars.take(mem, rings, row)",
    "close": "why = wake_bars.close(mem, rings, why, now_ns)",
}
_WITHOUT_BARS: Final = {"take": "# it makes no bars", "close": "# nor is it woken by one"}

#: the backtest's loop around the same live call, found in its module
_LOOP: Final = '''"""The backtest of strategy {name}, generated: edit the strategy, not this file."""

from numba import njit

from kernels import backtest
from kernels.dtypes import R_LOT_SIZE, R_TICK_SIZE
from kernels.gates import NO
{imports}from {live} import book as tell
from {live} import drain


@njit(cache=True, nogil=True)
def run(mem, account, test, front, matcher, rings, book, shown, scratch, events, levels, trips, {model}limit):
    """Go on until something is missing, and say what; or 0 after `limit` stops."""
    for _ in range(limit):
        why = backtest.advance(test, front, matcher, rings, book, shown, scratch, events, levels, trips)
        if why > 0:
            mem[0].gate[0] = test[0].gate
            count = drain(mem, rings, account, {model}test[0].decide_ns, why)
            backtest.answer(test, front, trips, mem[0].actions[:], count)
        elif why == backtest.TELL_BOOK:
            t = test[0]
            tell(mem, rings, NO, book, t.rules[R_TICK_SIZE], t.rules[R_LOT_SIZE], t.book_ns)
{close}        else:
            return why
    return 0
'''

#: of the loop: whether a bar ended is in the strategy's memory, which the machine does not see
_LOOP_BARS: Final = {
    "imports": "from kernels import wake_bars\n",
    "close": """        elif why == backtest.BAR_DUE:
            test[0].bar_ended = wake_bars.ended(mem, test[0].now_ns)
""",
}
_LOOP_WITHOUT_BARS: Final = {"imports": "", "close": ""}

#: a replay's loop around the same live call
_RUN: Final = '''"""Strategy {name}'s run of a replay's ticks, generated: edit the strategy, not this file."""

from numba import njit

from kernels import shapes
from kernels.pipeline import TURN_FULL, TURN_WHY
from kernels.ring import MASK
from {live} import drain


@njit(cache=True)
def run(mem, rings, account, {model}text, starts, ends, wires_ns, quotes, trades, place, until_ns):
    """Take frames from number place[0] on, each as turn does, from within the text; return the last answer.

    It ends before what is no plain tick, runs backwards from place[1] or is stamped at until_ns or later, and
    behind what is answered otherwise than by 0. place: the next, and when the newest taken was received.
    """
    for at in range(place[0], len(starts)):
        wire_ns = wires_ns[at]
        if wire_ns >= until_ns or wire_ns < place[1]:
            return 0
        came = shapes.read_within(text, starts[at], ends[at], quotes, rings, wire_ns)
        if came == shapes.MISS:
            came = shapes.read_within(text, starts[at], ends[at], trades, rings, wire_ns)
            if came == shapes.MISS:
                return 0
        place[0] = at + 1
        place[1] = wire_ns
        rings[quotes[0].instrument].turns += 1
        count = drain(mem, rings, account, {model}wire_ns, TURN_WHY)
        if count != 0 or came & MASK == 0:
            return count if came & MASK or count < 0 else count | TURN_FULL
    return 0
'''


def live(strategy: Strategy, *, compiled: bool, modelled: bool) -> str:
    """Return the source of a strategy's live kernels; not compiled: of the halves around a Python one."""
    # `decide` may be re-exported by the strategy's module: import it from where it was defined
    imports = f"from {strategy.decide.py_func.__module__} import decide\n" if compiled else ""
    body = _COMPILED if compiled else _INTERPRETED
    bars = _WITH_BARS if strategy.bar_ns else _WITHOUT_BARS
    if strategy.bar_ns:
        imports += "from kernels import wake_bars\n"
    text = _HEAD.format(name=plain(strategy.name), imports=imports, take=bars["take"])
    return text + body.format(**(_WITH_MODEL if modelled else _WITHOUT), close=bars["close"])


def backtest(strategy: Strategy, live: str, *, modelled: bool) -> str:
    """Return the source of a backtest's loop around the kernels of the module `live`."""
    more = _WITH_MODEL if modelled else _WITHOUT
    bars = _LOOP_BARS if strategy.bar_ns else _LOOP_WITHOUT_BARS
    return _LOOP.format(name=plain(strategy.name), live=live, model=more["model"], **bars)


def replay(strategy: Strategy, live: str, *, modelled: bool) -> str:
    """Return the source of a replay's run around the kernels of the module `live`."""
    more = _WITH_MODEL if modelled else _WITHOUT
    return _RUN.format(name=plain(strategy.name), live=live, model=more["model"])


def plain(name: str) -> str:
    """Return a name as part of a module's, which generated code imports from."""
    return re.sub(r"\W", "_", name)
