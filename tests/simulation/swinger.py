"""A strategy for futures: it changes its mind every few seconds, by the time alone, and holds either side."""

from __future__ import annotations

from kernels import dtypes as d

PARAMS = {"qty": 0.002, "period_s": 3.0, "who": 0.0}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.5
#: the last is more than one order may have
SIZES = (1.0, 2.0, 2.3)


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    """Want a position, quotes on both sides, a stop, or nothing, in turns that look random."""
    qty, period_s, who = params
    bid, ask = book[0, 0, 0, 0], book[0, 1, 0, 0]
    if not bid > 0 or not ask > 0:
        return d.NO_OPINION
    turn = int(now_ns // int(period_s * 1e9)) * 1_000_003 + int(who) * 7919
    mood = (turn * 2_654_435_761 % 2**32) >> 20
    kind = mood % 6
    side = 1 if mood // 6 % 2 else -1
    size = qty * SIZES[mood // 12 % 3]
    held = position[0, d.P_QTY]
    if kind == 0:
        out[0] = (d.TARGET, 0, 0, 0, ask * 1.002 if side > 0 else bid * 0.998, side * size)
        return 1
    if kind == 1:
        out[0] = (d.TARGET, 0, 0, 0, bid * 0.998 if held > 0 else ask * 1.002, 0.0)
        return 1
    if kind == 5:
        return 0
    if kind == 4 and held:
        # at whole percents of the price, so that it stays where it is
        away = 0.98 if held > 0 else 1.02
        out[0] = (d.STOP, 0, 0, -1 if held > 0 else 1, away * round(bid, -2), abs(held))
        return 1
    out[0] = (d.REST, 0, 0, d.BUY, bid, size)
    out[1] = (d.REST, 0, 1, d.SELL, ask, size)
    return 2
