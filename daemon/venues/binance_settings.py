"""Where Binance's venues are, and their times."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: the exchange's own default, left out of requests: each byte is hashed
RECV_WINDOW_MS_DEFAULT: Final = 5000
#: a connection is replaced at this age; the exchange ends it at 24 hours
LIFETIME_NS: Final = (23 * 60 + 40) * 60 * 1_000_000_000


class BinanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Spot is, and its times."""

    ws_url: str = "wss://ws-api.binance.com:443/ws-api/v3"
    rest_url: str = "https://api.binance.com"
    recv_window_ms: int = RECV_WINDOW_MS_DEFAULT
    timeout_ms: int = 2000  # an answer later than this is no answer
    heartbeat_ms: int = 5000  # how often the exchange's clock is asked
    lifetime_ns: int = LIFETIME_NS
    backoff_s_max: float = 30.0  # between two attempts to connect


class UsdmSettings(BinanceSettings, frozen=True, kw_only=True):
    """Where USD-M is, its times, and how the account has to be set up."""

    ws_url: str = "wss://ws-fapi.binance.com/ws-fapi/v1"
    rest_url: str = "https://fapi.binance.com"
    stream_url: str = "wss://fstream.binance.com/private"
    leverage: int = 1
    margin: Literal["cross", "isolated"] = "cross"
    position_notional_max: float = 0.0  # the maintenance rate is that of a position of this value
    as_it_is: bool = False  # leave margin type and leverage alone: positions are only to be closed
    countdown_ms: int = 0  # after which the exchange cancels all orders, unless told again; 0: never
