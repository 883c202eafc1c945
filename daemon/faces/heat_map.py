"""A map of one figure over two names that a sweep varied: numbers on colours, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.research.ranges import Axis
    from daemon.research.sweep_log import TrialLine

_WIDTH: Final = 80
_ROWS_MAX: Final = 40
#: red, yellow, green, as backgrounds under black
_COLOURS: Final = ((215, 90, 80), (240, 220, 110), (90, 190, 110))


class Heat(msgspec.Struct, kw_only=True):
    """The best trial of each pair of values, by the figure that ranks."""

    across: str
    down: str
    columns: list[str]
    rows: list[str]
    cells: list[list[float | None]]  # [row][column]; None: no trial there has the figure

    @classmethod
    def of(
        cls,
        ranked: Sequence[TrialLine],
        axes: Sequence[Axis],
        names: tuple[str, str],
        figure: Callable[[TrialLine], float | None],
    ) -> Heat:
        """Return it; ranked: the best first, so the first of a pair stands for it."""
        values = {one.name: list(one.values) for one in axes}
        across, down = names
        found: dict[tuple[str, str], float | None] = {}
        for one in ranked:
            found.setdefault((one.values[down], one.values[across]), figure(one))
        cells = [[found.get((row, column)) for column in values[across]] for row in values[down]]
        return cls(across=across, down=down, columns=values[across], rows=values[down], cells=cells)


def heat_map(heat: Heat, by: str, *, least: bool) -> Table:
    """Draw it, the better the greener; where it is too large, values evenly left out, and says so."""
    texts = [[_number(cell) for cell in row] for row in heat.cells]
    width = max(len(text) for row in [*texts, heat.columns] for text in row)
    label = max(len(text) for text in [*heat.rows, heat.down])
    fits = max((_WIDTH - label - 2) // (width + 2), 1)
    across, down = _spread(len(heat.columns), fits), _spread(len(heat.rows), _ROWS_MAX)
    title = f"{by} by {heat.across} (across) and {heat.down} (down)"
    caption = "each the best over what else is varied"
    if len(across) < len(heat.columns) or len(down) < len(heat.rows):
        caption += (
            f"; {len(across)} of {len(heat.columns)} columns and {len(down)} of {len(heat.rows)} rows, "
            "--json has all"
        )
    grid = Table(title=title, caption=caption, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    grid.title_justify = grid.caption_justify = "left"
    grid.min_width = min(len(title), _WIDTH)
    grid.add_column(heat.down, style="bold", no_wrap=True)
    for column in across:
        grid.add_column(heat.columns[column], justify="right", no_wrap=True, min_width=width)
    known = [cell for row in heat.cells for cell in row if cell is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    for row in down:
        cells = []
        for column in across:
            cell = heat.cells[row][column]
            text = texts[row][column].rjust(width)
            cells.append(Text(text, style="dim" if cell is None else _style(cell, low, high, least=least)))
        grid.add_row(heat.rows[row], *cells)
    return grid


def _style(value: float, low: float, high: float, *, least: bool) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    share = 1 - share if least else share
    first, second = _COLOURS[:2] if share < 0.5 else _COLOURS[1:]
    part = 2 * share % 1 if share < 1 else 1.0
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return f"black on rgb({red},{green},{blue})"


def _spread(count: int, fits: int) -> list[int]:
    """Return so many places as fit, evenly, the first and the last among them."""
    if count <= fits:
        return list(range(count))
    if fits == 1:
        return [0]
    return [round(number * (count - 1) / (fits - 1)) for number in range(fits)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
