"""What page 08 shows once more by another road: the delta method, and plain pandas from the events."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import xlogy

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.faults import ALL
from journeybook.clickstream.faults import UNKNOWN as UNSAID
from journeybook.clickstream.groups import LEAST_EXPECTED, OTHER
from journeybook.clickstream.intervals import ChainDraws, transition_table
from journeybook.journeys.by_hand import (
    MOST_RECOUNTED,
    apart,
    checks_of,
    crossed,
    links_by_hand,
    misplaced,
    read_out,
    sessions_by_hand,
    solved,
    walked_by_hand,
)
from journeybook.journeys.sessions import CONVERSION, EXIT, START

# The width of an interval of 200 draws has a standard error of some 7 %; the mean of several has less.
WIDTH_APART = 0.25
_TOP, _OFTEN = 20, 20
# The page may put people into 4,096 groups: four errors of variances between so many move a p value by this.
P_APART = 0.05
# Three errors of a p value of one half from the 99 sound logs that the page simulates.
P_OF_A_SCAN = 0.15


def chain_holds(
    chain: ChainDraws, counts: StepCounts, tables: Mapping[str, pd.DataFrame], *, improvement: float
) -> pd.DataFrame:
    """Hold the chain against the share of sessions that convert, and its intervals against the delta method.

    The ends of what is lost and gained are those of each draw's chain, solved by itself; orders of 0 and 1 are
    fitted once more.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`, `kind`.
    """
    chance = chain.model.conversion_probability[chain.model.at(START)]
    share = counts.n_conversions / counts.n_sessions
    people = "delta method over whole people" if chain.clustered else "delta method, each step for itself"
    rows = [
        ("chance of conversion by the chain", chance, share, 1e-12, "sessions that convert", "conservation"),
        ("mean width of the intervals of steps", _width(chain, counts), 1, WIDTH_APART, people, "witness"),
        (
            "ends of lost conversions and of gain, greatest difference",
            *(_ends_error(chain, tables, improvement), 0, 1e-6, "each draw solved by itself", "witness"),
        ),
        (
            "BIC of orders 0 and 1, difference",
            *(_bic_error(crossed(counts.counts), tables["orders"]), 0, 1e-3, "a table of counts", "witness"),
        ),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source", "kind"])


def _ends_error(chain: ChainDraws, tables: Mapping[str, pd.DataFrame], improvement: float) -> float:
    """How far the ends of the state that loses most, and of the step that brings most, are from those by draw."""
    model, best, state = chain.model, tables["bottlenecks"].head(1), tables["states"].iloc[0]
    k, at, start = len(model.states), model.at(state["state"]), model.at(START)
    names = [*model.states, CONVERSION, EXIT]
    lost, gain = [], []
    for counted in chain.drawn:
        table = np.zeros((k, len(names)))
        table[model.source, model.target] = counted
        total = table.sum(axis=1, keepdims=True)
        p = table / np.where(total == 0, 1, total)
        chance, leaves = np.linalg.solve(np.eye(k) - p[:, :k], p[:, k]), p[at, k + 1]
        lost.append(table[at, k + 1] * chance[at] / (1 - leaves if leaves < 1 else 1))
        for row in best.itertuples():
            better = _improved(
                pd.DataFrame(p, model.states, names), row.source, row.target, improvement
            ).to_numpy()
            gain.append(np.linalg.solve(np.eye(k) - better[:, :k], better[:, k])[start] / chance[start] - 1)
    told = [
        *state[["lost_conversions_low", "lost_conversions_high"]],
        *best[["gain_low", "gain_high"]].to_numpy().flat,
    ]
    due = [end for drawn in (lost, gain) if drawn for end in np.nanquantile(drawn, [0.025, 0.975])]
    return float(np.abs(np.array(told, dtype=float) - due).max())


def _improved(p: pd.DataFrame, source: str, target: str, improvement: float) -> pd.DataFrame:
    """Probabilities with one step likelier, the others of its page less."""
    better, was = p.copy(), p.at[source, target]
    grown = min(was * (1 + improvement), 1)
    better.loc[source] *= (1 - grown) / (1 - was) if was < 1 else 1
    better.loc[source, target] = grown
    return better


def _bic_error(counted: pd.DataFrame, orders: pd.DataFrame) -> float:
    """How far BIC is from that of independent steps, and of a chain, by a table of counts."""
    n, (rows, columns) = counted.to_numpy(dtype=float), counted.shape
    total, due = n.sum(), []
    for expected, parameters in (
        (n.sum(axis=0) / total, columns - 1),
        (n / n.sum(axis=1, keepdims=True), rows * (columns - 1)),
    ):
        due.append(parameters * np.log(total) - 2 * xlogy(n, np.broadcast_to(expected, n.shape)).sum())
    return float(np.abs(orders["bic"].to_numpy()[:2] - due).max())


def _width(chain: ChainDraws, counts: StepCounts) -> float:
    """Mean width of the intervals of steps, over that by the delta method.

    Of the steps taken, and not taken, 20 times or more by 20 groups of people or more, 20 are tried.
    """
    frame, steps, ratios = counts.counts, transition_table(chain), []
    often = steps[(steps["n"] >= _OFTEN) & (steps["n"] * (1 / steps["probability"] - 1) >= _OFTEN)]
    for row in often.iloc[:: max(len(often) // _TOP, 1)].itertuples():
        here, p = frame[frame["source"] == row.source], row.probability
        visits = here.groupby("group")["n"].sum()
        taken = here[here["target"] == row.target].groupby("group")["n"].sum()
        moves = taken.reindex(visits.index, fill_value=0) - p * visits
        variance = (moves**2).sum() / visits.sum() ** 2 if chain.clustered else p * (1 - p) / (visits.sum() + 1)
        if len(visits) >= _OFTEN or not chain.clustered:
            ratios.append((row.probability_high - row.probability_low) / (2 * 1.96 * np.sqrt(variance)))
    return float(np.mean(ratios)) if ratios else 1.0


def recount(
    rows: ibis.Table,
    steps: ibis.Table,
    tables: Mapping[str, pd.DataFrame],
    *,
    counts: StepCounts,
    rules: Mapping[str, Any],
    improvement: float,
    kept_share: float,
    live: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Count the page's public figures again and return how far they are off; `live` are the open sessions.

    Returns:
        One row a check: `name`, `value` (the greatest difference), `reference` 0, `tolerance` and `source`. No
        rows of a log of more than `MOST_RECOUNTED` events.
    """
    if counts.n_events > MOST_RECOUNTED:
        return checks_of({})
    events = read_out(rows)
    found: dict[str, float] = {}
    if counts.aggregated:
        links = walked_by_hand(events, counts.separator)
    else:
        mine = sessions_by_hand(events, **rules)
        links = links_by_hand(mine)
        found["events whose place in their session differs"] = misplaced(mine, steps)
        if len(tables["funnel"]):
            found["sessions by stage of the funnel, greatest difference"] = _funnel_error(tables["funnel"], mine)
        found |= _of_days_and_devices(links, tables, rng)
        # Ended, or further than a gap from the end of the log, whoever they are of.
        ended = mine["sold"].eq(0) & mine["last"] & mine["label"].ne(CONVERSION)
        ended &= mine["moment"] + pd.Timedelta(minutes=rules["session_gap_minutes"]) >= mine["moment"].max()
        due = mine[ended].groupby(["label", "step"]).size()
        told = live.assign(step=live["n_events"] - 1).groupby(["state", "step"]).size()
        found["sessions said to be open that are not"] = told.sub(due, fill_value=0).clip(lower=0).sum()
        off = _held_out_error(links, tables["orders"])
        found["held-out likelihood of orders up to 2, greatest difference"] = off
    own = crossed(links)
    found["counts of steps, greatest difference"] = apart(crossed(counts.counts), own)
    return checks_of(found | _of_chain(own, tables, improvement=improvement, kept_share=kept_share))


def _of_chain(
    counted: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, improvement: float, kept_share: float
) -> dict[str, float]:
    """Steps, lost conversions and improved steps, from a dense table of counts."""
    p = counted.div(counted.sum(axis=1), axis=0)
    told, chance = tables["transitions"].pivot(index="source", columns="target", values="probability"), solved(p)
    found = {"probabilities of steps, greatest difference": apart(told.fillna(0), p)}
    states = tables["states"].set_index("state")
    leaves = p[EXIT] if EXIT in p else 0 * chance
    offer = leaves * chance / (1 - leaves.where(leaves < 1, 0.0))
    off = (states["lost_conversions"] - counted.sum(axis=1) * offer).abs().max()
    found["lost conversions by state, greatest difference"] = off
    moments = tables["moments"].set_index("state")["gain_now"]
    found["what an offer brings, greatest difference"] = (moments - kept_share * offer).abs().max()
    worst = 0.0
    for row in tables["bottlenecks"].head(_TOP).itertuples():
        better = _improved(p, row.source, row.target, improvement)
        worst = max(worst, abs(solved(better)[START] / chance[START] - 1 - row.gain))
    found["gain of an improved step, the chain solved again, greatest difference"] = worst
    return found


def _held_out_error(links: pd.DataFrame, orders: pd.DataFrame) -> float:
    """How far likelihood, gain and its error are from those of chains fitted to every fold of visitors but one."""
    who = links["person"].fillna("s " + links["session"].astype("str"))
    ranks = links.groupby(who)["row"].min().rank().sub(1).astype(int).astype("str")
    fold = who.map(ranks.map(lambda rank: hashlib.md5(rank.encode()).hexdigest()[0]))
    ways = links.assign(all=0, fold=fold).sort_values(["session", "step"], kind="stable")
    ways["back"] = ways.groupby("session")["source"].shift().fillna(START)
    names, told = ["all", "source", "back"], orders.head(3)
    counted = ways.groupby([*names, "target", "fold"])["n"].sum().unstack(fill_value=0)
    left = -counted.sub(counted.sum(axis=1), axis=0)
    chance, due = 1 / links["target"].nunique(), []
    for order in range(len(told)):
        key = names[: order + 1]
        cells, context = (left.groupby(level=by).transform("sum") for by in ([*key, "target"], key))
        once = ~counted.index.droplevel(names[order + 1 :]).duplicated()
        kinds = (cells > 0).mul(once, axis=0).groupby(level=key).transform("sum").where(context > 0, 1)
        chance = (cells + kinds * chance) / (context + kinds)
        due.append((counted * np.log(chance)).sum())
    by_fold = np.array(due)
    gain = np.diff(by_fold, axis=0)
    found = [*by_fold.sum(axis=1), *gain.sum(axis=1), *gain.std(axis=1, ddof=1) * gain.shape[1] ** 0.5]
    said = [*told["held_out_log_likelihood"], *told["held_out_gain"][1:], *told["held_out_gain_error"][1:]]
    return float(np.abs(np.subtract(said, found)).max()) if gain.shape[1] > 1 else 0.0


def _funnel_error(table: pd.DataFrame, mine: pd.DataFrame) -> float:
    """Sessions that come to each stage by either definition, each way through the site gone by itself."""
    stages = table[table["definition"] == "loose"].sort_values("number")["stage"].tolist()
    come = {name: np.zeros(len(stages), dtype=np.int64) for name in ("loose", "strict")}
    begins = np.flatnonzero(~mine.duplicated("session"))
    ways = Counter(tuple(way) for way in np.split(mine["label"].to_numpy(), begins[1:]))
    for labels, n in ways.items():
        at, most = 0, 0
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


def _of_days_and_devices(
    links: pd.DataFrame, tables: Mapping[str, pd.DataFrame], rng: np.random.Generator
) -> dict[str, float]:
    """The deepest drop of a step, and the clearest difference between devices, from the links themselves."""
    found = {}
    if len(tables["faults"]):
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
        # A scan of many spans is as deep by chance at least as often as one span of each step.
        one = 1 - (1 - stats.norm.sf(tables["faults"]["score"])) ** len(tables["faults"])
        short = (one - tables["faults"]["p_value"]).max() - P_OF_A_SCAN
        found["p values of drops, below those of one span a step by more than 0.15"] = max(short, 0)
    groups = tables["groups"]
    if len(groups):
        ordered = groups["p_value"].sort_values()
        due = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
        found["p values of differences by Holm, greatest difference"] = (groups["p_adjusted"] - due).abs().max()
    groups = groups[groups["grouping"] == "device"]
    if len(groups):
        known = links[links["device"].notna()]
        due = [_chance_of_devices(known[known["source"] == state], rng) for state in groups["state"]]
        beyond = np.abs(groups["p_value"] - due).max() - P_APART
        found["p values of differences between devices, off by more than 0.05"] = max(beyond, 0)
    groups = groups[(groups["level"] != OTHER) & (groups["target"] != OTHER)]
    if len(groups):
        row = groups.iloc[0]
        on = known[known["source"] == row["state"]]
        here = on["device"] == row["level"]
        shares = [on.loc[part, "target"].eq(row["target"]).mean() for part in (here, ~here)]
        found["the clearest difference between devices, greatest difference"] = max(
            abs(row["probability"] - shares[0]), abs(row["probability_elsewhere"] - shares[1])
        )
    return found


def _chance_of_devices(on: pd.DataFrame, rng: np.random.Generator) -> float:
    """P value of the next steps being alike on all devices: chi-squares weighted by a jackknife of people."""
    least = on["device"].value_counts(normalize=True).min() / LEAST_EXPECTED
    target = on["target"].where(on["target"].map(on["target"].value_counts()) * least >= 1, OTHER)
    kept = (target != OTHER) | ((target == OTHER).sum() * least >= 1)
    who = on["person"].fillna("s " + on["session"].astype("str"))
    codes = [pd.factorize(by[kept])[0] for by in (who, on["device"], target)]
    # The first stands for nobody: without it all are there.
    codes[0] += 1
    counts = np.zeros([code.max() + 1 for code in codes])
    np.add.at(counts, tuple(codes), 1)
    without = counts.sum(axis=0) - counts
    margins = without.sum(axis=2, keepdims=True) * without.sum(axis=1, keepdims=True)
    margins /= without.sum(axis=(1, 2), keepdims=True)
    off = ((without - margins) / np.sqrt(margins[0])).reshape(len(without), -1)
    moves = off[1:] - off[1:].mean(axis=0)
    drawn = rng.chisquare(1, (20_000, len(off[0]))) @ np.linalg.eigvalsh(moves.T @ moves)
    return float((drawn >= (off[0] ** 2).sum()).mean())
