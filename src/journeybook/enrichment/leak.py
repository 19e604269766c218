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
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from journeybook.enrichment.snapshots import feature_snapshots, is_purchase
from journeybook.enrichment.witnesses import bought, lines_of, recount
from journeybook.statistics import cluster_weights
from journeybook.statistics.quality import quality

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
    """

    question: str
    outcome: NDArray[np.bool_]
    people: NDArray[np.int64]
    as_of: NDArray[np.float64]
    later: NDArray[np.float64]
    feature_names: tuple[str, ...]
    rows: pd.DataFrame

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
    """

    question: str
    figures: pd.DataFrame


def leak_examples(
    transactions: ibis.Table, *, contacts: ibis.Table | None, dates: Sequence[datetime], first_at: datetime
) -> LeakExamples:
    """Return who redeems a coupon where `contacts` tell enough of it, else who buys before the last of `dates`."""
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
    asked = contacts.filter(contacts.person_id.notnull(), at >= first_at, at < end)
    if "cut_off" in asked.columns:
        asked = asked.filter(~asked.cut_off)
    asked = asked.select("row", "person_id", outcome=asked.responded, as_of=asked.occurred_at.truncate("D"))
    return _examples(COUPON_QUESTION, transactions, asked, end, COUPON_FEATURES)


def next_purchase_examples(transactions: ibis.Table, *, asked_on: datetime, end: datetime) -> LeakExamples:
    """Return who buys between two midnights, of those who had bought before, with features as of either."""
    at = transactions.occurred_at
    lines = transactions.filter(transactions.person_id.notnull(), at < end, is_purchase(transactions))
    people = lines.group_by("person_id").aggregate(
        row=lines.row.min(),
        before=(lines.occurred_at < asked_on).any(),
        outcome=(lines.occurred_at >= asked_on).any(),
    )
    asked = people.filter(people.before).select("row", "person_id", "outcome", as_of=ibis.literal(asked_on))
    question = f"who buys from {asked_on:%d %B %Y} to the end"
    return _examples(question, transactions, asked, end, PURCHASE_FEATURES)


def leak_trial(examples: LeakExamples, *, n_draws: int, rng: np.random.Generator) -> LeakTrial:
    """Rank the outcomes by logistic regression on both sets of features, across folds of whole people."""
    names = ["features", "roc_auc", "roc_auc_low", "roc_auc_high"]
    if not examples.enough:
        return LeakTrial(examples.question, pd.DataFrame(columns=names))
    weights = cluster_weights(examples.people, n_draws=n_draws, rng=rng)
    honest, leaking = (
        quality(_score(features, examples.outcome, examples.people), examples.outcome, weights)
        for features in (examples.as_of, examples.later)
    )
    aucs = np.array([honest.estimate[0], leaking.estimate[0]])
    drawn = np.column_stack([honest.draws[:, 0], leaking.draws[:, 0]])
    aucs, drawn = np.append(aucs, aucs[1] - aucs[0]), np.column_stack([drawn, drawn[:, 1] - drawn[:, 0]])
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    told = (["as of the date", "as of the end", "difference"], aucs, low, high)
    return LeakTrial(examples.question, pd.DataFrame(dict(zip(names, told, strict=True))))


def _score(features: np.ndarray, outcome: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return the probability of each row from a model that has seen none of its person's rows."""
    logs = np.sign(features) * np.log1p(np.abs(features))
    model, folds = make_pipeline(StandardScaler(), LogisticRegression()), PredefinedSplit(people % _FOLDS)
    return cross_val_predict(model, logs, outcome, cv=folds, method="predict_proba")[:, 1]


def _examples(
    question: str, transactions: ibis.Table, asked: ibis.Table, end: datetime, names: Sequence[str]
) -> LeakExamples:
    """Join the features of both dates; whoever had not bought yet has none, which is 0 here."""
    slim = transactions.drop(*({"product_id", "store_id"} & set(transactions.columns)))
    rows = asked.mutate(as_of=asked.as_of.cast("timestamp(6)")).order_by("row").to_pandas()
    dates = sorted({date.to_pydatetime() for date in rows.as_of} | {end})
    snapshots = feature_snapshots(slim, as_of_dates=dates, products=None, groups={}, hours=False)
    there = [name for name in names if name in snapshots.columns]
    known = snapshots.select("person_id", "as_of", *there).to_pandas()
    later = rows.assign(as_of=pd.Series(end, rows.index, dtype=rows.as_of.dtype))
    features = (
        one.merge(known, on=["person_id", "as_of"], how="left", validate="many_to_one") for one in (rows, later)
    )
    honest, leaking = (one[there].fillna(0).to_numpy(dtype=float) for one in features)
    outcome, people = rows.outcome.to_numpy(dtype=bool), pd.factorize(rows.person_id)[0]
    return LeakExamples(
        question, outcome, people, honest, leaking, tuple(there), rows[["row", "person_id", "as_of"]]
    )


def leak_holds(
    examples: LeakExamples,
    trial: LeakTrial,
    transactions: ibis.Table,
    *,
    contacts: ibis.Table | None,
    end: datetime,
    n_rows: int = 20,
) -> pd.DataFrame:
    """Count the features of `n_rows` questions again from the person's own lines, and rank all by scikit-learn.

    The day is read from the contact itself. People with a line on that very day come first, for whom a day too
    much shows. Nothing where nothing was asked.
    """
    asked, names, n_cut = examples.rows.reset_index(drop=True), list(examples.feature_names), 0
    if contacts is not None and examples.question == COUPON_QUESTION:
        cut = contacts.cut_off if "cut_off" in contacts.columns else ibis.literal(False)
        sent = contacts.select("row", day=contacts.occurred_at.truncate("D"), cut=cut).to_pandas().set_index("row")
        asked["as_of"], n_cut = asked.row.map(sent.day).to_numpy(), int(asked.row.map(sent.cut).sum())
    same = transactions.select("person_id", as_of=transactions.occurred_at.truncate("D")).distinct().to_pandas()
    first = asked.merge(same.assign(first=True), on=["person_id", "as_of"], how="left")["first"].eq(True)
    chosen = np.argsort(~first.to_numpy(), kind="stable")[:n_rows]
    lines = lines_of(transactions, asked.person_id[chosen].unique().tolist())
    worst = []
    for n in chosen:
        for at, told in ((asked.as_of[n], examples.as_of[n]), (end, examples.later[n])):
            past = lines[(lines.person_id == asked.person_id[n]) & (lines.occurred_at < at)]
            due = np.zeros(len(names))
            if bought(past).any():
                due = recount(past, as_of=at, groups={})[names].fillna(0).to_numpy(dtype=float)
            worst.append((np.abs(told - due) / np.maximum(1.0, np.abs(due))).max())
    source = f"a second count in pandas, {len(chosen)} questions"
    row = ("worst difference of the features of a question", max(worst, default=0.0), 0, 1e-9, source)
    rows = [row][: len(chosen)]
    if contacts is not None and examples.question == COUPON_QUESTION:
        rows.append(("questions whose outcome the end cuts off", n_cut, 0, 0, "the contacts asked of"))
    if len(trial.figures):
        told = trial.figures.set_index("features").roc_auc
        far = max(abs(told[name] - auc) for name, auc in _auc_by_hand(examples).items())
        rows.append(("difference of a ROC AUC", far, 0, 1e-3, "scikit-learn, fold by fold"))
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"])


def _auc_by_hand(examples: LeakExamples) -> dict[str, float]:
    """The ROC AUC of both models, each person ranked by a model of the other folds."""
    found = {}
    for name, features in (("as of the date", examples.as_of), ("as of the end", examples.later)):
        logs, scores = np.sign(features) * np.log1p(np.abs(features)), np.zeros(len(features))
        for fold in range(_FOLDS):
            out = examples.people % _FOLDS == fold
            scaler = StandardScaler().fit(logs[~out])
            model = LogisticRegression().fit(scaler.transform(logs[~out]), examples.outcome[~out])
            scores[out] = model.decision_function(scaler.transform(logs[out]))
        # Scores of different folds are compared as probabilities, which rank as their logits do.
        found[name] = float(roc_auc_score(examples.outcome, scores))
    return found | {"difference": found["as of the end"] - found["as of the date"]}
