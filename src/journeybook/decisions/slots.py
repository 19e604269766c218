"""Rules carried out: one action a person and slot, or none, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from journeybook.datasets.notation import column_name, quoted
from journeybook.decisions.gains import Gains, assign
from journeybook.decisions.people import People
from journeybook.decisions.rules import BEST, FALLBACK, Rule, Rules
from journeybook.sends import NO_CONTACT
from journeybook.tables import in_sample

NOT_MET, FREE, NOT_ELIGIBLE, NO_CONSENT, QUIET, HOLIDAY, CAPPED = range(7)
"""What became of a rule for a person, before capacity and budget."""

_LOST = {NOT_ELIGIBLE: "not eligible", NO_CONSENT: "no consent", QUIET: "quiet hours", HOLIDAY: "holiday",
         CAPPED: "cap reached"}  # fmt: skip
_SENT, _NO_RULE, _CAPACITY, _BUDGET, _LIMITS, _NO_GAIN = range(6)
_NONE = {
    _NO_RULE: "None: no rule may send anything.",
    _CAPACITY: "None: {} came after capacity was used up.",
    _BUDGET: "None: {} came after the budget was used up.",
    _LIMITS: "None: capacity or budget of {} went to greater gains.",
    _NO_GAIN: "None: no message open to {} gains.",
}
_LOT = "decisions"

Permitted = Mapping[str, Mapping[str, np.ndarray]]
"""By slot and channel whether each person permits it, shape (n,) each."""


@dataclass(frozen=True, eq=False)
class Decided:
    """What is decided for n people in each slot.

    Attributes:
        rules: The rules, bound to the people's columns.
        channels: Channels that may be used.
        table: One row a slot and person, in this order: `row`, `person_id`, `slot`, `occurred_at` (its time),
            `action` and `channel` (`none` where nothing is sent), `content`, `rule` (that won; empty for none),
            `rule_version`, `reason`, `expected_gain`, `low` and `high` (of sending over not; 0 for none, NaN where
            effects cannot be told), `holdout` (left without by lot).
        intended: Place in `channels` of what would be sent but for the lot, `len(channels)` for nothing, by slot.
        states: What became of each rule, by slot, shape (n, rules): see `NOT_MET` and those after it.
        free: Whether each channel is open, by slot, shape (n, channels).
    """

    rules: Rules
    channels: tuple[str, ...]
    table: pd.DataFrame
    intended: Mapping[str, np.ndarray]
    states: Mapping[str, np.ndarray]
    free: Mapping[str, np.ndarray]


def decide_slots(rules: Rules, people: People, gains: Gains, *, permitted: Permitted | None) -> Decided:
    """Decide for everyone in every slot, in order of time.

    Rules are tried in their order; the first that holds and whose action may be taken wins. It may not be taken
    where the person does not permit the channel at the moment of the slot, is not eligible, in quiet hours, on a
    holiday, or where messages of the 7 days before (those decided in earlier slots among them) reach a cap. Places
    within capacity and budget go by rule, then by lot; whoever comes too late gets nothing in that slot, and
    `best` sends nothing that does not gain. People drawn by the lot of the hold-out take up places like anybody,
    so that they are like those who are sent a message, and are sent nothing. The lot is the same for every
    version.
    """
    table, channels, tables = people.table, gains.channels, []
    states, intended, opened = {}, {}, {}
    engine = table.get_backend().con
    lots = table.select(
        "row",
        held=in_sample(table.person_id, table.row, share=rules.holdout, name=f"{_LOT}: hold-out")
        & (rules.holdout > 0),
        turn=(f"{_LOT}: turn " + table.person_id).hexdigest("sha256").substr(0, 15),
    )
    drawn = lots.order_by("row").to_pandas()
    held, turn = drawn["held"].to_numpy(dtype=bool), drawn["turn"].rank(method="first").to_numpy()
    persons = table.order_by("row").select("person_id").to_pandas()["person_id"]
    sent = new_messages(people)
    for slot, at in rules.slots.items():
        may = {name: np.ones(len(persons), dtype=bool) for name in channels} | dict(
            (permitted or {}).get(slot, {})
        )
        state, free, content = rule_states(
            rules, people, channels, slot=slot, moment=f"TIMESTAMP '{at}'", permitted=may, sent=sent
        )
        winner, channel, outcome = _choose(rules, state, free, gains, turn, channels)
        states[slot], intended[slot], opened[slot] = state, channel, free
        going = np.flatnonzero(channel < len(channels))
        by = pd.array([*channels], dtype="str").take(channel[going])
        engine.register("decided_now", pd.DataFrame({"row": going + 1, "channel": by}))
        engine.execute(
            f"INSERT INTO {sent} SELECT p.person_id, d.channel, TIMESTAMP '{at}' FROM {table.get_name()} p "
            "JOIN decided_now d USING (row)"
        )
        engine.unregister("decided_now")
        tables.append(
            _rows(rules, channels, slot, at, persons, winner, channel, outcome, state, content, held, gains)
        )
    engine.execute(f"DROP TABLE {sent}")
    whole = pd.concat(tables, ignore_index=True)
    return Decided(rules, channels, whole.assign(row=np.arange(1, len(whole) + 1)), intended, states, opened)


def rule_states(
    rules: Rules, people: People, channels: Sequence[str], *, slot: str, moment: str,
    permitted: Mapping[str, np.ndarray], sent: str,
) -> tuple[np.ndarray, np.ndarray, pd.Series]:  # fmt: skip
    """Return what becomes of each rule for each person, by one query over all people.

    Args:
        rules: Bound rules.
        people: Whom they are tried on.
        channels: Channels that may be used, c of them.
        slot: Name of the slot, for expressions that read it.
        moment: Its time in SQL, a literal or a column of the people.
        permitted: By channel whether each person permits it, shape (n,).
        sent: Name of the engine's table of messages sent before.

    Returns:
        States, shape (n, rules); whether each channel is open, shape (n, c); content of the first free rule, (n,).
    """
    engine, table = people.table.get_backend().con, people.table.get_name()
    n = len(next(iter(permitted.values()), []))
    may = pd.DataFrame({"row": np.arange(1, n + 1)} | {f"may {name}": permitted[name] for name in channels})
    days = ", ".join(f"DATE '{day}'" for day in rules.holidays)
    closed = f"CAST({moment} AS DATE) IN ({days})" if days else "false"
    counts = "".join(f", count(*) FILTER (channel = {quoted(c)}) AS {column_name(f'n {c}')}" for c in channels)
    each = {c: (f"{column_name(f'may {c}')}", _quiet(rules, c), _full(rules, c)) for c in channels}
    flags = "".join(f", {may_c} AND NOT {quiet} AND NOT {full} AS {column_name(f'open {c}')}"
                    for c, (may_c, quiet, full) in each.items())  # fmt: skip
    cases = [_case(rules, rule, each, channels) for rule in rules.tried]
    names = [column_name(f"state {place}") for place in range(len(cases))]
    content = " ".join(
        f"WHEN {name} = {FREE} THEN coalesce({rules.sql.get((rule.action.name, 'content'), 'NULL')}, "
        f"{quoted(rule.action.fallback)})"
        for name, rule in zip(names, rules.tried, strict=True)
    )
    query = f"""
        WITH asked AS (
            SELECT *, {moment} AS " moment", {quoted(slot)} AS slot, hour({moment}) AS hour,
                dayname({moment}) AS weekday, {closed} AS holiday
            FROM {table}
        ), before AS (
            SELECT a.row, count(*) AS " n"{counts} FROM asked a JOIN {sent} s ON s.person_id = a.person_id
                AND s.occurred_at < a." moment" AND s.occurred_at >= a." moment" - INTERVAL 7 DAY GROUP BY a.row
        ), tried AS (
            SELECT a.*{flags}, {", ".join(f"{case} AS {name}" for case, name in zip(cases, names, strict=True))}
            FROM asked a JOIN permitted_now m USING (row) LEFT JOIN before USING (row)
        )
        SELECT {", ".join(f"{name}::TINYINT AS {name}" for name in names)},
            {", ".join(column_name(f"open {c}") for c in channels)}, CASE {content} END AS content
        FROM tried ORDER BY row"""
    engine.register("permitted_now", may)
    found = engine.sql(query).to_arrow_table()
    engine.unregister("permitted_now")
    states = np.column_stack([found.column(i).to_numpy() for i in range(len(cases))])
    free = np.column_stack([found.column(len(cases) + i).to_numpy() for i in range(len(channels))])
    return states, free, found.column(found.num_columns - 1).to_pandas().astype("str").fillna("")


def _case(rules: Rules, rule: Rule, each: Mapping[str, tuple[str, str, str]], channels: Sequence[str]) -> str:
    """The state of one rule in SQL; consent comes before all else."""
    used = [rule.action.channel] if rule.action.name != BEST else [*channels]
    none_may = " AND ".join(f"NOT {each[c][0]}" for c in used)
    none_awake = " AND ".join(f"NOT ({each[c][0]} AND NOT {each[c][1]})" for c in used)
    none_open = " AND ".join(f"NOT ({each[c][0]} AND NOT {each[c][1]} AND NOT {each[c][2]})" for c in used)
    lifted = "false" if rule.override else "true"
    return (
        f"CASE WHEN NOT {rules.sql[rule.name, 'when']} THEN {NOT_MET} WHEN {none_may} THEN {NO_CONSENT} "
        f"WHEN NOT {rules.sql.get((rule.action.name, 'eligible'), 'true')} THEN {NOT_ELIGIBLE} "
        f"WHEN {none_awake} THEN {QUIET} WHEN {lifted} AND holiday THEN {HOLIDAY} "
        f"WHEN {lifted} AND {none_open} THEN {CAPPED} ELSE {FREE} END"
    )


def _quiet(rules: Rules, channel: str) -> str:
    """Whether a moment lies in a channel's quiet hours, in SQL."""
    if channel not in rules.quiet_hours:
        return "false"
    begin, end = rules.quiet_hours[channel]
    clock = "strftime(a.\" moment\", '%H:%M')"
    return f"({clock} >= '{begin}' {'AND' if begin <= end else 'OR'} {clock} < '{end}')"


def _full(rules: Rules, channel: str) -> str:
    """Whether a channel's cap, or that of all together, is reached, in SQL."""
    bounds = [(rules.caps.get(channel), f"n {channel}"), (rules.caps.get("all"), " n")]
    reached = [f"coalesce({column_name(count)}, 0) >= {most}" for most, count in bounds if most is not None]
    return f"({' OR '.join(reached) or 'false'})"


def _choose(
    rules: Rules, state: np.ndarray, free: np.ndarray, gains: Gains, turn: np.ndarray, channels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rule that wins, the channel that is intended, and the outcome, of each person."""
    n, nothing = len(state), len(channels)
    winner = np.where((state == FREE).any(axis=1), (state == FREE).argmax(axis=1), -1)
    channel, outcome = np.full(n, nothing), np.full(n, _NO_RULE)
    left, money = dict(rules.capacity), rules.budget
    for place, rule in enumerate(rules.tried):
        mine = np.flatnonzero(winner == place)
        if rule.action.name == BEST:
            gain = np.where(free[mine], gains.matrix(mine), -np.inf)
            kind = gains.group[mine] * 2**nothing + free[mine] @ (2 ** np.arange(nothing))
            most = {channels.index(name): n_left for name, n_left in left.items() if name in channels}
            channel[mine] = assign(gain, kind, paid=gains.paid, capacity=most, budget=money)
            outcome[mine] = np.where((gain > 0).any(axis=1), _LIMITS, _NO_GAIN)
            outcome[mine[channel[mine] < nothing]] = _SENT
        else:
            to = channels.index(rule.action.channel)
            mine = mine[np.argsort(turn[mine], kind="stable")]
            room = len(mine) if rule.override else min(len(mine), left.get(channels[to], len(mine)))
            price = gains.paid[to]
            afforded = (
                room if money is None or price == 0 or rule.override else min(room, int(money / price + 1e-9))
            )
            channel[mine[:afforded]], outcome[mine[:afforded]] = to, _SENT
            outcome[mine[afforded:room]], outcome[mine[room:]] = _BUDGET, _CAPACITY
        used = np.bincount(channel[mine], minlength=nothing + 1)[:nothing]
        left = {
            name: max(0, m - int(used[channels.index(name)])) if name in channels else m
            for name, m in left.items()
        }
        money = None if money is None else max(0.0, money - float(used @ gains.paid))
    return winner, channel, outcome


def _rows(
    rules: Rules, channels: Sequence[str], slot: str, at: datetime, persons: pd.Series, winner: np.ndarray,
    channel: np.ndarray, outcome: np.ndarray, state: np.ndarray, content: pd.Series, held: np.ndarray,
    gains: Gains,
) -> pd.DataFrame:  # fmt: skip
    """The rows of one slot; each reason is written once for all to whom it applies."""
    codes = ((winner + 1) * 8 + outcome) * (len(channels) + 1) + channel
    for place in range(state.shape[1]):
        codes = pd.factorize(codes * 8 + state[:, place])[0]
    _, first = np.unique(codes, return_index=True)
    said = [_reason(rules, channels, winner[i], channel[i], outcome[i], state[i]) for i in first]
    going, lot = channel < len(channels), held & (channel < len(channels))
    texts = [*said, *(f"Held out by lot. Else: {text}" for text in said)]
    sent = going & ~held
    names, actions = ([*(of(rule) for rule in rules.tried), none] for of, none in (
        (lambda rule: rule.name, ""), (lambda rule: rule.action.name, NO_CONTACT)))  # fmt: skip

    def told(labels: Sequence[str], places: np.ndarray) -> ExtensionArray:
        return pd.array([*labels], dtype="str").take(places % len(labels))

    figures = np.zeros((len(winner), 3))
    figures[sent] = gains.of(np.flatnonzero(sent), channel[sent])
    return pd.DataFrame(
        {
            "row": 0,
            "person_id": persons,
            "slot": told([slot], np.zeros_like(winner)),
            "occurred_at": pd.Timestamp(at),
            "action": told(actions, np.where(sent, winner, -1)),
            "channel": told([*channels, NO_CONTACT], np.where(sent, channel, -1)),
            "content": content.where(sent, ""),
            "rule": told(names, winner),
            "rule_version": rules.version,
            "reason": told(texts, codes + lot * len(said)),
            **dict(zip(("expected_gain", "low", "high"), figures.T, strict=True)),
            "holdout": held,
        }
    )


def _reason(
    rules: Rules, channels: Sequence[str], winner: int, channel: int, outcome: int, state: np.ndarray
) -> str:
    """One line: what won and how, and what lost and why."""
    lost = [
        f"{rule.name} ({_LOST.get(state[place], 'comes later')})"
        for place, rule in enumerate(rules.tried)
        if state[place] not in (NOT_MET, FREE if rule.name == FALLBACK else NOT_MET) and place != winner
    ]
    if outcome == _SENT:
        best = rules.tried[winner].action.name == BEST
        head = f"{rules.tried[winner].name} by {channels[channel]}{', of highest expected gain' if best else ''}."
    else:
        head = _NONE[outcome].format(rules.tried[winner].name if winner >= 0 else "")
    return f"{head} Lost: {', '.join(lost)}." if lost else head


def new_messages(people: People) -> str:
    """Name of a new table in the engine of the messages sent before."""
    backend, name = people.table.get_backend(), "messages_before"
    columns = "person_id VARCHAR, channel VARCHAR, occurred_at TIMESTAMP"
    backend.raw_sql(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
    if people.messages is not None:
        backend.raw_sql(f"INSERT INTO {name} {backend.compile(people.messages)}")
    return name
