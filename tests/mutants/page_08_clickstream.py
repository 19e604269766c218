"""Errors planted in page 08."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from mutants.planted import Mutant

PARAMETERS = {"n_draws": 200, "max_order": 2, "group_by": ["device"]}


def goes_on(sound: Callable) -> Callable:
    return lambda log, **rules: sound(log, **(rules | {"conversion": None}))


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


def half_the_width(sound: Callable) -> Callable:
    def wrong(drawn: Any) -> Any:
        low, high = sound(drawn)
        middle = (low + high) / 2
        return (low + middle) / 2, (high + middle) / 2

    return wrong


def any_order(sound: Callable) -> Callable:
    return lambda *steps, **asked: sound(*steps, **asked).assign(n_sessions=lambda t: t["n_sessions"].max())


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


def of_everybody(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        all_of_them = (found.table["probability"] + found.table["probability_elsewhere"]) / 2
        return replace(found, table=found.table.assign(probability_elsewhere=all_of_them))

    return wrong


def cheap_orders(sound: Callable) -> Callable:
    """Each parameter costs half of what BIC asks."""

    def wrong(steps: Any, **asked: Any) -> Any:
        found = sound(steps, **asked)
        bic = found.table["bic"] / 2 - found.table["log_likelihood"]
        return replace(found, table=found.table.assign(bic=bic))

    return wrong


def narrowed(*names: str) -> Callable:
    """Ends of an interval come half as near."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(*given: Any, **asked: Any) -> Any:
            table = sound(*given, **asked)
            ends = {
                f"{n}_{side}": (table[n] + table[f"{n}_{side}"]) / 2 for n in names for side in ("low", "high")
            }
            return table.assign(**ends)

        return wrong

    return planted_in


def halved(sound: Callable) -> Callable:
    return lambda p: sound(p) / 2


def raw_p(change: Callable) -> Callable:
    """Another p value before Holm's correction."""
    return lambda sound: lambda counts: replace(found := sound(counts), p_value=change(found))


def rows_held_out(sound: Callable) -> Callable:
    """Folds are of rows of the table of counts, so that a chain is judged on people it was fitted to."""

    def wrong(contexts: Any, cells: Any, n: Any, fold: Any, n_targets: int) -> Any:
        return sound(contexts, cells, n, np.arange(len(n)) % (fold.max() + 1), n_targets)

    return wrong


def one_back(sound: Callable) -> Callable:
    """Two steps back is one step back."""

    def wrong(steps: Any, *columns: str, memory: int = 1) -> Any:
        found = sound(steps, *columns, memory=memory)
        return found.mutate(source_2=found.source) if memory > 1 else found

    return wrong


def error_of_a_fold(sound: Callable) -> Callable:
    """The error of a gain is that of one fold's share of it."""

    def wrong(steps: Any, **asked: Any) -> Any:
        found = sound(steps, **asked)
        return replace(found, table=found.table.assign(held_out_gain_error=found.table["held_out_gain_error"] / 4))

    return wrong


def _mutant(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.{target}", wrong, **more)


def of_one_span(sound: Callable) -> Callable:
    """A drop's p value is that of one span looked at alone."""

    def wrong(*given: Any, **asked: Any) -> Any:
        scan = sound(*given, **asked)
        return replace(scan, table=scan.table.assign(p_value=lambda t: stats.norm.sf(t["score"])))

    return wrong


MUTANTS = [
    _mutant("of_one_span", "p values of drops forget how many spans were looked at", "clickstream:find_faults",
            of_one_span),
    _mutant("goes_on", "sessions are not cut at their conversion", "clickstream.counts:walk", goes_on,
             data=("demo",)),
    _mutant("transposed", "probabilities of steps are transposed", "clickstream:transition_table", transposed),
    _mutant("exits_forgotten", "one exit a page is counted, the others are not", "clickstream.counts:_count",
            exits_forgotten, data=("demo",)),
    _mutant("half_the_width", "intervals are half as wide", "clickstream.intervals:ends_of", half_the_width),
    _mutant("flat_funnel", "every stage of the funnel has all sessions", "clickstream:funnel", any_order),
    _mutant("every_exit_is_lost", "every exit counts as a lost conversion", "clickstream:state_table",
            every_exit_is_lost),
    _mutant("leavers_convert", "an offer brings everyone who would leave", "clickstream.moments:offer_values",
            lambda _: lambda p: p[..., -1]),
    _mutant("all_open", "sessions of long ago count as open", "clickstream:live_sessions",
            lambda sound: lambda *given, **asked: sound(*given, **asked | {"session_gap_minutes": 5_000})),
    _mutant("strict_is_loose", "the strict funnel is the loose one", "clickstream.funnels:_reached",
            lambda sound: lambda *given: sound(*given).mutate(strict=ibis._.loose), data=("demo",)),
    _mutant("cheap_orders", "parameters of an order cost half", "clickstream:choose_order", cheap_orders),
    _mutant("rows_held_out", "rows, not visitors, are held out", "clickstream.orders:_held_out", rows_held_out),
    _mutant("one_back", "a chain of order 2 looks one step back twice", "clickstream.orders:links", one_back),
    _mutant("error_of_a_fold", "the error of a gain held out is that of one fold", "clickstream:choose_order",
            error_of_a_fold),
    _mutant("gain_narrow", "intervals of gain are half as wide", "clickstream:bottleneck_table", narrowed("gain")),
    _mutant("lost_narrow", "intervals of lost conversions are half as wide", "clickstream:state_table",
            narrowed("lost_conversions")),
    _mutant("halved", "p values of differences are halved", "clickstream.groups:holm", halved),
    _mutant("raw_halved", "p values are halved before Holm", "clickstream.groups:rao_scott",
            raw_p(lambda found: found.p_value / 2)),
    _mutant("as_if_alone", "steps of one person count as those of many", "clickstream.groups:rao_scott",
            raw_p(lambda found: stats.chi2.sf(found.statistic, found.df))),
    _mutant("of_everybody", "a group is compared with all, itself among them", "clickstream:compare_groups",
            of_everybody),
    _mutant("fault_shifted", "a fault is dated three weeks late", "clickstream:find_faults", after_the_fault,
             data=("demo",)),
]  # fmt: skip
