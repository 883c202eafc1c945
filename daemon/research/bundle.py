"""A model bundle's folder: read and proved before a socket opens, written as a whole."""

from __future__ import annotations

import hashlib
import io
import token
import tokenize
from importlib import resources
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError, TickdError, unread
from kernels.features import FEATURE_SOURCES
from strategies.model import Manifest, Model, ModelError, load, seal

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.seams import Disk

MODEL_FILE: Final = "model.txt"
MANIFEST_FILE: Final = "manifest.json"


def read_bundle(disk: Disk, folder: Path) -> Model:
    """Read and check the bundle in `folder`; raises ConfigError naming the folder and the mismatch."""
    parts = []
    for name in (MODEL_FILE, MANIFEST_FILE):
        try:
            parts.append(disk.read(folder / name))
        except OSError as error:
            then = "train one with tickd train, or correct the strategy's model"
            raise ConfigError(f"the model bundle {folder}: {name} {unread(error, then)}") from None
    try:
        return load(parts[0], parts[1], feature_code())
    except ModelError as error:
        raise ConfigError(f"the model bundle {folder} is refused: {error}") from None


def write_bundle(disk: Disk, folder: Path, model: bytes, manifest: Manifest) -> None:
    """Write both files, the manifest last: one half written does not match.

    Raises TickdError where the folder cannot be written.
    """
    try:
        disk.replace(folder / MODEL_FILE, model)
        disk.replace(folder / MANIFEST_FILE, seal(model, manifest))
    except OSError as error:
        raise TickdError(f"the model bundle {folder} cannot be written: {error.strerror or error}") from None


def feature_code() -> str:
    """Return a hash over the code that makes the features; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for name in FEATURE_SOURCES:
        source = resources.files("kernels").joinpath(name).read_text(encoding="utf-8")
        digest.update(f"{name}\n{_bare(source)}".encode())
    return digest.hexdigest()


def _bare(source: str) -> str:
    """Return the lines of a module without comments, docstrings, blank lines and indentation."""
    lines = source.splitlines()
    before = token.NEWLINE
    spans = []
    for part in tokenize.generate_tokens(io.StringIO(source).readline):
        docstring = part.type == token.STRING and before in {token.NEWLINE, token.INDENT, token.DEDENT}
        if part.type == token.COMMENT or docstring:
            spans.append((part.start, part.end))
        if part.type not in {token.COMMENT, token.NL}:
            before = part.type
    for (first, start), (last, end) in reversed(spans):
        lines[first - 1 : last] = [lines[first - 1][:start] + lines[last - 1][end:]]
    return "\n".join(stripped for line in lines if (stripped := line.strip()))
