"""User data streams by listen key: a key an account, valid for an hour at a time, and who listens with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.simulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.streams import Outbox

LIFETIME_NS: Final = 3_600_000_000_000


class ListenKeys:
    """The keys that are valid, by account."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._keys: dict[str, tuple[str, int]] = {}  # account -> key, when it ends

    def start(self, account: str, now_ns: int) -> str:
        """Return the account's key, made where it has none, valid for an hour from now."""
        self.expire(now_ns)
        key, _ = self._keys.get(account) or (self._make(), 0)
        self._keys[account] = key, now_ns + LIFETIME_NS
        return key

    def keep(self, account: str, now_ns: int) -> str:
        """Return the account's key, valid for an hour from now; raises ApiError -1125 where it has none."""
        self.expire(now_ns)
        if account not in self._keys:
            raise ApiError(-1125, "This listenKey does not exist.")
        return self.start(account, now_ns)

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
