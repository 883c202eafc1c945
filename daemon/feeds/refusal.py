"""How a decoder says what is wrong with a frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from daemon.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: larger than any frame: of levels as wordy as Coinbase's, kernels.levels.LEVELS_MAX a side
FRAME_BYTES_MAX: Final = 16 << 20

#: the last part of the path that msgspec names: a field, or the place within a level
_PLACE: Final = re.compile(r"`\$\S*?(\w+|\]\[\d+\])`")

#: the first two members of a level, as keys of `reasons`
LEVEL_PRICE: Final = "][0]"
LEVEL_QTY: Final = "][1]"


def refuse(error: Exception, payload: bytes, reasons: Mapping[str, str]) -> NoReturn:
    """Raise the FrameError that says what msgspec found; reasons: by the name of the field at fault."""
    reason = "json"
    if isinstance(error, msgspec.ValidationError):
        place = _PLACE.search(str(error))
        reason = reasons.get(place[1], "type") if place else "type"
    raise FrameError(reason, f"frame refused: {error}; it begins {payload[:80]!r}") from None


def check_size(payload: bytes) -> None:
    """Raise FrameError where a frame is larger than any."""
    if len(payload) > FRAME_BYTES_MAX:
        raise FrameError("size", f"a frame of {len(payload)} bytes is over {FRAME_BYTES_MAX}")
