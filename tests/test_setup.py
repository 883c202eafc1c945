"""Setting up: what a bare machine lacks is told in one sentence; a fresh clone comes up by itself."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bare(tmp_path):
    """Make a checkout whose machine has a Python without ensurepip, and an apt-get that only takes notes."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts" / "setup")
    tools = tmp_path / "bin"
    tools.mkdir()
    notes = tmp_path / "notes"
    notes.touch()
    for name, text in (
        ("python3.11", f'case "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"'),
        ("apt-get", f'echo "$*" >>{notes}'),
        ("id", 'echo "$FAKE_UID"'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    def run(uid=1000, **environ):
        path = f"{tools}:{os.environ['PATH']}"
        done = subprocess.run(
            [tmp_path / "scripts" / "setup", "base"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": path, "FAKE_UID": str(uid), **environ},
        )
        return done.returncode, done.stderr.splitlines(), notes.read_text().splitlines()

    return run


def test_a_missing_venv_module_is_named_with_its_package(bare):
    code, told, asked = bare()
    assert code == 1
    (sentence,) = told
    assert sentence.startswith("setup: Python's venv module is missing; install it")
    assert "apt-get install python3-venv" in sentence
    assert asked == []


def test_root_on_debian_gets_it_installed(bare):
    _, told, asked = bare(uid=0)
    assert told[0] == "setup: installing python3-venv (Python's venv module)"
    assert asked == ["install -qq -y --no-install-recommends python3-venv"]


def test_a_machine_without_python_is_told_what_to_install(bare):
    code, told, _ = bare(PYTHON="no-such-python")
    assert code == 1
    assert told[0].startswith("setup: no Python 3.11 or newer found; install it")


@pytest.fixture
def stocked(tmp_path):
    """Make a checkout whose Python makes an environment in which pip only takes notes."""
    for name in ("scripts", "requirements", "bin"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts" / "setup")
    (tmp_path / "requirements" / "base.txt").write_text("a==1 \\\n    --hash=sha256:0\nb==2\n")
    made = tmp_path / "made"
    made.write_text(f'#!/bin/sh\ncase "$*" in *"-m pip"*) echo "$*" >>{tmp_path / "notes"};; esac\n')
    made.chmod(0o755)
    python = tmp_path / "bin" / "python3.11"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in "-m venv"*) mkdir -p .venv/bin; cp {made} .venv/bin/python;; '
        "--version) echo Python 3.11;; esac\n"
    )
    python.chmod(0o755)

    def run(stdout):
        done = subprocess.run(
            [tmp_path / "scripts" / "setup", "base"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
            env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        )
        return done.stderr, (tmp_path / "notes").read_text().splitlines()

    return run


def test_what_takes_minutes_is_told_beforehand_and_pip_is_quiet_where_nobody_watches(stocked):
    told, asked = stocked(subprocess.DEVNULL)
    assert re.search(r"requirements/base.txt: 2 packages, some \d+ MB; .* downloaded, silently, for a", told)
    assert [line.split()[:4] for line in asked] == [["-m", "pip", "install", "-qq"]] * 2


def test_on_a_terminal_pip_draws_its_progress(stocked):
    ours, theirs = pty.openpty()
    try:
        told, (first, _) = stocked(theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert "is downloaded, for a minute" in told
    assert first.startswith("-m pip install --require-hashes")


@pytest.mark.parametrize("uid", [0, 1000])
def test_what_only_some_tests_need_is_told_and_gone_without(tmp_path, uid):
    text = (ROOT / "scripts" / "setup").read_text()
    functions = text[text.index("say() {") : text.index("new_enough=")]
    for name, body in (("apt-get", f'echo "$*" >>{tmp_path}/notes'), ("id", f"echo {uid}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [
            "/bin/sh",
            "-euc",
            f"{functions}\nwant 'exit 1' some-broker 'the broker'\nwant : other 'this'\necho on",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stdout == "on\n"
    assert done.stderr.splitlines()[-1] == (
        "setup: the broker is missing, and tests that need it are skipped "
        "(on Debian: apt-get install some-broker)"
    )
    assert (tmp_path / "notes").exists() is (uid == 0)


def test_make_alone_lists_every_command():
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\w+)", listed, re.MULTILINE) == phony.split()


@pytest.mark.heavy(seconds=60)
def test_a_fresh_clone_sets_itself_up_and_answers_at_once(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    subprocess.run(["make", "-C", str(clone), ".venv/.base"], check=True, stdout=subprocess.DEVNULL)
    tickd = clone / ".venv" / "bin" / "tickd"
    subprocess.run([tickd, "--help"], check=True, stdout=subprocess.DEVNULL)
    spans = []
    for _ in range(5):
        start = time.monotonic()
        subprocess.run([tickd, "--help"], check=True, stdout=subprocess.DEVNULL)
        spans.append(time.monotonic() - start)
    assert min(spans) < 0.3
    installed = subprocess.run(
        [clone / ".venv" / "bin" / "python", "-c", "import daemon; print(daemon.__file__)"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    ).stdout.strip()  # fmt: skip
    assert installed == str(clone / "daemon" / "__init__.py")
    again = subprocess.run(
        ["make", "-C", str(clone), ".venv/.base"], check=True, capture_output=True, text=True
    )
    assert "up to date" in again.stdout
