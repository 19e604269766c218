"""Purchases, likeness, measures and lists once more by another road; worlds whose answer is known."""

from collections.abc import Mapping
from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
from scipy import sparse, stats
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from journeybook.recommendation import methods as ways
from journeybook.recommendation.judging import Chosen, Judged, Known, known_before, mean_ndcg
from journeybook.recommendation.lists import ANY, NEW, bought_in, greatest
from journeybook.recommendation.online import LOOKS, N_VISITS, POWER, PURPOSE, Online
from journeybook.recommendation.purchases import RECENT_DAYS, Catalogue, Histories, Purchases
from journeybook.recommendation.use import recommend_newcomers

N_RECOUNTED = 100
# Standard errors allowed where a figure is simulated.
MC_ERRORS = 4.0
_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def recount(transactions: ibis.Table, purchases: Purchases, known: Known, judged: Judged) -> pd.DataFrame:
    """Count the purchases of some people again, and what of them a method knew; one row a check."""
    some = np.unique(np.linspace(0, len(purchases.people) - 1, N_RECOUNTED).astype(int))
    ids = purchases.people[some].tolist()
    lines = transactions.filter(transactions.person_id.isin(ids), transactions.product_id.notnull())
    lines = lines.order_by("row").select("person_id", "product_id", "occurred_at", "revenue").to_pandas()
    lines["day"] = (lines["occurred_at"].dt.normalize() - pd.Timestamp("1970-01-01")).dt.days
    lines = lines[(lines["revenue"].astype(float) > 0) & (lines["day"] < purchases.end)]
    days = lines.drop_duplicates(["person_id", "product_id", "day"])
    past, later = days[days["day"] < known.before], days[days["day"] >= known.before]
    offered = set(purchases.products[known.catalogue.products])
    inside = past[past["product_id"].isin(offered)]
    aged = 0.5 ** ((known.before - 1 - inside["day"]) / known.half_life_days)
    h = known.histories.of(some)
    new = set(zip(later["person_id"], later["product_id"], strict=True))
    new -= set(zip(past["person_id"], past["product_id"], strict=True))
    mine = judged.bought[NEW].n[some].sum()
    rows = [
        ("days with purchases that methods knew, difference", h.days.sum() - len(inside), 0, 0),
        ("weights of purchases by age, difference", h.recent.sum() - aged.sum(), 0, 1e-4 * max(aged.sum(), 1)),
        ("purchases after the split that are new to their person, difference", mine - len(new), 0, 0),
        (
            "revenue after the split, difference",
            judged.bought[ANY].spent[np.isin(judged.bought[ANY].keys // judged.bought[ANY].n_products, some)].sum()
            - lines.loc[lines["day"] >= known.before, "revenue"].astype(float).sum(),
            0,
            0.01,
        ),
    ]
    return pd.DataFrame([(*row, f"{len(some)} people in plain pandas") for row in rows], columns=_COLUMNS)


def measures_hold(known: Known, judged: Judged) -> pd.DataFrame:
    """Measure some lists again: nDCG by scikit-learn, others by sets, errors of differences by their formula."""
    off: dict[str, float] = dict.fromkeys(["nDCG", "precision", "recall", "average precision"], 0.0)
    for task in (ANY, NEW):
        best, _ = judged.best[task]
        bought, people = judged.bought[task], judged.people[task]
        own = judged.rows[task, best].set_index("person")
        for person in people.index[np.linspace(0, len(people) - 1, N_RECOUNTED // 2).astype(int)]:
            places = judged.lists[task, best][person]
            listed = known.catalogue.products[places[places >= 0]].tolist()
            held = bought.keys[bought.keys // bought.n_products == person] % bought.n_products
            truth, k = set(held.tolist()), judged.lists[task, best].shape[1]
            every = listed + sorted(truth - set(listed)) + [-1]
            scores = [k - listed.index(p) if p in listed else 0 for p in every]
            mine = own.loc[person]
            # Behind a short list scikit-learn shares out the places that are left.
            whole = len(listed) == k
            expected = ndcg_score([[float(p in truth) for p in every]], [scores], k=k) if whole else mine["ndcg"]
            hits = [p in truth for p in listed]
            precision = [sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit]
            for name, value, other in (
                ("nDCG", mine["ndcg"], expected),
                ("precision", mine["precision"], sum(hits) / k),
                ("recall", mine["recall"], sum(hits) / len(truth)),
                ("average precision", mine["average_precision"], sum(precision) / min(len(truth), k)),
            ):
                off[name] = max(off[name], abs(value - other))
    by = {"nDCG": "scikit-learn's ndcg_score"}
    rows = [
        (f"{name} of {N_RECOUNTED} lists, greatest difference", value, 0, 1e-9, by.get(name, "sets of products"))
        for name, value in off.items()
    ]
    ratios = []
    for row in judged.pairs.itertuples():
        gap = judged.people[row.task][row.method] - judged.people[row.task][row.other]
        ratios.append(row.error / (gap.std(ddof=1) / np.sqrt(len(gap))) if gap.std() > 0 else 1.0)
    tolerance = MC_ERRORS / np.sqrt(2 * judged.n_draws)
    rows.append(
        (
            "error of differences by bootstrap, over the formula's",
            np.mean(ratios),
            1,
            tolerance,
            "paired t test's error",
        )
    )
    return pd.DataFrame(rows, columns=_COLUMNS)


def methods_hold(purchases: Purchases, known: Known, chosen: Chosen, *, least_buyers: int) -> pd.DataFrame:
    """Count popularity, cosines and what may be offered again; columns of EASE are ridge regressions."""
    past = purchases.lines[purchases.lines["day"] < known.before].drop_duplicates(["person", "product"])
    counts = past["product"].value_counts()
    products, n = known.catalogue.products, len(known.catalogue.products)
    late = purchases.lines[purchases.lines["day"].between(known.before - RECENT_DAYS, known.before - 1)]
    lately = late.groupby("product")["person"].nunique()
    few = sum(counts.get(p, 0) < least_buyers or (len(lately) > 1 and p not in lately) for p in products)
    off = np.abs(counts.reindex(products, fill_value=0).to_numpy() - known.catalogue.popularity).max()
    off_late = np.abs(lately.reindex(products, fill_value=0).to_numpy() - known.catalogue.recent).max()
    pairs = known.similar.tocoo()
    some = np.flatnonzero(np.isin(pairs.row, np.linspace(0, n - 1, 25).astype(int)))[::2]
    ends, cosine = products[np.stack([pairs.row[some], pairs.col[some]])], 0.0
    buyers = past[past["product"].isin(ends.ravel())].groupby("product")["person"].agg(set)
    for *pair, value in zip(*ends, pairs.data[some], strict=True):
        one, two = buyers[pair]
        both = len(one & two)
        cosine = max(cosine, abs(value - both * (both >= least_buyers) / np.sqrt(len(one) * len(two))))
    x = (known.histories.days[:, : min(chosen.n_ease, 300)].toarray() > 0).astype(float)
    mine = ways.ease_coefficients(sparse.csr_array(x), ridge=chosen.settings.ridge)
    ridge = 0.0
    for column in range(min(3, x.shape[1])):
        others = np.delete(np.arange(x.shape[1]), column)
        fitted = Ridge(alpha=chosen.settings.ridge, fit_intercept=False, solver="cholesky")
        theirs = fitted.fit(x[:, others], x[:, column]).coef_
        ridge = max(ridge, np.abs(mine[others, column] - theirs).max() + abs(mine[column, column]))
    slopes = [stack.slope for stack in chosen.stacks.values() if stack is not None]
    return pd.DataFrame(
        [
            ("people who bought each product, greatest difference", off, 0, 0, "plain pandas"),
            ("people who did lately, greatest difference", off_late, 0, 0, "plain pandas"),
            ("products offered that may not be", few, 0, 0, "plain pandas"),
            ("cosine of two products, greatest difference", cosine, 0, 1e-5, "sets of people"),
            (
                "coefficients of EASE, greatest difference",
                ridge,
                0,
                1e-5,
                "scikit-learn's Ridge, column by column",
            ),
            (
                "gradient at the weights of the hybrid",
                max(slopes, default=0.0),
                0,
                1e-4,
                "zero at the best weights",
            ),
        ],
        columns=_COLUMNS,
    )


def lists_hold(
    purchases: Purchases, known: Known, table: pd.DataFrame, files: Mapping[str, bytes], *, task: str, k: int
) -> pd.DataFrame:
    """Ask whether lists keep their promises, and whether the saved model gives the same to the same histories."""
    person = table["person_id"].map({p: i for i, p in enumerate(purchases.people)})
    product = table["product_id"].map({p: i for i, p in enumerate(purchases.products)})
    key = (person * len(purchases.products) + product).to_numpy()
    past = purchases.lines[purchases.lines["day"] < known.before]
    own = (past["person"] * len(purchases.products) + past["product"]).unique()
    back = purchases.returned[:, 0] * len(purchases.products) + purchases.returned[:, 1]
    by_person = table.groupby("person_id", sort=False)
    again = table["reason"].str.startswith("again")
    wrong = np.isin(key, own) != again
    last = past.groupby(["person", "product"])["day"].max()
    told = table.loc[again, "reason"].str.extract(r"(\d+)")[0].astype(int).to_numpy()
    late = last.reindex(pd.MultiIndex.from_arrays([person[again], product[again]])).to_numpy()
    falling = (by_person["score"].diff().fillna(0) > 0).sum()
    places = (by_person["rank"].agg(list).map(lambda ranks: ranks != list(range(1, len(ranks) + 1)))).sum()
    full = min(k, len(known.catalogue.products) - 1)
    short = (by_person.size().reindex(purchases.people, fill_value=0) < full).sum() if task == ANY else 0
    some = np.setdiff1d(
        np.linspace(0, len(purchases.people) - 1, N_RECOUNTED // 2).astype(int), purchases.returned[:, 0]
    )
    rows = past[past["person"].isin(some)]
    bought = pd.DataFrame(
        {
            "person": rows["person"],
            "product_id": purchases.products[rows["product"]],
            "days_ago": known.before - rows["day"],
        }
    )
    saved = recommend_newcomers(files, bought, task=task, k=k)
    mine = table.assign(person=person)[person.isin(bought["person"])]
    both = mine.merge(saved, on=["person", "rank"], suffixes=("", "_saved"), how="left")
    checks = [
        ("products listed twice for one person", pd.Series(key).duplicated().sum()),
        ("products listed that were returned", np.isin(key, back).sum()),
        ("products listed outside of what is offered", (~np.isin(product, known.catalogue.products)).sum()),
        ("people with a list that is short or not ranked", int(falling + places + short)),
        ("reasons that call a new product a repeat, or a repeat new", wrong.sum()),
        ("days since the last purchase told otherwise", (known.before - late != told).sum()),
        ("products that the saved model lists otherwise", (both["product_id"] != both["product_id_saved"]).sum()),
    ]
    if task == NEW:
        checks.append(("products listed as new that were bought before", np.isin(key, own).sum()))
    return pd.DataFrame([(*row, 0, 0, "plain pandas") for row in checks], columns=_COLUMNS)


def groups_hold(
    purchases: Purchases,
    known: Known,
    judged: Judged,
    groups: pd.DataFrame,
    segments: pd.DataFrame | None,
    profiles: pd.DataFrame | None,
    *,
    way: str,
) -> pd.DataFrame:
    """Average segments and decades of birth again, by a merge on the ids of people."""
    people = judged.people[ANY].assign(person_id=purchases.people[judged.people[ANY].index])
    tables = {}
    if segments is not None:
        then = segments[segments[["as_of", "fitted_as_of"]].max(axis=1) <= pd.Timestamp(known.before, unit="D")]
        tables["segment"] = then[then["as_of"] == then["as_of"].max()].rename(columns={"segment": "group"})
    if profiles is not None and "birth_decade" in profiles.columns:
        tables["born in"] = profiles.dropna(subset="birth_decade").assign(
            group=lambda p: p["birth_decade"].astype(int).astype(str) + "s"
        )
    off, n = 0.0, 0
    for kind, table in tables.items():
        mine = groups[groups["kind"] == kind].set_index("group")
        means = people.merge(table, on="person_id").groupby("group")[[way, ways.RECENT]].mean().reindex(mine.index)
        off = np.nanmax([off, *np.abs(means.to_numpy() - mine[["ndcg", "popular"]].to_numpy()).ravel()])
        n += int(means.notna().all(axis=1).sum())
    rows = [(f"nDCG of {n} groups, greatest difference", off, 0, 1e-9, "a merge by the ids of people")]
    return pd.DataFrame(rows * (n > 0), columns=_COLUMNS)


def worlds_hold(purchases: Purchases, judged: Judged, *, k: int, rng: np.random.Generator) -> pd.DataFrame:
    """Plant groups that buy together, which likeness must find; mix who bought what, and nothing is left."""
    n_groups, n_people, pool = 3, 60, 12
    group = np.repeat(np.arange(n_groups), n_people)
    bought = np.zeros((n_groups * n_people, n_groups * pool), dtype=np.float32)
    for person, of in enumerate(group):
        bought[person, of * pool + rng.permutation(pool)[:8]] = 1
        bought[person, rng.integers(n_groups * pool)] = 1
    buyers, empty = bought.sum(axis=0), np.full(n_groups * pool, "", dtype=object)
    catalogue = Catalogue(np.arange(n_groups * pool), buyers, buyers, empty, empty, empty, empty, {})
    days, nobody = sparse.csr_array(bought), np.full(len(group), -1)
    similar = ways.similar_products(days, least_buyers=1)
    scores = ways.item_similarity(similar, catalogue)(Histories(days, days, nobody, nobody))
    inside = (greatest(scores, bought > 0, k=3) // pool == group[:, None]).mean()

    some = purchases.lines[purchases.lines["person"] < 600]
    parts = [some[some["day"] < purchases.split], some[some["day"] >= purchases.split]]
    mixed = pd.concat([part.assign(product=rng.permutation(part["product"])) for part in parts])
    mixed = mixed.drop_duplicates(["person", "product", "day"]).sort_values(["person", "product", "day"])
    other = replace(purchases, lines=mixed.reset_index(drop=True), returned=purchases.returned[:0])
    about = {"before": other.split, "n_products": 1_000, "least_buyers": 2}
    known = known_before(other, None, None, half_life_days=90.0, **about)
    truth = bought_in(other, start=other.split, stop=other.end, task=NEW)
    own = mean_ndcg(known, {"": ways.item_similarity(known.similar, known.catalogue)}, truth, k=k, new=True)
    popular = mean_ndcg(known, {"": ways.popularity(known.catalogue)}, truth, k=k, new=True)
    spread = judged.people[NEW][ways.POPULAR].std(ddof=1) / np.sqrt(max((truth.n > 0).sum(), 1))
    rows = [
        (
            "products listed of the group that a person belongs to",
            inside,
            0.95,
            "at least",
            "three planted groups",
        ),
        (
            "likeness less popularity where who bought what is mixed, in standard errors",
            (own - popular) / max(spread, 1e-12),
            3,
            "at most",
            "purchases dealt out by lot",
        ),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "reference", "rule", "source"])


def online_holds(online: Online) -> pd.DataFrame:
    """Hold the simulated step against its truth: replayed rates, the effect of the A/B test, the power planned."""
    table, units = online.replay, online.units.set_index("design")
    error = (table["replayed_rate_high"] - table["replayed_rate"]) / stats.norm.isf(0.025 / len(table))
    off = ((table["replayed_rate"] - table["true_rate"]) / error).abs().max()
    true = table.set_index("method")["true_rate"]
    effect, ab = PURPOSE * LOOKS.sum() * (true.max() - true.min()), units.loc["A/B"]
    rows = [
        ("replayed rate and the true one, in standard errors", off, 0, MC_ERRORS, "truth of the simulation"),
        ("effect of an A/B test", ab["seen"], effect, MC_ERRORS * ab["sd"] / np.sqrt(N_VISITS), "its truth"),
    ]
    for design, row in units.iterrows():
        # The effect that is planned for is itself simulated: power moves by about its relative error.
        doubt = row["sd"] / np.sqrt(N_VISITS) / abs(row["effect"])
        tolerance = MC_ERRORS * (np.sqrt(POWER * (1 - POWER) / row["n_trials"]) + doubt)
        rows.append(
            (f"power at the visits planned, {design}", row["power"], POWER, tolerance, "trials of so many visits")
        )
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind="constant")
