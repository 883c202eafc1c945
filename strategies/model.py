"""The sealed model bundle: a text model and a manifest that says what it may be used with.

A bundle is a folder with two files, both text: `model.txt` as LightGBM writes it, and `manifest.json`:

    format        1
    name          what metrics and logs call it
    command       what made it; the same command makes the same model.txt, byte for byte
    seed          of market and training
    model_sha256  of model.txt
    features      the names, in order, that it was trained on
    tuning        the features' spans and windows (kernels.features.TUNING)
    feature_code  hash over the code that makes the features (daemon.research.bundle.feature_code)
    objective     as in model.txt
    target        what the prediction means: kind, horizon_ms
    window        what it was trained and tested on
    reference     how its rows and predictions were spread in training (daemon.drift.refer); may be missing
    metrics       what it achieved out of sample
    golden        rows (hex floats, exact) and what lightgbm predicts for them
    seal          sha256 of all the above

`load` refuses on any mismatch and proves on the golden rows that this machine predicts what LightGBM did.
"""

from __future__ import annotations

import hashlib
import json
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np

from kernels.features import FEATURES, TUNING, bind_tuning
from kernels.forest import predict
from strategies.ensemble import Forest, ModelError, build, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["FORMAT", "Manifest", "Model", "ModelError", "load", "seal"]

#: the manifest's format; older ones are read, newer ones refused
FORMAT: Final = 1
GOLDEN_ROWS_MIN: Final = 4

T = TypeVar("T")
#: by feature, or of the prediction: edges between ten parts, ascending, and the shares of these and of NaN
Reference: TypeAlias = "Mapping[str, Mapping[str, Sequence[float]]]"
_PARTS: Final = 10


class Manifest(NamedTuple):
    """A manifest's content; golden is float64[n, len(features)] with its n outputs."""

    name: str
    command: str
    seed: int
    features: tuple[str, ...]
    tuning: dict[str, float]
    feature_code: str
    objective: str
    target: dict[str, Any]
    window: dict[str, Any]
    metrics: dict[str, float]
    golden_rows: NDArray[np.float64]
    golden_outputs: NDArray[np.float64]
    reference: Reference = MappingProxyType({})


class Model(NamedTuple):
    """A model that may decide: its arrays for kernels.forest.predict, and the tuning its features need."""

    name: str
    forest: Forest
    tuning: NDArray[np.float64]
    manifest: Manifest
    sha256: str


def seal(model: bytes, manifest: Manifest) -> bytes:
    """Return the manifest's file for a model file."""
    content = {
        "format": FORMAT,
        "name": manifest.name,
        "command": manifest.command,
        "seed": manifest.seed,
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "features": manifest.features,
        "tuning": manifest.tuning,
        "feature_code": manifest.feature_code,
        "objective": manifest.objective,
        "target": manifest.target,
        "window": manifest.window,
        "metrics": manifest.metrics,
        "reference": dict(manifest.reference),
        "golden": [
            {"row": " ".join(map(float.hex, row)), "output": float.hex(output)}
            for row, output in zip(
                manifest.golden_rows.tolist(), manifest.golden_outputs.tolist(), strict=True
            )
        ],
    }
    return (json.dumps({**content, "seal": _digest(content)}, indent=1) + "\n").encode()


def load(model: bytes, manifest: bytes, feature_code: str) -> Model:
    """Check a bundle's two files against each other and this program; raises ModelError naming the mismatch.

    `feature_code` is the hash of the code that will make its rows.
    """
    content = _content(manifest)
    sha256 = hashlib.sha256(model).hexdigest()
    if _field(content, "model_sha256", str) != sha256:
        raise ModelError(
            "model.txt is not the file that manifest.json was made for; restore or retrain the bundle"
        )
    read = _manifest(content)
    if read.feature_code != feature_code:
        raise ModelError(
            f"the model was trained on other feature code ({read.feature_code[:12]}, ours "
            f"{feature_code[:12]}); retrain it: {read.command}"
        )
    try:
        text = model.decode("ascii")
    except UnicodeDecodeError:
        raise ModelError("model.txt is no LightGBM text model: it is not plain text") from None
    ensemble = parse(text)
    if ensemble.features != read.features:
        raise ModelError("model.txt names other features than manifest.json; retrain the bundle")
    if ensemble.objective != read.objective:
        raise ModelError("model.txt has another objective than manifest.json; retrain the bundle")
    forest = build(ensemble, FEATURES)
    _prove(forest, read)
    return Model(read.name, forest, _tuning(read.tuning), read, sha256)


def _prove(forest: Forest, manifest: Manifest) -> None:
    """Refuse a forest that does not give the golden outputs to the last bit."""
    row = np.full(len(FEATURES) + 1, math.nan)
    places = [FEATURES.index(name) for name in manifest.features]
    for number, (golden, output) in enumerate(
        zip(manifest.golden_rows, manifest.golden_outputs.tolist(), strict=True)
    ):
        row[places] = golden
        got = predict(*forest, row)
        if got != output:
            raise ModelError(
                f"golden row {number} gives {got!r} where LightGBM gave {output!r}; retrain the bundle here"
            )


def _tuning(given: Mapping[str, float]) -> NDArray[np.float64]:
    if set(given) != set(TUNING):
        wrong = ", ".join(sorted(set(given) ^ set(TUNING)))
        raise ModelError(f"manifest.json and this version disagree on which tunings there are: {wrong}")
    try:
        return bind_tuning(given)
    except ValueError as error:
        raise ModelError(f"manifest.json: {error}") from None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# --- reading the manifest ----------------------------------------------------------------------------------
def _content(manifest: bytes) -> dict[str, Any]:
    try:
        content = json.loads(manifest)
    except (ValueError, RecursionError):
        raise ModelError("manifest.json is not JSON; restore or retrain the bundle") from None
    if not isinstance(content, dict):
        raise ModelError("manifest.json holds no object; restore or retrain the bundle")
    version = _field(content, "format", int)
    if not 1 <= version <= FORMAT:
        raise ModelError(
            f"manifest.json has format {version}, and this version reads up to {FORMAT}; update tickd"
        )
    if _field(content, "seal", str) != _digest(
        {key: value for key, value in content.items() if key != "seal"}
    ):
        raise ModelError("manifest.json was changed after it was sealed; restore or retrain the bundle")
    return content


def _field(content: dict[str, Any], key: str, kind: type[T]) -> T:
    value = content.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(
            f"manifest.json lacks {key!r}, or it is not of type {kind.__name__}; retrain the bundle"
        )
    return value


def _numbers(content: dict[str, Any], key: str) -> dict[str, float]:
    values = _field(content, key, dict)
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values.values()):
        raise ModelError(f"manifest.json has a {key} that is no number; retrain the bundle")
    return {str(name): float(value) for name, value in values.items()}


def _manifest(content: dict[str, Any]) -> Manifest:
    features = tuple(_field(content, "features", list))
    golden = _field(content, "golden", list)
    try:
        rows = np.array([[float.fromhex(item) for item in entry["row"].split()] for entry in golden])
        outputs = np.array([float.fromhex(entry["output"]) for entry in golden])
    except (TypeError, KeyError, AttributeError, ValueError):
        raise ModelError(
            "manifest.json has a golden row that is not understood; retrain the bundle"
        ) from None
    if rows.shape != (len(golden), len(features)) or len(golden) < GOLDEN_ROWS_MIN:
        raise ModelError(
            f"manifest.json needs {GOLDEN_ROWS_MIN} golden rows or more of {len(features)} features each"
        )
    return Manifest(
        _field(content, "name", str),
        _field(content, "command", str),
        _field(content, "seed", int),
        features,
        _numbers(content, "tuning"),
        _field(content, "feature_code", str),
        _field(content, "objective", str),
        _field(content, "target", dict),
        _field(content, "window", dict),
        _numbers(content, "metrics"),
        rows,
        outputs,
        _reference(content),
    )


def _reference(content: dict[str, Any]) -> Reference:
    found = content.get("reference", {})
    try:
        for name, one in found.items():
            edges, shares = (np.array(one[key], dtype=np.float64) for key in ("edges", "shares"))
            if not (
                name in {*FEATURES, "prediction"}
                and edges.shape == (_PARTS - 1,)
                and shares.shape == (_PARTS + 1,)
                and np.all(np.diff(edges) >= 0)
                and np.all((shares >= 0) & (shares <= 1))
            ):
                raise ValueError
    except (TypeError, KeyError, AttributeError, ValueError):
        raise ModelError("manifest.json has a reference that is not understood; retrain the bundle") from None
    return found  # type: ignore[no-any-return]  # as JSON has it, and it was looked at
