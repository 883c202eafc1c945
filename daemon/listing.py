"""The rules of the configured symbols, as a start asks their exchange for them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.feeds.exchanges import fetch_instruments, find_exchange
from daemon.orders.gone import remembered

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.instruments import Instrument
    from daemon.seams import Seams


async def find_instruments(config: Config, seams: Seams) -> list[Instrument]:
    """Return the instruments; one that is listed no more is what the journal remembers of it.

    Raises NetError or ConfigError, one sentence each.
    """
    feed = config.feed
    return await fetch_instruments(
        find_exchange(feed.exchange),
        seams.net,
        feed.market,
        feed.symbols,
        feed.rest_url,
        partial(remembered, seams.disk, Path(config.journal.path)),
    )
