"""What rules decided, decided again by other roads: row by row in plain Python, recounts, a linear programme."""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd

from journeybook.datasets.expressions import find_column
from journeybook.decisions.carrying import Carried
from journeybook.decisions.rules import BEST, Rules
from journeybook.decisions.slots import FREE
from journeybook.sends import NO_CONTACT
from journeybook.tables import PURPOSES, Run, permitted_people

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]
_COMPARE = {"EQUAL": operator.eq, "NOTEQUAL": operator.ne, "LESSTHAN": operator.lt, "GREATERTHAN": operator.gt,
            "LESSTHANOREQUALTO": operator.le, "GREATERTHANOREQUALTO": operator.ge}  # fmt: skip
_FUNCTIONS: dict[str, Callable] = {
    "+": operator.add, "-": lambda *x: x[0] - x[1] if len(x) > 1 else -x[0], "*": operator.mul, "abs": abs,
    "/": lambda x, y: x / y if y else None, "lower": str.lower, "upper": str.upper, "||": lambda *x: "".join(x),
    "floor": math.floor, "ceil": math.ceil,
}  # fmt: skip
_OPERATORS = ("IS_NULL", "IS_NOT_NULL", "COALESCE", "IN", "NOT_IN", "NOT")


def rules_hold(run: Run, carried: Carried, asked: ibis.Table, *, n_rows: int = 200) -> pd.DataFrame:
    """Return how far decisions are off when they are made again; no row without decisions.

    `asked` are the contacts. Row by row, where Python knows every function that the rules
    use, of `n_rows` people in each slot, the rule that wins is found again in plain
    Python; consent is asked of the ledger as of the slot; caps, capacities, the lot and gains are counted again.
    """
    decided, people = carried.decided, carried.people
    if decided is None or people is None or carried.gains is None:
        return pd.DataFrame(columns=_COLUMNS)
    rules, table = decided.rules, decided.table
    sent = table[table["channel"] != NO_CONTACT]
    off = int(table.duplicated(["person_id", "slot"]).sum())
    n_people = people.table.person_id.nunique().to_pandas()
    off += abs(len(table) - n_people * len(rules.slots)) + int((table["reason"].str.len() == 0).sum())
    rows: list[tuple] = [("people with more or less than one decision a slot, or no reason", off, 0, 0, "recount")]
    if run.has_ledger:
        rows.append(("messages decided against the ledger at their moment", _unpermitted(run, sent), 0, 0,
                     "ledger as of each slot"))  # fmt: skip
    went = _intended(carried)
    rows.append(("messages decided beyond a cap", _over_caps(rules, went, asked), 0, 0, "recount by person"))
    rows.append(("messages decided beyond a capacity", _over_capacity(rules, went), 0, 0, "recount by rule"))
    rows.append(("people held out, or sent a message, against the lot", _lot_off(rules, table), 0, 0, "hashlib"))
    rows.append(("gain of messages, furthest off", _gains_off(carried), 0, 1e-9, "effect times worth less cost"))
    rows += _bound(carried)
    if not any(map(_unknown, trees_of(rules).values())):
        n_off, n_tried = _by_row(run, carried, went, asked, n_rows)
        rows.append(("rules that win otherwise row by row", n_off, 0, 0, f"{n_tried} decisions in plain Python"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def evaluate(tree: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """Return the value of a parsed DuckDB expression for one row, by SQL's three-valued logic (None is null).

    `tree` is a node as DuckDB's `json_serialize_sql` writes it.

    Raises:
        NotImplementedError: It holds what is not evaluated here.
    """
    kind, sort = tree["class"], tree["type"].removeprefix("COMPARE_").removeprefix("OPERATOR_")
    if kind == "CONSTANT":
        said = tree["literal"].get("text", "")
        return {"NULL_LITERAL": None, "STRING": said, "BOOLEAN": said == "true"}.get(
            tree["literal"]["kind"], float(said) if re.fullmatch(r"[\d.]+(e[+-]?\d+)?", said) else None
        )
    if kind == "COLUMN_REF":
        name = find_column(".".join(tree["column_names"]), [*row])
        return None if name is None else row[name]
    parts = [evaluate(part, row) for part in _parts(tree)]
    if kind == "CONJUNCTION":
        ends = sort.endswith("OR")
        return ends if ends in parts else None if None in parts else not ends
    if sort in ("IS_NULL", "IS_NOT_NULL"):
        return (parts[0] is None) == (sort == "IS_NULL")
    if sort == "COALESCE":
        return next((part for part in parts if part is not None), None)
    if sort in ("IN", "NOT_IN"):
        first, others = parts[0], parts[1:]
        found = None if first is None else True if first in others else None if None in others else False
        return found if sort == "IN" or found is None else not found
    if None in parts:
        return None
    if kind == "COMPARISON" and sort in _COMPARE:
        return _COMPARE[sort](*parts)
    if sort == "NOT":
        return not parts[0]
    if sort == "BETWEEN":
        return parts[1] <= parts[0] <= parts[2]
    if kind == "FUNCTION" and (made := _FUNCTIONS.get(tree["function_name"])):
        return made(*parts)
    raise NotImplementedError(tree.get("function_name") or tree["type"])


def parsed(text: str) -> dict[str, Any]:
    """Return DuckDB's tree of one expression."""
    with duckdb.connect(config={"temp_directory": ""}) as engine:
        (answer,) = engine.execute("SELECT json_serialize_sql(?)", [f"SELECT ({text})"]).fetchall()
    tree: dict[str, Any] = json.loads(answer[0])["statements"][0]["node"]["select_list"][0]
    return tree


def first_free(
    rules: Rules, trees: Mapping[str, Any], row: Mapping[str, Any], at: datetime, *, may: Mapping[str, bool],
    before: list[tuple[str, datetime]],
) -> str:  # fmt: skip
    """Return the name of the first rule that holds for one person and may act, or an empty text.

    `may` says which channels the person permits, `before` which messages were sent, by channel and time.
    """
    week = [channel for channel, moment in before if at - timedelta(days=7) <= moment < at]
    clock, holiday = f"{at:%H:%M}", f"{at:%Y-%m-%d}" in rules.holidays

    def opened(channel: str, *, lifted: bool) -> bool:
        begin, end = rules.quiet_hours.get(channel, ("00:00", "00:00"))
        quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
        full = week.count(channel) >= rules.caps.get(channel, math.inf) or len(week) >= rules.caps.get(
            "all", math.inf
        )
        return may[channel] and not quiet and (lifted or not full)

    for rule in rules.tried:
        texts = [text for text in (rule.when, rule.action.eligible) if text]
        if any(evaluate(trees[text], row) is not True for text in texts) or (holiday and not rule.override):
            continue
        used = [*may] if rule.action.name == BEST else [rule.action.channel]
        if any(opened(channel, lifted=rule.override) for channel in used):
            return rule.name
    return ""


def _parts(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if tree["class"] == "BETWEEN":
        return [tree["input"], tree["lower"], tree["upper"]]
    if tree["class"] == "FUNCTION":
        return [part["expression"] for part in tree["arguments"]]
    return [tree["left"], tree["right"]] if tree["class"] == "COMPARISON" else tree.get("children", [])


def trees_of(rules: Rules) -> dict[str, Any]:
    """Return the tree of every condition of rules, by its text."""
    return {text: parsed(text) for rule in rules.tried for text in (rule.when, rule.action.eligible) if text}


def _unknown(tree: Mapping[str, Any]) -> bool:
    """Whether an expression holds what `evaluate` does not know."""
    sort = tree["type"].removeprefix("COMPARE_").removeprefix("OPERATOR_")
    sorts = {"COMPARISON": _COMPARE, "OPERATOR": _OPERATORS, "BETWEEN": ("BETWEEN",)}
    known = tree["class"] in ("CONSTANT", "COLUMN_REF", "CONJUNCTION") or sort in sorts.get(tree["class"], ())
    known |= tree["class"] == "FUNCTION" and tree["function_name"] in _FUNCTIONS
    return not known or any(map(_unknown, _parts(tree) if tree["class"] not in ("CONSTANT", "COLUMN_REF") else ()))


def _by_row(run: Run, carried: Carried, went: pd.DataFrame, asked: ibis.Table, n_rows: int) -> tuple[int, int]:
    """How many of some people a rule wins for that does not in plain Python, and how many are tried."""
    decided, people = carried.decided, carried.people
    assert decided is not None and people is not None
    rules, n_off, n_tried = decided.rules, 0, 0
    trees = trees_of(rules)
    whole = people.table.order_by("row").to_pandas()
    some = whole.iloc[np.unique(np.linspace(0, len(whole) - 1, n_rows).astype(int))]
    known: list[dict[str, Any]] = [
        {str(k): None if v is None or v != v else v for k, v in row.items()} for row in some.to_dict("records")
    ]
    before: dict[str, list[tuple[str, datetime]]] = {row["person_id"]: [] for row in known}
    past = _past(asked)
    for each in pd.concat([past, went])[["person_id", "channel", "occurred_at"]].itertuples(index=False):
        if each.person_id in before:
            before[each.person_id].append((each.channel, each.occurred_at.to_pydatetime()))
    for slot, at in rules.slots.items():
        may = {c: _permitted(run, c, at, some["person_id"]) for c in decided.channels}
        now = decided.table[decided.table["slot"] == slot]
        told = dict(zip(now["person_id"], now["rule"], strict=True))
        for row in known:
            who = row["person_id"]
            row |= {
                "slot": slot,
                "hour": at.hour,
                "weekday": f"{at:%A}",
                "holiday": f"{at:%Y-%m-%d}" in rules.holidays,
            }
            allowed = {c: who in people_of for c, people_of in may.items()}
            won = first_free(rules, trees, row, at, may=allowed, before=before[who])
            n_off, n_tried = n_off + (won != told.get(who)), n_tried + 1
    return n_off, n_tried


def _permitted(run: Run, channel: str, at: datetime, people: pd.Series) -> set[str]:
    """Who of some people permits a channel at a moment, all of them without a ledger."""
    if not run.has_ledger:
        return set(people)
    purpose = f"marketing_{channel}"
    if purpose not in PURPOSES:
        return set()
    return set(permitted_people(run, purpose=purpose, as_of=at, among=people).person_id.to_pandas())


def _unpermitted(run: Run, sent: pd.DataFrame) -> int:
    off = 0
    for (channel, at), rows in sent.groupby(["channel", "occurred_at"]):
        off += int(
            (~rows["person_id"].isin(_permitted(run, channel, at.to_pydatetime(), rows["person_id"]))).sum()
        )
    return off


def _intended(carried: Carried) -> pd.DataFrame:
    """What would be sent but for the lot: `person_id`, `channel`, `occurred_at`, `slot`, `rule`."""
    decided = carried.decided
    assert decided is not None
    to = np.concatenate([decided.intended[slot] for slot in decided.rules.slots])
    went = decided.table[["person_id", "occurred_at", "slot", "rule"]]
    went = went.assign(channel=np.array([*decided.channels, NO_CONTACT], dtype=object)[to])
    return went[went["channel"] != NO_CONTACT]


def _past(asked: ibis.Table) -> pd.DataFrame:
    if not {"person_id", "channel", "occurred_at"} <= set(asked.columns):
        return pd.DataFrame(columns=["person_id", "channel", "occurred_at"])
    return asked.filter(asked.channel != NO_CONTACT).select("person_id", "channel", "occurred_at").to_pandas()


def _over_caps(rules: Rules, went: pd.DataFrame, asked: ibis.Table) -> int:
    lifted = {rule.name for rule in rules.tried if rule.override}
    every = pd.concat([_past(asked), went])
    off = 0
    for at in rules.slots.values():
        week = every[every["occurred_at"].between(at - timedelta(days=7), at)]
        now = week[(week["occurred_at"] == at) & week["rule"].notna() & ~week["rule"].isin(lifted)]
        n_all = week.groupby("person_id").size()
        off += int((now["person_id"].map(n_all) > rules.caps.get("all", math.inf)).sum())
        for channel, rows in now.groupby("channel"):
            n = week[week["channel"] == channel].groupby("person_id").size()
            off += int((rows["person_id"].map(n) > rules.caps.get(channel, math.inf)).sum())
    return off


def _over_capacity(rules: Rules, went: pd.DataFrame) -> int:
    off = 0
    for (_, channel), rows in went.groupby(["slot", "channel"]):
        so_far = 0
        for rule in rules.tried:
            n = int((rows["rule"] == rule.name).sum())
            so_far += n
            if n and not rule.override:
                off += max(0, so_far - rules.capacity.get(channel, so_far))
    return off


def _lot_off(rules: Rules, table: pd.DataFrame) -> int:
    border = f"{math.floor(rules.holdout * 2**32):08x}"
    drawn = {
        who: sha256(f"decisions: hold-out: {who}".encode()).hexdigest()[:8] < border
        for who in set(table["person_id"])
    }
    lot = table["person_id"].map(drawn)
    return int((lot != table["holdout"]).sum() + (lot & (table["channel"] != NO_CONTACT)).sum())


def _gains_off(carried: Carried) -> float:
    decided, gains = carried.decided, carried.gains
    assert decided is not None and gains is not None and carried.people is not None
    told = {(row.group, row.channel): row for row in gains.effects.itertuples()}
    price = dict(zip(gains.channels, gains.cost, strict=True))
    of = {}
    names = ["all", *[name for name in dict.fromkeys(gains.effects["group"]) if name != "all"]]
    persons = carried.people.table.order_by("row").select("person_id").to_pandas()["person_id"]
    for who, group, worth in zip(persons, gains.group, gains.worth, strict=True):
        of[who] = (names[group] if group < len(names) else "all", worth)
    off = 0.0
    for row in decided.table.itertuples():
        due: tuple[float, ...] = (0.0, 0.0, 0.0)
        if row.channel != NO_CONTACT:
            group, worth = of[row.person_id]
            found = told.get((group, row.channel))
            ends = (found.effect, found.low, found.high) if found else (math.nan,) * 3
            due = tuple(worth * end - price[row.channel] for end in ends)
        for said, end in zip((row.expected_gain, row.low, row.high), due, strict=True):
            off = max(
                off,
                0.0 if said != said and end != end else abs(said - end) if said == said and end == end else 9.0,
            )
    return off


def _bound(carried: Carried) -> list[tuple]:
    """The gain of what `best` chose in each slot, beside the most that a linear programme allows."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, vstack

    decided, gains = carried.decided, carried.gains
    assert decided is not None and gains is not None
    rules, channels, worst, n = decided.rules, decided.channels, 0.0, 0
    best = [place for place, rule in enumerate(rules.tried) if rule.action.name == BEST]
    if len(best) != 1 or rules.budget is not None or gains.effects.empty:
        return []
    for slot in rules.slots:
        state, to = decided.states[slot], decided.intended[slot]
        mine = np.flatnonzero((state[:, best[0]] == FREE) & ~(state[:, : best[0]] == FREE).any(axis=1))
        if not len(mine) or len(mine) > 5_000:
            continue
        gain = np.where(decided.free[slot][mine], gains.matrix(mine), -1.0)
        at, by = np.nonzero(gain > 0)
        if not len(at):
            n += int((to[mine] < len(channels)).sum())
            worst = max(worst, float((to[mine] < len(channels)).any()))
            continue
        earlier = (state[:, : best[0]] == FREE).any(axis=1)
        one = csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=(len(mine), len(at)))
        limits, most = [one], [np.ones(len(mine))]
        for name, bound in rules.capacity.items():
            place = channels.index(name)
            limits.append(csr_array((by == place).astype(float)[None, :]))
            most.append(np.array([max(0, bound - int((to[earlier] == place).sum()))]))
        found = linprog(-gain[at, by], A_ub=vstack(limits), b_ub=np.concatenate(most), bounds=(0, 1))
        got = to[mine] < len(channels)
        worst = max(worst, 1 - gain[got, to[mine][got]].sum() / max(-found.fun, 1e-9))
        n += len(mine)
    name = "gain that the best choice leaves, share of what is possible"
    return [(name, worst, 0, 1e-3, f"linear programme, {n:,} people one by one")] if n else []
