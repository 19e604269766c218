"""Response is not effect: whom a message moves, beside who responds."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.decisions.choices import Choices
from journeybook.decisions.off_policy import doubly_robust_scores, off_policy_value
from journeybook.decisions.policy import PER, Deciding
from journeybook.statistics.clusters import clustered_error

REACHED_SHARE = 0.3
"""Share of the contacts that a campaign reaches, when two rankings are compared at one size."""

CURVE_SHARES = np.linspace(0, 1, 21)

RANKINGS = ("uplift", "response")
"""By the response that a message adds, as the model sees it, and by the response with a message."""


@dataclass(frozen=True, eq=False)
class Uplift:
    """Two rankings of the test contacts, and what messages add along each.

    Attributes:
        why_not: Why nothing is told, and the tables are empty; empty where something is.
        rankings: One row a ranking, and "difference" for the first less the second: `n_contacts` (to which a
            message may be sent), `qini` (area between the curve and a random choice's, in responses per 1,000
            contacts), and of the share `reached_share` that comes first `n_reached`, `responses_per_1000` (with a
            message), `anyway_per_1000` (without), `added_per_1000` (the difference) and `sure_visitors` (how many
            of the reached come anyway). Estimates with `_low` and `_high` (95 %, clustered by person).
        curve: One row a ranking and `contacted_share`: `added_per_1000`, responses added per 1,000 contacts when
            that share is sent a message, with `_low` and `_high`.
        scores: What the contacts are ranked by, shape (2, m), of the m that a message may be sent to.
        message: The permitted message of highest probability for each of them, shape (m,), place in `actions`.
        inside: Which of the test contacts they are, shape (test,).
        actions: Names of the choices.
    """

    why_not: str
    rankings: pd.DataFrame
    curve: pd.DataFrame
    scores: np.ndarray
    message: np.ndarray
    inside: np.ndarray
    actions: tuple[str, ...]


def uplift_study(deciding: Deciding, weights: np.ndarray) -> Uplift:
    """Rank the test contacts by effect and by response, and measure what messages add along each ranking.

    The message is, for each contact, the permitted one of highest probability. Its effect against `none` is
    measured by doubly robust scores (Robins, Rotnitzky & Zhao 1994): their mean over any group is unbiased for the
    mean effect there, whatever the model says, as the propensities are known and the model has not seen these
    contacts. Added up along a ranking they are Radcliffe's Qini curve (2007) for choices of uneven chance.

    `weights` are bootstrap weights of the test contacts, whole people drawn, shape (n_draws, test).
    """
    test = deciding.test
    if test is None:
        return _untold(deciding.why_not)
    inside = np.any(test.allowed[:, : test.nothing], axis=1)
    own = part_of(test, inside)
    message = np.where(own.allowed, own.probability, -np.inf)[:, : own.nothing].argmax(axis=1)
    nothing = np.full(len(message), own.nothing)
    for chosen in (message, nothing):
        if refusal := off_policy_value(own, chosen).refusal:
            return _untold(f"What a message adds cannot be told: {refusal}.")
    likely = own.probability[np.arange(len(message)), message]
    scores = np.stack([likely - own.probability[:, own.nothing], likely])
    sent, unsent = (doubly_robust_scores(own, chosen) for chosen in (message, nothing))
    every = np.concatenate([np.ones((1, len(message))), weights[:, inside]])
    orders = [np.argsort(-score, kind="stable") for score in scores]
    areas = np.stack([qini((sent - unsent)[order], every[:, order]) for order in orders])
    curves = []
    for name, order in zip(RANKINGS, orders, strict=True):
        added = _with_ends("added_per_1000", PER * added_along((sent - unsent)[order], every[:, order]))
        curves.append(pd.DataFrame({"ranking": name, "contacted_share": CURVE_SHARES, **added}))
    rankings, curve = _rankings(sent, unsent, orders, areas, own.person), pd.concat(curves, ignore_index=True)
    return Uplift("", rankings, curve, scores, message, inside, test.actions)


def weigh_by_value(sent: pd.DataFrame, found: Uplift, values: pd.DataFrame | None) -> pd.DataFrame:
    """Return whom a message would be sent first by its effect, and by that times what the person is worth.

    Values are of the end of the data, later than these contacts: they tell whom to write to next, and no gain.

    Args:
        sent: Contacts of which `found` ranks those of part `test`.
        found: The effect of a message on each.
        values: `person_id` and `value` of page 06's table `lifetime_value`; None where there is none.

    Returns:
        One row a person with a value: `person_id`, `added` (responses a message adds by the model, mean over the
        person's contacts), `value`, and whether among the first `REACHED_SHARE` `by_effect` and `by_value` (effect
        times value), ties in order of the contacts. Empty without values or effects.
    """
    columns = ["person_id", "added", "value", "by_effect", "by_value"]
    if values is None or found.why_not:
        return pd.DataFrame(columns=columns)
    asked = sent.loc[sent["part"] == "test", "person_id"].to_numpy()[found.inside]
    effects = pd.DataFrame({"person_id": asked, "added": found.scores[0]})
    people = effects.groupby("person_id", sort=False, as_index=False).mean().merge(values, on="person_id")
    first = round(REACHED_SHARE * len(people))
    weighed = {"by_effect": people["added"], "by_value": people["added"] * people["value"]}
    return people.assign(**{name: (-by).rank(method="first") <= first for name, by in weighed.items()})


def added_along(added: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what the first contacts add, per contact of all, at each of `CURVE_SHARES`, shape (n_draws, 21).

    `added` are scores of the effect in the order of the ranking, shape (n,), `weights` how often each counts,
    shape (n_draws, n).
    """
    share, total = np.zeros((2, len(weights), len(added) + 1))
    np.cumsum(weights, axis=1, out=share[:, 1:])
    np.cumsum(weights * added, axis=1, out=total[:, 1:])
    n = share[:, -1:].copy()
    return np.array([np.interp(CURVE_SHARES, x, y) for x, y in zip(share / n, total / n, strict=True)])


def qini(added: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area between what a ranking adds and what a random choice of as many adds, in closed form.

    The mean of the scores times one half less the rank: the first of n has rank 1 / 2n, the last 1 - 1 / 2n.

    >>> qini(np.array([1.0, 0.0]), np.ones((1, 2))).tolist()
    [0.125]
    """
    total = weights.sum(axis=1, keepdims=True)
    rank = (np.cumsum(weights, axis=1) - weights / 2) / total
    return ((0.5 - rank) * weights * added).sum(axis=1) / total[:, 0]


def true_uplift(found: Uplift, true: np.ndarray) -> pd.DataFrame:
    """Return the table `rankings` as the true probabilities make it, without intervals.

    `errors_off` says by how many of its standard errors the estimated Qini coefficient lies above the true one.
    """
    own = true[found.inside]
    reached, unsent = own[np.arange(len(own)), found.message], own[:, -1]
    orders = [np.argsort(-score, kind="stable") for score in found.scores]
    areas = np.stack([qini((reached - unsent)[order], np.ones((1, len(order)))) for order in orders])
    table = _rankings(reached, unsent, orders, areas, np.arange(len(own)))
    error = (found.rankings["qini_high"] - found.rankings["qini_low"]) / 2 / norm.ppf(0.975)
    kept = table[[name for name in table if not str(name).endswith(("_low", "_high"))]]
    return kept.assign(errors_off=(found.rankings["qini"] - table["qini"]) / error)


def part_of(logged: Choices, inside: np.ndarray) -> Choices:
    """Return some of the choices: those where `inside`, shape (n,), is true."""
    arrays = {f.name: getattr(logged, f.name)[inside] for f in fields(logged) if f.name != "actions"}
    return replace(logged, **arrays)


def _rankings(
    sent: np.ndarray, unsent: np.ndarray, orders: list[np.ndarray], areas: np.ndarray, person: np.ndarray
) -> pd.DataFrame:
    """One row a ranking and one for their difference; `areas` has the estimate first, then the draws."""
    n, n_reached = len(sent), round(REACHED_SHARE * len(sent))
    measured = {"responses_per_1000": sent, "anyway_per_1000": unsent, "added_per_1000": sent - unsent}
    means, influences = [], []
    for order in orders:
        first = np.zeros(n, dtype=bool)
        first[order[:n_reached]] = True
        mean = np.array([score[first].mean() for score in measured.values()])
        off = [np.where(first, score - at, 0.0) for score, at in zip(measured.values(), mean, strict=True)]
        means.append(mean)
        influences.append(np.array(off) * n / n_reached)
    records = []
    rows = [
        *zip(means, influences, areas, strict=True),
        (means[0] - means[1], influences[0] - influences[1], areas[0] - areas[1]),
    ]
    for name, (mean, influence, area) in zip((*RANKINGS, "difference"), rows, strict=True):
        record: dict[str, Any] = {"ranking": name, "n_contacts": n, **_with_ends("qini", PER * area)}
        record |= {"reached_share": REACHED_SHARE, "n_reached": n_reached}
        for figure, at, off in zip(measured, mean, influence, strict=True):
            half = norm.ppf(0.975) * clustered_error(off, person)
            record |= {figure: PER * at, f"{figure}_low": PER * (at - half), f"{figure}_high": PER * (at + half)}
        for end in ("", "_low", "_high"):
            record[f"sure_visitors{end}"] = record[f"anyway_per_1000{end}"] * n_reached / PER
        records.append(record)
    return pd.DataFrame(records)


def _with_ends(name: str, draws: np.ndarray) -> dict[str, np.ndarray]:
    """The first of some draws as estimate, with normal ends by the standard deviation of the others."""
    half = norm.ppf(0.975) * draws[1:].std(axis=0, ddof=1) if len(draws) > 2 else np.nan
    return {name: draws[0], f"{name}_low": draws[0] - half, f"{name}_high": draws[0] + half}


def _untold(why_not: str) -> Uplift:
    nobody = np.zeros(0, dtype=int)
    return Uplift(why_not, pd.DataFrame(), pd.DataFrame(), np.zeros((2, 0)), nobody, nobody.astype(bool), ())
