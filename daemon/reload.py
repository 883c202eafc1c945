"""A configuration taken anew while the daemon runs: what can change changes, the rest is named and refused.

Little can. What decides on orders is on the record from the run's first entry, and a limit or a parameter
that changed in between would make the session another one; what is open (sockets, files, connections) was
opened by the old words. A restart takes all of it, and is a recovery anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from daemon.errors import TickdError
from daemon.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from daemon.config import Config


class Reload:
    """Calling it takes the configuration anew and returns what became of it, in one sentence.

    load: reads it, and raises TickdError. takers: by key, as `log.level`, what a changed value is given to.
    """

    def __init__(
        self, config: Config, load: Callable[[], Config], takers: Mapping[str, Callable[[Any], None]]
    ) -> None:
        self._tree: dict[str, Any] = msgspec.to_builtins(config)  # as it runs
        self._load = load
        self._takers = takers

    def __call__(self) -> str:
        """Read it, and take what can be taken."""
        try:
            tree: dict[str, Any] = msgspec.to_builtins(self._load())
        except TickdError as error:
            return f"nothing was taken anew: {error}"
        except Exception as error:  # whatever is wrong with a file, who trades goes on
            return f"nothing was taken anew: {type(error).__name__}: {redact(str(error))}"
        taken, refused = [], []
        for key in differing(self._tree, tree):
            take = self._takers.get(key)
            if take is None:
                refused.append(key)
                continue
            section, _, name = key.partition(".")
            value = self._tree[section][name] = tree[section][name]
            take(value)
            taken.append(f"{key} = {value}")
        if not taken and not refused:
            return "nothing in the configuration has changed"
        parts = [f"taken anew: {', '.join(taken)}"] if taken else []
        if refused:
            parts.append(f"not taken before a restart: {', '.join(refused)}")
        return "; ".join(parts)


def differing(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Yield the keys whose values differ, as `risk.collar` or `strategy[0].params.qty`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differing(before.get(key), after.get(key), f"{where}.{key}" if where else key)
    elif _are_many(before, after) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differing(one, other, f"{where}[{number}]")
    elif before != after:
        yield where


def _are_many(*values: Any) -> bool:
    return all(isinstance(one, (list, tuple)) for one in values)
