"""Groups of people along the pipeline for the page: its steps from the run's tables, and in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.findings import Finding, say_count, say_feature, say_names, say_share, size, strength_of
from journeybook.monitoring.fairness import Served, compare_served, proxies
from journeybook.sends import NO_CONTACT
from journeybook.statistics.labels import UNKNOWN, labels

REACH, RESPONSES, MISSING, SEGMENT = "messages a person", "messages answered", "empty features", "in segment 1"
SHARES = (RESPONSES, MISSING, SEGMENT, "has recommendations", "own ids recognised")
NOT_KNOWN, MOST = "not known", 5
"""Name of the group of those without a value; features that are named."""


@dataclass(frozen=True, eq=False)
class Serving:
    """Groups of people at each step, or in `why_not` why none are compared.

    Attributes:
        why_not: One sentence; empty where groups are compared.
        by: Column that makes the groups.
        group: Group by `person_id`.
        steps: By name, rows of `person_id` and `value`.
        served: Them compared.
        told: The features that tell best of a known group, see `proxies`.
        tables: Result tables by name.
    """

    why_not: str = ""
    by: str = ""
    group: pd.Series = field(default_factory=pd.Series)
    steps: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    served: Served | None = None
    told: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=lambda: {"served": pd.DataFrame()})


def try_serving(
    tables: Mapping[str, ibis.Table | None],
    truth: pd.DataFrame | None,
    *,
    by: str | None,
    min_group_size: int,
    rng: np.random.Generator,
) -> Serving:
    """Compare groups of people at each step that a table tells of.

    Args:
        tables: `profiles`, `contacts`, `scores` (`response_probabilities`), `features`, `segments`, `decisions`
            and `recommendations`; None for each that is not there.
        truth: Of each customer id `person_id` as found, and in one column more the person in truth; or None.
        by: Column of the profiles that makes the groups (`labels`); None is `birth_decade` where there is one.
        min_group_size: People a group must have at a step to stand alone, from 2.
        rng: Draws quantiles and folds.

    Raises:
        JourneybookError: The profiles have no such column, or `min_group_size` is below 2.
    """
    profiles, name = tables["profiles"], by or "birth_decade"
    if min_group_size < 2:
        raise JourneybookError(f"min_group_size is {min_group_size}: it must be at least 2.")
    if profiles is None or (by is None and name not in profiles.columns):
        return Serving("Groups are not compared: there are no profiles, or no birth decade and no `groups`.")
    if name not in profiles.columns:
        raise JourneybookError(f"groups is {by!r}: needed is a column of profiles, {say_names(profiles.columns)}.")
    known = profiles.select("person_id", name).order_by("person_id").to_pandas().set_index("person_id")[name]
    group = pd.Series(labels(known), known.index).replace(UNKNOWN, NOT_KNOWN)
    group = group.where(~group.str.isdigit(), group + "s") if name == "birth_decade" else group
    steps = {step: rows for step, rows in _steps(tables, truth, group.index).items() if len(rows)}
    served = compare_served(steps, group, min_group_size=min_group_size, rng=rng)
    if served.spread.empty:
        return Serving(f"Groups are not compared: no two have {min_group_size} people at a step.")
    features = _newest(tables["features"]).set_index("person_id")
    stands = (group != NOT_KNOWN) & (group.map(group.value_counts()) >= min_group_size)
    told = proxies(features.loc[:, features.nunique(dropna=False) > 1], group[stands], rng=rng).head(MOST)
    kept = {"served": served.groups, "pooled": served.pooled, "proxies": told, "served_apart": served.spread}
    return Serving("", name, group, steps, served, told, kept)


def _newest(table: ibis.Table | None) -> pd.DataFrame:
    """Rows of the last date, without `row` and `as_of`, by person."""
    if table is None:
        return pd.DataFrame(columns=["person_id"])
    return table.filter(table.as_of == table.as_of.max()).order_by("person_id").drop("as_of", "row").to_pandas()


def _steps(
    tables: Mapping[str, ibis.Table | None], truth: pd.DataFrame | None, people: pd.Index
) -> dict[str, pd.DataFrame]:
    """Rows of each step in the order of the pipeline."""
    sent, scores, decided, lists = (tables[n] for n in ("contacts", "scores", "decisions", "recommendations"))
    found, features, segments = {}, _newest(tables["features"]), tables["segments"]
    if truth is not None:
        ids = truth.dropna(subset="person_id")
        one = next(column for column in ids.columns if column not in ("person_id", "row"))
        others, joined = (ids.groupby(of)["person_id"].transform("size") - 1 for of in ([one], [one, "person_id"]))
        found["own ids recognised"] = ids[["person_id"]].assign(value=joined / others)[others > 0]
    found[MISSING] = features[["person_id"]].assign(value=features.drop(columns="person_id").isna().mean(axis=1))
    if segments is not None:
        found[SEGMENT] = _newest(segments).assign(value=lambda rows: rows["segment"].str.startswith("1 "))
    if sent is not None and "person_id" in sent.columns:
        told = sent.filter(sent.channel.fill_null("") != NO_CONTACT) if "channel" in sent.columns else sent
        answered = told.filter(told.person_id.notnull() & told.responded.notnull()).order_by("row")
        count = told.person_id.value_counts(name="value").to_pandas().set_index("person_id")
        found[REACH] = count.reindex(people, fill_value=0).reset_index()
        found[RESPONSES] = answered.select("person_id", value="responded").to_pandas()
        if scores is not None:
            both = answered.select("row", "responded").inner_join(scores.filter(scores.part == "test"), "row")
            off = both.filter(both.probability.notnull()).order_by("row")
            error = (off.responded.cast("float64") - off.probability) ** 2
            found["squared error of scores"] = off.select("person_id", value=error).to_pandas()
    if decided is not None:
        chosen = decided.filter(~decided.holdout & decided.expected_gain.notnull()).order_by("row")
        found["gain of a decision"] = chosen.select("person_id", value="expected_gain").to_pandas()
    if lists is not None:
        listed = people.isin(lists.select("person_id").distinct().to_pandas()["person_id"])
        found["has recommendations"] = pd.DataFrame({"person_id": people, "value": listed})
    return found


def title_served(found: Serving) -> str:
    """Return what was found of the groups."""
    spread = found.tables["served_apart"]
    n, by = int((spread["low"] > 0).sum()), say_feature(found.by)
    return f"At {n or 'none'} of {len(spread)} steps groups by {by} differ beyond chance"


def say_served(found: Serving) -> str:
    """Which groups are apart, which are too small to be shown, and what gives a group away."""
    if found.served is None:
        return found.why_not
    spread, pooled = found.served.spread, found.served.pooled
    clear = [_apart(found, row) for row in spread[spread["low"] > 0].to_dict("records")]
    said = [f"Groups differ in {say_names(clear)}." if clear else "Groups are told apart at no step."]
    if len(pooled):
        said.append(f"At a step up to {pooled['groups'].max()} groups are too small: taken together, or left out.")
    sure = found.told[found.told["low"] > 0]
    names = [f"{say_feature(row.feature)} ({say_share(row.told_share)})" for row in sure.itertuples()]
    told = f"What takes away most of the doubt about a group: {say_names(names)}." if names else ""
    said.append(told or "No feature gives a person's group away.")
    return " ".join(said)


def _apart(found: Serving, row: Mapping) -> str:
    """A step with its groups furthest apart, and what each has."""
    table = found.tables["served"]
    mean = table[table["step"] == row["step"]].set_index("group")["mean"]
    say = say_share if row["step"] in SHARES else say_count
    ends = [f"{say(mean[row[end]])} for {row[end]}" for end in ("largest", "smallest")]
    return f"{row['step']} ({' against '.join(ends)})"


def find_served(found: Serving) -> list[Finding]:
    """The step at which groups differ most for its size, but for the segment, which is done to nobody."""
    if found.served is None:
        return []
    level = found.served.groups.groupby("step")["mean"].agg(lambda mean: mean.abs().max() or 1.0)
    rows = found.served.spread[found.served.spread["step"] != SEGMENT].to_dict("records")
    if not rows:
        return []
    row = max(rows, key=lambda r: (r["low"] / level[r["step"]], r["difference"] / level[r["step"]]))
    sure = strength_of(row["low"], row["high"])
    clear = "Find out what parts them at this step, and whether a proxy does it."
    unclear = "Do not call it fair: differences within the interval are not seen."
    # Who lacks a value was not told apart by anybody.
    known = NOT_KNOWN not in (row["largest"], row["smallest"])
    return [
        Finding(
            text=f"Groups by {say_feature(found.by)} differ most in {_apart(found, row)}.",
            action=clear if sure == "clear" else unclear,
            strength=sure,
            worth=3 if sure != "clear" else 1 if known else 2,
            section="Is any group served worse?",
            **size(row["difference"], row["low"], row["high"], "points" if row["step"] in SHARES else row["step"]),
        )
    ]
