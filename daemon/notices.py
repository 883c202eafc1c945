"""Notifications to systemd: datagrams on the Unix socket that it names in the environment (sd_notify)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: set by systemd for a unit with Type=notify
VARIABLE: Final = "NOTIFY_SOCKET"


def open_notices(environ: Mapping[str, str]) -> NoticeSocket | None:
    """Return the way to the service manager, None where no such one started us; raises ConfigError."""
    address = environ.get(VARIABLE, "")
    return NoticeSocket(address) if address else None


class NoticeSocket:
    """One datagram a notice, sent without waiting: a manager that does not read must not stop the loop."""

    def __init__(self, address: str) -> None:
        """Wire it; address: a path, or @ and a name that stands in no file system. Raises ConfigError."""
        if address[0] not in "/@":
            raise ConfigError(f"{VARIABLE} {address!r} is neither a path nor @ and a name")
        self._address = f"\0{address[1:]}" if address[0] == "@" else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def send(self, text: str) -> bool:
        """Send one notice; return False where nobody takes it now."""
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:  # a full queue, a manager that is being replaced: the next beat says it again
            return False
        return True

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
