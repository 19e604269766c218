"""Who bought which product on which day; what was known before a day; what may be offered."""

from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from journeybook.errors import TooLittle
from journeybook.findings import say_count
from journeybook.tables import in_sample, sample_share

# Days whose sales tell what is on sale, and what is popular now.
RECENT_DAYS = 28
# Fewest people behind a judgement, before and after the split alike.
FEWEST_PEOPLE = 30
_FIRST = np.datetime64("1970-01-01")


@dataclass(frozen=True, eq=False)
class Purchases:
    """Days on which people bought products; people and products are known by their place.

    Attributes:
        lines: One row a person, product and day with revenue above 0, in this order: `person`, `product` (places),
            `day` (days since 1970), `spent` (currency).
        people: `person_id` of each person, by their first receipt, shape (people,).
        products: `product_id` of each product, ascending, shape (products,).
        returned: Person and product of each return, shape (returns, 2).
        window: First day of the window in which settings are chosen.
        split: First day that no method sees before it is judged.
        end: First day after the data.
        sample_share: Share of the people that were drawn.
    """

    lines: pd.DataFrame
    people: NDArray[np.object_]
    products: NDArray[np.object_]
    returned: NDArray[np.int64]
    window: int
    split: int
    end: int
    sample_share: float


def read_purchases(
    transactions: ibis.Table, *, end: datetime, test_weeks: int, max_people: int = 200_000
) -> Purchases:
    """Read who bought what and when; of more than `max_people` people a sample.

    Raises:
        ValueError: `test_weeks` is below 1.
        TooLittle: No product is named, or too few people bought before and after the split.
    """
    if test_weeks < 1:
        raise ValueError(f"test_weeks is {test_weeks}: it must be 1 or more.")
    if "product_id" not in transactions.columns:
        raise TooLittle("transactions has no column product_id: without it nobody knows which product was bought.")
    t = transactions.filter(transactions.person_id.notnull(), transactions.product_id.notnull())
    t = t.filter(t.occurred_at < end).select("row", "person_id", "product_id", "occurred_at", "revenue")
    share = sample_share(int(t.person_id.nunique().execute()), at_most=max_people)
    t = t.filter(in_sample(t.person_id, t.row, share=share, name="recommendation"))
    sold = t.filter(t.revenue > 0)
    people = sold.group_by("person_id").aggregate(first=sold.row.min())
    people = people.mutate(person=ibis.row_number().over(order_by=people.first)).drop("first")
    products = sold.select("product_id").distinct()
    products = products.mutate(product=ibis.row_number().over(order_by=products.product_id))
    day = sold.occurred_at.date().delta(ibis.date("1970-01-01"), unit="day").cast("int32")
    bought = sold.group_by("person_id", "product_id", day=day).aggregate(spent=sold.revenue.sum().cast("float64"))
    bought = bought.join(people, "person_id").join(products, "product_id")
    lines = bought.select("person", "product", "day", "spent").order_by("person", "product", "day").to_pandas()
    back = t.filter(t.revenue < 0).select("person_id", "product_id").distinct()
    back = back.join(people, "person_id").join(products, "product_id").select("person", "product")
    last = int((np.datetime64(end.date()) - _FIRST).astype(int))
    found = Purchases(
        lines.astype({"person": "int64", "product": "int64", "day": "int64"}),
        people.order_by("person").to_pandas()["person_id"].to_numpy(dtype=object),
        products.order_by("product").to_pandas()["product_id"].to_numpy(dtype=object),
        back.order_by("person", "product").to_pandas().to_numpy(dtype=np.int64).reshape(-1, 2),
        window=last - 14 * test_weeks,
        split=last - 7 * test_weeks,
        end=last,
        sample_share=share,
    )
    return _checked(found, test_weeks=test_weeks)


def _checked(found: Purchases, *, test_weeks: int) -> Purchases:
    lines, asked = found.lines, "before the window, in it and after the split"
    parts = np.digitize(lines["day"], [found.window, found.split])
    counts = [lines["person"][parts == part].nunique() for part in range(3)]
    if min(counts) < FEWEST_PEOPLE:
        told = ", ".join(say_count(n) for n in counts)
        raise TooLittle(
            f"{told} people bought a named product {asked} (test_weeks is {test_weeks}), "
            f"and {FEWEST_PEOPLE} are needed in each."
        )
    first, spans = (
        lines.drop_duplicates(["person", "product"]),
        ((found.window, found.split), (found.split, found.end)),
    )
    new = [first["person"][first["day"].between(a, b - 1)].nunique() for a, b in spans]
    if min(new) < FEWEST_PEOPLE:
        told = " and ".join(say_count(n) for n in new)
        raise TooLittle(
            f"{told} people bought a product that was new to them in the window and after the split "
            f"(test_weeks is {test_weeks}), and {FEWEST_PEOPLE} are needed in each."
        )
    return found


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What may be offered, the most bought first.

    Attributes:
        products: Place of each product, shape (offered,).
        popularity: People who bought it before, of those known, shape (offered,).
        recent: Those who did in the last `RECENT_DAYS`, shape (offered,).
        words: Name, category and brand in one text, shape (offered,); empty where nothing is known.
        names: How a product is said, shape (offered,).
        categories: Its category, shape (offered,); empty where that is not known.
        brands: Its brand, likewise.
        left_out: Products that were bought, by why they are not offered.
    """

    products: NDArray[np.int64]
    popularity: NDArray[np.float32]
    recent: NDArray[np.float32]
    words: NDArray[np.object_]
    names: NDArray[np.object_]
    categories: NDArray[np.object_]
    brands: NDArray[np.object_]
    left_out: dict[str, int]


def catalogue_of(
    purchases: Purchases, known: pd.DataFrame | None, *, before: int, n_products: int, least_buyers: int
) -> Catalogue:
    """Return what may be offered as of a day: on sale lately, bought by enough people, not barred by a column.

    Args:
        purchases: Who bought what.
        known: Table `products`; its columns `in_stock` and `age_limited`, where there are any, bar products.
        before: Only purchases before this day count.
        n_products: Most products that are offered; the most bought are.
        least_buyers: Fewest people who bought a product.

    Raises:
        ValueError: `n_products` or `least_buyers` is below 1.
        TooLittle: Fewer than two products are left.
    """
    for name, number in (("n_products", n_products), ("least_buyers", least_buyers)):
        if number < 1:
            raise ValueError(f"{name} is {number}: it must be 1 or more.")
    n, past = len(purchases.products), purchases.lines[purchases.lines["day"] < before]
    buyers = buyers_of(past, n)
    lately = buyers_of(past[past["day"] >= before - RECENT_DAYS], n)
    about = pd.DataFrame(index=pd.RangeIndex(n)) if known is None else _described(known, purchases)
    barred = about.get("in_stock", pd.Series(True, about.index)).eq(False).to_numpy()
    limited = about.get("age_limited", pd.Series(False, about.index)).eq(True).to_numpy()
    rules = {"never bought before": buyers == 0, "not in stock": barred, "limited by age": limited}
    # Where next to nothing was sold lately, as behind one late receipt, that tells of no product.
    unsold = (lately == 0) & ((lately > 0).sum() > 1)
    rules |= {"not sold lately": unsold, f"fewer than {least_buyers} buyers": buyers < least_buyers}
    open_, left_out = np.ones(n, dtype=bool), {}
    for why, out in rules.items():
        left_out[why] = int((open_ & out).sum())
        open_ &= ~out
    order = np.argsort(-buyers, kind="stable")
    kept = order[open_[order]][:n_products]
    left_out["beyond the most bought"] = int(open_.sum()) - len(kept)
    left_out.pop("never bought before")
    if len(kept) < 2:
        raise TooLittle(f"{len(kept)} products were bought by {least_buyers} people: two are needed.")
    texts = [
        about.get(c, pd.Series("", about.index)).fillna("").astype(str) for c in ("name", "category", "brand")
    ]
    name, category, brand = (text.to_numpy(dtype=object)[kept] for text in texts)
    words = np.array(
        [" ".join(filter(None, parts)) for parts in zip(name, category, brand, strict=True)], dtype=object
    )
    said = np.where(name == "", purchases.products[kept], name)
    return Catalogue(kept, buyers[kept], lately[kept], words, said, category, brand, left_out)


def _described(known: pd.DataFrame, purchases: Purchases) -> pd.DataFrame:
    once = known.drop_duplicates("product_id").set_index("product_id")
    return once.reindex(purchases.products).reset_index(drop=True)


def buyers_of(lines: pd.DataFrame, n: int) -> NDArray[np.float32]:
    """Return how many people bought each of n products."""
    pairs = lines.drop_duplicates(["person", "product"])
    return np.bincount(pairs["product"], minlength=n).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Histories:
    """What is known of people before a day, over the products of a catalogue.

    Attributes:
        days: Days on which each product was bought, shape (people, offered).
        recent: The same, each day halved with every half-life that has gone by since.
        group: Segment of each person, a place in `groups`; -1 where none is known.
        person: Place of each person; -1 for a newcomer.
    """

    days: sparse.csr_array
    recent: sparse.csr_array
    group: NDArray[np.int64]
    person: NDArray[np.int64]

    def of(self, rows: slice | NDArray[np.int64]) -> "Histories":
        """Return those of some people."""
        return Histories(self.days[rows], self.recent[rows], self.group[rows], self.person[rows])


def histories_of(
    purchases: Purchases,
    catalogue: Catalogue,
    *,
    before: int,
    half_life_days: float,
    group: NDArray[np.int64] | None = None,
) -> Histories:
    """Return what is known of every person before a day."""
    lines = purchases.lines[purchases.lines["day"] < before]
    place = np.full(len(purchases.products), -1)
    place[catalogue.products] = np.arange(len(catalogue.products))
    at = place[lines["product"]]
    person, at, day = lines["person"].to_numpy()[at >= 0], at[at >= 0], lines["day"].to_numpy()[at >= 0]
    weights = (np.ones(len(at)), 0.5 ** ((before - 1 - day) / half_life_days))
    shape = (len(purchases.people), len(catalogue.products))
    days, recent = (sparse.csr_array((weight.astype(np.float32), (person, at)), shape=shape) for weight in weights)
    unknown = np.full(shape[0], -1)
    return Histories(days, recent, unknown if group is None else group, np.arange(shape[0]))


def groups_as_of(purchases: Purchases, segments: pd.DataFrame | None, *, before: int) -> tuple[NDArray, list[str]]:
    """Return each person's segment as it was known on a day, a place in the names; -1 where none was."""
    found = np.full(len(purchases.people), -1)
    if segments is None or segments.empty:
        return found, []
    day = pd.Timestamp(_FIRST + np.timedelta64(before, "D"))
    then = segments[(segments["as_of"] <= day) & (segments["fitted_as_of"] <= day)]
    then = then[then["as_of"] == then["as_of"].max()].set_index("person_id")["segment"]
    names = sorted(then.unique())
    told = then.reindex(purchases.people)
    found = pd.Categorical(told, categories=names).codes.astype(np.int64)
    return found, names
