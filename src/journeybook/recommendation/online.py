"""The step online, SIMULATED: what lists would truly bring, and how many visits tell two of them apart."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats
from scipy.special import expit
from sklearn.preprocessing import normalize

from journeybook.recommendation import methods as ways
from journeybook.recommendation.hybrid import feature
from journeybook.recommendation.lists import Bought, Places, by_person, greatest
from journeybook.recommendation.purchases import Catalogue, Histories

N_SHOPS, N_PEOPLE, N_PRODUCTS, N_TYPES, N_CATEGORIES = 20, 600, 200, 3, 20
COLLABORATIVE, BOTH = "collaborative", "hybrid"
# Products on a list, events of the log that is replayed, and visits that are simulated of each kind.
LISTED, N_LOGGED, N_VISITS = 5, 40_000, 60_000
ALPHA, POWER = 0.05, 0.8
# Share of the visits with a purpose: in the others nothing is added, whatever is shown.
PURPOSE = 0.3
# Chance that a visitor looks at each place of a list, the first first.
LOOKS = 0.7 ** np.arange(LISTED)


@dataclass(frozen=True, eq=False)
class Online:
    """What simulated shops know of their lists, and what is true.

    Attributes:
        table: One row a method: means over `N_SHOPS` shops of `ndcg` on purchases logged before, and of
            `true_rate`, the share of looks at a list that add a product to the cart; shops in which past purchases
            put it first, `n_named`, and in which it is, `n_best`.
        replay: Of the shop whose lists are apart as usual, one row a method: `true_rate`, and `replayed_rate` with
            `_low` and `_high` (95 %, Bonferroni) from a log with propensities.
        units: Of that shop, one row a design, interleaving and A/B, its truly best list beside its worst: `effect`
            on a visit (products added; of A/B the true one), `seen` in `N_VISITS`, its `sd`, `n_visits` in all for
            `POWER`, and the `power` of so many, seen in `n_trials`.
        n_agreed: Shops in which past purchases put the truly best list first.
    """

    table: pd.DataFrame
    replay: pd.DataFrame
    units: pd.DataFrame
    n_agreed: int


def simulate_online(*, rng: np.random.Generator) -> Online:
    """Simulate shops of three types of customers, their lists, and the ways of comparing them online.

    What is bought depends on what was shown: a shop shows some products often, whatever they are worth, and a
    quarter of them never yet. So past purchases judge lists by what used to be shown.
    """
    shops = [_shop(rng) for _ in range(N_SHOPS)]
    first = [table[["ndcg", "true_rate"]].eq(table[["ndcg", "true_rate"]].max()) for *_, table in shops]
    named = [
        table.assign(n_named=top["ndcg"].astype(int), n_best=top["true_rate"].astype(int))
        for (*_, table), top in zip(shops, first, strict=True)
    ]
    by_method = pd.concat(named).groupby("method", sort=False)
    means = by_method.agg({"ndcg": "mean", "true_rate": "mean", "n_named": "sum", "n_best": "sum"}).reset_index()
    gaps = [float(np.ptp(table["true_rate"])) for *_, table in shops]
    lists, appeal, past, table = shops[int(np.argsort(gaps, kind="stable")[N_SHOPS // 2])]
    replay = table[["method", "true_rate"]].join(_replayed(lists, appeal, past, rng))
    best, worst = (table.loc[table["true_rate"].agg(end), "method"] for end in ("idxmax", "idxmin"))
    units = _units(lists[best], lists[worst], appeal, rng)
    return Online(means, replay, units, sum(bool(top.all(axis=1).any()) for top in first))


def _shop(
    rng: np.random.Generator,
) -> tuple[dict[str, Places], NDArray[np.float64], NDArray[np.bool_], pd.DataFrame]:
    """One shop: lists, true chances that a product shown is added, purchases so far, and each method judged."""
    kind = rng.integers(N_TYPES, size=N_PEOPLE)
    category = rng.permutation(np.arange(N_PRODUCTS) % N_CATEGORIES)
    liking = rng.normal(0, 1.2, (N_TYPES, N_CATEGORIES))
    quality = rng.normal(0, 0.5, N_PRODUCTS)
    appeal = expit(-2.8 + liking[kind][:, category] + quality + rng.normal(0, 0.4, (N_PEOPLE, N_PRODUCTS)))
    shown_chance = np.where(rng.random(N_PRODUCTS) < 0.25, 0.0, rng.beta(0.6, 1.4, N_PRODUCTS))
    past, later = (
        (rng.random(appeal.shape) < shown_chance) & (rng.random(appeal.shape) < appeal) for _ in range(2)
    )
    lists, person = _lists(past, category), np.arange(N_PEOPLE)
    of_later = np.nonzero(later & ~past)
    keys = of_later[0] * N_PRODUCTS + of_later[1]
    bought = Bought(keys, np.ones(len(keys)), np.bincount(of_later[0], minlength=N_PEOPLE), N_PRODUCTS)
    rows = []
    for name, places in lists.items():
        offline = by_person(places, bought, person)["ndcg"].mean()
        true = float((np.take_along_axis(appeal, places, axis=1) @ LOOKS).mean() / LOOKS.sum())
        rows.append({"method": name, "ndcg": float(offline), "true_rate": true})
    return lists, appeal, past, pd.DataFrame(rows)


def _lists(past: NDArray[np.bool_], category: Places) -> dict[str, Places]:
    """Lists of what was not bought: by popularity, by collaboration, by content, and by both together."""
    buyers = past.sum(axis=0).astype(np.float32)
    order = np.argsort(-buyers, kind="stable")
    empty = np.full(N_PRODUCTS, "", dtype=object)
    words = np.array([f"category{c}" for c in category[order]], dtype=object)
    catalogue = Catalogue(order, buyers[order], buyers[order], words, words, words, empty, {})
    days = sparse.csr_array(past[:, order].astype(np.float32))
    nobody = np.full(N_PEOPLE, -1)
    h = Histories(days, days, nobody, nobody)
    vectors = sparse.csr_array(normalize(pd.get_dummies(words, dtype=np.float32).to_numpy()))
    similar = ways.similar_products(days, least_buyers=1)
    scores = {ways.POPULAR: ways.popularity(catalogue)(h)}
    scores[COLLABORATIVE] = ways.item_similarity(similar, catalogue)(h)
    scores[ways.CONTENT] = ways.content(vectors, catalogue)(h)
    scores[BOTH] = feature(COLLABORATIVE, scores[COLLABORATIVE]) + feature(ways.CONTENT, scores[ways.CONTENT])
    return {name: order[greatest(one, days.toarray() > 0, k=LISTED)] for name, one in scores.items()}


def _replayed(
    lists: dict[str, Places], appeal: NDArray, past: NDArray[np.bool_], rng: np.random.Generator
) -> pd.DataFrame:
    """Rates of the lists from a log: added to the cart, weighted by list over logged propensity, normalised."""
    popular = past.sum(axis=0) / past.sum()
    chance = 0.5 / N_PRODUCTS + 0.5 * popular
    person, product = rng.integers(N_PEOPLE, size=N_LOGGED), rng.choice(N_PRODUCTS, size=N_LOGGED, p=chance)
    added = rng.random(N_LOGGED) < appeal[person, product]
    reach, rows = stats.norm.isf(0.025 / len(lists)), []
    for places in lists.values():
        weight = (places[person] == product[:, None]) @ LOOKS / LOOKS.sum() / chance[product]
        rate = float((weight * added).sum() / weight.sum())
        error = float(np.sqrt((weight**2 * (added - rate) ** 2).sum()) / weight.sum())
        rows.append(
            {
                "replayed_rate": rate,
                "replayed_rate_low": rate - reach * error,
                "replayed_rate_high": rate + reach * error,
            }
        )
    return pd.DataFrame(rows)


def team_draft(one: Places, other: Places, rng: np.random.Generator) -> tuple[Places, NDArray[np.bool_]]:
    """Interleave two lists row by row (Radlinski, Kurup & Joachims 2008).

    The team with fewer picks, of equals one drawn by lot, puts its first product that is not shown yet next.

    Returns:
        Products shown, and whether the first list's team picked each, both of shape (rows, listed).
    """
    shown, ours = np.full(one.shape, -1), np.zeros(one.shape, dtype=bool)
    for place in range(one.shape[1]):
        ahead = 2 * ours[:, :place].sum(axis=1) - place
        ours[:, place] = np.where(ahead == 0, rng.random(len(one)) < 0.5, ahead < 0)
        picks = np.where(ours[:, place, None], one, other)
        free = ~(picks[:, :, None] == shown[:, None, :place]).any(axis=2)
        shown[:, place] = np.take_along_axis(picks, free.argmax(axis=1)[:, None], axis=1)[:, 0]
    return shown, ours


def _units(one: Places, other: Places, appeal: NDArray, rng: np.random.Generator) -> pd.DataFrame:
    """Visits that tell two lists apart: each visit sees one list, or both interleaved."""

    def apart(n: int) -> NDArray[np.float64]:
        a, b = (rng.integers(N_PEOPLE, size=n) for _ in range(2))
        return (_added(one[a], a, appeal, rng) - _added(other[b], b, appeal, rng)).sum(axis=1)

    def interleaved(n: int) -> NDArray[np.float64]:
        person = rng.integers(N_PEOPLE, size=n)
        shown, ours = team_draft(one[person], other[person], rng)
        added = _added(shown, person, appeal, rng)
        return (added * np.where(ours, 1, -1)).sum(axis=1)

    looked = [(np.take_along_axis(appeal, places, axis=1) @ LOOKS).mean() for places in (one, other)]
    true = PURPOSE * float(looked[0] - looked[1])
    rows, needed = [], (stats.norm.isf(ALPHA / 2) + stats.norm.isf(1 - POWER)) ** 2
    for design, visits, each in (("interleaving", interleaved, 1), ("A/B", apart, 2)):
        seen = visits(N_VISITS)
        effect, sd = true if each == 2 else float(seen.mean()), float(seen.std(ddof=1))
        n = int(np.ceil(needed * (sd / effect) ** 2))
        n_trials = int(np.clip(400_000 // n, 50, 400))
        trials = visits(n * n_trials).reshape(n_trials, n)
        z = trials.mean(axis=1) / (trials.std(axis=1, ddof=1) / np.sqrt(n))
        row = {"design": design, "effect": effect, "seen": float(seen.mean()), "sd": sd, "n_visits": n * each}
        power = float((np.abs(z) > stats.norm.isf(ALPHA / 2)).mean())
        rows.append(row | {"power": power, "n_trials": n_trials})
    return pd.DataFrame(rows)


def _added(
    shown: Places, person: Places, appeal: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What visits add to the cart of what they are shown: nothing but in the share of visits with a purpose."""
    purpose = rng.random((len(person), 1)) < PURPOSE
    added = rng.random(shown.shape) < LOOKS * appeal[person[:, None], shown]
    return np.where(purpose, added, False).astype(float)
