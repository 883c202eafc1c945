"""The decide contract: what a strategy is given and what it answers.

    decide(now_ns, why, rows[k,F+1], book[k,2,L,2], position[k,P], working[k,W,C], account[A],
           state[S], params[Q], out[N,C]) -> n

Everything is float64 with the columns named in kernels.dtypes; `now_ns` and `why` (a WHY_* mask) are int64.
The strategy writes what it wants to have *standing* into the first n rows of `out` and returns n; 0 wants
nothing standing, NO_OPINION (-1) leaves everything as it is. `rows` holds the features in the order of
kernels.features.FEATURES and the model's prediction in the last column (NaN without a model). `state` is the
strategy's own memory and is checkpointed with the features'; everything else it reads is overwritten before
each call.

A strategy is a module with:

    PARAMS       dict of name -> default (floats), in the order of `params`
    STATES       how many float64 it remembers
    INSTRUMENTS  how many instruments it owns (k)
    TIMER_S      seconds between timer wake-ups, 0.0 for none
    decide       the function, compiled by @njit or plain Python
    BAR_S        seconds of its bars, whole milliseconds from 0.1 up to a day (left out: it makes none)
    ON_GAP       what ticks that were missed mean to it (left out: "reset")
    ON_SILENCE   what becomes of its resting orders while it sees no market (left out: "withdraw")

A strategy with bars is woken when one closes: at its end, on the grid since 1970, whether anything comes then
or not. `why` has WHY_BAR then, or at whatever else asked it first behind that end. Bars are of trades, by the
time they were received. The newest that closed stands at the end of `state`, for each of its instruments:

    bar = state[STATES + i * BAR_COLUMNS :]      bar[BAR_CLOSE], bar[BAR_VOLUME], .. (kernels.dtypes)

An interval without a trade is a bar of no volume at the last close. After a gap the bar being made is not
complete.

Ticks are missed when a connection is cut, when the exchange's trade ids jump, and between a checkpoint and
the start that takes it up. "reset": what features and state had learnt is forgotten, and it warms up before
it acts again. "mark": both go on, and the gap is counted. To features a gap is then a silence: what is
weighed by time decays by its length, bars in it close at the last mid, and what is weighed by ticks takes the
next one as if none were missing; one longer than the tuning's `silence_s` begins them anew by itself. Let a
strategy go on only if it stays right so: one that quotes by its volatility would find it low.

While an instrument's feed is silent beyond its limit, or its book has a gap, a strategy cannot move what it
has resting there. "withdraw": it is cancelled, and reconcile places it anew once there is a market. "leave":
it stands, as for one whose orders are meant to wait far away for days. Protective stops stand either way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numba import float64, int64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: the one signature every decide has
DECIDE_SIGNATURE = int64(
    int64,
    int64,
    float64[:, ::1],
    float64[:, :, :, ::1],
    float64[:, ::1],
    float64[:, :, ::1],
    float64[::1],
    float64[::1],
    float64[::1],
    float64[:, ::1],
)


#: what missed ticks mean to a strategy
OnGap = Literal["reset", "mark"]
_ON_GAP: Final = get_args(OnGap)
#: what a market that is not seen means to a strategy's resting orders
OnSilence = Literal["withdraw", "leave"]
_ON_SILENCE: Final = get_args(OnSilence)
_MS_NS: Final = 1_000_000
_BAR_NS_MIN: Final = 100 * _MS_NS
_BAR_NS_MAX: Final = 86_400_000 * _MS_NS


class Decide(Protocol):
    """The function itself; shapes and units above."""

    def __call__(
        self,
        now_ns: int,
        why: int,
        rows: NDArray[np.float64],
        book: NDArray[np.float64],
        position: NDArray[np.float64],
        working: NDArray[np.float64],
        account: NDArray[np.float64],
        state: NDArray[np.float64],
        params: NDArray[np.float64],
        out: NDArray[np.float64],
    ) -> int:
        """Write what is wanted into `out`; return how many rows, or NO_OPINION."""


class Strategy(NamedTuple):
    """A loaded strategy."""

    name: str
    decide: Any  # a numba dispatcher, or a plain function
    params: Mapping[str, float]
    states: int
    instruments: int
    timer_s: float
    source: str  # the module's text and its helpers', hashed into the compiled kernel's name
    on_gap: OnGap = "reset"
    on_silence: OnSilence = "withdraw"
    bar_ns: int = 0  # the length of its bars; 0: it makes none


SHIPPED = ("ema_cross", "market_maker", "pairs", "ml")


class StrategyError(ValueError):
    """A strategy's module or parameters do not follow the contract; the sentence says which part."""


def from_module(name: str, module: Any, source: str) -> Strategy:
    """Check a module against the contract and return the strategy; raises StrategyError."""
    missing = [
        part for part in ("PARAMS", "STATES", "INSTRUMENTS", "TIMER_S", "decide") if not hasattr(module, part)
    ]
    if missing:
        raise StrategyError(
            f"strategy {name} lacks {', '.join(missing)}; see strategies/base.py for the contract"
        )
    try:
        strategy = Strategy(
            name=name,
            decide=module.decide,
            params={key: float(value) for key, value in module.PARAMS.items()},
            states=int(module.STATES),
            instruments=int(module.INSTRUMENTS),
            timer_s=float(module.TIMER_S),
            source=source,
            on_gap=getattr(module, "ON_GAP", "reset"),
            on_silence=getattr(module, "ON_SILENCE", "withdraw"),
            bar_ns=round(float(getattr(module, "BAR_S", 0.0)) * 1e9),
        )
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise StrategyError(f"strategy {name} does not follow strategies/base.py: {error}") from None
    if not callable(strategy.decide):
        raise StrategyError(f"strategy {name}: decide is no function")
    if not (strategy.instruments >= 1 and strategy.states >= 0 and 0.0 <= strategy.timer_s < math.inf):
        raise StrategyError(f"strategy {name}: INSTRUMENTS is at least 1, STATES and TIMER_S at least 0")
    if strategy.bar_ns and (not _BAR_NS_MIN <= strategy.bar_ns <= _BAR_NS_MAX or strategy.bar_ns % _MS_NS):
        raise StrategyError(f"strategy {name}: BAR_S is of whole milliseconds, from 0.1 to 86400")
    for word, said, known in (
        ("ON_GAP", strategy.on_gap, _ON_GAP),
        ("ON_SILENCE", strategy.on_silence, _ON_SILENCE),
    ):
        if said not in known:
            raise StrategyError(f"strategy {name}: {word} is {said!r}, and can be {' or '.join(known)}")
    return strategy


def bind_params(strategy: Strategy, given: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the parameters, defaults overridden by `given`; raises StrategyError for an unknown name."""
    for key in given:
        if key not in strategy.params:
            known = ", ".join(strategy.params) or "none"
            raise StrategyError(f"strategy {strategy.name} has no parameter {key!r}; it has {known}")
    return np.array([given.get(key, default) for key, default in strategy.params.items()], dtype=np.float64)
