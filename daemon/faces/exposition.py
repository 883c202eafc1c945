"""Prometheus's text formats, piece by piece: the loop that renders them has ticks to take in between.

prometheus_client renders all at once: of 500 instruments 11,000 lines, which stop the loop for 100 ms (75 of
CPU, on a busy machine). Here they are pieces of 0.5 to 0.8 ms, in all 28 of CPU. A line is what the library
makes of the same sample, byte for byte, which a test holds it to.

OpenMetrics is the form that can bear exemplars: who asks for it is told by which tick a bucket was reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.samples import Sample

#: of one piece
LINES_MAX: Final = 250
#: of what OpenMetrics has by another name, what is said behind a family's name, and its type
_OLD: Final = {"counter": ("_total", "counter"), "info": ("_info", "gauge")}
#: beyond, numbers are written as Go does
_PLAIN_MAX: Final = 1e6


def render(families: Iterable[Metric], *, openmetrics: bool = False) -> Iterator[bytes]:
    """Yield the text of all families, `LINES_MAX` lines at a time."""
    lines: list[str] = []
    for family in families:
        lines.append(_open_head(family) if openmetrics else _head(family))
        for sample in family.samples:
            lines.append(_open_line(sample) if openmetrics else _line(sample))
            if len(lines) >= LINES_MAX:
                yield "".join(lines).encode()
                lines.clear()
    if openmetrics:
        lines.append("# EOF\n")
    yield "".join(lines).encode()


def lazy(name: str, text: str, kind: str, samples: Iterable[Sample]) -> Metric:
    """Return a family whose samples are made as they are rendered: 500 instruments have 2,000 of one."""
    family = Metric(name, text, kind)
    family.samples = samples  # type: ignore[assignment]  # a renderer goes through them once
    return family


def _head(family: Metric) -> str:
    suffix, kind = _OLD.get(family.type, ("", family.type))
    name = family.name + suffix
    text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _open_head(family: Metric) -> str:
    name = family.name
    return f"# HELP {name} {_escaped(family.documentation)}\n# TYPE {name} {family.type}\n"


def _line(sample: Sample) -> str:
    return f"{sample.name}{_labels(sample.labels)} {_number(sample.value)}\n"


def _open_line(sample: Sample) -> str:
    one = sample.exemplar
    if one is None:
        return _line(sample)
    line = f"{sample.name}{_labels(sample.labels)} {_number(sample.value)}"
    return f"{line} # {_labels(one.labels)} {_number(one.value)} {one.timestamp}\n"


def _number(given: float) -> str:
    value = float(given)
    if -_PLAIN_MAX < value < _PLAIN_MAX:
        return repr(value)
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{key}="{_escaped(one)}"' for key, one in sorted(labels.items())]) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
