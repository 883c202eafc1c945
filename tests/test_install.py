"""What a host gets: an environment that knows no place, a unit that is hardened, and both gone again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNITS = ("tickd@.service", "tickd-failed@.service")
#: the hardening goal: "OK" begins at 2.0
EXPOSURE_MAX = 1.5


def analyze(*words, **environ):
    """Return what systemd-analyze says."""
    return systemd("systemd-analyze", *words, **environ)


def systemd(command, *words, **environ):
    """Return what a command of systemd's says; without it a test is skipped, and with CI set it fails."""
    found = shutil.which(command)
    if found is None:
        missing = f"no {command} here (on Debian: apt-get install systemd)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    environ = {**os.environ, **environ}
    return subprocess.run([found, *map(str, words)], env=environ, capture_output=True, text=True, check=False)


def verify(dest, folder, name):
    """Return what systemd says of an installed unit among those of this host, as if `dest` were /."""
    folder.mkdir(exist_ok=True)
    for path in (dest / "etc/systemd/system").iterdir():
        if path.is_file():
            text = path.read_text().replace("/opt/tickd/current/bin", f"{dest}/opt/tickd/current/bin")
            (folder / path.name).write_text(text)
    extra = folder / "tickd@low.service.d"
    extra.mkdir(exist_ok=True)
    shutil.copy(dest / "opt/tickd/current/share/systemd/low-latency.conf", extra)
    return analyze("verify", "--man=no", name, SYSTEMD_UNIT_PATH=f"{folder}:")


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout whose Python makes empty environments; return what installs it, where, and itself."""
    top, dest = tmp_path / "checkout", tmp_path / "dest"
    for name in ("scripts/install", "requirements/base.txt", "pyproject.toml"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, top / name)
    for name in ("deploy", "configs"):
        shutil.copytree(ROOT / name, top / name)
    for name in ("daemon", "kernels", "strategies", "models", "docs", "daemon/__pycache__"):
        (top / name).mkdir(exist_ok=True)
    (top / "daemon" / "cli.py").write_text("import sys; print(*sys.argv[1:], sys.path[0])\n")
    (top / "daemon" / "__pycache__" / "old.pyc").touch()
    (top / "docs" / "systemd.md").touch()
    python = top / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f'"-m pip"*) echo "$*" >>{tmp_path}/notes;;\n'
        f'"-m venv"*) {sys.executable} "$@"; echo "a script" >"$4/bin/f2py";;\n'
        f'*) exec {sys.executable} "$@";;\nesac\n'
    )
    python.chmod(0o755)
    tools = tmp_path / "bin"  # a day passes between two calls
    tools.mkdir()
    (tools / "date").write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/days\necho 2026010$(wc -l <{tmp_path}/days)T000000\n"
    )
    (tools / "date").chmod(0o755)

    def install(*words, code=0, **environ):
        done = subprocess.run(
            [top / "scripts" / "install", *words],
            env={"PATH": f"{tools}:{os.environ['PATH']}", "DESTDIR": str(dest), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stderr

    return install, dest, top


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def releases(dest):
    return sorted(path.name for path in (dest / "opt/tickd/releases").iterdir())


def test_an_install_makes_a_release_and_puts_the_units_in_place(checkout, tmp_path):
    install, dest, _ = checkout
    install()
    (note,) = (tmp_path / "notes").read_text().splitlines()
    assert "install -qq --require-hashes --only-binary :all: --requirement requirements/base.txt" in note
    assert {path.name for path in (dest / "etc/systemd/system").iterdir()} == set(UNITS)
    assert (dest / "etc/tickd").is_dir()
    current = dest / "opt/tickd/current"
    assert str(current.readlink()) == f"releases/{releases(dest)[0]}"
    made = files(current.resolve())
    assert {"bin/tickd", "share/systemd/low-latency.conf", "share/configs/live.toml"} <= made
    assert "share/docs/systemd.md" in made
    assert "bin/f2py" not in made  # whose first line names a place
    assert not [name for name in made if name.endswith("old.pyc")]
    said = subprocess.run(
        [current / "bin" / "tickd", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("--version ")


def test_what_is_installed_is_the_installer_s_alone_to_write_whoever_has_the_checkout(checkout):
    install, dest, top = checkout
    code = top / "daemon" / "cli.py"
    code.chmod(0o666)
    code.parent.chmod(0o777)
    if os.geteuid() == 0:
        os.chown(code, 12_345, 12_345)
    install()
    site = next((dest / "opt/tickd/current/lib").glob("python3.*/site-packages/daemon"))
    for path in (site, site / "cli.py"):
        assert path.stat().st_uid == os.geteuid()
        assert not path.stat().st_mode & 0o022


def test_what_was_installed_can_be_moved_and_takes_nothing_from_where_it_is_started(checkout, tmp_path):
    install, dest, _ = checkout
    install()
    moved = tmp_path / "elsewhere"
    (dest / "opt/tickd/current").resolve().rename(moved)
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "cli.py").write_text("raise SystemExit('foreign code')\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(
        [moved / "bin" / "tickd", "state"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith("state ")
    assert str(tmp_path / "dest") not in (moved / "pyvenv.cfg").read_text()


def test_an_upgrade_keeps_the_release_before_and_what_daemons_still_run_from(checkout):
    install, dest, top = checkout
    install()
    first = releases(dest)[0]
    tickd = dest / "opt/tickd/current/bin/tickd"
    (code,) = (dest / "opt/tickd/current/lib").glob("python3.*/site-packages/daemon/cli.py")
    code.write_text("import time; print('up', flush=True); time.sleep(60)\n")
    with subprocess.Popen([tickd, "run"], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout.readline() == "up\n"
            (top / "daemon" / "cli.py").write_text("print('new')\n")
            for _ in range(3):
                install()
            assert first in releases(dest)  # somebody runs from it
            assert len(releases(dest)) == 3
        finally:
            running.kill()
            running.wait()
    install()
    assert first not in releases(dest)
    assert len(releases(dest)) == 2
    assert str((dest / "opt/tickd/current").readlink()) == f"releases/{releases(dest)[-1]}"
    assert subprocess.run([tickd], capture_output=True, text=True, check=True).stdout == "new\n"


def test_one_that_does_not_start_replaces_nothing(checkout):
    install, dest, top = checkout
    install()
    before = files(dest)
    (top / "daemon" / "cli.py").write_text("import missing\n")
    install(code=1)
    assert str((dest / "opt/tickd/current").readlink()) == f"releases/{releases(dest)[0]}"
    assert {name for name in files(dest) if ".part/" not in name} == before
    (top / "daemon" / "cli.py").write_text("print('new')\n")
    install()
    assert not [name for name in files(dest) if ".part/" in name]


def test_an_uninstall_leaves_what_is_not_its_own(checkout):
    install, dest, _ = checkout
    before = files(dest)
    install()
    (dest / "etc/tickd/one.toml").touch()
    (dest / "etc/systemd/system/other.service").touch()
    told = install("--uninstall")
    assert "/var/lib/tickd (journals, tapes)" in told
    assert files(dest) - before == {"etc/tickd/one.toml", "etc/systemd/system/other.service"}
    assert not (dest / "opt/tickd").exists()
    install("--uninstall")


def test_what_no_install_has_made_is_never_removed_whatever_it_is_called(checkout):
    install, dest, _ = checkout
    install()
    foreign = {"opt/tickd/releases/0.0.1-20200101T000000/mine", "opt/tickd/releases/x.part/mine"}
    linked = dest / "opt/tickd/releases/linked"
    unit = dest / "etc/systemd/system" / UNITS[0]
    for name in foreign:
        (dest / name).parent.mkdir()
        (dest / name).touch()
    linked.symlink_to(dest / "opt/tickd/releases" / releases(dest)[1])
    for _ in range(3):
        install()  # the first release is old enough to go, and these are older
    assert foreign <= files(dest)
    unit.write_text("[Service]\nExecStart=/opt/tickd/current/bin/tickd\n")
    (dest / "opt/tickd/current").unlink()
    (dest / "opt/tickd/current").symlink_to("/srv/another")
    told = install("--uninstall")
    assert files(dest) == foreign | {
        "etc/systemd/system/tickd@.service", "opt/tickd/current", "opt/tickd/releases/linked"
    }  # fmt: skip
    for name in ("0.0.1-20200101T000000", "x.part"):
        assert f"{dest}/opt/tickd/releases/{name} was not made by an install and stays\n" in told
    assert f"{unit} is not of an install into /opt/tickd and stays\n" in told


def test_a_unit_of_an_install_elsewhere_stays(checkout):
    install, dest, _ = checkout
    install(PREFIX="/srv/tickd")
    told = install("--uninstall")
    assert {path.name for path in (dest / "etc/systemd/system").iterdir()} == set(UNITS)
    assert "is not of an install into /opt/tickd and stays" in told
    install("--uninstall", PREFIX="/srv/tickd")
    assert not list((dest / "etc/systemd/system").iterdir())


def test_nothing_is_removed_while_a_process_runs_from_it(checkout):
    install, dest, _ = checkout
    install()
    (code,) = (dest / "opt/tickd/current/lib").glob("python3.*/site-packages/daemon/cli.py")
    code.write_text("import time; print('up', flush=True); time.sleep(60)\n")
    before = files(dest)
    for program in ("bin/tickd", "bin/python3"):
        words = [dest / "opt/tickd/current" / program, *(["-I", "-m", "daemon.cli"] * program.endswith("3"))]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout.readline() == "up\n"
                told = install("--uninstall", code=1)
            finally:
                running.kill()
                running.wait()
        assert re.fullmatch(rf"install: processes run from \S+; end them first: {running.pid}\n", told)
        assert files(dest) == before
    install("--uninstall")
    assert not (dest / "opt/tickd").exists()


def test_another_place_stands_in_the_units_as_well(checkout):
    install, dest, _ = checkout
    install(PREFIX="/srv/tickd", UNITDIR="/usr/lib/systemd/system")
    text = (dest / "usr/lib/systemd/system" / UNITS[0]).read_text()
    assert "ExecStart=/srv/tickd/current/bin/tickd run " in text
    assert "/opt/tickd" not in text


@pytest.mark.parametrize(
    ("words", "environ", "sentence"),
    [
        (["--unistall"], {}, "there is no --unistall; say nothing, or --uninstall"),
        ([], {"GROUP": "dev"}, "GROUP is base, ccxt or keyring, not dev"),
    ],
)
def test_what_it_does_not_know_it_does_not_do(checkout, words, environ, sentence):
    install, dest, _ = checkout
    assert install(*words, code=2, **environ) == f"install: {sentence}\n"
    assert not dest.exists()


# --- the unit -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["tickd@one.service", "tickd@low.service", "tickd-failed@one.service"])
def test_systemd_has_nothing_to_say_about_the_units(checkout, tmp_path, name):
    install, dest, _ = checkout
    install()
    done = verify(dest, tmp_path / "units", name)
    # it exits with 0 on keys that it does not know
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ("WatchdogSec=5", "WatchdogSecs=5", "'WatchdogSecs' in section [Service]"),
        ("WatchdogSec=5", "WatchdogSec=soon", "Failed to parse"),
        ("bin/tickd", "bin/trickd", "is not executable"),
    ],
)
def test_a_unit_that_is_wrong_would_be_seen(checkout, tmp_path, good, bad, sentence):
    install, dest, _ = checkout
    install()
    unit = dest / "etc/systemd/system" / UNITS[0]
    unit.write_text(unit.read_text().replace(good, bad))
    assert sentence in verify(dest, tmp_path / "units", "tickd@one.service").stderr


def test_who_is_enabled_is_started_with_the_host(checkout):
    install, dest, _ = checkout
    install()
    done = systemd("systemctl", f"--root={dest}", "enable", "tickd@paper")
    assert done.returncode == 0, done.stderr
    wanted = dest / "etc/systemd/system/multi-user.target.wants/tickd@paper.service"
    assert wanted.readlink() == Path("/etc/systemd/system") / UNITS[0]


def test_the_unit_is_exposed_to_little():
    unit = ROOT / "deploy/systemd" / UNITS[0]
    done = analyze("security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", unit)
    assert done.returncode == 0, done.stdout
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert 0 < float(level) <= EXPOSURE_MAX


def test_the_unit_waits_as_long_as_the_daemon_takes_and_knows_its_exit_codes():
    from daemon.app import DRAIN_NS
    from daemon.assembly import TAPE_S
    from daemon.errors import EXIT_CONFIG, EXIT_USAGE
    from daemon.faces.http import SHUTDOWN_S

    text = (ROOT / "deploy/systemd" / UNITS[0]).read_text()
    values = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line))
    assert float(values["TimeoutStopSec"]) > 2 * (DRAIN_NS / 1e9 + TAPE_S + SHUTDOWN_S)
    assert values["RestartPreventExitStatus"] == f"{EXIT_USAGE} {EXIT_CONFIG}"
    assert "MemoryDenyWriteExecute=yes" not in text


def test_every_secret_that_the_configuration_names_by_default_is_a_credential():
    from daemon.config import HttpConfig, VenueConfig
    from daemon.config_sinks import MqttConfig

    text = (ROOT / "deploy/systemd" / UNITS[0]).read_text()
    loaded = re.findall(r"^LoadCredential=(\w+):tickd\.%i\.(\w+)$", text, re.MULTILINE)
    names = {
        getattr(section, key)
        for section in (HttpConfig(), MqttConfig(), VenueConfig())
        for key in section.__struct_fields__
        if key.endswith("_env")
    }
    assert loaded == [(name, name) for name, _ in loaded]
    #: no default: naming it is what turns the webhook on
    assert {name for name, _ in loaded} == names | {"TICKD_WEBHOOK_URL", "TICKD_WEBHOOK_TOKEN"}


@pytest.mark.heavy
def test_a_real_one_answers_and_finds_its_demo_wherever_it_is_moved(tmp_path):
    dest = tmp_path / "dest"
    environ = {**os.environ, "DESTDIR": str(dest)}
    subprocess.run(["make", "-C", ROOT, "install"], env=environ, check=True, stdout=subprocess.DEVNULL)
    moved = tmp_path / "moved"
    (dest / "opt/tickd/current").resolve().rename(moved)
    tickd = moved / "bin" / "tickd"
    shown = subprocess.run(
        [tickd, "config", "show", moved / "share/configs/live.toml"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert 'mode = "live"' in shown
    python = moved / "bin" / "python3"
    found = subprocess.run(
        [python, "-I", "-c", "from daemon.demo import MODEL; print(MODEL.is_dir(), MODEL)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert found.startswith(f"True {moved}")
