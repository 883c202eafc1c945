"""The text format: what prometheus_client makes of the same, in pieces."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.registry import Collector

from daemon.faces.exposition import LINES_MAX, render
from daemon.faces.metrics import StatusCollector
from daemon.status import SlowTick
from tests.daemon.faces.test_metrics import everything

edges = st.sampled_from([0.0, -0.0, 1e6, 999_999.5, math.inf, math.nan])
numbers = st.floats() | st.integers(-(10**20), 10**20) | edges
texts = st.text(max_size=6) | st.sampled_from(['a"b', "a\\b", "a\nb", "BTC/USDT"])


class Given(Collector):
    def __init__(self, families):
        self.families = families

    def collect(self):
        return iter(self.families)


def theirs(collector, form=generate_latest):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return form(registry)


def test_everything_a_daemon_tells_is_as_the_library_has_it():
    status = everything()
    status.instruments[0].symbol = 'odd"\\\n'
    collector = StatusCollector(lambda: status)
    status.latency[0].slowest = SlowTick(4711, 1.5e-5, 1_700_000_000.25)
    assert b"".join(render(collector.collect())) == theirs(collector)
    found = b"".join(render(collector.collect(), openmetrics=True))
    assert found == theirs(collector, openmetrics)
    assert found.count(b'# {seq="4711"} 1.5e-05 1700000000.25\n') == 1


@given(st.dictionaries(st.tuples(texts, texts), numbers, max_size=5), numbers, texts)
def test_any_label_and_number_is_as_the_library_has_it(samples, number, text):
    several = GaugeMetricFamily("g", text, labels=["b", "a"])
    for labels, value in samples.items():
        several.add_metric(labels, value)
    histogram = HistogramMetricFamily("h", "h", buckets=[("0.5", 1), ("+Inf", 2)], sum_value=1.5)
    families = [several, histogram, CounterMetricFamily("c", "c", value=number)]
    assert b"".join(render(families)) == theirs(Given(families))
    assert b"".join(render(families, openmetrics=True)) == theirs(Given(families), openmetrics)


def test_no_piece_is_long():
    many = GaugeMetricFamily("g", "many", labels=["symbol"])
    for number in range(3 * LINES_MAX):
        many.add_metric([str(number)], number)
    pieces = list(render([many, many]))
    assert max(piece.count(b"\n") for piece in pieces) <= 2 * LINES_MAX
    assert len(pieces) > 6
    assert b"".join(pieces) == theirs(Given([many, many]))
