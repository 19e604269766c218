"""The values a parameter may have, as the comment above it says: what the user reads is what is checked.

Understood are "Range 2 to 20", "At least 1", "1 or more", "Above 0, at most 0.8", "Above alpha, below 1" (another
parameter of the page), "Between 0 and 1" (without its ends), "One of: a, b", "ascending", "in digits", and a day
given as an example. Of a list or mapping each value is meant; "at least one" counts them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from journeybook.errors import JourneybookError, nearest
from journeybook.report.reading import said

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_COUNTS = {"one": 1, "two": 2}
_EXAMPLES = {"a day such as 2017-10-01": r'such as "\d{4}-\d\d-\d\d"', "digits": r"\bin digits\b"}


@dataclass(frozen=True)
class Range:
    """Which values a comment allows.

    Attributes:
        low: The least number or day, or the parameter that holds it; empty for none.
        above: Whether `low` itself is too little.
        high: The greatest, or the parameter that holds it; empty for none.
        below: Whether `high` itself is too much.
        choices: The only texts; empty where any text will do.
        form: What a text must be, one of `_EXAMPLES`; empty for any.
        least_values: Values that a list or mapping needs.
        ascending: Whether a list must ascend.
    """

    low: str
    above: bool
    high: str
    below: bool
    choices: tuple[str, ...]
    form: str
    least_values: int
    ascending: bool


def range_of(meaning: str, names: Iterable[str] = ()) -> Range:
    """The range that a parameter's comment tells; `names` are the page's parameters.

    >>> found = range_of("Share of known cells hidden. Above 0, at most 0.8.")
    >>> found.low, found.above, found.high, found.below
    ('0', True, '0.8', False)
    """
    end = rf"(?:{'|'.join([_NUMBER, *names])})(?!\w)"
    opening = r"(?:^|[.,;] |range |each |from )"
    low = re.search(
        rf"\b(?P<open>above|between) (?P<a>{end})|\b(?:at least|from) (?P<b>{end})"
        rf"|{opening}(?P<c>{end})(?= (?:to {end}|or more|and up)\b)",
        meaning,
        re.IGNORECASE,
    )
    high = re.search(
        rf"\b(?P<open>below|between {end} and) (?P<a>{end})|\bat most (?P<b>{end})|{opening}{end} to (?P<c>{end})",
        meaning,
        re.IGNORECASE,
    )
    choices = re.search(r"\bone of: (.+?)\.", meaning, re.IGNORECASE)
    several = re.search(r"\bat least (one|two)\b", meaning, re.IGNORECASE)
    return Range(
        low=next(filter(None, low.group("a", "b", "c"))).replace(",", "") if low else "",
        above=bool(low and low["open"]),
        high=next(filter(None, high.group("a", "b", "c"))).replace(",", "") if high else "",
        below=bool(high and high["open"]),
        choices=tuple(re.sub(r" \(.*?\)", "", choices[1]).split(", ")) if choices else (),
        form=next((form for form, sign in _EXAMPLES.items() if re.search(sign, meaning)), ""),
        least_values=_COUNTS[several[1].lower()] if several else 0,
        ascending="ascending" in meaning,
    )


def check_range(name: str, values: Mapping[str, object], *, meaning: str, where: str) -> None:
    """Raise one sentence where a parameter's value is not what its comment allows.

    Args:
        name: The parameter.
        values: All values of the page, for a bound may be another parameter.
        meaning: The parameter's comment.
        where: The key it is given for.

    Raises:
        JourneybookError: The value or one in it is out of range, no choice, of another form; too few are given.
    """
    allowed, value = range_of(meaning, values), values[name]
    holds = f"{where} {'holds' if isinstance(value, list | dict) else 'is'}"
    if isinstance(value, list | dict) and len(value) < allowed.least_values:
        least = "a value" if allowed.least_values == 1 else f"{allowed.least_values} values"
        raise JourneybookError(f"{where} holds {len(value)} values, but at least {least} must be in it.")
    for one in _leaves(value):
        if isinstance(one, str):
            _check_text(one, allowed, holds=holds)
        low, high = (_bound(end, values, one) for end in (allowed.low, allowed.high))
        below = low is not None and (one < low or (allowed.above and one == low))
        if below or (high is not None and (one > high or (allowed.below and one == high))):
            raise JourneybookError(f"{holds} {said(one)}, but must be {_words(allowed, values)}.")
    if allowed.ascending and isinstance(value, list) and any(a >= b for a, b in pairwise(value)):
        raise JourneybookError(f"{where} is {said(value)}, but must ascend.")


def _leaves(value: object) -> Iterator:
    if isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def _check_text(value: str, allowed: Range, *, holds: str) -> None:
    if allowed.choices and value not in allowed.choices:
        raise JourneybookError(f"{holds} {said(value)}; {nearest(value, allowed.choices)}")
    right = True
    if allowed.form == "digits":
        right = re.fullmatch(r"[0-9]*", value) is not None
    elif allowed.form:
        try:
            date.fromisoformat(value)
        except ValueError:
            right = False
    if not right:
        raise JourneybookError(f"{holds} {said(value)}, but must be {allowed.form}.")


def _bound(end: str, values: Mapping[str, object], value: object) -> float | str | None:
    """The bound of a value of the same kind, None where there is none."""
    bound = values.get(end, float(end) if end[:1].isdigit() else None)
    return bound if isinstance(bound, str) == isinstance(value, str) else None  # type: ignore[return-value]


def _words(allowed: Range, values: Mapping[str, object]) -> str:
    """The range in words: `above 0 and at most 0.8`, `above alpha (0.05) and below 1`."""
    low, high = (f"{end} ({values[end]})" if end in values else end for end in (allowed.low, allowed.high))
    if low and high and not (allowed.above or allowed.below):
        return f"from {low} to {high}"
    least, most = "above" if allowed.above else "at least", "below" if allowed.below else "at most"
    return " and ".join([*([f"{least} {low}"] if low else []), *([f"{most} {high}"] if high else [])])
