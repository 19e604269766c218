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

from journeybook.enrichment.snapshots import feature_snapshots, is_purchase
from journeybook.enrichment.witnesses import bought, lines_of, recount
from journeybook.statistics import cluster_bootstrap

# Two features each, so that nothing but their date can tell the models apart.
COUPON_FEATURES = ("revenue", "discount_share")
PURCHASE_FEATURES = ("recency_days", "n_baskets")

COUPON_QUESTION = "who redeems a coupon"
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
        rows: `row` (of the contact, or the first of the person's lines), `person_id` and `as_of` of each question.
        end: End of what is known.
    """

    question: str
    outcome: NDArray[np.bool_]
    people: NDArray[np.int64]
    as_of: NDArray[np.float64]
    later: NDArray[np.float64]
    feature_names: tuple[str, ...]
    rows: pd.DataFrame
    end: datetime

    @property
    def enough(self) -> bool:
        """Whether both outcomes are there, for enough people, to rank them."""
        n_each = min(self.outcome.sum(), (~self.outcome).sum())
        return bool(n_each >= _FEW and len(np.unique(self.people)) >= _FEW)


@dataclass(frozen=True, eq=False)
class LeakTrial:
    """Ranking power of one model with honest and with leaking features.

    Attributes:
        question: What was predicted, in a few words.
        figures: `features` (`as of the date`, `as of the end`, `difference`), `roc_auc`, `roc_auc_low`,
            `roc_auc_high`: 95 % intervals, people drawn whole. No rows where outcomes or people are too few.
        n_rows: Questions.
        n_people: People asked about.
        outcome_share: Share of the questions answered yes.
    """

    question: str
    figures: pd.DataFrame
    n_rows: int
    n_people: int
    outcome_share: float


def leak_examples(
    transactions: ibis.Table, *, contacts: ibis.Table | None, dates: Sequence[datetime], first_at: datetime
) -> LeakExamples:
    """Return who redeems a coupon where `contacts` tell enough of it, else who buys next.

    The last of the `dates` of the snapshots is the end of what is known.
    """
    end = dates[-1]
    if contacts is not None:
        examples = coupon_examples(transactions, contacts, first_at=first_at, end=end)
        if examples.enough:
            return examples
    middle = first_at + (end - first_at) / 2
    asked_on = dates[-2] if len(dates) > 1 else datetime(middle.year, middle.month, middle.day)
    return next_purchase_examples(transactions, asked_on=asked_on, end=end)


def coupon_examples(
    transactions: ibis.Table, contacts: ibis.Table, *, first_at: datetime, end: datetime
) -> LeakExamples:
    """Return who redeems a coupon, with features as of the day of sending and as of `end`, a midnight.

    Contacts sent before the first receipt, or whose outcome the end cuts off, are left out.
    """
    at = contacts.occurred_at
    asked = contacts.filter(contacts.person_id.notnull(), at >= ibis.literal(first_at), at < ibis.literal(end))
    if "cut_off" in asked.columns:
        asked = asked.filter(~asked.cut_off)
    asked = asked.select("row", "person_id", outcome=asked.responded, as_of=asked.occurred_at.truncate("D"))
    return _examples(COUPON_QUESTION, transactions, asked, end, COUPON_FEATURES)


def next_purchase_examples(transactions: ibis.Table, *, asked_on: datetime, end: datetime) -> LeakExamples:
    """Return who buys between two midnights, of those who had bought before, with features as of either."""
    at = transactions.occurred_at
    lines = transactions.filter(
        transactions.person_id.notnull(), at < ibis.literal(end), is_purchase(transactions)
    )
    people = lines.group_by("person_id").aggregate(
        row=lines.row.min(),
        before=(lines.occurred_at < ibis.literal(asked_on)).any(),
        outcome=(lines.occurred_at >= ibis.literal(asked_on)).any(),
    )
    asked = people.filter(people.before).select("row", "person_id", "outcome", as_of=ibis.literal(asked_on))
    question = f"who buys from {asked_on:%d %B %Y} to the end"
    return _examples(question, transactions, asked, end, PURCHASE_FEATURES)


def leak_trial(examples: LeakExamples, *, n_draws: int, rng: np.random.Generator) -> LeakTrial:
    """Rank the outcomes by logistic regression on both sets of features, across folds of whole people.

    The interval is that of `n_draws` bootstrap samples of people.
    """
    outcome = examples.outcome
    about = len(outcome), len(np.unique(examples.people)), float(outcome.sum() / max(len(outcome), 1))
    if not examples.enough:
        nothing = pd.DataFrame(columns=["features", "roc_auc", "roc_auc_low", "roc_auc_high"])
        return LeakTrial(examples.question, nothing, *about)
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
    return LeakTrial(examples.question, figures, *about)


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
    question: str, transactions: ibis.Table, asked: ibis.Table, end: datetime, names: Sequence[str]
) -> LeakExamples:
    """Join the features of both dates; whoever had not bought yet has none, which is 0 here."""
    rows = asked.mutate(as_of=asked.as_of.cast("timestamp(6)")).order_by("row").to_pandas()
    dates = sorted({date.to_pydatetime() for date in rows.as_of} | {end})
    snapshots = feature_snapshots(_slim(transactions), as_of_dates=dates, products=None, groups={}, hours=False)
    there = [name for name in names if name in snapshots.columns]
    known = snapshots.select("person_id", "as_of", *there).to_pandas()
    honest = rows.merge(known, on=["person_id", "as_of"], how="left", validate="many_to_one")
    at_end = known[known.as_of == pd.Timestamp(end)].drop(columns="as_of")
    leaking = rows.merge(at_end, on="person_id", how="left", validate="many_to_one")
    return LeakExamples(
        question=question,
        outcome=rows.outcome.to_numpy(dtype=bool),
        people=pd.factorize(rows.person_id)[0],
        as_of=honest[there].fillna(0).to_numpy(dtype=float),
        later=leaking[there].fillna(0).to_numpy(dtype=float),
        feature_names=tuple(there),
        rows=rows[["row", "person_id", "as_of"]],
        end=end,
    )


def _slim(transactions: ibis.Table) -> ibis.Table:
    """What the features of a question are made of."""
    return transactions.drop(*({"product_id", "store_id"} & set(transactions.columns)))


def leak_holds(
    examples: LeakExamples, transactions: ibis.Table, *, contacts: ibis.Table | None, n_rows: int = 60
) -> pd.DataFrame:
    """Count the features of `n_rows` questions again from the person's own lines, as of the day of the question.

    The day is read from the contact itself. People with a line on that very day come first, for whom a day too
    much shows.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`; the values are differences, relative where a feature
        is above 1. Nothing where nothing was asked.
    """
    asked = examples.rows.reset_index(drop=True)
    if contacts is not None and examples.question == COUPON_QUESTION:
        days = contacts.select("row", day=contacts.occurred_at.truncate("D")).to_pandas().set_index("row").day
        asked["as_of"] = asked.row.map(days).to_numpy()
    same = transactions.select("person_id", as_of=transactions.occurred_at.truncate("D")).distinct().to_pandas()
    first = asked.merge(same.assign(first=True), on=["person_id", "as_of"], how="left")["first"].eq(True)
    chosen = np.argsort(~first.to_numpy(), kind="stable")[:n_rows]
    lines = lines_of(_slim(transactions), asked.person_id[chosen].unique().tolist())
    own = dict(list(lines.groupby("person_id")))
    rows = []
    for name, stored in (("the day", examples.as_of), ("the end", examples.later)):
        dates = asked.as_of if name == "the day" else pd.Series(examples.end, asked.index)
        again = [_recounted(own.get(asked.person_id[n]), dates[n], examples.feature_names) for n in chosen]
        apart = [np.abs(stored[n] - a) / np.maximum(1.0, np.abs(a)) for n, a in zip(chosen, again, strict=True)]
        if apart:
            rows.append((f"worst difference of the features as of {name}", float(np.max(apart))))
    source = f"a second count in pandas, {len(chosen)} questions"
    return pd.DataFrame(rows, columns=["name", "value"]).assign(reference=0, tolerance=1e-9, source=source)


def _recounted(lines: pd.DataFrame | None, date: datetime, names: Sequence[str]) -> NDArray[np.float64]:
    """The features of one person as of a date, from the person's lines; 0 where there are none yet."""
    past = pd.DataFrame() if lines is None else lines[lines.occurred_at < date]
    if past.empty or not bought(past).any():
        return np.zeros(len(names))
    return recount(past, as_of=date, groups={})[list(names)].fillna(0).to_numpy(dtype=float)
