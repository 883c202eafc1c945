"""The tuning is checked where it is given, and the state is laid out without overlap."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import feature_state as st


def test_bind_tuning_gives_the_defaults_in_their_order() -> None:
    assert st.bind_tuning({}).tolist() == list(st.TUNING.values())
    changed = st.bind_tuning({"rsi_bars": 21})
    assert changed[st.T_RSI] == 21.0
    assert changed[st.T_ATR] == st.TUNING["atr_bars"]


def test_the_places_of_the_tuning_are_its_names() -> None:
    places = {name: value for name, value in vars(st).items() if name.startswith("T_")}
    assert sorted(places.values()) == list(range(len(st.TUNING)))
    names = list(st.TUNING)
    for place, name in (("T_EMA_FAST", "ema_fast"), ("T_BAR_MS", "bar_ms"), ("T_DEVS", "bollinger_devs")):
        assert names[places[place]] == name
    assert names[places["T_LONG"]] == "return_long"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rsi": 14}, "tuning has no 'rsi'; it has ema_fast"),
        ({"rsi_bars": 1}, "tuning rsi_bars = 1 is outside 2 to 256"),
        ({"mean_quotes": 513}, "tuning mean_quotes = 513 is outside 2 to 512"),
        ({"flow_half_life_s": float("nan")}, "tuning flow_half_life_s = nan is outside"),
        ({"atr_bars": 14.5}, "tuning atr_bars = 14.5 counts ticks or bars: give a whole number"),
        ({"bar_ms": 1, "silence_s": 60}, "tuning silence_s = 60 is over 4096 bars of 1 ms"),
        ({"bar_ms": 10}, "tuning silence_s = 60.0 is over 4096 bars of 10 ms"),
    ],
)
def test_bind_tuning_refuses_in_one_sentence(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match="tuning") as refusal:
        st.bind_tuning(given)
    assert sentence in str(refusal.value)


def test_init_refuses_what_would_write_outside_the_state() -> None:
    f, i = np.zeros(st.FEATURE_FLOATS), np.zeros(st.FEATURE_INTS, np.int64)
    tuning = st.bind_tuning({})
    for place, value in ((st.T_MEAN, 513.0), (st.T_RANGE, 0.0), (st.T_LONG, 1e9), (st.T_SLOW_S, np.nan)):
        wrong = tuning.copy()
        wrong[place] = value
        with pytest.raises(ValueError, match="outside its limits"):
            st.init(f, i, wrong)
    for short in ((f[:-1], i, tuning), (f, i[:-1], tuning), (f, i, tuning[:-1])):
        with pytest.raises(ValueError, match="wrong size"):
            st.init(*short)


def test_init_makes_any_state_fresh() -> None:
    tuning = st.bind_tuning({"bar_ms": 100})
    f, i = np.zeros(st.FEATURE_FLOATS), np.zeros(st.FEATURE_INTS, np.int64)
    used_f, used_i = np.full(st.FEATURE_FLOATS, 3.0), np.full(st.FEATURE_INTS, 3)
    st.init(f, i, tuning)
    st.init(used_f, used_i, tuning)
    assert (f.tobytes(), i.tobytes()) == (used_f.tobytes(), used_i.tobytes())
    assert i[st.I_BAR_NS] == 100_000_000
    assert f[st.F_ALPHA_FAST] == 2.0 / 17.0
    assert np.isnan(f[st.F_SEEN :]).all()


def test_no_two_parts_of_the_state_share_a_place() -> None:
    floats = [value for name, value in vars(st).items() if name.startswith("F_") and name != "F_SEEN"]
    ints = [value for name, value in vars(st).items() if name[:2] in {"I_", "J_"} and name != "I_SEEN"]
    assert len(floats) == len(set(floats))
    assert len(ints) == len(set(ints))
    assert max(floats) < st.FEATURE_FLOATS
    assert max(ints) < st.FEATURE_INTS
