"""Whether an experiment can be trusted at all: looked at before any effect is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.measures import Measures, Metric, filled_covariates, known_values, numbers
from journeybook.experiments.variants import Arms, arms_of, is_summed
from journeybook.statistics.contrasts import arm_moments, contrast

ALARM = 0.001
# These make an effect too uncertain to ship on.
BLOCKING = ("outliers", "novelty", "few_values", "counts_for_units", "unripe")
# These, too, say how to read an effect; the others, whether there is one to read.
OTHER = (
    "rare_outcome",
    "cuped_slopes",
    "left_out",
    "spelled_alike",
    "summed_up",
    "all_alike",
    "alike_where_known",
)
CAUTIONS = BLOCKING + OTHER
# What is found before the checks of health, and counted among them.
NOTICED = {
    "left_out": "units in two arms, left out; if the change makes units come again, effects are biased by it",
    "spelled_alike": "rows whose variant had other capitals or spaces",
    "unripe": "units whose outcomes are still coming in, left out; they are the last to be assigned",
}
FEW_OUTCOMES = 10
# One record linked to the wrong person is no broken assignment; one unit in a thousand is.
MAX_SHARED_SHARE = 0.001
# Values on each side that count as outliers, and standard errors by which they may move an effect: a single value
# that makes the whole effect moves it by one.
OUTLIER_SHARE, MAX_PULL = 0.001, 0.5
# A metric that most units lack says little of a unit.
MIN_KNOWN_SHARE = 0.5
# A row of so many is hardly one person, where there are few rows.
MANY, FEW_ROWS = 50, 1_000
# Days with fewer units in an arm have no effect of their own, and with fewer days there is no trend.
MIN_UNITS_A_DAY, MIN_DAYS = 30, 4


@dataclass(frozen=True)
class SampleRatio:
    """The counts of the arms against the planned shares.

    Attributes:
        p_value: Probability of counts as far from the plan, if units were assigned by it.
        largest_gap_share: Largest absolute difference between a share found and a share planned.
    """

    p_value: float
    largest_gap_share: float


def sample_ratio(counts: Mapping[str, int], *, shares: Mapping[str, float] | None) -> SampleRatio:
    """Pearson's chi-square test of the arm counts against planned shares, on any scale; None plans equal ones.

    Raises:
        ValueError: The shares do not name the variants found, or one is not above 0.

    >>> f"{sample_ratio({'control': 821588, 'treatment': 815482}, shares=None).p_value:.4e}"
    '1.8218e-06'
    """
    if shares is not None and set(map(str, shares)) != set(counts):
        raise ValueError(
            f"shares: found {', '.join(sorted(map(str, shares)))}; "
            f"a share is needed for each of the variants {', '.join(sorted(counts))}."
        )
    planned = np.array([1.0 if shares is None else float(shares[name]) for name in counts])
    if not (np.isfinite(planned) & (planned > 0)).all():
        raise ValueError("shares: every planned share must be a number above 0.")
    planned = planned / planned.sum()
    found = np.array(list(counts.values()), dtype=float)
    gap = float(np.abs(found / found.sum() - planned).max())
    return SampleRatio(float(stats.chisquare(found, planned * found.sum()).pvalue), gap)


def health(
    units: pd.DataFrame,
    *,
    daily: pd.DataFrame,
    measured: Measures,
    control: str | None,
    shares: Mapping[str, float] | None,
    noticed: Mapping[str, int] | None = None,
    empty: Mapping[str, str] | None = None,
    alike: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Check the experiment before its effects are read.

    A test alarms at p below 0.001, not 0.05: it is run on every experiment, and an alarm stops the reading.
    Checks need their columns: `unit_id`, `person_id`, `occurred_at` (assigned), `exposed_at`, `withdrew` (0 or 1),
    covariates. Beside the units go their `daily_effects`, the planned shares (None is equal ones), and what was
    noticed before: counts by the names in `NOTICED`, metrics that a variant has no values of, with the variant,
    and metrics that are the same for all who have a value, with their share of the units.

    Returns:
        One row a check: check, value, p_value (missing where the check is a count), passed, meaning.
    """
    arms = arms_of(units, control=control)
    ratio = sample_ratio(arms.counts, shares=shares)
    plan = "equal shares (name others in `shares`)" if shares is None else "the planned shares"
    meaning = f"largest distance of an arm's share from {plan}; an alarm: assignment or logging is broken"
    rows = [_tested("sample_ratio", ratio.largest_gap_share, ratio.p_value, meaning)]
    rows += [_counted(check, n, 0, NOTICED[check]) for check, n in (noticed or {}).items() if n]
    for name, variant in (empty or {}).items():
        rows.append(_row(f"nothing_in_an_arm: {name}, {variant}", 0, np.nan, False, "no values, so not compared"))
    for name, share in (alike or {}).items():
        meaning = "share of units with a value, which is the same for all of them: not compared"
        check = "all_alike" if share == 1 else "alike_where_known"
        rows.append(_row(f"{check}: {name}", share, np.nan, False, meaning))
    rows += (
        _summed_up(units, alike or {}) if is_summed(units) else _identities(units, arms) + _allocation(units, arms)
    )
    if "withdrew" in units.columns:
        withdrew = numbers(units, "withdrew")
        known = ~np.isnan(withdrew)
        meaning = "share of the known people who withdrew a consent after the assignment, tested between arms"
        rows.append(_between_arms("withdrew_consent", withdrew[known] == 1, arms.number[known], arms, meaning))
    lacking = "share of units without a value, tested between arms"
    for metric in measured.metrics:
        values, known = known_values(units, metric)
        rows.append(_between_arms(f"missing_outcome: {metric.name}", ~known, arms.number, arms, lacking))
        if known.mean() < MIN_KNOWN_SHARE:
            meaning = "share of units with a value: effects are among these alone, who may differ between arms"
            rows.append(_row(f"few_values: {metric.name}", known.mean(), np.nan, False, meaning))
        if metric.kind == "proportion":
            number = arms.number[known]
            counts = [np.bincount(number[values[known, 0] == v], minlength=len(arms.names)) for v in (0, 1)]
            rows.append(_rare(metric.name, min(int(n) for count in counts for n in count)))
        if metric.kind == "mean" and known.any():
            rows.append(_outliers(metric, values[known, 0], arms.number[known], arms))
        if metric.kind == "ratio" and _are_counts(values[known]):
            meaning = (
                "median of a row's denominator: rows look like counts of many units, so intervals mean little"
            )
            rows.append(
                _row(f"counts_for_units: {metric.name}", np.median(values[known, 1]), np.nan, False, meaning)
            )
    for column in measured.covariates:
        values = numbers(units, column)
        known = ~np.isnan(values)
        rows.append(_between_arms(f"missing_covariate: {column}", ~known, arms.number, arms, lacking))
        groups = [values[known & (arms.number == number)] for number in range(len(arms.names))]
        if min(map(len, groups)) >= 2:
            means = np.array([group.mean() for group in groups])
            gap = float((means.max() - means.min()) / values[known].std(ddof=1))
            p_value = float(stats.f_oneway(*groups).pvalue)
            rows.append(_tested(f"balance: {column}", gap, p_value, "largest gap of arm means before, in sd"))
    rows += [
        _tested(
            f"novelty: {row.metric}, {row.variant}",
            float(row.trend),
            float(row.trend_p_value),
            "change of the effect a day of assignment; a fail means that it fades or grows",
        )
        for row in daily.drop_duplicates(["metric", "variant"]).itertuples()
    ]
    return pd.DataFrame([*rows, *_slopes(units, measured, arms)])


def alarms(health: pd.DataFrame) -> list[str]:
    """The failed checks after which no effect can be read; the `CAUTIONS` are not among them."""
    failed = health.loc[~health["passed"], "check"]
    return [check for check in failed if check.split(":")[0] not in CAUTIONS]


def cautions(health: pd.DataFrame) -> list[str]:
    """The failed checks that say how to read an effect."""
    failed = health.loc[~health["passed"], "check"]
    return [check for check in failed if check.split(":")[0] in CAUTIONS]


def _are_counts(values: np.ndarray) -> bool:
    """Whether a ratio's rows are successes of many units each, such as a campaign's clicks of its recipients."""
    whole = (values == values.round()).all() and (values[:, 0] <= values[:, 1]).all()
    return bool(whole and len(values) < FEW_ROWS and np.median(values[:, 1]) >= MANY)


def daily_effects(units: pd.DataFrame, *, measured: Measures, control: str | None) -> pd.DataFrame:
    """Effect on the units assigned on each day, and whether it fades or grows with the days.

    A novelty wears off, a habit has to be learnt: then late units answer differently from early ones. The trend is
    the slope of the daily effects, each weighted by its precision; shares and means are looked at.

    Returns:
        One row a metric, variant and day with `MIN_UNITS_A_DAY` units in both arms: metric, variant, day (from 0),
        effect, standard_error, trend (a day), trend_p_value; no rows without times or with fewer than
        `MIN_DAYS` days.
    """
    nothing = pd.DataFrame(columns=["metric", "variant"])
    metrics = [metric for metric in measured.metrics if metric.kind in ("proportion", "mean")]
    if "occurred_at" not in units.columns or not metrics:
        return nothing
    arms = arms_of(units, control=control)
    timed = units["occurred_at"].notna().to_numpy()
    days = pd.to_datetime(units["occurred_at"]).dt.normalize()
    day = (days - days.min()).dt.days.fillna(-1).astype(int).to_numpy()
    frames = []
    for metric in metrics:
        values, known = known_values(units, metric)
        known &= timed
        n_days, n_arms = int(day.max()) + 1, len(arms.names)
        cells = arm_moments([values[known, 0]], day[known] * n_arms + arms.number[known], n_arms=n_days * n_arms)
        cells = cells.shaped(n_days, n_arms)
        for number in range(1, n_arms):
            pair = cells.pick([0], arms=[0, number])
            full = np.flatnonzero((pair.n >= MIN_UNITS_A_DAY).all(axis=1))
            found = contrast(pair.at(full), weights=(-1, 1))
            use = found.standard_error > 0
            if use.sum() >= MIN_DAYS:
                about = {"metric": metric.name, "variant": arms.names[number], "day": full[use]}
                frames.append(_trend(about, found.effect[use], found.standard_error[use]))
    return pd.concat(frames, ignore_index=True) if frames else nothing


def slopes_differ(values: np.ndarray, covariates: np.ndarray, arm: np.ndarray, *, n_arms: int) -> float:
    """Wald's statistic of equal slopes in all arms, with variances that need no equal spread (White 1980).

    Values have shape (units, 1) or, of a ratio, (units, 2), covariates (units, covariates).
    """
    slopes, precisions = [], []
    for number in range(n_arms):
        y, x = values[arm == number], covariates[arm == number]
        if values.shape[1] == 2:
            # What a unit adds to its arm's ratio.
            mean = y.mean(axis=0)
            y = ((y[:, 0] - mean[0] / mean[1] * y[:, 1]) / mean[1])[:, None]
        x = x - x.mean(axis=0)
        slope, *_ = np.linalg.lstsq(x, y[:, 0] - y[:, 0].mean(), rcond=None)
        residual = y[:, 0] - y[:, 0].mean() - x @ slope
        bread = np.linalg.pinv(x.T @ x, hermitian=True)
        slopes.append(slope)
        precisions.append(np.linalg.pinv(bread @ (x.T @ (x * residual[:, None] ** 2)) @ bread, hermitian=True))
    slope, precision = np.array(slopes), np.array(precisions)
    pooled = np.linalg.pinv(precision.sum(axis=0), hermitian=True) @ np.einsum("aij,aj->i", precision, slope)
    return float(np.einsum("ai,aij,aj->", slope - pooled, precision, slope - pooled))


def _trend(about: dict, effect: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    weight, day = error**-2, about["day"]
    centred = day - (weight * day).sum() / weight.sum()
    slope = (weight * centred * effect).sum() / (weight * centred**2).sum()
    p_value = 2 * stats.norm.sf(abs(slope * np.sqrt((weight * centred**2).sum())))
    measured = {"effect": effect, "standard_error": error, "trend": slope, "trend_p_value": p_value}
    return pd.DataFrame(about | measured)


def _slopes(units: pd.DataFrame, measured: Measures, arms: Arms) -> list[dict]:
    """Whether CUPED's one slope fits all arms: where it does not, one mean effect hides for whom it works."""
    covariates = filled_covariates(units, measured)
    adjusted = [metric for metric in measured.metrics if metric.kind in ("proportion", "mean", "ratio")]
    meaning = "chi-square of the covariates' slopes between arms; a fail means an effect that varies with them"
    rows = []
    for metric in adjusted if covariates else ():
        values, known = known_values(units, metric)
        x = np.column_stack(covariates)[known]
        statistic = slopes_differ(values[known], x, arms.number[known], n_arms=len(arms.names))
        p_value = float(stats.chi2.sf(statistic, len(covariates) * (len(arms.names) - 1)))
        rows.append(_tested(f"cuped_slopes: {metric.name}", statistic, p_value, meaning))
    return rows


def _identities(units: pd.DataFrame, arms: Arms) -> list[dict]:
    """Units and people that are there more than once, and exposures before the assignment."""
    rows = []
    for column, word in (("unit_id", "unit"), ("person_id", "person")):
        if column in units.columns and units[column].notna().any():
            known = pd.DataFrame({"id": units[column], "arm": arms.number}).dropna()
            repeated = known[known["id"].duplicated(keep=False)]
            across = int((repeated.groupby("id")["arm"].nunique() > 1).sum())
            allowed, meaning = 0.0, "units seen in more than one variant"
            if word == "unit":
                rows.append(_counted("unit_twice", repeated["id"].nunique(), 0, "units with more than one row"))
            else:
                allowed = MAX_SHARED_SHARE * len(units)
                meaning = f"people seen in more than one variant; allowed are {MAX_SHARED_SHARE:.1%} of the units"
            rows.append(_counted(f"{word}_in_two_arms", across, allowed, meaning))
    if {"occurred_at", "exposed_at"} <= set(units.columns):
        early, meaning = units["exposed_at"] < units["occurred_at"], "units that met the change before assignment"
        rows.append(_counted("exposed_before_assignment", int(early.sum()), 0, meaning))
    return rows


def _allocation(units: pd.DataFrame, arms: Arms) -> list[dict]:
    """Shares of the arms from period to period, and groups that are wholly in one arm."""
    rows = []
    if "occurred_at" in units.columns and units["occurred_at"].notna().any():
        period = periods(units["occurred_at"])
        table = pd.crosstab(period[period >= 0], arms.number[period >= 0]).to_numpy()
        p_value = float(stats.chi2_contingency(table, correction=False).pvalue) if min(table.shape) > 1 else 1.0
        share = table / table.sum(axis=1, keepdims=True)
        meaning = "largest change of an arm's share between periods; effects must be compared within periods"
        rows.append(_tested("allocation_over_time", float(np.ptp(share, axis=0).max()), p_value, meaning))
        rows += _absences(units["occurred_at"], arms)
    if "stratum" in units.columns and units["stratum"].nunique() > 1:
        known = units["stratum"].notna().to_numpy()
        table = pd.crosstab(units["stratum"][known], arms.number[known]).to_numpy()
        whole = (table.max(axis=1) == table.sum(axis=1)).all()
        found = whole and stats.chi2_contingency(table, correction=False).pvalue < ALARM
        meaning = "1 where each stratum is wholly in one arm: its units are not independent; name it `cluster`"
        rows.append(_counted("assigned_by_stratum", float(found), 0, meaning))
    return rows


def _absences(occurred_at: pd.Series, arms: Arms) -> list[dict]:
    """Arms that took no units at the beginning or end of the test, by more than chance leaves out."""
    rows = []
    for number, name in enumerate(arms.names):
        own = occurred_at[arms.number == number]
        share = len(own) / occurred_at.between(own.min(), own.max()).sum()
        for check, without in (
            ("arm_began_late", occurred_at[occurred_at < own.min()]),
            ("arm_ended_early", occurred_at[occurred_at > own.max()]),
        ):
            days = (without.max() - without.min()) / pd.Timedelta(1, "D") if len(without) else 0.0
            if days >= 1 and (1 - share) ** len(without) < ALARM:
                meaning = "days at that end of the test on which the arm took no unit, and others did"
                rows.append(_row(f"{check}: {name}", days, np.nan, False, meaning))
    return rows


def periods(occurred_at: pd.Series) -> np.ndarray:
    """Number of the day of each time, or of one of twenty equal parts of them where days are more; -1 for none."""
    days = pd.to_datetime(occurred_at).dt.normalize()
    day = (days - days.min()).dt.days
    width = max(1, int(np.ceil((day.max() + 1) / 20)))
    return (day // width).fillna(-1).astype(int).to_numpy()


def moved_periods(units: pd.DataFrame, *, health: pd.DataFrame) -> np.ndarray | None:
    """The period of each unit where `health` found that the allocation changed between periods; else None."""
    check = health[health["check"] == "allocation_over_time"]
    return periods(units["occurred_at"]) if len(check) and not check["passed"].iloc[0] else None


def _summed_up(units: pd.DataFrame, alike: Mapping[str, float]) -> list[dict]:
    """What can be said of arms that came summed up."""
    meaning = "rows that sum up an arm: CUPED, groups, novelty and peeking need one row a unit"
    rows = [_row("summed_up", len(units), np.nan, False, meaning)]
    shares = units[(units["kind"] == "proportion") & ~units["metric"].isin([*alike])]
    k = (shares["mean"] * shares["n_units"]).round()
    counts = pd.DataFrame({"k": k, "rest": shares["n_units"] - k}).groupby([shares["metric"], shares["variant"]])
    fewest = counts.sum().min(axis=1).groupby("metric", sort=False).min()
    return rows + [_rare(str(metric), int(n)) for metric, n in fewest.items()]


def _rare(metric: str, fewest: int) -> dict:
    meaning = f"fewest units of an arm with either outcome; below {FEW_OUTCOMES} trust the exact test alone"
    return _row(f"rare_outcome: {metric}", fewest, np.nan, fewest >= FEW_OUTCOMES, meaning)


def _outliers(metric: Metric, values: np.ndarray, arm: np.ndarray, arms: Arms) -> dict:
    """How far the largest of the effects moves when the most extreme values are pulled in."""
    n_arms = len(arms.names)
    cut = np.clip(values, *np.quantile(values, [OUTLIER_SHARE, 1 - OUTLIER_SHARE]))
    full = arm_moments([values, cut], arm, n_arms=n_arms)
    moves = [0.0]
    for number in range(1, n_arms):
        plain, pulled = (contrast(full.pick([c], arms=[0, number]), weights=(-1, 1)) for c in (0, 1))
        if plain.standard_error > 0:
            moves.append(abs(float((plain.effect - pulled.effect) / plain.standard_error)))
    meaning = (
        f"standard errors by which an effect moves when the outer {OUTLIER_SHARE:.1%} of values are pulled in"
    )
    return _row(f"outliers: {metric.name}", max(moves), np.nan, max(moves) <= MAX_PULL, meaning)


def _between_arms(check: str, marked: np.ndarray, arm: np.ndarray, arms: Arms, meaning: str) -> dict:
    """Share of units that are marked, tested between arms."""
    table = np.array([np.bincount(arm[marked == state], minlength=len(arms.names)) for state in (True, False)])
    share = float(marked.mean()) if len(marked) else 0.0
    if (table.sum(axis=1) == 0).any() or (table.sum(axis=0) == 0).any():
        return _tested(check, share, 1.0, meaning)
    return _tested(check, share, float(stats.chi2_contingency(table, correction=False).pvalue), meaning)


def _tested(check: str, value: float, p_value: float, meaning: str) -> dict:
    return _row(check, value, p_value, p_value >= ALARM, meaning)


def _counted(check: str, value: float, allowed: float, meaning: str) -> dict:
    return _row(check, value, np.nan, value <= allowed, meaning)


def _row(check: str, value: float, p_value: float, passed: bool, meaning: str) -> dict:
    found = {"check": check, "value": float(value), "p_value": float(p_value), "passed": bool(passed)}
    return found | {"meaning": meaning}
