"""Ways to score what a person may buy next: each turns histories into scores of the whole catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from journeybook.recommendation.lists import greatest, in_blocks
from journeybook.recommendation.purchases import Catalogue, Histories

Array = NDArray[np.float32]
Scorer = Callable[[Histories], Array]
"""Scores of shape (people, offered) for histories of people, known or new."""

POPULAR, RECENT, BY_SEGMENT = "popularity", "recent popularity", "popularity by segment"
REPEAT = "repeat purchases"
SIMILAR, EASE, ALS, BPR = "item similarity", "EASE", "ALS", "BPR"
CONTENT, HYBRID = "content", "hybrid"
BASELINES = (REPEAT, RECENT, POPULAR, BY_SEGMENT)

# Most similar products that are kept of each: more change no list to speak of, and cost as much time again.
N_NEIGHBOURS = 100
# Terms of a product of matrices that are held at once, unless one row has more: they stay near the processor.
_MOST_TERMS = 1 << 18
# Products whose likeness to all others is worked out at once.
_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Settings:
    """What is chosen in the window.

    Attributes:
        half_life_days: Days after which a purchase counts half.
        ridge: Weight that draws the coefficients of EASE to zero, in people.
    """

    half_life_days: float
    ridge: float


def popularity(catalogue: Catalogue) -> Scorer:
    """Score by how many people ever bought a product."""
    return _alike(catalogue.popularity)


def recent_popularity(catalogue: Catalogue) -> Scorer:
    """Score by how many people bought a product lately."""
    return _alike(catalogue.recent + 1e-3 * _share(catalogue))


def popularity_by_segment(known: Histories, catalogue: Catalogue, n_groups: int) -> Scorer:
    """Score by the share of a person's segment that ever bought a product; by all where no segment is known."""
    binary = _binary(known.days)
    of_all = (catalogue.popularity / max(binary.shape[0], 1)).astype(np.float32)
    shares = [binary[known.group == g].mean(axis=0) for g in range(n_groups)]
    table = np.vstack([*shares, of_all]).astype(np.float32) + 1e-6 * of_all
    return lambda h: table[h.group]


def repeat_purchases(catalogue: Catalogue) -> Scorer:
    """Score by a person's own purchases, the recent ones more; then by popularity."""
    return lambda h: _then_popular(h.recent.toarray(), catalogue)


def similar_products(
    days: sparse.csr_array, *, least_buyers: int, n_neighbours: int = N_NEIGHBOURS
) -> sparse.csr_array:
    """Return the cosine of any two products over people who bought them, the greatest `n_neighbours` of each.

    That is the number of people who bought both over the root of the product of the numbers who bought each
    (Sarwar et al. 2001), 1 for a product and itself. Two that fewer than `least_buyers` people bought both of are
    not alike: nobody learns from a list what one person bought.

    Returns:
        Row: a product; column: one like it; shape (offered, offered).
    """
    binary = _binary(days)
    across = binary.T.tocsr()
    root = np.sqrt(np.maximum(np.diff(across.indptr), 1)).astype(np.float32)

    def block(rows: slice) -> sparse.csr_array:
        both = _product(across[rows], binary)
        few = both < least_buyers
        both /= root[rows, None] * root
        near = np.sort(greatest(both, few, k=n_neighbours), axis=1)
        row, rank = np.nonzero(near >= 0)
        at = near[row, rank]
        return sparse.csr_array((both[row, at], (row, at)), shape=both.shape)

    return sparse.vstack(in_blocks(across.shape[0], block, size=_AT_ONCE), format="csr")


def _product(left: sparse.csr_array, right: sparse.csr_array) -> Array:
    """Return a product with most cells filled as an array: added up in place, which a sparse one is not."""
    found = np.zeros((left.shape[0], right.shape[1]), dtype=np.float32)
    before = np.append(0, np.cumsum(np.diff(right.indptr)[left.indices]))[left.indptr]
    cuts = np.searchsorted(before, np.arange(0, before[-1], _MOST_TERMS))
    for start, stop in pairwise([*np.unique(cuts), len(found)]):
        begins = left.indptr[start : stop + 1]
        inner = slice(begins[0], begins[-1])
        rows = right[left.indices[inner]]
        terms = rows.data * np.repeat(left.data[inner], np.diff(rows.indptr))
        summed = (terms, rows.indices, rows.indptr[begins - begins[0]])
        found[start:stop] = sparse.csr_array(summed, shape=(stop - start, found.shape[1])).toarray()
    return found


def item_similarity(similar: sparse.csr_array, catalogue: Catalogue) -> Scorer:
    """Score by likeness to what a person bought, weighted by how lately: SAR without its own counts of time."""
    across = similar.T.tocsr()
    return lambda h: _then_popular(_product(h.recent, across), catalogue)


def ease_coefficients(days: sparse.csr_array, *, ridge: float) -> Array:
    """Return the linear model of each product by all others, in closed form (Steck 2019, equation 8).

    With P the inverse of the Gram matrix of what people bought, `ridge` added to its diagonal, the coefficients
    are -P / diag(P) by column, and 0 on the diagonal; shape (products, products).
    """
    binary = _binary(days).astype(np.float64)
    gram = (binary.T @ binary).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    factor, failed = lapack.dpotrf(gram, lower=1)
    half, failed_too = lapack.dpotri(factor, lower=1)
    if failed or failed_too:
        raise ValueError(f"ridge is {ridge:g}: the matrix of co-purchases has no inverse, and more is needed.")
    inverse = np.tril(half) + np.tril(half, -1).T
    coefficients = -inverse / np.diag(inverse)
    coefficients[np.diag_indices_from(coefficients)] = 0
    return coefficients.astype(np.float32)


def ease(coefficients: Array, catalogue: Catalogue) -> Scorer:
    """Score the most bought products by EASE, and all others by popularity."""
    n = len(coefficients)

    def score(h: Histories) -> Array:
        scores = np.zeros(h.days.shape, dtype=np.float32)
        scores[:, :n] = _binary(h.days[:, :n]) @ coefficients
        return _then_popular(scores, catalogue)

    return score


def als(known: Histories, catalogue: Catalogue, *, seed: int, n_factors: int = 64) -> Scorer:
    """Score by factors of people and products (Hu, Koren & Volinsky 2008), by implicit on one thread.

    Each person's factors are the closed form given the products', so that newcomers are scored alike.
    """
    model = AlternatingLeastSquares(
        factors=n_factors, regularization=0.05, iterations=10, num_threads=1, random_state=seed, dtype=np.float64
    )
    model.fit(sparse.csr_matrix(known.days), show_progress=False)

    def score(h: Histories) -> Array:
        people = model.recalculate_user(np.arange(h.days.shape[0]), sparse.csr_matrix(h.days))
        return _then_popular((people @ model.item_factors.T).astype(np.float32), catalogue)

    return score


def bpr(known: Histories, catalogue: Catalogue, *, seed: int, n_factors: int = 16) -> Scorer:
    """Score by factors that rank what was bought above what was not (Rendle et al. 2009), by implicit.

    On one thread: on several its updates race each other, and no two runs give the same lists.
    """
    model = BayesianPersonalizedRanking(factors=n_factors, iterations=10, num_threads=1, random_state=seed)
    model.fit(sparse.csr_matrix(known.days), show_progress=False)
    return lambda h: model.user_factors[h.person] @ model.item_factors.T


def word_vectors(catalogue: Catalogue) -> sparse.csr_array | None:
    """Return TF-IDF of each product's name, category and brand, of length 1; None where nothing is known."""
    if not any(catalogue.words):
        return None
    return sparse.csr_array(
        TfidfVectorizer(dtype=np.float32, token_pattern=r"[^\W_]+").fit_transform(catalogue.words)
    )


def content(vectors: sparse.csr_array, catalogue: Catalogue) -> Scorer:
    """Score by likeness of words to what a person bought; of equals the more popular first."""
    across, tie = vectors.T.tocsr(), 1e-3 * _share(catalogue)

    def score(h: Histories) -> Array:
        liked = normalize(h.recent @ vectors)
        return _then_popular((liked @ across).toarray() + tie * (np.diff(h.recent.indptr) > 0)[:, None], catalogue)

    return score


def _alike(scores: Array) -> Scorer:
    row = scores.astype(np.float32)
    return lambda h: np.broadcast_to(row, h.days.shape)


def _share(catalogue: Catalogue) -> Array:
    """Share of the most popular product's buyers, below 1 and no two alike."""
    ranked = catalogue.popularity - np.arange(len(catalogue.popularity)) / (len(catalogue.popularity) + 1)
    return (ranked / (catalogue.popularity.max() + 1)).astype(np.float32)


def _then_popular(scores: Array, catalogue: Catalogue) -> Array:
    """Scores above 0, of equals the more popular first; below 0 all others by popularity; changed in place.

    implicit alone would end a short list with what is owned, or with whatever comes first.
    """
    share, unknown = _share(catalogue), scores <= 0
    scores *= 1 + 1e-5 * share
    np.copyto(scores, share - 1, where=unknown)
    return scores


def _binary(days: sparse.csr_array) -> sparse.csr_array:
    return sparse.csr_array((np.ones_like(days.data), days.indices, days.indptr), shape=days.shape)
