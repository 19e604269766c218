"""How good a linkage is, against known truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import components
from journeybook.identity.comparison import blocking_rules, equal_pairs


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

    `truth` has one row a customer id: `person_id` as found, and one column more, the person in truth. Ids of those
    who are not among the people found are passed over.
    """
    if truth is None:
        return None
    known = truth[truth.person_id.isin(people.person_id)]
    return pair_quality(known.person_id, in_truth(known))


def who_is_who(people: pd.DataFrame, truth: pd.DataFrame | None) -> pd.Series:
    """Return the person by customer id as best known: in truth (as in `people_quality`), else as found.

    Where a person found holds two in truth, the first stands for both, so that few errors are laid to what is
    judged by it, rather than many.
    """
    person = people.set_index("customer_id").person_id
    if truth is None:
        return person
    known = truth.assign(truth=in_truth(truth)).drop_duplicates("person_id").set_index("person_id").truth
    return person.map(known)


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
    """Return the person in truth of each row: the one column that is neither `person_id` nor `row`."""
    return truth[next(column for column in truth.columns if column not in ("person_id", "row"))]


def _n_pairs(groups: pd.DataFrame, by: list[str]) -> int:
    n = groups.groupby(by, sort=False).size()
    return int((n * (n - 1) // 2).sum())
