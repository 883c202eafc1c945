"""Why an action is refused, by code: what the kernels judge, and what only the daemon can know.

The kernels' codes and names stand in kernels/dtypes.py. None of them is used twice.
"""

from __future__ import annotations

from typing import Final

from kernels import dtypes as dt

REFUSED_POSITION_MAX: Final = 34  # the venue lets no account have so much of the base asset

REFUSAL_NAMES: Final[dict[int, str]] = {**dt.REFUSAL_NAMES, REFUSED_POSITION_MAX: "position_max"}
