"""The user's rules from file to table: read, looked through, carried out, and held beside their last version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from journeybook.decisions.choices import NO_CONTACT
from journeybook.decisions.gains import Gains, effects_by_group, expected_gains
from journeybook.decisions.people import People, people_now
from journeybook.decisions.policy import Deciding
from journeybook.decisions.release import changes, review
from journeybook.decisions.rules import Rules, bind, read_rules
from journeybook.decisions.slots import Decided, Permitted, decide_slots
from journeybook.sends import permitted_channels
from journeybook.statistics.labels import labels_before
from journeybook.tables import Run

KNOWN = ("features", "segments", "lifetime_value", "response_scores", "triggers", "recommendations")
"""Tables whose columns rules may read."""


@dataclass(frozen=True, eq=False)
class Carried:
    """Rules carried out.

    Attributes:
        why_not: Why nothing is decided by rules; empty where something is.
        faults: As `review` returns them.
        people: On whom is decided.
        gains: What a message would gain from each.
        decided: What is decided.
        permitted: What each permits in each slot; None without a ledger.
        changed: As `changes` returns them; None without an earlier version.
        groups: Group of each test contact whose effect counts for its like; None where there is one group.
    """

    why_not: str
    faults: pd.DataFrame = field(default_factory=pd.DataFrame)
    people: People | None = None
    gains: Gains | None = None
    decided: Decided | None = None
    permitted: Permitted | None = None
    changed: pd.DataFrame | None = None
    groups: np.ndarray | None = None

    @property
    def counts(self) -> pd.DataFrame:
        """One row a slot, rule, action, channel and hold-out: `n_people`, and what is expected of them in all."""
        names = ["slot", "rule", "action", "channel", "holdout"]
        if self.decided is None:
            return pd.DataFrame(columns=[*names, "n_people", "expected_gain", "low", "high"])
        told = self.decided.table.assign(n_people=1).groupby(names, sort=True)
        return told[["n_people", "expected_gain", "low", "high"]].sum(min_count=1).reset_index()


def carry_out(
    run: Run,
    paths: tuple[str | None, str | None],
    *,
    asked: ibis.Table,
    sent: pd.DataFrame,
    deciding: Deciding,
    known: Mapping[str, ibis.Table | None],
    ends: datetime | None,
    value_given: bool,
) -> Carried:
    """Read two versions of rules, the one in force and the one before, look them through and carry them out.

    Args:
        run: The run whose ledger counts at the moment of each slot.
        paths: Files of the rules and of the version before, as `read_rules` takes them.
        asked: The contacts as they are read; `sent` those that page 07 took.
        sent: See `asked`.
        deciding: What the contacts tell of messages.
        known: Tables by the names in `KNOWN`, each None where it is not there.
        ends: End of the data.
        value_given: Whether the value of a response was given, and holds for everybody.

    Raises:
        JourneybookError: A file cannot be used.
    """
    people = people_now(asked, known, ends=ends)
    as_of = people.as_of if people and people.as_of else datetime.min
    rules = read_rules(paths[0], dataset=run.dataset, as_of=as_of)
    before = read_rules(paths[1], dataset=run.dataset, as_of=as_of, demo="rules_before.yaml")
    if rules is None:
        return Carried("No rules are given (`rules`): nobody is decided on by name.")
    if people is None:
        return Carried("Rules need people and the end of the data, which these contacts do not name.")
    rules, before = bind(rules, people), None if before is None else bind(before, people)
    messages = deciding.test.actions[:-1] if deciding.test is not None else ()
    channels = tuple(dict.fromkeys([*rules.channels(messages), *(before.channels(messages) if before else ())]))
    rows = people.table.order_by("row").to_pandas()
    permitted = _permitted(run, rules, rows, channels)
    test, segments, groups = sent[sent["part"] == "test"], known.get("segments"), None
    if segments is not None and "occurred_at" in test and test["occurred_at"].notna().all():
        dated = segments.select("person_id", "as_of", "segment").to_pandas()
        groups = labels_before(test[["row", "person_id", "occurred_at"]], dated, column="segment")
    effects = effects_by_group(deciding, groups, tuple(name for name in channels if name != NO_CONTACT))
    gains = expected_gains(effects, deciding, rows, channels, given=value_given)
    decided = decide_slots(rules, people, gains, permitted=permitted)
    changed = None
    if before is not None:
        then = decide_slots(before, people, gains, permitted=_permitted(run, before, rows, channels))
        changed = changes(then, decided, gains)
    return Carried("", review(rules, people, channels), people, gains, decided, permitted, changed, groups)


def _permitted(run: Run, rules: Rules, people: pd.DataFrame, channels: Sequence[str]) -> Permitted | None:
    """What each of the people permits at the moment of each slot, by the door; None without a ledger."""
    if not run.has_ledger:
        return None
    return {
        slot: permitted_channels(run, people[["person_id"]].assign(occurred_at=moment), channels=channels) or {}
        for slot, moment in rules.slots.items()
    }
