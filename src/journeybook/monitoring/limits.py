"""What is expected of a day, when a series alarms, and how far it has moved against a margin.

Expectations are products of a level and factors of weekday, month and holiday, learnt on the reference days. The
alarm is Page's (1954) cumulative sum of the log-likelihood ratio between a move of the margin and none. What moves
less than about half the margin never adds up, however many rows there are. Such a sum reaches h after exp(h) days
or more on average where nothing moved (Lorden 1971): so the limit of each follows from how many there are.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from journeybook.monitoring.series import ABOUT, LEVEL, RATE, SHARE, DailySeries

Array = NDArray[np.float64]

SAME, CHANGED, UNTOLD = "same", "changed", "cannot be told"
DAYS_A_MONTH = 365.25 / 12
# The reference must hold a year to learn months, two holidays to learn those, four weeks to learn anything.
YEAR, LEAST_HOLIDAYS, LEAST_DAYS = 364, 2, 28
_ROUNDS = 20
# A share is never taken to be less than a tenth of its margin: two rows in a row that never failed are no alarm.
_FLOOR = 0.1


@dataclass(frozen=True)
class Margins:
    """Moves that do not matter.

    Attributes:
        ratio: Of a volume or a part of a mix, as a share of what is expected.
        points: Of a share of what is wrong, as a share of the rows.
        sd: Of a mean, in standard deviations of the rows of the reference.
    """

    ratio: float
    points: float
    sd: float

    def __post_init__(self) -> None:
        """Refuse a margin that is none.

        Raises:
            ValueError: One is not above 0, or a ratio or points not below 1.
        """
        for name, value, most in (("ratio", self.ratio, 1), ("points", self.points, 1), ("sd", self.sd, np.inf)):
            if not 0 < value < most:
                raise ValueError(f"margin_{name} is {value}: it must be above 0{' and below 1' * (most == 1)}.")

    def of(self, series: DailySeries) -> Array:
        """The margin of each series, shape (series, 1)."""
        kinds = {RATE: self.ratio, SHARE: self.points, LEVEL: self.sd}
        return series.about["kind"].map(kinds).to_numpy(dtype=float)[:, None]


@dataclass(frozen=True, eq=False)
class Expectation:
    """What the reference days say of every day.

    Attributes:
        series: The series it is of: those that have enough reference days.
        reference: Whether a day is one of the reference, shape (series, days).
        level: Rate, share or mean expected of a day, shape (series, days).
        sd: Standard deviation of the rows of a level, 1 for others, shape (series, 1).
        dispersion: Variance of a day, or of a week where that is more, over what rows by chance would have, at
            least 1 (of a part of a mix 1 less its share); likewise.
        taught: Whether a day of the reference taught, shape (series, days): not a holiday where there are few.
        judged: Whether a day is judged: a holiday is not where too few were learnt, shape (series, days).
        reference_days: What was asked of `learn`, and `holidays` likewise.
        note: What could not be learnt, and what it would take.
    """

    series: DailySeries
    reference: NDArray[np.bool_]
    level: Array
    sd: Array
    dispersion: Array
    taught: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    reference_days: int | None
    holidays: tuple[str, ...]
    note: str

    def only(self, chosen: NDArray[Any]) -> "Expectation":
        """What is expected of those series alone, by place or by mask."""
        arrays = {
            name: getattr(self, name)[chosen]
            for name in ("reference", "level", "sd", "dispersion", "taught", "judged")
        }
        return replace(self, series=self.series.only(chosen), **arrays)


def learn(series: DailySeries, *, reference_days: int | None, holidays: Collection[str]) -> Expectation:
    """Learn what to expect from the first days.

    Args:
        series: Counts by day.
        reference_days: Whole days of each table that are the reference; None is its first half, in whole weeks.
        holidays: Days unlike their weekday, such as 2017-12-25.

    Raises:
        ValueError: The reference leaves no day to judge.
    """
    n_seen = series.seen.sum(axis=1, keepdims=True)
    first = n_seen // 14 * 7 if reference_days is None else np.full_like(n_seen, reference_days)
    if reference_days is not None and n_seen.size and reference_days >= n_seen.max():
        raise ValueError(
            f"reference_days is {reference_days}, but the data have {n_seen.max()} whole days: some must be left."
        )
    used = series.seen & (np.cumsum(series.seen, axis=1) <= first)
    chosen = (used.sum(axis=1) >= LEAST_DAYS) & ((series.n * used).sum(axis=1) > 0)
    # A value that the reference never had has no share that could move.
    chosen &= ((series.k * used).sum(axis=1) > 0) | ~series.kind(RATE)[:, 0]
    series, reference = series.only(chosen), used[chosen]
    free = np.asarray(series.days.strftime("%Y-%m-%d").isin([*holidays]))
    n_days, met = reference.sum(axis=1, keepdims=True), (reference & free).sum(axis=1, keepdims=True)
    factors = [
        (np.asarray(series.days.day_of_week), n_days > 0),
        (np.asarray(series.days.month), n_days >= YEAR),
        (free.astype(int), met >= LEAST_HOLIDAYS),
    ]
    judged = (met >= LEAST_HOLIDAYS) | ~free
    level = _levels(series, reference & judged, factors)
    sd = _row_sd(series, reference & judged)
    notes = [] if factors[1][1].any() else ["a year of reference, to learn the season"]
    notes += ["a reference with two holidays, to judge them"] * bool((series.seen & ~judged).any())
    return Expectation(
        series=series,
        reference=reference,
        level=level,
        sd=sd,
        dispersion=_dispersion(series, reference & judged, level, sd),
        taught=reference & judged,
        judged=series.seen & judged & (series.n > 0),
        reference_days=reference_days,
        holidays=tuple(holidays),
        note=f"It would also need {' and '.join(notes)}." if notes and len(series.about) else "",
    )


def _levels(
    series: DailySeries, taught: NDArray[np.bool_], factors: list[tuple[NDArray[np.int64], NDArray[np.bool_]]]
) -> Array:
    """Level times factors that add up to what was counted in each weekday, month and on holidays.

    By proportional fitting, which is Poisson regression; of means, by differences in turn, which is least squares.
    """
    k, n = np.where(taught, series.k, 0.0), np.where(taught, series.n, 0.0)
    means = series.kind(LEVEL)
    level = np.repeat(
        k.sum(axis=1, keepdims=True) / np.maximum(n.sum(axis=1, keepdims=True), 1e-12), k.shape[1], 1
    )
    several = [(factor, of) for factor, of in factors if of.any()]
    for _ in range(_ROUNDS if len(several) > 1 else 1):
        for factor, of in several:
            for value in np.unique(factor):
                at = factor == value
                seen, counted = (x[:, at].sum(axis=1, keepdims=True) for x in (n, k))
                due = (n * level)[:, at].sum(axis=1, keepdims=True)
                ratio = np.divide(counted, due, out=np.ones_like(due), where=of & (due > 0))
                shift = np.divide(counted - due, seen, out=np.zeros_like(due), where=of & (seen > 0))
                level[:, at] = np.where(means, level[:, at] + shift, level[:, at] * ratio)
    return level


def _row_sd(series: DailySeries, taught: NDArray[np.bool_]) -> Array:
    """Standard deviation of a level's rows within days; 1 for other kinds."""
    n = np.where(taught, series.n, 0.0)
    within = np.where(n > 0, series.q - series.k**2 / np.maximum(series.n, 1), 0.0).sum(axis=1, keepdims=True)
    sd = np.sqrt(
        np.maximum(within, 0) / np.maximum(n.sum(axis=1, keepdims=True) - (n > 0).sum(axis=1, keepdims=True), 1)
    )
    return np.where(series.kind(LEVEL), np.maximum(sd, 1e-9), 1.0)


def _dispersion(series: DailySeries, taught: NDArray[np.bool_], level: Array, sd: Array) -> Array:
    """Pearson's dispersion by day, or by week where it is larger."""
    n, off = np.where(taught, series.n, 0.0), np.where(taught, series.k - series.n * level, 0.0)
    variance = np.where(series.kind(LEVEL), n * sd**2, n * level)
    days = (variance > 0).sum(axis=1, keepdims=True)
    by_day = np.divide(off**2, variance, out=np.zeros_like(off), where=variance > 0).sum(axis=1, keepdims=True)
    starts = np.arange(0, off.shape[1], 7)
    of_week, var_week = (np.add.reduceat(x, starts, axis=1) if x.size else x for x in (off, variance))
    weeks = (var_week > 0).sum(axis=1, keepdims=True)
    by_week = np.divide(of_week**2, var_week, out=np.zeros_like(of_week), where=var_week > 0)
    least = np.where(
        (series.about["measure"] == "mix").to_numpy()[:, None], 1 - np.clip(_whole(n, level), 0, 0.99), 1
    )
    found = [by_day / np.maximum(days - 7, 1), by_week.sum(axis=1, keepdims=True) / np.maximum(weeks - 1, 1)]
    return np.maximum.reduce([least, *found])


def _whole(n: Array, level: Array) -> Array:
    return (n * level).sum(axis=1, keepdims=True) / np.maximum(n.sum(axis=1, keepdims=True), 1e-12)


def limit_of(n_sums: int, *, false_alarms_a_month: float) -> float:
    """Return the limit at which `n_sums` cumulative sums together alarm so often, at most, where nothing moves.

    >>> round(limit_of(60, false_alarms_a_month=1), 2)
    7.51
    """
    if not false_alarms_a_month > 0:
        raise ValueError(f"false_alarms_a_month is {false_alarms_a_month}: it must be above 0.")
    return float(np.log(max(n_sums, 1) * DAYS_A_MONTH / false_alarms_a_month))


def evidence(expected: Expectation, *, margins: Margins) -> Array:
    """Log-likelihood ratio of each day, between a move of the margin and none, shape (2, series, days).

    First upwards, then downwards, by the quasi-likelihood of Poisson or normal counts. 0 on days of the reference
    and such as are not judged. A share of what is wrong is not asked whether it sank within its margin of 0.
    """
    series, margin, phi = expected.series, margins.of(expected.series), expected.dispersion
    level = np.where(series.kind(SHARE), np.maximum(expected.level, _FLOOR * margin), expected.level)
    shares = series.kind(SHARE)
    found = []
    for way in (1, -1):
        moved = np.where(shares, level + way * margin, level * (1 + way * margin))
        asked = (moved > 0) & (level > 0)
        safe, base = np.where(asked, moved, 1.0), np.where(asked, level, 1.0)
        poisson = (series.k * np.log(safe / base) - series.n * (safe - base)) / phi
        # A mean in standard errors against the margin in them.
        error = expected.sd * np.sqrt(phi / np.maximum(series.n, 1))
        shift = margin * expected.sd / error
        normal = shift * (way * (series.k / np.maximum(series.n, 1) - level) / error - shift / 2)
        asked = np.where(series.kind(LEVEL), True, asked)
        judged = asked & expected.judged & ~expected.reference
        found.append(np.where(judged, np.where(series.kind(LEVEL), normal, poisson), 0.0))
    return np.stack(found)


def episodes(ratio: Array, *, limit: float) -> NDArray[np.int64]:
    """Find where cumulative sums pass a limit (Page 1954), and from when until when something had moved.

    A sum begins anew at 0, its first day the estimate of when the move began. It has ended on the highest day once
    the sum has sunk by as much as raised the alarm; then it begins at 0 again.

    Args:
        ratio: Log-likelihood ratios, shape (sums, days).
        limit: What a sum must reach.

    Returns:
        One row an alarm, shape (alarms, 5): sum, first day of the move, day of the alarm, last day, whether it has
        ended (1) or goes on (0).
    """
    n_sums, n_days = ratio.shape
    total, top = np.zeros(n_sums), np.zeros(n_sums)
    since, crossed, last = (np.full(n_sums, -1) for _ in range(3))
    found: list[tuple[Any, ...]] = []
    for day in range(n_days):
        alarmed = crossed >= 0
        total = np.where(alarmed, total + ratio[:, day], np.maximum(total + ratio[:, day], 0.0))
        since = np.where((total > 0) | alarmed, np.where(since < 0, day, since), -1)
        crossed = np.where(~alarmed & (total >= limit), day, crossed)
        higher = (crossed >= 0) & (total >= top)
        top, last = np.where(higher, total, top), np.where(higher, day, last)
        over = (crossed >= 0) & (total <= top - limit)
        found += [(i, since[i], crossed[i], last[i], 1) for i in np.flatnonzero(over)]
        total, top = np.where(over, 0.0, total), np.where(over, 0.0, top)
        since, crossed = np.where(over, -1, since), np.where(over, -1, crossed)
    found += [(i, since[i], crossed[i], last[i], 0) for i in np.flatnonzero(crossed >= 0)]
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 5)


def moves(
    expected: Expectation, chosen: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> pd.DataFrame:
    """Return how far series moved between two days, both included: expected, seen, effect, low, high.

    The effect is a ratio less 1, points of a share, or standard deviations; the 95 % interval is Garwood's (1936)
    of a Poisson count, as wide as the dispersion and the reference's own error make it, or the normal one.
    """
    series, rows = expected.series, []
    # Plain sums of a handful of days: one series at a time.
    for i, start, end in zip(chosen, starts, ends, strict=True):
        at = np.zeros(len(series.days), dtype=bool)
        at[start : end + 1] = True
        at &= expected.judged[i]
        taught = series.n[i, expected.reference[i]].sum()
        n, k, mean = series.n[i, at].sum(), series.k[i, at].sum(), (series.n[i] * expected.level[i])[at].sum()
        phi = expected.dispersion[i, 0] * (1 + n / max(taught, 1e-12))
        kind = series.about["kind"].iloc[i]
        if not n:
            rows.append((np.nan,) * 5)
            continue
        if kind == LEVEL:
            half = stats.norm.ppf(0.975) * np.sqrt(phi / n)
            effect = (k - mean) / n / expected.sd[i, 0]
            rows.append((mean / n, k / n, effect, effect - half, effect + half))
            continue
        low, high = (
            phi * float(np.nan_to_num(stats.chi2.ppf(p, 2 * k / phi + more))) / 2
            for p, more in ((0.025, 0), (0.975, 2))
        )
        if kind == SHARE:
            rows.append((mean / n, k / n, (k - mean) / n, (low - mean) / n, (high - mean) / n))
        else:
            base = max(mean, 1e-12)
            rows.append((mean / n, k / n, k / base - 1, low / base - 1, high / base - 1))
    told = pd.DataFrame(rows, columns=["expected", "seen", "effect", "low", "high"])
    logarithms = (series.about["measure"].iloc[chosen] == "values").to_numpy()
    for name in ("expected", "seen"):
        told[name] = np.where(logarithms, np.exp(np.where(logarithms, told[name], 0.0)), told[name])
    return told


def verdict_of(low: Array, high: Array, margin: Array) -> NDArray[np.str_]:
    """Whether an interval lies within its margin (`same`), beyond it (`changed`), or neither (`cannot be told`).

    >>> verdict_of(np.array([-0.1, 0.3, 0.1]), np.array([0.1, 0.5, 0.3]), np.array([0.2, 0.2, 0.2])).tolist()
    ['same', 'changed', 'cannot be told']
    """
    beyond, within = (low > margin) | (high < -margin), (low >= -margin) & (high <= margin)
    return np.where(beyond, CHANGED, np.where(within, SAME, UNTOLD))


def sums_of(expected: Expectation, *, margins: Margins) -> int:
    """Return how many cumulative sums there are: those that any day speaks for."""
    return int((evidence(expected, margins=margins) != 0).any(axis=2).sum())


def watch(expected: Expectation, *, margins: Margins, limit: float) -> pd.DataFrame:
    """Return each sum that reaches the limit on the days after the reference, the latest first.

    Returns:
        One row an alarm: `table`, `source`, `measure`, `column`, `since`, `until` (empty while it goes on),
        `alarmed` (the day on which it was raised), `expected`, `seen`, `effect`, `low`, `high`, `margin`,
        `verdict`. What turned out the same is no alarm to act on.
    """
    ratio = evidence(expected, margins=margins)
    n_series = ratio.shape[1]
    found = episodes(ratio.reshape(2 * n_series, ratio.shape[2]), limit=limit)
    at, start, crossed, end = (found[:, 0] % max(n_series, 1), *found[:, 1:4].T)
    end = np.where(found[:, 4] == 1, end, ratio.shape[2] - 1)
    table = expected.series.about.iloc[at].drop(columns="kind").reset_index(drop=True)
    day = expected.series.days
    table["since"], table["alarmed"] = day[start].strftime("%Y-%m-%d"), day[crossed].strftime("%Y-%m-%d")
    table["until"] = np.where(found[:, 4] == 1, day[end].strftime("%Y-%m-%d"), None)
    told = moves(expected, at, start, end)
    margin = margins.of(expected.series)[at, 0]
    table = pd.concat([table, told], axis=1).assign(margin=margin)
    table["verdict"] = verdict_of(told["low"].to_numpy(), told["high"].to_numpy(), margin)
    return table.sort_values(["alarmed", *ABOUT], ascending=[False, *[True] * len(ABOUT)], ignore_index=True)


def to_act_on(raised: pd.DataFrame, expected: Expectation, *, recent_days: int) -> pd.DataFrame:
    """Return the alarms whose move did not turn out the same, with `is_new`.

    An alarm is new while its move goes on, or if it was raised in the newest days.
    """
    alarms = raised[raised["verdict"] != SAME].reset_index(drop=True)
    newest = f"{expected.series.days[-recent_days:][0]:%Y-%m-%d}" if len(alarms) else ""
    return alarms.assign(is_new=alarms["until"].isna() | (alarms["alarmed"] >= newest))


def stand(expected: Expectation, *, margins: Margins, limit: float, recent_days: int) -> pd.DataFrame:
    """Return where each series stands in its last days: the columns of `moves`, `margin`, `verdict`, `delay_days`.

    `delay_days` is how long a move of the margin takes to be found, on average
    (Wald's identity: the limit over the mean of a day's evidence); None beyond a year.
    """
    series, n = expected.series, len(expected.series.about)
    # A table that ended earlier has newest days of its own.
    last = (np.arange(len(series.days)) * series.seen).max(axis=1, initial=0)
    told = moves(expected, np.arange(n), np.maximum(last - recent_days + 1, 0), last)
    margin = margins.of(series)
    level = _whole(series.n, expected.level)
    base = np.where(series.kind(SHARE), np.maximum(level, _FLOOR * margin), level)
    up = np.where(series.kind(SHARE), base + margin, base * (1 + margin))
    n_day = np.median(series.n, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        gained = n_day * (up * np.log(up / base) - (up - base)) / expected.dispersion
        gained = np.where(series.kind(LEVEL), margin**2 * n_day / (2 * expected.dispersion), gained)
        delay = np.maximum(limit / gained, 1)[:, 0]
    table = pd.concat([series.about.drop(columns="kind"), told], axis=1).assign(margin=margin[:, 0])
    table["verdict"] = verdict_of(told["low"].to_numpy(), told["high"].to_numpy(), margin[:, 0])
    table["delay_days"] = np.where(np.isfinite(delay) & (delay <= 365), np.round(delay, 1), np.nan)
    return table
