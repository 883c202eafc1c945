import hashlib
import hmac
from collections import deque
from urllib.parse import parse_qs

import pytest

from daemon.bench import naive

QUOTE = {"s": "B003USDT", "b": "60000.00000000", "B": "57.01234000", "a": "60000.02000000", "A": "12.5"}


def test_the_order_names_the_quote_s_symbol_and_mark_and_is_signed():
    text = naive.query(QUOTE, 5, 0.25, 1_700_000_000_000)
    said = {name: values[0] for name, values in parse_qs(text).items()}
    assert (said["symbol"], said["price"], said["newClientOrderId"]) == ("B003USDT", "62012.34", "naive-5")
    signed, _, signature = text.partition("&signature=")
    key = naive._KEY.encode()
    assert signature == hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


def test_the_indicators_are_of_the_newest_quote():
    window = deque(((60_000.0 + k, 1.0, 60_000.5 + k, 3.0) for k in range(60)), maxlen=naive.WINDOW)
    spread, imbalance, smooth, above_mean, deviation, rsi, macd, change = naive.features(window)
    assert (spread, imbalance, smooth) == pytest.approx((0.5, -0.5, -0.5))
    assert above_mean == pytest.approx(9.5)
    assert deviation == pytest.approx(5.916, abs=1e-3)
    assert rsi == pytest.approx(100.0)
    assert macd > 0
    assert change == pytest.approx(20 / 60_039.25)
