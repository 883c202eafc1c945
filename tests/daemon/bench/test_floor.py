import json
import threading

import numpy as np

from daemon.bench import floor, market
from daemon.bench.frames import frame_at
from daemon.bench.market import S_MARK


def a_quote(mark=1234):
    symbols, out = market.new_symbols(12), np.zeros(512, np.uint8)
    symbols[11, S_MARK] = mark
    end = market.write_quote(market.texts().quote, out, 0, symbols, 11, np.array([1], np.uint64))
    return out[:end]


def payload(order):
    where = np.zeros(3, np.int64)
    copy = order.copy()
    assert frame_at(copy, 0, copy.size, where) == 1
    return json.loads(copy[where[0] : where[1]].tobytes())


def test_the_order_names_the_quote_s_symbol_and_mark():
    order = floor.order_frame()
    floor.patch(order, a_quote(), 0, 5)
    said = payload(order)
    assert said["id"] == 100_000_005
    assert (said["params"]["symbol"], said["params"]["price"]) == ("B011USDT", "62012.34")


def test_a_quote_is_answered_and_a_trade_is_not(lines):
    ours, theirs = lines
    trade = np.zeros(512, np.uint8)
    end = market.write_trade(
        market.texts().trade, trade, 0, market.new_symbols(1), 0, np.array([1], np.uint64), 1_700_000_000_000
    )
    counts = []
    args = (theirs[0].fileno(), theirs[1].fileno(), True, floor.order_frame())
    one = threading.Thread(target=lambda: counts.append(floor.answer(*args)))
    one.start()
    ours[0].send(trade[:end].tobytes() + a_quote(7).tobytes()[:20])
    ours[0].send(a_quote(7).tobytes()[20:] + a_quote(8).tobytes())
    size = floor.order_frame().size
    got = b""
    while len(got) < 2 * size:
        got += ours[1].recv(1 << 16)
    prices = [payload(np.frombuffer(got[at : at + size], np.uint8))["params"]["price"] for at in (0, size)]
    assert prices == ["62000.07", "62000.08"]
    ours[0].close()
    one.join()
    assert counts == [2]
