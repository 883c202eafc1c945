"""The command, against an exchange in a thread."""

from __future__ import annotations

import json

import pytest

from daemon.cli import main
from daemon.fetch import asking
from tests.daemon.fetch.exchange import Exchange, running


class Command:
    """`tickd fetch` as a person types it."""

    def __init__(self, exchange, url, out, capsys):
        self.exchange = exchange
        self.url = url
        self.out = out
        self._capsys = capsys

    def __call__(self, *words, first="2024-08-08", until="2024-08-10", symbols=("BTC/USDT",)):
        """Return (exit code, what was told in JSON, what was said on standard error)."""
        until = () if until is None else ("--until", until)
        code = main(
            ["fetch", *symbols, "--from", first, *until, "--out", str(self.out), "--url", self.url, "--json"]
            + [str(one) for one in words]
        )
        told = self._capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    @property
    def files(self):
        """Everything below the folder, hidden or not."""
        return sorted(
            str(one.relative_to(self.out))
            for one in self.out.rglob("*")
            if self.out.exists() and one.is_file()
        )


@pytest.fixture
def exchange():
    return Exchange()


@pytest.fixture
def fetch(exchange, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(asking, "_FIRST_S", 0.001)
    with running(exchange) as url:
        yield Command(exchange, url, tmp_path / "out", capsys)
