"""What a strategy's file imports from its own folder: found by reading, before anything of it is compiled.

Numba checks a cached function against its own file alone. So what is compiled of a user's file is kept under
a hash over all that the user wrote, helpers included (daemon/compile.py); ours has a hash of its own
(daemon/kernel_cache.py). An import by a computed name is not seen.

What runs is the very text that was read here, never bytecode: Python takes a .pyc for its source's as long as
size and second of the edit are the same.
"""

from __future__ import annotations

import ast
import importlib
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

#: packages that are never a user's own, wherever the strategy's file lies
_OURS: Final = frozenset({"daemon", "kernels", "strategies"})
#: what an environment below the strategy's folder holds was installed, not written there
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_PARSED_TIMES_MAX: Final = 5


def local_sources(path: Path, source: str) -> dict[str, str]:
    """Return the texts, by module name, that `source`, the text of the file `path`, imports from its folder.

    What these import from there counts too, and so on. What cannot be read or parsed is left to its import.
    """
    importlib.invalidate_caches()  # an edit a moment ago counts
    folder = path.resolve().parent
    found: dict[str, str] = {}
    waiting = [("", source)]  # package that relative names start from, and text
    while waiting:
        for name in _imported(*waiting.pop()):
            for module, file in _on_the_way(name, folder):
                if module in found or not _is_local(file, folder):
                    continue
                try:
                    found[module] = file.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError):
                    continue
                package = module if file.stem == "__init__" else module.rpartition(".")[0]
                waiting.append((package, found[module]))
    return dict(sorted(found.items()))


class TextLoader(SourceFileLoader):
    """Runs a text as the module of a file, whatever the file or its bytecode holds by now."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        """Return the text, compiled; raises SyntaxError, ValueError."""
        return self.source_to_code(self._text.encode(), self.get_filename(fullname))


class _TextFinder:
    """Finds modules where Python does, and lets them run the texts that are given."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the given modules, None of any other."""
        if name not in self._texts:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = TextLoader(name, spec.origin, self._texts[name])
        return spec


@contextmanager
def imported_from(texts: Mapping[str, str]) -> Iterator[None]:
    """Let imports of these modules run the texts, as local_sources returned them."""
    finder = _TextFinder(texts)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def forget(names: Iterable[str], folder: Path) -> None:
    """Let modules of a folder be imported anew, as their files are now."""
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and Path(file).resolve().is_relative_to(folder.resolve()):
            del sys.modules[name]
            package, _, last = name.rpartition(".")
            if package in sys.modules:  # `from package import module` asks it first
                vars(sys.modules[package]).pop(last, None)


def _imported(package: str, source: str) -> Iterator[str]:
    """Yield the absolute dotted names that a text may import; of `from a import b`, b may be no module."""
    try:
        tree = _parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: max(package.count(".") + 2 - node.level, 0)] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from (f"{base}.{one.name}".strip(".") for one in node.names)


def _parse(source: str) -> ast.Module:
    """Parse a text; raises SyntaxError, ValueError.

    CPython 3.11 counts how deep it is in a place that all threads share, and takes another's parsing at the
    same time, or one within a collection, for an error of its own: then once more is all it takes.
    """
    for _ in range(_PARSED_TIMES_MAX - 1):
        try:
            return ast.parse(source)
        except SystemError:
            continue
    return ast.parse(source)


def _on_the_way(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield module name and file of each package down to `name`, as an import would find them."""
    parts = name.split(".")
    if parts[0] in _OURS:
        return
    places: Sequence[str] = [str(folder), *sys.path]
    for count in range(1, len(parts) + 1):
        module = ".".join(parts[:count])
        spec = PathFinder.find_spec(module, places)
        if spec is None:
            return
        if spec.origin is not None:
            yield module, Path(spec.origin)
        if spec.submodule_search_locations is None:
            return
        places = list(spec.submodule_search_locations)


def _is_local(file: Path, folder: Path) -> bool:
    file = file.resolve()
    inside = file.suffix == ".py" and file.is_relative_to(folder)
    return inside and not _INSTALLED.intersection(file.relative_to(folder).parts)
