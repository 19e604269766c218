"""What to do about a model of responses: keep it, calibrate it anew, or train it anew."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from scipy.special import xlogy
from scipy.stats import norm

from journeybook.errors import TooLittle
from journeybook.sends import NO_CONTACT
from journeybook.statistics.recalibration import clustered_covariance, log_odds, recalibrated

ACTIONS = ("keep", "recalibrate", "retrain")
MEASURES = ("log loss", "calibration slope", "calibration in the large", "found in the top 20%")
TOP = 0.2
PER = 1000
FEWEST = 100
"""Responses, and contacts without one, that either stretch must hold."""

_FOLDS = 5
_Z = norm.ppf(0.975)


@dataclass(frozen=True, eq=False)
class Scored:
    """Contacts in the order in which they were sent.

    Attributes:
        rows: One row a contact: `row`, `person` (code), `occurred_at`, `known_at` (when its outcome is known),
            `channel`, `responded` (0 or 1), `part` of page 07, `probability` (its model's, NaN where it learned).
        x: What was known before each, standardised on the contacts that page 07 fitted on, shape (n, k).
        newest: Whether a contact is judged and of the newest days, shape (n,); `card` those judged before them.
        card: See `newest`.
    """

    rows: pd.DataFrame
    x: np.ndarray
    newest: np.ndarray
    card: np.ndarray


@dataclass(frozen=True, eq=False)
class Acting:
    """A model on the newest contacts beside its card, and what an update would bring.

    Attributes:
        measures: One row a measure: `card` and `newest`, each with 95 % ends, and `change` with its own.
        actions: One row an action: `log_loss` on the newest contacts, and `gain` over keeping per 1,000 contacts,
            in `unit`, with 95 % ends, clustered by person; `cost` per 1,000, `chosen`.
        unit: `nats`, or the currency where money was given.
        probabilities: By action, of each newest contact that is judged on, shape (n, 3).
    """

    measures: pd.DataFrame
    actions: pd.DataFrame
    unit: str
    probabilities: np.ndarray

    @property
    def chosen(self) -> str:
        """The action to take."""
        return str(self.actions.loc[self.actions["chosen"], "action"].item())


def scored_contacts(
    asked: ibis.Table, said: ibis.Table, features: ibis.Table | None, *, newest_days: int
) -> Scored:
    """Join contacts with what page 07 says of each and with the person's numbers strictly before it was sent.

    Args:
        asked: Canonical contacts with `row`, `responded`, `occurred_at`.
        said: `response_probabilities` of page 07.
        features: Snapshots by `person_id` and `as_of`; None for none. Their numbers count, missing as the mean.
        newest_days: Days before the last judged contact that are the newest stretch, from 1.

    Raises:
        TooLittle: Contacts have no times, or a stretch has fewer than `FEWEST` responses or others.
        ValueError: `newest_days` is below 1.
    """
    if newest_days < 1:
        raise ValueError(f"newest_days must be at least 1, got {newest_days}.")
    if "occurred_at" not in asked.columns:
        raise TooLittle("The contacts have no times, so that none are the newest.")
    joined = said.inner_join(asked.select("row", "occurred_at", "responded"), "row")
    numbers = []
    if features is not None:
        kinds = features.schema()
        numbers = [n for n in features.columns if kinds[n].is_numeric() and n not in ("row", *joined.columns)]
        right = features.select("person_id", "as_of", **{n: features[n].cast("float64") for n in numbers})
        joined = joined.asof_join(right, on=joined.occurred_at > right.as_of, predicates="person_id")
    rows = joined.order_by("occurred_at", "row").to_pandas()
    if rows["known_at"].isna().any():
        raise TooLittle("Some contacts have no time, so that none are the newest.")
    code, known = pd.factorize(rows["person_id"])
    rows["person"] = np.where(code < 0, len(known) + np.cumsum(code < 0) - 1, code)
    rows["responded"] = rows["responded"].astype(int)
    judged = ((rows["part"] == "test") & rows["probability"].notna()).to_numpy()
    last = rows["occurred_at"].where(judged).max()
    late = (rows["occurred_at"] > last - pd.Timedelta(days=newest_days)).to_numpy()
    found = Scored(rows, _inputs(rows, numbers), judged & late, judged & ~late)
    for name, part in (("newest", found.newest), ("earlier", found.card)):
        n, n_responses = int(part.sum()), int(rows.loc[part, "responded"].sum())
        if min(n_responses, n - n_responses) < FEWEST:
            raise TooLittle(
                f"The {name} of the judged contacts hold {n_responses} responses and {n - n_responses} others; "
                f"{FEWEST} of each are needed."
            )
    return found


def _inputs(rows: pd.DataFrame, numbers: list[str]) -> np.ndarray:
    """What a linear model reads of each contact, shape (n, k): numbers standardised, and a column a channel."""
    at = rows["occurred_at"].dt
    evening = np.column_stack([np.sin(at.hour / 12 * np.pi), np.cos(at.hour / 12 * np.pi), at.day_of_week >= 5])
    given = rows[[*numbers, "n_contacts_28d"]].to_numpy(dtype=float, na_value=np.nan)
    # Amounts and counts have long tails.
    given = np.column_stack([np.sign(given) * np.log1p(np.abs(given)), evening])
    taught = given[(rows["part"] == "fit").to_numpy()]
    seen = np.isfinite(taught).any(axis=0)
    given, taught = given[:, seen], taught[:, seen]
    centre, scale = np.nanmean(taught, axis=0), np.nanstd(taught, axis=0)
    standard = np.clip(np.nan_to_num((given - centre) / np.where(scale > 0, scale, 1)), -3, 3)
    channels = pd.get_dummies(rows["channel"]).to_numpy(dtype=float)
    return np.column_stack([standard, channels])


def measured(probability: np.ndarray, responded: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the four `MEASURES` of probabilities, shape (4,), and what each row adds to them, shape (n, 4).

    The share of responses found in the top 20 % counts the doubt of where they end (Beach & Davidson 1983): its
    row adds ((c - F) y - r (c - 0.2)) / mean(y), with c for chosen, F the share, r the response rate at the edge.
    """
    y, n = np.asarray(responded, dtype=float), len(responded)
    lost = -xlogy(y, probability) - xlogy(1 - y, 1 - probability)
    line = recalibrated(probability, y, person)
    order = np.argsort(-probability, kind="stable")
    chosen, cut = np.zeros(n), round(TOP * n)
    chosen[order[:cut]] = 1
    found = (chosen * y).sum() / y.sum()
    edge = y[order[max(0, cut - n // 40) : cut + n // 40 + 1]].mean()
    of_found = ((chosen - found) * y - edge * (chosen - cut / n)) / y.mean() / n
    of_loss = (lost - lost.mean()) / n
    estimate = np.array([lost.mean(), line.slope, line.in_the_large, found])
    return estimate, np.column_stack([of_loss, line.influence[:, 2], line.influence[:, 0], of_found])


def act(
    scored: Scored,
    *,
    value_per_response: float | None,
    costs: Mapping[str, float] | None,
    retraining_cost: float | None,
    contacts_ahead: int,
    currency: str | None,
    rng: np.random.Generator,
) -> Acting:
    """Judge page 07's model on the newest contacts beside its card, and choose what to do about it.

    An update is fitted on other people and judged on the newest contacts of a fifth of them, in turn: a new
    calibration line on the newest contacts, or a logistic regression on all judged contacts, of the model's log
    odds and what was known (revision; Steyerberg 2019, ch. 20). One is taken where the lower end of its gain over
    the step before clears what it costs.

    Where value and costs are given, the gain is of messages sent where value times probability is above the cost;
    without them it is of the log loss, and costs nothing.

    Args:
        scored: Contacts.
        value_per_response: What a response is worth, above 0, or None.
        costs: Cost of a message by channel, each at least 0, or None.
        retraining_cost: Cost of training once, at least 0, or None; a new calibration line is taken as free.
        contacts_ahead: Contacts until the model is looked at again, over which that cost is spread, from 1.
        currency: Currency of money.
        rng: Draws the fifths.

    Raises:
        ValueError: A number is out of range, or a channel has no cost.
    """
    rows, judged = scored.rows, scored.newest | scored.card
    newest, inside = rows[judged].reset_index(drop=True), scored.newest[judged]
    made = _updates(newest, scored.x[judged], inside, rng)
    now, told = newest[inside], made[inside]
    price = _prices(now, value_per_response, costs)
    if price is None:
        each = xlogy(now["responded"], told.T).T + xlogy(1 - now["responded"], (1 - told).T).T
        each, paid = np.asarray(each), np.zeros(3)
    else:
        told, now, price = told[price < np.inf], now[price < np.inf], price[price < np.inf]
        profit = value_per_response * now["responded"].to_numpy() - price
        each = np.where(value_per_response * told > price[:, None], profit[:, None], 0.0)
        if retraining_cost is None or retraining_cost < 0 or contacts_ahead < 1:
            raise ValueError(
                f"with costs, retraining_cost must be at least 0 and contacts_ahead at least 1, got "
                f"{retraining_cost} and {contacts_ahead}."
            )
        paid = np.array([0.0, 0.0, retraining_cost / contacts_ahead])
    person = now["person"].to_numpy()
    gain, error = gained(each, each[:, 0], person)
    chosen = 0
    for step in (1, 2):
        more, doubt = gained(each[:, [step]], each[:, chosen], person)
        if more[0] - _Z * doubt[0] > paid[step] - paid[chosen]:
            chosen = step
    y = now["responded"].to_numpy(dtype=float)
    loss = [-(xlogy(y, p) + xlogy(1 - y, 1 - p)).mean() for p in told.T]
    table = pd.DataFrame(
        {"action": ACTIONS, "log_loss": loss, "gain": PER * gain, "gain_low": PER * (gain - _Z * error)}
    )
    table = table.assign(gain_high=PER * (gain + _Z * error), cost=PER * paid, chosen=np.arange(3) == chosen)
    return Acting(_beside_the_card(newest, inside), table, "nats" if price is None else currency or "money", told)


def _beside_the_card(judged: pd.DataFrame, inside: np.ndarray) -> pd.DataFrame:
    """The measures on the card's contacts and on the newest; people who are in both count as one."""
    person = pd.factorize(judged["person"])[0]
    found, influence = [], np.zeros((len(judged), 8))
    for k, part in enumerate((~inside, inside)):
        p, y = judged["probability"].to_numpy()[part], judged["responded"].to_numpy()[part]
        estimate, influence[part, 4 * k : 4 * k + 4] = measured(p, y, pd.factorize(person[part])[0])
        found.append(estimate)
    covariance = clustered_covariance(influence, person)
    change = np.column_stack([-np.eye(4), np.eye(4)])
    table: dict[str, object] = {"measure": MEASURES}
    for name, value, variance in (
        ("card", found[0], np.diag(covariance)[:4]),
        ("newest", found[1], np.diag(covariance)[4:]),
        ("change", found[1] - found[0], np.diag(change @ covariance @ change.T)),
    ):
        half = _Z * np.sqrt(variance)
        table |= {name: value, f"{name}_low": value - half, f"{name}_high": value + half}
    return pd.DataFrame(table)


def _updates(judged: pd.DataFrame, x: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The probability of each judged contact by each of `ACTIONS`, made without its person, shape (n, 3)."""
    from sklearn.linear_model import LogisticRegression

    said, y = judged["probability"].to_numpy(dtype=float), judged["responded"].to_numpy()
    person = pd.factorize(judged["person"])[0]
    fold = rng.permutation(np.arange(person.max() + 1) % _FOLDS)[person]
    inputs = np.column_stack([log_odds(said), x])
    made = np.column_stack([said, said, said])
    for k in range(_FOLDS):
        out, taught = fold == k, (fold != k) & inside
        line = recalibrated(said[taught], y[taught], person[taught])
        made[out, 1] = line.apply(said[out])
        model = LogisticRegression(max_iter=1000).fit(inputs[taught], y[taught])
        made[out, 2] = model.predict_proba(inputs[out])[:, 1]
    return made


def _prices(rows: pd.DataFrame, value: float | None, costs: Mapping[str, float] | None) -> np.ndarray | None:
    """What each contact's message costs, infinity where none was sent; None where no money was given."""
    if value is None or costs is None:
        return None
    if not 0 < value < np.inf:
        raise ValueError(f"value_per_response must be above 0, got {value}.")
    messages = sorted(set(rows["channel"]) - {NO_CONTACT})
    if wrong := [name for name in messages if not 0 <= costs.get(name, -1) < np.inf]:
        raise ValueError(f"costs has {costs.get(wrong[0])} for {wrong[0]!r}; a cost of at least 0 is needed.")
    return rows["channel"].map({**costs, NO_CONTACT: np.inf}).to_numpy(dtype=float)


def gained(each: np.ndarray, beside: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each column's mean lies above another's, shape (k,), and its error, clustered by person."""
    more = each - beside[:, None]
    mean = more.mean(axis=0)
    covariance = clustered_covariance((more - mean) / len(more), pd.factorize(person)[0])
    return mean, np.sqrt(np.diag(covariance))
