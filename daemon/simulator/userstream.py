"""User data streams by listen key: a key an account, valid for an hour at a time, and who listens with it.

A key is an address (/ws/KEY) and the name of a stream. Spot has had none since 2026-02-20 and answers 410; it
can be told to have them, for bots from before then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.simulator.errors import ApiError
from daemon.simulator.methods import USER_STREAM, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.methods import Call
    from daemon.simulator.streams import Outbox

KEY_LENGTH: Final = 64
LIFETIME_NS: Final = 3_600_000_000_000


class ListenKeys:
    """The keys that are valid, by account; `make_id` makes short random texts."""

    def __init__(self, make_id: Callable[[], str]) -> None:
        self._make_id = make_id
        self._keys: dict[str, tuple[str, int]] = {}  # account -> key, when it ends

    def start(self, account: str, now_ns: int) -> str:
        """Return the account's key, made where it has none, valid for an hour from now."""
        self.expire(now_ns)
        key = self.of(account) or "".join(self._make_id() for _ in range(3))[:KEY_LENGTH]
        self._keys[account] = key, now_ns + LIFETIME_NS
        return key

    def keep(self, account: str, now_ns: int) -> str:
        """Return the account's key, valid for an hour from now; raises ApiError -1125 where it has none."""
        self.expire(now_ns)
        if account not in self._keys:
            raise ApiError(-1125, "This listenKey does not exist.")
        return self.start(account, now_ns)

    def of(self, account: str) -> str:
        """Return the account's key, "" where it has none."""
        return self._keys.get(account, ("", 0))[0]

    def stop(self, account: str) -> None:
        """Forget the account's key."""
        self._keys.pop(account, None)

    def owner(self, key: str, now_ns: int) -> str | None:
        """Return whose key it is."""
        self.expire(now_ns)
        return next((account for account, (one, _) in self._keys.items() if one == key), None)

    def expire(self, now_ns: int) -> list[tuple[str, str]]:
        """Forget the keys whose hour is over; returns them, each with its account."""
        ended = [(account, key) for account, (key, end_ns) in self._keys.items() if end_ns <= now_ns]
        for account, _ in ended:
            del self._keys[account]
        return ended


class UserSession:
    """One connection to a user data stream; /stream wraps each event with the key's name."""

    def __init__(
        self, outbox: Outbox, account: str, key: str, combined: bool, on_end: Callable[..., None]
    ) -> None:
        self.outbox = outbox
        self.account = account
        self._key = key
        self._combined = combined
        self._on_end = on_end

    def closed(self) -> None:
        """Forget the connection."""
        self._on_end(self)

    def receive(self, text: bytes) -> None:
        """Take no request: what is listened to stands in the address."""

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event; nothing more after the key's end."""
        self.outbox.send(
            msgspec.json.encode({"stream": self._key, "data": event} if self._combined else event)
        )
        if event["e"] == "listenKeyExpired":
            self._on_end(self)


# --- the methods ---
def _keys(call: Call) -> ListenKeys:
    keys = call.exchange.listen_keys
    assert keys is not None, "without listen keys there are no such methods"
    return keys


def start(call: Call) -> dict[str, Any]:
    """Return the listen key."""
    return {"listenKey": _keys(call).start(call.account.name, call.now_ns)}


def keep(call: Call) -> dict[str, Any]:
    """Let the listen key live for another hour."""
    call.params.optional("listenKey")
    return {"listenKey": _keys(call).keep(call.account.name, call.now_ns)}


def stop(call: Call) -> dict[str, Any]:
    """End the listen key."""
    call.params.optional("listenKey")
    _keys(call).stop(call.account.name)
    return {}


def _keep_named(call: Call) -> dict[str, Any]:
    """Let the listen key live on, where spot wants it named."""
    if call.params.text("listenKey") != _keys(call).of(call.account.name):
        raise ApiError(-1125, "This listenKey does not exist.")
    keep(call)
    return {}


USDM: Final = (
    Method("POST", "listenKey", "userDataStream.start", USER_STREAM, 1, start),
    Method("PUT", "listenKey", "userDataStream.ping", USER_STREAM, 1, keep),
    Method("DELETE", "listenKey", "userDataStream.stop", USER_STREAM, 1, stop),
)
SPOT: Final = (
    Method("POST", "userDataStream", "", USER_STREAM, 2, start),
    Method("PUT", "userDataStream", "", USER_STREAM, 2, _keep_named),
    Method("DELETE", "userDataStream", "", USER_STREAM, 2, stop),
)
