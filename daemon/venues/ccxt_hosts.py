"""Which hosts an exchange of ccxt may be reached at, looked at below everything in ccxt that makes a request.

Those of its addresses, moved where the configuration moves them, what the file names beside them
(`venue.hosts`), and this machine. An exchange may tell by an answer where its stream is, so other hosts of a
domain pass too which several of its addresses are of; none does where both are moved.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon.errors import ConfigError
from daemon.venues.hosts import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.venues.ccxt_client import CcxtSettings


class Reach:
    """The hosts of one exchange."""

    def __init__(self, client: Any, settings: CcxtSettings) -> None:
        """Take them from the client's addresses, which have been moved."""
        self._exchange = settings.exchange
        hostname = getattr(client, "hostname", None) or ""
        own = set(_hosts_in([client.urls["api"], client.urls.get("hostnames") or {}], hostname))
        moved = {urlsplit(url).hostname or "" for url in (settings.rest_url, settings.ws_url) if url}
        shared = Counter(host.partition(".")[2] for host in own - moved)
        self._domains = tuple(f".{domain}" for domain, count in shared.items() if count > 1 and "." in domain)
        self._own = frozenset(own | moved)
        self._others = frozenset((*LOOPBACK, *settings.hosts))

    def is_own(self, host: str) -> bool:
        """Whether it is one of the exchange's."""
        return host in self._own or host.endswith(self._domains)

    def check(self, host: str) -> None:
        """Raise ConfigError for a host that keys must not be shown."""
        if not (self.is_own(host) or host in self._others):
            raise ConfigError(
                f"ccxt would ask {host or 'no host'} for {self._exchange}, which is not among its addresses: "
                "name it in venue.hosts if its owner may see the key"
            )


def _hosts_in(node: Any, hostname: str) -> Iterator[str]:
    """Yield the hosts of addresses, and bare ones, whatever they are within."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _hosts_in(one, hostname)
    elif isinstance(node, str):
        address = node.replace("{hostname}", hostname)
        host = urlsplit(address if "://" in address else f"//{address}").hostname
        if host:
            yield host
