"""Ranges of parameters: read from the comment above each, and held before anything runs."""

import pytest

from journeybook.errors import JourneybookError
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.report.ranges import check_range, range_of

PAGES = discover()
OWN = {f"{page.name}.{name}": (page, parameter) for page in PAGES for name, parameter in page.own.items()}
NUMBERS = {key: (page, one) for key, (page, one) in OWN.items() if one.kind.split(" | ")[0] in ("int", "float")}


@pytest.mark.parametrize(
    ("meaning", "right", "wrong"),
    [
        ("Groups. Range 2 to 20.", [2, 20], [1, 21, 50]),
        ("Folds. At least 1.", [1, 9], [0, -3]),
        ("Draws. Range 16,000 and up.", [16_000], [15_999]),
        ("Order. 1 to 4.", [1, 4], [0, 5]),
        ("Days. 0 or more; 7 is the custom.", [0], [-1]),
        ("Share. Above 0, at most 0.8.", [0.1, 0.8], [0.0, 0.81]),
        ("Rate. Between 0 and 1.", [0.5], [0, 1, 2]),
        ("Power. Above alpha, below 1.", [0.06], [0.05, 1]),
        ("Edges, ascending, each above 0.", [[1, 2], []], [[2, 1], [1, 1], [0, 1]]),
        ("Budgets, at least one, each above 0.", [[0.1]], [[], [1, 0]]),
        ("Shares, at least two, each above 0.", [{"a": 1, "b": 2}], [{"a": 1}, {"a": 1, "b": 0}]),
        ("Rule. One of: holm, dunnett (many to one).", ["holm", "dunnett"], ["holms", ""]),
        (
            'Day, such as "2017-10-01", from first_day on.',
            ["2017-01-02", None],
            ["2016-12-31", "1.10.2017", "soon"],
        ),
        ("Code, in digits; empty for none.", ["44", ""], ["+44"]),
        ("Sessions of 10 events or more, in 28 days; nothing else is said of it.", [-1, 0, 10**9], []),
    ],
)
def test_a_comment_is_the_rule(meaning: str, right: list, wrong: list) -> None:
    others = {"alpha": 0.05, "first_day": "2017-01-01"}
    for value in right:
        check_range("it", {**others, "it": value}, meaning=meaning, where="pages.p.it")
    for value in wrong:
        with pytest.raises(JourneybookError, match=r"^pages\.p\.it (is|holds) .*[.?]$"):
            check_range("it", {**others, "it": value}, meaning=meaning, where="pages.p.it")


@pytest.mark.parametrize("key", NUMBERS)
def test_every_number_has_a_range_and_is_refused_outside_it(key: str) -> None:
    page, parameter = NUMBERS[key]
    found = range_of(parameter.meaning, page.own)
    assert found.low, f"the comment above {key} tells no range"
    for end, step in ((found.low, -1), (found.high, 1)):
        bound = page.own[end].default if end in page.own else float(end) if end else None
        if bound is None:
            continue
        beyond = float(bound) + step  # type: ignore[arg-type]
        value = int(beyond) if parameter.kind.startswith("int") else beyond
        with pytest.raises(JourneybookError, match=rf"^--set .*: pages\.{key} is {value} .*, but must be "):
            read_parameters(pages=PAGES, settings=[f"{key}={value}"])


def test_defaults_and_ends_of_ranges_are_taken() -> None:
    for page in PAGES:
        values = {name: parameter.default for name, parameter in page.own.items()}
        for name, parameter in page.own.items():
            check_range(name, values, meaning=parameter.meaning, where=name)
    ends = ["05_segmentation.max_segments=20", "03_identity.threshold=1.0", "02_cleaning.hidden_share=0.8"]
    read_parameters(pages=PAGES, settings=[*ends, "08_clickstream.group_by=[device, segment]"])


def test_a_bound_that_is_a_parameter_is_held_whichever_of_them_is_set() -> None:
    for settings in (["least_events=600"], ["most_events=3", "least_events=4"]):
        with pytest.raises(JourneybookError, match=r"most_events is \d+ .*at least least_events \(\d+\)\.$"):
            read_parameters(pages=PAGES, settings=[f"08_clickstream.{one}" for one in settings])
