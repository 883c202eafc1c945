"""The numbers of frames, as msgspec checks them while it parses: no NaN, infinity, 1e308 or null passes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Price = Annotated[float, Meta(gt=0, lt=1e15)]
Size = Annotated[float, Meta(ge=0, lt=1e15)]
Id = Annotated[int, Meta(ge=0, lt=1 << 62)]
Millis = Annotated[int, Meta(ge=0, lt=9_000_000_000_000)]  # times a million still fits into an int64
