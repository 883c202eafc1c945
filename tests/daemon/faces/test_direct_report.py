from __future__ import annotations

import io

import msgspec
import pytest

from daemon.config import Config, FeedConfig, StrategyConfig, VenueConfig
from daemon.direct import Report
from daemon.errors import UsageError
from daemon.faces.direct_report import ask_direct, print_direct, tell_person
from daemon.redact import register

CONFIG = Config(
    name="one",
    mode="live",
    feed=FeedConfig(symbols=("BTC/USDT", "ETH/USDT")),
    strategy=(StrategyConfig(name="ema_cross"),),
    venue=VenueConfig(kind="binance"),
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("typed", ["yes\n", " YES \n"])
def test_a_yes_goes_on_after_what_is_about_to_be_done_was_said(monkeypatch, capsys, typed):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ask_direct(CONFIG, everything=False)
    assert capsys.readouterr().err == (
        "This cancels every open order in BTC/USDT, ETH/USDT at Binance's production\n"
        "and closes what one holds of them, at up to 1.00% from the market.\n"
        "Type yes to go on: "
    )


def test_an_exchange_of_ccxt_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    venue = VenueConfig(kind="ccxt", exchange="okx")
    ask_direct(msgspec.structs.replace(CONFIG, venue=venue), everything=False)
    assert "every open order in BTC/USDT, ETH/USDT at okx\n" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["y\n", "\n", "", "no\n"])
def test_anything_else_does_nothing(monkeypatch, capsys, typed):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    with pytest.raises(UsageError, match="nothing was done"):
        ask_direct(CONFIG, everything=True)
    assert "closes all that the account holds of their coins" in capsys.readouterr().err


def test_where_nobody_can_answer_it_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(UsageError, match="say --yes too"):
        ask_direct(CONFIG, everything=False)


def test_what_is_left_is_shouted(capsys):
    report = Report(
        canceled=["a", "b"],
        closed=["sold 1 BTC at 2 USDT on average"],
        left=["order c stands"],
        dust=["0.1 X"],
    )
    print_direct(report, as_json=False)
    said = capsys.readouterr().out
    assert said.splitlines()[:4] == [
        "canceled  2 orders",
        "closed    sold 1 BTC at 2 USDT on average",
        "dust      0.1 X, too little to be traded",
        "LEFT      order c stands",
    ]
    assert "something is left" in said
    print_direct(Report(canceled=["a"], closed=[], left=[], dust=[]), as_json=False)
    assert capsys.readouterr().out.startswith("canceled  1 order\n")
    print_direct(report, as_json=True)
    assert '"left":["order c stands"]' in capsys.readouterr().out


def test_no_secret_is_told(capsys):
    register("averysecretword")
    tell_person("refused: averysecretword")
    assert capsys.readouterr().err == "refused: ***\n"
