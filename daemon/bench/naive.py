"""The stack that most people begin with, measured beside ours: asyncio, `websockets`, json, pandas, aiohttp.

Each quote is parsed with `json`, eight indicators are computed anew by pandas over a window of 500, the
model is asked by `Booster.predict`, and the order goes out as a signed POST whose answer is awaited.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import aiohttp
import lightgbm
import numpy as np
import pandas as pd
import websockets

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW: Final = 500
_KEY: Final = "benchkey" * 8


def features(window: deque[tuple[float, float, float, float]]) -> list[float]:
    """Return eight indicators of the newest quote, recomputed over the whole window."""
    frame = pd.DataFrame(window, columns=["bid", "bid_qty", "ask", "ask_qty"])
    mid = (frame["bid"] + frame["ask"]) / 2
    change = mid.diff()
    up, down = change.clip(lower=0).rolling(14).mean(), -change.clip(upper=0).rolling(14).mean()
    fast, slow = mid.ewm(span=12).mean(), mid.ewm(span=26).mean()
    imbalance = (frame["bid_qty"] - frame["ask_qty"]) / (frame["bid_qty"] + frame["ask_qty"])
    columns = [
        frame["ask"] - frame["bid"],
        imbalance,
        imbalance.ewm(span=32).mean(),
        mid - mid.rolling(20).mean(),
        mid.rolling(20).std(),
        100 - 100 / (1 + up / down),
        fast - slow,
        mid.pct_change(20),
    ]
    return [float(column.iloc[-1]) for column in columns]


def query(quote: dict[str, Any], number: int, prediction: float, time_ms: int) -> str:
    """Return the signed query of the order that answers a quote; its price carries the quote's mark."""
    mark = int(quote["B"].partition(".")[2][:5])
    params = {
        "symbol": quote["s"],
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": f"{0.3 + round(prediction, 4) / 10:.5f}",
        "price": f"{62_000 + mark * 0.01:.2f}",
        "newClientOrderId": f"naive-{number}",
        "timestamp": time_ms,
    }
    text = urlencode(params)
    return f"{text}&signature={hmac.new(_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()}"


async def trade(url: str, model: str, now_ms: Callable[[], int], ready: Callable[[], None]) -> None:
    """Answer quotes until the exchange ends the connection; `model` is LightGBM's text, `url` http://..."""
    booster = lightgbm.Booster(model_str=model)
    windows: dict[str, deque[tuple[float, float, float, float]]] = {}
    row = np.zeros((1, booster.num_feature()))
    number = 0
    connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=3600)
    headers = {"X-MBX-APIKEY": _KEY}
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as http,
        websockets.connect(
            url.replace("http", "ws", 1) + "/stream", ping_interval=None, compression=None
        ) as stream,
    ):
        await (await http.post(f"{url}/api/v3/order")).read()
        ready()
        async for message in stream:
            frame = json.loads(message)
            if not frame["stream"].endswith("@bookTicker"):
                continue
            quote = frame["data"]
            window = windows.setdefault(quote["s"], deque(maxlen=WINDOW))
            window.append((float(quote["b"]), float(quote["B"]), float(quote["a"]), float(quote["A"])))
            found = features(window)
            row[0, : len(found)] = found
            prediction = float(booster.predict(row, num_threads=1)[0])
            number += 1
            async with http.post(
                f"{url}/api/v3/order?{query(quote, number, prediction, now_ms())}"
            ) as answer:
                await answer.json()
