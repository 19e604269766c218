"""For whom lists are good: segments, ages, newcomers; and which products and brands they show."""

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.findings import wider
from journeybook.recommendation import methods as ways
from journeybook.recommendation.judging import Judged, Known
from journeybook.recommendation.lists import ANY, NEW
from journeybook.recommendation.purchases import RECENT_DAYS, Purchases, groups_as_of

# Days with a purchase before the split, up to which a history is counted to a bucket.
_BUCKETS = {"no purchase": 0, "1 to 4 days": 4, "5 to 19 days": 19, "20 days or more": np.inf}


def by_group(
    purchases: Purchases,
    known: Known,
    judged: Judged,
    *,
    segments: pd.DataFrame | None,
    profiles: pd.DataFrame | None,
    way: str,
    min_group_size: int,
) -> pd.DataFrame:
    """Compare a method with recent popularity by length of history, segment and decade of birth.

    Returns:
        One row a group of `min_group_size` people or more: `kind`, `group`, `n`, `ndcg` of the method and
        `popular` of recent popularity, `difference` with `_low` and `_high` (95 %, Bonferroni over all rows), and
        `worse_share` of people whom popularity serves better.
    """
    people = judged.people[ANY]
    own, popular = people[way].to_numpy(), people[ways.RECENT].to_numpy()
    labels = _labels(purchases, known, people.index.to_numpy(), segments, profiles)
    rows = []
    for kind, label in labels.items():
        for group in sorted(label.dropna().unique(), key=list(_BUCKETS).index if kind == "history" else str):
            inside = label.eq(group).to_numpy()
            if inside.sum() >= min_group_size:
                gap = own[inside] - popular[inside]
                row = {"kind": kind, "group": group, "n": len(gap), "ndcg": own[inside].mean()}
                row |= {"popular": popular[inside].mean(), "difference": gap.mean()}
                rows.append(row | {"error": gap.std(ddof=1) / np.sqrt(len(gap)), "worse_share": (gap < 0).mean()})
    columns = ["kind", "group", "n", "ndcg", "popular", "difference", "error", "worse_share"]
    table = pd.DataFrame(rows, columns=columns)
    reach = wider(max(len(table), 1)) * stats.norm.isf(0.025) * table.pop("error")
    return table.assign(difference_low=table["difference"] - reach, difference_high=table["difference"] + reach)


def _labels(
    purchases: Purchases,
    known: Known,
    person: np.ndarray,
    segments: pd.DataFrame | None,
    profiles: pd.DataFrame | None,
) -> dict[str, pd.Series]:
    past = purchases.lines[purchases.lines["day"] < known.before]
    days = past.groupby("person")["day"].nunique().reindex(person).fillna(0)
    labels = {"history": pd.Series(np.searchsorted(list(_BUCKETS.values()), days)).map(dict(enumerate(_BUCKETS)))}
    if known.n_groups:
        of, names = groups_as_of(purchases, segments, before=known.before)
        labels["segment"] = pd.Series(of[person]).map(dict(enumerate(names)))
    if profiles is not None and "birth_decade" in profiles.columns:
        born = profiles.drop_duplicates("person_id").set_index("person_id")["birth_decade"]
        told = born.reindex(purchases.people[person]).reset_index(drop=True)
        labels["born in"] = told.map(lambda decade: f"{decade:.0f}s", na_action="ignore")
    return labels


def by_product_age(purchases: Purchases, known: Known, judged: Judged) -> pd.DataFrame:
    """Tell which products people bought that are new to them, and which of these the methods had listed.

    Returns:
        One row an age of the product at the split: `age`, `n_bought`, `bought_share`, and of these the share on
        the lists of each method; 0 for what no method can know.
    """
    first = purchases.lines.groupby("product")["day"].min().to_numpy()
    bought = judged.bought[NEW]
    age = np.digitize(first[bought.keys % bought.n_products], [known.before - RECENT_DAYS, known.before])
    names = ("sold for longer", f"new in the last {RECENT_DAYS} days", "not sold before the split")
    offered = np.append(known.catalogue.products, -1)
    table = pd.DataFrame({"age": names, "n_bought": np.bincount(age, minlength=3)})
    table["bought_share"] = table["n_bought"] / len(age)
    for (task, name), places in judged.lists.items():
        if task == NEW:
            listed = offered[places] + np.arange(len(places))[:, None] * bought.n_products
            found = np.isin(bought.keys, listed[places >= 0])
            table[name] = np.bincount(age, weights=found, minlength=3) / np.maximum(table["n_bought"], 1)
    return table


def by_brand(purchases: Purchases, known: Known, judged: Judged, *, way: str, most: int = 8) -> pd.DataFrame:
    """Compare what brands are shown with what they sold before, the largest first; without brands, no row.

    Returns:
        `brand`, `bought_share` (of purchases of the catalogue before the split), `shown_share` (of places on the
        lists of the method), `popular_share` (of recent popularity's).
    """
    brands = known.catalogue.brands
    if not any(brands):
        return pd.DataFrame(columns=["brand", "bought_share", "shown_share", "popular_share"])
    names, of = np.unique(np.where(brands == "", "unknown", brands).astype(str), return_inverse=True)
    sold = np.bincount(of, weights=np.asarray(known.histories.days.sum(axis=0)).ravel())
    shares = {"bought_share": sold / sold.sum()}
    for column, name in (("shown_share", way), ("popular_share", ways.RECENT)):
        places = judged.lists[ANY, name]
        shown = np.bincount(of[places[places >= 0]], minlength=len(names))
        shares[column] = shown / shown.sum()
    table = pd.DataFrame({"brand": names, **shares}).sort_values("bought_share", ascending=False, kind="stable")
    return table.head(most).reset_index(drop=True)
