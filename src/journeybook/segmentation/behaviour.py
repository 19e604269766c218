"""Groups in what people do on the site: which page follows which, and what was planted."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import GroupCount, count_groups, fit_kmeans
from journeybook.segmentation.preparation import FURTHEST_SD

MAX_STEPS = 40
# Steps from which on a person's shares tell the person and not chance, and steps of everyone added to each page.
FEWEST_STEPS = 100
PRIOR_STEPS = 5
FEWEST_PEOPLE = 60
# From so many people on the planted types must be found.
ENOUGH_PEOPLE = 300


@dataclass(frozen=True, eq=False)
class Behaviour:
    """Groups of people by the steps they take on the site.

    Attributes:
        count: The evidence, over the shares of steps.
        groups: One row a person: person_id, group (from 1, the largest first).
        profile: One row a group: group, n_people, and the mean share of each step (`page > next page`) among
            those from its page, the ones that differ most first.
    """

    count: GroupCount
    groups: pd.DataFrame
    profile: pd.DataFrame


def behaviour(
    events: ibis.Table | None, *, max_segments: int, n_splits: int, rng: np.random.Generator
) -> Behaviour | None:
    """Ask what people do after each page for groups, as `count_groups` asks the features.

    Each of the 40 commonest steps is a share of a person's steps from its page, as if five steps of everyone had
    been taken as well; all weigh the same. Used are people with 100 steps or more, in the order of their first
    row. None where events name no person, or fewer than 60 people or two steps are left.
    """
    if events is None or not {"person_id", "session_id"} <= set(events.columns):
        return None
    known = events.filter(events.person_id.notnull())
    order = [known[name] for name in ("position", "occurred_at", "row") if name in known.columns]
    after = known.event.lead().over(group_by=known.session_id, order_by=order).fill_null("end")
    steps = known.select("person_id", "row", "event", step=known.event + " > " + after)
    made = steps.group_by("person_id", "event", "step").aggregate(n=steps.count(), place=steps.row.min())
    counts = made.order_by("person_id", "event", "step").to_pandas()
    table = counts.pivot(index="person_id", columns="step", values="n").fillna(0)
    table = table.loc[counts.groupby("person_id")["place"].min().sort_values().index]
    table = table[table.sum(axis=1) >= FEWEST_STEPS]
    page = pd.Series(table.columns.str.split(" > ").str[0], index=table.columns)
    used = sorted(table.sum().sort_values(kind="stable", ascending=False).index[:MAX_STEPS])
    if len(table) < FEWEST_PEOPLE or len(used) < 2:
        return None
    taken = table.T.groupby(page).sum().T
    usual = (table.sum() / taken.sum().reindex(page).to_numpy())[used]
    from_page = taken[page[used]].to_numpy()
    shares = (table[used] + PRIOR_STEPS * usual) / (from_page + PRIOR_STEPS)
    values = (
        ((shares - shares.mean()) / shares.std(ddof=0).replace(0, 1)).to_numpy().clip(-FURTHEST_SD, FURTHEST_SD)
    )
    count = count_groups(values, max_segments=max_segments, n_splits=n_splits, rng=rng)
    fit = fit_kmeans(values[:, count.seen_in], n_clusters=count.n_groups, n_starts=10, rng=rng)
    sizes = np.bincount(fit.labels_)
    group = np.argsort(np.argsort(-sizes, kind="stable"))[fit.labels_] + 1
    apart = pd.DataFrame(values, columns=used).groupby(group).mean()
    telling = (apart.max() - apart.min()).sort_values(ascending=False, kind="stable").index
    profile = shares[telling].groupby(group).mean().rename_axis("group").reset_index()
    profile.insert(1, "n_people", np.sort(sizes)[::-1])
    return Behaviour(count, pd.DataFrame({"person_id": shares.index, "group": group}), profile)


def behaviour_holds(
    found: Behaviour | None, contacts: pd.DataFrame | None, truth: pd.DataFrame | None
) -> pd.DataFrame:
    """Hold the groups against the customer types planted in the demo: number, and adjusted Rand index.

    `contacts` has person_id and contact_id, `truth` contact_id and customer_type; no row without both. Of few
    people a miss is known.
    """
    columns = ["name", "value", "reference", "rule", "tolerance", "kind", "source"]
    if found is None or contacts is None or truth is None or "customer_type" not in truth:
        return pd.DataFrame(columns=columns)
    types = contacts.merge(truth, on="contact_id").groupby("person_id")["customer_type"].first()
    both = found.groups.assign(type=found.groups["person_id"].map(types)).dropna()
    alike = adjusted_rand_score(both["type"], both["group"])
    n, kind = types.nunique(), "witness" if len(found.groups) >= ENOUGH_PEOPLE else "known_miss"
    rows = [
        ("groups by steps on the site", found.count.n_groups, n, "within", 0.0, kind, "truth of the demo"),
        (
            "customer types recovered (adjusted Rand index)",
            alike,
            0.7,
            "at least",
            None,
            kind,
            "truth of the demo",
        ),
    ]
    return pd.DataFrame(rows, columns=columns)
