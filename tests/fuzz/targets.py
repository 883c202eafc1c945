"""What is fuzzed: every place where bytes of somebody else come in.

A target is opened once and fed one input after another. It raises for nothing but a fault of ours: what a
decoder, file or command refuses in its own words is refused, and what it takes must be sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.fuzz import commands, files, market, orders, venue

if TYPE_CHECKING:
    from collections.abc import Callable


class Target(NamedTuple):
    """One door."""

    open: Callable[[], Callable[[bytes], object]]
    seeds: Callable[[], list[bytes]]  # inputs as they should be, to begin with


TARGETS: Final = {
    "feed-spot": Target(market.spot, market.spot_seeds),
    "feed-usdm": Target(market.usdm, market.usdm_seeds),
    "feed-coinm": Target(market.coinm, market.coinm_seeds),
    "feed-bybit": Target(market.bybit, market.bybit_seeds),
    "feed-okx": Target(market.okx, market.okx_seeds),
    "feed-kraken": Target(market.kraken, market.kraken_seeds),
    "feed-coinbase": Target(market.coinbase, market.coinbase_seeds),
    "orders-spot": Target(orders.session, orders.session_seeds),
    "orders-usdm": Target(orders.stream, orders.stream_seeds),
    "rest-spot": Target(orders.spot_rest, orders.spot_rest_seeds),
    "rest-usdm": Target(orders.usdm_rest, orders.usdm_rest_seeds),
    "journal": Target(files.journal, files.journal_seeds),
    "records": Target(files.records, files.records_seeds),
    "memories": Target(files.memories, files.memories_seeds),
    "capture": Target(files.capture, files.capture_seeds),
    "config": Target(files.config, files.config_seeds),
    "simulator-faults": Target(files.faults, files.faults_seeds),
    "simulator-state": Target(files.state, files.state_seeds),
    "simulator-rest": Target(venue.rest, venue.rest_seeds),
    "simulator-api": Target(venue.api, venue.api_seeds),
    "simulator-streams": Target(venue.streams, venue.streams_seeds),
    "http": Target(commands.http, commands.http_seeds),
    "command-line": Target(commands.line, commands.line_seeds),
}
