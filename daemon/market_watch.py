"""What no event announces about the market, looked at ten times a second: silence, lag, ticks that were lost.

An instrument that is silent, or lags, is closed to orders that add risk until it is neither. Lag is that of
the newest tick which the exchange stamped (trades; on derivatives quotes too) above its lowest of the last
minutes (kernels.lag), because a lag by itself holds the difference of two clocks. A person is told of each
silence and of its end, and of ticks that were overwritten in a ring before everybody had taken them: those
never reached some strategy's features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.entry import bound
from daemon.orders.audit import Alarm
from daemon.symbol_watch import SymbolWatch
from kernels import lag, outlook
from kernels.dtypes import GATE_FEED_LAG, GATE_STALE_FEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.orders.manager import Orders

#: an instrument whose ring goes on overflowing is told of at such distances
_OVERFLOW_AGAIN_NS: Final = 60_000_000_000
#: who falls silent, or speaks again, within so long of what was told is told of together
_SILENCE_APART_NS: Final = 1_000_000_000
#: of more instruments at once the number is told
_SYMBOLS_TOLD: Final = 5
_NEVER_NS: Final = 1 << 62


class Found:
    """How every instrument was found at the last look, from the rings that its ticks wait in."""

    def __init__(self, rings: NDArray[np.void]) -> None:
        self.stale = np.zeros(len(rings), dtype=bool)
        self.silent = self.stale.copy()  # as a person was told
        self.lagging = self.stale.copy()
        self.overwritten = np.zeros(len(rings), dtype=np.int64)  # ticks, as a person was told
        #: above its lowest in ns; negative while it is unknown
        self.lag_ns = np.full(len(rings), lag.UNKNOWN, dtype=np.int64)
        self._lags = lag.new_lags(len(rings))
        self._rings = rings
        self._look = bound(outlook.look)

    def otherwise(self, ages_ns: NDArray[np.int64], stale_ns: int, lag_ns_max: int) -> bool:
        """Take the ticks that came, which `lag_ns` tells; return whether anything else is not as it was."""
        changed: bool = self._look(
            self._rings,
            self._lags,
            self.lag_ns,
            ages_ns,
            self.stale,
            self.silent,
            self.lagging,
            self.overwritten,
            stale_ns,
            lag_ns_max,
        )
        return changed

    def lowest_s(self) -> list[float | None]:
        """Return each instrument's lowest lag of the last minutes, in seconds: None while it is unknown.

        It is how far the exchange's clock is behind ours, and the shortest way; negative where it is ahead.
        """
        lowest: NDArray[np.int64] = self._lags["lowest_ns"].min(axis=1)
        return [one / 1e9 if one < _NEVER_NS else None for one in lowest.tolist()]

    def lag_s(self, instrument: int) -> float | None:
        """Return what the last look found, in seconds; None while it is unknown."""
        lag_ns = self.lag_ns.item(instrument)
        return lag_ns / 1e9 if lag_ns >= 0 else None


class MarketWatch:
    """Holds the gates of silence and of lag, tells of overflows; the engine asks it to look.

    `symbols` holds the gate of closed markets.

    It looks at all instruments in a few calls over arrays, and goes to one only where something changed: 500
    looked at one after the other would stop the loop for a millisecond, ten times a second.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rings: NDArray[np.void],
        orders: Orders,
        *,
        stale_ns: int,
        lag_ns_max: int,
    ) -> None:
        """Wire it; lag_ns_max of 0: no lag closes anything."""
        self.found = Found(rings)
        self._any_stale = False
        self.symbols = SymbolWatch(instruments, orders)
        self._since_ns = np.zeros(len(rings), dtype=np.int64)  # of each silence
        self._begun_ns = self._told_silence_ns = -_NEVER_NS
        self._instruments = instruments
        self._overflow: NDArray[np.int64] = rings["overflow"]
        self._told_ns = [-_NEVER_NS] * len(rings)
        self._risk = orders.risk
        self._tell = orders.tell
        self._stale_ns = stale_ns
        self._lag_ns_max = lag_ns_max or _NEVER_NS

    def look(self, ages_ns: NDArray[np.int64], now_ns: int) -> None:
        """Look at every instrument; ages_ns: how long its most silent stream has been silent."""
        if self._begun_ns < 0:
            self._begun_ns = now_ns
        found = self.found
        if not found.otherwise(ages_ns, self._stale_ns, self._lag_ns_max):
            return
        found.stale = self._hold(GATE_STALE_FEED, found.stale, ages_ns > self._stale_ns)
        self._any_stale = bool(found.stale.any())
        if (found.stale != found.silent).any():
            self._tell_silence(ages_ns, now_ns)
        found.lagging = self._hold(GATE_FEED_LAG, found.lagging, found.lag_ns > self._lag_ns_max)
        for instrument in np.flatnonzero(self._overflow > found.overwritten).tolist():
            if now_ns - self._told_ns[instrument] >= _OVERFLOW_AGAIN_NS:
                self._tell_overflow(instrument, now_ns)

    def seen(self, instrument: int) -> bool:
        """Whether an instrument's feed is not silent."""
        return not self.found.stale[instrument]

    def unseen(self, synced: Sequence[bool]) -> list[int]:
        """Return the instruments whose market nobody can see: silent, or with a gap in the book."""
        if all(synced) and not self._any_stale:
            return []
        return np.flatnonzero(self.found.stale | ~np.array(synced)).tolist()

    def _tell_silence(self, ages_ns: NDArray[np.int64], now_ns: int) -> None:
        """Tell of those that fell silent, and of those that speak again: of all together, they may be 500."""
        if abs(now_ns - self._told_silence_ns) < _SILENCE_APART_NS:
            return
        stale, silent = self.found.stale, self.found.silent
        fell, back = stale & ~silent, silent & ~stale
        if now_ns - self._begun_ns <= self._stale_ns:
            fell &= ages_ns < _NEVER_NS  # who has not spoken yet still has time
        ages_ns = np.minimum(ages_ns, now_ns - self._begun_ns)
        self._since_ns[fell] = now_ns - ages_ns[fell]
        if fell.any():
            age_s = int(ages_ns[fell].max()) / 1e9
            text = f"no market data of {self._names(fell)} for {age_s:.1f} s: no order that adds risk leaves"
            self._tell(Alarm("feed_silent", text, now_ns))
        if back.any():
            age_s = (now_ns - int(self._since_ns[back].min())) / 1e9
            text = f"market data of {self._names(back)} comes again, after {age_s:.1f} s"
            self._tell(Alarm("feed_back", text, now_ns))
        if fell.any() or back.any():
            self._told_silence_ns = now_ns
            self.found.silent = silent ^ fell ^ back

    def _names(self, which: NDArray[np.bool_]) -> str:
        places = np.flatnonzero(which).tolist()
        names = ", ".join(self._instruments[place].symbol for place in places[:_SYMBOLS_TOLD])
        return names if len(places) <= _SYMBOLS_TOLD else f"{names} and {len(places) - _SYMBOLS_TOLD} more"

    def _tell_overflow(self, instrument: int, now_ns: int) -> None:
        lost = self._overflow.item(instrument)
        told = self.found.overwritten
        more, told[instrument] = lost - told.item(instrument), lost
        self._told_ns[instrument] = now_ns
        symbol = self._instruments[instrument].symbol
        text = f"{more} ticks of {symbol} were overwritten before everybody had taken them"
        self._tell(Alarm("ring_overflow", text, now_ns))

    def _hold(self, gate: int, was: NDArray[np.bool_], closed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Open and close a gate where it is to be otherwise than it was; return how it is."""
        for instrument in np.flatnonzero(was != closed).tolist():
            (self._risk.close if closed[instrument] else self._risk.open)(instrument, gate)
        return closed
