from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import pytest

from daemon import cli, kernel_cache
from daemon.errors import (
    EXIT_CONFIG,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_NOT_RUNNING,
    EXIT_USAGE,
)

CONFIG = """
name = "x"
mode = "live"
[feed]
symbols = ["BTC/USDT"]
[venue]
kind = "binance"
[[strategy]]
name = "ema_cross"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def called(monkeypatch):
    """Stand in for the functions that the trading verbs call; return what they were given."""
    calls = []

    def stand_in(name, result=0):
        module = types.ModuleType(name)
        module.run = lambda *args: calls.append(args) or result
        monkeypatch.setitem(sys.modules, name, module)

    for name in ("daemon.demo", "daemon.process", "daemon.bench.latency", "daemon.tape.replay"):
        stand_in(name)
    monkeypatch.setattr(kernel_cache, "activate", lambda: None)
    return calls


def error_of(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.strip()


def test_every_verb_of_the_grammar_runs_something():
    from daemon.grammar import build

    assert cli.VERBS.keys() == build()[1].keys()


def test_without_a_verb_the_help_is_shown(capsys):
    assert cli.main([]) == EXIT_DONE
    assert "demo" in capsys.readouterr().out


def test_the_help_of_the_simulator_is_a_verbs(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "--help"])
    assert ended.value.code == EXIT_DONE
    text = capsys.readouterr().out
    for option in ("--debug", "--symbol", "--with-parent"):
        assert option in text


def test_help_imports_nothing_that_takes_long():
    heavy = [
        "numba",
        "numpy",
        "aiohttp",
        "rich",
        "msgspec",
        "structlog",
        "lightgbm",
        "uvloop",
        "cryptography",
        "picows",
        "asyncio",
    ]
    code = (
        f"import sys; from daemon import cli; cli.main([]); print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_demo_hands_its_options_over(called, config):
    words = ["demo", "--seconds", "5", "--speed", "20", "--tape", str(config), "--json"]
    assert cli.main(words) == EXIT_DONE
    ((options,),) = called
    assert (options.seconds, options.speed, options.tape, options.json) == (5.0, 20.0, config, True)


def test_a_bench_hands_its_options_over(called):
    words = ["bench", "latency", "--seconds", "5", "--mode", "epoll", "--cores", "1", "--json"]
    assert cli.main(words) == EXIT_DONE
    ((options,),) = called
    assert (options.seconds, options.mode, options.cores, options.json) == (5.0, "epoll", (1,), True)


def test_live_trading_wants_both_switches(called, config, capsys):
    assert cli.main(["run", str(config)]) == EXIT_USAGE
    assert 'says mode = "live"; say --live too' in error_of(capsys)
    config.write_text(CONFIG.replace('"live"', '"paper"').replace('kind = "binance"', ""))
    assert cli.main(["run", str(config), "--live"]) == EXIT_USAGE
    assert "both must ask for it" in error_of(capsys)
    assert called == []


def test_a_live_run_reaches_the_daemon_with_both(called, config):
    assert cli.main(["run", str(config), "--live", "--seconds", "3"]) == EXIT_DONE
    ((given, options, load),) = called
    assert (given.mode, given.venue.kind, options.seconds) == ("live", "binance", 3.0)
    assert load() == given


def test_to_be_held_wants_a_parent_that_lets_go(called, config, capsys):
    assert cli.main(["paper", str(config), "--hold"]) == EXIT_USAGE
    assert "say --with-parent too" in error_of(capsys)
    assert called == []
    assert cli.main(["paper", str(config), "--hold", "--with-parent"]) == EXIT_DONE
    ((_, options, _),) = called
    assert (options.hold, options.with_parent) == (True, True)


def test_paper_rehearses_a_live_configuration_with_local_fills(called, config):
    assert cli.main(["paper", str(config)]) == EXIT_DONE
    ((given, options, load),) = called
    assert (given.mode, given.venue.kind, options.seconds) == ("paper", "paper", None)
    assert load() == given


def test_replay_reads_the_configuration_it_is_given(called, config):
    assert cli.main(["replay", str(config), "--config", str(config), "--repeat", "2"]) == EXIT_DONE
    ((options,),) = called
    assert (options.files, options.config.name, options.repeat) == ((config,), "x", 2)


@pytest.mark.parametrize(
    "section",
    ['[venue]\nca_file = "no.pem"', '[mqtt]\nhost = "broker"\ntls = true\nca_file = "no.pem"'],
)
def test_config_show_refuses_certificates_that_are_not_there(tmp_path, capsys, section):
    path = tmp_path / "more.toml"
    path.write_text(
        'name = "x"\nmode = "paper"\n[feed]\nsymbols = ["BTC/USDT"]\n[[strategy]]\nname = "ema_cross"\n'
        f"params = {{ qty = 0.001 }}\n{section}\n"
    )
    assert cli.main(["config", "show", str(path)]) == EXIT_CONFIG
    assert error_of(capsys) == "tickd: the file of certificates no.pem does not exist; check the name"


def test_config_show_prints_toml_or_json(config, capsys):
    assert cli.main(["config", "show", str(config)]) == EXIT_DONE
    assert 'socket = "var/x/tickd.sock"' in capsys.readouterr().out
    assert cli.main(["config", "show", str(config), "--json"]) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["http"]["socket"] == "var/x/tickd.sock"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["deom"], EXIT_USAGE, "tickd: there is no verb 'deom' (did you mean 'demo'?)"),
        (
            ["config", "show", "no.toml"],
            EXIT_USAGE,
            "tickd: the configuration no.toml does not exist; check the name",
        ),
        (["state", "--socket", "no.sock"], EXIT_NOT_RUNNING, "tickd: no daemon answers on no.sock"),
        (["halt", "--socket", "no.sock"], EXIT_NOT_RUNNING, "tickd: no daemon answers on no.sock"),
        (["top", "--socket", "no.sock"], EXIT_NOT_RUNNING, "tickd: no daemon answers on no.sock"),
        (["journal", "."], EXIT_USAGE, "tickd: . holds no journal"),
        (["journal", ".", "--waterfall", "a-1-1"], EXIT_USAGE, "tickd: . holds no journal"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(words, code, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == code
    assert error_of(capsys).startswith(sentence)


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "tickd: interrupted"),
        (
            KeyError("x"),
            EXIT_FAILED,
            "tickd: this is a bug, please report it: KeyError: 'x' (--debug shows where)",
        ),
        (
            ValueError("a\nb"),
            EXIT_FAILED,
            "tickd: this is a bug, please report it: ValueError: a (--debug shows where)",
        ),
    ],
)
def test_what_nobody_foresaw_is_one_sentence_too(monkeypatch, capsys, raised, code, sentence):
    def fail(args):
        raise raised

    monkeypatch.setitem(cli.VERBS, "state", fail)
    assert cli.main(["state"]) == code
    assert error_of(capsys) == sentence
    assert cli.main(["state", "--debug"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(f"{sentence}\n")


def test_a_reader_that_leaves_early_is_no_error(config):
    code = "import sys; from daemon import cli; sys.exit(cli.main(sys.argv[1:]))"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as closed:
        done = subprocess.run(
            [sys.executable, "-u", "-c", code, "config", "show", str(config)],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (EXIT_DONE, "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["replay", "no.gz"], "the tape or capture no.gz does not exist; check the name"),
        (["replay", "{file}", "--model", "no"], "the model bundle no does not exist; check the name"),
        (["replay", "{file}", "--strategy", "no.py:decide"], "the strategy file no.py does not exist"),
        (["demo", "--strategy", "no.py"], "the strategy file no.py does not exist; check the name"),
        (["demo", "--tape", "no.gz"], "the tape no.gz does not exist; check the name"),
        (
            ["demo", "--strategy", "nosuch"],
            "strategy 'nosuch' is unknown; use one of ema_cross, market_maker, ",
        ),
        (["replay", "{file}", "--strategy", "nosuch"], "strategy 'nosuch' is unknown; use one of ema_cross"),
        (
            ["replay", "{file}", "--verify", "--journal", "no"],
            "the journal no does not exist; check the name",
        ),
        (["replay", "{file}", "--config", "no.toml"], "the configuration no.toml does not exist"),
        (["run", "no.toml", "--live"], "the configuration no.toml does not exist; check the name"),
        (["paper", "no.toml"], "the configuration no.toml does not exist; check the name"),
        (["record", "no.toml"], "the configuration no.toml does not exist; check the name"),
        (["record", "--exchange", "no", "--symbol", "BTC/USDT"], "feed.exchange must be binance, bybit"),
        (["record", "--exchange", "binanse", "--symbol", "BTC/USDT"], "; did you mean 'binance'?"),
        (["flatten", "--direct", "no.toml"], "the configuration no.toml does not exist; check the name"),
        (["simulate", "--tape", "no.gz"], "the tape no.gz does not exist; check the name"),
        (["simulate", "--faults", "no"], "the file of faults no does not exist; check the name"),
        (["journal", "no", "--summary"], "the journal no does not exist; check the name"),
        (["journal", ".", "--slippage", "no"], "the journal no does not exist; check the name"),
        (["demo", "--speed", "max"], "--speed is of a tape; say --tape too"),
    ],
)
def test_what_the_command_line_names_is_there(called, capsys, config, words, sentence):
    assert cli.main([word.format(file=config) for word in words]) == EXIT_USAGE
    assert sentence in error_of(capsys)
    assert not called
