"""Toys of page 13: products, histories, a shop of three shelves and the whole way from its receipts to lists."""

from functools import cache

import ibis
import numpy as np
import pandas as pd
from scipy import sparse

from journeybook import recommendation as rec
from journeybook.recommendation.purchases import Catalogue, Histories
from journeybook.statistics import stream

END = pd.Timestamp("2024-07-01")
OFFER = {"n_products": 100, "least_buyers": 3}


def catalogue(popularity, words=None) -> Catalogue:
    n = len(popularity)
    counts, empty = np.asarray(popularity, dtype=np.float32), np.full(n, "", dtype=object)
    texts = empty if words is None else np.array(words, dtype=object)
    return Catalogue(np.arange(n), counts, counts, texts, texts, empty, empty, {})


def histories(days, recent=None) -> Histories:
    days = sparse.csr_array(np.asarray(days, dtype=np.float32))
    recent = days if recent is None else sparse.csr_array(np.asarray(recent, dtype=np.float32))
    nobody = np.full(days.shape[0], -1)
    return Histories(days, recent, nobody, nobody)


def receipts(seed: int = 3, n: int = 90) -> pd.DataFrame:
    """Three groups of people who buy from shelves of their own, mostly the same again, over half a year."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(n):
        shelf = person % 3
        liked = shelf * 10 + rng.permutation(10)[:5]
        for day in np.sort(rng.choice(180, rng.integers(6, 26), replace=False)):
            product = rng.choice(liked) if rng.random() < 0.7 else rng.integers(30)
            rows.append((f"c{person}", END - pd.Timedelta(days=180 - int(day)), 2.5, f"p{product:02d}"))
    made = pd.DataFrame(rows, columns=["person_id", "occurred_at", "revenue", "product_id"])
    made = made.sort_values("occurred_at", kind="stable", ignore_index=True)
    return made.assign(row=np.arange(1, len(made) + 1))


def read(frame: pd.DataFrame, **asked):
    return rec.read_purchases(ibis.memtable(frame), end=END, **({"test_weeks": 4} | asked))


@cache
def whole_way():
    """Purchases, their shelves as categories, and the whole way to lists."""
    purchases = read(receipts())
    ids = purchases.products.astype(str)
    shelves = [f"shelf{int(p[1:]) // 10}" for p in ids]
    products = pd.DataFrame({"product_id": ids, "name": [f"thing {p}" for p in ids], "category": shelves})
    products["brand"] = np.where(np.arange(len(ids)) % 2, "own", "maker")
    early = rec.known_before(purchases, products, None, before=purchases.window, half_life_days=90.0, **OFFER)
    chosen = rec.choose(purchases, early, k=4, n_ease=30, seed=1)
    about = {"half_life_days": chosen.settings.half_life_days, **OFFER}
    known = rec.known_before(purchases, products, None, before=purchases.split, **about)
    judged = rec.judge(purchases, known, chosen, k=4, seed=1, n_draws=200, rng=stream(1, "people"))
    now = rec.known_before(purchases, products, None, before=purchases.end, **about)
    return purchases, products, chosen, known, judged, now
