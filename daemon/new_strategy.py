"""`tickd new strategy NAME`: a strategy that works, and its test, for somebody to go on from."""

from __future__ import annotations

import keyword
import os
import sys
from typing import TYPE_CHECKING, Final

from daemon.errors import EXIT_DONE, TickdError, UsageError
from strategies.base import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

_STRATEGY: Final = '''"""Buy what has fallen: long while mid is far below its mean, flat once it is back.

What it wants is what shall be *standing*; the daemon finds the difference to what stands, checks it against
the limits, and sends it. The whole contract is in strategies/base.py, every feature in docs/features.md.
"""

from typing import Any

from numba import njit

from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, P_QTY, TARGET
from kernels.features import FEATURES

#: what a configuration may set under [strategy.params], in the order of `params`
PARAMS = {
    "qty": 0.001,  # base currency to buy
    "enter_devs": 2.0,  # deviations below the mean at which to buy
    "exit_devs": 0.0,  # at which to sell again
    "slip_bps": 5.0,  # worst price: so far through the other side of the market
}
STATES = 1  # numbers that it remembers, kept over a restart
INSTRUMENTS = 1
TIMER_S = 0.0  # it is asked at every tick; above zero also by the clock
ON_GAP = "reset"  # after missed ticks the mean is not known: begin anew

_ZSCORE = FEATURES.index("zscore")
_QTY, _ENTER, _EXIT, _SLIP = range(4)


@njit(cache=True)
def decide(
    now_ns: int,
    why: int,
    rows: Any,
    book: Any,
    position: Any,
    working: Any,
    account: Any,
    state: Any,
    params: Any,
    out: Any,
) -> int:
    """Want `qty` or nothing; state[0] is 1 between buying and selling again."""
    zscore = rows[0, _ZSCORE]
    if not abs(zscore) < 1e9:  # NaN: not enough has been seen
        return NO_OPINION
    if zscore <= -params[_ENTER]:
        state[0] = 1.0
    elif zscore >= -params[_EXIT]:
        state[0] = 0.0
    wanted = state[0] * params[_QTY]
    buys = wanted > position[0, P_QTY]
    touch = book[0, 1, 0, 0] if buys else book[0, 0, 0, 0]
    if not touch > 0:
        return NO_OPINION
    out[0, O_KIND] = TARGET
    out[0, O_INSTRUMENT] = 0
    out[0, O_QTY] = wanted
    out[0, O_PRICE] = touch * (1.0 + (params[_SLIP] if buys else -params[_SLIP]) * 1e-4)
    return 1
'''
_TEST: Final = '''"""What {name} wants, one moment at a time."""

from pathlib import Path

import pytest

from daemon.stage import Stage


@pytest.fixture
def stage():
    made = Stage(Path(__file__).with_name("{name}.py"), qty=0.5, enter_devs=2.0, exit_devs=0.5, slip_bps=10.0)
    made.market(99.0, 101.0)
    return made


def test_it_has_no_opinion_before_the_mean_is_known(stage):
    assert stage.ask() is None


def test_it_buys_far_below_the_mean_and_sells_once_mid_is_back(stage):
    stage.feature("zscore", -1.9)
    assert [want.qty for want in stage.ask()] == [0.0]
    stage.feature("zscore", -2.0)
    assert [want.qty for want in stage.ask()] == [0.5]
    stage.feature("zscore", -1.0)  # in between it stays as it is
    assert [want.qty for want in stage.ask()] == [0.5]
    stage.feature("zscore", -0.5)
    assert [want.qty for want in stage.ask()] == [0.0]


def test_its_worst_price_is_beyond_the_side_that_it_must_take(stage):
    stage.feature("zscore", -3.0)
    assert stage.ask()[0].price == pytest.approx(101.0 * 1.001)
    stage.feature("zscore", 0.0)
    stage.hold(0.5)
    assert stage.ask()[0].price == pytest.approx(99.0 * 0.999)


def test_without_a_market_it_decides_nothing(stage):
    stage.feature("zscore", -3.0)
    stage.market(float("nan"), float("nan"))
    assert stage.ask() is None
'''


def run(name: str, folder: Path) -> int:
    """Write NAME.py and test_NAME.py into a folder, neither of which may exist; return the exit code.

    Raises UsageError for a name that no module can have, TickdError where they cannot be written.
    """
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise UsageError(
            f"a strategy cannot be called {name!r}; use one that Python can import: reversal, say"
        )
    if name in SHIPPED or name in sys.stdlib_module_names:
        raise UsageError(f"{name!r} is the name of another module already; choose one that is not")
    strategy, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (strategy, test):
        if path.exists():
            raise UsageError(f"{path} exists already, and is left as it is; choose another name")
    begun: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in ((strategy, _STRATEGY), (test, _TEST.format(name=name))):
            with path.open("x", encoding="utf-8") as file:
                begun.append(path)
                file.write(text)
    except OSError as error:
        for path in begun:
            path.unlink(missing_ok=True)
        raise TickdError(f"{error.filename or folder} cannot be written ({error.strerror})") from None
    shown = os.path.relpath(strategy)
    print(
        f"{shown} and {os.path.relpath(test)} are written\n"
        f"  watch it trade    tickd demo --strategy {shown}\n"
        f"  its test          python -m pytest {os.path.relpath(test)}  (after make setup)\n"
        f'  let it trade      in a configuration: [[strategy]] name = "{shown}:decide"'
    )
    return EXIT_DONE
