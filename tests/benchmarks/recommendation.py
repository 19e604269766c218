"""Item similarity and lists of ten of page 13, beside implicit's item-item model and scikit-learn's cosine.

    PYTHONPATH=src python tests/benchmarks/recommendation.py [PEOPLE]

PEOPLE (100,000) buy 20,000 products, a hundred purchases each, in one process; products are popular by a power
law, and people have shelves of their own. The bars: likeness and lists within 60 s and 4 GiB on two processors,
and time that grows with the purchases by at most the power 1.1. The same likeness must come out of all three; the
cosine of scikit-learn holds all pairs at once, so it is made of a quarter of the products.
"""

import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from journeybook.recommendation import methods as ways
from journeybook.recommendation.lists import greatest, in_blocks
from journeybook.recommendation.purchases import Catalogue, Histories

N_PRODUCTS, N_EACH, N_LISTED, N_COMPARED = 20_000, 100, 10, 5_000


def purchases(n_people: int, *, seed: int = 1) -> sparse.csr_array:
    """Days on which people bought products, the most bought first."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(10, N_PRODUCTS + 10) ** 0.8
    chance = np.cumsum(weight / weight.sum())
    person = np.repeat(np.arange(n_people), N_EACH)
    product = np.searchsorted(chance, rng.random(len(person)))
    shelf = (product // 40) * 40 + (person * 7 + product) % 40
    product = np.where(rng.random(len(person)) < 0.5, np.minimum(shelf, N_PRODUCTS - 1), product)
    days = sparse.csr_array(
        (np.ones(len(person), dtype=np.float32), (person, product)), shape=(n_people, N_PRODUCTS)
    )
    order = np.argsort(-np.diff(days.tocsc().indptr), kind="stable")
    return sparse.csr_array(days[:, order])


def lists_of(days: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray]:
    """Likeness of products, and each person's list of what is new to them, in blocks on all threads."""
    counts = np.diff(days.tocsc().indptr).astype(np.float32)
    empty = np.full(N_PRODUCTS, "", dtype=object)
    catalogue = Catalogue(np.arange(N_PRODUCTS), counts, counts, empty, empty, empty, empty, {})
    similar = ways.similar_products(days, least_buyers=1)
    score = ways.item_similarity(similar, catalogue)

    def block(rows: slice) -> np.ndarray:
        part = days[rows]
        nobody = np.full(part.shape[0], -1)
        return greatest(score(Histories(part, part, nobody, nobody)), part.toarray() > 0, k=N_LISTED)

    return similar, np.vstack(in_blocks(days.shape[0], block, size=100))


def timed(what: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """Run once, print wall and processor seconds, and return what it returned and the latter."""
    began, used = time.perf_counter(), time.process_time()
    found = run()
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    print(f"{what:<46} {wall:7.2f} s {cpu:7.2f} s of the processor", flush=True)
    return found, cpu


def main(n_people: int) -> None:
    """Print seconds, the power by which they grow, memory, and how far the three are apart."""
    taken = []
    for n in (n_people // 10, n_people):
        days = purchases(n)
        (similar, lists), cpu = timed(f"journeybook, {n * N_EACH:,} purchases", lambda days=days: lists_of(days))
        taken.append(cpu)
    print(f"    grows with the power {np.log10(taken[1] / taken[0]):.2f}")
    print(f"    most memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")

    binary = sparse.csr_matrix((np.ones_like(days.data), days.indices, days.indptr), shape=days.shape)

    def theirs() -> tuple[Any, np.ndarray]:
        model = CosineRecommender(K=ways.N_NEIGHBOURS, num_threads=2)
        model.fit(binary, show_progress=False)
        return model, model.recommend(np.arange(n_people), binary, N=N_LISTED, filter_already_liked_items=True)[0]

    (model, other), _ = timed("implicit's item-item model", theirs)
    ours, implicit_s = similar[:200].toarray(), sparse.csr_array(model.similarity)[:200].toarray()
    both = (ours > 0) & (implicit_s > 0)
    print(f"    likeness apart by at most {np.abs(ours - implicit_s)[both].max():.1e} where both keep it")
    same = np.mean([len(set(a) & set(b)) / N_LISTED for a, b in zip(lists[:2_000], other[:2_000], strict=True)])
    print(f"    products listed by both {same:.1%}")

    some = binary[:, :N_COMPARED]
    whole, _ = timed(
        f"scikit-learn's cosine of {N_COMPARED:,} products", lambda: cosine_similarity(some.T, dense_output=True)
    )
    inside = ours[:, :N_COMPARED]
    apart = np.abs(inside - whole[:200])[inside > 0].max()
    print(f"    likeness apart by at most {apart:.1e} where it is kept")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="implicit")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
