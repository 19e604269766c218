"""Paths, credit and removal effects once more by another road, and what the simulation planted."""

from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.attribution.methods import Attribution
from journeybook.attribution.paths import MARK, UNKNOWN, ChannelPaths
from journeybook.journeys.by_hand import (
    MOST_RECOUNTED,
    apart,
    checks_of,
    crossed,
    parts_by_hand,
    read_out,
    sessions_by_hand,
    solved,
)
from journeybook.journeys.links import USUAL_CONVERSION, path_separator
from journeybook.journeys.sessions import CONVERSION, EXIT, START

# The width of an interval of 500 draws has a standard error of some 6 %; four of them.
WIDTH_APART = 0.25
# Conversions from which on a channel's share is nearly normal, as both roads to its width take it to be.
OFTEN = 20
# Blocks of people that a jackknife leaves out in turn: as many as give an error of some 4 %.
N_BLOCKS = 256


def recount(
    rows: ibis.Table,
    paths: ChannelPaths,
    found: Attribution,
    *,
    rules: Mapping[str, Any],
    path_gap_days: float,
    half_life_days: float,
    each_of: str | None = None,
) -> pd.DataFrame:
    """Put the sessions in a row again, in plain pandas, and credit them again.

    Returns:
        One row a check: `name`, `value`, `reference`, `tolerance`, `source`. None where nothing is attributed, nor
        of more than `MOST_RECOUNTED` events.
    """
    if found.note is not None or rows.count().execute() > MOST_RECOUNTED:
        return checks_of({})
    events = read_out(rows)
    if paths.aggregated:
        touches = _touches_of_paths(events, path_separator(rows))
    else:
        touches = _touches(sessions_by_hand(events, **rules), path_gap_days, half_life_days, each_of)
    table, shares = found.table.pivot(index="channel", columns="method", values="credit"), _shares(touches)
    off: dict[str, float] = {}
    for rule, share in shares.items():
        own = (share * touches["won"]).groupby(touches["channel"]).sum().reindex(table.index, fill_value=0)
        off[f"credit by {rule.replace('_', ' ')}, greatest difference"] = (table[rule] - own).abs().max()
    first = touches.drop_duplicates("path")
    off["paths of channels, difference"] = abs(first["walked"].sum() - paths.n_paths)
    total = abs(table.sum() - first["won"].sum()).max()
    off["credit of each method and conversions, greatest difference"] = total
    off["removal effects, channels cut out of the matrix one by one"] = _removal_error(paths, found)
    off["steps of the chain of the highest order, greatest difference"] = _states_off(touches, paths)
    widths = {rule: _width(touches, share, found, rule=rule) for rule, share in shares.items()}
    about = {f"{rule.replace('_', ' ')} credit": (width, "delta method") for rule, width in widths.items()}
    if not paths.aggregated and 1 in paths.counts:
        about["removal effects"] = _removal_width(paths, found, of="removal_effect"), "jackknife"
        about["credit by removal"] = _removal_width(paths, found, of="share"), "jackknife"
    rows = [
        (f"width of the intervals of {what}", value, 1.0, WIDTH_APART, f"{way} over whole people")
        for what, (value, way) in about.items()
    ]
    columns = ["name", "value", "reference", "tolerance", "source"]
    return pd.concat([checks_of(off), pd.DataFrame(rows, columns=columns).dropna()], ignore_index=True)


def known_shares(truth: pd.DataFrame | None, *, conversion: str | None) -> pd.DataFrame:
    """Return what was planted: `channel`, `share`, `removal_effect`; no rows where that is not known."""
    if truth is None or conversion != USUAL_CONVERSION:
        return pd.DataFrame(columns=["channel", "share", "removal_effect"])
    return truth[["channel", "share", "removal_effect"]]


def with_planted(found: Attribution, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the table of an attribution with `planted_share`, and `distance`, the share less the planted one."""
    planted = found.table["channel"].map(truth.set_index("channel")["share"].astype(float))
    return found.table.assign(planted_share=planted, distance=found.table["share"] - planted)


def beside_planted(found: Attribution, truth: pd.DataFrame) -> pd.DataFrame:
    """Return each method's distance from the planted shares.

    Returns:
        One row a method, the nearest first: `method`, `mean_distance` and `greatest_distance` of its shares from
        the planted ones (0 to 1), and `n_inside`, how many of the planted shares its intervals hold. No rows where
        none were planted.
    """
    table = with_planted(found, truth).dropna(subset="planted_share")
    held = table["planted_share"].between(table["share_low"], table["share_high"])
    by_method = table.assign(away=table["distance"].abs(), held=held).groupby("method")
    distances = {"mean_distance": ("away", "mean"), "greatest_distance": ("away", "max")}
    beside = by_method.agg(**distances, n_inside=("held", "sum")).reset_index()
    return beside.sort_values(["mean_distance", "method"], ignore_index=True)


def hold_against_truth(found: Attribution, beside: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Ask that some method's intervals hold all planted shares but one: no method is known to.

    Returns:
        `name`, `value`, `reference`, `rule`, `kind`, `source`; no rows where nothing was planted.
    """
    shares, planted = (
        found.table.pivot(index="channel", columns="method", values="share"),
        truth.set_index("channel"),
    )
    away = shares.sub(planted["share"].astype(float), axis=0).abs()
    told = beside.set_index("method")[["mean_distance", "greatest_distance"]]
    off = (told - away.agg(["mean", "max"]).T.set_axis([*told], axis=1)).abs().max(axis=None)
    name = f"planted shares of channels that the intervals of the best of {len(beside)} methods hold"
    row = (name, beside["n_inside"].max(), len(truth) - 1, "at least", "known_miss")
    columns = ["name", "value", "reference", "rule", "kind"]
    source = "the generator run again without each channel"
    rows = [row, ("distances from planted shares, greatest difference", off, 1e-9, "at most", "witness")]
    return pd.DataFrame(rows if len(beside) else [], columns=columns).assign(source=source)


def _touches(mine: pd.DataFrame, path_gap_days: float, half_life_days: float, each_of: str | None) -> pd.DataFrame:
    """One row a session, person by person: `path`, `channel`, `who`, `won`, `walked`, `age` in half-lives."""
    by_session = mine.assign(channel=mine["channel"].replace("", None)).groupby("session")
    visits = by_session.agg(
        who=("person", "first"),
        line=("line", "first"),
        channel=("channel", "first"),
        opens=("moment", "min"),
        left=("moment", "max"),
        row=("row", "min"),
        sold=("label", "last"),
    )
    visits["sold"] = visits["sold"].eq(CONVERSION)
    visits = visits.assign(
        who=visits["who"].fillna(visits["line"].astype(str)), channel=visits["channel"].fillna(UNKNOWN)
    )
    visits = visits.sort_values(["who", "opens", "row"])
    again = visits["who"].eq(visits["who"].shift())
    away = (visits["opens"] - visits["left"].shift()).dt.total_seconds() > path_gap_days * 86_400
    visits["path"] = (~again | away | visits["sold"].shift(fill_value=False)).cumsum()
    by_path = visits.groupby("path")
    age = (by_path["opens"].transform("max") - visits["opens"]).dt.total_seconds() / 86_400 / half_life_days
    if mine["moment"].eq(pd.Timestamp(0)).all():  # no times: each touch further back
        age = by_path.cumcount(ascending=False)
    visits["won"] = mine["label"].isin([CONVERSION, each_of or CONVERSION]).groupby(mine["session"]).sum()
    won = visits.groupby("path")["won"].transform("sum")
    return visits.assign(won=won, walked=won.clip(lower=1), age=age)


def _touches_of_paths(rows: pd.DataFrame, separator: str) -> pd.DataFrame:
    told = rows.assign(channel=[parts_by_hand(path, separator) for path in rows["path"]], path=rows["row"])
    told = told.explode("channel", ignore_index=True).astype({"conversions": float, "nulls": float})
    age = told.groupby("path").cumcount(ascending=False)
    return told.assign(
        who=told["row"], won=told["conversions"], walked=told["conversions"] + told["nulls"], age=age
    )


def _shares(touches: pd.DataFrame) -> dict[str, pd.Series]:
    """Share of its path's conversion that each touch is given, by rule."""
    by_path = touches.groupby("path")
    n, place = by_path["channel"].transform("size"), by_path.cumcount()
    fresh = 0.5 ** touches["age"].clip(upper=30)
    new = (~touches.duplicated(["path", "channel"])).astype(float)
    ends = (place == 0) | (place == n - 1)
    between = 0.2 / (n - 2).clip(lower=1)
    return {
        "last_touch": (place == n - 1).astype(float),
        "first_touch": (place == 0).astype(float),
        "linear": 1 / n,
        "time_decay": fresh / fresh.groupby(touches["path"]).transform("sum"),
        "position": between.mask(ends, 0.4).mask(n == 2, 0.5).mask(n == 1, 1.0),
        "shapley": new / new.groupby(touches["path"]).transform("sum"),
    }


def _removal_error(paths: ChannelPaths, found: Attribution) -> float:
    """Removal effects by each chain, each channel's rows cut and all its visits sent to exit."""
    worst = 0.0
    for order, steps in paths.counts.items():
        method = "markov_removal" if order == 1 else f"markov_removal_{order}"
        told = found.table[found.table["method"] == method].set_index("channel")
        counts = crossed(steps)
        p = counts.div(counts.sum(axis=1), axis=0)
        last = p.index.str.rpartition(MARK).get_level_values(2) if order > 1 else p.index
        own = pd.Series(
            {channel: 1 - solved(p[last != channel])[START] / solved(p)[START] for channel in told.index}
        )
        off = max((told["removal_effect"] - own).abs().max(), (told["share"] - own / own.sum()).abs().max())
        worst = max(worst, float(off))
    return worst


def _states_off(touches: pd.DataFrame, paths: ChannelPaths) -> float:
    """Greatest difference of the steps of the chain of the highest order, from the touches."""
    order, path, state = max(paths.counts), touches["path"], touches["channel"]
    for back in range(1, order):
        state = (touches.groupby("path")["channel"].shift(back) + MARK).fillna("") + state
    before, last = state.groupby(path).shift().fillna(START), ~path.duplicated(keep="last")
    ends = {CONVERSION: touches["won"], EXIT: touches["walked"] - touches["won"]}
    own = [pd.DataFrame({"source": before, "target": state, "n": touches["walked"]})]
    own += [pd.DataFrame({"source": state[last], "target": end, "n": n[last]}) for end, n in ends.items()]
    return apart(crossed(paths.counts[order]), crossed(pd.concat(own)))


def _removal_width(paths: ChannelPaths, found: Attribution, *, of: str) -> float:
    """Mean width of the intervals of removal effects, or their shares, over that by a jackknife of people."""
    told, steps = found.table[found.table["method"] == "markov_removal"].set_index("channel"), paths.counts[1]
    whole = crossed(steps)
    whole = whole.reindex(columns=[*whole.index, CONVERSION, EXIT], fill_value=0)
    block = pd.factorize(steps["group"])[0] % N_BLOCKS
    left = np.repeat(whole.to_numpy(dtype=float)[None], block.max() + 1, axis=0)
    place = whole.index.get_indexer(steps["source"]), whole.columns.get_indexer(steps["target"])
    np.subtract.at(left, (block, *place), steps["n"].to_numpy(dtype=float))
    p, k = left / np.maximum(left.sum(axis=2, keepdims=True), 1), len(whole)
    kept = [np.ones((k, 1)), *(whole.index.to_numpy()[:, None] != channel for channel in told.index)]
    chance = [np.linalg.solve(np.eye(k) - (p * rows)[..., :k], (p * rows)[..., [k]]) for rows in kept]
    at_start = np.array(chance)[:, :, whole.index.get_loc(START), 0]
    effect = 1 - at_start[1:] / at_start[0]
    error = (effect / (effect.sum(axis=0) if of == "share" else 1)).std(axis=1) * np.sqrt(len(left) - 1)
    width = (told[f"{of}_high"] - told[f"{of}_low"]) / (2 * 1.96)
    often = (error > 0) & (told["credit"] >= OFTEN)
    return float((width[often] / error[often]).mean())


def _width(touches: pd.DataFrame, share: pd.Series, found: Attribution, *, rule: str) -> float:
    """Mean width of the intervals of a rule's credit, over that by the delta method; NaN where none is due."""
    told = found.table[found.table["method"] == rule].set_index("channel")
    credit = (share * touches["won"]).groupby([touches["who"], touches["channel"]]).sum().unstack(fill_value=0.0)
    total = credit.sum(axis=1)
    moves = credit - np.outer(total, credit.sum() / total.sum())
    square = moves**2
    if "conversions" in touches:  # paths: each conversion is drawn for itself
        square = square.div(total.where(total > 0, 1), axis=0)
    error = (np.sqrt(square.sum()) / total.sum()).reindex(told.index)
    width = (told["share_high"] - told["share_low"]) / (2 * 1.96 * error)
    return float(width[(error > 0) & (told["credit"] >= OFTEN)].mean())
