from __future__ import annotations

import os
import subprocess
import sys

import pytest

from daemon import kernel_cache
from daemon.config import from_tree
from daemon.errors import TickdError


@pytest.fixture(autouse=True)
def _keep_environment(monkeypatch):
    # activate() sets both; the other tests go on with the session's own
    import numba

    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ["NUMBA_CACHE_DIR"])
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", numba.core.config.CACHE_DIR)


def test_the_folder_is_named_by_the_sources_and_exported(tmp_path):
    folder = kernel_cache.activate(tmp_path)
    assert folder == tmp_path / f"tickd-{kernel_cache.fingerprint()}"
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)


def test_a_cache_is_warm_for_the_kind_of_process_that_once_had_all_of_it(tmp_path):
    folder = kernel_cache.activate(tmp_path)
    (folder / "kernels_1").mkdir()
    (folder / "kernels_1" / "book.update-1.py311.nbi").write_text("")
    kinds = [kernel_cache.exchange_kind(synthetic=one) for one in (True, False)]
    assert not any(map(kernel_cache.is_warm, kinds)), "a start that was ended in the middle leaves files too"
    kernel_cache.set_warm(kinds[0])
    assert list(map(kernel_cache.is_warm, kinds)) == [True, False]
    kernel_cache.activate(tmp_path / "another")
    assert not kernel_cache.is_warm(kinds[0])


def test_daemons_that_compile_the_same_are_of_one_kind(tmp_path):
    file = tmp_path / "mine.py"

    def kind(*strategies, venue="paper", model=""):
        tree = {"name": "x", "mode": "demo", "feed": {"symbols": ["BTC/USDT"]}, "venue": {"kind": venue}}
        tree["strategy"] = [{"name": name, "model": model} for name in strategies]
        return kernel_cache.daemon_kind(from_tree(tree, {}, "x"))

    assert kind("ema_cross", "market_maker") == kind("market_maker", "ema_cross", "ema_cross")
    kinds = [kind("ema_cross"), kind("market_maker"), kind("ema_cross", model="m")]
    kinds += [kind("ema_cross", venue="binance"), kind(str(file))]
    for text in ("x = 1", "x = 2"):
        file.write_text(text)
        kinds.append(kind(f"{file}:decide"))
    assert len(set(kinds)) == len(kinds)


def test_a_disk_that_takes_no_more_is_no_reason_not_to_start(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "none"))
    kernel_cache.set_warm("daemon")
    assert not kernel_cache.is_warm("daemon")


def test_a_child_process_takes_the_same_folder_and_not_one_inside_it(tmp_path):
    folder = kernel_cache.activate(tmp_path)
    code = "from daemon import kernel_cache; print(kernel_cache.activate())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(folder)


def test_a_changed_source_or_compiler_changes_the_folder(monkeypatch, tmp_path):
    before = kernel_cache.fingerprint()
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "a.py").write_text("x = 1")
    (tmp_path / "daemon").mkdir()
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "daemon" / "kernel_cache.py"))
    one = kernel_cache.fingerprint()
    (package / "a.py").write_text("x = 2")
    two = kernel_cache.fingerprint()
    monkeypatch.setattr(kernel_cache, "version", lambda name: "0")
    assert len({before, one, two, kernel_cache.fingerprint()}) == 4


def test_only_the_newest_folders_are_kept(tmp_path):
    for age in range(kernel_cache.FOLDERS_MAX + 3):
        old = tmp_path / f"tickd-{age:016x}"
        old.mkdir()
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "someone-elses").mkdir()
    folder = kernel_cache.activate(tmp_path)
    kept = sorted(path.name for path in tmp_path.glob("tickd-*"))
    newest = [f"tickd-{age:016x}" for age in range(kernel_cache.FOLDERS_MAX - 1)]
    assert kept == sorted([*newest, folder.name])
    assert (tmp_path / "someone-elses").is_dir()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TickdError, match=r"compiled kernels cannot be kept in .*set XDG_CACHE_HOME"):
        kernel_cache.activate(tmp_path / "file")


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"])
def test_the_environment_says_where(monkeypatch, tmp_path, variable):
    for name in ("NUMBA_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    folder = kernel_cache.activate()
    below = "tickd/kernels/" if variable == "XDG_CACHE_HOME" else ""
    assert folder == tmp_path / f"{below}tickd-{kernel_cache.fingerprint()}"
