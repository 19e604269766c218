"""When people answer: the response rate by hour and weekday for each type of person, shrunken, and its peaks."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from scipy.special import expit

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.sends import NO_CONTACT
from journeybook.statistics.labels import labels, labels_before
from journeybook.statistics.log_odds import log_odds_posterior, times

EVERYONE = "everyone"
"""Type of everybody where no types are known."""

FEWEST_CONTACTS = 30
"""Contacts that an hour or a weekday must have to be estimated."""

FEWEST_DAYS = 4
"""Different days they must have been sent on: a few mailings are not a weekday."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

FEWEST_RESPONSES = 50
"""Responses that a type of person must have to be told apart."""

ANY_DAY = "any"
"""What `weekday` is for a rate over all of them."""

# Uniform priors on grids: the standard deviation of log odds, and how far hours are alike (0: not at all).
_DEVIATIONS = np.arange(1, 31) / 20
_LENGTHS = {"hour": (0.0, 0.25, 0.5, 1.0), "weekday": (0.0,)}
_MEAN_VARIANCE = 100.0  # of the log odds of a type's mean: next to nothing is said beforehand

_ESTIMATE = ("response_rate", "response_rate_low", "response_rate_high")
_CELLS = {
    **{"person_type": "str", "weekday": "str", "hour": "float64", "n_rows": "int64"},
    **dict.fromkeys(("observed_rate", *_ESTIMATE, "lift"), "float64"),
}
_PEAKS = {
    **{"person_type": "str", "window": "str", "first": "int64", "n_rows": "int64"},
    **dict.fromkeys((*_ESTIMATE, "lift", "lift_low", "lift_high", "best_probability"), "float64"),
    **{"kind": "str", "could_be_best": "str"},
}


@dataclass(frozen=True, eq=False)
class ResponseWindows:
    """Response rates by hour and by weekday, and the peak windows.

    Attributes:
        cells: One row a rate: `person_type`, `weekday` (a name, or "any"), `hour` (0 to 23, local time; missing
            where over all hours), `n_rows`, `observed_rate`, `response_rate`, its posterior mean, with `_low` and
            `_high`, and `lift`, the rate over the mean of all hours, or weekdays.
        peaks: One row a type and `kind` of window ("hours" in a row, or "weekday"): `person_type`, `window` (its
            name), `first` (first hour, or weekday from 0 for Monday), `n_rows`, `response_rate`, `lift` (the rate
            over the mean of all hours or weekdays), each with `_low` and `_high`, `best_probability` (of being
            the best of its kind), and `could_be_best`: the fewest windows that hold the best one with
            the probability `level`, likeliest first.
        window_hours: Hours in a row that make a window.
        level: Probability that an interval holds the rate.
        left_out: Types with fewer than 50 responses, or without two hours or weekdays to compare.
    """

    cells: pd.DataFrame
    peaks: pd.DataFrame
    window_hours: int
    level: float
    left_out: tuple[str, ...]


def person_types(contacts: ContactFrame, segments: ibis.Table | None, *, column: str | None) -> np.ndarray:
    """Return the type of the person of each contact, as known when it was sent, shape (n,).

    Of `segments` (`person_id`, `as_of`, `segment`) the latest strictly before sending counts, but for those marked
    `retrospective`, which know what came later; `column` names a column of the contacts to use instead.

    Raises:
        ValueError: The contacts have no such column.
    """
    rows = contacts.rows
    if column is not None:
        if column not in rows:
            raise ValueError(f"person_type names {column!r}, not a column of the contacts: {', '.join(rows)}.")
        return labels(rows[column])
    if segments is None or not (contacts.has_times and contacts.has_people):
        return np.full(len(rows), EVERYONE, dtype=object)
    if "retrospective" in segments.columns:
        segments = segments.filter(~segments.retrospective)
    known = segments.select("person_id", "as_of", "segment").to_pandas()
    return labels_before(rows[["row", "person_id", "occurred_at"]], known, column="segment")


def response_windows(
    contacts: ContactFrame,
    split: Split,
    types: np.ndarray,
    *,
    window_hours: int,
    rng: np.random.Generator,
    level: float = 0.95,
    n_draws: int = 2000,
) -> ResponseWindows:
    """Estimate the response rate of training messages by hour and by weekday, for each type of person.

    Log odds of hours, and of weekdays, are random effects around the mean of the type (a logistic mixed model), so
    that a rate moves to the mean the more, the fewer its contacts. Hours near each other may be alike: a Gaussian
    process on the day's circle (MacKay 1998). How much and how far is integrated over a grid, with a uniform prior
    of the standard deviation (Gelman 2006). Contacts of one person or one day are not independent: counts are
    divided by the design effect (Rao & Scott 1992); what people and days differ in beyond it moves all rates of a
    type together.

    Returns:
        Rates of hours and weekdays with at least 30 contacts on at least 4 days. Empty where contacts have no
        times. `types` has the type of each contact's person, `window_hours` lies in 1 to 12.

    Raises:
        ValueError: `window_hours` is out of range, or `types` is of another length.
    """
    if not 1 <= window_hours <= 12:
        raise ValueError(f"window_hours must be from 1 to 12, got {window_hours}.")
    if len(types) != len(contacts.rows):
        raise ValueError(f"types must have one value a contact, {len(contacts.rows)}; got {len(types)}.")
    cells, peaks, left_out = [], [], []
    if contacts.has_times:
        for name, part in messages(contacts, split, types).groupby("person_type", sort=True):
            found = _of_type(part, window_hours=window_hours, level=level, n_draws=n_draws, rng=rng)
            cells += [frame.assign(person_type=name) for frame in found[0]]
            peaks += [frame.assign(person_type=name) for frame in found[1]]
            left_out += [] if found[0] else [name]
    return ResponseWindows(_typed(cells, _CELLS), _typed(peaks, _PEAKS), window_hours, level, tuple(left_out))


def messages(contacts: ContactFrame, split: Split, types: np.ndarray) -> pd.DataFrame:
    """Return the training contacts but those of channel `none`, with the hour, weekday, day and type of each."""
    sent = contacts.rows["occurred_at"].dt
    rows = contacts.rows[["person", "channel", "responded"]].assign(
        hour=sent.hour, weekday=sent.day_of_week, day=sent.normalize(), person_type=types
    )
    rows = rows.iloc[split.training]
    return rows[rows["channel"] != NO_CONTACT]


def _of_type(
    rows: pd.DataFrame, *, window_hours: int, level: float, n_draws: int, rng: np.random.Generator
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Rates and peaks of one type: empty where there are no two hours or weekdays to compare."""
    days = {by: rows.groupby(by)["day"].agg(["size", "nunique"]) for by in ("hour", "weekday")}
    enough = {by: (n["size"] >= FEWEST_CONTACTS) & (n["nunique"] >= FEWEST_DAYS) for by, n in days.items()}
    kept = {by: found.index[found].to_numpy() for by, found in enough.items() if found.sum() > 1}
    if not kept or rows["responded"].sum() < FEWEST_RESPONSES:
        return [], []
    cells, peaks = [], []
    for by, values in kept.items():
        counts = rows.groupby(by)["responded"].agg(hits="sum", n="size").astype("float64").loc[values]
        effect, shift = _clustering(rows, by)
        drawn = _posterior(by, values, counts / effect, n_draws=n_draws, rng=rng)
        shifted = expit(drawn + shift * rng.standard_normal((n_draws, 1)))
        hour, weekday = (values, ANY_DAY) if by == "hour" else (np.nan, [WEEKDAYS[day] for day in values])
        cells.append(_rates(counts, shifted, level).assign(hour=hour, weekday=weekday))
        peaks.append(_peak(values, counts, shifted, by=by, hours=window_hours, level=level))
    return cells, [frame for frame in peaks if len(frame)]


def _clustering(rows: pd.DataFrame, by: str) -> tuple[float, float]:
    """Design effect of the rates, and the standard error on the log-odds scale that all of them share.

    Contacts of one person go together, and so do those of one day, as of one campaign: variances are clustered on
    both (linearised; Cameron, Gelbach & Miller 2011). The sum of the rates' variances over that of independent
    contacts is the design effect. What the variance of the mean has beyond it is shared by all rates.
    """
    responded = rows["responded"].to_numpy(dtype=float)
    cell = pd.factorize(rows[by])[0]
    size = np.bincount(cell)
    rate = np.bincount(cell, weights=responded) / size
    off = responded - rate[cell]
    independent, whole = (size * rate * (1 - rate)).sum(), np.zeros(len(rows), dtype=int)
    person, day = (pd.factorize(rows[name])[0] for name in ("person", "day"))
    within = total = 0.0
    for sign, cluster in ((1, person), (1, day), (-1, person * (day.max() + 1) + day)):
        within += sign * _clustered(off, cell, cluster)
        total += sign * _clustered(off, whole, cluster)
    effect = max(1.0, within / independent)
    pooled = responded.mean()
    spare = max(0.0, total - effect * independent)
    return float(effect), float(np.sqrt(spare) / (len(rows) * pooled * (1 - pooled)))


def _clustered(off: np.ndarray, cell: np.ndarray, cluster: np.ndarray) -> float:
    """Variances of the cells' sums, added up: m / (m - 1) times the squared sums of the m clusters of each."""
    both, inverse = np.unique(cell * (cluster.max() + 1) + cluster, return_inverse=True)
    squares = np.bincount(inverse, weights=off) ** 2
    of = both // (cluster.max() + 1)
    m = np.bincount(of)
    return float((np.bincount(of, weights=squares) * m / np.maximum(m - 1, 1)).sum())


def _posterior(
    by: str, values: np.ndarray, counts: pd.DataFrame, *, n_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the log odds of hours or of weekdays from their posterior, shape (n_draws, cells)."""
    apart = np.sin(np.pi * (values[:, None] - values) / 24) ** 2
    alike = [np.exp(-2 * apart / far**2) if far else np.eye(len(values)) for far in _LENGTHS[by]]
    prior = np.concatenate([(_DEVIATIONS**2)[:, None, None] * each for each in alike]) + _MEAN_VARIANCE
    found = log_odds_posterior(counts["hits"].to_numpy(), counts["n"].to_numpy(), prior)
    weight = np.exp(found.evidence - found.evidence.max())
    drawn = rng.choice(len(prior), size=n_draws, p=weight / weight.sum())
    root = np.linalg.cholesky(found.covariance + 1e-9 * np.eye(len(values)))
    return found.mode[drawn] + times(root[drawn], rng.standard_normal((n_draws, len(values))))


def _rates(counts: pd.DataFrame, draws: np.ndarray, level: float) -> pd.DataFrame:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    rates = {"n_rows": counts["n"].astype("int64"), "observed_rate": counts["hits"] / counts["n"]}
    rates |= {"response_rate": draws.mean(axis=0), "response_rate_low": low, "response_rate_high": high}
    return pd.DataFrame({**rates, "lift": (draws / draws.mean(axis=1, keepdims=True)).mean(axis=0)})


def windows_of(by: str, values: np.ndarray, hours: int) -> dict[int, list[int]]:
    """Return the places in `values` of each window whose hours, or weekday, are all there, by its first."""
    length, place = (hours if by == "hour" else 1), {int(value): i for i, value in enumerate(values)}
    runs = {first: [(first + i) % 24 for i in range(length)] for first in place}
    return {first: [place[v] for v in run] for first, run in runs.items() if all(v in place for v in run)}


def _peak(
    values: np.ndarray, counts: pd.DataFrame, draws: np.ndarray, *, by: str, hours: int, level: float
) -> pd.DataFrame:
    """The best window of one kind: no row where no two windows can be compared."""
    windows = windows_of(by, values, hours)
    if len(windows) < 2:
        return pd.DataFrame()
    rates = np.column_stack([draws[:, inside].mean(axis=1) for inside in windows.values()])
    firsts = list(windows)
    chance = np.bincount(rates.argmax(axis=1), minlength=len(firsts)) / len(rates)
    best = int(rates.mean(axis=0).argmax())
    order = np.argsort(-chance, kind="stable")
    needed = order[: int(np.searchsorted(np.cumsum(chance[order]), level - 1e-12)) + 1]
    record: dict[str, object] = {"kind": "hours" if by == "hour" else by, "first": firsts[best]}
    record["window"] = window_name(firsts[best], by, hours)
    record["n_rows"] = int(counts["n"].to_numpy()[windows[firsts[best]]].sum())
    for name, drawn in (("response_rate", rates[:, best]), ("lift", rates[:, best] / draws.mean(axis=1))):
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        record |= {name: drawn.mean(), f"{name}_low": low, f"{name}_high": high}
    record["best_probability"] = chance[best]
    record["could_be_best"] = ", ".join(window_name(firsts[i], by, hours) for i in needed)
    return pd.DataFrame([record])


def window_name(first: int, by: str, hours: int) -> str:
    """Return the name of a window that begins at an hour, or of a weekday from 0 for Monday."""
    return WEEKDAYS[first] if by == "weekday" else f"{first:02d}:00-{(first + hours) % 24:02d}:00"


def _typed(frames: list[pd.DataFrame], kinds: dict[str, str]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return pd.concat(frames, ignore_index=True)[list(kinds)].astype(kinds)
