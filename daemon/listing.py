"""The rules of the configured symbols, as a start asks their exchange for them.

An exchange that says "later" (a limit, a ban, a failure of its own) is asked again when it may be: a start
that ended there would be made again at once by whatever keeps the daemon running, and lengthen the ban. Where
nobody answers at all, or failures go on, it goes by what the exchange told last (daemon/rules_cache.py), and
ends with a sentence where that is no help.
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
from daemon.wire import failed_there, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Config
    from daemon.feeds.exchanges import Asks
    from daemon.instruments import Instrument
    from daemon.rules_cache import RulesCache
    from daemon.seams import Response, Seams

_log = structlog.get_logger(component="feed")

#: the distance of the first two tries, where the exchange does not say
_FIRST_S: Final = 1.0
#: failures that went on for so long are not waited out where the exchange's rules are at hand
_ENOUGH_S: Final = 60.0


async def find_instruments(
    config: Config, seams: Seams, cache: RulesCache, *, patient: bool = False
) -> list[Instrument]:
    """Return the instruments; one that is listed no more is what the journal remembers of it.

    patient: go on asking while the exchange says "later". Raises NetError or ConfigError, one sentence each.
    """
    feed = config.feed
    asks: Asks = _Patient(seams, feed.backoff_s_max, cache) if patient else seams.net
    try:
        found = await fetch_instruments(
            find_exchange(feed.exchange, feed.market),
            asks,
            feed.market,
            feed.symbols,
            feed.rest_url,
            partial(remembered, seams.disk, Path(config.journal.path)),
        )
    except NetError as error:
        try:
            return cache.recall(error)
        except NetError as lost:
            if config.mode != "paper" or lost.status:
                raise
            raise NetError(f"{lost}; without a network there is tickd demo, which needs none") from None
    await cache.keep(found)
    return found


class _Patient:
    """Makes a request again until its answer is another than "later".

    A ban is waited for however long it lasts: a daemon that began without the rules would ask for books.
    """

    def __init__(self, seams: Seams, backoff_s_max: float, cache: RulesCache) -> None:
        self._seams = seams
        self._backoff = Backoff(_FIRST_S, backoff_s_max, seams.random)
        self._cache = cache
        self._failed_s = 0.0  # for how long it waited for what is no ban
        self._told = ""  # why it waits

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one; raises NetError where nobody has answered yet: there may be no network at all."""
        while True:
            wait_s, banned = 0.0, False
            try:
                answer = await self._seams.net.request(method, url, headers, body, timeout_s)
            except NetError as error:
                if not self._told or self._had_enough():
                    raise
                why = str(error)
            else:
                banned = answer.status in BAN_S
                if not banned and (not failed_there(answer.status) or self._had_enough()):
                    return answer
                why = f"HTTP {answer.status}"
                wait_s = retry_after_s(answer.headers) or BAN_S.get(answer.status, 0.0)
            wait_s = wait_s or self._backoff.next_s()
            if not banned:
                self._failed_s += wait_s
            if why != self._told:
                self._told = why
                _log.warning("exchange_says_later", reason=why, again_s=round(wait_s, 1))
            await pause(self._seams, wait_s)

    def _had_enough(self) -> bool:
        return self._failed_s >= _ENOUGH_S and self._cache.at_hand
