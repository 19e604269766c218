"""The page's figures once more, by another road: plain pandas and loops, from the events as they were read."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.clickstream.attribution import Attribution
from journeybook.clickstream.channels import UNKNOWN, ChannelPaths
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.faults import ALL
from journeybook.clickstream.faults import UNKNOWN as UNSAID
from journeybook.clickstream.groups import OTHER
from journeybook.clickstream.mixture import TypeMixture
from journeybook.clickstream.sessions import CONVERSION, EXIT, PACED, START, session_steps

MOST_RECOUNTED = 1_000_000
"""Events that are counted again, at most; of a larger log nothing is, and the checks are left out."""

_PEOPLE_SPLIT = 300
_TOP = 20
_HAND = "plain pandas, from the events"


def recount(
    rows: ibis.Table,
    steps: ibis.Table,
    tables: Mapping[str, pd.DataFrame],
    *,
    counts: StepCounts,
    types: TypeMixture,
    paths: ChannelPaths,
    credited: Attribution,
    improvement: float,
    kept_share: float,
    path_gap_days: float,
    rules: Mapping[str, Any],
) -> pd.DataFrame:
    """Count the page's tables again and return how far they are off.

    Args:
        rows: Canonical `events` or `paths`, as read.
        steps: What `session_steps` or `path_steps` returns of them.
        tables: The page's tables by name: `transitions`, `states`, `bottlenecks`, `moments`, `orders`, `groups`
            and as far as they are there `survival`, `times`, `funnel`, `journeys`, `prefixes`, `faults`.
        counts: The page's counts of steps.
        types: The page's types of visitor.
        paths: The page's paths of channels.
        credited: The page's attribution.
        improvement: Share by which a step is improved.
        kept_share: Share of those about to leave whom an offer keeps.
        path_gap_days: Days without a session after which a new path begins.
        rules: The rules of a session, as `session_steps` takes them.

    Returns:
        One row a check: `name`, `value` (the greatest difference), `reference` 0, `tolerance` and `source`. No
        rows of a log of more than `MOST_RECOUNTED` events.
    """
    if counts.n_events > MOST_RECOUNTED:
        return pd.DataFrame(columns=["name", "value", "reference", "tolerance", "source"])
    rows = rows.order_by("row").to_pandas()
    found: dict[str, float] = {}
    if counts.aggregated:
        crossed = _cross(_walked_paths(rows))
    else:
        mine = _sessions(rows, **rules)
        crossed = _cross(_links(mine))
        found["events whose place in their session differs"] = _misplaced(mine, steps)
        found |= _split_again(rows, rules)
        found |= _of_sessions(mine, tables, n_sessions=counts.n_sessions)
        found |= _of_days_and_devices(mine, tables)
        if credited.note is None:
            found |= _of_channels(mine, paths, credited, path_gap_days=path_gap_days)
    counted = counts.counts.groupby(["source", "target"], observed=True)["n"].sum().unstack(fill_value=0)
    found["counts of steps, greatest difference"] = _apart(counted, crossed)
    if types.note is None:
        found["certainty of each visitor's type, by Bayes' rule, greatest difference"] = _types_error(types)
    if credited.note is None:
        found["removal effects, channels cut out of the matrix one by one"] = _removal_error(paths, credited)
    found |= _of_chain(crossed, tables, improvement=improvement, kept_share=kept_share)
    return pd.DataFrame(
        [
            {"name": name, "value": float(value), "reference": 0.0, "tolerance": 1e-6, "source": _HAND}
            for name, value in found.items()
        ]
    )


def _sessions(
    events: pd.DataFrame,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int,
    most_events: int | None,
    least_pause_seconds: float,
) -> pd.DataFrame:
    """The kept events by the written rules: `row`, `session`, `person`, `label`, `previous`, `step`, `last`."""
    timed = "occurred_at" in events and events["occurred_at"].notna().any()
    events = events[events["occurred_at"].notna()] if timed else events.assign(occurred_at=pd.Timestamp(0))
    person = events["person_id"] if "person_id" in events else pd.Series(None, events.index, dtype=object)
    given = events["session_id"] if "session_id" in events else pd.Series(None, events.index, dtype=object)
    placed = given.notna() | person.notna()
    line = ("s " + given.astype("string")).fillna("p " + person.astype("string"))
    order = ["line", "occurred_at", *[c for c in ("position",) if c in events], "event", "row"]
    frame = events.assign(person=person, splits=given.isna(), line=pd.factorize(line, sort=True)[0])
    frame = frame[placed].sort_values(order, ignore_index=True)
    pause = frame["occurred_at"].diff().dt.total_seconds()
    opens = (frame["line"] != frame["line"].shift()) | (frame["splits"] & (pause > session_gap_minutes * 60))
    frame["session"] = opens.cumsum()
    by_session = frame.groupby("session")["occurred_at"]
    size = by_session.transform("size")
    took = (by_session.transform("max") - by_session.transform("min")).dt.total_seconds()
    machine = (size >= PACED) & (took > 0) & (took < least_pause_seconds * (size - 1))
    machine |= size > (most_events or np.inf)
    won = frame["event"].eq(conversion)
    after = won.groupby(frame["session"]).cumsum() - won > 0
    kept = frame[~machine & (size >= least_events) & ~after].copy()
    kept["label"] = kept["event"].where(kept["event"] != conversion, CONVERSION)
    kept["step"] = kept.groupby("session").cumcount()
    kept["previous"] = kept.groupby("session")["event"].shift().fillna(START)
    kept["last"] = ~kept.duplicated("session", keep="last")
    return kept


def _misplaced(mine: pd.DataFrame, steps: ibis.Table) -> int:
    theirs = steps.select("row", "label", "previous", "step", "last").to_pandas()
    both = mine[["row", "label", "previous", "step", "last"]].merge(theirs, on="row", how="outer", indicator=True)
    same = both["_merge"].eq("both")
    for name in ("label", "previous", "step", "last"):
        same &= both[f"{name}_x"].eq(both[f"{name}_y"])
    return int((~same).sum())


def _split_again(events: pd.DataFrame, rules: Mapping[str, Any]) -> dict[str, float]:
    """Split some people's events at pauses, as if the data named no session; here as in `session_steps`."""
    if not {"person_id", "occurred_at"} <= set(events.columns):
        return {}
    some = events["person_id"].drop_duplicates().dropna().iloc[:_PEOPLE_SPLIT]
    part = events[events["person_id"].isin(some)].drop(columns="session_id", errors="ignore")
    if part.empty:
        return {}
    again = session_steps(ibis.memtable(part), **rules)
    return {"events misplaced where pauses split sessions": _misplaced(_sessions(part, **rules), again)}


def _links(mine: pd.DataFrame) -> pd.DataFrame:
    leaves = mine[mine["last"] & (mine["label"] != CONVERSION)]
    ends = pd.DataFrame({"source": leaves["label"], "target": EXIT})
    return pd.concat([mine[["previous", "label"]].set_axis(["source", "target"], axis=1), ends]).assign(n=1)


def _walked_paths(rows: pd.DataFrame) -> pd.DataFrame:
    links = []
    for row in rows.itertuples():
        way = [START, *(step.strip() for step in row.path.split(">"))]
        links += [(a, b, row.conversions + row.nulls) for a, b in pairwise(way)]
        links += [(way[-1], CONVERSION, row.conversions), (way[-1], EXIT, row.nulls)]
    return pd.DataFrame(links, columns=["source", "target", "n"])


def _cross(links: pd.DataFrame) -> pd.DataFrame:
    return links.groupby(["source", "target"])["n"].sum().unstack(fill_value=0)


def _apart(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Greatest difference between two tables, a missing cell counting as 0."""
    return float((ours.sub(theirs, fill_value=0).fillna(0)).abs().to_numpy().max())


def _solve(p: pd.DataFrame) -> pd.Series:
    """Chance of conversion by state, from a table of probabilities with a row a state."""
    inside = p.reindex(columns=p.index, fill_value=0.0).to_numpy()
    straight = p[CONVERSION].to_numpy() if CONVERSION in p else np.zeros(len(p))
    return pd.Series(np.linalg.solve(np.eye(len(p)) - inside, straight), p.index)


def _of_chain(
    crossed: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, improvement: float, kept_share: float
) -> dict[str, float]:
    """Steps, states, improved steps and moments, from a dense table of counts."""
    p = crossed.div(crossed.sum(axis=1), axis=0)
    told = tables["transitions"].pivot(index="source", columns="target", values="probability").fillna(0)
    inside = tables["transitions"]
    outside = (inside["probability"] < inside["probability_low"] - 1e-9) | (
        inside["probability"] > inside["probability_high"] + 1e-9
    )
    found = {"probabilities of steps, greatest difference": _apart(told, p)}
    found["steps of 100 visits or more outside their own interval"] = int((outside & (inside["n"] >= 100)).sum())
    chance = _solve(p)
    orders = tables["orders"].set_index("order")
    likelihood = float((crossed * np.log(p.where(p > 0, 1))).to_numpy().sum())
    found["log-likelihood of the first order, relative difference"] = abs(
        orders.loc[1, "log_likelihood"] / likelihood - 1
    )
    found["order chosen and that of the least BIC, difference"] = abs(
        orders.index[orders["chosen"]][0] - orders["bic"].idxmin()
    )
    groups = tables["groups"].sort_values("p_value")
    if len(groups):
        each = groups["p_value"].to_numpy() * np.arange(len(groups), 0, -1)
        holm = [min(each[: k + 1].max(), 1.0) for k in range(len(each))]
        found["p values of groups adjusted by hand, greatest difference"] = np.abs(
            groups["p_adjusted"] - holm
        ).max()
    states = tables["states"].set_index("state")
    leaves = (p[EXIT] if EXIT in p else 0 * chance).reindex(states.index)
    among = chance.reindex(states.index)
    visits = crossed.sum(axis=1).reindex(states.index)
    lost = visits * leaves * among / (1 - leaves.where(leaves < 1, 0.0))
    for name, own in (("conversion_probability", among), ("drop_off", leaves), ("lost_conversions", lost)):
        found[f"{name.replace('_', ' ')} by state, greatest difference"] = float((states[name] - own).abs().max())
    worst = 0.0
    for row in tables["bottlenecks"].head(_TOP).itertuples():
        moved = p.loc[row.source] * (1 - min(row.probability * (1 + improvement), 1)) / (1 - row.probability)
        moved[row.target] = min(row.probability * (1 + improvement), 1)
        better = p.copy()
        better.loc[row.source] = moved
        worst = max(worst, abs(_solve(better)[START] / chance[START] - 1 - row.gain))
    found["gain of an improved step, the chain solved again, greatest difference"] = worst
    moments = tables["moments"].set_index("state")
    if set(moments.index) <= set(p.index):
        gain = kept_share * leaves * among / (1 - leaves.where(leaves < 1, 0.0))
        found["worth of an offer made now, greatest difference"] = float((moments["gain_now"] - gain).abs().max())
    return found


def _of_sessions(mine: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, n_sessions: int) -> dict[str, float]:
    """What is said of whole sessions: how long they live, what they take, how far they come."""
    by_session = mine.groupby("session", sort=False)
    sizes, won = by_session.size(), by_session["label"].last().eq(CONVERSION)
    found: dict[str, float] = {"sessions, difference": abs(len(sizes) - n_sessions)}
    if "survival" in tables:
        going = np.array([(sizes > k).mean() for k in tables["survival"]["events"]])
        found["sessions going on, greatest difference"] = float(np.abs(tables["survival"]["share"] - going).max())
    times = tables.get("times", pd.DataFrame())
    if len(times):
        told = times[times["measure"] == "events"].set_index("share")["value"]
        own = sizes[won].quantile(told.index, interpolation="inverted_cdf")
        found["events to conversion, greatest difference"] = float((told - own).abs().max())
    ways = pd.Series([" > ".join(way) for _, way in by_session["label"]]).value_counts()
    journeys = tables.get("journeys", pd.DataFrame())
    if len(journeys):
        whole = journeys[journeys["kind"] == "path"]
        own = whole["sequence"].map(ways)
        found["sessions on the most frequent ways, greatest difference"] = float((whole["n"] - own).abs().max())
        found |= _before_exit(journeys, ways)
    if "funnel" in tables:
        found["sessions by stage of the funnel, greatest difference"] = _funnel_error(tables["funnel"], ways)
    if len(tables.get("prefixes", ())):
        first = tables["prefixes"].set_index("events_so_far").loc["1", "observed"]
        longer = mine.drop_duplicates("session").set_index("session")["label"] != CONVERSION
        found["share converting after one event, difference"] = abs(won[longer[longer].index].mean() - first)
    return found


def _before_exit(journeys: pd.DataFrame, ways: pd.Series) -> dict[str, float]:
    """The sequence after which most leave: how often it is seen, how often it is the end."""
    told = journeys[journeys["kind"] == "before_exit"].head(1)
    if told.empty:
        return {}
    row = told.iloc[0]
    asked, seen, ended = row["sequence"].split(" > "), 0, 0
    for way, n in ways.items():
        labels = way.split(" > ")
        for end in range(len(asked), len(labels) + 1):
            if labels[end - len(asked) : end] == asked:
                seen, ended = seen + n, ended + n * (end == len(labels))
    return {"share leaving after the sequence named first, difference": abs(row["rate"] - ended / max(seen, 1))}


def _funnel_error(table: pd.DataFrame, ways: pd.Series) -> float:
    stages = table[table["definition"] == "loose"].sort_values("number")["stage"].tolist()
    come = {name: np.zeros(len(stages), dtype=np.int64) for name in ("loose", "strict")}
    for way, n in ways.items():
        labels, at = way.split(" > "), 0
        for label in labels:
            at += at < len(stages) and label == stages[at]
        come["loose"][:at] += n
        most = 0
        for begin in range(len(labels)):
            same = 0
            while same < len(stages) and begin + same < len(labels) and labels[begin + same] == stages[same]:
                same += 1
            most = max(most, same)
        come["strict"][:most] += n
    told = table.sort_values(["definition", "number"]).groupby("definition")["n_sessions"]
    return float(max(np.abs(n.to_numpy() - come[name]).max() for name, n in told))


def _of_days_and_devices(mine: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """The deepest drop of a step, and the clearest difference between devices, from the links themselves."""
    leaves = mine[mine["last"] & (mine["label"] != CONVERSION)]
    seen = pd.concat(
        [
            mine.rename(columns={"previous": "source", "label": "target"}),
            leaves.rename(columns={"label": "source"}).drop(columns="previous").assign(target=EXIT),
        ]
    )
    found = {}
    faults = tables.get("faults", pd.DataFrame())
    if len(faults):
        row = faults.iloc[0]
        on = seen[seen["source"] == row["source"]]
        on = on if row["device"] == ALL else on[on["device"].fillna(UNSAID) == row["device"]]
        during = on["occurred_at"].between(row["starts_at"], row["ends_at"], inclusive="left")
        taken, spared = (on.loc[part, "target"].eq(row["target"]).mean() for part in (during, ~during))
        found["the deepest drop, share within and outside, greatest difference"] = max(
            abs(row["probability"] - taken), abs(row["probability_outside"] - spared)
        )
        missing = during.sum() * (spared - taken)
        found["the deepest drop, steps lost, difference"] = abs(row["lost"] - missing)
    groups = tables["groups"]
    groups = groups[(groups["grouping"] == "device") & (groups["level"] != OTHER) & (groups["target"] != OTHER)]
    if len(groups):
        row = groups.iloc[0]
        on = seen[(seen["source"] == row["state"]) & seen["device"].notna()]
        here = on["device"] == row["level"]
        shares = [on.loc[part, "target"].eq(row["target"]).mean() for part in (here, ~here)]
        found["the clearest difference between devices, greatest difference"] = max(
            abs(row["probability"] - shares[0]), abs(row["probability_elsewhere"] - shares[1])
        )
    return found


def _types_error(types: TypeMixture) -> float:
    """Probability of each visitor's own type, from the chains and the shares of the types alone."""
    unit = types.members.columns[0]
    chains = types.transitions.pivot(index=["source", "target"], columns="type", values="probability")
    each = types.counts[["source", "target"]].merge(
        np.log(chains), how="left", left_on=["source", "target"], right_index=True
    )
    evidence = each[chains.columns].mul(types.counts["n"].to_numpy(), axis=0).groupby(types.counts[unit]).sum()
    evidence += np.log(types.profile.set_index("type")["share"])
    chance = np.exp(evidence.sub(evidence.max(axis=1), axis=0))
    chance = chance.div(chance.sum(axis=1), axis=0).loc[types.members[unit]]
    own = chance.to_numpy()[np.arange(len(chance)), types.members["type"] - 1]
    return float(np.abs(own - types.members["certainty"].to_numpy()).max())


def _of_channels(
    mine: pd.DataFrame, paths: ChannelPaths, credited: Attribution, *, path_gap_days: float
) -> dict[str, float]:
    """Paths of channels and the credit of four rules, person by person."""
    mine = mine[mine["person"].notna()] if paths.known_only else mine
    first = mine.drop_duplicates("session").set_index("session")
    visits = pd.DataFrame(
        {
            "who": first["person"] if paths.known_only else first["line"],
            "channel": first["channel"].replace("", None).fillna(UNKNOWN),
            "opens": first["occurred_at"],
            "row": mine.groupby("session")["row"].min(),
            "left": mine.groupby("session")["occurred_at"].max(),
            "won": mine.groupby("session")["label"].last().eq(CONVERSION),
        }
    ).sort_values(["who", "opens", "row"])
    again = visits["who"].eq(visits["who"].shift())
    away = (visits["opens"] - visits["left"].shift()).dt.total_seconds() > path_gap_days * 86_400
    visits["path"] = (~again | away | visits["won"].shift(fill_value=False)).cumsum()
    ends = visits.groupby("path")["won"].last()
    told = visits[visits["path"].map(ends)]
    touches = told.groupby("path")["channel"]
    alone = told.drop_duplicates(["path", "channel"])
    own = {
        "last_touch": touches.last().value_counts(),
        "first_touch": touches.first().value_counts(),
        "linear": (1 / touches.transform("size")).groupby(told["channel"]).sum(),
        "shapley": (1 / alone.groupby("path")["channel"].transform("size")).groupby(alone["channel"]).sum(),
    }
    table = credited.table.pivot(index="channel", columns="method", values="credit")
    off = [(table[rule] - n.reindex(table.index, fill_value=0)).abs().max() for rule, n in own.items()]
    return {
        "paths of channels, difference": abs(len(ends) - paths.n_paths),
        "credit by last, first, every and each touch, greatest difference": max(off),
        "credit of each method and conversions, greatest difference": float(
            (table.sum() - ends.sum()).abs().max()
        ),
    }


def _removal_error(paths: ChannelPaths, credited: Attribution) -> float:
    """Removal effects of the first order, each channel's row cut and all its visits sent to exit."""
    crossed = _cross(next(iter(paths.counts.values())))
    p = crossed.div(crossed.sum(axis=1), axis=0)
    told = credited.table[credited.table["method"] == "markov_removal"].set_index("channel")
    whole, effects = _solve(p)[START], {}
    for channel in told.index:
        effects[channel] = 1 - _solve(p.drop(index=channel))[START] / whole
    own = pd.Series(effects)
    return float(max((told["removal_effect"] - own).abs().max(), (told["share"] - own / own.sum()).abs().max()))
