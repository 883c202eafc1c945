import json

import numpy as np

from daemon.bench import market
from daemon.bench.market import HEAD, S_ASK, S_MARK, S_MID
from daemon.feeds.binance import BinanceDecoder
from kernels.dtypes import QUOTE, TRADE


def quotes(count, symbols, seed=1, symbol=11):
    texts, random, out = market.texts(), np.array([seed], np.uint64), np.zeros(512, np.uint8)
    for _ in range(count):
        end = market.write_quote(texts.quote, out, 0, symbols, symbol, random)
        yield out[:end].tobytes()


def test_a_quote_is_one_that_the_daemon_s_decoder_takes(instruments):
    symbols = market.new_symbols(12)
    symbols[11, S_MARK] = 42
    decoder = BinanceDecoder(instruments)
    for frame in quotes(50, symbols):
        assert frame[:4] == b"\x81\x7e" + (len(frame) - HEAD).to_bytes(2)
        tick = decoder.decode(frame[HEAD:], 7)
        assert (tick.kind, tick.instrument, tick.wire_ns) == (QUOTE, 11, 7)
        assert (round(tick.a * 100), round(tick.c * 100)) == (symbols[11, S_MID], symbols[11, S_ASK])
        assert round(tick.b * 1e5) % 100_000 == 42


def test_a_trade_is_one_that_the_daemon_s_decoder_takes(instruments):
    symbols, texts = market.new_symbols(12), market.texts()
    random, out = np.array([1], np.uint64), np.zeros(512, np.uint8)
    decoder = BinanceDecoder(instruments)
    takers = set()
    for _ in range(20):
        end = market.write_trade(texts.trade, out, 0, symbols, 3, random, 1_700_000_000_123)
        tick = decoder.decode(out[HEAD:end].tobytes(), 7)
        assert (tick.kind, tick.instrument, tick.exch_ns) == (TRADE, 3, 1_700_000_000_123_000_000)
        assert round(tick.a * 100) == symbols[3, S_MID if tick.c < 0 else S_ASK]
        takers.add(tick.c)
    assert takers == {-1.0, 1.0}


def test_ids_run_on_and_prices_vary():
    said = [json.loads(frame[HEAD:])["data"] for frame in quotes(200, market.new_symbols(12))]
    ids = [one["u"] for one in said]
    assert ids == list(range(ids[0], ids[0] + 200))
    assert len({one["b"] for one in said}) > 50
    assert len({one["B"] for one in said}) > 50


def test_a_seed_makes_one_market():
    first, again, other = (list(quotes(20, market.new_symbols(12), seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_mark_stands_where_a_floor_reads_it():
    symbols = market.new_symbols(12)
    symbols[11, S_MARK] = 1234
    (frame,) = quotes(1, symbols)
    assert frame[market.QUOTE_MARK_AT :][:5] == b"01234"
    assert frame[market.QUOTE_SYMBOL_AT :][:3] == b"011"
    assert len(frame) == market.QUOTE_BYTES != market.TRADE_BYTES
