from __future__ import annotations

import msgspec
import pytest

from daemon.venues import binance_wire as wire


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
