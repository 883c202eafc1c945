import asyncio
import os
import sys
from pathlib import Path

import pytest

from daemon.bench import running
from daemon.bench.exchange import Plan
from daemon.child import Child
from daemon.errors import TickdError


def test_an_exchange_that_is_not_there_is_said():
    with pytest.raises(TickdError, match="ran no segment of ours"):
        running.ask("http://127.0.0.1:9", "ours", Plan(kind="closed", duration_ns=1))


def test_it_starts_on_its_core_and_one_that_ends_while_it_is_waited_for_is_said(tmp_path):
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    script = "import os, json; print(json.dumps({'event': 'cores', 'are': list(os.sched_getaffinity(0))}))"

    async def main():
        child = Child("the daemon")
        await running.start(child, core, [sys.executable, "-c", script], os.environ)
        try:
            assert (await child.message("cores"))["are"] == [core]
            await child.ended()
            await running.until(child, Path(tmp_path / "socket"), lambda _: True)
        finally:
            await child.gone()

    with pytest.raises(TickdError, match="the daemon ended by itself"):
        asyncio.run(main())
    assert os.sched_getaffinity(0) == allowed
