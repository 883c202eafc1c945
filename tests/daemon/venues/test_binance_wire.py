from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.venues import binance_wire as wire

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def samples(root: Path) -> Path:
    """Messages as another client's tests hold them."""
    folder = root.parent / "shared" / "data" / "fixtures" / "binance" / "jkorf_MIT" / "Binance.Net.UnitTests"
    if not folder.is_dir():
        missing = "no sample messages beside this checkout (../shared/data/fixtures)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


def answer(path: Path) -> dict[str, Any]:
    """The answer in a sample file: what follows the line of a single '='."""
    text = path.read_text("utf-8-sig")
    body = re.split(r"^=\s*$", text, flags=re.MULTILINE)[-1]
    parsed: dict[str, Any] = json.loads(body)
    return parsed


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("PlaceOrder", wire.OrderRow),
        ("CancelOrder", wire.OrderRow),
        ("GetOrder", wire.OrderRow),
        ("AmendOrder", None),
        ("GetUserTrades", list[wire.TradeRow]),
        ("GetOpenOrders", list[wire.OrderRow]),
    ],
)
def test_answers_that_another_client_knows_are_read(samples: Path, name: str, form: Any) -> None:
    body = answer(samples / "Socket" / "Spot" / "Trading" / f"{name}.txt") | {"id": 1}
    message = msgspec.json.decode(json.dumps(body), type=wire.Message)
    assert message.status == 200
    limits = msgspec.json.decode(message.rateLimits, type=list[wire.RateLimit])
    assert limits[-1].rateLimitType == "REQUEST_WEIGHT"
    if form is not None:
        assert msgspec.json.decode(message.result, type=form)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Order", wire.ExecutionEvent),
        ("AccountPosition", wire.PositionEvent),
        ("Balance", wire.BalanceEvent),
        ("OcoOrder", wire.ListEvent),
    ],
)
def test_events_that_another_client_knows_are_read(samples: Path, name: str, form: type) -> None:
    body = answer(samples / "Subscriptions" / "Spot" / "Account" / f"{name}.txt")
    message = msgspec.json.decode(json.dumps(body), type=wire.Message)
    assert type(message.event) is form


def test_balances_are_exact() -> None:
    account = msgspec.json.decode(
        b'{"balances":[{"asset":"BTC","free":"1.34471120","locked":"0.08600000"}]}', type=wire.Account
    )
    assert str(account.balances[0].free + account.balances[0].locked) == "1.43071120"


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        (b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}', wire.TerminatedEvent),
        (b'{"event":{"e":"serverShutdown","E":1}}', wire.ShutdownEvent),
        (
            b'{"subscriptionId":0,"event":{"e":"externalLockUpdate","E":1,"a":"NEO","d":"1","T":1}}',
            wire.LockEvent,
        ),
    ],
)
def test_events_of_the_connection_are_told_apart(payload: bytes, form: type) -> None:
    assert type(msgspec.json.decode(payload, type=wire.Message).event) is form
