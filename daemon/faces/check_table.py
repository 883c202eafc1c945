"""What a check of a backtest prints: a sentence for people, one JSON object for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from daemon.faces.show import print_json

if TYPE_CHECKING:
    from daemon.research.parity import Parity
    from daemon.research.prove import Proof


def show(result: Parity | Proof, *, as_json: bool) -> None:
    """Print what holds; of what does not hold the error tells."""
    if as_json:
        print_json(result)
    elif result.difference is None and not getattr(result, "failed", ""):
        Console().print(result.text, highlight=False, markup=False, soft_wrap=True)
