from __future__ import annotations

import asyncio

from tests.bench.inside import Inside


def test_each_marked_quote_becomes_an_order_and_a_fill(tmp_path):
    async def run():
        inside = await Inside.build(2, 1, tmp_path)
        try:
            for k in range(60):
                inside.feed(inside.exchange.quote(k % 2, marked=k % 3 == 0))
                if k % 3 == 0:
                    inside.settle(k % 2)
            inside.assert_whole(20)
        finally:
            await inside.close()
        return inside

    inside = asyncio.run(run())
    assert inside.stamped == sorted(inside.stamped)
    assert inside.core.journal.size > 0
