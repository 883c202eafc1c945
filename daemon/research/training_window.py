"""Whether a backtest goes over the time that its model was trained on: there a model tells what it remembers.

Of a bundle its manifest says from when to when it learned, and how far ahead; the data is not named beyond
"synthetic" and a symbol, so the time alone decides, whatever the market.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import UsageError
from daemon.faces.journal_table import iso
from daemon.research.bundle import read_bundle
from daemon.tape.ticks import span_of

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.seams import Disk


def in_training(config: Config, path: Path, disk: Disk) -> str:
    """Return in words how a folder of ticks lies in the training window of a model; "": it does not.

    Raises ConfigError for a bundle that cannot be read, and FileFormatError for ticks.
    """
    for one in config.strategy:
        if one.model:
            model = read_bundle(disk, Path(one.model))
            said = _said(model.name, model.manifest.window, model.manifest.target, path)
            if said:
                return said
    return ""


def refuse(marked: str, *, allowed: bool) -> None:
    """Raise UsageError for a backtest in a training window, unless that is what is wanted."""
    if marked and not allowed:
        raise UsageError(
            f"{marked}: what it gains there it has learnt by heart; take ticks of another time, or say "
            "--in-training, and the result is marked so"
        )


def _said(name: str, window: dict[str, Any], target: dict[str, Any], path: Path) -> str:
    from_ns, to_ns = window.get("train_from_ns"), window.get("train_to_ns")
    ahead_ms = target.get("horizon_ms", 0)
    if not (isinstance(from_ns, int) and isinstance(to_ns, int) and isinstance(ahead_ms, int)):
        return f"model {name} does not say which time it was trained on"
    until_ns = to_ns + ahead_ms * 1_000_000  # as far as the last label looks
    first_ns, last_ns = span_of(path)
    if last_ns < from_ns or first_ns > until_ns:
        return ""
    what = " ".join(str(window[key]) for key in ("data", "symbol") if key in window)
    learnt = f"model {name} was trained on {what or 'data'} of {iso(from_ns)} to {iso(until_ns)}"
    return f"{learnt}, and these ticks are of {iso(first_ns)} to {iso(last_ns)}"
