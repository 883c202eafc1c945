"""nautilus_trader's own adapter: it loads the rules, hears the market, and every order ends as it must.

It wants another pandas than the tests do, and so an environment of its own: `make peers` makes it.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.clients.conftest import SNIPPETS
from tests.end_to_end.harness import ROOT

PYTHON = ROOT / ".venv-peers" / "bin" / "python"


@pytest.mark.heavy
@pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CI"), reason="no .venv-peers, which scripts/setup peers makes"
)
def test_its_node_trades(start, tmp_path):
    place = start("spot", "--listen-keys")
    asked = {"snippet": SNIPPETS["nautilus_trader"], "names": place.names()}
    done = subprocess.run(
        [PYTHON, ROOT / "tests" / "clients" / "nautilus_node.py", json.dumps(asked)],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "OUTCOME" in done.stdout, done.stdout + done.stderr
    outcome = json.loads(done.stdout.partition("OUTCOME")[2].partition("\n")[0])
    assert outcome["orders"] == {
        "bought": "FILLED",
        "resting": "CANCELED",
        "stop": "CANCELED",
        "taking": "REJECTED",
        "unfilled": "EXPIRED",
        "sold": "FILLED",
    }
    assert min(outcome["seen"].values()) > 0
