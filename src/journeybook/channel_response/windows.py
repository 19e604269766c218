"""When people answer: the response rate by hour and weekday for each type of person, shrunken, and its peaks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaln, expit, logit

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.statistics.log_odds import log_odds_posterior, times

FEWEST_CONTACTS = 30
"""Contacts that an hour or a weekday must have to be estimated."""

FEWEST_DAYS = 4
"""Different days they must have been sent on: a few mailings are not a weekday."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

FEWEST_RESPONSES = 50
"""Responses that a type of person must have to be told apart."""

ANY_DAY = "any"
"""What `weekday` is for a rate over all of them."""

# Uniform priors on grids: the standard deviation of log odds, how far hours are alike (0: not at all), and
# (alpha + beta) ** -0.5 of the beta distribution of an hour of a weekday (Gelman et al. 2013, eq. 5.9).
_DEVIATIONS = np.arange(1, 61) / 40
_LENGTHS = {"hour": (0.0, 0.25, 0.5, 1.0), "weekday": (0.0,)}
_WIDTHS = np.arange(1, 101) / 100

_MEAN_VARIANCE = 100.0  # of the log odds of a type's mean: next to nothing is said beforehand

_ESTIMATE = ("response_rate", "response_rate_low", "response_rate_high")
_CELLS = {
    **{"person_type": "str", "contacted": "bool", "weekday": "str", "hour": "float64", "n_rows": "int64"},
    **dict.fromkeys(("observed_rate", *_ESTIMATE, "lift"), "float64"),
}
_PEAKS = {
    **{"person_type": "str", "window": "str", "first": "int64", "n_rows": "int64"},
    **dict.fromkeys((*_ESTIMATE, "lift", "lift_low", "lift_high", "best_probability"), "float64"),
    **{"kind": "str", "could_be_best": "str"},
}


@dataclass(frozen=True, eq=False)
class ResponseWindows:
    """Response rates by hour and weekday, and the peak windows.

    Attributes:
        cells: One row a rate: `person_type`, `contacted` (False for decisions not to contact people of
            the type), `weekday` (a name, or "any"), `hour` (0 to 23, local time; missing where over all hours),
            `n_rows`, `observed_rate`, `response_rate`, its posterior mean, with `_low` and `_high`, and `lift`,
            the rate over the mean of all of its kind (hours, weekdays, hours of weekdays).
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

    @property
    def has_week(self) -> bool:
        """Whether there are rates of hours of weekdays."""
        return bool(
            (self.cells["hour"].notna() & (self.cells["weekday"] != ANY_DAY) & self.cells["contacted"]).any()
        )


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
    """Estimate the response rate of training contacts by hour, by weekday and by both, for each type of person.

    Log odds of hours, and of weekdays, are random effects around the mean of the type (a logistic mixed model), so
    that a rate moves to the mean the more, the fewer its contacts. Hours near each other may be alike: a Gaussian
    process on the day's circle (MacKay 1998). How much and how far is integrated over a grid, with a uniform prior
    of the standard deviation (Gelman 2006). An hour of a weekday is drawn to what hour and weekday say together,
    by a beta distribution whose width is learned in the same way. Contacts of one person or one day are not
    independent: counts are divided by the design effect (Rao & Scott 1992), and what people and days differ in
    beyond it moves all rates of a type together.

    Args:
        contacts: As made by `contact_frame`.
        split: Its training contacts are counted; the test is not looked at.
        types: Type of the person of each contact, shape (n,); see `person_types`.
        window_hours: Hours in a row that make a window, 1 to 12.
        rng: Draws from the posterior.
        level: Probability that an interval holds the rate.
        n_draws: Draws from the posterior.

    Returns:
        Rates of hours and weekdays with at least 30 contacts on at least 4 days. Empty where contacts have no
        times.

    Raises:
        ValueError: `window_hours` is out of range, or `types` is of another length.
    """
    if not 1 <= window_hours <= 12:
        raise ValueError(f"window_hours must be from 1 to 12, got {window_hours}.")
    if len(types) != len(contacts.rows):
        raise ValueError(f"types must have one value a contact, {len(contacts.rows)}; got {len(types)}.")
    cells, peaks, left_out = [], [], []
    if contacts.has_times:
        rows = _timed(contacts, split, types)
        contacted = rows["channel"] != NO_CONTACT
        names = sorted(rows.loc[contacted, "person_type"].unique())
        for name in names:
            part = rows[contacted & (rows["person_type"] == name)]
            found = _of_type(part, window_hours=window_hours, level=level, n_draws=n_draws, rng=rng)
            if not found[0]:
                left_out.append(name)
            cells += [frame.assign(person_type=name, contacted=True) for frame in found[0]]
            peaks += [frame.assign(person_type=name) for frame in found[1]]
        for name in names:
            part = rows[~contacted & (rows["person_type"] == name)]
            unasked, _ = _of_type(part, window_hours=window_hours, level=level, n_draws=n_draws, rng=rng)
            cells += [frame.assign(person_type=name, contacted=False) for frame in unasked]
    return ResponseWindows(
        cells=_typed(cells, _CELLS),
        peaks=_typed(peaks, _PEAKS),
        window_hours=window_hours,
        level=level,
        left_out=tuple(left_out),
    )


def _timed(contacts: ContactFrame, split: Split, types: np.ndarray) -> pd.DataFrame:
    """The training contacts with hour, weekday and type."""
    sent = contacts.rows["occurred_at"].dt
    rows = contacts.rows[["person", "channel", "responded"]].assign(
        hour=sent.hour, weekday=sent.day_of_week, day=sent.normalize(), person_type=types
    )
    return rows.iloc[split.training]


def _of_type(
    rows: pd.DataFrame, *, window_hours: int, level: float, n_draws: int, rng: np.random.Generator
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Rates and peaks of one type: empty where there are no two hours or weekdays to compare."""
    kept = {by: _kept(rows, by) for by in ("hour", "weekday")}
    if max(len(values) for values in kept.values()) < 2 or rows["responded"].sum() < FEWEST_RESPONSES:
        return [], []
    cells, peaks, draws = [], [], {}
    for by, values in kept.items():
        if len(values) < 2:
            continue
        counts = _counts(rows, [by]).loc[values]
        effect, shift = _clustering(rows, by)
        draws[by] = _main(by, values, counts / effect, n_draws=n_draws, rng=rng)
        shifted = expit(draws[by] + shift * rng.standard_normal((n_draws, 1)))
        where = (
            {"hour": values, "weekday": ANY_DAY} if by == "hour" else {"hour": np.nan, "weekday": _names(values)}
        )
        cells.append(_rates(counts, shifted, level).assign(**where))
        peaks.append(_peak(values, counts, shifted, by=by, hours=window_hours, level=level))
    if len(draws) == 2:
        counts = _counts(rows, ["weekday", "hour"]).reindex(
            pd.MultiIndex.from_product([kept["weekday"], kept["hour"]]), fill_value=0
        )
        effect, shift = _clustering(rows, "hour")
        days = draws["weekday"] - draws["weekday"].mean(axis=1, keepdims=True)
        centre = expit(days[:, :, None] + draws["hour"][:, None, :]).reshape(n_draws, -1)
        drawn = _joint(counts / effect, centre, rng=rng)
        shifted = expit(logit(drawn) + shift * rng.standard_normal((n_draws, 1)))
        days, hours = (counts.index.get_level_values(i) for i in (0, 1))
        cells.append(_rates(counts, shifted, level).assign(hour=hours, weekday=_names(days)))
    return cells, [frame for frame in peaks if len(frame)]


def _kept(rows: pd.DataFrame, by: str) -> np.ndarray:
    """Hours or weekdays with enough contacts on enough days, in order."""
    found = rows.groupby(by)["day"].agg(["size", "nunique"])
    return found.index[(found["size"] >= FEWEST_CONTACTS) & (found["nunique"] >= FEWEST_DAYS)].to_numpy()


def _counts(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return rows.groupby(by)["responded"].agg(hits="sum", n="size").astype("float64")


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


def _main(
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


def _joint(counts: pd.DataFrame, centre: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Draw rates that are beta distributed around `centre`, from their posterior, shape (n_draws, cells)."""
    hits, n = counts["hits"].to_numpy(), counts["n"].to_numpy()
    sums, at = _WIDTHS[:, None] ** -2.0, centre.mean(axis=0)
    alpha, beta = at * sums, (1 - at) * sums
    fit = (betaln(alpha + hits, beta + n - hits) - betaln(alpha, beta)).sum(axis=1)
    weight = np.exp(fit - fit.max())
    drawn = sums[rng.choice(len(sums), size=len(centre), p=weight / weight.sum())]
    rates = rng.beta(centre * drawn + hits, (1 - centre) * drawn + n - hits)
    return np.clip(rates, 1e-9, 1 - 1e-9)


def _rates(counts: pd.DataFrame, draws: np.ndarray, level: float) -> pd.DataFrame:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    n = counts["n"].to_numpy()
    return pd.DataFrame(
        {
            "n_rows": n.astype("int64"),
            "observed_rate": np.divide(counts["hits"], n, out=np.full(len(n), np.nan), where=n > 0),
            "response_rate": draws.mean(axis=0),
            "response_rate_low": low,
            "response_rate_high": high,
            "lift": (draws / draws.mean(axis=1, keepdims=True)).mean(axis=0),
        }
    )


def _peak(
    values: np.ndarray, counts: pd.DataFrame, draws: np.ndarray, *, by: str, hours: int, level: float
) -> pd.DataFrame:
    """The best window of one kind: no row where no two windows can be compared."""
    length = hours if by == "hour" else 1
    place = {int(value): i for i, value in enumerate(values)}
    runs = {first: [(first + i) % 24 for i in range(length)] for first in place}
    windows = {first: [place[v] for v in run] for first, run in runs.items() if all(v in place for v in run)}
    if len(windows) < 2:
        return pd.DataFrame()
    rates = np.column_stack([draws[:, inside].mean(axis=1) for inside in windows.values()])
    firsts = list(windows)
    chance = np.bincount(rates.argmax(axis=1), minlength=len(firsts)) / len(rates)
    best = int(rates.mean(axis=0).argmax())
    order = np.argsort(-chance, kind="stable")
    needed = order[: int(np.searchsorted(np.cumsum(chance[order]), level - 1e-12)) + 1]
    lift = rates[:, best] / draws.mean(axis=1)
    record: dict[str, object] = {
        "kind": "hours" if by == "hour" else by,
        "window": window_name(firsts[best], by, length),
        "first": firsts[best],
    }
    record["n_rows"] = int(counts["n"].to_numpy()[windows[firsts[best]]].sum())
    for name, values_drawn in (("response_rate", rates[:, best]), ("lift", lift)):
        ends = np.quantile(values_drawn, [(1 - level) / 2, (1 + level) / 2])
        record |= {name: values_drawn.mean(), f"{name}_low": ends[0], f"{name}_high": ends[1]}
    record["best_probability"] = chance[best]
    record["could_be_best"] = ", ".join(window_name(firsts[i], by, length) for i in needed)
    return pd.DataFrame([record])


def window_name(first: int, by: str, length: int) -> str:
    """Return the name of a window that begins at an hour, or of a weekday from 0 for Monday."""
    return WEEKDAYS[first] if by == "weekday" else f"{first:02d}:00-{(first + length) % 24:02d}:00"


def _names(weekdays: np.ndarray) -> list[str]:
    return [WEEKDAYS[day] for day in weekdays]


def _typed(frames: list[pd.DataFrame], kinds: dict[str, str]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return pd.concat(frames, ignore_index=True)[list(kinds)].astype(kinds)
