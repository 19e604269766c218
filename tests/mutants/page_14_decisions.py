"""Errors planted in page 14."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mutants.planted import Mutant

PARAMETERS = {"n_draws": 60}


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


def planted(name: str, error: str, target: str, wrong: Callable) -> Mutant:
    return Mutant(name, error, f"journeybook.{target}", wrong)


PAGE = "decisions"
MUTANTS = [
    planted("slipped_chance", "propensities slip by one contact", f"{PAGE}:known_contacts", slipped("propensity")),
    planted("slipped_response", "responses slip by one contact", f"{PAGE}:known_contacts", slipped("responded")),
    planted("wrong_channel", "propensities are those of another contact's channel", "tables:read", wrong_channel),
    planted("unlikeliest", "groups are compared by the unlikeliest", f"{PAGE}.groups:fairness", unlikeliest),
    planted("unasked", "policies write to people who did not permit it", f"{PAGE}:decide", unasked),
    planted("uncapped", "policies write to people who had enough messages", f"{PAGE}:decide", uncapped),
    planted("free_messages", "messages cost nothing when policies are valued", f"{PAGE}.policy:_records",
            free_messages),
    planted("only_the_model", "policies are valued by the model alone", f"{PAGE}.policy:off_policy_value",
            only_the_model),
]  # fmt: skip
