"""Learning the shape of a stream's frames from one that the typed decoder has read, for kernels.shapes.

What a frame says of our fields by name becomes values, every other whole number may vary too, and all the
rest is text that every frame must repeat byte for byte. So a new shape of the exchange costs a few slow
frames, and nothing that was not understood is ever skipped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from kernels.shapes import END, LEVELS, PARTS_MAX, S_PREV, S_TIME, TEXT_MAX, UNREAD, WHOLE, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

#: a name and its value: a list of levels, or a scalar that may be quoted
_FIELD: Final = re.compile(
    rb'"(\w+)":(?:(\[(?:\[[^\[\]]*\],?)*\])|("?)(-?\d+(?:\.\d+)?|true|false)\3(?=[,}]))'
)
_LIST, _QUOTES, _SCALAR = 2, 3, 4
#: what a frame need not say, and the slots of `ints` before any frame said it
_MAY_LACK: Final = ((WHOLE, S_TIME), (WHOLE, S_PREV))
_INTS: Final = (0, 0, 0, -1, 0)


def learn(
    stream: NDArray[np.void],
    frame: bytes,
    fields: Mapping[str, tuple[int, int]],
    agrees: Callable[[list[int], list[float]], bool] = lambda _ints, _floats: True,
) -> bool:
    """Give a stream (a kernels.shapes.STREAM array) a frame's shape; return whether it has one to give.

    fields: a name of the frame -> what its value is (kernels.shapes: WHOLE ..) and the slot it goes to.
    agrees(ints, floats): whether what the kernel reads of the frame is what the typed decoder read. Where it
    is not, or the kernel cannot read the frame, the stream keeps the shape it had.
    """
    parts, text = _parts(frame, fields)
    if not parts or len(parts) > PARTS_MAX or len(text) > TEXT_MAX:
        return False
    new = stream.copy()
    record = new[0]
    record["ints"] = _INTS
    record["floats"] = 0.0
    record["part"][: len(parts)] = parts
    record["text"][: len(text)] = np.frombuffer(text, np.uint8)
    record["parts"] = len(parts)
    read_to, _ = scan(frame, new, 0, len(frame), 0)
    if read_to < 0 or not agrees(record["ints"].tolist(), record["floats"].tolist()):
        return False
    stream[:] = new
    return True


def _parts(frame: bytes, fields: Mapping[str, tuple[int, int]]) -> tuple[list[tuple[int, int, int]], bytes]:
    """Return a frame's parts (kernels.shapes) and the text between its values; no parts: it has no shape."""
    parts: list[tuple[int, int, int]] = []
    text = b""
    at = 0
    met: list[str] = []
    for found in _FIELD.finditer(frame):
        name = found[1].decode()
        value, slot = fields.get(name, (UNREAD, 0))
        group = _LIST if found[_LIST] is not None else _SCALAR
        if value == UNREAD and (group == _LIST or found[_QUOTES] or not found[_SCALAR].isdigit()):
            continue  # text: it must stay as it is
        if (value == LEVELS) != (group == _LIST):
            return [], b""
        met.append(name)
        text += frame[at : found.start(group)]
        at = found.end(group)
        parts.append((len(text), value, slot))
    text += frame[at:]
    parts.append((len(text), END, 0))
    needed = {name for name, field in fields.items() if field not in _MAY_LACK}
    named = [name for name in met if name in fields]
    if not needed <= set(named) or len(named) > len(set(named)):
        return [], b""
    return parts, text
