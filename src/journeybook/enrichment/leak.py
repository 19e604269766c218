"""The pitfall: features that know what came after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from journeybook.enrichment.snapshots import feature_snapshots
from journeybook.statistics import cluster_bootstrap

_FOLDS = 5

# Fewer responses, or fewer people, than this say nothing about a ranking.
_FEW = 20


@dataclass(frozen=True, eq=False)
class LeakExamples:
    """Outcomes with features as of the date of the question, and as of the end of the data.

    Attributes:
        question: What is predicted, in a few words.
        outcome: Whether it happened, shape (n,).
        people: Number of the person of each row, by first appearance, shape (n,).
        as_of: Features known when the question was asked, shape (n, k).
        later: The same features as of the end of the data, shape (n, k).
        feature_names: Names of the k features.
    """

    question: str
    outcome: NDArray[np.bool_]
    people: NDArray[np.int64]
    as_of: NDArray[np.float64]
    later: NDArray[np.float64]
    feature_names: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether both outcomes are there, for enough people, to rank them."""
        n_each = min(self.outcome.sum(), (~self.outcome).sum())
        return bool(n_each >= _FEW and len(np.unique(self.people)) >= _FEW)


@dataclass(frozen=True, eq=False)
class LeakTrial:
    """Ranking power of one model with honest and with leaking features.

    Attributes:
        figures: `features` (`as of the date`, `as of the end`, `difference`), `roc_auc`, `roc_auc_low`,
            `roc_auc_high`: 95 % intervals, people drawn whole.
        n_rows: Questions.
        n_people: People asked about.
        outcome_share: Share of the questions answered yes.
    """

    figures: pd.DataFrame
    n_rows: int
    n_people: int
    outcome_share: float


def coupon_examples(
    transactions: ibis.Table, contacts: ibis.Table, *, end: datetime, names: Sequence[str]
) -> LeakExamples:
    """Return who redeemed a coupon, with features as of the day of sending and as of the end.

    Contacts before the first receipt, or whose outcome is cut off by the end, are left out.

    Args:
        transactions: Clean receipt lines with `person_id`.
        contacts: Clean contacts with `person_id`, `occurred_at`, `responded`.
        end: First midnight after the data.
        names: Features to use.
    """
    first = transactions.occurred_at.min().execute()
    asked = contacts.filter(contacts.person_id.notnull(), contacts.occurred_at >= ibis.literal(first))
    if "cut_off" in asked.columns:
        asked = asked.filter(~asked.cut_off)
    asked = asked.select("row", "person_id", "responded", as_of=asked.occurred_at.truncate("D"))
    rows = asked.order_by("row").to_pandas()
    dates = sorted({date.to_pydatetime() for date in rows.as_of} | {end})
    snapshots = feature_snapshots(transactions, as_of_dates=dates, products=None, groups={}, hours=False)
    return _examples(
        "who responds to a coupon", rows.rename(columns={"responded": "outcome"}), snapshots, end, names
    )


def next_purchase_examples(transactions: ibis.Table, *, dates: Sequence[datetime], names: Sequence[str]):
    """Return who buys until the next snapshot, with features as of the snapshot and as of the last one.

    Args:
        transactions: Clean receipt lines with `person_id`.
        dates: Dates of the snapshots, at least two.
        names: Features to use.
    """
    snapshots = feature_snapshots(transactions, as_of_dates=dates, products=None, groups={}, hours=False)
    asked_on, until = dates[-2], dates[-1]
    between = transactions.filter(
        transactions.occurred_at >= ibis.literal(asked_on), transactions.occurred_at < ibis.literal(until)
    )
    asked = snapshots.filter(snapshots.as_of == ibis.literal(asked_on)).select("row", "person_id", "as_of")
    buyers = between.select(buyer=between.person_id).distinct()
    rows = asked.left_join(buyers, asked.person_id == buyers.buyer)
    rows = rows.mutate(outcome=rows.buyer.notnull()).drop("buyer").order_by("row").to_pandas()
    return _examples(f"who buys from {asked_on:%d %B %Y} on", rows, snapshots, until, names)


def leak_trial(examples: LeakExamples, *, n_draws: int, rng: np.random.Generator) -> LeakTrial:
    """Rank the outcomes by logistic regression on both sets of features, across folds of whole people.

    Args:
        examples: The questions.
        n_draws: Bootstrap samples of people, at least 20.
        rng: Chance of the bootstrap.

    Raises:
        ValueError: One of the outcomes, or people, are too few, or `n_draws` is below 20.
    """
    if not examples.enough:
        raise ValueError(
            f"{examples.question}: {examples.outcome.sum()} of {len(examples.outcome)} rows say yes; at least "
            f"{_FEW} of each outcome and {_FEW} people are needed."
        )
    if n_draws < 20:
        raise ValueError(f"n_draws is {n_draws}: it must be at least 20.")
    outcome = examples.outcome
    honest, leaking = (_score(features, outcome, examples.people) for features in (examples.as_of, examples.later))

    def aucs(weights: np.ndarray | None) -> np.ndarray:
        two = [float(roc_auc_score(outcome, score, sample_weight=weights)) for score in (honest, leaking)]
        return np.array([*two, two[1] - two[0]])

    interval = cluster_bootstrap(examples.people, aucs, n_draws=n_draws, rng=rng)
    figures = pd.DataFrame(
        {
            "features": ["as of the date", "as of the end", "difference"],
            "roc_auc": aucs(None),
            "roc_auc_low": interval.low,
            "roc_auc_high": interval.high,
        }
    )
    return LeakTrial(figures, len(outcome), len(np.unique(examples.people)), float(outcome.mean()))


def _score(features: np.ndarray, outcome: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return the probability of each row from a model that has seen none of its person's rows."""
    logs = np.sign(features) * np.log1p(np.abs(features))
    score = np.zeros(len(outcome))
    for fold in range(_FOLDS):
        held_out = people % _FOLDS == fold
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(logs[~held_out], outcome[~held_out])
        score[held_out] = model.predict_proba(logs[held_out])[:, 1]
    return score


def _examples(
    question: str, rows: pd.DataFrame, snapshots: ibis.Table, end: datetime, names: Sequence[str]
) -> LeakExamples:
    """Join the features of both dates; who had not bought yet has none, which is 0 here."""
    there = [name for name in names if name in snapshots.columns]
    frame = snapshots.select("person_id", "as_of", *there).to_pandas()
    honest = rows.merge(frame, on=["person_id", "as_of"], how="left", validate="many_to_one")
    at_end = frame[frame.as_of == pd.Timestamp(end)].drop(columns="as_of")
    leaking = rows.merge(at_end, on="person_id", how="left", validate="many_to_one")
    return LeakExamples(
        question=question,
        outcome=rows.outcome.to_numpy(dtype=bool),
        people=pd.factorize(rows.person_id)[0],
        as_of=honest[there].fillna(0).to_numpy(dtype=float),
        later=leaking[there].fillna(0).to_numpy(dtype=float),
        feature_names=tuple(there),
    )
