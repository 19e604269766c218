"""The page's figures by another road: sums over the tables as read, closed forms, simulation, planted truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.impact.cases import CASES, KINDS
from journeybook.impact.goals import Goal
from journeybook.impact.increments import Z
from journeybook.impact.returns import Balance

Planted = Mapping[tuple[str, str], float]


def increments_hold(
    effects: pd.DataFrame,
    contacts: pd.DataFrame,
    comparisons: pd.DataFrame,
    overlapping: pd.DataFrame,
    planted: Planted,
) -> pd.DataFrame:
    """Hold-outs by weighted means and a jackknife, tests as page 11 told them, shared units cell by cell.

    Where the data are simulated, effects lie within four standard errors of what was planted.
    """
    rows: list[dict] = []
    for row in effects.itertuples():
        source, _, change = row.source.partition(": ")
        if source == "comparisons":
            told = comparisons[(comparisons["metric"] == row.metric) & (comparisons["variant"] == change)].iloc[0]
            effect, error, road = told["effect"], (told["effect_high"] - told["effect_low"]) / 2 / Z, "page 11"
        elif change:
            effect, error, road = *_by_cells(overlapping, row.metric, change), "mean and variance of each cell"
        else:
            effect, error, road = *_by_jackknife(contacts, row.metric), "numpy.average; jackknife of people"
        name = f"{row.source} on {row.metric}"
        rows.append(_row(name, row.effect, effect, 1e-9 * max(1, abs(effect)), road))
        rows.append(_row(f"error of {name}", row.standard_error, error, (1e-9 if change else 0.03) * error, road))
        if (row.source, row.metric) in planted:
            true, near = planted[row.source, row.metric], 4 * row.standard_error
            rows.append(_row(f"planted {name}", row.effect, true, near, "planted; four standard errors"))
    return pd.DataFrame(rows)


def impact_holds(table: pd.DataFrame, effects: pd.DataFrame, goals: Sequence[Goal]) -> pd.DataFrame:
    """Money once more from effects and units, for those that stand for all; targets by the ends themselves."""
    money = wrong = 0.0
    for goal in goals:
        of = effects[effects["metric"] == goal.metric]
        whole = of["source"].str.contains("^contacts|^comparisons|: together$")
        units = of["n"].where(of["source"] == "contacts", of["reached"])
        money += np.nan_to_num((of["effect"] * units * goal.worth)[whole].sum())
        status = table[table["goal"] == goal.name].set_index("source")["status"]
        for row in of[whole].itertuples():
            up = goal.target > goal.baseline
            surely, never = (row.low, row.high) if up else (-row.high, -row.low)
            asked = abs(goal.target - goal.baseline)
            due = "target reached" if surely >= asked else "target missed" if never < asked else "cannot be told"
            wrong += status[row.source] not in (due, "guardrail broken")
    rows = [_row("money of all rows", np.nansum(table["value"]), money, 1e-6 * (1 + abs(money)), "goal by goal")]
    return pd.DataFrame([*rows, _row("rows with another status by hand", wrong, 0, 0, "ends beside the target")])


def cases_hold(
    found: pd.DataFrame, null: pd.DataFrame, *, power: float, lifts: Mapping[str, float]
) -> pd.DataFrame:
    """Gains beside what was planted, that beside its closed form, sizes by the normal formula, and null worlds."""
    rows, z2 = [], (stats.norm.isf(0.025) + stats.norm.ppf(power)) ** 2
    for row in found.itertuples():
        name, error = f"{row.case}, {row.outcome}", (row.high - row.low) / 2 / Z
        rows.append(_row(f"gain of {name}", row.gain, row.planted, 4 * error, "planted; four standard errors"))
        exact, most = _expected(row.case, row.outcome, lifts[row.case])
        near = 2 * most / row.n**0.5 + 1e-12
        rows.append(
            _row(f"planted gain of {name}", row.planted, exact, near, "closed form; four errors of sampling")
        )
        if np.isfinite(row.needed):
            n = z2 * error**2 * row.n / row.planted**2
            rows.append(_row(f"people for {name}", row.needed, n, 0.01 * n + 8, "normal formula on Welch's error"))
    for row in null.itertuples():
        source, near = f"{row.n_worlds:,} worlds; four Monte Carlo errors", 4 * (0.05 * 0.95 / row.n_worlds) ** 0.5
        rows.append(_row(f"null worlds called, {row.case}", row.called, 0.05, near, source))
    return pd.DataFrame(rows)


def returns_hold(found: Balance, contacts: pd.DataFrame, *, prices: Mapping[str, float | None]) -> pd.DataFrame:
    """Gain and costs from the rows of the contacts themselves, message by message."""
    known, gained = _known(contacts), np.nan
    sent = known[known["channel"] != "none"]
    if found.gained[0] == found.gained[0]:
        value, weight = (
            known["value"].astype(float),
            (known["channel"] == "none") / known["propensity"].astype(float),
        )
        gained = (value - np.average(value, weights=weight)).sum() * (prices["margin"] or 1)
    each, discount, hours, hour = ([*prices.values()][k] or 0.0 for k in range(4))
    spent = sum(each + discount * bool(responded) for responded in sent["responded"]) + hours * hour
    rows = [_row("costs that are known", found.spent, spent, 1e-6 * (1 + spent), "message by message")]
    if gained == gained:
        most = (gained - spent) / len(sent)
        rows.append(_row("break-even of a message", found.per_message[0], most, 1e-9 * abs(most), "row by row"))
    return pd.DataFrame(rows)


def winners_hold(programmes: pd.DataFrame, months: pd.DataFrame, *, n_tests: int, spread: float) -> pd.DataFrame:
    """What luck adds in closed form, sums without luck beside the truth, and months shrunk by hand."""
    told, rows = programmes.set_index("way"), []
    # What is reported is N(0, 1 + spread^2), and of it the share 1 / (1 + spread^2) is luck.
    sd = (1 + spread**2) ** 0.5
    reported = n_tests * sd * stats.norm.pdf(Z / sd)
    true = reported * spread**2 / sd**2
    for name, value, exact in (("reported", "total", reported), ("true", "truth", true)):
        near = 5 * told.loc["reported", "error"] + 0.02 * exact
        rows.append(_row(f"sum of {name} effects", told.loc["reported", value], exact, near, "truncated normal"))
    for way, bias in (("holdback", 0.0), ("shrunk", 4 * sd**2 / spread**2 / n_tests)):
        off, near = told.loc[way, "total"] - told.loc[way, "truth"], 4 * told.loc[way, "error"] + bias * true
        source = "planted; four Monte Carlo errors" + ", spread estimated" * (way == "shrunk")
        rows.append(_row(f"{way} sum off the truth", off, 0, near, source))
    if len(months):
        x, error = months["effect"].to_numpy(), months["standard_error"].to_numpy()
        weight = error**-2 / (error**-2).sum()
        q = ((x - weight @ x) ** 2 / error**2).sum()
        between = max(0.0, (q - len(x) + 1) / ((error**-2).sum() * (1 - weight @ weight)))
        middle = np.average(x, weights=1 / (error**2 + between))
        by_hand = [(e * between + middle * s**2) / (between + s**2) for e, s in zip(x, error, strict=True)]
        off = float(np.abs(months["shrunk"] - by_hand).max())
        rows.append(_row("shrunk months, furthest off", off, 0, 1e-9 * abs(x).max(), "posterior means by hand"))
    return pd.DataFrame(rows)


def claims_hold(scored: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Honest claims hold at their level, others as often as the closed form says; each scored claim by hand."""
    told, rows, wrong = simulated.set_index("kind"), [], 0
    for kind, level in (("all reported", 0.95), ("intervals half as wide", 1 - 2 * stats.norm.sf(Z / 2))):
        n = told.loc[kind, "n"]
        near = 4 * (level * (1 - level) / n) ** 0.5
        rows.append(
            _row(f"share held, {kind}", told.loc[kind, "held"] / n, level, near, "closed form; four errors")
        )
    for row in scored.itertuples():
        ends = ((row.low, row.value, row.high), (row.later_low, row.later, row.later_high))
        lower, upper = sorted(ends, key=lambda one: one[1])
        arms = (upper[1] - upper[0]) ** 2 + (lower[2] - lower[1]) ** 2
        wrong += row.held != bool((upper[1] - lower[1]) ** 2 <= arms)
    rows.append(_row("claims scored otherwise by hand", wrong, 0, 0, "the arms between the two estimates"))
    return pd.DataFrame(rows)


def planted_effects(
    effects: pd.DataFrame, contacts: pd.DataFrame, *, logged: pd.DataFrame | None, tests: pd.DataFrame | None
) -> dict[tuple[str, str], float]:
    """Return what was planted, by source and metric; nothing where the data are not simulated.

    Of messages it is known of responses alone: what each decision's planted probabilities come to, channels as
    likely as they were. Comparisons, which may adjust for covariates, are left to page 11.
    """
    found: dict[tuple[str, str], float] = {}
    for row in effects.itertuples():
        source, _, change = row.source.partition(": ")
        if row.source == "contacts" and row.metric == "responded" and logged is not None:
            known = logged.set_index("contact_id").loc[_known(contacts)["contact_id"]]
            ways = [name.removeprefix("propensity_") for name in known if name.startswith("propensity_")]
            sent = sum(known[f"propensity_{way}"] * known[f"probability_{way}"] for way in ways)
            found[row.source, row.metric] = float((sent - known["probability_none"]).mean())
        elif source not in ("contacts", "comparisons") and tests is not None:
            of = tests[
                (tests["experiment"] == source) & (tests["group"] == "all") & (tests["metric"] == row.metric)
            ]
            known = of.set_index("variant")["effect"].astype(float)
            every = max(known.index, key=lambda one: one.count("+"), default="")
            told = {"together": known.get(every), "added up": known.reindex(every.split("+")).sum()}
            told["counted twice"] = told["added up"] - known.get(every, np.nan)
            true = told.get(change, known.get(change, np.nan))
            found |= {(row.source, row.metric): float(true)} if np.isfinite(true) else {}
    return found


def _row(name: str, value: float, reference: float, tolerance: float, source: str) -> dict[str, Any]:
    figures = {"value": float(value), "reference": float(reference), "tolerance": float(tolerance)}
    return {"name": name.replace("_", " "), **figures, "source": source}


def _known(contacts: pd.DataFrame) -> pd.DataFrame:
    """The contacts to which nothing might have been sent, straight from the table."""
    if not {"propensity", "channel"} <= {*contacts}:
        return pd.DataFrame({"channel": [], "responded": []})
    chance = contacts["propensity"].astype(float)
    return contacts[((chance > 0) & (chance < 1)) | ((chance == 1) & (contacts["channel"] == "none"))]


def _by_jackknife(contacts: pd.DataFrame, metric: str) -> tuple[float, float]:
    """What messages add, by two weighted means, and its error by leaving out one person at a time."""
    known = _known(contacts)
    known = known[known[metric].notna()]
    y, none = known[metric].to_numpy(dtype=float), (known["channel"] == "none").to_numpy()
    weight = np.where(none, 1 / known["propensity"].to_numpy(dtype=float), 0)
    nobody = pd.Series([f"row {row}" for row in known["row"]], index=known.index)
    who = (
        known["person_id"].astype("object").where(known["person_id"].notna(), nobody)
        if "person_id" in known
        else nobody
    )
    parts = (
        pd.DataFrame({"n": 1.0, "y": y, "w": weight, "wy": weight * y}).groupby(who.to_numpy(), sort=False).sum()
    )
    rest = parts.sum() - parts
    without = (rest["y"] / rest["n"] - rest["wy"] / rest["w"]).to_numpy()
    error = ((len(without) - 1) * without.var()) ** 0.5
    return float(y.mean() - np.average(y, weights=weight)), float(error)


def _by_cells(units: pd.DataFrame, metric: str, way: str) -> tuple[float, float]:
    """Effect and error of tests on the same units, from the mean and variance of each cell."""
    cells = units.groupby(units["variant"].astype(str))[metric].agg(["mean", "var", "count"]).astype(float)
    every = max(cells.index, key=lambda one: one.count("+"))
    changes = [part.strip() for part in every.split("+")]
    none = next(one for one in cells.index if not {part.strip() for part in one.split("+")} & {*changes})
    added, joint = (pd.Series(1.0, index=of).reindex(cells.index, fill_value=0) for of in (changes, [every]))
    ways = {"added up": added, "together": joint, "counted twice": added - joint}
    weight = ways[way] if way in ways else (cells.index == way).astype(float)
    weight = pd.Series(weight, index=cells.index) - (cells.index == none) * float(np.sum(weight))
    return float(weight @ cells["mean"]), float(weight**2 @ (cells["var"] / cells["count"])) ** 0.5


def _expected(name: str, outcome: str, lift: float) -> tuple[float, float]:
    """The gain expected of a case's outcome, by kinds and whether they are known; the most one person gains."""
    case, gain, most = CASES[name], 0.0, 0.0
    steps = [*case.steps]
    for step in steps if outcome == "in all" else [outcome]:
        group = steps[: steps.index(step) + 1] if case.funnel else [step]
        suited = float(np.prod([case.steps[one] for one in group])) * ((1 + lift) ** len(group) - 1)
        right = case.right[min(steps.index(step), len(case.right) - 1)]
        gain += suited * float(KINDS[0] + (1 - KINDS[0]) * right - KINDS[0] * case.window)
        most += suited
    return gain, most
