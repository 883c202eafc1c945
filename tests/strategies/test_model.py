from __future__ import annotations

import json
from typing import Any

import lightgbm
import numpy as np
import pytest

from kernels.features import FEATURES, TUNING
from kernels.forest import predict
from strategies.model import Manifest, ModelError, load, seal

CODE = "c0de" * 16
EDGES = [0.5, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
SHARES = [0.1] * 10 + [0.0]


@pytest.fixture(scope="module")
def bundle() -> tuple[bytes, Manifest]:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, len(FEATURES)))
    label = (rows[:, 0] + rows[:, 5] > 0).astype(float)
    parameters = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, label, feature_name=list(FEATURES)), 10)
    golden = rows[:6].copy()
    golden[1, ::3] = np.nan
    manifest = Manifest(
        name="small",
        command="tickd train --small",
        seed=3,
        features=FEATURES,
        tuning=dict(TUNING),
        feature_code=CODE,
        objective="binary sigmoid:1",
        target={"kind": "up", "horizon_ms": 5},
        window={},
        metrics={"auc": 0.9},
        golden_rows=golden,
        golden_outputs=booster.predict(golden),
    )
    return booster.model_to_string().encode(), manifest


def resealed(manifest: bytes, **changes: Any) -> bytes:
    """Return the manifest with changed fields under a seal that fits them: what a forger could make."""
    import hashlib

    content = json.loads(manifest) | changes
    content = {key: value for key, value in content.items() if value is not None and key != "seal"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "seal": digest}).encode()


def test_a_sealed_bundle_loads_and_predicts(bundle: tuple[bytes, Manifest]) -> None:
    text, manifest = bundle
    model = load(text, seal(text, manifest), CODE)
    row = np.append(manifest.golden_rows[1], np.nan)
    assert predict(*model.forest, row) == manifest.golden_outputs[1]
    assert model.name == "small"
    assert dict(zip(TUNING, model.tuning, strict=True)) == TUNING
    read = model.manifest
    assert read._replace(golden_rows=0, golden_outputs=0) == manifest._replace(
        golden_rows=0, golden_outputs=0
    )
    np.testing.assert_array_equal(read.golden_rows, manifest.golden_rows)


def test_sealing_is_reproducible(bundle: tuple[bytes, Manifest]) -> None:
    assert seal(*bundle) == seal(*bundle)


def test_one_byte_changed_anywhere_is_refused(bundle: tuple[bytes, Manifest]) -> None:
    text, manifest = bundle
    sealed = seal(text, manifest)
    rng = np.random.default_rng(8)
    for at in rng.integers(0, len(text), 40).tolist():
        changed = bytearray(text)
        changed[at] ^= 1
        with pytest.raises(ModelError, match=r"not the file that manifest\.json was made for"):
            load(bytes(changed), sealed, CODE)
    for at in rng.integers(0, len(sealed), 200).tolist():
        changed = bytearray(sealed)
        changed[at] ^= 1
        if sealed[at : at + 1].isspace():
            continue  # layout says nothing
        with pytest.raises(ModelError):
            load(text, bytes(changed), CODE)


def test_other_feature_code_is_refused_with_the_command_that_retrains(bundle: tuple[bytes, Manifest]) -> None:
    text, manifest = bundle
    with pytest.raises(ModelError, match=r"other feature code .* retrain it: tickd train --small"):
        load(text, seal(text, manifest), "0" * 64)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "has format 2, and this version reads up to 1"),
        ({"format": None}, "lacks 'format'"),
        ({"name": 5}, "lacks 'name', or it is not of type str"),
        ({"seed": True}, "lacks 'seed'"),
        ({"features": list(FEATURES[::-1])}, "names other features"),
        ({"objective": "regression"}, "another objective"),
        ({"tuning": {"ema_fast": 1.0}}, "disagree on which tunings there are: .*ema_slow"),
        ({"tuning": {**TUNING, "rsi_bars": 0.0}}, "tuning rsi_bars = 0.0 is outside"),
        ({"tuning": {**TUNING, "rsi_bars": "x"}}, "has a tuning that is no number"),
        ({"golden": []}, "needs 4 golden rows or more"),
        ({"golden": [{"row": "0x1p0", "output": "0x1p0"}] * 5}, "needs 4 golden rows or more"),
        ({"golden": [{"row": "zz", "output": "0x1p0"}] * 5}, "golden row that is not understood"),
        ({"golden": [5]}, "golden row that is not understood"),
        ({"reference": []}, "reference that is not understood"),
        ({"reference": {"rsi": {"edges": EDGES}}}, "reference that is not understood"),
        ({"reference": {"rsi": {"edges": EDGES, "shares": SHARES[1:]}}}, "reference that is not understood"),
        (
            {"reference": {"rsi": {"edges": EDGES[::-1], "shares": SHARES}}},
            "reference that is not understood",
        ),
        ({"reference": {"rsi": {"edges": EDGES, "shares": [2.0] * 11}}}, "reference that is not understood"),
        ({"reference": {"rsi": {"edges": ["x"] * 9, "shares": SHARES}}}, "reference that is not understood"),
        ({"reference": {"what": {"edges": EDGES, "shares": SHARES}}}, "reference that is not understood"),
    ],
)
def test_every_mismatch_is_named(bundle: tuple[bytes, Manifest], changes: dict[str, Any], says: str) -> None:
    text, manifest = bundle
    with pytest.raises(ModelError, match=says) as refusal:
        load(text, resealed(seal(text, manifest), **changes), CODE)
    assert "\n" not in str(refusal.value)


def test_what_it_was_trained_on_is_read_and_may_be_missing(bundle: tuple[bytes, Manifest]) -> None:
    text, manifest = bundle
    reference = {name: {"edges": EDGES, "shares": SHARES} for name in ("rsi", "prediction")}
    sealed = seal(text, manifest._replace(reference=reference))
    assert load(text, sealed, CODE).manifest.reference == reference
    assert load(text, resealed(sealed, reference=None), CODE).manifest.reference == {}


def test_a_prediction_that_is_off_by_one_bit_is_refused(bundle: tuple[bytes, Manifest]) -> None:
    text, manifest = bundle
    off = manifest.golden_outputs.copy()
    off[2] = np.nextafter(off[2], 1.0)
    with pytest.raises(ModelError, match="golden row 2 gives"):
        load(text, seal(text, manifest._replace(golden_outputs=off)), CODE)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "not JSON"), (b"[1]", "no object"), (b"\xff\xfe", "not JSON"), (b"{}", "lacks 'format'")],
)
def test_a_manifest_that_is_none_is_refused(bundle: tuple[bytes, Manifest], data: bytes, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(bundle[0], data, CODE)


def test_a_model_that_is_not_text_is_refused(bundle: tuple[bytes, Manifest]) -> None:
    binary = b"tree\n\xff\x00"
    with pytest.raises(ModelError, match="not plain text"):
        load(binary, seal(binary, bundle[1]), CODE)
