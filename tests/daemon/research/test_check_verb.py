"""`tickd backtest --parity` and `--prove`, as people and programs ask for them."""

from __future__ import annotations

import json

import pytest

from daemon.cli import main
from daemon.research import parity, prove
from daemon.research.market import Market


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(prove.Prover, "_elsewhere", lambda _: True)


def test_parity_is_a_sentence_or_json(booked, capsys):
    assert main(["backtest", str(booked), "--parity"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"backtest and replay of ema_cross on {booked} are the same to the last bit: ")
    assert main(["backtest", str(booked), "--parity", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["difference"], told["text"]) == (True, None, said.strip())


def test_a_proof_is_a_sentence_or_json(booked, capsys, alone):
    words = ["backtest", str(booked), "--strategy", "market_maker", "--prove", "--cuts", "5", "--seed", "9"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"proven for market_maker on {booked}: at 5 cuts of 4,000 events, ")
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["proven"], told["seed"], len(told["cuts"]), told["text"]) == (True, 9, 5, said.strip())


def test_what_differs_ends_with_the_code_of_a_check(booked, capsys, monkeypatch):
    real = parity.replay_ticks

    def later(*given):
        found = real(*given)
        found.fills["told_ns"][1] += 1
        return found

    monkeypatch.setattr(parity, "replay_ticks", later)
    assert main(["backtest", str(booked), "--parity"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "differ: fill 2, at" in err
    assert "first, its time is" in err
    assert main(["backtest", str(booked), "--parity", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["difference"]["field"], told["difference"]["number"]) == (False, "told_ns", 2)


def test_what_is_not_proven_ends_with_it_too(booked, capsys, monkeypatch, alone):
    real = Market.take

    def peeking(self, block):
        found = real(self, block)
        found.events["tick"]["b"][0] += len(found.events)
        return found

    monkeypatch.setattr(Market, "take", peeking)
    assert main(["backtest", str(booked), "--prove", "--cuts", "2"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "not proven for ema_cross, at cut 1 of 2, before event" in err
    assert main(["backtest", str(booked), "--prove", "--cuts", "2", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["proven"], told["failed"], told["cut"]) == (False, "read", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prove", "--parity"], "not allowed with"),
        (["--prove", "--html", "a.html"], "come to no figures"),
        (["--parity", "--no-reruns"], "come to no figures"),
        (["--cuts", "3"], "say --prove too"),
        (["--parity", "--seed", "3"], "say --prove too"),
        (["--prove", "--cuts", "0"], "--cuts"),
    ],
)
def test_what_does_not_go_together_is_refused(booked, capsys, words, said):
    assert main(["backtest", str(booked), *words]) == 2
    assert said in capsys.readouterr().err
