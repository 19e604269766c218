"""Lists of what is scored highest, and how good they are: each measure written once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from journeybook.recommendation.purchases import Catalogue, Purchases

Places = NDArray[np.int64]
# Most scores in a piece of a row whose greatest is looked at first.
_PIECE = 32

ANY, NEW = "any purchase", "new to the customer"
"""What a list is to foresee: whatever a person buys, or only what they never bought before."""


@dataclass(frozen=True, eq=False)
class Bought:
    """What people bought in some days, whether it was offered or not.

    Attributes:
        keys: Person times the number of products plus product, ascending, shape (bought,).
        spent: Revenue of each, in currency, shape (bought,).
        n: Products that each person bought, shape (people,).
        n_products: Number of products there are.
    """

    keys: Places
    spent: NDArray[np.float64]
    n: Places
    n_products: int

    def spent_on(self, products: Places, person: Places) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return whether each person bought each product of a list, and what they spent on it; -1 is none."""
        wanted = person[:, None] * self.n_products + products
        if not len(self.keys):
            return np.zeros(wanted.shape, dtype=bool), np.zeros(wanted.shape)
        at = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        hits = (self.keys[at] == wanted) & (products >= 0)
        return hits, np.where(hits, self.spent[at], 0.0)


def bought_in(purchases: Purchases, *, start: int, stop: int, task: str) -> Bought:
    """Return what people bought from a day to before another; under `NEW` only what they never bought before."""
    n_products, lines = len(purchases.products), purchases.lines
    key = lines["person"].to_numpy() * n_products + lines["product"].to_numpy()
    day = lines["day"].to_numpy()
    inside = (day >= start) & (day < stop)
    if task == NEW and len(key):
        # Lines of a person and product stand together.
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        earliest = np.minimum.reduceat(day, begins)
        inside &= np.repeat(earliest, np.diff(begins, append=len(key))) >= start
    spent = pd.Series(lines["spent"].to_numpy()[inside]).groupby(key[inside]).sum()
    keys = spent.index.to_numpy(dtype=np.int64)
    n = np.bincount(keys // n_products, minlength=len(purchases.people))
    return Bought(keys, spent.to_numpy(dtype=float), n, n_products)


def in_blocks(n: int, of: Callable[[slice], Any], *, size: int) -> list[Any]:
    """Return what a function makes of each block of n rows, in order; which thread makes which changes nothing."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(of, (slice(at, at + size) for at in range(0, n, size))))


def greatest(scores: NDArray[np.float32], barred: NDArray[np.bool_] | None, *, k: int) -> Places:
    """Return the places of the k greatest scores of each row, the greatest first; -1 where too few are allowed.

    Of equals the first comes first. The k-th greatest of the maxima of pieces is no greater than the k-th greatest
    of all: only what reaches it is put in order.
    """
    open_ = scores if barred is None else np.where(barred, -np.inf, scores)
    (n, m), k = open_.shape, min(k, scores.shape[1])
    bound = np.full(n, np.finfo(np.float32).min)
    if (piece := min(_PIECE, m // (2 * k))) > 1:
        maxima = np.maximum.reduceat(open_, np.arange(0, m, piece), axis=1)
        bound = np.maximum(bound, np.partition(maxima, -k, axis=1)[:, -k])
    at = np.flatnonzero(open_ >= bound[:, None])
    # The sort is stable: of equals the first stays first.
    at = at[np.lexsort((-open_.ravel()[at], at // m))]
    row = at // m
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(n))[row]
    found, kept = np.full((n, k), -1), rank < k
    found[row[kept], rank[kept]] = at[kept] % m
    return found


def by_person(products: Places, bought: Bought, person: Places) -> pd.DataFrame:
    """Return how good each person's list is, one row a person who bought anything.

    Args:
        products: Place of each product listed, the first first, -1 for none, shape (people, k).
        bought: What these people bought.
        person: Place of each person, shape (people,).

    Returns:
        `person`; `precision` (of k); `recall` (of all that was bought); `ndcg` (gain 1, discount log2, ideal list
        of at most k: Järvelin & Kekäläinen 2002); `average_precision` over what k places can hold, and
        `average_precision_all` over all that was bought; `hit` (any); `spent` (covered) and `spent_all`.
    """
    hits, worth = bought.spent_on(products, person)
    n, k = bought.n[person], hits.shape[1]
    place = np.arange(1, k + 1)
    gains = 1 / np.log2(place + 1)
    ideal = np.concatenate([[0.0], np.cumsum(gains)])[np.minimum(n, k)]
    precisions = (np.cumsum(hits, axis=1) / place * hits).sum(axis=1)
    of_all = np.bincount(bought.keys // bought.n_products, weights=bought.spent, minlength=len(bought.n))
    some = n > 0
    table = pd.DataFrame({"person": person, "precision": hits.sum(axis=1) / k})
    table["recall"] = hits.sum(axis=1) / np.maximum(n, 1)
    table["ndcg"] = hits @ gains / np.maximum(ideal, 1e-12)
    table["average_precision"] = precisions / np.maximum(np.minimum(n, k), 1)
    table["average_precision_all"] = precisions / np.maximum(n, 1)
    table["hit"] = hits.any(axis=1).astype(float)
    return table.assign(spent=worth.sum(axis=1), spent_all=of_all[person])[some].reset_index(drop=True)


def of_lists(
    lists: Places, catalogue: Catalogue, vectors: sparse.csr_array | None, n_people: int
) -> dict[str, float]:
    """Return what lists are like, whatever was bought.

    Returns:
        `catalogue_share` of products on any list; `novelty`, the mean of -log2 of the share of people who bought a
        product before (bits: Vargas & Castells 2011); `diversity`, 1 less the mean cosine of the words of two
        products of a list, NaN without words; `popular_share`, the mean share of people who bought a product.
    """
    shown = lists[lists >= 0]
    share = catalogue.popularity[shown] / n_people
    told = {"catalogue_share": len(np.unique(shown)) / len(catalogue.products)}
    told |= {"novelty": float(-np.log2(share).mean()), "popular_share": float(share.mean())}
    told["diversity"] = float("nan")
    if vectors is not None and lists.shape[1] > 1:
        rows = np.nonzero(lists >= 0)[0]
        of = sparse.csr_array((np.ones(len(shown)), (rows, shown)), shape=(len(lists), len(catalogue.products)))
        size = np.bincount(rows, minlength=len(lists))
        own = np.bincount(
            rows, weights=np.asarray(vectors.multiply(vectors).sum(axis=1))[shown], minlength=len(lists)
        )
        together = of @ vectors
        pairs = np.asarray(together.multiply(together).sum(axis=1)) - own
        many = size > 1
        told["diversity"] = float(1 - (pairs[many] / (size * (size - 1))[many]).mean())
    return told
