"""Errors planted in page 08."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from journeybook.clickstream import attribution
from mutants.planted import Mutant

PARAMETERS = {"n_draws": 200, "max_types": 3, "max_order": 2, "channel_orders": [1], "group_by": ["device"]}


def half_the_gap(sound: Callable) -> Callable:
    return lambda log, **rules: sound(log, **(rules | {"session_gap_minutes": rules["session_gap_minutes"] / 2}))


def transposed(sound: Callable) -> Callable:
    def wrong(chain: Any) -> pd.DataFrame:
        table = sound(chain)
        back = table.set_index(["target", "source"])["probability"]
        told = back.reindex(pd.MultiIndex.from_frame(table[["source", "target"]])).to_numpy()
        return table.assign(probability=np.where(np.isnan(told), table["probability"], told))

    return wrong


def exits_forgotten(sound: Callable) -> Callable:
    def wrong(*args: Any, **rules: Any) -> Any:
        found = sound(*args, **rules)
        counts = found.counts[found.counts["target"].astype(str) != "(exit)"]
        kept = (
            found.counts[found.counts["target"].astype(str) == "(exit)"].groupby("source", observed=True).head(1)
        )
        return replace(found, counts=pd.concat([counts, kept]))

    return wrong


def not_renormalised(sound: Callable) -> Callable:
    """The channel's visits go on where they were instead of to exit: only its own conversions are lost."""

    def wrong(counts: Any, *, start: int, owner: Any, n_channels: int) -> Any:
        _, whole = sound(counts, start=start, owner=owner, n_channels=n_channels)
        p = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        visits = attribution.fundamental(p)[..., start, :]
        direct = visits * p[..., -2]
        lost = np.stack([direct[..., owner == k].sum(axis=-1) for k in range(n_channels)], axis=-1)
        return lost / whole[..., None], whole

    return wrong


def half_the_width(sound: Callable) -> Callable:
    def wrong(chain: Any, drawn: Any) -> Any:
        low, high = sound(chain, drawn)
        middle = (low + high) / 2
        return (low + middle) / 2, (high + middle) / 2

    return wrong


def first_for_last(sound: Callable) -> Callable:
    def wrong(touches: Any, **asked: Any) -> Any:
        table = sound(touches, **asked)
        return table.mutate(last_touch=table.first_touch, first_touch=table.last_touch)

    return wrong


def any_order(sound: Callable) -> Callable:
    return lambda steps, **asked: sound(steps, **asked).assign(n_sessions=lambda t: t["n_sessions"].max())


def every_exit_is_lost(sound: Callable) -> Callable:
    def wrong(chain: Any) -> pd.DataFrame:
        table = sound(chain)
        lost = ["lost_conversions", "lost_conversions_low", "lost_conversions_high"]
        return table.assign(**dict.fromkeys(lost, table["visits"] * table["drop_off"]))

    return wrong


def after_the_fault(sound: Callable) -> Callable:
    def wrong(steps: Any, **asked: Any) -> Any:
        scan = sound(steps, **asked)
        later = {name: scan.table[name] + pd.Timedelta(days=21) for name in ("starts_at", "ends_at")}
        return replace(scan, table=scan.table.assign(**later))

    return wrong


def types_by_lot(sound: Callable) -> Callable:
    def wrong(steps: Any, **asked: Any) -> Any:
        found = sound(steps, **asked)
        shuffled = found.members["type"].sample(frac=1, random_state=1).to_numpy()
        return replace(found, members=found.members.assign(type=shuffled))

    return wrong


def _mutant(name: str, error: str, target: str, wrong: Callable) -> Mutant:
    return Mutant(name, error, f"journeybook.clickstream{target}", wrong)


MUTANTS = [
    _mutant("half_the_gap", "sessions are cut at half the gap", ".sessions:walk", half_the_gap),
    _mutant("transposed", "probabilities of steps are transposed", ":transition_table", transposed),
    _mutant("exits_forgotten", "one exit a page is counted, the others are not", ":count_steps", exits_forgotten),
    _mutant("not_renormalised", "a removed channel loses its own conversions only", ".attribution:removal_effects",
            not_renormalised),
    _mutant("half_the_width", "intervals are half as wide", ".intervals:_ends", half_the_width),
    _mutant("first_for_last", "credit by first and last touch change places", ".channels:credits", first_for_last),
    _mutant("flat_funnel", "every stage of the funnel has all sessions", ":funnel", any_order),
    _mutant("every_exit_is_lost", "every exit counts as a lost conversion", ":state_table", every_exit_is_lost),
    _mutant("fault_shifted", "a fault is dated three weeks late", ":find_faults", after_the_fault),
    _mutant("types_by_lot", "visitors are given types at random", ":fit_types", types_by_lot),
]  # fmt: skip
