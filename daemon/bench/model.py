"""A bundle of as many trees as a benchmark asks for, grown from the demo's by taking its trees again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.demo import MODEL
from daemon.research.bundle import MODEL_FILE, read_bundle, write_bundle
from kernels.features import FEATURES
from kernels.forest import predict
from strategies.ensemble import build, parse

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.compile import Forest
    from daemon.seams import Disk

_END: Final = "end of trees"


def with_trees(disk: Disk, trees: int, folder: Path) -> Path:
    """Return the folder of a bundle of so many trees: the demo's own, or one written into `folder`."""
    model = read_bundle(disk, MODEL)
    text = disk.read(MODEL / MODEL_FILE).decode("ascii")
    grown = repeated(text, trees)
    if grown == text:
        return MODEL
    forest = build(parse(grown), FEATURES)
    rows = model.manifest.golden_rows
    outputs: Any = rows[:, 0].copy()
    for place, row in enumerate(rows):
        outputs[place] = predict(*forest, row)
    manifest = model.manifest._replace(name=folder.name, golden_outputs=outputs)
    write_bundle(disk, folder, grown.encode("ascii"), manifest)
    return folder


def load_trees(disk: Disk, folder: Path) -> Forest:
    """Return the arrays of a bundle's trees, as kernels.forest takes them."""
    return build(parse(disk.read(folder / MODEL_FILE).decode("ascii")), FEATURES)


def repeated(text: str, trees: int) -> str:
    """Return a LightGBM text model of so many trees: those of `text`, from its first again after its last."""
    head, *blocks = text[: text.index(_END)].split("Tree=")
    tail = text[text.index(_END) :]
    bodies = [block.partition("\n")[2] for block in blocks]
    grown = [f"Tree={k}\n{bodies[k % len(bodies)]}" for k in range(trees)]
    sizes = " ".join(str(len(one)) for one in grown)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in head.split("\n")]
    return "\n".join(lines) + "".join(grown) + tail
