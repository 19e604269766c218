"""A figure laid out anew for a screen as narrow as a phone's."""

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

WIDTH = 3.75
"""Inches; 360 pixels of a page."""
_LINE = 40
"""Letters in a line."""
_NAME = 20
"""Letters in a line of a category's name."""
_LINE_HEIGHT = 0.15
"""Inches of a line of a category's name."""
_HEAD_AND_FOOT = 1.5
"""Inches of a title, of what stands below a panel and of a legend."""
_MOST = 6
"""Panels below each other at most; more stand in two columns."""


def lay_out(figure: Figure) -> str:
    """Set a figure's panels below each other, its legend under them and its labels in more lines.

    Returns what stands above it, the only panel's title where it has no other.
    """
    height = figure.get_figheight()
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    n_rows = len({ax.get_subplotspec().rowspan.start for ax in panels})
    if n_rows < len(panels):
        beside = 1 if len(panels) <= _MOST else 2
        grid = figure.add_gridspec(-(-len(panels) // beside), beside)
        for place, ax in enumerate(panels):
            ax.set_subplotspec(grid[divmod(place, beside)])
            ax.tick_params(labelleft=place % beside == 0, labelbottom=True)
        height = max(1.3, 0.65 * height / n_rows) * grid.nrows
        n_rows = grid.nrows
    for text in figure.texts:
        text.set_fontsize(min(text.get_fontsize(), 24))
    labelled = [ax for ax in panels if ax.get_xlabel()]
    if len(labelled) == 1 < len(panels):
        # What several share stands below the last.
        shared = labelled[0].get_xlabel()
        labelled[0].set_xlabel("")
        panels[-1].set_xlabel(shared)
    for ax in panels:
        _fit(ax, upright=30 if len(panels) == 1 else _NAME, across=_LINE if len(panels) <= _MOST else _NAME)
    beside_names = _HEAD_AND_FOOT + n_rows * _LINE_HEIGHT * max(map(_n_lines, panels), default=0)
    figure.set_size_inches(WIDTH, max(height, beside_names))
    _one_legend(figure, panels)
    head = figure.get_suptitle()
    if not head and len(panels) == 1:
        head = panels[0].get_title("left")
        panels[0].set_title("")
    return head


def _fit(ax: Axes, *, across: int, upright: int) -> None:
    """Break what stands along a panel's sides into lines of so many letters."""
    ax.set_title(_lines(ax.get_title("left"), across), fontsize=10)
    ax.set_xlabel(_lines(ax.get_xlabel(), across), fontsize=9)
    ax.set_ylabel(_lines(ax.get_ylabel(), upright), fontsize=9)
    ax.tick_params(labelsize=9)
    if isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        names = [fill(name.get_text(), _NAME) for name in ax.get_yticklabels()]
        # A panel beside another shares its names, and shows none.
        if any(names):
            ax.set_yticks(ax.get_yticks(), names, fontsize=8.5)
    places, told = ax.xaxis.get_major_locator(), [name.get_text() for name in ax.get_xticklabels()]
    if (
        isinstance(places, FixedLocator)
        and sum(map(len, told)) > 0.75 * _LINE
        and ax.xaxis.get_ticks_position() != "top"
    ):
        ax.set_xticks(ax.get_xticks(), told, rotation=40, ha="right", rotation_mode="anchor")
    elif isinstance(places, MaxNLocator):
        places.set_params(nbins=4)
    elif isinstance(places, AutoDateLocator):
        fewer = AutoDateLocator(minticks=3, maxticks=6)
        ax.xaxis.set_major_locator(fewer)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(fewer))
        ax.tick_params(axis="x", rotation=0)


def _n_lines(ax: Axes) -> int:
    """Lines that the names of categories beside a panel take, with one between each two; 0 beside numbers."""
    if not isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        return 0
    return sum(name.get_text().count("\n") + 2 for name in ax.get_yticklabels())


def _one_legend(figure: Figure, panels: list[Axes]) -> None:
    """Put the entries of all legends into one below the panels, headed by what the data are."""
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in panels))]
    if not legends:
        return
    drawn = [dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True)) for ax in panels]
    known = {label: handle for of_panel in reversed(drawn) for label, handle in of_panel.items()}
    wanted = [text.get_text() for legend in legends for text in legend.get_texts()]
    said = [*(legend.get_title().get_text() for legend in legends), figure.get_supxlabel()]
    for legend in legends:
        legend.remove()
    figure.supxlabel("")
    figure.legend(
        [known[label] for label in dict.fromkeys(wanted)],
        [fill(label, _LINE) for label in dict.fromkeys(wanted)],
        title=fill("; ".join(filter(None, said)), _LINE),
        alignment="left",
        loc="outside lower left",
        ncols=2 if max(map(len, wanted)) <= _NAME else 1,
        fontsize=8.5,
        title_fontsize=8.5,
    )


def _lines(text: str, longest: int) -> str:
    return fill(" ".join(text.split()), longest)
