"""How every figure looks. One module a page; each only draws."""

import io
import textwrap
from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from journeybook.journeys import said
from journeybook.plots.narrow import lay_out
from journeybook.showing import show_tables

NARROW = "application/vnd.journeybook.narrow+svg"
"""What a notebook calls a figure's drawing for a phone."""

# Okabe & Ito (2008): told apart by people of every colour vision.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "grey": "#6E6E6E",
}


def use_house_style() -> None:
    """Set how the figures that follow look, and how a notebook shows tables."""
    show_tables()
    plt.rcParams.update(
        {
            "figure.figsize": (8.5, 4.2),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "grid.color": "#E3E3E3",
            "grid.linewidth": 0.8,
            "font.size": 10,
            "legend.frameon": False,
            # Identifiers inside a figure's file are drawn from this salt, so that two runs give the same bytes.
            "svg.hashsalt": "journeybook",
        }
    )


def as_bundle(figure: Figure) -> dict[str, str]:
    """Return a figure as a notebook keeps it, with a second drawing for a phone; it is laid out anew for that."""
    bundle = {"text/plain": say_titles(figure), "image/svg+xml": _as_svg(figure)}
    headed(figure, lay_out(figure))
    return bundle | {NARROW: _as_svg(figure)}


def _as_svg(figure: Figure) -> str:
    """A figure as SVG, cut to what is drawn.

    Its places are worked out here, once: to save it as it is, matplotlib would draw all of it for them beforehand.
    """
    FigureCanvasSVG(figure)
    dpi, engine = figure.dpi, figure.get_layout_engine()
    figure.set_dpi(72)
    if engine is not None:
        engine.execute(figure)
    with plt.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
    drawn, cut = io.StringIO(), figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
    figure.savefig(drawn, format="svg", dpi=dpi, bbox_inches=cut, metadata={"Date": None})
    figure.set_dpi(dpi)
    figure.set_layout_engine(engine)
    return drawn.getvalue()


def say_titles(figure: Figure) -> str:
    """Return the titles of a figure, for those who do not see it."""
    of_axes = [ax.get_title(place) for ax in figure.axes for place in ("left", "center", "right")]
    titles = [title.rstrip(".") for title in (figure.get_suptitle(), *of_axes) if title]
    return " ".join(". ".join(titles).split()) or "Figure"


def stamp(drawn: Axes | Figure, provenance: str) -> Figure:
    """Write at the foot of a figure what its data are (REAL, SIMULATED, MIXED or YOURS), and return the figure."""
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    assert figure is not None
    figure.supxlabel(f"data: {provenance}", x=0.995, ha="right", fontsize=8, color=COLOURS["grey"])
    return figure


def shortened(names: Iterable[str], *, longest: int = 22) -> dict[str, str]:
    """Return how each name is written in a figure: long ones cut, but so that they can be told apart.

    They are cut at their end, and where they begin alike, as web addresses do, in their middle. A `$` stands for
    itself there, and begins no formula.

    >>> shortened(["home", "Summer sale landing page"], longest=12)
    {'home': 'home', 'Summer sale landing page': 'Summer sale…'}
    >>> list(shortened(["https://shop.example/boots", "https://shop.example/coats"], longest=12).values())
    ['https:…boots', 'https:…coats']
    """
    whole = list(dict.fromkeys(names))
    cut = {name: name for name in whole}
    lengths = range(longest - 1, max(map(len, whole), default=0))
    for kept, head in [(n, head) for n in lengths for head in (n, (n + 1) // 2)]:
        short = {name: _without_middle(name, head, kept - head) for name in whole}
        if len(set(short.values())) == len(whole):
            cut = short
            break
    return {name: short.replace("$", r"\$") for name, short in cut.items()}


def in_words(names: Iterable[str], *, longest: int = 22) -> dict[str, str]:
    """Return how each state or channel is written in a figure: in words, and cut as `shortened` does."""
    told = {name: said(name) for name in names}
    short = shortened(told.values(), longest=longest)
    return {name: short[text] for name, text in told.items()}


def _without_middle(name: str, head: int, tail: int) -> str:
    if len(name) <= head + 1 + tail:
        return name
    return f"{name[:head].rstrip()}…{name[len(name) - tail :].lstrip()}"


def part_of(n: int, n_all: int, what: str) -> str:
    """Return what a title adds where not all is drawn; otherwise nothing."""
    return f" ({n} of {n_all} {what})" if n < n_all else ""


def headed(drawn: Axes | Figure, text: str) -> None:
    """Write what a figure found above it, in as many lines as its width needs."""
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    assert figure is not None
    text = (text[:1].upper() + text[1:]).replace("$", r"\$")
    lines = textwrap.wrap(text, width=int(10.5 * figure.get_figwidth()))
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12)


def draw_intervals(
    ax: Axes, rows: pd.DataFrame, name: str, at: ArrayLike, *, colour: str, upright: bool = False, **look: Any
) -> None:
    """Draw the estimates `name` of rows with their intervals beside the places `at`, or above them if upright."""
    # The mean of skewed figures may lie beyond its interval, which then has no arm on that side.
    arms = [(rows[name] - rows[f"{name}_low"]).clip(lower=0), (rows[f"{name}_high"] - rows[name]).clip(lower=0)]
    look = {"fmt": "o", "markersize": 4.5, "elinewidth": 1.1, "capsize": 2.5, "color": COLOURS[colour]} | look
    if upright:
        ax.errorbar(at, rows[name], yerr=arms, **look)
    else:
        ax.errorbar(rows[name], at, xerr=arms, **look)
