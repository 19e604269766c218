"""From pairs to people: connected records, with a guard against chains."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, shortest_path

from journeybook.identity.comparison import ComparedPairs, equal_pairs
from journeybook.identity.model import LinkageModel

# Records that agree on all of these are linked whatever the model says of them.
EXACT_RULES = (
    "email + given_name + birth_date",
    "phone + given_name + birth_date",
    "given_name + surname + birth_date + postcode",
)


@dataclass(frozen=True, eq=False)
class Resolution:
    """Which records are one person.

    Attributes:
        records: One row a record, ordered by `row`: `row`, `customer_id`, `cluster` (0, 1, ... in the order
            of the first record).
        links: Links found: `left`, `right`, `probability` (1 where exact), `via` (`same id`, `exact keys`,
            `probability`), `kept` (False where the guard cut it).
        threshold: Probability from which a pair is linked.
        n_people: Number of clusters.
        n_cut: Number of groups of connected records that the guard took apart.
    """

    records: pd.DataFrame
    links: pd.DataFrame
    threshold: float
    n_people: int
    n_cut: int


def pairs_above(pairs: ComparedPairs, model: LinkageModel, *, threshold: float) -> pd.DataFrame:
    """Return the compared pairs with at least a probability: `left`, `right`, `probability`, in order."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}: a probability from 0 to 1 is needed.")
    chosen = model.patterns.loc[model.patterns.probability >= threshold, ["pattern", "probability"]]
    scored = pairs.pairs.inner_join(ibis.memtable(chosen), "pattern")
    return scored.select("left", "right", "probability").order_by("left", "right").to_pandas()


def expected_precision(linked: pd.DataFrame) -> float:
    """Return the share of the links that the model expects to be right; 1 without a link."""
    return float(linked.probability.mean()) if len(linked) else 1.0


def resolve(
    records: ibis.Table,
    *,
    threshold: float,
    max_diameter: int,
    pairs: ComparedPairs | None = None,
    model: LinkageModel | None = None,
    before: pd.DataFrame | None = None,
) -> Resolution:
    """Link records into people: by id, by exact keys, then by probability.

    Linked records are connected components. A chain (a is like b, b is like c, but a is not like c) can join
    strangers, so a component in which two records lie more than `max_diameter` links apart is taken apart by
    dropping its weakest links, weakest first, until every part is compact. Without `pairs` and their `model`, ids
    and exact keys link alone. `before` are links of an earlier resolution of some of these records.

    Raises:
        ValueError: `threshold` is not from 0 to 1, or `max_diameter` below 1.
    """
    if max_diameter < 1:
        raise ValueError(f"max_diameter is {max_diameter}: needed is 1 or more.")
    people = records.select("row", "customer_id").order_by("row").to_pandas()
    links = [_same_id(people), equal_pairs(records, rules=EXACT_RULES).assign(probability=1.0, via="exact keys")]
    if pairs is not None and model is not None:
        links.append(pairs_above(pairs, model, threshold=threshold).assign(via="probability"))
    if before is not None:
        links.append(before.loc[before.via == "probability", ["left", "right", "probability", "via"]])
    together = pd.concat([part for part in links if len(part)] or links[:1])
    together = together.drop_duplicates(["left", "right"]).sort_values(["left", "right"], ignore_index=True)
    ends = np.searchsorted(people.row.to_numpy(), together[["left", "right"]].to_numpy(dtype="int64"))
    strength = np.where(together.via == "same id", 2.0, together.probability.astype(float))
    kept, n_cut = _compact(len(people), ends, strength, max_diameter)
    cluster = pd.factorize(components(len(people), ends[kept]))[0]
    return Resolution(
        records=people.assign(cluster=cluster),
        links=together.assign(kept=kept),
        threshold=threshold,
        n_people=len(np.unique(cluster)),
        n_cut=n_cut,
    )


def components(n: int, ends: np.ndarray) -> np.ndarray:
    """Return a label for each of n nodes: the same for nodes that links (pairs of positions) connect."""
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _same_id(people: pd.DataFrame) -> pd.DataFrame:
    before = people.groupby("customer_id", sort=False).row.shift()
    linked = before.notna()
    return pd.DataFrame(
        {"left": before[linked].astype("int64"), "right": people.row[linked], "probability": 1.0, "via": "same id"}
    )


def _split(labels: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(labels) else []


def _diameter(ends: np.ndarray) -> int:
    nodes, local = np.unique(ends, return_inverse=True)
    local = local.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (local[:, 0], local[:, 1])), shape=(len(nodes), len(nodes)))
    return int(shortest_path(graph.tocsr(), directed=False, unweighted=True).max())


def _compact(n: int, ends: np.ndarray, strength: np.ndarray, max_diameter: int) -> tuple[np.ndarray, int]:
    """Return which links stay, and how many components were taken apart; links of one id are never cut."""
    kept = np.ones(len(ends), dtype=bool)
    n_cut = 0
    for component in _split(components(n, ends)[ends[:, 0]]):
        waiting, was_cut = [component], False
        while waiting:
            part = waiting.pop()
            weakest = strength[part].min()
            if len(part) < 2 or weakest >= 2 or _diameter(ends[part]) <= max_diameter:
                continue
            was_cut = True
            dropped = strength[part] == weakest
            kept[part[dropped]] = False
            rest = part[~dropped]
            waiting += [rest[inner] for inner in _split(components(n, ends[rest])[ends[rest, 0]])]
        n_cut += was_cut
    return kept, n_cut
