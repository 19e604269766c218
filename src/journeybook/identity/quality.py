"""How good a linkage is, against known truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import components
from journeybook.identity.comparison import LEVEL_LABELS, ComparedPairs, blocking_rules, equal_pairs
from journeybook.statistics.intervals import proportion_interval

# Probabilities from which a bin of the calibration begins.
EDGES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class PairQuality:
    """Pairs put together rightly, put together wrongly, or left apart.

    Attributes:
        n_true: Pairs that are one person in truth.
        n_found: Pairs put together.
        n_right: Pairs put together that are one person in truth.
        precision: n_right / n_found; 1 where nothing was put together.
        recall: n_right / n_true; 1 where there was nothing to find.
        f1: Harmonic mean of the two.
    """

    n_true: int
    n_found: int
    n_right: int
    precision: float
    recall: float
    f1: float


def pair_quality(found: Sequence | np.ndarray, truth: Sequence | np.ndarray) -> PairQuality:
    """Compare two groupings of the same things, in the same order, by the pairs they put together.

    >>> pair_quality(["a", "a", "b"], [1, 1, 1])
    PairQuality(n_true=3, n_found=1, n_right=1, precision=1.0, recall=0.3333333333333333, f1=0.5)
    """
    groups = pd.DataFrame({"found": np.asarray(found), "truth": np.asarray(truth)})
    n_true, n_found = _n_pairs(groups, ["truth"]), _n_pairs(groups, ["found"])
    n_right = _n_pairs(groups, ["found", "truth"])
    return PairQuality(
        n_true=n_true,
        n_found=n_found,
        n_right=n_right,
        precision=n_right / n_found if n_found else 1.0,
        recall=n_right / n_true if n_true else 1.0,
        f1=2 * n_right / (n_true + n_found) if n_true + n_found else 1.0,
    )


def people_quality(people: pd.DataFrame, truth: pd.DataFrame | None) -> PairQuality | None:
    """Compare people found with people in truth, by the pairs of customer ids put together; None without truth.

    `truth` has one row a customer id: `customer_id`, and one column more, the person in truth. Ids of those
    who are not among the people found are passed over.
    """
    if truth is None:
        return None
    known = people[people.customer_id.isin(truth.customer_id)]
    return pair_quality(known.person_id, who_is_who(people, truth).loc[known.customer_id])


def who_is_who(people: pd.DataFrame, truth: pd.DataFrame | None) -> pd.Series:
    """Return the person by customer id: in truth (as in `people_quality`), or else as found."""
    if truth is None:
        return people.set_index("customer_id").person_id
    return in_truth(truth.set_index("customer_id"))


def calibration(scored: pd.DataFrame, ids: pd.Series, who: pd.Series | None) -> pd.DataFrame:
    """Return whether probabilities mean what they say, by bin.

    Args:
        scored: Pairs of records: `left`, `right`, `probability`.
        ids: Customer id by `row` (the index).
        who: Person by customer id (the index), in truth; pairs of other ids are passed over. None is no truth.

    Returns:
        One row a bin of `EDGES` with a pair, none without truth: `probability_from`, `n_pairs`, `expected_share`
        (mean probability), `right_share` and Wilson's 95 % interval, `right_share_low`, `right_share_high`.
    """
    who = pd.Series(dtype=object) if who is None else who
    one, other = (ids.loc[scored[side]].map(who).to_numpy() for side in ("left", "right"))
    known = pd.notna(one) & pd.notna(other)
    edge = pd.cut(scored.probability, [*EDGES, 1.1], right=False, labels=EDGES).astype(float)
    judged = scored.assign(probability_from=edge, is_one=one == other)[known]
    by_bin = judged.groupby("probability_from")
    found = by_bin.agg(n_pairs=("is_one", "size"), expected_share=("probability", "mean"))
    found["right_share"] = by_bin.is_one.mean()
    within = proportion_interval(by_bin.is_one.sum(), found.n_pairs)
    return found.assign(right_share_low=within.low, right_share_high=within.high).reset_index()


def misses_by_kind(
    pairs: ComparedPairs, ids: pd.Series, people: pd.DataFrame, who: pd.Series | None
) -> pd.DataFrame:
    """Return how the records of one person in truth differ, and how many pairs of them were not joined for it.

    A pair of records counts once for each field on which it is not equal. `ids` are customer ids by `row`, `who`
    the person in truth by customer id (None is no truth); other ids are passed over.

    Returns:
        `field`, `kind` (a level of agreement, `missing`, or `never compared`), `n_pairs`, `n_missed`,
        `missed_share`; most missed first.
    """
    who = pd.Series(dtype=object) if who is None else who
    frame = pd.DataFrame(
        {"row": ids.index, "one": ids.map(who), "found": ids.map(people.set_index("customer_id").person_id)}
    )
    frame = frame.dropna()
    both = frame.merge(frame, on="one", suffixes=("", "_right")).query("row < row_right and one == one")
    both = both.assign(missed=both.found != both.found_right)
    patterns = pairs.patterns.drop(columns=["n", "rules"]).drop_duplicates("pattern")
    compared = pairs.pairs.to_pandas().merge(patterns, on="pattern")
    both = both.merge(compared, how="left", left_on=["row", "row_right"], right_on=["left", "right"])
    kinds = [pd.DataFrame({"field": "all", "kind": "never compared", "missed": both.missed[both.pattern.isna()]})]
    for field in pairs.fields:
        said = dict(enumerate(LEVEL_LABELS[field.kind])) | ({} if field.beside else {-1: "missing"})
        kinds.append(
            pd.DataFrame({"field": field.name, "kind": both[field.name].map(said), "missed": both.missed})
        )
    listed = pd.concat(kinds).dropna()
    listed = listed[~listed.kind.str.startswith("equal") & (listed.field != "source")]
    found = listed.groupby(["field", "kind"], as_index=False).agg(
        n_pairs=("missed", "size"), n_missed=("missed", "sum")
    )
    found = found.assign(missed_share=found.n_missed / found.n_pairs)
    return found.sort_values(["n_missed", "field", "kind"], ascending=[False, True, True], ignore_index=True)


def keys_alone(records: ibis.Table, truth: pd.Series, *, rules: Sequence[str]) -> pd.DataFrame:
    """Return what linking on one exact key alone would put together, and how much of it wrongly.

    Args:
        records: Normalised records.
        truth: Person by `customer_id` (the index), as known or as best found; other ids are passed over.
        rules: Keys such as `"given_name + surname"`; those with a missing column are passed over.

    Returns:
        One row a key: `key`, `n_pairs` (of customer ids, put together), `n_wrong` (different people),
        `wrong_share`, `missed_share` (of the pairs that are one person).
    """
    ids = records.select("row", "customer_id").order_by("row").to_pandas()
    known = ids.drop_duplicates("customer_id").customer_id.isin(truth.index)
    firsts = ids.drop_duplicates("customer_id")[known]
    number = pd.Series(range(len(ids.customer_id.unique())), index=ids.customer_id.unique())
    of_row = pd.Series(number.loc[ids.customer_id].to_numpy(), index=ids.row)
    rows = []
    for rule in rules:
        if not blocking_rules([rule], columns=records.columns):
            continue
        pairs = equal_pairs(records, rules=[rule])
        ends = np.column_stack([of_row.loc[pairs.left], of_row.loc[pairs.right]])
        group = components(len(number), ends)[number.loc[firsts.customer_id]]
        quality = pair_quality(group, truth.loc[firsts.customer_id])
        n_wrong = quality.n_found - quality.n_right
        rows.append((rule, quality.n_found, n_wrong, 1 - quality.precision, 1 - quality.recall))
    return pd.DataFrame(rows, columns=["key", "n_pairs", "n_wrong", "wrong_share", "missed_share"])


def in_truth(truth: pd.DataFrame) -> pd.Series:
    """Return the person in truth of each row: the one column that is neither `customer_id` nor `row`."""
    return truth[next(column for column in truth.columns if column not in ("customer_id", "row"))]


def _n_pairs(groups: pd.DataFrame, by: list[str]) -> int:
    n = groups.groupby(by, sort=False).size()
    return int((n * (n - 1) // 2).sum())
