"""The features made again by another road: totals, and a count in pandas."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
from scipy.stats import entropy

from journeybook.enrichment.dictionary import FEATURES
from journeybook.enrichment.habits import STAGES
from journeybook.enrichment.snapshots import DATES, NOT_PURCHASES, RECENT_DAYS, bucket, group_column
from journeybook.enrichment.third_party import attributes_of


def totals_by_date(
    transactions: ibis.Table, features: ibis.Table, *, as_of_dates: Sequence[datetime]
) -> pd.DataFrame:
    """Set the revenue in the features, and that of all others, against all receipts before each date.

    Returns:
        `as_of`, and revenue: `revenue_people`, `revenue_no_purchase` (of people with returns or empty lines only),
        `revenue_guests`, `revenue_total` and `revenue_left_over`, which is 0: all are summed as DECIMAL.
    """
    days = sorted(as_of_dates)
    dates = ibis.memtable({"place": range(len(days)), "as_of": days}, schema=DATES)
    lines = transactions.mutate(bucket=bucket(transactions.occurred_at, days))
    sums = lines.group_by("person_id", "bucket").aggregate(revenue=lines.revenue.sum())
    pairs = sums.join(dates, sums.bucket <= dates.place)
    held = pairs.group_by("person_id", "as_of").aggregate(revenue=pairs.revenue.sum())
    told = features.select(
        person="person_id", date="as_of", told=features.revenue.cast("decimal(18, 4)").cast("decimal(38, 4)")
    )
    both = held.left_join(told, [held.person_id == told.person, held.as_of == told.date])
    guest, unnamed = both.person_id.isnull(), both.person.isnull()
    found = both.group_by("as_of").aggregate(
        revenue_people=both.told.sum().fill_null(0),
        revenue_no_purchase=both.revenue.sum(where=unnamed & ~guest).fill_null(0),
        revenue_guests=both.revenue.sum(where=guest).fill_null(0),
        revenue_total=both.revenue.sum(),
    )
    told_of = found.revenue_people + found.revenue_no_purchase + found.revenue_guests
    found = found.mutate(revenue_left_over=found.revenue_total - told_of)
    frame = found.order_by("as_of").to_pandas()
    return frame.astype(dict.fromkeys(frame.columns[1:], float))


def recount(lines: pd.DataFrame, *, as_of: datetime, groups: Mapping[str, str]) -> pd.Series:
    """Count one person's features from the person's own lines (with `group` where products tell) in pandas."""
    past = lines[lines.occurred_at < as_of].sort_values(["occurred_at", "row"])
    day = pd.Timedelta(days=1)
    revenue = past.revenue.astype(float)
    purchases = past[bought(past)]
    dates = past.occurred_at.dt.normalize()
    key = past.basket_id.fillna(past.occurred_at.astype(str)) if "basket_id" in past else past.occurred_at
    baskets = past.groupby([key, dates], dropna=False).occurred_at.transform("min")
    at = purchases.index
    times = baskets[at].groupby([key[at], dates[at]]).first().sort_values()
    gaps = times.diff().dropna().dt.total_seconds() / 86_400
    found = {
        "recency_days": (as_of - times.max()) / day,
        "tenure_days": (as_of - times.min()) / day,
        "n_baskets": len(times),
        "revenue": revenue.sum(),
        "mean_basket": revenue.sum() / len(times),
        "gap_days_mean": gaps.mean(),
        "gap_days_sd": gaps.std(),
        "weekend_share": (times.dt.day_of_week >= 5).mean(),
        "morning_share": (times.dt.hour < 12).mean(),
        "evening_share": (times.dt.hour >= 17).mean(),
    }
    for days in (28, 91):
        since = as_of - timedelta(days=days)
        found[f"revenue_{days}d"] = revenue[past.occurred_at >= since].sum()
        found[f"n_baskets_{days}d"] = int((times >= since).sum())
    found["baskets_per_28d"] = rate_by_hand(times, as_of)
    found["pause_share"] = 1 / (1 + found["gap_days_mean"] / found["recency_days"])
    found["lifecycle_stage"] = STAGES.index(_stage_by_hand(times, as_of))
    if "group" in past:
        counts = purchases.group[purchases.occurred_at >= as_of - 91 * day].value_counts()
        found["category_entropy_91d"] = entropy(counts, base=2) if counts.sum() else np.nan
    if "discount" in past:
        whole = revenue.sum() + past.discount.astype(float).sum()
        found["discount_share"] = past.discount.astype(float).sum() / whole if whole > 0 else np.nan
    if "product_id" in past:
        found["n_products"] = purchases.product_id.nunique()
    if "store_id" in past:
        found["n_stores"] = past.store_id.nunique()
    for name, group in groups.items():
        found[name] = revenue[past.group == group].sum() / revenue.sum() if revenue.sum() > 0 else np.nan
    return pd.Series(found)


def rate_by_hand(times: pd.Series, as_of: datetime) -> float:
    """Events in 28 days, after the first where that lies in the last 91 days, moment by moment."""
    begin = max(as_of - timedelta(days=91), times.min())
    counted = [at for at in times if at >= begin and at > times.min()]
    days = (as_of - begin) / timedelta(days=1)
    return len(counted) / days * 28 if days >= 7 else np.nan


def _stage_by_hand(times: pd.Series, as_of: datetime) -> str:
    """The stage of a customer, from the pauses between baskets."""
    ago = np.sort((as_of - times) / pd.Timedelta(days=1))
    if ago[-1] <= 28:
        return "new"
    if ago[0] > 28:
        return "at risk" if ago[0] <= 91 else "lapsed"
    return "won back" if ago[ago > 28][0] > 91 else "active"


def bought(lines: pd.DataFrame) -> pd.Series:
    """Return whether each line is a purchase: neither a return nor empty."""
    return ~lines.line_type.isin(NOT_PURCHASES) if "line_type" in lines else lines.revenue >= 0


def lines_of(transactions: ibis.Table, people: Sequence[str]) -> pd.DataFrame:
    """Return the lines of some people in the order of `row`, money as floats: decimals are slow in pandas."""
    money = {c: transactions[c].cast("float64") for c in ("revenue", "discount") if c in transactions.columns}
    return transactions.filter(transactions.person_id.isin(people)).mutate(**money).order_by("row").to_pandas()


def differences(
    transactions: ibis.Table,
    features: ibis.Table,
    *,
    n_people: int,
    n_dates: int,
    products: ibis.Table | None = None,
    groups: Mapping[str, str],
) -> pd.DataFrame:
    """Recount the features of some people on some dates in pandas, and return how far those stored are from them.

    One row a person and date; relative where a figure is above 1, infinite where one is missing in one only.
    """
    stored = features.select("row", "person_id", "as_of").order_by("row").to_pandas()
    dates = stored.as_of.unique()
    at_end = stored.person_id[stored.as_of == dates[-1]]
    people = at_end.iloc[:: -(-len(at_end) // n_people)].tolist()
    dates = dates[np.unique(np.linspace(len(dates) - 1, 0, n_dates).round().astype(int))]
    lines = lines_of(transactions, people)
    if products is not None and group_column(products) and "product_id" in lines:
        of_product = products.select("product_id", group=products[group_column(products)]).to_pandas()
        lines = lines.merge(of_product, on="product_id", how="left", validate="many_to_one")
    told = features.filter(features.person_id.isin(people)).order_by("row").to_pandas()
    if "lifecycle_stage" in told:
        told["lifecycle_stage"] = told.lifecycle_stage.map(STAGES.index)
    told = told[told.as_of.isin(dates)].set_index(["person_id", "as_of"]).drop(columns="row").sort_index()
    own = dict(list(lines.groupby("person_id")))
    counted = [recount(own[person], as_of=date, groups=groups) for person, date in told.index]
    ours, theirs = (
        frame.reindex(columns=told.columns).to_numpy(dtype=float) for frame in (told, pd.DataFrame(counted))
    )
    apart = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
    apart = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, np.where(np.isnan(apart), np.inf, apart))
    return pd.DataFrame(apart, index=told.index, columns=told.columns)


def due_dates(transactions: ibis.Table, *, last: datetime | str, max_snapshots: int) -> list[datetime]:
    """Return the dates that have a snapshot, by the calendar of pandas: first days of months, and the last."""
    begin, end = transactions.occurred_at.min().to_pandas(), pd.Timestamp(last)
    days = pd.date_range(begin.normalize(), end, freq="MS").union([end])
    return days[days > begin][-max_snapshots:].to_pydatetime().tolist()


def misplaced_snapshots(transactions: ibis.Table, features: ibis.Table, *, as_of_dates: Sequence[datetime]) -> int:
    """Count snapshots missing, doubled or too many: there is one of whoever had bought before its date."""
    lines = transactions.filter(transactions.person_id.notnull())
    kind = lines.line_type if "line_type" in lines.columns else (lines.revenue < 0).ifelse("return", "sale")
    # Snapshots are of midnights, so that the day of a line is enough.
    days = lines.select("person_id", kind=kind, day=lines.occurred_at.truncate("D")).distinct().to_pandas()
    first = days[~days.kind.isin(NOT_PURCHASES)].groupby("person_id").day.min()
    due = {(person, date) for date in as_of_dates for person in first.index[first < date]}
    stored = features.select("person_id", "as_of").to_pandas()
    made = list(zip(stored.person_id, stored.as_of.dt.to_pydatetime(), strict=True))
    return len(due ^ set(made)) + len(made) - len(set(made))


def wrong_attributes(features: ibis.Table, third_party: ibis.Table, *, places: ibis.Table | None) -> int:
    """Count attributes that are not those of the latest release and postcode of their date, matched in pandas."""
    names = attributes_of(features, third_party)
    told = features.select("person_id", "as_of", "third_party_known", *names.values()).to_pandas()
    told = told.sort_values(["as_of", "person_id"], ignore_index=True).astype({"person_id": "str"})
    key = "person_id" if "person_id" in third_party.columns else "postcode"
    due = told[["person_id", "as_of"]]
    if key == "postcode":
        known = due.assign(postcode=None).head(0) if places is None else places.to_pandas()
        known = known.rename(columns={"as_of": "known_from"}).sort_values("known_from")
        known = known[["person_id", "postcode", "known_from"]].astype({"person_id": "str"})
        due = pd.merge_asof(
            due, known, left_on="as_of", right_on="known_from", by="person_id", allow_exact_matches=False
        )
    due[key] = due[key].astype("str")
    releases = third_party.order_by("row").to_pandas().dropna(subset=[key]).drop_duplicates([key, "as_of"])
    releases = releases[[key, "as_of", *names]].assign(is_known=True).astype({key: "str"})
    found = pd.merge_asof(due, releases.sort_values("as_of", kind="stable"), on="as_of", by=key)
    found = found.assign(is_known=found.is_known.eq(True))
    pairs = [("is_known", "third_party_known"), *names.items()]
    return sum(
        int((~((found[a] == told[b]) | (found[a].isna() & told[b].isna())).fillna(False)).sum()) for a, b in pairs
    )


def snapshots_hold(
    transactions: ibis.Table,
    features: ibis.Table,
    totals: pd.DataFrame,
    *,
    products: ibis.Table | None,
    groups: Mapping[str, str],
    third_party: ibis.Table | None,
    places: ibis.Table | None,
    as_of_dates: Sequence[datetime],
) -> pd.DataFrame:
    """Hold the snapshots against totals and a second count; the arguments are those they were made with.

    Dates are from `due_dates`; receipts are those of everyone, where nobody was left out.
    """
    joined = {*attributes_of(features, third_party).values(), "third_party_known"} & set(features.columns)
    behaviour = {name for name, told in FEATURES.items() if told[2] in ("events", "contacts")}
    own = features.drop(*(joined | behaviour & set(features.columns)))
    n_misplaced = misplaced_snapshots(transactions, features, as_of_dates=as_of_dates)
    rows = [
        ("revenue not accounted for", totals.revenue_left_over.abs().max(), 0.0, "all receipts before each date"),
        ("snapshots missing, doubled or too many", n_misplaced, 0.0, "first purchases in pandas"),
    ]
    if own.count().to_pandas():
        apart = differences(transactions, own, n_people=8, n_dates=2, products=products, groups=groups)
        counted = f"a second count in pandas, {len(apart)} snapshots"
        rows.append((f"worst difference of {apart.size:,} figures", apart.max(axis=None), 1e-9, counted))
    if third_party is not None:
        n_wrong = wrong_attributes(features, third_party, places=places)
        source = "every person and date, matched in pandas (merge_asof)"
        rows.append(("third-party values not of their date", n_wrong, 0.0, source))
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source"]).assign(reference=0)


def figures_hold(
    features: ibis.Table,
    by_date: pd.DataFrame,
    known_of: pd.DataFrame,
    transactions: ibis.Table,
    *,
    places: ibis.Table | None,
    products: ibis.Table | None,
    groups: Mapping[str, str],
    n_groups: int,
    before: datetime,
) -> pd.DataFrame:
    """Count again in pandas what the page tells by date: quartiles, who is known, and which groups sell most."""
    long = max(RECENT_DAYS)
    told = {"revenue": f"revenue_{long}d", "baskets": f"n_baskets_{long}d"}
    known = ["third_party_known"] if len(known_of) else []
    people = features.select("person_id", "as_of", *told.values(), *known, total="revenue").to_pandas()
    by = people.groupby("as_of")
    sides = {"low": 0.25, "median": 0.5, "high": 0.75}
    due = pd.DataFrame({f"{n}_{s}": by[c].quantile(q) for n, c in told.items() for s, q in sides.items()})
    due["n_people"] = by.size()
    due["window_full"] = due.index >= transactions.occurred_at.min().to_pandas().normalize() + timedelta(days=long)
    rows = [("quartiles by date", furthest(by_date.set_index("as_of"), due), 1e-9, "sorted in pandas")]
    if known:
        since = pd.Series(dtype="datetime64[us]") if places is None else places.to_pandas()
        since = since if places is None else since.groupby("person_id").known_from.min()
        people["placed"] = people.person_id.map(since) < people.as_of
        due = pd.DataFrame({"n_people": by.size(), "n_known": by.third_party_known.sum()})
        due["known_share"] = due.n_known / due.n_people
        due["n_with_postcode"] = people.groupby("as_of").placed.sum()
        for name, there in (("known", True), ("unknown", False)):
            of = people[people.third_party_known == there]
            due[f"median_revenue_{name}"] = of.groupby("as_of").total.median()
        rows.append(("people known by date", furthest(known_of.set_index("as_of"), due), 1e-9, "pandas"))
    if groups and products is not None:
        group = products.select("product_id", group=products[group_column(products)])
        sold = transactions.filter(transactions.occurred_at < before).inner_join(group, "product_id")
        sums = sold.group_by("group", "product_id").aggregate(sold=ibis._.revenue.sum()).to_pandas()
        most = sums.groupby("group").sold.sum().astype(float).nlargest(n_groups).index
        n_wrong = len(set(groups.values()) - set(most))
        rows.append(("groups that do not sell most", n_wrong, 0.0, "product by product, before the first date"))
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source"]).assign(reference=0)


def furthest(told: pd.DataFrame, due: pd.DataFrame) -> float:
    """The greatest relative difference of any figure; infinite where one is missing in one only."""
    a, b = (frame.reindex(due.index)[due.columns].astype(float).to_numpy() for frame in (told, due))
    far = np.abs(a - b) / np.maximum(1.0, np.abs(b))
    return float(np.where(np.isnan(a) & np.isnan(b), 0.0, np.where(np.isnan(far), np.inf, far)).max(initial=0.0))


def dictionary_holds(features: ibis.Table, dictionary: pd.DataFrame) -> pd.DataFrame:
    """Hold the dictionary against the features: a row each, and a count named a total falls for nobody."""
    names = set(features.columns) - {"row", "person_id", "as_of"}
    n_untold = len(names ^ set(dictionary.feature)) + int(dictionary.feature.duplicated().sum())
    totals = dictionary.feature[(dictionary.kind == "total") & (dictionary.unit != "currency")].tolist()
    before = {c: features[c].lag().over(group_by="person_id", order_by="as_of") for c in totals}
    falls = features.select(**{c: features[c] < lag for c, lag in before.items()})
    n_falls = falls.aggregate([falls[c].sum().fill_null(0).name(c) for c in totals]).to_pandas().sum(axis=1).item()
    rows = [
        ("features not named once in the dictionary", n_untold, "columns of the features"),
        ("totals that fall for someone", n_falls, "each person's dates in order; revenue may, by returns"),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "source"]).assign(reference=0, tolerance=0.0)
