"""How the command line speaks to a running daemon: HTTP over its Unix socket, by the standard library.

It runs in the process of `tickd state` and its like, never in the daemon, and starts in milliseconds.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import DECODE_ERRORS, NotRunningError, TickdError, UsageError
from daemon.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S: Final = 5.0
#: what SO_PEERCRED tells of who listens: process, user, group
_PEER: Final = Struct("3i")
#: where systemd's RuntimeDirectory puts those of tickd@NAME
SERVICES: Final = Path("/run/tickd")


def find_socket(name: str | None, folder: Path = Path("var"), services: Path = SERVICES) -> Path:
    """Return the socket of the daemon `name`, or of the only one that runs: in `folder`, else as a service.

    What a killed daemon left behind is no choice. Raises NotRunningError when there is none, UsageError when
    `name` is needed to choose.
    """
    if name is not None:
        own, service = (place / name / "tickd.sock" for place in (folder, services))
        return service if not _is_taken(own) and _is_taken(service) else own
    found = sorted(folder.glob("*/tickd.sock"))
    alive = [path for path in found if _is_taken(path)]
    alive = alive or [path for path in sorted(services.glob("*/tickd.sock")) if _is_taken(path)]
    if len(alive) > 1:
        names = ", ".join(path.parent.name for path in alive)
        raise UsageError(f"several daemons run here ({names}); choose one with --name")
    if not alive and not found:
        raise NotRunningError(
            f"no daemon runs here (there is no {folder}/NAME/tickd.sock); start one, or say --socket"
        )
    return (alive or found)[0]


def _is_taken(path: Path) -> bool:
    """Whether somebody listens there, or might."""
    connection = _UnixConnection(path)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        return True
    finally:
        connection.close()
    return True


def fetch_status(path: Path) -> Status:
    """Return what the daemon tells about itself; raises NotRunningError."""
    body = _request(path, "GET", "/state", {}, b"")
    try:
        return msgspec.json.decode(body, type=Status)
    except DECODE_ERRORS as error:
        raise TickdError(
            f"{path} answers with another version's state ({error}); use the daemon's tickd"
        ) from None


def fetch_metrics(path: Path) -> str:
    """Return the daemon's metrics as its /metrics has them; raises NotRunningError, TickdError."""
    return _request(path, "GET", "/metrics", {}, b"").decode()


def daemon_pid(path: Path) -> int:
    """Return the process id of the daemon that listens on a socket; raises NotRunningError, TickdError."""
    connection = _UnixConnection(path)
    try:
        connection.connect()
        told = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(f"no daemon answers on {path}; is it running?") from None
    except OSError as error:
        raise TickdError(f"the daemon on {path} cannot be asked: {error}") from None
    finally:
        connection.close()
    return int(_PEER.unpack(told)[0])


def command(path: Path, verb: str, reason: str, *, rebase: bool = False) -> str:
    """Give a command; return the state the daemon is in after it. Raises TickdError when it is refused."""
    asked = {"reason": reason} | ({"rebase": True} if rebase else {})
    headers = {"Content-Type": "application/json"}
    body = _request(path, "POST", f"/{verb}", headers, json.dumps(asked).encode())
    return str(json.loads(body)["state"])


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def _request(path: Path, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request(method, target, body or None, dict(headers))
        response = connection.getresponse()
        data = response.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(f"no daemon answers on {path}; is it running?") from None
    except TimeoutError:
        done = "" if method == "GET" else f": it may {target[1:]} all the same, so ask for its state"
        raise TickdError(f"the daemon on {path} did not answer within {TIMEOUT_S:.0f} s{done}") from None
    except (OSError, http.client.HTTPException) as error:
        raise TickdError(f"the daemon on {path} cannot be asked: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        # a command may have been done and not be on the disk
        what = f"could not {target[1:]} for good" if response.status == 503 else f"refused {target[1:]}"
        kind = UsageError if response.status == 409 else TickdError
        raise kind(f"the daemon {what}: {_sentence(data)}")
    return data


def _sentence(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return "it gave no reason"
