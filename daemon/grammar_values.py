"""What words of the command line stand for: a value each, or an ArgumentTypeError of one sentence."""

from __future__ import annotations

import argparse
import re
from typing import Final

PORT_MAX: Final = 65_535
_DAY_NS: Final = 86_400_000_000_000


def positive(text: str) -> float:
    """Return a positive number."""
    value = _number(text, float)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def seconds(text: str) -> float:
    """Return a time, 0 too."""
    return 0.0 if _number(text, float) == 0 else positive(text)


def speed(text: str) -> float:
    """Return a factor, infinite for `max`."""
    return float("inf") if text == "max" else positive(text)


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    value = int(_number(text, int))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive count")
    return value


def length(text: str) -> int:
    """Return the ns of a bar's length: a whole part of a day, so that bars lie alike in each."""
    found = re.fullmatch(r"(\d{1,9})(ms|s|m|h|d)", text)
    units = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000, "d": _DAY_NS}
    length_ns = int(found[1]) * units[found[2]] if found else 0
    if not length_ns or _DAY_NS % length_ns:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no whole part of a day such as 100ms, 1s, 5m, 1h or 1d"
        )
    return length_ns


def seed(text: str) -> int:
    """Return what generators begin from."""
    value = int(_number(text, int))
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not a seed (0 to 2**63 - 1)")
    return value


def cores(text: str) -> tuple[int, ...]:
    """Return one core's number, or two."""
    numbers = tuple(int(_number(part, int)) for part in text.split(","))
    if len(numbers) > 2 or min(numbers) < 0:
        raise argparse.ArgumentTypeError(f"{text} is not one core or two, such as 0,1")
    return numbers


def counts(text: str) -> tuple[int, ...]:
    """Return different numbers of symbols; none for 0."""
    numbers = tuple(int(_number(part, int)) for part in text.split(","))
    if numbers == (0,):
        return ()
    if min(numbers) < 1 or max(numbers) > 1000 or len(set(numbers)) != len(numbers):
        raise argparse.ArgumentTypeError(f"{text} is no list of different numbers of symbols, such as 1,500")
    return numbers


def columns(text: str) -> dict[str, str]:
    """Return the column of each role."""
    parts = [part.partition("=") for part in text.split(",")]
    if not all(role and mark and name for role, mark, name in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no map such as time=ts,price=px,size=qty")
    return {role.strip(): name.strip() for role, _, name in parts}


def pair(text: str) -> tuple[str, str]:
    """Return two names."""
    first, mark, second = (one.strip() for one in text.partition(","))
    if not (first and mark and second) or "," in second:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair of names such as qty,band_bps")
    return first, second


def port(text: str) -> int:
    """Return a TCP port, 0: any; raises ArgumentTypeError."""
    value = int(_number(text, int))
    if not 0 <= value <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return value


def instant(text: str) -> int:
    """Return ns UTC; a time that says no zone is UTC. Python's own datetime ends at the microsecond."""
    from datetime import UTC, datetime  # noqa: PLC0415 - 2 ms, needed by one verb

    try:
        whole, digits, zone = re.fullmatch(r"([^.]*)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", text).groups()  # type: ignore[union-attr]
        moment = datetime.fromisoformat(whole + (zone or ""))
    except (AttributeError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time such as 2026-01-31, 2026-01-31T12:00:00 or 2026-01-31T12:00:00.5Z"
        ) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int((digits or "").ljust(9, "0"))


def day(text: str) -> int:
    """Return a UTC day, counted from 1970."""
    from datetime import date  # noqa: PLC0415 - as above

    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-01-31") from None


def _number(text: str, kind: type[float]) -> float:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
