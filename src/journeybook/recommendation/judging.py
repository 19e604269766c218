"""One split by time: methods fitted before it, settings chosen in a window before it, all judged after it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats
from threadpoolctl import threadpool_limits

from journeybook.recommendation import methods as ways
from journeybook.recommendation.hybrid import Stack, learn
from journeybook.recommendation.lists import ANY, NEW, Bought, Places, bought_in, by_person, greatest, of_lists
from journeybook.recommendation.methods import Array, Scorer, Settings
from journeybook.recommendation.purchases import (
    Catalogue,
    Histories,
    Purchases,
    catalogue_of,
    groups_as_of,
    histories_of,
)
from journeybook.statistics import cluster_weights, holm

HALF_LIVES = (30.0, 90.0, 180.0)
RIDGES = (100.0, 400.0, 1600.0)
# People scored at once: their scores stay near the processor.
_BLOCK = 200
# People from whose purchases the weights of the hybrid are learned, at most; of more every second, or third.
_MOST_TAUGHT = 5_000


@dataclass(frozen=True, eq=False)
class Known:
    """What methods may know as of a day.

    Attributes:
        before: The day, in days since 1970.
        half_life_days: Days after which a purchase counts half.
        catalogue: What may be offered.
        histories: What is known of each person.
        barred: Products that a person has returned, shape (people, offered).
        vectors: Words of the products as TF-IDF; None without words.
        similar: Likeness of products.
        n_groups: Number of segments.
    """

    before: int
    half_life_days: float
    catalogue: Catalogue
    histories: Histories
    barred: sparse.csr_array
    vectors: sparse.csr_array | None
    similar: sparse.csr_array
    n_groups: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen in the window.

    Attributes:
        settings: Half-life and ridge.
        stacks: Weights of the hybrid by what it is to foresee; None where none can be learned.
        tried: One row a setting tried: `setting`, `value`, `ndcg` in the window.
        n_ease: Most bought products that EASE models.
    """

    settings: Settings
    stacks: dict[str, Stack | None]
    tried: pd.DataFrame
    n_ease: int


@dataclass(frozen=True, eq=False)
class Judged:
    """Methods on a time that none has seen.

    Attributes:
        table: One row a task and method, the best first: means of `by_person`, `ndcg_low` and `ndcg_high` (95 %,
            bootstrap of people), `revenue_share`, and what `of_lists` tells.
        pairs: One row a task and pair of methods: `difference` of nDCG with `_low` and `_high` (95 %, Bonferroni),
            `p_value`, `p_adjusted` (Holm, over all pairs of both tasks).
        people: For each task the nDCG of each person, a column a method.
        rows: What `by_person` returns, by task and method.
        lists: Places in the catalogue, by task and method, shape (people, k).
        bought: What was bought, by task.
        best: By task the best method, and the best baseline.
        n_draws: Bootstrap samples of people.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    people: dict[str, pd.DataFrame]
    rows: dict[tuple[str, str], pd.DataFrame]
    lists: dict[tuple[str, str], Places]
    bought: dict[str, Bought]
    best: dict[str, tuple[str, str]]
    n_draws: int


def known_before(
    purchases: Purchases,
    products: pd.DataFrame | None,
    segments: pd.DataFrame | None,
    *,
    before: int,
    half_life_days: float,
    n_products: int,
    least_buyers: int,
) -> Known:
    """Gather what methods may know as of a day; see `catalogue_of` for the parameters."""
    asked = {"before": before, "n_products": n_products, "least_buyers": least_buyers}
    catalogue = catalogue_of(purchases, products, **asked)
    group, names = groups_as_of(purchases, segments, before=before)
    histories = histories_of(purchases, catalogue, before=before, half_life_days=half_life_days, group=group)
    place = np.full(len(purchases.products), -1)
    place[catalogue.products] = np.arange(len(catalogue.products))
    person, at = purchases.returned[:, 0], place[purchases.returned[:, 1]]
    shape, offered = histories.days.shape, at >= 0
    barred = sparse.csr_array((np.ones(offered.sum(), dtype=bool), (person[offered], at[offered])), shape=shape)
    with threadpool_limits(1):
        similar = ways.similar_products(histories.days, least_buyers=least_buyers)
    return Known(
        before, half_life_days, catalogue, histories, barred, ways.word_vectors(catalogue), similar, len(names)
    )


def fit_methods(
    known: Known, settings: Settings, *, n_ease: int, seed: int, factors: bool = True
) -> dict[str, Scorer]:
    """Fit every method but the hybrid; those with factors only where asked."""
    h, catalogue = known.histories, known.catalogue
    with threadpool_limits(1):
        found = {ways.POPULAR: ways.popularity(catalogue), ways.RECENT: ways.recent_popularity(catalogue)}
        if known.n_groups:
            found[ways.BY_SEGMENT] = ways.popularity_by_segment(h, catalogue, known.n_groups)
        found[ways.REPEAT] = ways.repeat_purchases(catalogue)
        found[ways.SIMILAR] = ways.item_similarity(known.similar, catalogue)
        found[ways.EASE] = ways.ease(ways.ease_coefficients(h.days[:, :n_ease], ridge=settings.ridge), catalogue)
        if factors:
            found[ways.ALS] = ways.als(h, catalogue, seed=seed)
            found[ways.BPR] = ways.bpr(h, catalogue, seed=seed)
        if known.vectors is not None:
            found[ways.CONTENT] = ways.content(known.vectors, catalogue)
    return found


def scored(
    known: Known, scorers: dict[str, Scorer], histories: Histories | None = None
) -> Iterator[tuple[NDArray[np.int64], dict[str, Array], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Score people block by block: rows, scores by method, what may not be offered at all, and as new."""
    h = known.histories if histories is None else histories
    with threadpool_limits(1):
        for start in range(0, h.days.shape[0], _BLOCK):
            rows = slice(start, start + _BLOCK)
            part = h.of(rows)
            barred = known.barred[rows].toarray() if histories is None else np.zeros(part.days.shape, dtype=bool)
            yield part.person, {n: f(part) for n, f in scorers.items()}, barred, barred | (part.days.toarray() > 0)


def choose(purchases: Purchases, known: Known, *, k: int, n_ease: int, seed: int) -> Chosen:
    """Choose half-life, ridge and the weights of the hybrid by what was bought in the window.

    Args:
        purchases: Who bought what.
        known: What was known before the window.
        k: Products on a list.
        n_ease: Most bought products that EASE models.
        seed: Seed of the methods that draw.
    """
    truth = {t: bought_in(purchases, start=purchases.window, stop=purchases.split, task=t) for t in (ANY, NEW)}
    tried = []
    for days in HALF_LIVES:
        h = histories_of(purchases, known.catalogue, before=known.before, half_life_days=days)
        one = {ways.REPEAT: ways.repeat_purchases(known.catalogue)}
        value = mean_ndcg(known, one, truth[ANY], k=k, new=False, histories=h)
        tried.append({"setting": "half-life in days", "value": days, "ndcg": value})
    for ridge in RIDGES:
        with threadpool_limits(1):
            coefficients = ways.ease_coefficients(known.histories.days[:, :n_ease], ridge=ridge)
        one = {ways.EASE: ways.ease(coefficients, known.catalogue)}
        value = mean_ndcg(known, one, truth[NEW], k=k, new=True)
        tried.append({"setting": "ridge of EASE", "value": ridge, "ndcg": value})
    table = pd.DataFrame(tried)
    best = table.loc[table.groupby("setting", sort=False)["ndcg"].idxmax()].set_index("setting")["value"]
    settings = Settings(float(best["half-life in days"]), float(best["ridge of EASE"]))
    h = histories_of(purchases, known.catalogue, before=known.before, half_life_days=settings.half_life_days)
    scorers = fit_methods(replace(known, n_groups=0), settings, n_ease=n_ease, seed=seed, factors=False)
    made = list(scored(known, scorers, h.of(np.arange(0, len(h.person), -(-len(h.person) // _MOST_TAUGHT)))))
    stacks = {
        task: learn(
            ((p, s, owned if task == NEW else None) for p, s, _, owned in made), bought, known.catalogue.products
        )
        for task, bought in truth.items()
    }
    return Chosen(settings, stacks, table, n_ease)


def mean_ndcg(
    known: Known, one: dict[str, Scorer], bought: Bought, *, k: int, new: bool, histories: Histories | None = None
) -> float:
    """Return the mean nDCG of one method's lists; of what is new to each person, if asked."""
    kept = []
    for person, scores, barred, owned in scored(known, one, histories):
        places = greatest(next(iter(scores.values())), owned if new else barred, k=k)
        products = np.where(places >= 0, known.catalogue.products[places], -1)
        kept.append(by_person(products, bought, person)["ndcg"])
    return float(pd.concat(kept).mean())


def judge(
    purchases: Purchases,
    known: Known,
    chosen: Chosen,
    *,
    k: int,
    seed: int,
    n_draws: int,
    rng: np.random.Generator,
) -> Judged:
    """Judge every method, fitted before the split, on what was bought after it; the whole catalogue is ranked."""
    bought = {t: bought_in(purchases, start=purchases.split, stop=purchases.end, task=t) for t in (ANY, NEW)}
    scorers = fit_methods(known, chosen.settings, n_ease=chosen.n_ease, seed=seed)
    lists = lists_by_method(known, scorers, chosen, k=k)
    rows, people, pairs, best = [], {}, [], {}
    every: dict[tuple[str, str], pd.DataFrame] = {}
    for task, one in bought.items():
        person = np.arange(len(purchases.people))
        found = {}
        for name in [n for t, n in lists if t == task]:
            places = lists[task, name]
            products = np.where(places >= 0, known.catalogue.products[places], -1)
            found[name] = by_person(products, one, person)
            told = of_lists(places, known.catalogue, known.vectors, len(person))
            means = found[name].drop(columns=["person", "spent", "spent_all"]).mean().to_dict()
            revenue = found[name]["spent"].sum() / found[name]["spent_all"].sum()
            rows.append({"task": task, "method": name, **means, "revenue_share": revenue, **told})
        every |= {(task, name): table for name, table in found.items()}
        people[task] = pd.DataFrame({name: table["ndcg"] for name, table in found.items()})
        people[task].index = next(iter(found.values()))["person"]
        weights = cluster_weights(people[task].index, n_draws=n_draws, rng=rng) / len(people[task])
        drawn = pd.DataFrame(weights @ people[task].to_numpy(), columns=people[task].columns)
        for row in rows[-len(found) :]:
            row["ndcg_low"], row["ndcg_high"] = np.quantile(drawn[row["method"]], [0.025, 0.975])
        pairs += _pairs(task, people[task], drawn)
        mean = people[task].mean()
        best[task] = (str(mean.idxmax()), str(mean[[n for n in ways.BASELINES if n in mean]].idxmax()))
    table = pd.DataFrame(rows).sort_values(["task", "ndcg"], ascending=[True, False], ignore_index=True)
    compared = pd.DataFrame(pairs)
    reach = stats.norm.isf(0.025 / len(compared)) * compared["error"]
    compared["difference_low"] = compared["difference"] - reach
    compared["difference_high"] = compared["difference"] + reach
    compared["p_adjusted"] = holm(compared["p_value"])
    return Judged(table, compared, people, every, lists, bought, best, n_draws)


def lists_by_method(
    known: Known, scorers: dict[str, Scorer], chosen: Chosen, *, k: int
) -> dict[tuple[str, str], Places]:
    """Return the list of each person, by task and method, the hybrid last."""
    parts: dict[tuple[str, str], list[Places]] = {}
    for _, scores, barred, owned in scored(known, scorers):
        for task, out in ((ANY, barred), (NEW, owned)):
            stack = chosen.stacks[task]
            hybrid = {} if stack is None else {ways.HYBRID: stack.combine(scores)}
            for name, one in (scores | hybrid).items():
                if (task, name) == (NEW, ways.REPEAT):
                    continue  # What is new to somebody is no repeat: it would be popularity once more.
                parts.setdefault((task, name), []).append(greatest(one, out, k=k))
    return {key: np.vstack(found) for key, found in parts.items()}


def _pairs(task: str, people: pd.DataFrame, drawn: pd.DataFrame) -> list[dict]:
    """Differences of nDCG of every two methods, the error and p value by bootstrap of people."""
    rows = []
    for one, other in combinations(people.columns, 2):
        difference = float((people[one] - people[other]).mean())
        error = float((drawn[one] - drawn[other]).std(ddof=1))
        p = 2 * stats.norm.sf(abs(difference) / error) if error > 0 else 1.0
        rows.append(
            {"task": task, "method": one, "other": other, "difference": difference, "error": error, "p_value": p}
        )
    return rows
