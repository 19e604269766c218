"""What page 08 shows once more by another road: print, brute force, plain pandas from the events."""

from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.elasticity import elasticities
from journeybook.clickstream.faults import ALL
from journeybook.clickstream.faults import UNKNOWN as UNSAID
from journeybook.clickstream.groups import OTHER
from journeybook.clickstream.intervals import ChainDraws, steps_of_model
from journeybook.clickstream.mixture import TypeMixture
from journeybook.journeys.by_hand import (
    MOST_RECOUNTED,
    apart,
    checks_of,
    crossed,
    links_by_hand,
    sessions_apart,
    sessions_by_hand,
    solved,
    walked_by_hand,
)
from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.statistics.chains import TransitionModel, factors, transition_model

Array = NDArray[np.floating]

# Steps whose elasticity is also found by brute force, at most.
MOST_FORCED = 200
# The width of an interval of 200 draws has a standard error of some 7 %; the mean of several has less.
WIDTH_APART = 0.25
_TOP, _OFTEN = 20, 20


def chain_holds(chain: ChainDraws, counts: StepCounts) -> pd.DataFrame:
    """Hold the chain against print, the share of sessions that convert, brute force and the delta method.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`, `kind`.
    """
    chance = chain.model.conversion_probability[chain.model.at(START)]
    share = counts.n_conversions / counts.n_sessions
    walk, forced = drunkards_error(), elasticity_error(chain.model)
    people = "delta method over whole people" if chain.clustered else "delta method, each step for itself"
    rows = [
        ("drunkard's walk: greatest error", walk, 0, 1e-12, "Grinstead & Snell 1997, ch. 11", "constant"),
        ("chance of conversion by the chain", chance, share, 1e-12, "sessions that convert", "conservation"),
        ("elasticity: greatest error", forced, 0, 1e-6, "finite differences", "witness"),
        ("mean width of the intervals of steps", _width(chain, counts), 1, WIDTH_APART, people, "witness"),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source", "kind"])


def drunkards_error() -> float:
    """Return the greatest error in the drunkard's walk (Grinstead & Snell 1997, examples 11.13 to 11.15).

    Corners 0 to 4, home at 4, bar at 0, and half a chance either way. In print are N, the expected steps
    t = (3, 4, 3), and the chance of reaching home, (1/4, 1/2, 3/4).
    """
    pairs = [("1", "0"), ("1", "2"), ("2", "1"), ("2", "3"), ("3", "2"), ("3", "4")]
    steps = pd.DataFrame(pairs, columns=["source", "target"]).assign(n=1)
    walk = transition_model(steps, conversion="4", exit="0")
    errors = [
        walk.visits - np.array([[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]]),
        walk.expected_steps - np.array([3.0, 4.0, 3.0]),
        walk.conversion_probability - np.array([0.25, 0.5, 0.75]),
    ]
    return max(float(np.abs(error).max()) for error in errors)


def elasticity_error(model: TransitionModel) -> float:
    """Return the greatest difference between the elasticities and brute force; 0 where nothing converts.

    Brute force changes a step a little both ways and solves the chain again. Of more than `MOST_FORCED` steps so
    many are tried, spread evenly over the model.
    """
    start, change = model.at(START), 1e-5
    found = elasticities(model, start=start)
    tried = np.flatnonzero(np.isfinite(found))
    tried = tried[np.unique(np.linspace(0, len(tried) - 1, min(len(tried), MOST_FORCED), dtype=int))]
    forced = np.empty(len(tried))
    for k, step in enumerate(tried):
        p, chances = model.steps[step], []
        for factor in (1 + change, 1 - change):
            moved = model.steps.copy()
            moved[model.source == model.source[step]] *= (1 - p * factor) / (1 - p)
            moved[step] = p * factor
            chances.append(_conversion(model, moved)[start])
        forced[k] = (chances[0] - chances[1]) / (2 * change * model.conversion_probability[start])
    return float(np.max(np.abs(forced - found[tried]), initial=0.0))


def _conversion(model: TransitionModel, steps: Array) -> Array:
    s = len(model.states)
    straight = np.bincount(model.source, weights=steps * (model.target == s), minlength=s)
    return factors(model.source, model.target, steps, s).solve(straight)


def _width(chain: ChainDraws, counts: StepCounts) -> float:
    """Mean width of the intervals of steps, over that by the delta method.

    Of the steps taken, and not taken, 20 times or more by 20 groups of people or more, 20 are tried.
    """
    model, frame = chain.model, counts.counts
    steps = steps_of_model(model)
    rest = model.n / np.where(model.steps > 0, model.steps, 1) - model.n
    often = np.flatnonzero((model.n >= _OFTEN) & (rest >= _OFTEN))
    low, high = chain.interval(chain.drawn_steps)
    ratios = []
    for k in often[np.unique(np.linspace(0, len(often) - 1, min(len(often), _TOP), dtype=int))]:
        here, p = frame[frame["source"] == steps["source"][k]], model.steps[k]
        visits = here.groupby("group")["n"].sum()
        taken = here[here["target"] == steps["target"][k]].groupby("group")["n"].sum()
        moves = taken.reindex(visits.index, fill_value=0) - p * visits
        variance = (moves**2).sum() / visits.sum() ** 2 if chain.clustered else p * (1 - p) / (visits.sum() + 1)
        if len(visits) >= _OFTEN or not chain.clustered:
            ratios.append((high[k] - low[k]) / (2 * 1.96 * np.sqrt(variance)))
    return float(np.mean(ratios)) if ratios else 1.0


def recount(
    rows: ibis.Table,
    steps: ibis.Table,
    tables: Mapping[str, pd.DataFrame],
    *,
    counts: StepCounts,
    types: TypeMixture,
    rules: Mapping[str, Any],
    improvement: float,
    kept_share: float,
) -> pd.DataFrame:
    """Count the page's tables again and return how far they are off.

    Args:
        rows: Canonical `events` or `paths`, as read.
        steps: What `steps_of` returns of them.
        tables: The page's tables by name: `transitions`, `states`, `bottlenecks`, `moments`, `orders`, `groups`
            and as far as there are any `survival`, `times`, `funnel`, `journeys`, `prefixes`, `faults`.
        counts: The page's counts of steps.
        types: The page's types of visitor.
        rules: The rules of a session, as `session_steps` takes them.
        improvement: Share by which a step is improved.
        kept_share: Share of those about to leave whom an offer keeps.

    Returns:
        One row a check: `name`, `value` (the greatest difference), `reference` 0, `tolerance` and `source`. No
        rows of a log of more than `MOST_RECOUNTED` events.
    """
    if counts.n_events > MOST_RECOUNTED:
        return checks_of({})
    events = rows.order_by("row").to_pandas()
    found: dict[str, float] = {}
    if counts.aggregated:
        links = walked_by_hand(events)
    else:
        mine = sessions_by_hand(events, **rules)
        links = links_by_hand(mine)
        found |= sessions_apart(mine, steps, events, rules)
        found |= _of_sessions(mine, tables, n_sessions=counts.n_sessions)
        found |= _of_days_and_devices(links, tables)
    own = crossed(links)
    found["counts of steps, greatest difference"] = apart(crossed(counts.counts), own)
    if types.note is None:
        found["certainty of each visitor's type, by Bayes' rule, greatest difference"] = _types_error(types)
    found |= _of_chain(own, tables, improvement=improvement, kept_share=kept_share)
    return checks_of(found)


def _of_chain(
    counted: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, improvement: float, kept_share: float
) -> dict[str, float]:
    """Steps, states, improved steps and moments, from a dense table of counts."""
    p = counted.div(counted.sum(axis=1), axis=0)
    told, chance = tables["transitions"], solved(p)
    found = {
        "probabilities of steps, greatest difference": apart(
            told.pivot(index="source", columns="target", values="probability").fillna(0), p
        )
    }
    outside = ~told["probability"].between(told["probability_low"] - 1e-9, told["probability_high"] + 1e-9)
    found["steps of 100 visits or more outside their own interval"] = int((outside & (told["n"] >= 100)).sum())
    orders, likelihood = (
        tables["orders"].set_index("order"),
        (counted * np.log(p.where(p > 0, 1))).to_numpy().sum(),
    )
    found["log-likelihood of the first order, relative difference"] = abs(
        orders.loc[1, "log_likelihood"] / likelihood - 1
    )
    found["order chosen and that of the least BIC, difference"] = abs(
        orders.index[orders["chosen"]][0] - orders["bic"].idxmin()
    )
    groups = tables["groups"].sort_values("p_value")
    if len(groups):
        each = groups["p_value"].to_numpy() * np.arange(len(groups), 0, -1)
        holm = np.minimum([each[: k + 1].max() for k in range(len(each))], 1.0)
        off = np.abs(groups["p_adjusted"] - holm).max()
        found["p values of groups adjusted by hand, greatest difference"] = off
    states = tables["states"].set_index("state")
    leaves = (p[EXIT] if EXIT in p else 0 * chance).reindex(states.index)
    among = chance.reindex(states.index)
    loses = leaves * among / (1 - leaves.where(leaves < 1, 0.0))
    lost = counted.sum(axis=1).reindex(states.index) * loses
    for name, own in (("conversion_probability", among), ("drop_off", leaves), ("lost_conversions", lost)):
        found[f"{name.replace('_', ' ')} by state, greatest difference"] = float((states[name] - own).abs().max())
    worst = 0.0
    for row in tables["bottlenecks"].head(_TOP).itertuples():
        moved = p.loc[row.source] * (1 - min(row.probability * (1 + improvement), 1)) / (1 - row.probability)
        moved[row.target] = min(row.probability * (1 + improvement), 1)
        better = p.copy()
        better.loc[row.source] = moved
        worst = max(worst, abs(solved(better)[START] / chance[START] - 1 - row.gain))
    found["gain of an improved step, the chain solved again, greatest difference"] = worst
    moments = tables["moments"].set_index("state")
    if set(moments.index) <= set(p.index):
        off = float((moments["gain_now"] - kept_share * loses).abs().max())
        found["worth of an offer made now, greatest difference"] = off
    return found


def _of_sessions(mine: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, n_sessions: int) -> dict[str, float]:
    """What is said of whole sessions: how long they live, what they take, how far they come."""
    by_session = mine.groupby("session", sort=False)
    sizes, won = by_session.size(), by_session["label"].last().eq(CONVERSION)
    found: dict[str, float] = {"sessions, difference": abs(len(sizes) - n_sessions)}
    survival, times, journeys, funnel, prefixes = (
        tables.get(name, pd.DataFrame()) for name in ("survival", "times", "journeys", "funnel", "prefixes")
    )
    if len(survival):
        going = np.array([(sizes > k).mean() for k in survival["events"]])
        found["sessions going on, greatest difference"] = float(np.abs(survival["share"] - going).max())
    if len(times):
        told = times[times["measure"] == "events"].set_index("share")["value"]
        own = sizes[won].quantile(told.index, interpolation="inverted_cdf")
        found["events to conversion, greatest difference"] = float((told - own).abs().max())
    begins = np.flatnonzero(~mine.duplicated("session"))
    ways = pd.Series([" > ".join(way) for way in np.split(mine["label"].to_numpy(), begins[1:])]).value_counts()
    if len(journeys):
        whole = journeys[journeys["kind"] == "path"]
        own = whole["sequence"].map(ways)
        found["sessions on the most frequent ways, greatest difference"] = float((whole["n"] - own).abs().max())
        found |= _before_exit(journeys, ways)
    if len(funnel):
        found["sessions by stage of the funnel, greatest difference"] = _funnel_error(funnel, ways)
    if len(prefixes):
        first = prefixes.set_index("events_so_far").loc["1", "observed"]
        longer = mine.drop_duplicates("session").set_index("session")["label"] != CONVERSION
        found["share converting after one event, difference"] = abs(won[longer[longer].index].mean() - first)
    return found


def _before_exit(journeys: pd.DataFrame, ways: pd.Series) -> dict[str, float]:
    """The sequence after which most leave: how often it is seen, how often it is the end."""
    told = journeys[journeys["kind"] == "before_exit"].head(1)
    if told.empty:
        return {}
    asked, seen, ended = told["sequence"].iloc[0].split(" > "), 0, 0
    for way, n in ways.items():
        labels = way.split(" > ")
        for end in range(len(asked), len(labels) + 1):
            if labels[end - len(asked) : end] == asked:
                seen, ended = seen + n, ended + n * (end == len(labels))
    off = abs(told["rate"].iloc[0] - ended / max(seen, 1))
    return {"share leaving after the sequence named first, difference": off}


def _funnel_error(table: pd.DataFrame, ways: pd.Series) -> float:
    stages = table[table["definition"] == "loose"].sort_values("number")["stage"].tolist()
    come = {name: np.zeros(len(stages), dtype=np.int64) for name in ("loose", "strict")}
    for way, n in ways.items():
        labels, at, most = way.split(" > "), 0, 0
        for begin, label in enumerate(labels):
            at += at < len(stages) and label == stages[at]
            same = 0
            while same < len(stages) and begin + same < len(labels) and labels[begin + same] == stages[same]:
                same += 1
            most = max(most, same)
        come["loose"][:at] += n
        come["strict"][:most] += n
    told = table.sort_values(["definition", "number"]).groupby("definition")["n_sessions"]
    return float(max(np.abs(n.to_numpy() - come[name]).max() for name, n in told))


def _of_days_and_devices(links: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """The deepest drop of a step, and the clearest difference between devices, from the links themselves."""
    found = {}
    if len(tables.get("faults", ())):
        row = tables["faults"].iloc[0]
        on = links[links["source"] == row["source"]]
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
        on = links[(links["source"] == row["state"]) & links["device"].notna()]
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
    pairs = pd.MultiIndex.from_frame(types.counts[["source", "target"]])
    each = np.log(chains).loc[pairs].to_numpy() * types.counts["n"].to_numpy()[:, None]
    evidence = pd.DataFrame(each, columns=chains.columns).groupby(types.counts[unit].to_numpy()).sum()
    evidence += np.log(types.profile.set_index("type")["share"])
    chance = np.exp(evidence.sub(evidence.max(axis=1), axis=0))
    chance = chance.div(chance.sum(axis=1), axis=0).loc[types.members[unit]]
    own = chance.to_numpy()[np.arange(len(chance)), types.members["type"] - 1]
    return float(np.abs(own - types.members["certainty"].to_numpy()).max())
