"""The columns that are measured beside ours are the same features, told by whole arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kernels import batch
from kernels.features import FEATURES, bind_tuning
from tests.bench import indicators, vectors
from tests.bench.market import make_books, make_ticks


def rolling(x, n, of):
    out = np.full(len(x), np.nan)
    out[n - 1 :] = of(np.lib.stride_tricks.sliding_window_view(x, n), axis=1)
    return out


def ema(x, n, first=0):
    """Seeded, as TA-Lib does, with the mean of the first n values."""
    out = np.full(len(x), np.nan)
    value = out[first + n - 1] = x[first : first + n].mean()
    for k in range(first + n, len(x)):
        value += 2.0 / (n + 1.0) * (x[k] - value)
        out[k] = value
    return out


def wilder(x, n):
    """The mean of x[1 : n + 1], then smoothed."""
    out = np.full(len(x), np.nan)
    value = out[n] = x[1 : n + 1].mean()
    for k in range(n + 1, len(x)):
        value = out[k] = (value * (n - 1) + x[k]) / n
    return out


def rsi(x, n):
    change = np.diff(x, prepend=x[0])
    up, down = wilder(np.maximum(change, 0.0), n), wilder(np.maximum(-change, 0.0), n)
    return 100.0 * up / (up + down)


def macd(x, fast, slow, signal):
    line = ema(x, fast) - ema(x, slow)
    average = ema(line, signal, slow - 1)
    return line, average, line - average


def atr(high, low, close, n):
    before = np.concatenate((close[:1], close[:-1]))
    return wilder(np.maximum(high, before) - np.minimum(low, before), n)


#: what TA-Lib says these functions are: the library itself is only where peers are measured
TALIB = SimpleNamespace(
    EMA=ema,
    SMA=lambda x, n: rolling(x, n, np.mean),
    STDDEV=lambda x, n: rolling(x, n, np.std),
    VAR=lambda x, n: rolling(x, n, np.var),
    MIN=lambda x, n: rolling(x, n, np.min),
    MAX=lambda x, n: rolling(x, n, np.max),
    RSI=rsi,
    MACD=macd,
    ATR=atr,
)


@pytest.fixture(scope="module")
def both():
    ticks = make_ticks(16_000, 3)
    rows = np.empty((len(ticks), len(FEATURES)))
    states, books = batch.new_states(1, bind_tuning({})), make_books(ticks, 3)
    batch.advance(states, 0, ticks, books, batch.every(ticks), batch.places(FEATURES), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_HALF_LIVES_MAX", 20.0)  # four blocks of the fast decay
        return rows, vectors.features(vectors.columns_of(ticks), books, TALIB)


def test_every_column_agrees_with_ours(both):
    rows, columns = both
    assert indicators.disagreements(rows, columns, 12_000) == [
        f"{len(FEATURES)} of {len(FEATURES)} columns agree with ours within 1e-06 of their spread, warm"
    ]


@pytest.mark.parametrize(
    "change", [lambda x: x * 1.01, lambda x: np.where(np.arange(len(x)) == 15_000, np.nan, x)]
)
def test_a_column_that_does_not_is_named(both, change):
    rows, columns = both
    said = indicators.disagreements(rows, columns | {"rsi": change(columns["rsi"])}, 12_000)
    assert said[0].startswith(f"{len(FEATURES) - 1} of")
    assert said[1].startswith("  rsi differs by up to ")
    assert len(said) == 2
