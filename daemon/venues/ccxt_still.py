"""Keeping still together: an exchange that limits or bans us means the address, the feed's requests too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.feeds.snapshots import SnapshotFetcher
    from daemon.venues.ccxt_venue import CcxtVenue


class StillAddress:
    """Limits (daemon/feeds/snapshots.py) of an address that ccxt asks from: it counts for itself alone."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def waits_ms(self) -> int:
        """Let it be sent: while we are to keep still the feed is held."""
        return 0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Count nothing: each exchange has words of its own for what is used."""

    def limited(self, status: int, wait_ms: int) -> None:  # noqa: ARG002 - as long as it holds
        """Send nothing for so long: the feed was told to keep still."""
        self._client.keep_still(wait_ms / 1000)


def share(venue: CcxtVenue, fetcher: SnapshotFetcher, host: str) -> None:
    """Let orders and a feed that asks at `host` keep still together, where that is the venue's exchange."""
    client = venue.client
    if client.reach.is_own(host):
        client.on_still = fetcher.hold
        fetcher.limits = StillAddress(client)
