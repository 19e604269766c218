"""Errors planted in page 09."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from journeybook.attribution import methods
from journeybook.attribution.paths import MARK
from mutants.planted import Mutant

PARAMETERS = {"n_draws": 200, "channel_orders": [1]}


def not_renormalised(sound: Callable) -> Callable:
    """The channel's visits go on where they were instead of to exit: only its own conversions are lost."""

    def wrong(counts: Any, *, start: int, owner: Any, n_channels: int) -> Any:
        _, whole = sound(counts, start=start, owner=owner, n_channels=n_channels)
        p = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        visits = methods.fundamental(p)[..., start, :]
        direct = visits * p[..., -2]
        lost = np.stack([direct[..., owner == k].sum(axis=-1) for k in range(n_channels)], axis=-1)
        return lost / whole[..., None], whole

    return wrong


def first_for_last(sound: Callable) -> Callable:
    def wrong(touches: Any, **asked: Any) -> Any:
        table = sound(touches, **asked)
        return table.mutate(last_touch=table.first_touch, first_touch=table.last_touch)

    return wrong


def twice(name: str) -> Callable:
    """A rule of paths is taken for twice what was asked."""
    return lambda sound: lambda given, **asked: sound(given, **(asked | {name: asked[name] * 2}))


def every_visit_counts(sound: Callable) -> Callable:
    """The Shapley value shares a conversion by visits, not by channels."""
    return lambda touches, **asked: sound(touches, **asked).mutate(shapley=lambda t: t.linear)


def half_the_width(sound: Callable) -> Callable:
    def wrong(drawn: Any, tail: Any) -> Any:
        low, high = sound(drawn, tail)
        middle = (low + high) / 2
        return np.array([(low + middle) / 2, (high + middle) / 2])

    return wrong


def lost_paths(sound: Callable) -> Callable:
    """Paths that do not convert are left out of their number."""
    return lambda *given, **asked: replace(found := sound(*given, **asked), n_paths=found.n_conversions)


def first_of_several(sound: Callable) -> Callable:
    """Of a state that remembers several channels the first is removed, not the last."""
    return lambda states, channels: sound(tuple(state.split(MARK)[0] for state in states), channels)


def forgets(sound: Callable) -> Callable:
    return lambda touches, order: sound(touches, 1)


def credit_lost(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        part = np.where(found.table["method"].str.startswith("markov"), 0.9, 1.0)
        return replace(found, table=found.table.assign(credit=found.table["credit"] * part))

    return wrong


def narrow_by(*methods: str, of: str) -> Callable:
    """Intervals of some methods are half as wide about the middle."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(*given: Any, **asked: Any) -> Any:
            found = sound(*given, **asked)
            table, part = found.table, found.table["method"].isin(methods)
            ends = {
                end: table[end].mask(part, (table[end] + table[of]) / 2) for end in (f"{of}_low", f"{of}_high")
            }
            return replace(found, table=table.assign(**ends))

        return wrong

    return planted_in


def _mutant(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.attribution{target}", wrong, **more)


BOTH_ORDERS = {"parameters": {"channel_orders": [1, 2]}}


MUTANTS = [
    _mutant("not_renormalised", "a removed channel loses its own conversions only", ".methods:removal_effects",
            not_renormalised),
    _mutant("first_for_last", "credit by first and last touch change places", ".paths:credits", first_for_last),
    _mutant("twice_the_gap", "a path goes on over twice the pause", ":channel_paths", twice("path_gap_days")),
    _mutant("twice_the_half_life", "touches lose half their weight in twice the days", ".paths:credits",
            twice("half_life_days")),
    _mutant("every_visit_counts", "Shapley shares a conversion by visits", ".paths:credits", every_visit_counts),
    _mutant("half_the_width", "intervals are half as wide", ".methods:_ends", half_the_width),
    _mutant("first_of_several", "the second order removes the wrong channel", ".methods:owners", first_of_several,
            **BOTH_ORDERS),
    _mutant("forgets", "the chain of order 2 remembers one channel", ".paths:_states", forgets, **BOTH_ORDERS),
    _mutant("each_visit", "each visit is a path of its own", ":channel_paths",
            lambda sound: lambda steps, **by: sound(steps.mutate(cluster=steps.session.cast("string")), **by)),
    _mutant("signed_distances", "distances above and below the planted shares cancel", ":beside_planted",
            lambda sound: lambda found, truth: sound(found, truth).assign(mean_distance=0.0), data=("demo",)),
    _mutant("removal_narrow", "intervals of removal effects are half as wide", ":attribute",
            narrow_by("markov_removal", of="removal_effect")),
    _mutant("markov_narrow", "intervals of credit by removal are half as wide", ":attribute",
            narrow_by("markov_removal", of="share")),
    _mutant("shapley_narrow", "intervals of Shapley's credit are half as wide", ":attribute",
            narrow_by("shapley", of="share")),
    _mutant("last_narrow", "intervals of the last touch are half as wide", ":attribute",
            narrow_by("last_touch", of="share")),
    _mutant("credit_lost", "a tenth of the credit by Markov chains is lost", ":attribute", credit_lost),
    _mutant("lost_paths", "paths that do not convert are not counted", ":channel_paths", lost_paths),
]  # fmt: skip
