"""A real Prometheus for one test, on loopback, by the rules and alerts that are deployed."""

from __future__ import annotations

import http.client
import json
import math
import os
import shutil
import time
from urllib.parse import urlencode

import pytest

from tests.end_to_end.harness import fetch, free_port, until


def prometheus():
    """Return where it is; without it a test is skipped, and with CI in the environment fails."""
    found = shutil.which("prometheus")
    if found is None:
        missing = "no Prometheus here (on Debian: apt-get install prometheus)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Asked:
    """A Prometheus that scrapes daemons each second, and its HTTP API. ports: by the daemons' instance."""

    def __init__(self, bench, root, ports):
        self.port = free_port()
        rules = [str(root / "deploy" / "prometheus" / name) for name in ("rules.yml", "alerts.yml")]
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in ports.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "tickd", "static_configs": targets}],
        }
        path = bench.folder / "prometheus.yml"
        path.write_text(json.dumps(config))
        data = f"--storage.tsdb.path={bench.folder / 'prometheus'}"
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        more = "--enable-feature=exemplar-storage"
        self.child = bench.start([prometheus(), f"--config.file={path}", data, listen, more], "prometheus")
        until(self._ready, "Prometheus is ready")

    def _ready(self):
        assert self.child.alive, self.child.err
        try:
            return fetch(self.port, "/-/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path, **words):
        status, body = fetch(self.port, f"/api/v1/{path}?{urlencode(words)}")
        assert status == 200, body
        return json.loads(body)["data"]

    def exemplars(self, query, seconds):
        """Return every exemplar that a query's series had in the last seconds."""
        now = time.time()
        found = self.get("query_exemplars", query=query, start=now - seconds, end=now)
        return [one for series in found for one in series["exemplars"]]

    def values(self, query, seconds):
        """Return every value that a query had in the last seconds, those that are no number left out."""
        now = time.time()
        found = self.get("query_range", query=query, start=now - seconds, end=now, step=1)["result"]
        values = [float(value) for series in found for _, value in series["values"]]
        return [value for value in values if math.isfinite(value)]
