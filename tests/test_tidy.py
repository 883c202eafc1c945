"""What must hold of the code itself: layers, one clock, no dead module, nothing overlong, a mirror of tests.

Each check is a plain function from source text to findings, and is itself tested on a text that breaks it.
"""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("kernels", "strategies", "daemon")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES_MAX = 400
TEST_LINES_MAX = 700
FUNCTION_LINES_MAX = 70

#: what each layer may import beside the standard library's pure part
LAYERS = {
    "kernels": {"kernels", "numpy", "numba", "llvmlite"},  # the last is what numba compiles with
    "strategies": {"strategies", "kernels", "numpy", "numba"},
}
#: the simulated exchange shares no code with what it is there to test
APART = {"daemon.simulator": ("daemon.orders", "daemon.venues")}

#: doors to the outside, and who may open them; everyone else takes what is behind them from daemon/seams.py
DOORS = {
    "concurrent",
    "http.client",
    "logging",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
}
DOORS |= {"signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request", "uuid"}
DOORS |= {
    "open()",
    "datetime.now()",
    "os.urandom()",
    "read_bytes()",
    "read_text()",
    "write_bytes()",
    "write_text()",
}
ALLOWED = {
    "daemon/ahead.py": {"concurrent"},  # of offline verbs: reads a file on while its frames are played
    # the bench's processes beside the daemon: an exchange and who stands in the daemon's place
    "daemon/bench/exchange.py": {"socket", "threading"},
    "daemon/bench/monitor.py": {"read_text()", "threading"},  # looks at a process from a thread of its own
    "daemon/bench/running.py": {"http.client"},  # asks that exchange
    "daemon/bench/libc.py": {"select", "socket", "time"},  # constants of the calls it makes
    "daemon/bench/participants.py": {"write_text()"},  # writes the daemon's configuration
    "daemon/bench/peer.py": {"read_text()", "socket", "threading"},
    "daemon/child.py": {
        "read_text()",
        "signal",
        "socket",
    },  # stops another process and lets it go on; looks at it
    "daemon/cli.py": {"open()"},  # /dev/null, where a reader left early
    "daemon/clock.py": {"time"},
    "daemon/compile.py": {"read_text()", "write_text()"},  # generated modules, before the loop turns
    "daemon/config.py": {"read_bytes()"},  # before any seam exists
    "daemon/crash_points.py": {"signal"},  # kills its own process
    "daemon/demo.py": {
        "secrets",  # makes the exchange's key
        "write_text()",  # draws its picture
    },
    "daemon/demo_folder.py": {"write_text()"},  # writes the daemon's configuration
    "daemon/disk.py": {"concurrent", "open()", "read_bytes()"},
    "daemon/faces/client.py": {"http.client", "socket"},  # in the process of the command, not the daemon's
    "daemon/faces/mqtt_client.py": {"socket"},  # an option of aiomqtt's socket
    "daemon/fetch/verb.py": {"random"},  # makes the seams
    "daemon/kernel_cache.py": {"read_bytes()"},  # before numba is imported
    "daemon/lifetime.py": {"signal"},
    "daemon/mapped_file.py": {"open()", "threading"},
    "daemon/local_sources.py": {"read_text()"},  # of what is about to be imported
    "daemon/logs.py": {"logging"},  # takes over what libraries log
    "daemon/net.py": {"ssl"},
    "daemon/notices.py": {"socket"},
    "daemon/process.py": {"random"},  # makes the seams
    "daemon/proxy.py": {"socket"},  # the way to an exchange, for either transport
    "daemon/research/bundle.py": {"read_text()"},  # hashes our own sources
    "daemon/research/prove_child.py": {"time"},  # moves the clock that a strategy sees, in its own process
    "daemon/research/workers.py": {"concurrent"},  # of a sweep: an offline verb's trials, in threads
    "daemon/simulator/faults.py": {"random"},  # seeded
    "daemon/simulator/process.py": {
        "random",
        "read_text()",  # the file of faults
        "secrets",
    },  # a process of its own: makes its own seams
    "daemon/simulator/warm.py": {"random"},  # seeded
    "daemon/session/player.py": {"random"},  # seeded
    "daemon/tape/record.py": {"random"},  # makes the seams
    "daemon/tape/replay.py": {"random"},  # seeded
    "daemon/wire.py": {"logging", "socket"},  # of the transports: silences the loggers, sets socket options
}
#: asyncio's own clock runs beside the injected one: waits go by seams.scheduler (daemon/pause.py) but here
WAITS = {
    "asyncio.sleep",
    "asyncio.timeout",
    "asyncio.timeout_at",
    "asyncio.wait_for",
    "asyncio.wait(timeout)",
}
WAITS |= {"call_later", "call_at"}
WAITS_ALLOWED = {
    "daemon/bench/latency.py": {"asyncio.sleep"},  # watches processes for a person
    "daemon/bench/many.py": {"asyncio.sleep"},  # likewise
    "daemon/bench/running.py": {"asyncio.sleep"},  # likewise
    "daemon/child.py": {"asyncio.timeout"},  # of another process, whose end is a matter of real time
    "daemon/clock.py": {"call_later"},  # is the scheduler
    "daemon/demo.py": {"asyncio.timeout", "asyncio.wait(timeout)"},  # watches two processes for a person
    "daemon/faces/terminal.py": {"asyncio.sleep"},  # redraws for a person
    "daemon/net.py": {"asyncio.timeout"},  # handshakes of real sockets
    "daemon/net_picows.py": {"call_later"},  # likewise
    "daemon/net_websockets.py": {"call_later"},  # likewise
    "daemon/orders/journal.py": {"asyncio.sleep"},  # between two syncs of a real disk; a replay runs none
    "daemon/simulator/drive.py": {"asyncio.sleep", "asyncio.wait_for"},  # the exchange's shell, real sockets
    "daemon/simulator/server.py": {"asyncio.sleep", "asyncio.wait_for"},  # likewise
    "daemon/venues/ccxt_throttle.py": {"asyncio.sleep"},  # stands in for ccxt's own, on real sockets
}
#: started by name, or imported by a generated module (daemon/compile.py), by users' own research or by tests
#: of their strategies
ENTRIES = {
    "daemon.cli",
    "daemon.bench.__main__",
    "daemon.bench.monitor",
    "daemon.simulator.__main__",
    "daemon.research.prove_child",
    "daemon.stage",
    "kernels.pipeline",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST, *, types_too: bool = False) -> Iterator[str]:
    """Yield the dotted names that are imported when the code runs; with `types_too` those for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield f"{node.module}.{one.name}"
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types_too:
            continue
        else:
            yield from imports(node, types_too=types_too)


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def layer_breaches(module: str, tree: ast.AST) -> list[str]:
    found = []
    for name in imports(tree, types_too=True):
        top = name.partition(".")[0]
        known = LAYERS.get(module.partition(".")[0])
        if known is not None and top not in known | sys.stdlib_module_names:
            found.append(name)
        if top == "tests":
            found.append(name)
        for part, others in APART.items():
            if below(module, part) and any(below(name, other) for other in others):
                found.append(name)
    return found


def doors(tree: ast.AST) -> set[str]:
    """Return which doors to the outside a module opens."""
    names = list(imports(tree))
    found = {door for door in DOORS if any(below(name, door) for name in names)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        if text in {"open", "io.open", "os.open", "os.fdopen"}:
            found.add("open()")
        elif re.search(r"\b(datetime|date)\.(now|utcnow|today)$", text):
            found.add("datetime.now()")
        elif text == "os.urandom":
            found.add("os.urandom()")
        elif (last := text.rpartition(".")[2]) in {"read_bytes", "read_text", "write_bytes", "write_text"}:
            found.add(f"{last}()")
    return found & DOORS


def waits(tree: ast.AST) -> set[str]:
    """Return which waits on the event loop's own clock a module has."""
    found = set(imports(tree)) & WAITS
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            owner, _, name = ast.unparse(node.func).rpartition(".")
            if f"{owner}.{name}" in WAITS:
                found.add(f"{owner}.{name}")
            elif name == "wait" and owner == "asyncio" and any(one.arg == "timeout" for one in node.keywords):
                found.add("asyncio.wait(timeout)")
            elif name == "call_later" or (name == "call_at" and not owner.endswith("scheduler")):
                found.add(name)
    return found


def long_functions(tree: ast.AST) -> list[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return [one.name for one in functions if (one.end_lineno or 0) - one.lineno >= FUNCTION_LINES_MAX]


def leftovers(text: str) -> list[str]:
    """Return marks of unfinished work, and paths of somebody's machine."""
    marks = re.findall(r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K|break[p]oint\(|pdb\.)", text)
    return marks + re.findall(r"(?<![\w.])/(?:home|root|work|Users)/\w+", text)


def parse(text: str) -> ast.Module:
    return ast.parse(text)


@pytest.fixture(scope="module")
def trees():
    gc.disable()  # a collection within ast.parse was once taken for an error of its: SystemError
    try:
        return {path: parse(path.read_text()) for path in MODULES}
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def opened(trees):
    return {label(path): doors(tree) for path, tree in trees.items()}


# --- the checks are checked ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("kernels.a", "import daemon.clock"),
        ("kernels.a", "from strategies import base"),
        ("kernels.a", "import pandas"),
        ("strategies.a", "def f():\n    from daemon import net"),
        ("strategies.a", "if TYPE_CHECKING:\n    from daemon.seams import Disk"),
        ("daemon.simulator.a", "from daemon.orders.state import State"),
        ("daemon.a", "from tests import conftest"),
    ],
)
def test_an_import_against_the_layers_is_seen(module, text):
    assert layer_breaches(module, parse(text))


@pytest.mark.parametrize(
    ("text", "door"),
    [
        ("import time", "time"),
        ("def f():\n    from time import sleep", "time"),
        ("from urllib import request", "urllib.request"),
        ("from concurrent.futures import ThreadPoolExecutor", "concurrent"),
        ("open('x')", "open()"),
        ("datetime.datetime.now()", "datetime.now()"),
        ("date.today()", "datetime.now()"),
        ("Path('x').read_text()", "read_text()"),
    ],
)
def test_a_door_is_seen(text, door):
    assert doors(parse(text)) == {door}


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("async def f():\n    await asyncio.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep", "asyncio.sleep"),
        ("async def f():\n    async with asyncio.timeout(1):\n        pass", "asyncio.timeout"),
        ("asyncio.wait_for(f(), 1)", "asyncio.wait_for"),
        ("asyncio.wait({a}, timeout=1)", "asyncio.wait(timeout)"),
        ("asyncio.get_running_loop().call_later(1, f)", "call_later"),
        ("loop.call_at(1, f)", "call_at"),
    ],
)
def test_a_wait_on_the_loop_s_own_clock_is_seen(text, wait):
    assert waits(parse(text)) == {wait}


def test_a_wait_for_something_and_a_timer_of_the_scheduler_are_none():
    for text in ("asyncio.wait({a, b})", "self._seams.scheduler.call_at(1, f)", "queue.sleep(1)"):
        assert waits(parse(text)) == set()


def test_a_type_alone_opens_no_door():
    assert doors(parse("if TYPE_CHECKING:\n    from random import Random")) == set()


def test_a_protocol_does_nothing_and_a_function_does():
    assert not does_something(parse('class A:\n    def f(self):\n        """Do."""\n'))
    assert does_something(parse('class A:\n    def f(self):\n        """Do."""\n        return 1\n'))


def test_an_overlong_function_and_a_leftover_are_seen():
    assert long_functions(parse("def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX)) == ["f"]
    assert long_functions(parse("def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1))) == []
    for text in ("# TO" + "DO: later", "break" + "point()", "see /ho" + "me/me/x"):
        assert leftovers(text)


# --- the code -----------------------------------------------------------------------------------------------
def test_nothing_imports_upward(trees):
    assert {
        label(path): bad for path, tree in trees.items() if (bad := layer_breaches(name_of(path), tree))
    } == {}


def test_the_simulated_exchange_reaches_nothing_of_what_it_tests_by_detours_either(trees):
    imported = {name_of(path): set(imports(tree)) for path, tree in trees.items()}
    imported = {
        name: {one for other in found for one in (other, other.rpartition(".")[0]) if one in imported}
        for name, found in imported.items()
    }
    for part, others in APART.items():
        reached = {name for name in imported if below(name, part)}
        while more := {one for name in reached for one in imported[name]} - reached:
            reached |= more
        assert {name for name in reached if any(below(name, other) for other in others)} == set()
        assert "daemon.clock" in reached  # it does follow detours


def test_below_the_daemon_there_is_no_door_and_no_async(trees, opened):
    for path, tree in trees.items():
        if name_of(path).startswith(("kernels", "strategies")):
            assert opened[label(path)] == set(), label(path)
            assert "asyncio" not in set(imports(tree)), label(path)


def test_only_the_named_modules_open_a_door(opened):
    breaches = {path: found - ALLOWED.get(path, set()) for path, found in opened.items()}
    assert {path: found for path, found in breaches.items() if found} == {}


def test_no_allowance_is_left_over(opened):
    unused = {path: given - opened.get(path, set()) for path, given in ALLOWED.items()}
    assert {path: left for path, left in unused.items() if left} == {}


def test_only_the_named_modules_wait_on_the_loop_s_own_clock(trees):
    found = {label(path): which for path, tree in trees.items() if (which := waits(tree))}
    assert found == WAITS_ALLOWED


def test_every_module_is_used_by_another(trees):
    used = {
        name
        for path, tree in trees.items()
        for one in imports(tree, types_too=True)
        for name in (one, one.rpartition(".")[0])
        if name != name_of(path)
    }
    used |= {f"strategies.{name}" for name in shipped()}
    packages = {name_of(path) for path in MODULES if path.name == "__init__.py"}
    assert {name_of(path) for path in MODULES} - used - ENTRIES - packages == set()


def shipped():
    from strategies.base import SHIPPED

    return SHIPPED


def test_every_module_that_does_something_has_its_mirror_of_tests(trees):
    missing = [
        label(path) for path, tree in trees.items() if does_something(tree) and not mirror(path).exists()
    ]
    assert not missing, ", ".join(missing)


def mirror(path: Path) -> Path:
    return ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.stem.strip('_')}.py")


def does_something(tree: ast.AST) -> bool:
    """Whether any function has a body: declarations and protocols are tested by who uses them."""
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return any(not isinstance(one, ast.Expr) for function in functions for one in function.body)


def test_no_file_and_no_function_is_overlong(trees):
    lines = {label(path): len(path.read_text().splitlines()) for path in [*MODULES, *TESTS]}
    too_long = {
        path: count
        for path, count in lines.items()
        if count > (TEST_LINES_MAX if path.startswith("tests") else FILE_LINES_MAX)
    }
    assert too_long == {}
    assert {label(path): bad for path, tree in trees.items() if (bad := long_functions(tree))} == {}


def test_nothing_unfinished_and_no_ones_paths_are_left_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name] or [*MODULES, *TESTS]
    found = {}
    for path in paths:
        if path.exists() and path.stat().st_size < 1 << 20:
            bad = leftovers(path.read_text(errors="replace"))
            if bad:
                found[label(path)] = bad
    assert found == {}


# --- packaging ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distribution(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ;]", requirement)[0].lower().replace("_", "-")


def test_ours_is_the_package_called_daemon():
    # a distribution on the registry installs a package of the same name
    assert Path(daemon.__file__).parent == ROOT / "daemon"


def test_the_base_install_holds_everything_that_trading_imports(trees, project):
    declared = {distribution(one).replace("-", "_") for one in project["dependencies"]}
    foreign: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for name in imports(tree):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in PACKAGES:
                foreign.setdefault(top, set()).add(label(path))
    # imported inside the functions of `tickd train` and of a keyring, by the naive stack of `tickd bench`,
    # and by one venue and one feed, alone
    elsewhere = {"lightgbm": ("daemon/research/", "daemon/bench/naive.py")}
    # imported by daemon/venues/make.py and daemon/net.py where it is asked for
    elsewhere["ccxt"] = (
        "daemon/venues/ccxt_",
        "daemon/feeds/ccxt_net.py",
        "daemon/feeds/ccxt_streams.py",
        "daemon/fetch/ccxt_past.py",
    )
    elsewhere["pandas"] = ("daemon/bench/naive.py",)
    elsewhere["plotly"] = ("daemon/faces/report_page.py",)
    elsewhere["distributed"] = ("daemon/research/cluster.py",)  # where it is asked for
    elsewhere["optuna"] = ("daemon/research/search.py",)  # where tpe is asked for
    elsewhere["keyring"] = ("daemon/credentials.py",)  # likewise where it is asked for
    assert foreign.keys() - declared - elsewhere.keys() == set()
    assert declared - foreign.keys() == set()
    for name, paths in elsewhere.items():
        for path in foreign.get(name, set()):
            assert path.startswith(paths), path


def test_the_version_is_said_once_and_repeated_faithfully(project):
    assert project["version"] == daemon.__version__


def test_the_lock_files_agree_and_are_hashed(project):
    pins = {}
    for group in ("base", "research", "dev", "peers"):
        text = (ROOT / "requirements" / f"{group}.txt").read_text()
        assert "://" not in text
        blocks = re.findall(r"^(\S+)==(\S+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert all("--hash=sha256:" in rest for _, _, rest in blocks)
        pins[group] = {name: version for name, version, _ in blocks}
    assert pins["base"].items() <= pins["research"].items() <= pins["dev"].items()
    assert pins["base"].items() <= pins["peers"].items()
    assert {distribution(one) for one in project["dependencies"]} <= pins["base"].keys()
    assert "lightgbm" in pins["research"].keys() - pins["base"].keys()
    for group in ("dev", "peers"):
        wanted = {distribution(one) for one in project["optional-dependencies"][group]}
        assert wanted <= pins[group].keys()
