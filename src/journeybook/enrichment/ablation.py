"""What each source adds to predicting the next quarter: the model with it and without it, person by person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from journeybook.findings import wider

QUARTER_DAYS = 91
SPEND, RESPONSE = "spend", "response"
# Fewer people, or answers, than this say nothing about a source.
FEWEST = 100
N_FOLDS = 5
# People the models are fitted on at most, about; beyond it one in every few, by row.
MOST_PEOPLE = 10_000
# Strength of the ridge, in rows of one standard deviation each, and the same for the logistic model.
PENALTY = 10.0
ADDS, GIVE_BACK, UNTOLD = "adds", "can be given back", "cannot be told"


@dataclass(frozen=True, eq=False)
class Quarter:
    """People as of a date, and what they did in the 91 days from it on.

    Attributes:
        people: Their features, one row a person, in the order of `row`.
        spend: Revenue of each in the quarter, shape (n,).
        n_sent: Messages to each in the quarter whose outcome was known at its end, shape (n,).
        n_answered: Those of them that were answered, shape (n,).
    """

    people: pd.DataFrame
    spend: NDArray[np.float64]
    n_sent: NDArray[np.float64]
    n_answered: NDArray[np.float64]

    def asked(self) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]]:
        """Each outcome that enough people have: whom it is asked of, what is predicted, and of how many rows."""
        found, sent = {}, self.n_sent > 0
        if (self.spend > 0).sum() >= FEWEST:
            found[SPEND] = (np.full(len(sent), True), np.log1p(self.spend.clip(min=0)), np.ones(len(sent)))
        if min(sent.sum(), self.n_answered.sum(), (self.n_sent - self.n_answered).sum()) >= FEWEST:
            found[RESPONSE] = (sent, self.n_answered[sent] / self.n_sent[sent], self.n_sent[sent])
        return found


def next_quarter(
    features: ibis.Table,
    transactions: ibis.Table,
    sent: ibis.Table | None,
    *,
    as_of_dates: Sequence[datetime],
    known_after_days: int,
) -> Quarter | None:
    """Return the people of the last date that has a whole quarter after it, with what came; None without one."""
    quarter = timedelta(days=QUARTER_DAYS)
    fitting = [date for date in as_of_dates if date + quarter <= max(as_of_dates)]
    if not fitting:
        return None
    begin, end = max(fitting), max(fitting) + quarter
    people = features.filter(features.as_of == begin).order_by("row").to_pandas()
    people = people.iloc[:: max(1, -(-len(people) // MOST_PEOPLE))].reset_index(drop=True)
    lines = transactions.filter(transactions.occurred_at >= begin, transactions.occurred_at < end)
    came = [lines.group_by("person_id").aggregate(spend=lines.revenue.sum().cast("float64"))]
    if sent is not None:
        told = sent.filter(sent["at"] >= begin, sent["at"] < end - timedelta(days=known_after_days))
        answered = told.responded.cast("int64").sum()
        came.append(told.group_by("person_id").aggregate(n_sent=told.responded.count(), n_answered=answered))
    for table in came:
        people = people.merge(table.to_pandas(), on="person_id", how="left", validate="one_to_one")
    outcomes = people.reindex(columns=["spend", "n_sent", "n_answered"]).fillna(0.0).astype(float)
    return Quarter(people, *outcomes.to_numpy().T)


def ablation(quarter: Quarter | None, dictionary: pd.DataFrame, *, least_gain: float) -> pd.DataFrame:
    """Predict spend and response with all sources and without each, and return what each source adds.

    Spend, as log(1 + revenue), by ridge regression; the share of messages that a person answers by logistic
    regression. Whole people are left out of the fit in turn. What is explained is the share of the squared error,
    or of the deviance, of the mean alone that the model takes away. Both models are judged on the same people, so
    that the interval is of paired differences; it holds the models fixed. `dictionary` names the sources.

    Returns:
        One row an `outcome` and `source`: `n_features`, `n_people`, `explained` (by all sources), `gain` (less
        what is explained without it) with its interval `gain_low`, `gain_high` (95 % of all rows together), and
        `verdict`: `can be given back` where it ends below `least_gain`, `adds` where it begins above 0, else
        `cannot be told`.

    Raises:
        ValueError: `least_gain` is out of range.
    """
    if not 0 < least_gain < 1:
        raise ValueError(f"least_gain is {least_gain:g}: it must be above 0 and below 1.")
    rows = []
    asked = () if quarter is None else quarter.asked()
    for outcome in asked:
        assert quarter is not None
        found = losses(quarter, dictionary, outcome=outcome)
        explained = 1 - found["all"].sum() / found["mean"].sum()
        for source, n in dictionary.source.value_counts(sort=False).items():
            told = gained(found[source] - found["all"], found["mean"])
            rows.append((outcome, source, n, len(found), explained, *told))
    columns = ["outcome", "source", "n_features", "n_people", "explained", "gain", "error"]
    frame = pd.DataFrame(rows, columns=columns)
    half = frame.pop("error") * norm.ppf(0.975) * wider(max(len(rows), 1))
    frame = frame.assign(gain_low=frame.gain - half, gain_high=frame.gain + half)
    verdict = np.where(frame.gain_low > 0, ADDS, UNTOLD)
    return frame.assign(verdict=np.where(frame.gain_high < least_gain, GIVE_BACK, verdict))


def losses(quarter: Quarter, dictionary: pd.DataFrame, *, outcome: str) -> pd.DataFrame:
    """Loss of each person asked of by models that have not seen them.

    One row a person, one column a model: `all` sources, all without each, and `mean`, that of the others alone.
    """
    asked, y, n = quarter.asked()[outcome]
    people, sources = quarter.people[asked], dictionary.groupby("source", sort=False).feature
    # A column that tells nothing stands where no source is left.
    parts = {"": np.zeros((len(y), 1))} | {name: _numbers(people[[*of]]) for name, of in sources}
    x, source_of = np.hstack([*parts.values()]), np.repeat([*parts], [part.shape[1] for part in parts.values()])
    said = pd.DataFrame(0.0, index=range(len(y)), columns=["all", *[*parts][1:], "mean"])
    for fit, test in _folds(len(y)):
        z = np.nan_to_num(StandardScaler().fit(x[fit]).transform(x))
        for model in said.columns[:-1]:
            kept = z[:, source_of != model]
            said.loc[test, model] = _said(kept[fit], y[fit], n[fit], kept[test], outcome)
        said.loc[test, "mean"] = np.average(y[fit], weights=n[fit])
    if outcome == SPEND:
        return said.sub(y, axis=0) ** 2
    return said.apply(lambda p: -2 * n * (xlogy(y, p) + xlogy(1 - y, 1 - p)))


def _folds(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Who is fitted on and who is judged, fold by fold: each is judged once."""
    fold = np.arange(n) % N_FOLDS
    return [(fold != left, fold == left) for left in range(N_FOLDS)]


def _said(a: np.ndarray, y: np.ndarray, n: np.ndarray, b: np.ndarray, outcome: str) -> np.ndarray:
    """Predictions of the rows `b` by a model of the rows `a`."""
    if outcome == SPEND:
        return Ridge(alpha=PENALTY).fit(a, y).predict(b)
    model = LogisticRegression(C=1 / PENALTY, solver="newton-cholesky", max_iter=200)
    weight = np.concatenate([n * y, n * (1 - y)])
    return model.fit(np.vstack([a, a]), np.repeat([1, 0], len(y)), sample_weight=weight).predict_proba(b)[:, 1]


def gained(saved: pd.Series, mean: pd.Series) -> tuple[float, float]:
    """Share of the mean's loss that is saved, and its standard error over people (Cochran 1977, eq. 6.13)."""
    gain, n = saved.sum() / mean.sum(), len(saved)
    scatter = ((saved - gain * mean) ** 2).sum() * n / (n - 1)
    return float(gain), float(np.sqrt(scatter) / mean.sum())


def _numbers(features: pd.DataFrame) -> np.ndarray:
    """Features as numbers: sizes on a log scale, a column a level of texts, and whether a value is missing."""
    texts = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    rest = features.drop(columns=texts).astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    levels = [(features[[c]] == level).to_numpy(dtype=float) for c in texts for level in features[c].unique()]
    return np.hstack([np.sign(rest) * np.log1p(np.abs(rest)), np.isnan(rest).astype(float), *levels])
