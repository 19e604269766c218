"""What a page found: at most five sentences that say how large, how sure, and what to do; and numbers in words."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

MOST = 5
"""Findings of a page at most."""

STRENGTHS = {
    "counted": "a count of all rows; nothing is estimated",
    "known answer recovered": "what the simulation planted lies in the interval, or is what was found",
    "clear": "the interval excludes no effect, after correction for everything that was tried",
    "suggestive": "the interval excludes no effect only before correction, or on part of the evidence",
    "contradicted": "the planted truth, an experiment or another method says otherwise",
    "cannot be told": "the interval includes no effect, or the data lack what an answer needs",
}
"""How sure a finding is, and the rule for it."""

WORTH = {
    1: "money or customers are being lost now, or somebody is treated worse than others",
    2: "it decides what to do next",
    3: "it is good to know",
}
"""What a finding is worth to whoever decides."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a page found.

    Attributes:
        text: One plain sentence, with its size, that a manager understands; at most 30 words.
        action: What to do, or what cannot be done, in one sentence of at most 30 words.
        strength: How sure it is, one of `STRENGTHS`.
        worth: What it is worth, one of `WORTH`.
        section: Heading of the page's section that shows it.
        value: Its size; None where it has no figure.
        low: Lower end of the 95 % interval, unless the text names another level; None without one.
        high: Upper end.
        unit: What the figures count: `share`, `points` (of a share), a currency such as `USD`, `money` where none
            is known, or a plural noun such as `people`.
        figure: Which figure of the section shows it, from 0; None where none does.
    """

    text: str
    action: str
    strength: str
    worth: int
    section: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    figure: int | None = 0

    def __post_init__(self) -> None:
        """Refuse a strength or worth without a rule, and half an interval.

        Raises:
            ValueError: As said.
        """
        if self.strength not in STRENGTHS:
            raise ValueError(f"strength is {self.strength!r}: it must be one of {', '.join(STRENGTHS)}.")
        if self.worth not in WORTH:
            raise ValueError(f"worth is {self.worth!r}: it must be one of {', '.join(map(str, WORTH))}.")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"low is {self.low} and high is {self.high}: an interval needs both.")


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Return the five findings worth most, worth before order; the contradicted come first among equals."""
    ranked = sorted(findings, key=lambda f: (f.worth, f.strength != "contradicted"))
    return ranked[:MOST]


def strength_of(
    low: float,
    high: float,
    *,
    nothing: float = 0,
    true: float | None = None,
    before: tuple[float, float] = (float("nan"), float("nan")),
) -> str:
    """Return how sure an interval is, one of `STRENGTHS`.

    Args:
        low: Lower end, corrected for all that was tried.
        high: Upper end.
        nothing: Where there is no effect.
        true: What was planted; None where that is not known.
        before: The ends before correction.

    >>> strength_of(1, 3), strength_of(1, 3, true=4), strength_of(-1, 3, before=(0.5, 2))
    ('clear', 'contradicted', 'suggestive')
    """
    if true is not None and not low <= true <= high:
        return "contradicted"
    if low > nothing or high < nothing:
        return "clear" if true is None else "known answer recovered"
    return "suggestive" if before[0] > nothing or before[1] < nothing else "cannot be told"


def wider(n_tried: int) -> float:
    """Return by how much a 95 % interval grows that is one of several (Bonferroni)."""
    return NormalDist().inv_cdf(1 - 0.025 / n_tried) / NormalDist().inv_cdf(0.975)


def size(value: float, low: float, high: float, unit: str) -> dict[str, Any]:
    """Return the figure of a finding, as its keywords."""
    return {"value": float(value), "low": float(low), "high": float(high), "unit": unit}


def say_in_short(findings: Sequence[Finding]) -> str:
    """Return the head of a page, as Markdown: one bullet a finding, and how sure it is."""
    bullets = [f"* **{f.text}** {f.action} *({f.strength})*" for f in ordered(findings)]
    return "\n".join(["**In short**", "", *(bullets or ["* Nothing was found that a decision could rest on."])])


def say_size(finding: Finding) -> str:
    """Return a finding's figure with its interval; empty where it has none.

    >>> f = Finding(text="", action="", strength="clear", worth=2, section="", value=0.056, low=0.044, high=0.068,
    ...             unit="points")
    >>> say_size(f)
    '+5.6 points (4.4 to 6.8)'
    """
    if finding.value is None:
        return ""
    say, unit = _SAID.get(finding.unit, (say_count, f" {finding.unit}"))
    if re.fullmatch("[A-Z]{3}", finding.unit):
        say = say_money
    told = f"{say(finding.value)}{unit}"
    if finding.low is None or finding.high is None:
        return told
    return f"{told} ({say_interval(say, finding.low, finding.high)})"


def say_count(n: float) -> str:
    """Return a count in at most four digits.

    >>> [say_count(n) for n in (0.42, 7, 1522.5, 64_268, 2_452_012)]
    ['0.42', '7', '1,522', '64,270', '2.45 million']
    """
    if abs(n) >= 999_950:
        return f"{n / 1e6:.3g} million"
    if abs(n) < 10 and n != round(n):
        return f"{n:.2g}"
    return f"{float(f'{n:.4g}'):,.0f}"


def say_share(share: float) -> str:
    """Return a share in per cent.

    >>> [say_share(s) for s in (0.4766, 0.0023, 0.00002, 1)]
    ['47.7%', '0.23%', 'below 0.01%', '100%']
    """
    if 0 < abs(share) < 0.0001:
        return "below 0.01%"
    return f"{share:.0%}" if share in (0, 1) else f"{share:.2%}" if abs(share) < 0.01 else f"{share:.1%}"


def say_points(difference: float) -> str:
    """Return the difference of two shares in percentage points, with its sign.

    >>> say_points(-0.0212)
    '-2.1 points'
    """
    return f"{_points(difference)} points"


def say_money(amount: float, *, currency: str | None = None) -> str:
    """Return an amount in at most four digits, with its currency where one is known.

    >>> say_money(3.5), say_money(617.6, currency="USD"), say_money(4_596_039, currency="EUR")
    ('3.50', '618 USD', '4.6 million EUR')
    """
    said = f"{amount:,.2f}" if abs(amount) < 100 and amount != round(amount) else say_count(amount)
    return f"{said} {currency}" if currency else said


def say_group(name: str) -> str:
    """Return the name of a group of people without the number that orders it.

    >>> say_group("1 frequent"), say_group("1960"), say_group("18-24")
    ('frequent', '1960', '18-24')
    """
    return re.sub(r"^\d+ (?=[a-z])", "", name)


def say_feature(name: str) -> str:
    """Return the name of a feature in words.

    >>> say_feature("n_baskets_91d"), say_feature("baskets_per_28d"), say_feature("recency_days")
    ('baskets in 91 days', 'baskets per 28 days', 'recency days')
    """
    name = re.sub(r"(?<!per)_(\d+)d$", r" in \1 days", name.removeprefix("n_"))
    return re.sub(r"_(\d+)d$", r" \1 days", name).replace("_", " ")


def say_names(names: Sequence[str], *, most: int = 6) -> str:
    """Return names, one or more, as a sentence lists them; of those after the first `most` only how many.

    >>> say_names(["a", "b", "c"]), say_names(["a", "b", "c"], most=2)
    ('a, b and c', 'a, b and 1 more')
    """
    shown = [*names[:most], *[f"{len(names) - most} more"] * (len(names) > most)]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]


def say_interval(say: Callable[[float], str], low: float, high: float) -> str:
    """Return two ends of an interval, each said as `say` says it.

    >>> say_interval(say_share, 0.044, 0.068)
    '4.4% to 6.8%'
    """
    return f"{say(low)} to {say(high)}".replace("+", "")


def say_p(p: float) -> str:
    """Return a p-value, never smaller than can be said.

    >>> [say_p(p) for p in (3e-19, 0.0336)]
    ['p < 0.001', 'p = 0.034']
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


_SAID: dict[str, tuple[Callable[[float], str], str]] = {
    "share": (say_share, ""),
    "points": (_points, " points"),
    "money": (say_money, ""),
    "": (say_count, ""),
}
