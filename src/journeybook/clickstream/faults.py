"""Was a step broken for some days: a scan over steps, devices and spans of days, held against sound logs."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from journeybook.journeys.links import links
from journeybook.journeys.sessions import EXIT, START

ALL, UNKNOWN = "(all)", "(unknown)"
DAY = pd.Timedelta(days=1)
# A span of days is looked at where the step is expected, and expected to be missed, so many times.
_LEAST_EXPECTED = 5.0
# Each length of the scan is so many times the one before.
_GROWTH = 4 / 3
# Median of chi-square with one degree of freedom.
_MEDIAN_SQUARE = stats.chi2.median(1)
_COLUMNS = [
    "source",
    "target",
    "device",
    "starts_at",
    "ends_at",
    "n",
    "probability",
    "probability_outside",
    "lost",
    "score",
    "p_value",
    "fault",
]

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FaultScan:
    """The deepest drop of every step.

    Attributes:
        table: One row a step, the deepest drop first: `source`, `target`, `device`, `starts_at` and `ends_at` (the
            first midnight after), `n` (visits of the source meanwhile), `probability` of the step meanwhile,
            `probability_outside`, `lost` (steps that did not happen), `score` (standard errors below, at most,
            over the spans scanned), `p_value` (family-wise) and `fault` (`p_value` at most `alpha`).
        daily: Visits and steps of the first row's source, step and device: `day`, `n`, `k`.
        note: Why nothing can be scanned; None where something can.
    """

    table: pd.DataFrame
    daily: pd.DataFrame
    note: str | None


def find_faults(
    steps: ibis.Table,
    *,
    alpha: float,
    shortest_days: int,
    longest_days: int,
    n_simulations: int,
    rng: np.random.Generator,
) -> FaultScan:
    """Scan every step from a page, on every device and on all together, for days in which its share dropped.

    The score of a span of days is how many standard errors the step was taken less often than its share over the
    whole log says (the scan of Kulldorff 1997, with a score in place of the likelihood ratio); where days or weeks
    scatter more than chance, it is as much larger. A step's drop is its span of the highest score. Looking at so
    many steps and spans finds a drop in any log. So sound logs are simulated, in which every step keeps its
    share on every day with the visits there were, and scanned alike: a drop is a fault where at most `alpha` of
    the simulated logs hold, anywhere, a higher score. The ends of a drop are those of the greatest likelihood,
    over spans of every length. Steps into exit are not scanned (another step is then missing), nor where visits
    begin. Days are taken for independent but for their scatter: other visitors for weeks on end make the scan find
    more than it states.

    Args:
        steps: What `session_steps` returns; without times nothing can be scanned.
        alpha: Chance that a sound log shows any fault.
        shortest_days: Shortest span, in days; above 1, a single odd day (a holiday) is no fault.
        longest_days: Longest span, in days; at most half the log is used.
        n_simulations: Sound logs simulated, at least 1 / `alpha` - 1.
        rng: Random numbers of the simulations.

    Raises:
        ValueError: A number is out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: it must be above 0 and below 1.")
    if not 1 <= shortest_days <= longest_days:
        raise ValueError(
            f"the shortest fault has {shortest_days} days: it must be from 1 to the longest, {longest_days}."
        )
    if (n_simulations + 1) * alpha < 1:
        raise ValueError(
            f"n_simulations is {n_simulations}: at alpha {alpha} at least {1 / alpha - 1:.0f} are needed."
        )
    if "session" not in steps.columns or "occurred_at" not in steps.columns:
        return _nothing("the data have no times")
    days = _by_day(_day_counts(steps))
    longest = min(longest_days, days.n_days // 2)
    if longest < shortest_days or not len(days.names):
        return _nothing(f"{days.n_days} days with {len(days.names)} busy steps are too little")
    lengths = range(shortest_days, longest + 1)
    return _scan(days, lengths, alpha=alpha, n_simulations=n_simulations, rng=rng)


@dataclass(frozen=True, eq=False)
class _Days:
    """Counts of each step and day, shape (steps, days), and the cells they are sums of.

    Attributes:
        names: `device`, `source` and `target` of each step.
        first: First day of the log.
        took: Steps.
        visits: Visits of the step's source.
        parts: 1 where a step holds a cell (a step on one device), shape (steps, cells).
        cell_visits: Visits of the cell's source, shape (cells, days).
        cell_share: Share of the cell's step among them, shape (cells, 1).
    """

    names: pd.DataFrame
    first: pd.Timestamp
    took: Array
    visits: Array
    parts: Array
    cell_visits: NDArray[np.int64]
    cell_share: Array

    @property
    def n_days(self) -> int:
        return self.took.shape[1]


def _scan(days: _Days, lengths: range, *, alpha: float, n_simulations: int, rng: np.random.Generator) -> FaultScan:
    """Scan the days and as many simulated ones for spans of these lengths."""
    grid = [(length, _weights(days, length)) for length in _grid(lengths[0], lengths[-1])]
    score = _deepest(days, days.took, grid)
    drawn = (rng.binomial(days.cell_visits, days.cell_share) for _ in range(n_simulations))
    greatest = np.array([_deepest(days, days.parts @ cells.astype(float), grid).max() for cells in drawn])
    table = _table(days, *_located(days, lengths)).assign(score=score)
    table["p_value"] = (1 + (greatest[:, None] >= score).sum(axis=0)) / (1 + n_simulations)
    table["fault"] = table["p_value"] <= alpha
    # A broken device shows on all together too: of one step the likeliest drop is kept.
    table = table.sort_values(["fault", "evidence"], ascending=False, kind="stable")
    table = table.drop_duplicates(["source", "target"]).sort_values("score", ascending=False, kind="stable")
    n, k = (counts[table.index[0]].astype(np.int64) for counts in (days.visits, days.took))
    daily = pd.DataFrame({"day": days.first + np.arange(days.n_days) * DAY, "n": n, "k": k})
    return FaultScan(table=table[_COLUMNS].reset_index(drop=True), daily=daily, note=None)


def _day_counts(steps: ibis.Table) -> pd.DataFrame:
    """Count the steps from each page by `device`, `source`, `target` and `day`."""
    device = steps.device.fill_null(UNKNOWN) if "device" in steps.columns else ibis.literal(ALL)
    found = links(steps.mutate(day=steps.occurred_at.date(), device=device), "day", "device")
    keys = ["device", "source", "target", "day"]
    counts = found.filter(found.source != START).group_by(keys).aggregate(n=found.n.sum())
    return counts.order_by(keys).to_pandas()


def _by_day(counts: pd.DataFrame) -> _Days:
    """Put counts in arrays, each device apart and, where there are several, all together."""
    day = pd.to_datetime(counts["day"])
    first = day.min()
    n_days = 0 if counts.empty else (day.max() - first).days + 1
    at = ((day - first) // DAY).to_numpy(dtype=np.int64)
    cell, cells = pd.MultiIndex.from_frame(counts[["device", "source", "target"]]).factorize()
    page, pages = pd.MultiIndex.from_frame(counts[["device", "source"]]).factorize()
    took, visits = (np.zeros((len(names), n_days), dtype=np.int64) for names in (cells, pages))
    np.add.at(took, (cell, at), counts["n"].to_numpy())
    np.add.at(visits, (page, at), counts["n"].to_numpy())
    visits = visits[pages.get_indexer(cells.droplevel(2))]
    parts, names = np.eye(len(cells)), cells.to_frame(index=False, name=["device", "source", "target"])
    if names["device"].nunique() > 1:
        step, together = cells.droplevel(0).factorize()
        parts = np.vstack([parts, np.arange(len(together))[:, None] == step])
        both = together.to_frame(index=False, name=["source", "target"])
        names = pd.concat([names, both.assign(device=ALL)], ignore_index=True)
    all_took, all_visits = parts @ took, parts @ visits
    share = all_took.sum(axis=1) / all_visits.sum(axis=1)
    busy = np.minimum(share, 1 - share) * all_visits.sum(axis=1) >= 2 * _LEAST_EXPECTED
    busy &= (names["target"] != EXIT).to_numpy()
    return _Days(
        names=names[busy].reset_index(drop=True),
        first=first,
        took=all_took[busy],
        visits=all_visits[busy],
        parts=parts[busy],
        cell_visits=visits,
        cell_share=took.sum(axis=1, keepdims=True) / visits.sum(axis=1, keepdims=True),
    )


def _weights(days: _Days, length: int) -> Array:
    """Return 1 / the standard error of each span of so many days, for one visit's variance of 1.

    0 where the span is not looked at. Shape (steps, spans).
    """
    seen = np.pad(np.cumsum(days.visits, axis=1), ((0, 0), (1, 0)))
    total = seen[:, -1:]
    seen = seen[:, length:] - seen[:, :-length]
    share = days.took.sum(axis=1, keepdims=True) / total
    variance = seen * (1 - seen / total)
    looked_at = (seen * np.minimum(share, 1 - share) >= _LEAST_EXPECTED) & (variance > 0)
    return np.where(looked_at, 1 / np.sqrt(np.where(looked_at, variance, 1.0)), 0.0)


def _deepest(days: _Days, took: Array, grid: list[tuple[int, Array]]) -> Array:
    """Return the highest score of each step, those of `days` or simulated ones, over the spans of the grid."""
    missing = np.pad(np.cumsum(_missing(took, days.visits), axis=1), ((0, 0), (1, 0)))
    best = np.zeros(len(took))
    for length, weights in grid:
        score = (missing[:, length:] - missing[:, :-length]) * weights
        np.maximum(best, score.max(axis=1), out=best)
    return best


def _located(days: _Days, lengths: range) -> tuple[Numbers, Numbers]:
    """Return the first day and the length of each step's likeliest span of a lower share than elsewhere."""
    steps = np.arange(len(days.names))
    took, visits = (np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0))) for counts in (days.took, days.visits))
    best, start, span = np.full(len(steps), -np.inf), np.zeros_like(steps), np.ones_like(steps)
    for length in lengths:
        k, n = (counts[:, length:] - counts[:, :-length] for counts in (took, visits))
        gained = _evidence(k, n, took[:, -1:], visits[:, -1:])
        at = gained.argmax(axis=1)
        better = gained[steps, at] > best
        best, start = np.where(better, gained[steps, at], best), np.where(better, at, start)
        span = np.where(better, length, span)
    return start, span


def _evidence(k: Array, n: Array, all_k: Array, all_n: Array) -> Array:
    """Return the log-likelihood of a share of their own of k of n, minus infinity where it is not the lower."""
    found = _log_likelihood(k, n) + _log_likelihood(all_k - k, all_n - n)
    return np.where(k * (all_n - n) < (all_k - k) * n, found, -np.inf)


def _log_likelihood(k: Array, n: Array) -> Array:
    """Return the log-likelihood of k of n at the share k / n."""
    return xlogy(k, k) + xlogy(n - k, n - k) - xlogy(n, n)


def _missing(took: Array, visits: Array) -> Array:
    """Return the steps missing each day against the share of the whole log, in standard deviations of a visit's.

    The standard deviation holds the scatter of the days, by Pearson's dispersion, or that of the weeks where it is
    wider: the median of their squares over that of chi-square, so that some broken weeks do not hide themselves.
    """
    share = took.sum(axis=1, keepdims=True) / visits.sum(axis=1, keepdims=True)
    missing = share * visits - took
    variance = share * (1 - share)
    days_on = np.maximum((visits > 0).sum(axis=1, keepdims=True) - 1, 1)
    by_day = np.sum(missing**2 / np.maximum(visits, 1), axis=1, keepdims=True) / days_on
    weeks = np.arange(0, took.shape[1], 7)
    in_week, seen = (np.add.reduceat(counts, weeks, axis=1) for counts in (missing, visits))
    by_week = np.median(in_week**2 / np.maximum(seen, 1), axis=1, keepdims=True) / _MEDIAN_SQUARE
    scale = np.sqrt(np.maximum(variance, np.maximum(by_day, by_week)))
    # A step that is always taken, or never, misses nothing.
    return np.divide(missing, scale, out=np.zeros_like(missing), where=scale > 0)


def _grid(shortest: int, longest: int) -> list[int]:
    """Return lengths that grow by about a third.

    >>> _grid(2, 20)
    [2, 3, 4, 5, 7, 9, 12, 16, 20]
    """
    lengths = [shortest]
    while lengths[-1] < longest:
        lengths.append(min(max(lengths[-1] + 1, round(lengths[-1] * _GROWTH)), longest))
    return lengths


def _table(days: _Days, start: Numbers, length: Numbers) -> pd.DataFrame:
    """Return what happened in the deepest drop of each step and outside it."""
    day = np.arange(days.n_days)
    inside = (day >= start[:, None]) & (day < (start + length)[:, None])
    n, k = ((counts * inside).sum(axis=1) for counts in (days.visits, days.took))
    all_n, all_k = (counts.sum(axis=1) for counts in (days.visits, days.took))
    share, outside = (
        np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in ((k, n), (all_k - k, all_n - n))
    )
    return days.names.assign(
        starts_at=days.first + start * DAY,
        ends_at=days.first + (start + length) * DAY,
        n=n.astype(np.int64),
        probability=share,
        probability_outside=outside,
        lost=n * outside - k,
        evidence=_evidence(k, n, all_k, all_n) - _log_likelihood(all_k, all_n),
    )


def _nothing(note: str) -> FaultScan:
    note = f"nothing can be scanned for faults: {note}"
    return FaultScan(
        table=pd.DataFrame(columns=_COLUMNS), daily=pd.DataFrame(columns=["day", "n", "k"]), note=note
    )
