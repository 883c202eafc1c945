"""Reading a request's parameters: typed, each refusal in Binance's words, and nothing left unread.

Parameters arrive as text (REST) or as JSON values (WebSocket API); both become text here, so that one order
is checked the same way whichever door it came by.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.errors import (
    BAD_PRECISION,
    ILLEGAL_CHARS,
    INVALID_PARAMETER,
    PARAM_EMPTY,
    UNREAD_PARAMETERS,
    ApiError,
    missing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_DECIMAL_TEXT: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER: Final = re.compile(r"[0-9]{1,20}")
_INTEGER_TEXT: Final = r"^[0-9]{1,20}$"
#: decimals of every asset's amounts
PLACES: Final = 8


class Params:
    """The parameters of one request."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: as_text(value) for name, value in values.items()}
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def optional(self, name: str) -> str | None:
        """Return the text, or None where it was not sent; raises ApiError when sent empty."""
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise ApiError(PARAM_EMPTY, f"Parameter '{name}' was empty.")
        return value

    def text(self, name: str) -> str:
        """Return the text; raises ApiError where it was not sent or is empty."""
        self._read.add(name)
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def choice(self, name: str, allowed: tuple[str, ...], code: int, message: str) -> str:
        """Return one of `allowed`; raises ApiError(code, message) for anything else."""
        value = self.text(name)
        if value not in allowed:
            raise ApiError(code, message)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """Return a non-negative decimal of at most 8 places, or None; raises ApiError -1100 or -1111."""
        value = self.optional(name)
        if value is None:
            return None
        if not _DECIMAL.fullmatch(value):
            raise ApiError(
                ILLEGAL_CHARS,
                f"Illegal characters found in parameter '{name}'; legal range is '{_DECIMAL_TEXT}'.",
            )
        if len(value.partition(".")[2].rstrip("0")) > PLACES:
            raise ApiError(BAD_PRECISION, f"Parameter '{name}' has too much precision.")
        return Decimal(value)

    def integer(self, name: str) -> int | None:
        """Return a non-negative integer, or None."""
        value = self.optional(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise ApiError(
                ILLEGAL_CHARS,
                f"Illegal characters found in parameter '{name}'; legal range is '{_INTEGER_TEXT}'.",
            )
        return int(value)

    def time_ms(self, name: str) -> int | None:
        """Return a time in ms, or None; one of more than 13 digits was sent in microseconds."""
        value = self.integer(name)
        return value // 1_000 if value is not None and value >= 10**13 else value

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted, from 1 to `most`."""
        wanted = self.integer("limit")
        if wanted is None:
            return default
        if wanted < 1:
            raise ApiError(INVALID_PARAMETER, "Data sent for parameter 'limit' is not valid.")
        return min(wanted, most)

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise ApiError(INVALID_PARAMETER, f"Data sent for parameter '{name}' is not valid.")
        return value.lower() == "true"

    def finish(self) -> None:
        """Raise ApiError for what was sent and not read: a misspelt option must not pass silently."""
        unread = len(self._values) - len(self._read & self._values.keys())
        if unread:
            raise ApiError(
                UNREAD_PARAMETERS,
                f"Not all sent parameters were read; read '{len(self._values) - unread}' parameter(s) "
                f"but was sent '{len(self._values)}'.",
            )


def as_text(value: Any) -> str:
    """Return a JSON value as the text that the exchange signs and parses."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if value is None:
        return ""
    if isinstance(value, list):
        return "[" + ",".join(f'"{item}"' for item in value) + "]"
    raise ApiError(INVALID_PARAMETER, "Invalid data sent for a parameter.")
