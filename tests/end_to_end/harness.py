"""Real processes over real loopback sockets: the commands as a person types them, and the exchange they meet.

Nothing here waits for a fixed time: `until` looks again and again, up to a deadline.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.mosquitto import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
TICKD = [sys.executable, "-m", "daemon.cli"]
#: the first start on a machine compiles every kernel
READY_S = 300.0
SOON_S = 60.0
#: keys that must never be seen again
CANARY_KEY = "canarykey" + "7f3a" * 12
CANARY_SECRET = "canarysecret" + "b59c" * 12
CANARY_TOKEN = "canarytoken" + "e6d1" * 8
CANARIES = (CANARY_KEY, CANARY_SECRET, CANARY_TOKEN, PASSWORD)

#: trends up and down within a second, so that it takes and turns positions all the time
CROSS = """
[[strategy]]
name = "ema_cross"
params = { qty = 0.005, band_bps = 0.0 }
tuning = { ema_fast = 2.0, ema_slow = 6.0 }
warmup_ticks = 20
"""
#: two orders that stand far enough away never to be filled
MAKER = """
[[strategy]]
name = "market_maker"
params = { qty = 0.001, half_spread_bps = 50.0, volatility_weight = 0.0 }
warmup_ticks = 20
"""
#: the demo's model
MODEL = f"""
[[strategy]]
name = "ml"
model = "{ROOT / "models" / "demo"}"
"""


def until(look, what, seconds=SOON_S, why=lambda: ""):
    """Return the first true value of `look()`; fails when `what` does not come about in time, saying why."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} {why()}"
        time.sleep(0.02)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self.path))


def fetch(where, path, method="GET", headers=None):
    """Return (status, body) from a port or a Unix socket."""
    where = (
        Unix(where) if isinstance(where, Path) else http.client.HTTPConnection("127.0.0.1", where, timeout=10)
    )
    try:
        where.request(method, path, headers=headers or {})
        answer = where.getresponse()
        return answer.status, answer.read().decode()
    finally:
        where.close()


class Child:
    """A started command; what it writes goes to files."""

    def __init__(self, name, command, folder, env, stdin):
        self.name = name
        self._out = folder / f"{name}.out"
        self._err = folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(command, cwd=folder, env=env, stdin=stdin, stdout=out, stderr=err)

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def err(self):
        return self._err.read_text(errors="replace")

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def complaint(self):
        """The one sentence it ended with."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("tickd: ")]
        return line.removeprefix("tickd: ")

    @property
    def alive(self):
        return self.popen.poll() is None

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=SOON_S):
        """Return its exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} did not end within {seconds:g} s")

    def end(self, number=signal.SIGTERM):
        self.send(number)
        return self.wait()

    def kill(self):
        if self.alive:
            self.popen.kill()
        self.popen.wait()
        if self.popen.stdin is not None:
            self.popen.stdin.close()


class Exchange:
    """A simulated exchange in its own process, and the account behind its key, by a client of our own."""

    def __init__(self, child):
        self.child = child
        line = until(
            lambda: child.out.partition("\n")[0] or not child.alive, "the exchange is ready", READY_S
        )
        assert child.alive, child.err
        ready = json.loads(line)
        self.urls = {name: ready[name] for name in ("spot", "usdm") if name in ready}
        self.key, self.secret = ready["api_key"], ready["secret"]
        self.keys = {"TICKD_KEY": self.key, "TICKD_SECRET": self.secret}
        self.ahead_ms = 0  # how far its clock is ahead of this machine's

    def signed(self, path, method="GET", market="spot", **params):
        """Ask by the exchange's clock, which does not follow where this machine's is set meanwhile."""
        port = int(self.urls[market].rpartition(":")[2])
        prefix = "/api/v3/" if market == "spot" else "/fapi/"
        for _ in range(2):
            query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000 + self.ahead_ms})
            signature = hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
            status, body = fetch(
                port, f"{prefix}{path}?{query}&signature={signature}", method, {"X-MBX-APIKEY": self.key}
            )
            if '"code":-1021' not in body:
                break
            told = fetch(port, "/api/v3/time" if market == "spot" else "/fapi/v1/time")[1]
            self.ahead_ms = json.loads(told)["serverTime"] - time.time_ns() // 1_000_000
        assert status == 200, body
        return json.loads(body)

    def open_orders(self):
        return self.signed("openOrders", symbol="BTCUSDT")

    def orders(self):
        return self._all("allOrders", "orderId", "orderId")

    def trades(self):
        return self._all("myTrades", "fromId", "id")

    def _all(self, path, first, name):
        """Return all rows of a history, a page at a time."""
        found = []
        while True:
            after = {first: found[-1][name] + 1 if found else 0}
            page = self.signed(path, symbol="BTCUSDT", limit=1000, **after)
            found += page
            if len(page) < 1000:
                return found

    def holds(self):
        """Return what the account has of what it trades."""
        return {asset: self.balance(asset) for asset in ("BTC", "USDT")}

    def balance(self, asset):
        (row,) = [row for row in self.signed("account")["balances"] if row["asset"] == asset]
        return Decimal(row["free"]) + Decimal(row["locked"])


class Daemon:
    """A running `tickd run` or `tickd paper`."""

    def __init__(self, child, folder, name):
        self.child = child
        self.socket = folder / "var" / name / "tickd.sock"
        self.journal = folder / "var" / name / "journal-live"
        self.log = folder / f"{name}.log"

    def state(self):
        """Return what it tells about itself, None while it does not answer."""
        try:
            return json.loads(fetch(self.socket, "/state")[1])
        except (OSError, http.client.HTTPException):
            return None

    def until(self, holds, what, seconds=SOON_S):
        """Return the first state in which `holds(state)`; fails at once when the process ends."""

        def look():
            if not self.child.alive:
                pytest.fail(f"the daemon ended (exit code {self.child.popen.returncode}) before: {what}")
            state = self.state()
            return state if state is not None and holds(state) else None

        return until(look, what, seconds)

    def ready(self):
        return self.until(lambda state: state["state"] == "READY", "the daemon is READY", READY_S)

    def filled(self, more=1):
        """Wait for so many more fills."""
        before = (self.state() or {"orders": {"fills": 0}})["orders"]["fills"]
        return self.until(lambda state: state["orders"]["fills"] >= before + more, f"{more} more fills", 60.0)

    def metric(self, name):
        return metric_of(fetch(self.socket, "/metrics")[1], name)


def metric_of(text, name):
    """Return one sample of a Prometheus text, 0 where there is none."""
    found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name + " ")]
    return float(found[0]) if found else 0.0


class Bench:
    """Where one test starts its processes."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []

    def start(self, command, name, env=None, stdin=subprocess.DEVNULL):
        base = {key: value for key, value in os.environ.items() if not key.startswith("TICKD_")}
        name = f"{len(self.children):02d}-{name}"
        path = os.pathsep.join([str(ROOT), base.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        child = Child(name, command, self.folder, {**base, "PYTHONPATH": path, **(env or {})}, stdin)
        self.children.append(child)
        return child

    def tickd(self, *words, env=None, stdin=subprocess.DEVNULL):
        """Start a command of ours."""
        return self.start([*TICKD, *map(str, words)], words[0], env, stdin)

    def run(self, *words, env=None, code=0, seconds=READY_S):
        """Run a command of ours to its end, which must be with this exit code."""
        child = self.tickd(*words, env=env)
        assert child.wait(seconds) == code
        return child

    def in_terminal(self, command, env, stop=None):
        """Run a command in a terminal of 100 columns; return all it drew, and its exit code.

        stop: ends it with Ctrl-C once this is drawn.
        """
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        env = {**os.environ, **env, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        drawn = b""
        try:
            while True:
                assert select.select([ours], [], [], READY_S)[0], drawn.decode()
                try:
                    drawn += os.read(ours, 1 << 16)
                except OSError:  # Linux says so when the other end is closed
                    break
                if stop is not None and stop in drawn.decode():
                    process.send_signal(signal.SIGINT)
                    stop = None
            return drawn.decode(), process.wait(SOON_S)
        finally:
            os.close(ours)
            process.kill()
            process.wait()

    def exchange(self, *words):
        """Start an exchange."""
        env = {"TICKD_SIMULATOR_KEY": CANARY_KEY, "TICKD_SIMULATOR_SECRET": CANARY_SECRET}
        command = [sys.executable, "-m", "daemon.simulator", "--with-parent", "--no-limits", *map(str, words)]
        return Exchange(self.start(command, "exchange", env, stdin=subprocess.PIPE))

    def config(self, urls, *strategies, name="one", mode="live", kind="binance", more="", market="spot"):
        """Write a configuration that trades BTC/USDT at an exchange; return its path."""
        rest = urls[market]
        ws = rest.replace("http", "ws", 1)
        api = "ws-api/v3" if market == "spot" else "ws-fapi/v1"
        stream = "" if market == "spot" else f'stream_url = "{ws}/private"'
        path = self.folder / f"{name}.toml"
        path.write_text(f"""
name = "{name}"
mode = "{mode}"
[feed]
market = "{market}"
symbols = ["BTC/USDT"]
rest_url = "{rest}"
ws_url = "{ws}"
[venue]
kind = "{kind}"
rest_url = "{rest}"
ws_url = "{ws}/{api}"
{stream}
[risk]
orders_per_s_max = 100.0
daily_loss_max = 50000.0
drawdown_max = 50000.0
[log]
level = "debug"
file = "{name}.log"
{more}
{"".join(strategies)}""")
        return path

    def live(
        self, exchange, *strategies, name="one", env=None, more="", words=(), market="spot", kind="binance"
    ):
        """Start `tickd run --live` at an exchange."""
        config = self.config(exchange.urls, *strategies, name=name, more=more, market=market, kind=kind)
        child = self.tickd("run", config, "--live", "--json", *words, env={**exchange.keys, **(env or {})})
        return self.daemon(child, name)

    def daemon(self, child, name="one"):
        """Return a started `tickd run` or `tickd paper` as something to ask."""
        return Daemon(child, self.folder, name)

    def close(self):
        for child in self.children:
            child.kill()


def secrets_in(folder):
    """Return the files that hold a canary."""
    found = []
    for path in folder.rglob("*"):
        # the exchange's ready line hands its key over: that is what it is for
        if path.is_file() and not path.name.endswith("-exchange.out"):
            data = path.read_bytes()
            found += [f"{path.name}: {one[:12]}..." for one in CANARIES if one.encode() in data]
    return found


@contextmanager
def checked_bench(folder):
    """Give a bench; at its end no child may have shown a traceback, and no key may stand anywhere."""
    one = Bench(folder)
    try:
        yield one
    finally:
        one.close()
    for child in one.children:
        assert "Traceback" not in child.err, child.err
    assert secrets_in(folder) == []
