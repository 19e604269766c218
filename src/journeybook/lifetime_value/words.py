"""Titles, sentences and headline figures of page 06."""

from datetime import datetime

import pandas as pd

from journeybook.findings import say_count, say_interval, say_p, say_share
from journeybook.lifetime_value.holdout import Judged
from journeybook.lifetime_value.period import Period
from journeybook.lifetime_value.spend import Spend
from journeybook.lifetime_value.value import Value


def title_judged(judged: Judged) -> str:
    """Return what the time held out says of models and baselines."""
    if judged.best_model is None:
        return "No model could be fitted; the baselines stand alone"
    _, low, high = judged.gain
    if low > 0:
        return f"{judged.best_model} foresees purchases better than {say_way(judged.best_baseline)}"
    if high < 0:
        return f"No model foresees purchases as well as {say_way(judged.best_baseline)}"
    return f"{judged.best_model} foresees purchases no better than {say_way(judged.best_baseline)}"


def say_way(way: str) -> str:
    """Return the name of a way of foreseeing in a sentence."""
    return {
        "own rate": "each customer's own rate",
        "last window repeated": "repeating the last window",
        "last year repeated": "repeating the same weeks of last year",
        "own rate until a pause": "the own rate up to a pause",
    }.get(way, way)


def say_models(judged: Judged) -> str:
    """Return which models have no certificate, and why."""
    troubles = judged.table.dropna(subset=["trouble"])
    return " ".join(f"{row.way} is left out: {row.trouble}." for row in troubles.itertuples())


def say_intervals(held: pd.DataFrame, judged: Judged) -> str:
    """Return how well intervals for single customers hold, and what makes them hold."""
    if held.empty:
        return "No model gives intervals for single customers that a window earlier could widen."
    own, wide = (
        " and ".join(
            f"{say_share(row.value)} for {row.what}" for row in held[held["interval"] == kind].itertuples()
        )
        for kind in ("own", "widened")
    )
    told = f"{judged.best_model}'s own intervals for 90% of customers held {own}: it takes habits for lasting."
    return f"{told} Widened by how far a window earlier missed, they held {wide}."


def title_cohorts(table: pd.DataFrame) -> str:
    """Return whether the largest cohort still buys."""
    largest = table.loc[table["n"].idxmax(), "cohort"]
    rows = table[table["cohort"] == largest]
    last = rows.iloc[-1]
    when = "the quarter after" if last.quarter == 1 else f"{last.quarter} quarters later"
    bought = (
        f"{say_share(last.bought_share)} bought {when}" if last.quarter else "none is known for another quarter"
    )
    return f"Of {say_count(last.n)} customers of {largest}, {bought}"


def say_cohorts(table: pd.DataFrame, period: Period) -> str:
    """Return what cohorts cannot tell."""
    if table.empty:
        return "The data hold no whole quarter with enough newcomers for a cohort."
    if period.before_share > 0:
        return "The first cohort is mostly of customers from before the data begin: it is no cohort of newcomers."
    return "All customers are of one cohort: nothing sets newcomers apart." * (table["cohort"].nunique() == 1)


def say_spend(spend: Spend) -> str:
    """Return whether spend and frequency are independent, and what is done."""
    rho, low, high = spend.correlation
    if rho != rho:
        return "Too few customers bought again to tell what a purchase is worth by customer."
    told = f"The rank correlation of spend and number of purchases is {rho:.2f} ({low:.2f} to {high:.2f})."
    if spend.refused is None:
        return f"{told} Gamma-Gamma, which takes them for independent, is used."
    instead = "Each mean is drawn to that of customers alike in frequency."
    return f"{told} Gamma-Gamma is not used: {spend.refused}. {instead}"


def say_period(period: Period, *, split: datetime) -> str:
    """Return what the period of the data cannot tell."""
    told = f"What came from {split:%-d %B %Y} on was not shown to any model."
    if period.before_share > 0:
        before = "were customers before the data begin, as far as newcomers tell"
        told += f" {say_share(period.before_share)} of customers {before}."
    if period.swing_p < 0.05:
        chance = f"by more than chance ({say_p(period.swing_p)})"
        told += f" Weeks scatter about their trend {chance}: no model here knows why."
    if period.season is None:
        return told + " In less than two years a season cannot be told from single events."
    if period.season > 0 and (period.season_p or 1) < 0.05:
        return told + " Purchases follow a season, which no model here knows."
    return told + " No season shows."


def title_tiers(tiers: pd.DataFrame) -> str:
    """Return what the top tier truly brought."""
    top = tiers.iloc[0]
    share = say_interval(say_share, top.revenue_share_low, top.revenue_share_high)
    return f"The {say_count(top.n)} customers put first brought {share} of the revenue that followed"


def headline(judged: Judged, spend: Spend, value: Value, period: Period, held: pd.DataFrame) -> dict[str, float]:
    """Return the page's headline figures."""
    coverage = held.set_index(["what", "interval"])["value"].get("purchases", {})
    return {
        "n_customers": len(value.table),
        "value": float(value.table["value"].sum()),
        "gain": judged.gain[0],
        "spend_correlation": spend.correlation[0],
        "before_share": period.before_share,
        "interval_coverage": coverage.get("own", float("nan")),
        "widened_coverage": coverage.get("widened", float("nan")),
        "purchases_expected": float(value.table["purchases_expected"].sum()),
    }
