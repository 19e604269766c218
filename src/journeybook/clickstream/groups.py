"""Whether the next step differs between groups of visitors, or between times, when one person takes many steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from journeybook.journeys.links import first_ranks, hashed, links, person_of
from journeybook.journeys.visitors import MOST_GROUPS
from journeybook.statistics import holm

GROUPINGS = ("device", "channel", "period", "visitor", "segment")
OTHER = "(other)"
# Groups and next steps kept apart in a test; rarer ones are put together.
_MOST_LEVELS, _MOST_TARGETS = 8, 30
# Links expected in each cell, at least; rarer next steps are put together.
LEAST_EXPECTED = 5.0
# Visitors without whom a state is not tested: the variance between them is then hardly known.
_FEWEST_CLUSTERS = 20
# Most periods a log is cut into.
MOST_PERIODS = 12
_COLUMNS = [
    "grouping",
    "state",
    "n",
    "statistic",
    "df",
    "p_value",
    "p_adjusted",
    "differs",
    "cramers_v",
    "level",
    "target",
    "probability",
    "probability_elsewhere",
]


@dataclass(frozen=True, eq=False)
class GroupDifferences:
    """Tests of every state, one for each way of grouping.

    Attributes:
        table: One row a grouping and state, by grouping and p value: `grouping`, `state`, `n` (links),
            `statistic` (Pearson's chi-square), `df`, `p_value`, `p_adjusted` (Holm, over all rows), `differs`
            (`p_adjusted` at most `alpha`), `cramers_v` (0 to 1), and where the difference is clearest: `level`,
            `target`, `probability` (of the step in the group) and `probability_elsewhere`.
        compared: Groupings that were compared.
        left_out: Why others were not, by grouping.
        alpha: Chance of any false difference in the table.
    """

    table: pd.DataFrame
    compared: tuple[str, ...]
    left_out: dict[str, str]
    alpha: float

    @property
    def note(self) -> str | None:
        """Why nothing is compared; None where something is."""
        reasons = [f"{name}: {why}" for name, why in self.left_out.items()]
        reasons += [f"{name}: too few visitors" for name in self.compared]
        told = f" ({'; '.join(reasons)})" if reasons else ""
        return None if len(self.table) else f"no groups can be compared{told}"


def compare_groups(
    steps: ibis.Table,
    *,
    group_by: Sequence[str] | None,
    n_periods: int,
    alpha: float,
    segments: ibis.Table | None = None,
) -> GroupDifferences:
    """Test, state by state, whether the next step is distributed alike in all groups.

    Pearson's chi-square with the second-order correction of Rao & Scott (1984): under the null the statistic is a
    weighted sum of chi-squares whose weights come from the variance between visitors, and an F distribution of
    the same mean and variance gives the p value (Thomas & Rao 1987). A visitor is a person, or the session of an
    unknown one, whichever groups its links are in. Above 4,096 visitors they are put into so many random groups.

    `period` cuts the days of the log into equal parts. `visitor` is new in a person's first session of the log and
    returning after it; unknown visitors are left out, and so they are of `segment`, which is the one of the last
    snapshot before the session, so that no purchase made later plays a part.

    Args:
        steps: What `session_steps` returns; of aggregated paths nothing can be compared.
        group_by: Groupings among device, channel, period, visitor and segment; None is all the data have.
        n_periods: Periods, 2 to 12.
        alpha: Chance of any false difference in the table.
        segments: `person_id`, `as_of`, `segment`; those marked `retrospective` are left out. None where there are
            none.

    Raises:
        ValueError: A grouping is unknown or not in the data, or a number is out of range.
    """
    if not 2 <= n_periods <= MOST_PERIODS:
        raise ValueError(f"n_periods is {n_periods}: it must be from 2 to {MOST_PERIODS}.")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: it must be above 0 and below 1.")
    check_groupings(steps, group_by or (), segments=segments)
    wanted = GROUPINGS if group_by is None else tuple(group_by)
    left_out = {name: why for name in wanted if (why := _lacking(steps, name, segments))}
    compared = tuple(name for name in wanted if name not in left_out)
    counted = _counted(steps, compared, n_periods, segments) if compared else pd.DataFrame()
    found = [row for name in compared for row in _compare(counted, name)]
    table = pd.DataFrame(found, columns=_COLUMNS)
    table["p_adjusted"] = holm(table["p_value"].to_numpy(dtype=float))
    table["differs"] = table["p_adjusted"] <= alpha
    place = table["grouping"].map(wanted.index)
    table = table.assign(place=place).sort_values(["place", "p_value", "state"], ignore_index=True)
    return GroupDifferences(table=table[_COLUMNS], compared=compared, left_out=left_out, alpha=alpha)


def check_groupings(steps: ibis.Table, group_by: Sequence[str], *, segments: ibis.Table | None) -> None:
    """Raise ValueError where a grouping that is asked for is unknown, or lacks what it is made from."""
    for name in group_by:
        if name not in GROUPINGS:
            raise ValueError(f"group_by names {name!r}: it may name {', '.join(GROUPINGS)}.")
        if why := _lacking(steps, name, segments):
            raise ValueError(f"group_by names {name!r}, but {why}.")


def _lacking(steps: ibis.Table, grouping: str, segments: ibis.Table | None) -> str | None:
    """Return what a grouping lacks, None where it can be compared."""
    if "session" not in steps.columns:
        return "of aggregated paths nothing is known but their number"
    if grouping in ("device", "channel"):
        return None if grouping in steps.columns else f"the events have no {grouping}"
    if grouping == "segment" and segments is None:
        return "there are no segments"
    if "occurred_at" not in steps.columns:
        return "the events have no times"
    if grouping != "period" and not steps.known.any().execute():
        return "no visitor is known"
    return None


def _counted(
    steps: ibis.Table, compared: Sequence[str], n_periods: int, segments: ibis.Table | None
) -> pd.DataFrame:
    """Count links by block of visitors, source, target and level of every grouping; a level may be null."""
    levelled = steps
    if "period" in compared:
        levelled = levelled.mutate(period=_period(steps, n_periods))
    if {"visitor", "segment"} & set(compared):
        sessions = _of_sessions(steps, segments)
        levelled = levelled.left_join(sessions, levelled.session == sessions.opened).drop("opened")
    ranks = first_ranks(steps)
    many = ranks.count().execute() > MOST_GROUPS
    found = links(levelled, "cluster", *compared).join(ranks, "cluster")
    block = hashed(found["rank"], n_digits=3) if many else found["rank"].cast("string")
    keys = ["block", *compared, "source", "target"]
    counts = found.mutate(block=block).group_by(keys).aggregate(n=ibis._.n.sum()).to_pyarrow()
    coded = {name: counts[name].dictionary_encode().to_pandas() for name in keys}
    # In the order of their names, whatever came first: nothing may hang on the engine's threads.
    named = {name: codes.cat.reorder_categories(sorted(codes.cat.categories)) for name, codes in coded.items()}
    return pd.DataFrame(named).assign(n=counts["n"].to_numpy())


def _compare(counted: pd.DataFrame, grouping: str) -> list[dict[str, object]]:
    """Test every state for one grouping; a state with too little to test is left out."""
    frame = counted[["block", "source", "target", "n"]].assign(level=counted[grouping])
    frame = frame[frame["level"].notna()]
    by_level = frame.groupby("level", observed=True)["n"].sum().sort_values(ascending=False, kind="stable")
    kept = {level: level if place < _MOST_LEVELS else OTHER for place, level in enumerate(by_level.index)}
    frame["level"] = frame["level"].cat.remove_unused_categories().map(kept).astype("category")
    tested = (_test(part) | {"state": str(state)} for state, part in frame.groupby("source", observed=True))
    return [{"grouping": grouping, **row} for row in tested if len(row) > 1]


def _period(steps: ibis.Table, n_periods: int) -> ibis.Value:
    """Return the first day of the period, of `n_periods` as equal as days allow."""
    ends = steps.aggregate(first=steps.occurred_at.min().date(), last=steps.occurred_at.max().date()).to_pandas()
    first, last = (pd.Timestamp(ends[name].iloc[0]) for name in ("first", "last"))
    n_days = (last - first).days + 1
    opens = [first + timedelta(days=round(n_days * k / n_periods)) for k in range(n_periods)]
    return ibis.cases(*[(steps.occurred_at >= day, f"from {day:%Y-%m-%d}") for day in reversed(opens)])


def _of_sessions(steps: ibis.Table, segments: ibis.Table | None) -> ibis.Table:
    """Return `opened`, a known person's session, `visitor` (new in the first, else returning) and `segment`."""
    known = steps.filter(steps.known)
    sessions = known.group_by(opened=known.session).aggregate(
        person=person_of(known.cluster.min()), opens=known.occurred_at.min(), row=known.row.min()
    )
    place = ibis.row_number().over(group_by=sessions.person, order_by=[sessions.opens, sessions.row])
    sessions = sessions.mutate(visitor=ibis.ifelse(place == 0, "new", "returning"))
    if segments is None:
        return sessions.select("opened", "visitor")
    snapshots = _snapshots(segments)
    when = [
        sessions.person == snapshots.person_id,
        sessions.opens >= snapshots.as_of,
        sessions.opens < snapshots.until,
    ]
    return sessions.left_join(snapshots, when).select("opened", "visitor", "segment")


def _snapshots(segments: ibis.Table) -> ibis.Table:
    """Return `person_id`, `segment`, and from when until when it is the person's; those of a past date only."""
    if "retrospective" in segments.columns:
        segments = segments.filter(~segments.retrospective)
    snapshots = segments.select("person_id", "as_of", segment=segments.segment.cast("string"))
    until = snapshots.as_of.lead().over(group_by=snapshots.person_id, order_by=snapshots.as_of)
    return snapshots.mutate(until=until.fill_null(pd.Timestamp.max.floor("D").to_pydatetime()))


def _test(counts: pd.DataFrame) -> dict[str, object]:
    """Test one state: `block`, `level`, `target`, `n`; nothing where there is too little."""
    table, levels, targets = _by_block(counts)
    seen = table.sum(axis=0)
    if len(levels) < 2 or len(targets) < 2 or len(table) < _FEWEST_CLUSTERS:
        return {}
    tested = rao_scott(table)
    named = np.flatnonzero([name != OTHER for name in targets])
    # Of two levels one is as far off as the other; which a processor rounds up must not choose.
    away = np.abs(tested.residual[:, named]).round(9)
    g, column = np.unravel_index(away.argmax(), away.shape)
    j, elsewhere = named[column], seen.sum(axis=0) - seen[g]
    return {
        "n": int(seen.sum()),
        "statistic": tested.statistic,
        "df": tested.df,
        "p_value": tested.p_value,
        "cramers_v": float(np.sqrt(tested.statistic / seen.sum() / (min(len(levels), len(targets)) - 1))),
        "level": levels[g],
        "target": targets[j],
        "probability": seen[g, j] / seen[g].sum(),
        "probability_elsewhere": elsewhere[j] / elsewhere.sum(),
    }


def _by_block(counts: pd.DataFrame) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Return counts of shape (blocks, levels, targets), rare targets put together, and the names."""
    (level, levels), (target, targets), (block, blocks) = (
        _used(counts[name]) for name in ("level", "target", "block")
    )
    n = counts["n"].to_numpy()
    by_level, by_target = np.bincount(level, n), np.bincount(target, n)
    least = by_level.min() / by_level.sum() if len(by_level) else 0.0
    common = np.argsort(-by_target, kind="stable")[:_MOST_TARGETS]
    common = common[by_target[common] * least >= LEAST_EXPECTED]
    place = np.full(len(by_target), len(common))
    place[common] = np.arange(len(common))
    shape = (len(blocks), len(levels), len(common) + 1)
    cell = np.ravel_multi_index((block, level, place[target]), shape)
    table = np.bincount(cell, n, minlength=int(np.prod(shape))).reshape(shape).astype(float)
    names = [*targets[common], OTHER]
    # What is put together is left out where it is itself too rare to test.
    if table[..., -1].sum() * least < LEAST_EXPECTED:
        table, names = table[..., :-1], names[:-1]
    return table, [*levels], names


def _used(column: pd.Series) -> tuple[NDArray[np.int64], pd.Index]:
    """Return the codes of a categorical among the categories it uses, and those."""
    codes, kept = pd.factorize(column.cat.codes, sort=True)
    return codes, column.cat.categories[kept]


@dataclass(frozen=True, eq=False)
class ClusteredTest:
    """A chi-square test of a table whose entries come in clusters.

    Attributes:
        statistic: Pearson's chi-square.
        df: Its degrees of freedom.
        p_value: By the second-order correction.
        residual: How many standard errors each count is from its expectation, shape (levels, targets).
    """

    statistic: float
    df: int
    p_value: float
    residual: NDArray[np.float64]


def rao_scott(counts: NDArray[np.floating]) -> ClusteredTest:
    """Test that targets are distributed alike in all levels, entries of one cluster being dependent.

    Under the null a cluster moves the table by its own counts less what the margins say; the sum of squares of
    these moves over clusters is the covariance of observed less expected, whatever the dependence within clusters.

    Args:
        counts: Shape (clusters, levels, targets); no level and no target is empty.
    """
    observed = counts.sum(axis=0)
    n = observed.sum()
    share_level, share_target = observed.sum(axis=1) / n, observed.sum(axis=0) / n
    expected = n * np.outer(share_level, share_target)
    moves = (
        counts
        - counts.sum(axis=2, keepdims=True) * share_target
        - share_level[:, None] * counts.sum(axis=1, keepdims=True)
        + counts.sum(axis=(1, 2), keepdims=True) * np.outer(share_level, share_target)
    )
    m = len(counts)
    moves = (moves - moves.mean(axis=0)).reshape(m, -1)
    scaled = moves / np.sqrt(expected).ravel()
    weights = scaled.T @ scaled * (m / (m - 1))
    trace, squares = np.trace(weights), np.sum(weights**2)
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    df = (observed.shape[0] - 1) * (observed.shape[1] - 1)
    fitted_df = trace**2 / squares
    p_value = float(stats.f.sf(statistic / trace, fitted_df, fitted_df * (m - 1)))
    error = np.sqrt(np.diag(weights) * expected.ravel()).reshape(observed.shape)
    residual = np.divide(observed - expected, error, out=np.zeros_like(error), where=error > 0)
    return ClusteredTest(statistic, df, p_value, residual)
