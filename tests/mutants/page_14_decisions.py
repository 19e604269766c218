"""Errors planted in page 14."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from journeybook.tables import permitted_people
from mutants.planted import Mutant

# Four messages, so that the small demo is worth enough people to rank them.
PARAMETERS = {"n_draws": 60, "max_messages_28d": 4}


def slipped(column: str) -> Callable:
    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any, **asked: Any) -> Any:
            sent = sound(*args, **asked)
            return sent.assign(**{column: np.roll(sent[column].to_numpy(), 1)})

        return wrong

    return planted_in


def wrong_channel(sound: Callable) -> Callable:
    """The table holds the propensity of the contact before."""

    def wrong(run: Any, name: str, **asked: Any) -> Any:
        table = sound(run, name, **asked)
        if "propensity" not in table.columns:
            return table
        before = table.propensity.lag().over(order_by=table.row)
        return table.mutate(propensity=before.fill_null(table.propensity))

    return wrong


def unlikeliest(sound: Callable) -> Callable:
    return lambda probability, *args, **asked: sound(1 - probability, *args, **asked)


def unasked(sound: Callable) -> Callable:
    """Everyone may be sent everything."""
    return lambda *args, **asked: sound(*args, **(asked | {"permitted": None}))


def uncapped(sound: Callable) -> Callable:
    return lambda *args, **asked: sound(*args, **(asked | {"max_messages_28d": 99}))


def free_messages(sound: Callable) -> Callable:
    """No message is paid for when a policy is valued."""
    return lambda test, chosen, costs, **asked: sound(test, chosen, 0 * costs, **asked)


def only_the_model(sound: Callable) -> Callable:
    """The doubly robust estimate leaves out what the contacts brought."""

    def wrong(logged: Any, chosen: Any) -> Any:
        found = sound(logged, chosen)
        said = logged.probability[np.arange(len(chosen)), chosen]
        return replace(found, rate=np.array([*found.rate[:2], said.mean()]))

    return wrong


def gainful(sound: Callable) -> Callable:
    """The threshold of the greatest gain, however uncertain."""

    def wrong(*args: Any, **asked: Any) -> Any:
        tried = sound(*args, **asked)
        return tried.assign(chosen=tried.index == tried["gain_per_1000"].idxmax())

    return wrong


def today(_sound: Callable) -> Callable:
    """What the ledger says today is taken for what it said when the message went out."""
    return lambda run, asked, *, purpose: (
        asked["person_id"].isin(permitted_people(run, purpose=purpose).person_id.to_pandas()).to_numpy()
    )


def scaled(factor: float) -> Callable:
    return lambda sound: lambda *args, **asked: factor * sound(*args, **asked)


def every_response(_sound: Callable) -> Callable:
    """The mean value of all contacts, of those too that brought nothing."""
    return lambda sent, *, value_per_response: float(sent["value"].fillna(0).mean())


def all_below_the_curve(sound: Callable) -> Callable:
    """Twice what a random choice adds is left in."""
    return lambda added, weights: sound(added, weights) + (weights * added).mean(axis=1) / 2


def unnormalised(sound: Callable) -> Callable:
    """Self-normalised weights are divided by the number of contacts."""

    def wrong(logged: Any, chosen: Any) -> Any:
        found = sound(logged, chosen)
        return replace(found, rate=found.rate[[0, 0, 2]])

    return wrong


def half_ends(sound: Callable) -> Callable:
    def wrong(name: str, draws: Any) -> Any:
        return sound(name, draws[:1] + (draws - draws[:1]) / 2)

    return wrong


def half_errors(sound: Callable) -> Callable:
    def wrong(*args: Any) -> Any:
        rate, covariance = sound(*args)
        return rate, covariance / 4

    return wrong


def rolled(sound: Callable) -> Callable:
    """Each contact has the group of the contact before."""
    return lambda *args, **asked: np.roll(sound(*args, **asked), 1)


def gain_of_the_policy(sound: Callable) -> Callable:
    """What comes without a message is not taken off."""

    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        return found.assign(gain_per_1000=found["profit_per_1000"])

    return wrong


def added_is_all(sound: Callable) -> Callable:
    def wrong(*args: Any) -> Any:
        found = sound(*args)
        return found.assign(added_per_1000=found["responses_per_1000"])

    return wrong


def anybodys_value(sound: Callable) -> Callable:
    """The effect is weighed by what the next person is worth."""

    def wrong(sent: Any, found: Any, values: Any) -> Any:
        return sound(sent, found, None if values is None else values.assign(value=np.roll(values["value"], 1)))

    return wrong


def month_later(sound: Callable) -> Callable:
    """A snapshot counts from a month before its date."""
    return lambda asked, dated, **by: sound(
        asked, dated.assign(as_of=dated["as_of"] - pd.Timedelta(days=31)), **by
    )


def in_part(table: str, **changes: Callable) -> Callable:
    """A table of the comparison of groups with columns made otherwise."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any, **asked: Any) -> Any:
            found = sound(*args, **asked)
            return replace(found, **{table: getattr(found, table).assign(**changes)})

        return wrong

    return planted_in


def all_permitted(_sound: Callable) -> Callable:
    """Rules never hear what people refuse."""
    return lambda *_args, **_asked: {}


def limitless(**lifted: Any) -> Callable:
    """Some of the limits in the file of rules are not heeded."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(rules: Any, *args: Any, **asked: Any) -> Any:
            return replace(sound(replace(rules, **lifted), *args, **asked), rules=rules)

        return wrong

    return planted_in


def slipped_states(sound: Callable) -> Callable:
    """Each person is decided on by what holds for the one before."""

    def wrong(*args: Any, **asked: Any) -> Any:
        state, free, content = sound(*args, **asked)
        return np.roll(state, 1, axis=0), free, content

    return wrong


def changed_table(**changes: Callable) -> Callable:
    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any, **asked: Any) -> Any:
            found = sound(*args, **asked)
            return replace(found, table=found.table.assign(**{k: of(found.table) for k, of in changes.items()}))

        return wrong

    return planted_in


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.{target}", wrong, **more)


PAGE = "decisions"
MUTANTS = [
    planted("slipped_chance", "propensities slip by one contact", f"{PAGE}:known_contacts", slipped("propensity")),
    planted("slipped_response", "responses slip by one contact", f"{PAGE}:known_contacts", slipped("responded")),
    planted("wrong_channel", "propensities are those of another contact's channel", "tables:read", wrong_channel),
    planted("unlikeliest", "groups are compared by the unlikeliest", f"{PAGE}.groups:fairness", unlikeliest),
    planted("unasked", "policies write to people who did not permit it", f"{PAGE}:decide", unasked),
    planted("uncapped", "policies write to people who had enough messages", f"{PAGE}:decide", uncapped),
    planted("free_messages", "messages cost nothing when policies are valued", f"{PAGE}.policy:valued",
            free_messages),
    planted("only_the_model", "policies are valued by the model alone", f"{PAGE}.policy:off_policy_value",
            only_the_model),
    planted("gainful", "the threshold of the greatest gain is taken, however uncertain",
            f"{PAGE}.policy:choose_threshold", gainful),
    planted("today", "today's permission counts, not that of the moment", "sends:permitted_at", today),
    planted("untiring", "messages tire half as much", f"{PAGE}.policy:fatigue_loss", scaled(0.5)),
    planted("half_tired", "fatigue is of half the messages", f"{PAGE}.policy:_share_at_rest", scaled(0.5)),
    planted("every_response", "contacts without a response lower its value", f"{PAGE}.policy:value_of_a_response",
            every_response),
    planted("below_the_curve", "Qini's area is not taken against chance", f"{PAGE}.uplift:qini",
            all_below_the_curve),
    planted("unnormalised", "self-normalised weights are not", f"{PAGE}.policy:off_policy_value", unnormalised),
    planted("half_policies", "intervals of policies are half as wide", f"{PAGE}.policy:clustered_error",
            scaled(0.5)),
    planted("half_rankings", "intervals of rankings are half as wide", f"{PAGE}.uplift:clustered_error",
            scaled(0.5)),
    planted("half_qini", "intervals of Qini coefficients are half as wide", f"{PAGE}.uplift:_with_ends",
            half_ends),
    planted("half_groups", "errors of groups are halved", "statistics.fairness:_ratios", half_errors),
    planted("rolled", "people are in each other's groups", f"{PAGE}:person_groups", rolled),
    planted("month_later", "groups are made of what was known a month later", f"{PAGE}.groups:labels_before",
            month_later, parameters={"fairness_by": "recency_days"}),
    planted("rolled_features", "people are in the groups of each other's features", f"{PAGE}.groups:labels_before",
            rolled, parameters={"fairness_by": "recency_days"}),
    planted("apart_halved", "p values of groups being alike are halved", f"{PAGE}:compare_groups",
            in_part("spread", p_value=lambda t: t["p_value"] / 2)),
    planted("apart_narrow", "intervals between groups are half as wide", f"{PAGE}:compare_groups",
            in_part("spread", difference_low=lambda t: (t["difference"] + t["difference_low"]) / 2)),
    planted("price_halved", "the price of equal shares is halved", f"{PAGE}:compare_groups",
            in_part("costs", responses_lost_share=lambda t: t["responses_lost_share"] / 2)),
    planted("all_alike", "groups are compared as one threshold would choose", "statistics.fairness:_choose",
            lambda sound: lambda kept, code, rule, share: sound(kept, code, "one threshold", share)),
    planted("gain_of_the_policy", "what comes anyway is counted as gain", f"{PAGE}.policy:valued",
            gain_of_the_policy),
    planted("anybodys_value", "effects are weighed by the value of others", f"{PAGE}:weigh_by_value",
            anybodys_value),
    planted("rules_unasked", "rules write to people who did not permit it", f"{PAGE}.carrying:permitted_channels",
            all_permitted, data=("demo",)),
    planted("rules_uncapped", "caps of the rules are not heeded", f"{PAGE}.carrying:decide_slots",
            limitless(caps={}), data=("demo",)),
    planted("never_quiet", "quiet hours are not heeded", f"{PAGE}.carrying:decide_slots",
            limitless(quiet_hours={}), data=("demo",)),
    planted("no_lot", "nobody is held out", f"{PAGE}.carrying:decide_slots", limitless(holdout=0.0),
            data=("demo",)),
    planted("slipped_rules", "people are decided on by what holds for others", f"{PAGE}.slots:rule_states",
            slipped_states, data=("demo",)),
    planted("twice_decided", "some people have two decisions in a slot", f"{PAGE}.carrying:decide_slots",
            changed_table(person_id=lambda t: t["person_id"].where(t.index > 0, t["person_id"].iloc[1])),
            data=("demo",)),
    planted("without_reason", "decisions have no reason", f"{PAGE}.carrying:decide_slots",
            changed_table(reason=lambda t: ""), data=("demo",)),
    planted("gains_halved", "expected gains are halved", f"{PAGE}.carrying:decide_slots",
            changed_table(expected_gain=lambda t: t["expected_gain"] / 2), data=("demo",)),
    planted("added_is_all", "what comes anyway is counted as added", f"{PAGE}.uplift:_rankings", added_is_all),
]  # fmt: skip
