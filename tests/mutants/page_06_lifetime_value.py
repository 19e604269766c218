"""Errors planted in page 06."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mutants.planted import Mutant

PARAMETERS = {"n_draws": 50}
START, SOON = datetime(2017, 1, 1), timedelta(days=45)
WORTH = "journeybook.lifetime_value"


def _delivered_twice(sound: Callable) -> Callable:
    """Every purchase after the first is counted twice."""

    def wrong(days: Any, **asked: Any) -> Any:
        found = sound(days, **asked)
        return found.assign(x=found["x"] * 2)

    return wrong


def _free_orders(sound: Callable) -> Callable:
    """Orders for nothing, and days of returns alone, count as purchases."""
    return lambda transactions: sound(transactions).mutate(bought=True)


def _in_days(sound: Callable) -> Callable:
    def wrong(days: Any, **asked: Any) -> Any:
        found = sound(days, **asked)
        return found.assign(T=found["T"] * 7)

    return wrong


def _knows_the_end(sound: Callable) -> Callable:
    """Histories go on to the end of the data, past the split."""

    def wrong(days: Any, *, split: Any, end: Any) -> Any:
        found, whole = sound(days, split=split, end=end), sound(days, split=end, end=end)
        later = whole.set_index("person_id").reindex(found["person_id"])
        return found.assign(x=found["x"].where(found["x"] == 0, later["x"].to_numpy()))

    return wrong


def _nobody_leaves(sound: Callable) -> Callable:
    """The chance that a customer has left is forgotten in what is expected."""

    def wrong(customers: Any, before: Any, **asked: Any) -> Any:
        found = sound(customers, before, **asked)
        longer = {
            name: predicted * 1.05 if "NBD" in name else predicted for name, predicted in found.predictions.items()
        }
        return replace(found, predictions=longer)

    return wrong


def _stops_early(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return replace(found, theta=found.theta * np.array([1.02, *[1.0] * (len(found.theta) - 1)]))

    return wrong


def _of_one_customer(sound: Callable) -> Callable:
    """The covariance is that of one customer, not of all."""

    def wrong(likelihood: Any, names: Any, *, weight: Any, **asked: Any) -> Any:
        found = sound(likelihood, names, weight=weight, **asked)
        return replace(found, covariance=found.covariance * weight.sum())

    return wrong


def _least_first(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return replace(found, table=found.table.assign(tier=asked["n_tiers"] + 1 - found.table["tier"]))

    return wrong


def _some_unvalued(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return replace(found, table=found.table.assign(person_id=found.table["person_id"].shift()))

    return wrong


def _equal_widths(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found, n = sound(*given, **asked), asked["n_tiers"]
        value = found.table["value"]
        return replace(found, table=found.table.assign(tier=(n - value / value.max() * (n - 1)).astype(int)))

    return wrong


def _month_for_horizon(sound: Callable) -> Callable:
    return lambda *given, **asked: sound(*given, **(asked | {"horizon_weeks": asked["horizon_weeks"] / 12}))


def _dead_cohort(sound: Callable) -> Callable:
    """Who was first seen in one month has no purchase after it: their later receipts did not arrive."""

    def wrong(transactions: Any) -> Any:
        days = sound(transactions)
        month = days.day.min().over(group_by=days.person_id).truncate("M")
        return (
            days.mutate(month=month).filter(lambda t: (t.month != START) | (t.day < t.month + SOON)).drop("month")
        )

    return wrong


def _dying_cohort(sound: Callable) -> Callable:
    def wrong(days: Any, **asked: Any) -> Any:
        found = sound(days, **asked)
        return found.assign(revenue_per_customer=found["revenue_per_customer"].where(found["quarter"] == 0, 0.0))

    return wrong


def _spend_follows_frequency(sound: Callable) -> Callable:
    """Every purchase of those who buy more often is worth more."""

    def wrong(days: Any, **asked: Any) -> Any:
        found = sound(days, **asked)
        dearer = 1 + found["x"]
        return found.assign(repeat_revenue=found["repeat_revenue"] * dearer, squares=found["squares"] * dearer**2)

    return wrong


def _always_independent(_sound: Callable) -> Callable:
    return lambda x, mean: (0.0, -0.01, 0.01)


def _half_as_wide(sound):
    def wrong(*given, **asked):
        found = sound(*given, **asked)
        ends = {name: (found.table["value"] * found.table[name]) ** 0.5 for name in ("value_low", "value_high")}
        return replace(found, table=found.table.assign(**ends))

    return wrong


def _by_the_past(sound):
    return lambda *given, **asked: sound(*given, **asked).assign(revenue_share=lambda t: t.past_share)


def _one_sided(sound):
    def wrong(*given, **asked):
        return sound(*given, **asked).assign(revenue_share_high=lambda t: t.revenue_share)

    return wrong


def _learned_where_judged(sound):
    """The window that widens intervals is the one they are judged in."""
    return lambda customers, _before, *given, **asked: sound(customers, customers, *given, **asked)


def _between_the_ends(_sound):
    def wrong(draws, actual, levels):
        low, high = np.quantile(draws, levels, axis=0)
        return float(((actual > low) & (actual < high)).mean())

    return wrong


def _allowed_twice_the_error(sound):
    def wrong(*given, **asked):
        return sound(*given, **asked).assign(reference=lambda t: t["reference"] - 4 * t["error"])

    return wrong


MUTANTS = [
    Mutant("learned_where_judged", "intervals are widened by the answers", f"{WORTH}:judge_intervals",
           _learned_where_judged),
    Mutant("between_the_ends", "customers at an end of their interval are outside",
           f"{WORTH}.intervals:share_inside", _between_the_ends),
    Mutant("twice_the_error", "coverage is allowed twice its error", f"{WORTH}:judge_intervals",
           _allowed_twice_the_error),
    Mutant("half_as_wide", "intervals of values are half as wide", f"{WORTH}:customer_value", _half_as_wide),
    Mutant("by_the_past", "tiers are those of revenue so far", f"{WORTH}:by_tier", _by_the_past),
    Mutant("one_sided", "shares of tiers have no upper doubt", f"{WORTH}:by_tier", _one_sided),
    Mutant("delivered_twice", "purchases are counted twice", f"{WORTH}:customer_summary", _delivered_twice,
           data=("demo",)),
    Mutant("free_orders", "orders for nothing are purchases", f"{WORTH}:purchase_days", _free_orders,
           data=("demo",)),
    Mutant("time_in_days", "T is in days, t_x in weeks", f"{WORTH}:customer_summary", _in_days, data=("demo",)),
    Mutant("knows_the_end", "histories go past the split", f"{WORTH}:customer_summary", _knows_the_end),
    Mutant("nobody_leaves", "models foresee 5 % too much", f"{WORTH}:judge", _nobody_leaves),
    Mutant("stops_early", "the search stops beside the peak", f"{WORTH}.models:maximise", _stops_early),
    Mutant("of_one_customer", "errors are those of one customer", f"{WORTH}.models:maximise", _of_one_customer,
           data=("demo",)),
    Mutant("dead_cohort", "later receipts of one cohort are missing", f"{WORTH}:purchase_days", _dead_cohort),
    Mutant("dying_cohort", "cohorts bring nothing after their first quarter", f"{WORTH}:by_cohort", _dying_cohort),
    Mutant(
        "spend_follows_frequency",
        "frequent buyers are given dearer purchases",
        f"{WORTH}:customer_summary",
        _spend_follows_frequency,
    ),
    Mutant(
        "always_independent",
        "spend is taken for independent of frequency",
        f"{WORTH}.spend:_correlation",
        _always_independent,
    ),
    Mutant(
        "newest_lost",
        "the newest customers have no history",
        f"{WORTH}:customer_summary",
        lambda sound: lambda days, **asked: sound(days, **asked).iloc[:-5],
    ),
    Mutant("equal_widths", "tiers are as wide, not as large", f"{WORTH}:customer_value", _equal_widths),
    Mutant(
        "half_sure",
        "chances of the top tier are halved",
        f"{WORTH}.value:_top_share",
        lambda sound: lambda *given, **asked: sound(*given, **asked) / 2,
    ),
    Mutant("some_unvalued", "some customers have no value", f"{WORTH}:customer_value", _some_unvalued),
    Mutant("least_first", "the worst tier is the first", f"{WORTH}:customer_value", _least_first),
    Mutant(
        "month_for_horizon", "a month is valued, not the horizon", f"{WORTH}:customer_value", _month_for_horizon
    ),
]  # fmt: skip
