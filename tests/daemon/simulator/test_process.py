"""The process: options, the ready line, its end."""

import argparse
import contextlib
import hashlib
import hmac
import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlencode

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.errors import EXIT_USAGE, ConfigError, UsageError
from daemon.simulator import process
from daemon.simulator.fault import Fault
from daemon.simulator.process import add_arguments, main, read_key, settings_of


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_options_become_settings():
    settings = settings_of(options("--symbol", "SOL/USDT", "--speed", "20", "--seed", "9", "--expect", "a,b"))
    assert (settings.symbols, settings.speed, settings.seed, settings.expect) == (
        ("SOL/USDT",),
        20.0,
        9,
        ("a", "b"),
    )
    assert settings_of(options("--speed", "max")).speed == 0.0
    assert settings_of(options("--funding-s", "60")).funding_s == 60.0
    assert settings_of(options("--no-limits")).limits.weight_1m == 0


def test_every_option_tells_its_default():
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    for action in parser._actions:
        if action.default:
            text = action.default if isinstance(action.default, str) else f"{action.default:.6g}"
            assert f"({text})" in action.help, action.option_strings


@pytest.mark.parametrize("speed", ["fast", "-1", "0", "nan"])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(UsageError, match="--speed"):
        settings_of(options("--speed", speed))


def test_the_key_comes_from_the_environment_or_is_made_up(monkeypatch):
    made = read_key()
    assert len(made.api_key) == len(made.secret) == 64
    assert read_key().secret != made.secret
    monkeypatch.setenv(process.KEY_ENV, "mine")
    monkeypatch.setenv(process.SECRET_ENV, "sesame")
    assert (read_key().api_key, read_key().secret) == ("mine", b"sesame")
    public = Ed25519PrivateKey.from_private_bytes(b"\4" * 32).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    monkeypatch.setenv(process.PUBLIC_KEY_ENV, pem)
    assert read_key().public_key == public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    monkeypatch.setenv(process.PUBLIC_KEY_ENV, "nonsense")
    with pytest.raises(ConfigError, match="PEM"):
        read_key()


@pytest.mark.parametrize(
    "words",
    ["--rate -1", "--rate nan", "--funding-s 0", "--symbol X", "--speed fast", "--state {}/s --rate -1"],
)
def test_a_wrong_command_line_is_one_and_leaves_nothing_behind(capsys, tmp_path, words):
    assert main(words.format(tmp_path).split()) == EXIT_USAGE
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling: ")]
    assert len(said) == 1
    assert said[0].startswith("tickd: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--port", "--futures-port"])
def test_what_is_no_port_is_refused(capsys, option):
    with pytest.raises(SystemExit) as ended:
        main([option, "99999"])
    assert ended.value.code == EXIT_USAGE
    assert "99999 is not a port" in capsys.readouterr().err


def test_a_refusal_is_one_sentence_and_the_right_exit_code(capsys, tmp_path):
    assert main(["--speed", "fast"]) == EXIT_USAGE
    assert main(["--tape", str(tmp_path / "nothing.gz")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "does not exist" in errors[1]


@pytest.fixture
def started(root):
    """Start the process, read its ready line; ended by the test or at its end."""
    running = []

    def start(*arguments):
        child = subprocess.Popen(
            [sys.executable, "-m", "daemon.simulator", *arguments],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {process.KEY_ENV: "key", process.SECRET_ENV: "secret"},
        )
        running.append(child)
        return child, msgspec.json.decode(child.stdout.readline())

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def test_the_process_says_it_is_ready_and_ends_with_its_parent(started):
    child, ready = started("--with-parent", "--symbol", "BTC/USDT")
    assert (ready["event"], ready["api_key"], ready["secret"], ready["pid"]) == (
        "ready",
        "key",
        "secret",
        child.pid,
    )
    assert ready["spot"].startswith("http://127.0.0.1:")
    child.stdin.close()
    assert msgspec.json.decode(child.stdout.readline()) == {"event": "stopped"}
    assert child.wait(timeout=20) == 0


def test_the_process_ends_on_sigterm(started):
    child, ready = started("--market", "usdm", "--symbol", "BTC/USDT")
    assert ready["usdm"] != ready["spot"]
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0


def test_people_are_told_in_words_and_programs_in_lines_of_json(capsys):
    ready = {
        "event": "ready",
        "spot": "http://x",
        "usdm": "http://y",
        "api_key": "k",
        "secret": "s",
        "pid": 1,
    }
    process.say_to_people(ready)
    told = capsys.readouterr().out
    assert "http://x" in told
    assert "TICKD_SECRET=s" in told
    for message, word in (
        ({"event": "tape_started", "streams": ["a@trade"]}, "a@trade"),
        ({"event": "tape_ended", "frames": 1_234, "seconds": 2.0}, "1,234 frames"),
        ({"event": "tape_failed", "frames": 5, "error": "line 6"}, "line 6"),
        ({"event": "failed", "error": "why"}, "stands still: why"),
        ({"event": "stopped"}, "stopped"),
    ):
        process.say_to_people(message)
        assert word in capsys.readouterr().out
    process.say_to_programs(ready)
    assert msgspec.json.decode(capsys.readouterr().out) == ready


def test_a_reader_that_has_ended_does_not_end_the_exchange(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    process.say_to_programs({"event": "stopped"})


def test_faults_are_read_from_a_file(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "stall"\nat_s = 5\nlasts_s = 40\n')
    assert settings_of(options("--faults", str(path))).faults == (
        Fault(kind="stall", at_s=5.0, lasts_s=40.0),
    )
    assert settings_of(options()).faults == ()


def test_faults_that_are_wrong_are_refused_naming_file_and_entry(capsys, tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "crash"\n[[fault]]\nkind = "stall"\n')
    assert main(["--faults", str(path)]) == 2
    assert main(["--faults", str(tmp_path / "none")]) == 2
    path.write_bytes(b"\xff\xfe")
    assert main(["--faults", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"tickd: {path}: fault 2 (stall): it needs lasts_s",
        f"tickd: the faults {tmp_path / 'none'} does not exist; check the name",
        f"tickd: the faults {path} are no text",
    ]


def test_the_process_kills_itself_when_it_is_told_to_crash(started):
    child, ready = started("--with-parent", "--symbol", "BTC/USDT")
    body = msgspec.json.encode({"kind": "crash"})
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        urllib.request.urlopen(ready["spot"] + "/_simulator/faults", body, timeout=10)
    assert child.wait(timeout=20) == -signal.SIGKILL


def signed(ready, verb, path, **params):
    """Make a signed request of the process; returns the body."""
    query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
    signature = hmac.new(b"secret", query.encode(), hashlib.sha256).hexdigest()
    url = f"{ready['spot']}/api/v3/{path}?{query}&signature={signature}"
    asked = urllib.request.Request(url, headers={"X-MBX-APIKEY": "key"}, method=verb)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return msgspec.json.decode(answer.read())


def test_a_killed_process_goes_on_with_its_accounts_orders_and_trades(started, tmp_path):
    words = ("--with-parent", "--symbol", "BTC/USDT", "--state", str(tmp_path / "state"))
    child, ready = started(*words)
    order = {"symbol": "BTCUSDT", "side": "BUY"}
    rest = {"type": "LIMIT", "timeInForce": "GTC", "price": "30000", "quantity": "0.1"}
    placed = signed(ready, "POST", "order", **order, **rest, newClientOrderId="rests")
    bought = signed(ready, "POST", "order", **order, type="MARKET", quantity="0.01")
    before = signed(ready, "GET", "account")["balances"]
    child.kill()
    child.wait()
    _, ready = started(*words)
    assert signed(ready, "GET", "account")["balances"] == before
    (open_,) = signed(ready, "GET", "openOrders")
    assert (open_["orderId"], open_["clientOrderId"], open_["status"]) == (placed["orderId"], "rests", "NEW")
    trades = signed(ready, "GET", "myTrades", symbol="BTCUSDT")
    assert [one["id"] for one in trades] == [one["tradeId"] for one in bought["fills"]]
