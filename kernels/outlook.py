"""Whether the market is otherwise than it was found, in what no event announces: one call for all of it.

Ten times a second the answer is almost always no, and then nothing else has to be looked at: the arrays
compared by numpy cost 8 us for one instrument, this call one (daemon/market_watch.py acts on a yes).
"""

from typing import Any, Final

from numba import njit

from kernels.lag import look_at

#: the age of who never spoke
NEVER_NS: Final = 1 << 62


@njit(cache=True)
def ages(streams: Any, first: int, last: int, now_ns: int, out: Any) -> None:
    """Write how long ago the more silent of two streams of each instrument spoke; NEVER_NS: one never did.

    streams: kernels.shapes.STREAM[instruments, kinds]; first, last: their columns, which may be the same;
    out: int64[instruments], in ns.
    """
    for i in range(len(out)):
        spoken_ns = min(streams[i, first].newest_ns, streams[i, last].newest_ns)
        out[i] = now_ns - spoken_ns if spoken_ns else NEVER_NS


@njit(cache=True)
def mids(rings: Any, known: Any, changed: Any) -> int:
    """Bring the middles of all newest quotes up to date; return how many are others than were known.

    known: float64[instruments], NaN where there was no quote, which always is another; changed:
    int64[instruments], filled with which they are.
    """
    count = 0
    for i in range(len(known)):
        quote = rings[i].quote
        mid = 0.5 * (quote.a + quote.c)
        if mid != known[i]:
            known[i] = mid
            changed[count] = i
            count += 1
    return count


@njit(cache=True)
def look(
    rings: Any,
    lags: Any,
    lag_ns: Any,
    ages_ns: Any,
    stale: Any,
    silent: Any,
    lagging: Any,
    told: Any,
    stale_ns: int,
    lag_ns_max: int,
) -> bool:
    """Take the ticks that came of every instrument; return whether one is not as it was found last.

    rings: kernels.ring; lags: kernels.lag; lag_ns: int64[instruments], filled as kernels.lag.look_at returns;
    ages_ns: int64[instruments], how long each has been silent. As it was: stale, silent (as people were told)
    and lagging, bool[instruments]; told: int64[instruments], overwritten ticks.
    """
    changed = False
    for i in range(len(lags)):
        lag_ns[i] = look_at(rings, lags, i)
        is_stale = ages_ns[i] > stale_ns
        changed |= is_stale != stale[i] or is_stale != silent[i]
        changed |= (lag_ns[i] > lag_ns_max) != lagging[i]
        changed |= rings[i].overflow > told[i]
    return changed
