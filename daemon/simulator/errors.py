"""The exchange's refusals: code, message and HTTP status, as Binance documents them.

A refusal is raised as ApiError anywhere in the core and rendered once, by the REST or the WebSocket side.
"""

from __future__ import annotations

from typing import Any, Final

UNKNOWN: Final = -1000
TOO_MANY_REQUESTS: Final = -1003
UNEXPECTED_RESPONSE: Final = -1006
TIMEOUT: Final = -1007
INVALID_MESSAGE: Final = -1013
TOO_MANY_ORDERS: Final = -1015
UNSUPPORTED_OPERATION: Final = -1020
INVALID_TIMESTAMP: Final = -1021
INVALID_SIGNATURE: Final = -1022
ILLEGAL_CHARS: Final = -1100
MANDATORY_PARAM: Final = -1102
UNREAD_PARAMETERS: Final = -1104
PARAM_EMPTY: Final = -1105
PARAM_NOT_REQUIRED: Final = -1106
BAD_PRECISION: Final = -1111
INVALID_TIF: Final = -1115
INVALID_ORDER_TYPE: Final = -1116
INVALID_SIDE: Final = -1117
BAD_INTERVAL: Final = -1120
BAD_SYMBOL: Final = -1121
BAD_COMBINATION: Final = -1128
INVALID_PARAMETER: Final = -1130
INVALID_JSON: Final = -1135
INVALID_CANCEL_RESTRICTIONS: Final = -1145
NEW_ORDER_REJECTED: Final = -2010
CANCEL_REJECTED: Final = -2011
NO_SUCH_ORDER: Final = -2013
BAD_API_KEY_FORMAT: Final = -2014
REJECTED_KEY: Final = -2015
REPLACE_PARTIALLY_FAILED: Final = -2021
REPLACE_FAILED: Final = -2022
SUBSCRIPTION_ACTIVE: Final = -2035
SUBSCRIPTION_INACTIVE: Final = -2036
AMEND_REJECTED: Final = -2038
CLIENT_ORDER_ID_INVALID: Final = -2039


class ApiError(Exception):
    """One refusal. `data` goes into the body beside code and message (cancelReplace, rate limits)."""

    def __init__(
        self, code: int, message: str, status: int = 400, data: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        body: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def rejected(message: str) -> ApiError:
    """Return the matching engine's refusal of a new order."""
    return ApiError(NEW_ORDER_REJECTED, message)


def filter_failure(name: str) -> ApiError:
    """Return the refusal by a filter."""
    return ApiError(INVALID_MESSAGE, f"Filter failure: {name}")


def missing(name: str) -> ApiError:
    """Return the refusal of a request that lacks a parameter, or has it empty or malformed."""
    return ApiError(
        MANDATORY_PARAM, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def no_such_order() -> ApiError:
    """Return the answer to a query for an order that is not known."""
    return ApiError(NO_SUCH_ORDER, "Order does not exist.")


def unknown_order() -> ApiError:
    """Return the answer to a cancel of an order that is not open."""
    return ApiError(CANCEL_REJECTED, "Unknown order sent.")


def bad_symbol() -> ApiError:
    """Return the refusal of a symbol that is not listed."""
    return ApiError(BAD_SYMBOL, "Invalid symbol.")


def bad_key() -> ApiError:
    """Return the refusal of a key that is unknown, or not allowed to do this."""
    return ApiError(REJECTED_KEY, "Invalid API-key, IP, or permissions for action.", 401)
