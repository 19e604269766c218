"""Errors planted in page 15."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from journeybook.monitoring.limits import CHANGED, SAME
from mutants.planted import Mutant

PARAMETERS = {"n_histories": 6, "n_simulations": 40}
MONITORING = "journeybook.monitoring"


def _filled_for_empty(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        of = (found.about["measure"] == "completeness").to_numpy()[:, None]
        return replace(found, k=np.where(of, found.n - found.k, found.k))

    return wrong


def _days_slipped(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        return replace(found, k=np.roll(found.k, 1, axis=1), n=np.roll(found.n, 1, axis=1))

    return wrong


def _any_move(_sound: Callable) -> Callable:
    return lambda low, high, margin: np.where((low > 0) | (high < 0), CHANGED, SAME)


def _rows_alone(sound: Callable) -> Callable:
    return lambda influence, clusters: sound(influence, np.arange(len(influence)))


def _even_days(sound: Callable) -> Callable:
    def wrong(expected: Any, **given: Any) -> Any:
        return sound(replace(expected, dispersion=np.ones_like(expected.dispersion)), **given)

    return wrong


def _strong(sound: Callable) -> Callable:
    return lambda rows: sound(rows).assign(weight=lambda t: 1.5 * t["weight"])


MUTANTS = [
    Mutant("none_repeated", "no delivery comes twice", f"{MONITORING}.series:_repeated",
           lambda sound: lambda table: sound(table).limit(0)),
    Mutant("filled_for_empty", "filled cells count as empty", f"{MONITORING}:count_days", _filled_for_empty),
    Mutant("days_slipped", "counts slip by a day", f"{MONITORING}:count_days", _days_slipped),
    Mutant("all_days_alike", "weekdays are forgotten", f"{MONITORING}.limits:_levels",
           lambda sound: lambda series, taught, factors: sound(series, taught, factors[1:])),
    Mutant("no_dispersion", "days scatter by chance alone", f"{MONITORING}.limits:_dispersion",
           lambda sound: lambda series, *args: np.ones_like(sound(series, *args))),
    Mutant("half_the_evidence", "evidence is halved", f"{MONITORING}.limits:evidence",
           lambda sound: lambda *args, **given: sound(*args, **given) / 2),
    Mutant("one_sum", "the budget is each sum's own", f"{MONITORING}:limit_of",
           lambda sound: lambda n_sums, **given: sound(1, **given)),
    Mutant("early_alarms", "sums alarm at half the limit", f"{MONITORING}.limits:episodes",
           lambda sound: lambda ratio, *, limit: sound(ratio, limit=limit / 2)),
    Mutant("any_move", "any move beyond chance is a change", f"{MONITORING}.limits:verdict_of", _any_move),
    Mutant("rows_alone", "contacts of one person count as many", f"{MONITORING}.drift:clustered_error",
           _rows_alone),
    Mutant("even_histories", "clean days scatter by chance alone", f"{MONITORING}.faults:draw", _even_days),
    Mutant("strong_concept", "features count for half as much again", f"{MONITORING}:fit_concept", _strong),
    Mutant("five_bins", "PSI has five bins", f"{MONITORING}.drift:psi",
           lambda sound: lambda reference, newest, *, bins: sound(reference, newest, bins=5)),
]  # fmt: skip

ACTING = f"{MONITORING}.acting"


def _sent_is_known(sound: Callable) -> Callable:
    """A week learns from contacts whose response window is still open."""

    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        return replace(found, rows=found.rows.assign(known_at=found.rows["occurred_at"]))

    return wrong


def _half_doubt(sound: Callable) -> Callable:
    def wrong(*args: Any) -> Any:
        mean, error = sound(*args)
        return mean, error / 2

    return wrong


def _measure_off(place: int, change: Callable) -> Callable:
    """One of the four measures is another."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any) -> Any:
            estimate, influence = sound(*args)
            return np.array([change(x) if k == place else x for k, x in enumerate(estimate)]), influence

        return wrong

    return planted_in


def _top_tenth(sound: Callable) -> Callable:
    """The top 20 % are the top 10 %."""

    def wrong(probability: Any, responded: Any, person: Any) -> Any:
        estimate, influence = sound(probability, responded, person)
        first = np.argsort(-probability, kind="stable")[: round(len(probability) / 10)]
        estimate[3] = responded[first].sum() / responded.sum()
        return estimate, influence

    return wrong


def _against_retrained(sound: Callable) -> Callable:
    """Gains are over training anew, not over keeping."""

    def wrong(each: Any, beside: Any, person: Any) -> Any:
        return sound(each, each[:, -1] if each.shape[1] == 3 else beside, person)

    return wrong


REPLAY = f"{MONITORING}.replay"


def _slipped(sound: Callable) -> Callable:
    """Propensities are those of the contact before."""

    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        return replace(found, propensity=np.roll(found.propensity, 1))

    return wrong


def _timid(sound: Callable) -> Callable:
    """The bandit does not hope."""
    return lambda *args, width: sound(*args, width=0.0)


def _forgetful(sound: Callable) -> Callable:
    """What a choice brought is put down to the choice before."""

    class Wrong(sound):
        def learn(self, action: int, x: Any, reward: float) -> None:
            super().learn(max(action - 1, 0), x, reward)

    return Wrong


def _anywhere(sound: Callable) -> Callable:
    """A fixed policy writes also to people who did not permit it."""
    return lambda logged, action: np.full(len(logged.taken), action)


SERVING = f"{MONITORING}.serving"


def _only_reached(sound: Callable) -> Callable:
    """Who was sent nothing does not count."""

    def wrong(*args: Any) -> Any:
        found = sound(*args)
        step = "messages a person"
        return found | {step: found[step][found[step]["value"] > 0]}

    return wrong


def _id_among_features(sound: Callable) -> Callable:
    """The id counts as a feature that is never empty."""

    def wrong(*args: Any) -> Any:
        found = sound(*args)
        step, n = "empty features", len(args[0]["features"].columns) - 2
        return found | {step: found[step].assign(value=lambda rows: rows["value"] * (n - 1) / n)}

    return wrong


MUTANTS += [
    Mutant("sent_is_known", "weeks learn from outcomes not yet known", f"{MONITORING}.upkeep:scored_contacts",
           _sent_is_known),
    Mutant("half_doubt", "intervals of an update's gain are half as wide", f"{ACTING}:gained", _half_doubt),
    Mutant("against_retrained", "gains are over training anew", f"{ACTING}:gained", _against_retrained),
    Mutant("inverse_slope", "the calibration slope is upside down", f"{ACTING}:measured",
           _measure_off(1, lambda x: 1 / x)),
    Mutant("bits", "log loss is in bits", f"{ACTING}:measured", _measure_off(0, lambda x: x / np.log(2))),
    Mutant("slipped_propensity", "propensities are those of the contact before",
           f"{MONITORING}.adaptive:logged_choices", _slipped),
    Mutant("timid", "the bandit never tries what it does not know", f"{REPLAY}:LinUCB", _timid),
    Mutant("forgetful", "the bandit learns of another choice", f"{REPLAY}:LinUCB", _forgetful),
    Mutant("anywhere", "fixed policies write to whom they may not", f"{REPLAY}:fixed_choice", _anywhere),
    Mutant("top_tenth", "the top 20% are the top 10%", f"{ACTING}:measured", _top_tenth),
    Mutant("only_reached", "who was sent nothing is left out of the reach", f"{SERVING}:_steps", _only_reached),
    Mutant("id_among_features", "the id counts as a feature", f"{SERVING}:_steps", _id_among_features),
    Mutant("groups_slipped", "people have the group of the person before", f"{SERVING}:labels",
           lambda sound: lambda values: np.roll(sound(values), 1)),
    Mutant("largest_as_one", "the largest of many differences is judged as one alone",
           f"{MONITORING}.fairness:largest_t", lambda _sound: lambda *_, **__: 1.96),
    Mutant("half_error", "errors of groups are half as large", f"{MONITORING}.fairness:clustered_covariance",
           lambda sound: lambda *args: sound(*args) / 4),
]  # fmt: skip
