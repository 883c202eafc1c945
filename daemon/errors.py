"""Every error a user can meet, and the exit code it ends with.

TickdError                    1   something failed
|- UsageError                 2   the command line asks for what does not exist
|- CheckFailedError           3   a check did not hold (verify, parity, doctor)
|- NotRunningError            4   no daemon answers
|- ReportedError                  a process we started has failed and said why itself
|- ConfigError               78   the configuration is wrong; a restart would not mend it
|- FrameError                     one frame is malformed: counted by reason, never ends the daemon
|- FileFormatError            1   a file is truncated, foreign or newer than we read
|- JournalError               1   the journal cannot be written, or its middle is corrupt
|- NetError                   1   a connection or request failed; the outcome of a request is unknown
`- VenueError                 1   the venue answered with an error code

An error is one sentence: what, where, and what to do. `assert` is for bugs.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_CHECK: Final = 3
EXIT_NOT_RUNNING: Final = 4
EXIT_CONFIG: Final = 78
EXIT_INTERRUPTED: Final = 130


class TickdError(Exception):
    """The root: a sentence for the user and an exit code."""

    exit_code: int = EXIT_FAILED


class UsageError(TickdError):
    """The command line asks for what does not exist."""

    exit_code = EXIT_USAGE


class CheckFailedError(TickdError):
    """A check the user asked for did not hold."""

    exit_code = EXIT_CHECK


class NotRunningError(TickdError):
    """No daemon answers at the address asked for."""

    exit_code = EXIT_NOT_RUNNING


class ReportedError(TickdError):
    """A process we started has failed, and said why on the standard error it shares with us."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class ConfigError(TickdError):
    """The configuration is wrong: the sentence names the key and, where it can, the nearest valid one."""

    exit_code = EXIT_CONFIG


class FrameError(TickdError):
    """One frame is malformed. `reason` is a bounded label: json, type, symbol, price, qty, size, ...

    `books` are the instruments whose depth may have been in it, where no id of the next update tells so.
    """

    def __init__(self, reason: str, message: str, books: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.books = books


class FileFormatError(TickdError):
    """A file is truncated, foreign, or of a newer format than this version reads."""


class JournalError(TickdError):
    """The journal cannot be written, or its middle is corrupt (the sentence names the offset)."""


class NetError(TickdError):
    """A connection or a request failed. For a request this says nothing about what the other side did.

    `status`: of the HTTP answer that came in place of a websocket, or of the rules of instruments; 0 where
    none did. `retry_after_s`: for how long it told us to keep still, 0 where it did not say.
    """

    def __init__(self, message: str, status: int = 0, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class VenueError(TickdError):
    """The venue answered a request with an error. `code` is the venue's own.

    `status`: of the HTTP answer; 0 where it came otherwise.
    """

    def __init__(self, code: int, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


#: what msgspec raises for bytes that it cannot read: of another form, no text, nested too deeply
DECODE_ERRORS: Final = (ValueError, RecursionError)


def unread(error: OSError, then: str = "check the name") -> str:
    """Return how a sentence about something that could not be read goes on, the same words for all.

    then: what to do where it is not there.
    """
    if isinstance(error, FileNotFoundError):
        return f"does not exist; {then}"
    return f"cannot be read ({error.strerror or error})"


def unknown_strategy(reference: str, shipped: Iterable[str]) -> str:
    """Return the sentence about a strategy that there is not."""
    return f"strategy {reference!r} is unknown; use one of {', '.join(shipped)} or a file like my_strategy.py"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what ends a sentence about an unknown word: the nearest known one, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
