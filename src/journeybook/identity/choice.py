"""From which probability a pair is linked: by what errors cost, and by pairs that somebody labelled."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.comparison import LEVEL_LABELS, ComparedPairs
from journeybook.identity.model import LinkageModel

# Probabilities between which a look at the pair is worth more than the model's word.
DOUBTFUL = (0.5, 0.95)
LABELS = {"yes": True, "no": False, "1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True, eq=False)
class ThresholdChoice:
    """From which probability pairs are linked, and why.

    Attributes:
        threshold: The probability.
        why: `given`, `costs` or `labelled pairs`.
        curve: By labelled pairs: `threshold`, `n_wrong`, `n_missed`, `cost`; no row without them.
    """

    threshold: float
    why: str
    curve: pd.DataFrame


def choose_threshold(
    given: float | None, labelled: pd.DataFrame | None, *, wrong_cost: float, missed_cost: float
) -> ThresholdChoice:
    """Return the threshold of least cost.

    Where probabilities are right, a pair is worth linking from `wrong_cost / (wrong_cost + missed_cost)` on.
    Labelled pairs decide within `DOUBTFUL` which threshold costs least; of equals the one nearest to that share.

    Args:
        given: A threshold that needs no choosing, or None.
        labelled: `probability` and `is_one_person` of pairs that somebody judged, or None.
        wrong_cost: Cost of linking two people, in any unit, above 0.
        missed_cost: Cost of leaving one person in two pieces, in the same unit.
    """
    if min(wrong_cost, missed_cost) <= 0:
        raise ValueError(f"wrong_cost is {wrong_cost} and missed_cost {missed_cost}: both must be above 0.")
    by_costs = wrong_cost / (wrong_cost + missed_cost)
    curve = pd.DataFrame(columns=["threshold", "n_wrong", "n_missed", "cost"])
    if given is not None:
        return ThresholdChoice(given, "given", curve)
    if labelled is None or labelled.empty:
        return ThresholdChoice(by_costs, "costs", curve)
    at = np.unique(np.append(np.round(np.arange(DOUBTFUL[0], DOUBTFUL[1] + 0.01, 0.05), 2), by_costs))
    linked = labelled.probability.to_numpy() >= at[:, None]
    is_one = labelled.is_one_person.to_numpy(dtype=bool)
    n_wrong, n_missed = (linked & ~is_one).sum(axis=1), (~linked & is_one).sum(axis=1)
    cost = wrong_cost * n_wrong + missed_cost * n_missed
    curve = pd.DataFrame({"threshold": at, "n_wrong": n_wrong, "n_missed": n_missed, "cost": cost})
    best = np.lexsort([np.abs(at - by_costs).round(9), cost])[0]
    return ThresholdChoice(float(at[best]), "labelled pairs", curve)


def pairs_to_label(
    records: ibis.Table, pairs: ComparedPairs, model: LinkageModel, *, names: pd.Series, n_pairs: int,
    rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Return doubtful pairs for somebody to judge, `n_pairs` at random where there are more.

    No value is shown whole. `names` are the pseudonyms by customer id.

    Returns:
        `row`, `left_id`, `right_id` (pseudonyms), `probability`, a column a field (the first letter of both
        values, and how far they agree) and `is_one_person`, empty: `yes` or `no` is to be written there.
    """
    doubtful = model.patterns[model.patterns.probability.between(*DOUBTFUL)]
    found = pairs.pairs.inner_join(ibis.memtable(doubtful), "pattern").order_by("left", "right").to_pandas()
    found = found.iloc[np.sort(rng.permutation(len(found))[:n_pairs])]
    values = records.order_by("row").to_pandas().set_index("row")
    left, right = values.loc[found.left], values.loc[found.right]
    shown = {"row": range(1, len(found) + 1), "left_id": names.loc[left.customer_id].to_numpy()}
    shown |= {"right_id": names.loc[right.customer_id].to_numpy(), "probability": found.probability.to_numpy()}
    for field in pairs.fields:
        both = zip(left[field.column], right[field.column], found[field.name], strict=True)
        shown[field.name] = [
            f"{a[0]}••• {b[0]}•••: {LEVEL_LABELS[field.kind][level]}" if level >= 0 else "" for a, b, level in both
        ]
    return pd.DataFrame(shown).assign(is_one_person="")


def read_labels(
    path: str, pairs: ComparedPairs, model: LinkageModel, *, names: pd.Series, ids: pd.Series
) -> pd.DataFrame:
    """Return labelled pairs of customers found here with the probability that the model now gives them.

    The CSV file has `left_id`, `right_id` and `is_one_person` (yes or no) of `pairs_to_label`; rows without a
    label are passed over. `names` are pseudonyms by customer id, `ids` customer ids by `row`.

    Raises:
        ValueError: A column is missing, or a label is neither yes nor no.
    """
    given = pd.read_csv(path, dtype="str")
    missing = {"left_id", "right_id", "is_one_person"} - set(given.columns)
    if missing:
        raise ValueError(f"labelled_pairs: {path} has no column {', '.join(sorted(missing))}.")
    given = given.dropna(subset="is_one_person")
    said = given.is_one_person.str.strip().str.lower()
    if not said.isin(list(LABELS)).all():
        row = said.index[~said.isin(list(LABELS))][0] + 1
        raise ValueError(
            f"labelled_pairs: is_one_person is {given.is_one_person[row - 1]!r} in row {row}: yes or no."
        )
    scored = pairs.pairs.inner_join(
        ibis.memtable(model.patterns[["pattern", "probability"]]), "pattern"
    ).to_pandas()
    who = ids.map(names)
    ends = np.sort(np.column_stack([who.loc[scored.left], who.loc[scored.right]]).astype("str"), axis=1)
    now = pd.DataFrame({"one": ends[:, 0], "other": ends[:, 1], "probability": scored.probability})
    now = now.groupby(["one", "other"], as_index=False).probability.max()
    asked = np.sort(given[["left_id", "right_id"]].to_numpy().astype("str"), axis=1)
    labelled = pd.DataFrame(
        {"one": asked[:, 0], "other": asked[:, 1], "is_one_person": said.map(LABELS).to_numpy()}
    )
    return labelled.merge(now, on=["one", "other"])[["probability", "is_one_person"]]
