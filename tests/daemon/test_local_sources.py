from __future__ import annotations

import ast
import sys
from types import ModuleType

import pytest

from daemon.local_sources import forget, local_sources


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write files below the strategy's folder; return the names of the modules that are found local."""
    folder = tmp_path / "mine"
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    def names(source, **files):
        for name, text in files.items():
            path = folder / f"{name.replace('__', '/').replace('/init', '/__init__')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        folder.mkdir(exist_ok=True)
        return list(local_sources(folder / "mine.py", source))

    return names


def test_a_strategy_alone_has_no_local_sources(written):
    assert written("import numpy\nfrom numba import njit\nfrom kernels.dtypes import BUY\n") == []


def test_a_text_that_another_thread_parses_too_is_read_again(written, monkeypatch):
    parse, errors = ast.parse, [SystemError("AST constructor recursion depth mismatch")] * 3

    def disturbed(source):
        if errors:
            raise errors.pop()
        return parse(source)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert written("import helpers\n", helpers="") == ["helpers"]
    assert not errors


def test_helpers_and_their_helpers_are_found_once(written):
    assert written(
        "from helpers import twice\nimport more as other\n",
        helpers="import deeper\n",
        more="import helpers\n",
        deeper="import helpers\n",
        unused="x = 1\n",
    ) == ["deeper", "helpers", "more"]


def test_an_import_inside_a_function_counts(written):
    assert written("def f():\n    import helpers\n", helpers="") == ["helpers"]


def test_packages_below_and_their_relative_imports_are_followed(written):
    assert written(
        "from lib.maths import twice\n",
        lib__init="from . import base\n",
        lib__maths="from .deep.inner import f\nfrom .base import g\n",
        lib__base="",
        lib__deep__init="",
        lib__deep__inner="from ..far import h\n",
        lib__far="",
    ) == ["lib", "lib.base", "lib.deep", "lib.deep.inner", "lib.far", "lib.maths"]


def test_the_folder_itself_may_be_named(written):
    assert written("from mine.helpers import f\n", helpers="") == ["mine.helpers"]


def test_what_lies_elsewhere_or_was_installed_is_not_the_users(written, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "mine" / "venv" / "site-packages")])
    files = {"kernels__init": "", "venv__site-packages__thing": ""}
    assert written("import elsewhere, thing, kernels.dtypes, nowhere\n", **files) == []


def test_what_cannot_be_read_is_left_to_its_import(written, tmp_path):
    assert written("def f(:\n") == []
    assert written("import helpers\n", helpers="def f(:\n") == ["helpers"]
    (tmp_path / "mine" / "helpers.py").write_bytes(b"\xff")
    assert written("import helpers\n") == []


def test_only_modules_of_the_folder_are_forgotten(tmp_path, monkeypatch):
    for name, file in (("inside_it", tmp_path / "mine" / "a.py"), ("beside_it", tmp_path / "a.py")):
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
    package = ModuleType("package")
    monkeypatch.setitem(sys.modules, "package", package)
    monkeypatch.setitem(sys.modules, "package.part", ModuleType("package.part"))
    package.part = sys.modules["package.part"]
    package.part.__file__ = str(tmp_path / "mine" / "package" / "part.py")
    forget(["inside_it", "package.part", "beside_it", "never_imported", "sys"], tmp_path / "mine")
    assert "inside_it" not in sys.modules
    assert not hasattr(package, "part")
    assert {"beside_it", "sys"} <= sys.modules.keys()
