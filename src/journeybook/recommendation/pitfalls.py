"""Four ways to be flattered, each with its size."""

from dataclasses import replace

import numpy as np
import pandas as pd

from journeybook.recommendation import methods as ways
from journeybook.recommendation.judging import Chosen, Judged, Known, known_before, mean_ndcg, scored
from journeybook.recommendation.lists import ANY, NEW, bought_in
from journeybook.recommendation.purchases import RECENT_DAYS, Purchases, buyers_of

N_SAMPLED = 100
RANDOM, SAMPLED = "split at random", f"ranked among {N_SAMPLED} drawn products"
LEAKED, REPEATED = "popularity counted after the split", "repeats counted as discoveries"


def find_pitfalls(
    purchases: Purchases,
    known: Known,
    chosen: Chosen,
    judged: Judged,
    *,
    k: int,
    rng: np.random.Generator,
    n_products: int,
    least_buyers: int,
) -> pd.DataFrame:
    """Return what each pitfall makes of a figure that is judged honestly beside it.

    Args:
        purchases: Who bought what.
        known: What was known before the split.
        chosen: What was chosen in the window.
        judged: The methods, judged.
        k: Products on a list.
        rng: Chance of the random split and of the drawn products.
        n_products: Most products that are offered.
        least_buyers: Fewest people who bought one.

    Returns:
        One row a pitfall: `pitfall`, `method`, `measure`, `honest`, `flattered`.
    """
    told = judged.table.set_index(["task", "method"])
    honest = told.loc[(NEW, ways.SIMILAR), "ndcg"] / told.loc[(NEW, ways.RECENT), "ndcg"] - 1
    drawn = mixed_days(purchases, rng)
    about = {"n_products": n_products, "least_buyers": least_buyers}
    rows = [
        (
            RANDOM,
            ways.SIMILAR,
            "gain over recent popularity",
            honest,
            _random_gain(drawn, k=k, chosen=chosen, **about),
        )
    ]
    rows.append((SAMPLED, ways.SIMILAR, "hit rate of one purchase", *_hit_rates(purchases, known, k=k, rng=rng)))
    late = purchases.lines[purchases.lines["day"] >= purchases.end - RECENT_DAYS]
    recent = buyers_of(late, len(purchases.products))[known.catalogue.products]
    knows = {ways.RECENT: ways.recent_popularity(replace(known.catalogue, recent=recent))}
    bought = judged.bought[NEW]
    rows.append(
        (LEAKED, ways.RECENT, "nDCG", told.loc[(NEW, ways.RECENT), "ndcg"],
         mean_ndcg(known, knows, bought, k=k, new=True))
    )  # fmt: skip
    best = judged.best[ANY][0]
    rows.append((REPEATED, best, "hit rate", *(told.loc[(task, best), "hit"] for task in (NEW, ANY))))
    return pd.DataFrame(rows, columns=["pitfall", "method", "measure", "honest", "flattered"])


def mixed_days(purchases: Purchases, rng: np.random.Generator) -> Purchases:
    """Return the same purchases, with as many as there are after the split drawn by lot and put after the data."""
    lines, n_after = purchases.lines, int((purchases.lines["day"] >= purchases.split).sum())
    drawn = np.zeros(len(lines), dtype=bool)
    drawn[rng.permutation(len(lines))[:n_after]] = True
    return replace(purchases, lines=lines.assign(day=lines["day"].where(~drawn, purchases.end)))


def _random_gain(drawn: Purchases, *, k: int, chosen: Chosen, **offer: int) -> float:
    days = chosen.settings.half_life_days
    known = known_before(drawn, None, None, before=drawn.end, half_life_days=days, **offer)
    bought = bought_in(drawn, start=drawn.end, stop=drawn.end + 1, task=NEW)
    scorers = (ways.item_similarity(known.similar, known.catalogue), ways.recent_popularity(known.catalogue))
    own, recent = (mean_ndcg(known, {"": scorer}, bought, k=k, new=True) for scorer in scorers)
    return own / recent - 1


def _hit_rates(purchases: Purchases, known: Known, *, k: int, rng: np.random.Generator) -> tuple[float, float]:
    """Share of new purchases, one a person, that are on a list: of the whole catalogue, and of drawn products."""
    bought = bought_in(purchases, start=purchases.split, stop=purchases.end, task=NEW)
    place = np.full(bought.n_products, -1)
    place[known.catalogue.products] = np.arange(len(known.catalogue.products))
    keys = rng.permutation(bought.keys)
    keys = keys[place[keys % bought.n_products] >= 0]
    person, first = np.unique(keys // bought.n_products, return_index=True)
    wanted = pd.Series(place[keys[first] % bought.n_products], index=person)
    full, drawn = [], []
    scorers = {ways.SIMILAR: ways.item_similarity(known.similar, known.catalogue)}
    for people, scores, _, owned in scored(known, scorers):
        rows = np.flatnonzero(np.isin(people, person))
        own, barred = scores[ways.SIMILAR][rows], owned[rows]
        mine = own[np.arange(len(rows)), wanted[people[rows]]][:, None]
        above = (own > mine) & ~barred
        full.append(above.sum(axis=1) < k)
        some = rng.integers(own.shape[1], size=(len(rows), N_SAMPLED))
        drawn.append(np.take_along_axis(above, some, axis=1).sum(axis=1) < k)
    return float(np.concatenate(full).mean()), float(np.concatenate(drawn).mean())
