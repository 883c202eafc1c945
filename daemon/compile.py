"""Strategies: found by name or file, and compiled into the two functions that the engine calls.

The live call is a small generated module per strategy, in which `decide` is called by its name. Passed as
an argument from Python the same function would cost 30 us a call; as a global it is inlined and found again
in the disk cache. The module's name carries a hash of all it is made of, because numba's cache does not look
beyond the file it compiles (daemon/kernel_cache.py says the same of our own). What a user's own file and its
helpers compile is kept in a folder named by such a hash, for the same reason.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from daemon import kernel_cache, kernel_texts
from daemon.entry import bound
from daemon.errors import ConfigError, unknown_strategy, unread
from daemon.local_sources import TextLoader, forget, imported_from, local_sources
from kernels.book import make as make_book
from kernels.ring import new_rings
from kernels.shapes import STREAM
from strategies.base import SHIPPED, Strategy, StrategyError, from_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

#: of a compiler's complaint, which can hold all types of all arguments
_LINE_MAX: Final = 300

#: nodes, roots and bits of kernels.forest, or nothing
Forest = tuple[Any, ...]


class LiveKernel(NamedTuple):
    """What the engine calls for one strategy."""

    absorb: Callable[..., None]  # (mem, rings, row)
    book: Callable[..., None]  # (mem, rings, row, levels, tick_size, lot_size, wire_ns)
    drain: Callable[..., int]  # (mem, rings, account, *forest, now_ns, why) -> actions
    #: (mem, rings, account, *forest, frame, stream, wire_ns) -> actions; None: interpreted
    turn: Callable[..., int] | None
    dispatchers: tuple[Any, ...]  # what was compiled: each has one signature, before and after any run


def load_strategy(reference: str) -> Strategy:
    """Return a shipped strategy by name, or a user's by `file.py` or `file.py:decide`.

    A relative file is looked for in the working directory. Raises ConfigError with one sentence.
    """
    try:
        if reference in SHIPPED:
            module = importlib.import_module(f"strategies.{reference}")
            assert module.__file__ is not None
            return from_module(reference, module, Path(module.__file__).read_text(encoding="utf-8"))
        file, _, function = reference.partition(":")
        if not file.endswith(".py"):
            raise ConfigError(unknown_strategy(reference, SHIPPED))
        if function not in {"", "decide"}:
            raise ConfigError(f"strategy {reference!r}: the function must be called decide")
        return _from_file(Path(file))
    except StrategyError as error:
        raise ConfigError(str(error)) from None


def _from_file(path: Path) -> Strategy:
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the strategy file {path} {unread(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"strategy file {path} is no text") from None
    helpers = local_sources(path, source)
    whole = "\n".join((source, *helpers.values()))
    name = f"tickd_strategy_{kernel_texts.plain(path.stem)}_{_hash(whole)}"
    if name not in sys.modules:
        forget(helpers, path.parent)
    with kernel_cache.apart(name), imported_from(helpers):
        module = _import(name, path, source)
    return from_module(path.stem, module, whole)


def _import(name: str, path: Path, source: str) -> ModuleType:
    """Import a file, whose text is `source`, under a name of its own.

    It must stand in sys.modules before it runs, or numba's cache cannot find its functions again.
    """
    if name in sys.modules:
        return sys.modules[name]
    loader = TextLoader(name, str(path), source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{path} does not load ({type(error).__name__}: {_line(error)})") from error
    return module


def live_kernel(strategy: Strategy, memory: NDArray[np.void], forest: Forest) -> LiveKernel:
    """Compile (or find in the cache) a strategy's live functions and call each once on a copy of `memory`.

    memory: array of length 1 of the strategy's kernels.dtypes.memory_dtype; forest: its model's arrays.
    A plain Python `decide` runs between the compiled halves of the pipeline: everywhere the same, slower.
    Raises ConfigError where `decide` does not compile, or raises when it sees an empty market.
    """
    compiled = hasattr(strategy.decide, "py_func")
    module = _live_module(strategy, compiled=compiled, modelled=bool(forest))
    try:
        return _bind(module, strategy, memory, forest, compiled=compiled)
    except NumbaError as error:
        raise ConfigError(f"strategy {strategy.name} does not compile: {_line(error)}") from error
    except Exception as error:
        raise ConfigError(
            f"strategy {strategy.name} raised {type(error).__name__} on an empty market ({_line(error)}); "
            "until it sees what it needs it should answer NO_OPINION"
        ) from error


def backtest_loop(strategy: Strategy, *, modelled: bool) -> Any:
    """Return the compiled loop of a backtest (kernels.backtest) around a compiled strategy's live call.

    (mem, account, test, front, matcher, rings, book, shown, scratch, events, levels, trips, *forest, limit)
    -> what is missing
    """
    live = _live_module(strategy, compiled=True, modelled=modelled)
    text = kernel_texts.backtest(strategy, live.__name__, modelled=modelled)
    return _generated(f"tickd_backtest_{kernel_texts.plain(strategy.name)}_{_hash(text)}", text).run


def replay_run(strategy: Strategy, *, modelled: bool) -> Any:
    """Return the compiled run of a replay's ticks around a compiled strategy's live call.

    (mem, rings, account, *forest, text, starts, ends, wires_ns, quotes, trades, place, until_ns) -> answer
    """
    live = _live_module(strategy, compiled=True, modelled=modelled)
    text = kernel_texts.replay(strategy, live.__name__, modelled=modelled)
    return _generated(f"tickd_replay_{kernel_texts.plain(strategy.name)}_{_hash(text)}", text).run


def _bind(
    module: ModuleType,
    strategy: Strategy,
    memory: NDArray[np.void],
    forest: Forest,
    *,
    compiled: bool,
) -> LiveKernel:
    scratch = memory.copy()  # warm on a copy: nothing of it may reach the features
    scratch["ring"] = range(scratch["ring"].shape[1])
    rings = new_rings(scratch["ring"].shape[1])
    account = scratch["account"][0].copy()
    module.absorb(scratch, rings, 0)
    module.book(scratch, rings, 0, make_book(0), 1.0, 1.0, 0)
    dispatchers: tuple[Any, ...]
    turn = None
    if compiled:
        module.drain(scratch, rings, account, *forest, 0, 0)
        module.turn(scratch, rings, account, *forest, b"", np.zeros(1, dtype=STREAM), 0)
        dispatchers = (module.absorb, module.book, module.drain, module.turn)
        drain, turn = bound(module.drain), bound(module.turn)
    else:
        module.prepare(scratch, rings, account, *forest, 0, 0)
        module.finish(scratch, 0, 0)
        dispatchers = (module.absorb, module.book, module.prepare, module.finish)
        drain = _interpreted(strategy, memory, bound(module.prepare), bound(module.finish))
    return LiveKernel(bound(module.absorb), bound(module.book), drain, turn, dispatchers)


def _live_module(strategy: Strategy, *, compiled: bool, modelled: bool) -> ModuleType:
    text = kernel_texts.live(strategy, compiled=compiled, modelled=modelled)
    return _generated(f"tickd_live_{kernel_texts.plain(strategy.name)}_{_hash(text + strategy.source)}", text)


def _generated(name: str, text: str) -> ModuleType:
    """Write a generated module under its name, where it is not there yet, and import it."""
    path = Path(os.environ["NUMBA_CACHE_DIR"]) / "live" / f"{name}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # written under a name of its own and renamed: two daemons may start at once. The text is the same for
        # the same name, and numba's cache looks at the file's time, so it is never rewritten.
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.rename(path)
    return _import(name, path, text)


def _interpreted(
    strategy: Strategy, memory: NDArray[np.void], prepare: Callable[..., int], finish: Callable[..., int]
) -> Callable[..., int]:
    """Return a drain that runs a plain Python `decide` between the compiled halves: the same, slower."""
    record = memory[0]
    views = tuple(
        record[part] for part in ("rows", "book", "position", "working", "account", "state", "params", "out")
    )
    decide = strategy.decide

    def drain(mem: NDArray[np.void], *more: Any) -> int:
        *given, now_ns, why = more
        why = prepare(mem, *given, now_ns, why)
        return finish(mem, int(decide(now_ns, why, *views)), now_ns)

    return drain


def _line(error: Exception) -> str:
    """Return the line of an error that says most; numba's has dozens."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Failed in ")]
    return lines[0][:_LINE_MAX] if lines else ""


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
