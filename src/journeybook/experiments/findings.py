"""What the page found, for whoever decides."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.decision import SHIP, STOP, cautioned
from journeybook.experiments.health import alarms, cautions
from journeybook.experiments.heterogeneity import Heterogeneity
from journeybook.experiments.looks import Look
from journeybook.experiments.plan import Plan
from journeybook.findings import Finding, say_count, say_money, say_share, say_size

_TIMES = ("seconds", "minutes", "hours", "days")
# What a failed check of health means: those after which no effect may be read, and those that say how to read it.
_FAILED = {
    "sample_ratio": "The arms are off their planned sizes by {points}.",
    "unit_twice": "{n} units are in the data more than once.",
    "unit_in_two_arms": "{n} units were in more than one arm.",
    "left_out": "{n} units were in more than one arm and are left out.",
    "spelled_alike": "{n} rows spelled their arm with other capitals or spaces, and were taken for it.",
    "nothing_in_an_arm": "{arm} has no values of {name}, so that its effect on that is not compared.",
    "person_in_two_arms": "{n} people were in more than one arm.",
    "exposed_before_assignment": "{n} units met the change before they were assigned.",
    "allocation_over_time": "The arms' shares moved during the test, by up to {points}.",
    "arm_began_late": "In the first {n} days {name} took no unit, while others did.",
    "arm_ended_early": "In the last {n} days {name} took no unit, while others did.",
    "assigned_by_stratum": "Whole groups of units were in one arm, so units are not independent.",
    "withdrew_consent": "People withdrew consent in unlike shares of the arms, {share} overall.",
    "missing_outcome": "The arms lack {name} for unlike shares of units, {share} overall.",
    "missing_covariate": "The arms lack {name} for unlike shares of units, {share} overall.",
    "balance": "The arms differed in {name} before the test began.",
    "rare_outcome": "Too few units of an arm had the rarer outcome of {name}: {n}.",
    "outliers": "A few extreme values decide the effect on {name}.",
    "novelty": "The effect on {name} changes with the day of assignment.",
    "few_values": "Only {share} of the units have a value of {name}: its effect is among these alone.",
    "counts_for_units": "Each row of {name} looks like counts of many units, not like one unit.",
    "unripe": "Outcomes of the last {n} units are still coming in, and these units are left out.",
    "all_alike": "All units have the same value of {name}, so that nothing is compared.",
    "alike_where_known": "The {share} of units that have a value of {name} have the same: nothing is compared.",
    "summed_up": "The arms came summed up, in {n} rows: CUPED, groups, novelty and peeking need one row a unit.",
    "cuped_slopes": "The effect on {name} differs with what was known of units before.",
}
_MANY_METRICS = 10
_ALARM = "Read no effect of this test: find the cause, and run it again."
# What to do where that is more than to find the cause.
_HARM = "Do not ship it: it makes things worse."
_CURES = {
    "sample_ratio": "Read no effect of this test: name `shares` if arms were not meant equal, or find the cause.",
    "arm_began_late": "Keep the days on which all arms ran, by `where` on the time, and run the page again.",
    "arm_ended_early": "Keep the days on which all arms ran, by `where` on the time, and run the page again.",
    "nothing_in_an_arm": "Find out why, and name it in `empty_is_zero` where empty means none.",
    "unit_in_two_arms": "Find the cause; `units_in_two_arms: leave_out` goes on without these units.",
    "left_out": "If the change makes people come again, the effects are biased by it.",
    "counts_for_units": "Map them as `experiment_arms`: between campaigns these intervals mean little.",
    "few_values": "Name its column in `empty_is_zero` where empty means none; else read no effect a unit from it.",
    "unripe": "Wait until they are in, and run the page again.",
    "all_alike": "Leave it out, or find out why it was not measured.",
    "alike_where_known": "Name it in `empty_is_zero` where empty means none; else it tells nothing.",
    "summed_up": "Name the test (`plan: name`), so that a later report of it counts as another look.",
}


def find(
    found: Experiment,
    health: pd.DataFrame,
    decision: pd.DataFrame,
    crossed: pd.DataFrame,
    grouped: pd.DataFrame,
    searched: Heterogeneity,
    followed: pd.DataFrame,
    *,
    plan: Plan,
    seen: Look,
    lower: list[str],
    truth: pd.DataFrame | None,
    experiment: str,
) -> list[Finding]:
    """Return the page's findings; where a check of health alarms, no effect is among them.

    `truth` is what was planted, as `hold_against_truth` takes it, and `lower` the metrics of which less is better.
    """
    said, rows = [*_plan_changed(seen), *_health(health)], found.comparisons
    # An arm may have lost all values of one metric by what is tested, as without orders: another tells the harm.
    lost = not plan.given and all(check.startswith("nothing_in_an_arm") for check in alarms(health))
    if alarms(health) and not lost:
        return [f for f in said if f.strength == "contradicted"]
    metric = plan.primary or str(rows.loc[rows["p_value"].idxmin(), "metric"])
    rows = rows[rows["metric"] == metric].sort_values("p_value", kind="stable")
    kind, planted = str(rows["kind"].iloc[0]), {}
    if truth is not None:
        mine = truth[(truth["experiment"] == experiment) & (truth["metric"] == metric)]
        planted = mine.set_index(["variant", "group"])["effect"].to_dict()
    made = {row.variant: row for row in decision.itertuples()}
    lacking = float(health.loc[health["check"] == f"missing_outcome: {metric}", "value"].max())
    p_values = (
        rows["variant"].map({v: one.p_value for v, one in made.items()}) if plan.given else rows["p_adjusted"]
    )
    # Of many variants that show nothing the clearest two stand for all.
    others = rows[p_values >= plan.alpha].iloc[2:]
    said = [f for f in said if f.strength == "contradicted"] + [
        _effect(row, plan, made[row.variant], planted, cautions(health), lacking, fewer=metric in lower)
        for row in rows.drop(others.index).itertuples()
    ] + [*_no_effects(others)] + [f for f in said if f.strength != "contradicted"]  # fmt: skip
    if alarms(health):
        return [f for f in said if f.strength == "contradicted" or f.action == _HARM]
    said += _together(crossed[crossed["metric"] == metric], kind, plan, planted)
    said += _for_whom(grouped, searched.found, metric, kind, plan, planted)
    return [*said, *_many_metrics(found, plan), _looks(seen, plan, followed)]


def _plan_changed(seen: Look) -> Iterator[Finding]:
    if seen.plan_changed:
        text = "The plan of this test was changed after its first look."
        action = "Read everything here as exploration, and repeat the test under the new plan."
        section = "What was planned, and was it looked at before?"
        yield Finding(text=text, action=action, strength="contradicted", worth=1, section=section, figure=None)


def _health(health: pd.DataFrame) -> Iterator[Finding]:
    about: dict[str, Any] = {"section": "Is the experiment healthy?", "figure": None}
    absent = [check for check in alarms(health) if check.startswith("arm_")]
    for row in health[~health["passed"].astype(bool)].itertuples():
        check, _, name = row.check.partition(": ")
        named, variant = _words(name.split(", ")[0]), _start(_words(name.split(", ")[-1]))
        text = _FAILED.get(check, f"A check of data quality failed: {_words(check)}.").format(
            name=named, arm=variant, n=say_count(row.value), points=_said(row.value, "points"),
            share=say_share(row.value),
        )  # fmt: skip
        if row.check in alarms(health):
            # Shares that moved are no other plan.
            moved = "allocation_over_time" in alarms(health) or "`shares`" not in row.meaning
            action = _ALARM if check == "sample_ratio" and moved else _CURES.get(check, _ALARM)
            if absent and check in ("sample_ratio", "allocation_over_time"):
                action = _CURES["arm_ended_early"]
            yield Finding(text=text, action=action, strength="contradicted", worth=1, **about)
        else:
            action = _CURES.get(check, "Read it with care.")
            yield Finding(text=text, action=action, strength="suggestive", worth=2, **about)
    if not health["check"].isin(["unit_twice", "person_in_two_arms", "summed_up"]).any():
        text = "No id tells units apart, so that each row counts as a unit."
        action = "Map unit_id: where a unit has several rows, these intervals are too narrow."
        yield Finding(text=text, action=action, strength="cannot be told", worth=2, **about)


def _effect(
    row: Any, plan: Plan, made: Any, planted: dict, failed: list[str], lacking: float, *, fewer: bool
) -> Finding:
    # What a plan named beforehand is corrected over the variants only, as by its rule.
    row = row._replace(p_adjusted=made.p_value) if plan.given else row
    f = _measured(row, row.kind, plan, planted.get((row.variant, "all")), section="Did it work?")
    what, who, size = _what(row.metric, row.kind), _words(row.variant), _size(f) + _level(plan)
    what += f" of the {say_share(1 - lacking)} of units that have one" if lacking >= 0.01 else ""
    small = max(abs(row.control), abs(row.treatment)) < 1
    say = say_share if row.kind == "proportion" else say_count if small else say_money
    shown, sign = row.p_adjusted < plan.alpha, plan.sign if plan.given else -1 if fewer else 1
    verb = "raises" if row.effect > 0 else "lowers"
    text = f"{_start(who)} {verb} {what} from {say(row.control)} to {say(row.treatment)}: {size}."
    if not shown:
        but = " once all comparisons are counted" if f.strength == "suggestive" else ""
        text = f"No effect of {who} on {what} is shown{but}: {size}."
    least, most = sorted((sign * row.effect_low, sign * row.effect_high))
    if plan.given:
        action = _by_plan(made, least, most, plan, f.unit)
    elif not shown:
        action = "Do not ship on this: no effect is shown, nor that there is none."
    else:
        action = f"Decide whether {_said(least, f.unit)}, the weaker end, would pay: no plan says so."
    careful = cautioned(failed, metric=row.metric, variant=row.variant, method=row.method)
    if careful and shown:
        text = f"{text[:-1]}; but {careful[0]}."
        action = (
            action if plan.given and made.decision != SHIP else "Do not decide on it before that is understood."
        )
        f = replace(f, strength="cannot be told")
    harms = shown and sign * row.effect < 0
    if harms:
        action = _HARM
    if f.strength == "contradicted":
        text = f"{text[:-1]}; the simulation planted {_said(planted[row.variant, 'all'], f.unit)}."
        action = "Do not act on it before the cause is found."
    return replace(f, text=text, action=action, worth=1 if harms or "worse than its" in made.reason else 2)


def _no_effects(rows: pd.DataFrame) -> Iterator[Finding]:
    for row in rows.head(1).itertuples():
        unit = "points" if row.kind == "proportion" else ""
        ends = " to ".join(_said(end, unit) for end in (rows["effect"].min(), rows["effect"].max()))
        text = f"No effect on {_what(row.metric, row.kind)} is shown for {len(rows)} more variants either: {ends}."
        action, section = "Ship none of these: the largest of many differences is large by chance.", "Did it work?"
        yield Finding(text=text, action=action, strength="cannot be told", worth=2, section=section, figure=None)


def _many_metrics(found: Experiment, plan: Plan) -> Iterator[Finding]:
    """How many effects hold where many metrics were tried and none was named beforehand."""
    if plan.primary or len(found.kinds) < _MANY_METRICS:
        return
    rows, n_metrics = found.comparisons, say_count(len(found.kinds))
    n_hold, n_seem = (int((rows[p] < found.alpha).sum()) for p in ("p_adjusted", "p_value"))
    text = f"{say_count(n_hold)} of {say_count(len(rows))} comparisons, over {n_metrics} metrics, show an effect "
    text += f"once all are counted; {say_count(n_seem)} would seem to."
    action, section = "Take them for hints, and name one metric in a plan before the next test.", "Did it work?"
    about: dict[str, Any] = {"value": n_hold, "unit": "comparisons", "section": section, "figure": None}
    yield Finding(text=text, action=action, strength="counted", worth=2, **about)


def _by_plan(made: Any, least: float, most: float, plan: Plan, unit: str) -> str:
    needed = f"the {_said(plan.minimum_effect, unit)} worth having"
    if made.decision == SHIP:
        return f"Ship it: even the weaker end of the interval reaches {needed}."
    why = _words(made.reason.removeprefix("the planned end is reached, and "))
    if "margin" not in made.reason and least < plan.minimum_effect:
        why = f"the {'better' if most < plan.minimum_effect else 'weaker'} end of the interval is below {needed}"
    return f"{'Do not ship it' if made.decision == STOP else 'Keep running to the planned end'}: {why}."


def _together(rows: pd.DataFrame, kind: str, plan: Plan, planted: dict) -> Iterator[Finding]:
    for row in rows[rows["order"] > 1].sort_values("p_value", kind="stable").head(1).itertuples():
        both = row.term.removeprefix("interaction ")
        known = planted.get((both.replace("+", " x "), "all"))
        f = _measured(row, kind, plan, known, section="Do two changes help or hinder each other?")
        size, least = f"{_size(f)}{_level(plan)}", _said(row.detectable_effect, f.unit)
        text = f"{_start(_words(both))} together move {_what(row.metric, kind)} by {size} beyond their sum."
        action = "Read each combination by itself, and ship the best one."
        if row.p_adjusted >= plan.alpha:
            text = f"Whether {_words(both)} help or hinder each other cannot be told: {size} beyond their sum."
            action = f"Do not count on both together: this test would miss an interaction below {least}."
        yield replace(f, text=text, action=action, figure=None)


def _for_whom(
    grouped: pd.DataFrame, searched: pd.DataFrame, metric: str, kind: str, plan: Plan, planted: dict
) -> Iterator[Finding]:
    """Return the difference that a plan named, or else that one half of the units found and the other tested."""
    names = {
        "difference": "effect",
        "inside": "level",
        "difference_low": "effect_low",
        "difference_high": "effect_high",
    }
    tests = searched.rename(columns=names)
    if len(grouped):
        p = {"interaction_p_value": "p_value", "interaction_p_adjusted": "p_adjusted"}
        tests = grouped.drop(columns="p_value").rename(columns=p)
    for row in tests[tests["metric"] == metric].sort_values("p_value", kind="stable").head(1).itertuples():
        known, level = None, row.level.partition(" is ")[2]
        if len(grouped):
            part = tests[
                (tests[["metric", "variant", "subgroup"]] == [metric, row.variant, row.subgroup]).all(axis=1)
            ]
            part = part.sort_values("effect")
            sides = [(part["effect"].iloc[k], f"for {part['level'].iloc[k]}") for k in (-1, 0)]
        else:
            inside = (
                f"for {level}"
                if level
                else f"where {_words(row.level).replace('pre ', 'earlier ').replace(' above', ' is above')}"
            )
            sides = [(row.effect_inside, inside), (row.effect_outside, "for all others")]
            groups = {
                group: size for (who, group), size in planted.items() if who == row.variant and group != "all"
            }
            if level in groups and len(groups) == 2:
                known = 2 * groups[level] - sum(groups.values())
        f = _measured(row, kind, plan, known, section="For whom does it work?")
        both = " and ".join(f"by {_said(effect, f.unit)} {where}" for effect, where in sides)
        who, what, told = _words(row.variant), _what(metric, kind), row.p_adjusted < plan.alpha
        text = f"Who gains more from {who} cannot be told: {what} moves {both}."
        action = "Decide for everyone by the overall effect."
        if told:
            text = f"{_start(who)} moves {what} {both}."
            action = "Read the two apart, and repeat the difference before anybody is left out."
        f = replace(f, value=None, low=None, high=None) if len(grouped) else replace(f, figure=None)
        yield replace(f, text=text, action=action, worth=2 if told else 3)


def _looks(seen: Look, plan: Plan, followed: pd.DataFrame) -> Finding:
    n, many = seen.entry["looks"][seen.number - 1]["n_units"], seen.headline == "always_valid"
    text = f"This is the one look that was planned, at {say_count(n)} units."
    action = "Look no more: the intervals hold for one look."
    if many:
        planned = f" of {say_count(seen.planned_n)}" if plan.given else ""
        text = f"This is look {seen.number}, at {say_count(n)}{planned} units; its wider "
        text += "intervals hold at every look."
        action = "Look as often as you like at these intervals, and at no others."
    elif not plan.given:
        text = f"No plan says when this test ends: its intervals hold for one look, at {say_count(n)} units."
        action = "Write a plan before the next test, and do not look again as data come in."
    about: dict[str, Any] = {"section": "May we look already?", "figure": 0 if len(followed) else None, "value": n}
    return Finding(text=text, action=action, strength="counted", worth=2 if many else 3, unit="units", **about)


def _measured(row: Any, kind: str, plan: Plan, known: float | None, *, section: str) -> Finding:
    """Return a finding with its size, interval and strength, and no words yet."""
    low, high = float(row.effect_low), float(row.effect_high)
    strength = "suggestive" if row.p_value < plan.alpha else "cannot be told"
    if row.p_adjusted < plan.alpha:
        strength = "known answer recovered" if known is not None and low <= known <= high else "clear"
    # Twice the interval is about four standard errors, as far as the page's checks allow.
    if known is not None and abs(row.effect - known) > high - low:
        strength = "contradicted"
    first = row.metric.split("_")[0]
    unit = "points" if kind == "proportion" else first if first in _TIMES else ""
    size: dict[str, Any] = {"value": float(row.effect), "low": low, "high": high, "unit": unit}
    return Finding(text="", action="", strength=strength, worth=2, section=section, **size)


def _size(f: Finding) -> str:
    """Return the figure with its interval; points of a rare outcome take a second place."""
    if f.unit != "points" or f.value is None or f.low is None or f.high is None or f.high - f.low >= 0.003:
        return say_size(f)
    return f"{100 * f.value:+.2f} points ({100 * f.low:.2f} to {100 * f.high:.2f})"


def _said(size: float, unit: str) -> str:
    if unit != "points":
        return f"{say_count(size)} {unit}".strip()
    return f"{100 * size:.{1 if size == 0 or abs(size) >= 0.001 else 2}f} points"


def _level(plan: Plan) -> str:
    return "" if plan.alpha == 0.05 else f" at {1 - plan.alpha:.0%} confidence"


def _what(metric: str, kind: str) -> str:
    return f"{'the share ' if kind == 'proportion' else 'average ' if kind == 'mean' else ''}{_words(metric)}"


def _words(name: str) -> str:
    return name.replace("_", " ").replace("+", " and ")


def _start(words: str) -> str:
    return words[:1].upper() + words[1:]
