"""Each segment in words a shop assistant could follow, and on a card; and which features stand in for age."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.tree import DecisionTreeClassifier

from journeybook.segmentation.segments import Segmentation
from journeybook.statistics import Interval, holm, proportion_interval

HELD_OUT_SHARE = 0.3
# Leaves of the tree for each segment.
LEAVES_A_SEGMENT = 2
# A feature stands in for an attribute from this rank correlation on.
PROXY = 0.3
# Fewer people than this have no figure of their own on a card.
FEWEST_ON_A_CARD = 10


@dataclass(frozen=True, eq=False)
class Words:
    """A tree that tells segments by few features.

    Attributes:
        rules: One row a leaf: segment, rule, n_people, share of the leaf's people who are in the segment.
        fidelity: Share of the people held out whom the tree puts in their segment.
        interval: Wilson's, 95 %.
        by_largest: What is reached by calling everyone by the largest segment.
    """

    rules: pd.DataFrame
    fidelity: float
    interval: Interval
    by_largest: float


def in_words(last: pd.DataFrame, *, found: Segmentation, rng: np.random.Generator) -> Words:
    """Learn a tree of two leaves a segment from seven people in ten, in the features' own units, and judge it by
    the rest.

    A missing value goes as the tree finds best (scikit-learn's trees).
    """
    columns, segments = found.preparation.columns, found.at_end.to_numpy()
    values = last[columns].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    judged = rng.random(len(last)) < HELD_OUT_SHARE if len(last) > FEWEST_ON_A_CARD else np.zeros(len(last), bool)
    seed, leaves = int(rng.integers(2**31)), max(LEAVES_A_SEGMENT * found.n_segments, 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=5, random_state=seed)
    tree.fit(values[~judged], segments[~judged])
    right = int((tree.predict(values[judged]) == segments[judged]).sum()) if judged.any() else 0
    leaf, told = tree.apply(values), _paths(tree, columns)
    rows = []
    for node, rule in told.items():
        inside = segments[leaf == node]
        name = tree.classes_[tree.tree_.value[node][0].argmax()]
        rows.append((name, rule, len(inside), float((inside == name).mean()) if len(inside) else np.nan))
    rules = pd.DataFrame(rows, columns=["segment", "rule", "n_people", "share"])
    rules = rules.sort_values(["segment", "n_people"], ascending=[True, False], ignore_index=True)
    n, largest = int(judged.sum()), pd.Series(segments).value_counts(normalize=True).iloc[0]
    return Words(rules, right / n if n else np.nan, proportion_interval(right, n), float(largest))


def cards(
    last: pd.DataFrame,
    *,
    found: Segmentation,
    contacts: pd.DataFrame | None,
    consents: pd.Series,
    profiles: pd.DataFrame | None,
) -> pd.DataFrame:
    """Put what is known of each segment on a card.

    Args:
        last: Features of the last snapshot, by row.
        found: The segments.
        contacts: person_id, channel, responded.
        consents: Whether each person permits e-mail, in the order of `last`; missing without a ledger.
        profiles: person_id, birth_decade; of those who permit its use.

    Returns:
        One row a segment: segment, n_people, share, value (mean of what orders them), value_share, category (the
        `share_` feature furthest above everyone's), channel (answered most, with channel_rate), consent_share, and
        birth_decade (median). A column is left out where nothing is known, a figure of fewer than ten people
        missing.
    """
    segments, table = found.at_end.to_numpy(), found.profile[["segment", "n_people", "share"]].set_index("segment")
    value = last[found.ordered_by].astype(float).fillna(0)
    table["value"] = value.groupby(segments).mean()
    if value.sum() > 0:
        table["value_share"] = value.groupby(segments).sum() / value.sum()
    shares = [c for c in last.columns if c.startswith("share_")]
    if shares:
        means = last[shares].astype(float).groupby(segments).mean() / last[shares].astype(float).mean()
        table["category"] = means.fillna(0).idxmax(axis=1).str.removeprefix("share_")
    segment = pd.Series(segments, index=last["person_id"].to_numpy())
    if contacts is not None and "channel" in contacts:
        sent = contacts[contacts["channel"] != "none"].assign(segment=contacts["person_id"].map(segment))
        rates = sent.groupby(["segment", "channel"])["responded"].agg(["mean", "size"]).reset_index()
        rates = rates[rates["size"] >= FEWEST_ON_A_CARD].sort_values(["segment", "mean"], kind="stable")
        best = rates.groupby("segment").last()
        table["channel"], table["channel_rate"] = best["channel"], best["mean"]
    table["consent_share"] = consents.astype("Float64").astype(float).groupby(segments).mean()
    if profiles is not None and "birth_decade" in profiles:
        decade = profiles["birth_decade"].astype(float).groupby(profiles["person_id"].map(segment))
        table["birth_decade"] = decade.median().where(decade.count() >= FEWEST_ON_A_CARD)
    return table.reset_index().dropna(axis=1, how="all")


def proxies(last: pd.DataFrame, *, found: Segmentation, profiles: pd.DataFrame | None) -> pd.DataFrame:
    """Ask each feature, and the order of segments, whether it stands in for a person's age.

    Returns:
        One row a feature: feature, correlation (Spearman, with the decade of birth), n_people, p_value (Holm over
        all), flagged (0.3 or more, and clear at 5 %). No row where fewer than 30 ages are known.
    """
    columns = ["feature", "correlation", "n_people", "p_value", "flagged"]
    if profiles is None or "birth_decade" not in profiles:
        return pd.DataFrame(columns=columns)
    age = last["person_id"].map(profiles.set_index("person_id")["birth_decade"]).astype(float).to_numpy()
    asked = last[found.preparation.columns].astype(float)
    asked["segment"] = pd.Index(found.names).get_indexer(pd.Index(found.at_end))
    rows = []
    for name, values in asked.items():
        known = ~np.isnan(age) & values.notna().to_numpy()
        if known.sum() >= 30 and values[known].nunique() > 1 and np.ptp(age[known]):
            rows.append((name, *spearmanr(values[known], age[known]), int(known.sum())))
    table = pd.DataFrame(rows, columns=["feature", "correlation", "p_value", "n_people"])
    table["p_value"] = holm(table["p_value"].to_numpy(dtype=float)) if len(table) else table["p_value"]
    return table.assign(flagged=(table["correlation"].abs() >= PROXY) & (table["p_value"] <= 0.05))[columns]


def _paths(tree: DecisionTreeClassifier, columns: list[str]) -> dict[int, str]:
    """The rule of each leaf in words: the closest bounds of each feature on the way to it."""
    made, told = tree.tree_, {}
    waiting: list[tuple[int, dict]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if made.children_left[node] < 0:
            parts = []
            for name, (low, high) in bounds.items():
                lower, upper = f"{low:.3g} < " if low > -np.inf else "", f" <= {high:.3g}" if high < np.inf else ""
                parts.append(f"{lower}{name}{upper}")
            told[node] = " and ".join(parts) or "everyone"
            continue
        name, at = columns[made.feature[node]], made.threshold[node]
        low, high = bounds.get(name, (-np.inf, np.inf))
        waiting.append((made.children_right[node], bounds | {name: (max(low, at), high)}))
        waiting.append((made.children_left[node], bounds | {name: (low, min(high, at))}))
    return told
