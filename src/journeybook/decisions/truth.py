"""Policies and rankings beside the known answer of simulated contacts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.decisions.choices import true_probabilities
from journeybook.decisions.policy import Deciding, true_values
from journeybook.decisions.uplift import Uplift, true_uplift


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """The page beside the known answer; empty and None where nothing was planted.

    Attributes:
        probability: True probability of a response of each test contact under each choice, shape (test, k).
        policies: As `true_values` returns it.
        rankings: As `true_uplift` returns it.
        checks: Rows as `results.checks_of` takes them.
    """

    probability: np.ndarray | None
    policies: pd.DataFrame
    rankings: pd.DataFrame
    checks: pd.DataFrame


def known_answers(
    deciding: Deciding, moved: Uplift, sent: pd.DataFrame, *, truth: pd.DataFrame | None
) -> KnownAnswers:
    """Hold policies and rankings against `probability_<channel>` of the truth, one row a `contact_id`."""
    probability, policies, rankings, found = None, pd.DataFrame(), pd.DataFrame(), []
    if truth is not None and not deciding.why_not and deciding.test is not None:
        probability = true_probabilities(sent, truth, actions=deciding.test.actions)
        policies = true_values(deciding, probability)
        furthest = policies["errors_off"].abs().max()
        found.append(("policies' values, furthest from the truth in standard errors", furthest, 3.9))
    if truth is not None and not moved.why_not:
        rankings = true_uplift(moved, true_probabilities(sent, truth, actions=moved.actions))
        furthest = rankings["errors_off"].abs().max()
        found.append(("Qini coefficients, furthest from the truth in standard errors", furthest, 3.5))
    checks = pd.DataFrame(found, columns=["name", "value", "reference"])
    checks = checks.assign(rule="at most", source="true probabilities of the simulation")
    return KnownAnswers(probability, policies, rankings, checks)
