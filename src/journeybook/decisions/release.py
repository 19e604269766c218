"""Rules before they are released: what is wrong with them, what they change, what they would have earned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import ibis
import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.decisions.gains import Gains
from journeybook.decisions.people import People, people_then
from journeybook.decisions.policy import MODEL, NOTHING, PER, TODAY, Deciding, advantage, valued
from journeybook.decisions.rules import BEST, CONTEXT, FALLBACK, Rules, bind
from journeybook.decisions.slots import FREE, NOT_ELIGIBLE, NOT_MET, Decided, new_messages, rule_states

THE_RULES = "the rules"
RANDOM = "at random"

_GROUP = 10  # people behind an example


@dataclass(frozen=True, eq=False)
class Released:
    """What rules would have earned on the test contacts.

    Attributes:
        why_not: Why nothing is told; empty where something is.
        values: One row a policy (`THE_RULES`, `RANDOM`, today's sending) and estimator, as `Deciding.policy`.
        left_out: Rules that read what was not known at the contacts, and are not judged.
        deciding: The page's policies with `THE_RULES` among their choices.
    """

    why_not: str
    values: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: tuple[str, ...] = ()
    deciding: Deciding | None = None


def review(rules: Rules, people: People, channels: Sequence[str]) -> pd.DataFrame:
    """Look for what is wrong with rules on these people, whatever they permit.

    Returns:
        One row a fault: `fault`, `rule`, `other` (the rule it meets), `n_people` and `example`: of ten of the
        people concerned the median, or the commonest text, of what the rule reads; empty below ten.
    """
    everyone = dict.fromkeys(channels, np.ones(int(people.table.count().to_pandas()), dtype=bool))
    held, eligible = (np.zeros((len(everyone[channels[0]]), len(rules.tried)), dtype=bool) for _ in range(2))
    sent = new_messages(people)
    for slot, at in rules.slots.items():
        state, _, _ = rule_states(
            rules, people, channels, slot=slot, moment=f"TIMESTAMP '{at}'", permitted=everyone, sent=sent
        )
        held, eligible = held | (state != NOT_MET), eligible | ((state != NOT_MET) & (state != NOT_ELIGIBLE))
    found: list[tuple[str, str, str, np.ndarray]] = []
    for place, rule in enumerate(rules.tried):
        mine, before = held[:, place], held[:, :place]
        if not mine.any():
            found.append(("holds for nobody", rule.name, "", mine))
        elif not eligible[:, place].any():
            found.append(("nobody is eligible", rule.name, "", mine))
        elif place and (before[mine].any(axis=1)).all() and rule.name != FALLBACK:
            most = rules.tried[int(before[mine].sum(axis=0).argmax())]
            found.append(("never reached", rule.name, most.name, mine))
    for (i, one), (j, other) in combinations(enumerate(rules.tried), 2):
        both = np.asarray(held[:, i] & held[:, j])
        named = FALLBACK not in (one.name, other.name)
        if one.priority == other.priority and one.action != other.action and named and both.any():
            found.append(("overlap without priority", one.name, other.name, both))
    unserved = np.asarray(~held.any(axis=1))
    if unserved.any():
        found.append(("no rule and no fallback", "", "", unserved))
    records = [
        (what, one, other, int(who.sum()), _example(rules, people, one, who)) for what, one, other, who in found
    ]
    return pd.DataFrame(records, columns=["fault", "rule", "other", "n_people", "example"])


def changes(before: Decided, after: Decided, gains: Gains) -> pd.DataFrame:
    """Return who gets another action by a new version: how many, and what that is worth, hold-outs apart.

    Returns:
        One row a slot that both have, and pair of actions: `slot`, `before`, `after`, `n_people`, `gain`
        (expected, in all, of the new action over the old), `low`, `high` (as if all errors fell the same way).
    """
    tables = []
    for slot in [name for name in after.intended if name in before.intended]:
        said, worth, ways = [], [], []
        for version in (before, after):
            to, actions = version.intended[slot], {rule.name: rule.action.name for rule in version.rules.tried}
            rules = (
                version.table.loc[version.table["slot"] == slot, "rule"]
                .map(actions)
                .fillna("")
                .to_numpy(dtype=object)
            )
            by = np.array([*version.channels, ""], dtype=object)[to]
            said.append(np.where(by == "", "nothing", rules + " by " + by))
            going, figures = np.flatnonzero(by != ""), np.zeros((len(to), 3))
            places = np.array([gains.channels.index(name) for name in by[going]], dtype=int)
            figures[going] = gains.of(going, places)
            worth.append(figures)
            ways.append(by)
        # The same channel brings the same, whatever the action is called.
        more = np.where((ways[0] == ways[1])[:, None], 0.0, worth[1] - worth[0][:, [0, 2, 1]])
        table = pd.DataFrame({"slot": slot, "before": said[0], "after": said[1], "n_people": 1})
        tables.append(table.assign(**dict(zip(("gain", "low", "high"), more.T, strict=True)))[said[0] != said[1]])
    names = ["slot", "before", "after"]
    whole = pd.concat(tables) if tables else pd.DataFrame(columns=[*names, "n_people", "gain", "low", "high"])
    return whole.groupby(names, sort=True).sum(min_count=1).reset_index()


def value_of_rules(
    decided: Decided | None, deciding: Deciding, sent: pd.DataFrame, asked: ibis.Table,
    known: Mapping[str, ibis.Table | None], *, rng: np.random.Generator,
) -> Released:  # fmt: skip
    """Estimate what rules would have earned on the test contacts, beside today's sending and random messages.

    Conditions are read as of each contact: of `features` and `segments` in `known` the last snapshot before
    counts. Rules that read anything else are left out, and `best` chooses as the model's policy does. Consent and
    all caps hold; capacity, budget and hold-out do not.
    """
    test = deciding.test
    if decided is None or deciding.why_not or test is None:
        return Released(deciding.why_not or "there are no rules")
    rules = decided.rules
    people = people_then(sent[sent["part"] == "test"], asked, known.get("features"), known.get("segments"))
    if people is None:
        return Released("the contacts do not name people and times")
    there = {*people.columns, *CONTEXT[1:]}
    kept = [rule for rule in rules.tried if there >= {*rules.reads[rule.name]}]
    left_out = tuple(rule.name for rule in rules.tried if rule not in kept)
    if not [rule for rule in kept if rule.name != FALLBACK]:
        return Released("every rule reads what was not known at the time of the contacts", left_out=left_out)
    plain = tuple(replace(rule, action=replace(rule.action, content="")) for rule in kept)
    bound = bind(replace(rules, tried=plain), people, context=CONTEXT[1:])
    messages = test.actions[:-1]
    channels = bound.channels(messages)
    shut = np.zeros(len(test.taken), dtype=bool)
    may = {name: test.allowed[:, messages.index(name)] if name in messages else shut for name in channels}
    state, free, _ = rule_states(
        bound, people, channels, slot="", moment="moment", permitted=may, sent=new_messages(people)
    )
    winner = np.where((state == FREE).any(axis=1), (state == FREE).argmax(axis=1), -1)
    chosen = np.full(len(winner), test.nothing)
    prices = deciding.costs["prices"].iloc[0]
    model = deciding.choices[prices, MODEL]
    for place, rule in enumerate(bound.tried):
        mine = winner == place
        if rule.action.name == BEST:
            open_to = np.column_stack([free[:, channels.index(name)] for name in messages] + [~shut])
            chosen = np.where(mine & open_to[np.arange(len(model)), model], model, chosen)
        else:
            chosen[mine] = messages.index(rule.action.channel)
    drawn = np.where(test.allowed, rng.random(test.allowed.shape), -1).argmax(axis=1)
    made = {(prices, THE_RULES): chosen, (prices, RANDOM): drawn}
    with_rules = replace(deciding, choices={**deciding.choices, **made})
    charged, value = deciding.charged(prices), deciding.value_per_response
    tables = [
        valued(test, to, charged, value_per_response=value).assign(policy=name) for (_, name), to in made.items()
    ]
    more, error, _ = advantage(with_rules, TODAY, NOTHING, true=None)
    half = norm.ppf(0.975) * error
    sending = {
        "estimator": "observed",
        "policy": "today's sending",
        "sent_share": (test.taken != test.nothing).mean(),
    }
    sending |= {"gain_per_1000": more, "gain_per_1000_low": more - half, "gain_per_1000_high": more + half}
    sending |= {"responses_per_1000": PER * test.responded.mean(), "refused": ""}
    values = pd.concat([*tables, pd.DataFrame([sending])], ignore_index=True)
    return Released("", values[["policy", *values.columns.drop("policy")]], left_out, with_rules)


def _example(rules: Rules, people: People, name: str, who: np.ndarray) -> str:
    """Medians and commonest texts of ten of the people concerned, of the columns that a rule reads."""
    if who.sum() < _GROUP:
        return ""
    asked = rules.reads[name] if name else [column for found in rules.reads.values() for column in found]
    columns = [column for column in dict.fromkeys(asked) if column in people.columns]
    rows = (np.flatnonzero(who)[:_GROUP] + 1).tolist()
    some = people.table.filter(people.table.row.isin(rows)).order_by("row").select("row", *columns).to_pandas()
    said = []
    for column in columns:
        values = some[column].dropna()
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            middle = f"{values.median():.2g}" if len(values) else "unknown"
            said.append(f"{column} about {float(middle):g}" if len(values) else f"{column} unknown")
        else:
            said.append(f"{column} {values.astype(str).mode().iloc[0] if len(values) else 'unknown'}")
    return ", ".join(said)
