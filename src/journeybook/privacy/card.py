"""The card that goes with a release: what it holds, what it promises, what it does not; no figure of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from journeybook.privacy.asking import Plan
from journeybook.privacy.ledger import Entry
from journeybook.privacy.mechanisms import CUT_SHARE
from journeybook.privacy.releases import CENTS
from journeybook.privacy.utility import DECISIONS

Decisions = Mapping[str, Sequence[Mapping[str, Any]]]

_KINDS = {
    "people": "how many there are",
    "rows": "how many rows they have",
    "sum": "the sum of {of}",
    "mean": "the sum of {of}, how many there are, and the one over the other",
    "histogram": "how many have a total {of} in each band",
    "quantiles": "quantiles of the total {of} of each",
    "rate": "rows, those of them with {of}, and their share",
    "transitions": "how many went from one {of} to the next, and shares of those who left it",
}


def write_card(plan: Plan, made: Sequence[Entry], decisions: Decisions, *, data_is: str, has_ledger: bool) -> str:
    """Return the card of a release, as Markdown.

    `made` are the entries of the ledger, one a release, and `decisions` what `budgets_of_release` says of each.
    """
    consent = (
        "Whoever did not permit `analytics` in the consent ledger, as of the release, is not in it."
        if has_ledger
        else "**The data have no consent ledger: nobody was asked here whether they permit it.**"
    )
    lines = [
        "# Data card",
        "",
        f"Data: **{data_is}**. {consent}",
        "",
        f"Protected is each {plan.unit}, with everything they did. Every figure was noised, or computed from "
        "noised ones. Nothing exact is in this folder: `figures.csv`, `mechanisms.json` and this card.",
        "",
        "| release | holds | by | a unit counts with at most | cost | ledger entry |",
        "|---|---|---|---|---|---|",
    ]
    for asked, entry in zip(plan.releases, made, strict=True):
        most = f"{asked.rows:,} rows, {asked.groups:,} group{'s' if asked.groups > 1 else ''}"
        most += f", {asked.amount / CENTS:,.2f} {plan.currency or 'currency'} a group" if asked.amount else ""
        cost = f"rho {entry['rho']:.4g}" if "rho" in entry else f"epsilon {entry['epsilon']:.4g}"
        cost += f", delta {entry['delta']:.2g}" if entry["delta"] else ""
        holds = _KINDS[asked.kind].format(of=asked.of)
        grouped = ", ".join(asked.by) or "everybody"
        lines.append(f"| {asked.name} | {holds} | {grouped} | {most} | {cost} | {entry['entry']} |")
    if plan.segment_of:
        edges = ", ".join(f"{edge:,.0f}" for edge in plan.segment_edges)
        lines += ["", f"Segments are bands of each unit's own total {plan.segment_of[1]}, declared: {edges}."]
    lines += [
        "",
        "## How to read it",
        "",
        "* `low` and `high` hold what the bounded rows add up to, 95 times of 100; only the noise enters.",
        "* `cut` says of how many units a part was cut off by the bounds: sums and counts read too low by it. It "
        f"is noised too, and takes {CUT_SHARE:.0%} of a release's budget.",
        "* No figure is negative, and groups add up to `total`: computed afterwards from noised figures.",
        "* Groups that were found in the data are listed where their noised count passes the threshold.",
        *_enough(plan, decisions),
        "",
        "## What is promised",
        "",
        f"Whoever reads this, whatever else they know, sees nearly the same figures without any one {plan.unit}: "
        "no outcome is more than exp(epsilon) times as likely, but with probability delta. Losses of all releases "
        "of a budget add up; the ledger keeps them, also for releases in other folders.",
        "",
        "## What is not",
        "",
        "* What is true of everybody is not hidden, and several units together are protected less.",
        "* Rows are taken as pages 01 to 03 left them. Where one customer's rows decide how another's are cleaned "
        "or linked, that influence is not covered.",
        "* Rows that belong to no customer are left out.",
    ]
    return "\n".join(lines) + "\n"


def _enough(plan: Plan, decisions: Decisions) -> list[str]:
    """Say what each decision that a release invites would cost to be right, by its noised figures alone."""
    lines = []
    for asked in plan.releases:
        what = "rho" if asked.rho else "epsilon"
        for one in decisions[asked.name]:
            least = (
                f"{what} {one['budget']:.3g} ({one['low']:.3g} to {one['high']:.3g})" if one["high"] else "none"
            )
            told = f"* {asked.name}, {DECISIONS[one['decision']]}: right 95 times of 100 from {least} on"
            lines.append(
                f"{told}; {asked.rho or asked.epsilon:.3g} was spent. The figures here are taken as true."
            )
    return lines
