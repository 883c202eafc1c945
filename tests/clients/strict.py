"""Reading what the exchange's own SDK has parsed: what its models know and did not get, and the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: what an order has only in some cases, by the API's documentation; none of them is one of the simulator's
CONDITIONAL = {
    *("expiryReason", "icebergQty", "pegOffsetType", "pegOffsetValue", "pegPriceType", "peggedPrice"),
    *("preventedMatchId", "preventedQuantity", "strategyId", "strategyType", "trailingDelta", "trailingTime"),
    *("usedSor", "workingFloor"),
}
#: the same in an executionReport
CONDITIONAL_IN_REPORTS = {*"ABDJUabdjkuv", "Cs", "eR", "gOT", "gOV", "gP", "gp", "pL", "pY", "pl", "uS"}


def check(answer: Any, missing: Collection[str] = (), unknown: Collection[str] = ()) -> Any:
    """Return the parsed data of an answer, or an event; it must have every field but these, and no more."""
    data = answer.data() if callable(getattr(answer, "data", None)) else answer
    lacks: set[str] = set()
    more: set[str] = set()
    for model in _models(data):
        lacks |= {
            field.alias or name
            for name, field in type(model).model_fields.items()
            if name != "additional_properties" and getattr(model, name) is None
        }
        more |= set(getattr(model, "additional_properties", None) or {})
    assert not isinstance(data, dict), f"the SDK could not parse it: {data}"
    found = lacks - CONDITIONAL - set(missing), more - set(unknown)
    assert found == (set(), set()), f"{type(data).__name__} lacks {found[0]}, and knows nothing of {found[1]}"
    return data


def bare(data: Any) -> Any:
    """Return the model of its kind, where the SDK knows of several."""
    return data.actual_instance if hasattr(data, "actual_instance") else data


def _models(data: Any) -> Iterator[BaseModel]:
    if isinstance(data, list):
        for one in data:
            yield from _models(one)
    elif hasattr(data, "actual_instance"):
        yield from _models(data.actual_instance)
    elif isinstance(data, BaseModel):
        yield data
        for name in type(data).model_fields:
            if name != "additional_properties":
                yield from _models(getattr(data, name))
