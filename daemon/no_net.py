"""No network: what a replay has, so that nothing of it can reach out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import NetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.seams import Handler, Response, Wire


class NoNet:
    """Refuses every connection and request."""

    async def connect(self, url: str, handler: Handler) -> Wire:
        """Raise NetError."""
        del handler
        raise NetError(f"{url} cannot be reached: there is no network here")

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Raise NetError."""
        del headers, body, timeout_s
        raise NetError(f"{method} {url} cannot be made: there is no network here")

    async def close(self) -> None:
        """Do nothing."""
