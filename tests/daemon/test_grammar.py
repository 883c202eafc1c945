from __future__ import annotations

import math
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.grammar import build, parse


def test_every_verb_of_the_design_that_is_built_is_there():
    _, verbs = build()
    assert {"demo", "run", "paper", "replay", "train", "simulate", "config", "state", "top"} <= verbs.keys()
    assert {"halt", "resume", "flatten", "journal"} <= verbs.keys()


def test_a_flatten_is_followed_for_a_minute_or_as_long_as_is_said():
    assert [parse(["flatten", *words]).wait for words in ([], ["--wait", "5"], ["--wait", "0"])] == [60, 5, 0]
    with pytest.raises(UsageError, match="-1 is not a positive number"):
        parse(["flatten", "--wait", "-1"])


def test_values_come_typed():
    args = parse(
        [
            "demo",
            "--seconds",
            "10",
            "--tape",
            "x.gz",
            "--speed",
            "max",
            "--seed",
            "7",
            "--json",
            "--port",
            "0",
        ]
    )
    assert (args.verb, args.seconds, args.tape, args.seed, args.json) == ("demo", 10.0, Path("x.gz"), 7, True)
    assert math.isinf(args.speed)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("deom", "there is no verb 'deom' (did you mean 'demo'?); tickd --help lists them"),
        ("xyzzy", "there is no verb 'xyzzy'; tickd --help lists them"),
        ("demo --secods 3", "tickd demo does not take '--secods' (did you mean '--seconds'?)"),
        ("demo extra", "tickd demo does not take 'extra'"),
        ("--foo", "tickd does not take '--foo'"),
        ("demo --seconds x", "argument --seconds: 'x' is not a number; see tickd demo --help"),
        ("demo --seconds nan", "argument --seconds: nan is not a positive number; see tickd demo --help"),
        ("demo --seconds inf", "argument --seconds: inf is not a positive number; see tickd demo --help"),
        ("demo --speed 0", "argument --speed: 0 is not a positive number; see tickd demo --help"),
        ("demo --port 65536", "argument --port: 65536 is not a port; see tickd demo --help"),
        ("demo --seed -1", "argument --seed: -1 is not a seed (0 to 2**63 - 1); see tickd demo --help"),
        ("replay x --repeat 0", "argument --repeat: 0 is not a positive count; see tickd replay --help"),
        ("run", "the following arguments are required: config; see tickd run --help"),
        ("run x --liv", "tickd run does not take '--liv' (did you mean '--live'?)"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(words, sentence):
    with pytest.raises(UsageError) as caught:
        parse(words.split())
    assert str(caught.value) == sentence


def test_the_simulators_words_are_left_to_the_simulator():
    args = parse(["--debug", "simulate", "--symbol", "BTC/USDT", "--port", "1"])
    assert args.words == ["--symbol", "BTC/USDT", "--port", "1"]


def test_every_verb_and_option_has_a_word_of_help():
    _, verbs = build()
    for verb in verbs.values():
        assert verb.description
        for action in verb.actions:
            assert action.help or not action.option_strings, (verb.prog, action.option_strings)


def test_a_bench_is_asked_for_with_all_it_takes():
    words = ["bench", "latency", "--seconds", "2", "--cores", "0,1", "--mode", "epoll", "--trees", "500"]
    args = parse(words)
    assert (args.what, args.seconds, args.cores, args.mode) == ("latency", 2.0, (0, 1), "epoll")
    assert (args.rate, args.symbols, args.trees, args.json) == (10_000.0, 8, 500, False)
