"""A figure laid out for a phone: as narrow, nothing lost, each letter large enough."""

import re
from itertools import pairwise

import matplotlib.pyplot as plt
import pytest

from journeybook.plots import as_bundle, headed, stamp, use_house_style
from journeybook.plots.narrow import WIDTH

LONG = "Of all that was looked at here this is by far the longest title, which no phone shows in one line"


@pytest.fixture
def figure():
    """Three panels beside each other, with names shared by all, one label for all, and a legend each."""
    use_house_style()
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
    for ax in axes:
        ax.plot([1, 2], [0, 1], label="a line")
        ax.set_yticks([0, 1], ["first", "a second one with a name of more than a line"])
        ax.legend()
    axes[1].set_xlabel("said once for all three")
    headed(figure, LONG)
    yield stamp(figure, "SIMULATED")
    plt.close(figure)


def test_panels_stand_below_each_other_with_their_names(figure) -> None:
    wide, narrow = list(as_bundle(figure).values())[1:]
    (of_wide, of_narrow) = (float(re.search(r'width="([\d.]+)pt"', svg)[1]) for svg in (wide, narrow))
    assert of_wide > 600 and of_narrow <= 72 * WIDTH + 15
    places = [ax.get_position() for ax in figure.axes]
    assert all(below.y1 < above.y0 for above, below in pairwise(places))
    assert all(ax.get_yticklabels()[1].get_text().count("\n") == 2 for ax in figure.axes)
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "said once for all three"]


def test_title_and_legend_are_said_once_and_whole(figure) -> None:
    bundle = as_bundle(figure)
    assert bundle["text/plain"] == figure.get_suptitle().replace("\n", " ") == LONG
    assert max(map(len, figure.get_suptitle().splitlines())) <= 40
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a line"]
    assert legend.get_title().get_text() == "data: SIMULATED"
    texts = [text for text in figure.findobj(plt.Text) if text.get_text().strip() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 8


def test_the_title_of_the_only_panel_stands_above_the_figure(figure) -> None:
    figure.clear()
    ax = figure.subplots()
    ax.set_title(LONG)
    assert as_bundle(figure)["text/plain"] == LONG
    assert ax.get_title("left") == "" and figure.get_suptitle().replace("\n", " ") == LONG
