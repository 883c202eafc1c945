"""The exchange's own archive: a zip a day with its SHA-256 beside, read as `tickd convert` reads it.

    URL/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip
    URL/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-08.zip

A zip is kept no longer than it takes to read it. It is read where it does not hold up what else is fetched.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Protocol

from daemon.errors import NetError, TickdError
from daemon.fetch.days import date_of
from daemon.redact import bare_url
from daemon.tape.forms.base import FinerGridError
from daemon.tape.forms.table import Wanted as Told
from daemon.tape.forms.table import find_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from daemon.fetch.asking import Asker
    from daemon.fetch.days import Day, Wanted
    from daemon.fetch.jobs import Job, Maker
    from daemon.instruments import Market
    from daemon.seams import Response
    from daemon.tape.partitions import Written

URL: Final = "https://data.binance.vision"
_FOLDERS: Final[dict[Market, str]] = {"spot": "spot", "usdm": "futures/um", "coinm": "futures/cm"}
_SHA256: Final = re.compile(r"^\s*([0-9a-fA-F]{64})\b")
_SILENT_S: Final = 60.0
_OK: Final = 200
_ABSENT: Final = 404
_FILE_MODE: Final = 0o600


class Download(Protocol):
    """GET of anything: see daemon/net.py."""

    async def __call__(self, url: str, take: Callable[[bytes], object], silent_s: float) -> Response:
        """Give `take` the parts of an answer of 200."""


def target_of(wanted: Wanted, day: int) -> str:
    """Return the path of a day's zip."""
    symbol = wanted.series.exchange_symbol
    name = wanted.interval or wanted.kind
    folder = f"{wanted.kind}/{symbol}/{wanted.interval}".rstrip("/")
    market = _FOLDERS[wanted.series.market]
    return f"/data/{market}/daily/{folder}/{symbol}-{name}-{date_of(day)}.zip"


class Archive:
    """An archive behind an address."""

    def __init__(self, asker: Asker, download: Download) -> None:
        self._asker = asker
        self._download = download

    async def fetch(self, maker: Maker, job: Job) -> None:
        """Bring one day to its files; what the archive does not have is counted as absent."""
        wanted, number = job.wanted, job.first
        target = target_of(wanted, number)
        wanted_sum = await self._asker.insist(lambda: self._checksum(target, wanted), 0)
        if wanted_sum is None:
            maker.absent(wanted)
            return
        path = maker.store.root / f".{target.rpartition('/')[2]}.tmp"
        try:
            await self._asker.insist(lambda: self._zip(target, wanted, wanted_sum, path), 0)
            asked_ns = self._asker.seams.clock.now_ns()
            maker.count(*await maker.aside(_read, path, maker, wanted, number, asked_ns))
        finally:
            path.unlink(missing_ok=True)

    async def _checksum(self, target: str, wanted: Wanted) -> str | None:
        url = f"{self._asker.url}{target}.CHECKSUM"
        answer = await self._asker.seams.net.request("GET", url, {}, b"", _SILENT_S)
        if answer.status == _ABSENT:
            return None
        self._asker.judge(answer, str(wanted))
        found = _SHA256.match(answer.body[:200].decode(errors="replace"))
        if found is None:
            raise NetError(f"{bare_url(url)} does not begin with a SHA-256")
        return found[1].lower()

    async def _zip(self, target: str, wanted: Wanted, wanted_sum: str, path: Path) -> None:
        """Download a zip; raises NetError where it is not the one that its SHA-256 is of."""
        url = self._asker.url + target
        digest = hashlib.sha256()
        size = 0
        file = _open(path)

        def take(part: bytes) -> None:
            nonlocal size
            digest.update(part)
            size += len(part)
            try:
                file.write(part)
            except OSError as error:
                raise _unwritten(path, error) from error

        with file:
            answer = await self._download(url, take, _SILENT_S)
        self._asker.judge(answer, str(wanted))
        self._asker.counts.bytes += size
        if digest.hexdigest() != wanted_sum:
            raise NetError(
                f"{bare_url(url)} has the SHA-256 {digest.hexdigest()[:12]}.., and its .CHECKSUM says "
                f"{wanted_sum[:12]}.."
            )


def _read(path: Path, maker: Maker, wanted: Wanted, number: int, asked_ns: int) -> tuple[Day, list[Written]]:
    """Return a day that was filled with a zip's rows, and its files."""
    series = wanted.series
    told = Told(form="binance", exchange=series.exchange, market=series.market, symbol=series.exchange_symbol)
    _, source = find_source(path, told)
    while True:
        day = maker.begin(wanted, number, asked_ns)
        try:
            for piece in source.pieces(path, day.state):
                day.add(piece.block, piece.bars)
            return day, day.commit()
        except FinerGridError as finer:
            maker.learn(finer)
            day.abandon()
        except BaseException:
            day.abandon()
            raise


def _open(path: Path) -> BinaryIO:
    try:
        path.unlink(missing_ok=True)
        path.touch(_FILE_MODE)
        return path.open("wb")
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> TickdError:
    return TickdError(f"{path} could not be written ({error.strerror or error})")
