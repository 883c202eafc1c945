"""The rules of the configured symbols, as a start asks their exchange for them.

An exchange that says "later" (a limit, a ban, a failure of its own) is asked again when it may be: a start
that ended there would be made again at once by whatever keeps the daemon running, and lengthen the ban. Where
nobody answers at all, it ends with a sentence.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from daemon.errors import NetError
from daemon.feeds.exchanges import fetch_instruments, find_exchange
from daemon.feeds.snapshots import BAN_S
from daemon.orders.gone import remembered
from daemon.pause import Backoff, pause
from daemon.wire import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Config
    from daemon.feeds.exchanges import Asks
    from daemon.instruments import Instrument
    from daemon.seams import Response, Seams

_log = structlog.get_logger(component="feed")

#: the distance of the first two tries, where the exchange does not say
_FIRST_S: Final = 1.0


async def find_instruments(config: Config, seams: Seams, *, patient: bool = False) -> list[Instrument]:
    """Return the instruments; one that is listed no more is what the journal remembers of it.

    patient: go on asking while the exchange says "later". Raises NetError or ConfigError, one sentence each.
    """
    feed = config.feed
    asks: Asks = _Patient(seams, feed.backoff_s_max) if patient else seams.net
    return await fetch_instruments(
        find_exchange(feed.exchange, feed.market),
        asks,
        feed.market,
        feed.symbols,
        feed.rest_url,
        partial(remembered, seams.disk, Path(config.journal.path)),
    )


class _Patient:
    """Makes a request again until its answer is another than "later"."""

    def __init__(self, seams: Seams, backoff_s_max: float) -> None:
        self._seams = seams
        self._backoff = Backoff(_FIRST_S, backoff_s_max, seams.random)
        self._told = ""  # why it waits

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one; raises NetError where nobody has answered yet: there may be no network at all."""
        while True:
            wait_s = 0.0
            try:
                answer = await self._seams.net.request(method, url, headers, body, timeout_s)
            except NetError as error:
                if not self._told:
                    raise
                why = str(error)
            else:
                if answer.status not in BAN_S and answer.status < 500:
                    return answer
                why = f"HTTP {answer.status}"
                wait_s = retry_after_s(answer.headers) or BAN_S.get(answer.status, 0.0)
            wait_s = wait_s or self._backoff.next_s()
            if why != self._told:
                self._told = why
                _log.warning("exchange_says_later", reason=why, again_s=round(wait_s, 1))
            await pause(self._seams, wait_s)
