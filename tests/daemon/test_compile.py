from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from daemon.compile import live_kernel, load_strategy
from daemon.config import ReconcileConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.runtime import new_memory
from kernels import dtypes as d
from kernels.book import make as make_book
from kernels.ring import new_rings, push
from strategies.base import SHIPPED, bind_params

ARGUMENTS = "now_ns, why, rows, book, position, working, account, state, params, out"
CONTRACT = "PARAMS = {'qty': 2.0}\nSTATES = 1\nINSTRUMENTS = 1\nTIMER_S = 0.0\n"
PLAIN = f"{CONTRACT}\ndef decide({ARGUMENTS}):\n    return -1\n"
#: what a strategy sees of the account
ACCOUNT = np.zeros(d.ACCOUNT_COLUMNS)
COMPILED = f"""from numba import njit

from strategies.base import DECIDE_SIGNATURE
{CONTRACT}

@njit(cache=True)
def twice(x):
    return 2.0 * x


@njit(DECIDE_SIGNATURE, cache=True)
def decide({ARGUMENTS}):
    out[0, 0] = 1.0
    out[0, 4] = twice(50.0)
    out[0, 5] = params[0]
    return 1
"""


@pytest.fixture
def instruments():
    return [
        make_instrument(
            index,
            "binance",
            "usdm",
            f"{base}/USDT",
            tick_size="0.1",
            lot_size="0.001",
            qty_min="0.001",
            qty_max="1000",
            notional_min="5",
        )
        for index, base in enumerate(("BTC", "ETH"))
    ]


@pytest.fixture
def memory_of(instruments):
    def new(strategy):
        return new_memory(
            strategy,
            instruments[: strategy.instruments],
            StrategyConfig(name=strategy.name),
            bind_params(strategy, {}),
            RiskConfig(),
            ReconcileConfig(),
            VenueConfig(),
            (0.0, 0.0),
            can_amend=True,
        )

    return new


def refusal(act):
    """Return the one sentence of the ConfigError that `act` raises."""
    with pytest.raises(ConfigError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_file(reference):
    return refusal(lambda: load_strategy(str(reference)))


def refused_kernel(path, memory_of):
    strategy = load_strategy(str(path))
    return refusal(lambda: live_kernel(strategy, memory_of(strategy), ()))


# --- loading ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_strategy_is_loaded_by_its_name(name):
    strategy = load_strategy(name)
    assert strategy.name == name
    assert "def decide(" in strategy.source
    assert strategy.instruments == (2 if name == "pairs" else 1)


def test_a_file_is_loaded_with_and_without_its_functions_name(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(PLAIN)
    absolute = load_strategy(f"{tmp_path}/mine.py:decide")
    monkeypatch.chdir(tmp_path)
    relative = load_strategy("mine.py")  # to the working directory
    for strategy in (absolute, relative):
        assert (strategy.name, strategy.params, strategy.source) == ("mine", {"qty": 2.0}, PLAIN)
    assert relative.decide is absolute.decide


def test_a_file_that_was_edited_is_loaded_anew(tmp_path):
    path = tmp_path / "mine.py"
    said = []
    for answer in ("-1", "-2", "0"):  # the first two alike in size, edited at the same time
        path.write_text(PLAIN.replace("return -1", f"return {answer}"))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        said.append(load_strategy(str(path)).decide(*[None] * 10))
    assert said == [-1, -2, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def f(:\n", "does not load (SyntaxError: "),
        ("import nowhere\n", "does not load (ModuleNotFoundError: No module named 'nowhere')"),
        ("1 / 0\n", "does not load (ZeroDivisionError: division by zero)"),
        ("\xff", "is no text"),
        (
            COMPILED.replace("params[0]", "params.qty"),
            "does not load (TypingError: Unknown attribute 'qty' of type array(float64, 1d, C))",
        ),
        (PLAIN.replace("decide", "decline"), "strategy mine lacks decide"),
        (PLAIN.replace("{'qty': 2.0}", "{'qty': 'two'}"), "strategy mine does not follow strategies/base.py"),
    ],
)
def test_a_file_that_is_no_strategy_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="latin-1")
    assert sentence in refused_file(path)
    assert sentence in refused_file(path)  # half a module is not kept
    path.write_text(PLAIN)
    assert load_strategy(str(path)).name == "mine"  # once mended


def test_a_strategy_that_is_nowhere_is_refused_with_those_there_are(tmp_path):
    assert refused_file("ema_crss") == (
        "strategy 'ema_crss' is unknown; use one of ema_cross, market_maker, pairs, ml or a file like "
        "my_strategy.py"
    )
    assert refused_file(tmp_path / "mine.py").endswith("mine.py does not exist; check the name")
    assert refused_file("mine.py:run") == "strategy 'mine.py:run': the function must be called decide"


# --- compiling ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    # nothing else compiles pairs, and that takes a minute
    "name",
    [pytest.param(name, marks=[pytest.mark.heavy] * (name == "pairs")) for name in SHIPPED],
)
def test_every_kernel_has_one_signature_whatever_it_is_called_with(name, memory_of):
    strategy = load_strategy(name)
    memory = memory_of(strategy)
    kernel = live_kernel(strategy, memory, ())
    counts = [len(one.signatures) for one in kernel.dispatchers]
    assert counts == [1] * len(counts)
    rings = new_rings(2)
    push(rings, 0, d.QUOTE, 10, 0, 1, 100.0, 1.0, 100.1, 1.0)
    kernel.absorb(memory, rings, 0)
    kernel.absorb(memory, rings, np.int64(0))
    kernel.book(memory, rings, 0, make_book(), 1, 1, 13)  # whole numbers, where a float is meant
    kernel.drain(memory, rings, ACCOUNT, np.int64(14), d.WHY_DRAIN)
    assert memory[0]["decisions"] == 1
    assert [len(one.signatures) for one in kernel.dispatchers] == counts


def test_warming_up_leaves_no_trace_in_the_memory(memory_of):
    strategy = load_strategy("ema_cross")
    memory = memory_of(strategy)
    before = memory.tobytes()
    live_kernel(strategy, memory, ())
    assert memory.tobytes() == before


def test_a_users_compiled_strategy_is_asked_by_its_own_decide(tmp_path, memory_of):
    path = tmp_path / "my-own strategy.py"
    path.write_text(COMPILED)
    strategy = load_strategy(str(path))
    memory = memory_of(strategy)
    kernel = live_kernel(strategy, memory, ())
    rings = new_rings(1)
    push(rings, 0, d.QUOTE, 10, 0, 1, 99.9, 5.0, 100.0, 5.0)
    assert kernel.drain(memory, rings, ACCOUNT, 11, d.WHY_DRAIN) == 1
    action = memory[0]["actions"][0]
    assert action[[d.X_VERB, d.X_SIDE, d.X_PRICE_TICKS, d.X_QTY_LOTS]].tolist() == [
        d.PLACE,
        d.BUY,
        1000,
        2000,
    ]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "return rows.foo",
            "strategy mine does not compile: Unknown attribute 'foo' of type array(float64, 2d, C)",
        ),
        ("return nothing(3)", "strategy mine does not compile: NameError: name 'nothing' is not defined"),
        ("return int(1 // params[0])", "strategy mine raised ZeroDivisionError on an empty market"),
    ],
)
def test_a_decide_that_does_not_compile_or_run_is_refused_in_one_sentence(
    tmp_path, memory_of, body, sentence
):
    path = tmp_path / "mine.py"
    contract = CONTRACT.replace("2.0", "0.0")
    path.write_text(f"from numba import njit\n{contract}\n@njit\ndef decide({ARGUMENTS}):\n    {body}\n")
    assert refused_kernel(path, memory_of).startswith(sentence)


def test_a_decide_of_other_arguments_is_refused(tmp_path, memory_of):
    path = tmp_path / "mine.py"
    path.write_text(f"from numba import njit\n{CONTRACT}\n@njit\ndef decide(now_ns):\n    return 0\n")
    assert refused_kernel(path, memory_of).startswith("strategy mine does not compile: Cannot bind")


# --- the cache ----------------------------------------------------------------------------------------------
CHILD = """
import json, sys
from daemon.compile import live_kernel, load_strategy
from daemon.config import ReconcileConfig, RiskConfig, StrategyConfig, VenueConfig
from daemon.instruments import make_instrument
from daemon.runtime import new_memory
from strategies.base import bind_params

btc = make_instrument(0, "binance", "usdm", "BTC/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001",
                      qty_max="1000", notional_min="5")
found = {}
for reference in sys.argv[1:]:
    strategy = load_strategy(reference)
    memory = new_memory(strategy, [btc], StrategyConfig(name="x"), bind_params(strategy, {}), RiskConfig(),
                        ReconcileConfig(), VenueConfig(), (0.0, 0.0), can_amend=True)
    kernel = live_kernel(strategy, memory, ())
    found[strategy.name] = [[sum(one.stats.cache_hits.values()), sum(one.stats.cache_misses.values())]
                            for one in kernel.dispatchers]
print(json.dumps(found))
"""


def test_what_was_compiled_is_found_again_by_another_process(root, tmp_path, memory_of):
    # the child inherits NUMBA_CACHE_DIR; that it chooses the same by itself is test_kernel_cache's business
    path = tmp_path / "cached.py"
    path.write_text(COMPILED)
    for reference in ("ema_cross", str(path)):
        strategy = load_strategy(reference)
        live_kernel(strategy, memory_of(strategy), ())
    child = subprocess.run(
        [sys.executable, "-c", CHILD, "ema_cross", str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(child.stdout) == {"ema_cross": [[1, 0]] * 4, "cached": [[1, 0]] * 4}


HELPED = f"""from numba import njit

from helping import twice
from strategies.base import DECIDE_SIGNATURE
{CONTRACT}

@njit(DECIDE_SIGNATURE, cache=True)
def decide({ARGUMENTS}):
    return twice(2)
"""
HELPING = "from numba import njit\nfrom helping_more import {more} as more\n\n"
HELPING += "@njit(cache=True)\ndef twice(x):\n    return more * x\n"
ANSWER = """
import sys
import numpy as np
from daemon.compile import load_strategy
shapes = ((1, 1), (1, 2, 1, 2), (1, 1), (1, 1, 1), 1, 1, 1, (1, 1))
strategy = load_strategy(sys.argv[1])
print(strategy.decide(0, 0, *map(np.zeros, shapes)), sum(strategy.decide.stats.cache_hits.values()))
"""


def test_an_edit_of_what_a_strategy_imports_from_its_folder_is_never_answered_from_the_cache(
    root, tmp_path, monkeypatch
):
    (tmp_path / "mine.py").write_text(HELPED)
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")

    def answer():
        command = [sys.executable, "-c", ANSWER, str(tmp_path / "mine.py")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    said = []
    for text, factor in ((HELPING.format(more="a"), 2), (HELPING.format(more="b"), 2), (None, 3)):
        if text:
            (tmp_path / "helping.py").write_text(text)
        (tmp_path / "helping_more.py").write_text(f"a = {factor}\nb = {factor + 5}\n")
        said += [answer(), answer()]
    assert said == [["4", "0"], ["4", "1"], ["14", "0"], ["14", "1"], ["16", "0"], ["16", "1"]]


def test_a_helper_that_was_edited_is_loaded_anew_with_its_strategy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(
        PLAIN.replace("return -1", "return answer()") + "from aid import answer\n"
    )
    said = []
    for number in (1, 2):
        (tmp_path / "aid.py").write_text(f"def answer():\n    return {number}\n")
        os.utime(tmp_path / "aid.py", (1_700_000_000, 1_700_000_000))
        said.append(load_strategy(str(tmp_path / "mine.py")).decide(*[None] * 10))
    assert said == [1, 2]
