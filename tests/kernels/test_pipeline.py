"""The pipeline: its parts in their order, the halves equal to the whole, a digest that sees everything."""

import math

import numpy as np
import pytest
from numba import njit

from kernels import digest, features, forest, limits, pipeline, reconcile
from kernels.book import make as make_book
from kernels.dtypes import (
    ACCOUNT_COLUMNS,
    APPROVED,
    B_ASK_LOTS,
    B_ASK_TICKS,
    B_BID_LOTS,
    B_BID_TICKS,
    BOOK_LEVELS,
    BUY,
    GATE_HALTED,
    M_LIQUIDATION_DISTANCE_MIN,
    NO_OPINION,
    O_INSTRUMENT,
    O_KIND,
    O_LEVEL,
    O_PRICE,
    O_QTY,
    O_SIDE,
    P_AVG_PRICE,
    P_QTY,
    P_UNREALISED,
    PLACE,
    QUOTE,
    R_LOT_SIZE,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_STOP_QTY_MAX_LOTS,
    R_TICK_SIZE,
    REST,
    TRADE,
    X_REFUSAL,
    X_VERB,
    memory_dtype,
)
from kernels.reconcile import FAULT_COUNT
from kernels.ring import CAPACITY, new_rings, push
from strategies import ensemble

SECOND = 10**9
START_NS = 1_700_000_000 * SECOND


RINGS = new_rings(1)  # empty


class Feed:
    """The rings of `k` instruments, and ticks that come into them."""

    def __init__(self, k: int = 1):
        self.rings = new_rings(k)
        self.number = 0

    def tick(self, i, kind, wire_ns, a, b, c, d=0.0):
        self.number += 1
        push(self.rings, i, kind, wire_ns, 0, self.number, a, b, c, d)


#: what the account has, whoever decides
ACCOUNT = np.array([1e6, 2e6, 3.0, 4.0, 1e6, 0.0, 0.01])
assert len(ACCOUNT) == ACCOUNT_COLUMNS


def make_memory(k: int = 1) -> np.ndarray:
    dtype = memory_dtype(k, len(features.FEATURES), features.FEATURE_FLOATS, features.FEATURE_INTS, 2, 2)
    memory = np.zeros(1, dtype)
    record = memory[0]
    record["rows"] = math.nan
    record["book"][..., 0] = math.nan
    record["ring"] = range(k)
    record["limits"] = math.inf
    record["limits"][:, M_LIQUIDATION_DISTANCE_MIN] = -math.inf
    record["params"][:] = 0.01, 2.0
    for i in range(k):
        features.init(record["feature_f"][i], record["feature_i"][i], features.bind_tuning({}))
        record["rules"][i, [R_TICK_SIZE, R_LOT_SIZE]] = 0.5, 0.001
        record["rules"][i, [R_QTY_MIN_LOTS, R_QTY_MAX_LOTS, R_STOP_QTY_MAX_LOTS]] = 1, 10**6, 10**6
    return memory


def bid_behind(now_ns, why, rows, book, position, working, account, state, params, out):
    """Rest params[0] so many units as params[1] below the bid, when woken by a drain; else no opinion."""
    state[0] += 1.0
    state[1] = now_ns
    if why != 1:
        return -1
    out[0, O_KIND] = REST
    out[0, O_INSTRUMENT] = 0
    out[0, O_LEVEL] = 3
    out[0, O_SIDE] = BUY
    out[0, O_PRICE] = book[0, 0, 0, 0] - params[1]
    out[0, O_QTY] = params[0]
    return 1


decide = njit(cache=True)(bid_behind)


@njit(cache=True)
def whole(memory, rings, now_ns, why):
    pipeline.prepare(memory, rings, ACCOUNT, now_ns)
    m = memory[0]
    wanted = decide(
        now_ns,
        why,
        m.rows[:],
        m.book[:],
        m.position[:],
        m.working[:],
        m.account[:],
        m.state[:],
        m.params[:],
        m.out[:],
    )
    return pipeline.finish(memory, wanted, now_ns)


def market(count: int, seed: int = 1):
    """Ticks as (kind, wire_ns, a, b, c, d)."""
    rng = np.random.default_rng(seed)
    mid = 100.0
    for number in range(count):
        mid += 0.5 * int(rng.integers(-1, 2))
        now_ns = START_NS + number * SECOND // 20
        if rng.random() < 0.3:
            yield TRADE, now_ns, mid, 1.0, float(rng.choice([-1.0, 1.0])), 0.0
        else:
            yield QUOTE, now_ns, mid - 0.5, 1.0 + float(rng.random()), mid + 0.5, 1.0 + float(rng.random())


def test_what_waits_steps_the_features_once_and_a_quote_is_the_top_of_the_book():
    memory, feed = make_memory(2), Feed(2)
    feed.tick(1, QUOTE, START_NS, 100.0, 1.0, 100.5, 2.0)
    for _ in range(2):
        pipeline.absorb(memory, feed.rings, 1)
    assert memory[0]["book"][1, :, 0].tolist() == [[100.0, 1.0], [100.5, 2.0]]
    assert np.isnan(memory[0]["book"][0, :, 0, 0]).all()
    alone_f, alone_i = make_memory()[0]["feature_f"][0], make_memory()[0]["feature_i"][0]
    features.step(alone_f, alone_i, QUOTE, START_NS, 100.0, 1.0, 100.5, 2.0)
    assert memory[0]["feature_f"][1].tobytes() == alone_f.tobytes()
    feed.tick(1, TRADE, START_NS, 7.0, 1.0, 1.0)
    pipeline.absorb(memory, feed.rings, 1)
    assert memory[0]["book"][1, 0, 0].tolist() == [100.0, 1.0]
    assert memory[0]["seen"].tolist() == [0, 2]


def test_a_turn_asks_for_all_it_touches_of_its_memory_and_for_no_more(monkeypatch):
    memory, asked = make_memory(), set()
    begin = memory.ctypes.data
    monkeypatch.setattr(
        pipeline, "ask", lambda address, size: asked.update(range(address - begin, address - begin + size))
    )
    pipeline.fetch.py_func(memory.view(np.recarray))  # whose fields are attributes, as in a kernel
    windows = 8 * pipeline._FLOATS_TOUCHED  # they follow what each tick touches
    for name, (kind, at) in memory.dtype.fields.items():
        touched = {"feature_f": windows, "actions": 0}.get(name, kind.itemsize)
        assert asked >= set(range(at, at + touched)), name
        assert asked.isdisjoint(range(at + touched, at + kind.itemsize)), name


def test_many_ticks_taken_at_once_are_as_each_taken_alone():
    memory, twin, feed = make_memory(), make_memory(), Feed()
    for kind, now_ns, *numbers in market(CAPACITY):
        feed.tick(0, kind, now_ns, *numbers)
        pipeline.absorb(twin, feed.rings, 0)
    pipeline.absorb(memory, feed.rings, 0)
    assert memory.tobytes() == twin.tobytes()
    assert feed.rings["overflow"][0] == 0


def test_levels_that_a_quote_shows_to_be_gone_are_dropped():
    memory, feed = make_memory(), Feed()
    book = memory[0]["book"][0]
    book[0, :4] = [[100, 1], [99, 2], [98, 3], [97, 4]]
    book[0, 4:, 1] = 0
    book[1, :3] = [[101, 1], [102, 2], [103, 3]]
    book[1, 3:, 1] = 0
    feed.tick(0, QUOTE, START_NS, 98.0, 9.0, 101.5, 8.0)
    pipeline.absorb(memory, feed.rings, 0)
    assert book[0, :3].tolist() == [[98, 9], [97, 4], [pytest.approx(math.nan, nan_ok=True), 0]]
    assert book[1, :3].tolist() == [[101.5, 8], [102, 2], [103, 3]]
    assert np.isnan(book[0, 2:, 0]).all()
    assert not book[0, 2:, 1].any()
    assert book.shape == (2, BOOK_LEVELS, 2)


def test_a_changed_depth_stands_behind_the_quote_before_it_and_steps_the_features():
    memory, feed = make_memory(), Feed()
    record = memory[0]
    levels = make_book(3)
    levels[B_BID_TICKS] = 3, 198, 199, 200
    levels[B_BID_LOTS, 1:] = 3000, 2000, 1000
    levels[B_ASK_TICKS, :2] = 1, 203
    levels[B_ASK_LOTS, 1] = 500
    feed.tick(0, QUOTE, START_NS, 99.5, 9.0, 101.0, 8.0)  # fresher: 100.0 is gone
    pipeline.book(memory, feed.rings, 0, levels, 0.5, 0.001, START_NS)
    assert record["book"][0, 0, :2].tolist() == [[99.5, 9.0], [99.0, 3.0]]
    assert record["book"][0, 1, :2].tolist() == [[101.0, 8.0], [101.5, 0.5]]
    other = make_memory()[0]
    features.step(other["feature_f"][0], other["feature_i"][0], QUOTE, START_NS, 99.5, 9.0, 101.0, 8.0)
    seen = np.zeros((2, BOOK_LEVELS, 2))
    seen[:, :, 0] = math.nan
    seen[0, :2] = [[99.5, 9.0], [99.0, 3.0]]
    seen[1, :2] = [[101.0, 8.0], [101.5, 0.5]]
    features.step_book(other["feature_f"][0], other["feature_i"][0], START_NS, seen)
    assert record["feature_f"].tobytes() == other["feature_f"].tobytes()
    assert record["feature_i"].tobytes() == other["feature_i"].tobytes()


def test_a_drain_takes_what_waits_fills_rows_decides_reconciles_and_judges():
    memory, feed = make_memory(), Feed()
    for kind, now_ns, *numbers in market(200):
        feed.tick(0, kind, now_ns, *numbers)
    n = whole(memory, feed.rings, now_ns, 1)
    record = memory[0]
    expected = np.full(len(features.FEATURES), math.nan)
    features.row(record["feature_f"][0], record["feature_i"][0], now_ns, expected)
    assert record["seen"][0] == 200
    assert record["rows"][0, :-1].tobytes() == expected.tobytes()
    assert math.isnan(record["rows"][0, -1])
    assert (n, record["wanted"], record["decisions"], record["now_ns"]) == (1, 1, 1, now_ns)
    assert record["actions"][0, [X_VERB, X_REFUSAL]].tolist() == [PLACE, APPROVED]
    record["gate"][0] = GATE_HALTED
    whole(memory, feed.rings, now_ns, 1)
    assert record["actions"][0, X_REFUSAL] == GATE_HALTED


def test_a_model_predicts_from_the_row():
    import lightgbm

    rng = np.random.default_rng(5)
    spread = rng.uniform(0, 1000, (500, 1))
    data = lightgbm.Dataset(spread, spread[:, 0] > 500, feature_name=["spread_bps"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 3)
    model = ensemble.build(ensemble.parse(booster.model_to_string()), features.FEATURES)
    memory, feed = make_memory(), Feed()
    record = memory[0]
    for ask in (100.1, 109.0):
        feed.tick(0, QUOTE, START_NS, 100.0, 1.0, ask, 1.0)
        pipeline.prepare(memory, feed.rings, ACCOUNT, START_NS)
        pipeline.predict(memory, model.nodes, model.roots, model.bits)
        here = record["rows"][:, [features.FEATURES.index("spread_bps")]]
        assert record["rows"][0, -1] == booster.predict(here)[0]


def test_a_position_is_marked_at_mid():
    memory, feed = make_memory(), Feed()
    record = memory[0]
    record["position"][0, [P_QTY, P_AVG_PRICE, P_UNREALISED]] = 2.0, 90.0, 7.0
    pipeline.prepare(memory, feed.rings, ACCOUNT, START_NS)
    assert record["position"][0, P_UNREALISED] == 7.0  # no market yet
    feed.tick(0, QUOTE, START_NS, 100.0, 1.0, 102.0, 1.0)
    pipeline.prepare(memory, feed.rings, ACCOUNT, START_NS)
    assert record["position"][0, P_UNREALISED] == 22.0
    record["position"][0, P_QTY] = 0.0
    pipeline.prepare(memory, feed.rings, ACCOUNT, START_NS)
    assert record["position"][0, P_UNREALISED] == 0.0


def test_every_way_to_decide_is_the_same():
    """As a global of one kernel, and in plain Python between the halves."""
    memories, feed = [make_memory() for _ in range(2)], Feed()
    for number, (kind, now_ns, *numbers) in enumerate(market(300)):
        why = 1 + number % 2
        feed.tick(0, kind, now_ns, *numbers)
        counts = [whole(memories[0], feed.rings, now_ns, why)]
        pipeline.prepare(memories[1], feed.rings, ACCOUNT, now_ns)
        record = memories[1][0]
        parts = ("rows", "book", "position", "working", "account", "state", "params", "out")
        wanted = bid_behind(now_ns, why, *[record[part] for part in parts])
        counts.append(pipeline.finish(memories[1], wanted, now_ns))
        assert len(set(counts)) == 1
        assert len({memory.tobytes() for memory in memories}) == 1
    assert memories[0][0]["decisions"] == 300


def test_the_digest_is_that_of_time_rows_and_wants():
    memory, feed = make_memory(), Feed()
    feed.tick(0, QUOTE, START_NS, 100.0, 1.0, 102.0, 1.0)
    whole(memory, feed.rings, START_NS, 1)
    record = memory[0]
    acc = np.uint64(digest.mix_int(np.uint64(0), START_NS))
    acc = np.uint64(digest.mix(acc, record["rows"][0]))
    acc = np.uint64(digest.mix_int(acc, 1))
    assert record["digest"] == digest.mix(acc, record["out"][0])


def test_the_digest_sees_every_change():
    seen = set()
    for change in range(5):
        memory, feed = make_memory(), Feed()
        feed.tick(0, QUOTE, START_NS, 100.0 + 0.5 * (change == 1), 1.0, 102.0, 1.0)
        memory[0]["params"][0] += 0.001 * (change == 2)
        whole(memory, feed.rings, START_NS + (change == 3), 1 + (change == 4))
        seen.add(int(memory[0]["digest"]))
    assert len(seen) == 5


@pytest.mark.parametrize("wanted", [-7, 10**6])
def test_a_fault_is_told_and_nothing_is_to_be_done(wanted):
    memory = make_memory()
    pipeline.prepare(memory, RINGS, ACCOUNT, START_NS)
    assert pipeline.finish(memory, wanted, START_NS) == FAULT_COUNT
    assert pipeline.finish(memory, NO_OPINION, START_NS) == 0


def test_what_the_pipeline_calls_is_compiled_once_for_all_strategies():
    kernels = (features.row, forest.predict, reconcile.reconcile, limits.check, digest.mix, decide)
    whole(make_memory(1), new_rings(1), START_NS, 1)
    before = [len(kernel.signatures) for kernel in kernels]  # tests before this one may have compiled others
    whole(make_memory(2), new_rings(2), START_NS, 1)
    assert [len(kernel.signatures) for kernel in kernels] == before
