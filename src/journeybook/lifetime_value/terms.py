"""On which terms customers buy: at any time, at occasions, or under a contract."""

from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from journeybook.findings import say_count

WEEK = pd.Timedelta(weeks=1)
# Days from one renewal of a contract to the next, where nothing is said of them: a month.
MONTH = 365.25 / 12
# Fewest days with purchases from which occasions are told.
FEWEST_DAYS = 8


@dataclass(frozen=True, eq=False)
class Terms:
    """On which terms customers buy.

    Attributes:
        days: Days from one occasion to buy, or to renew a contract, to the next; 0 where any time is one.
        contracts: One row a contract, by their start: `person_id`, `started_at`, `churned_at` (missing while it
            runs, or where that is not known), `ended`; None without.
    """

    days: float
    contracts: pd.DataFrame | None


def of_contracts(transactions: ibis.Table, contracts: ibis.Table | None) -> ibis.Table:
    """Keep the receipts of people with a contract; all of them where there are no contracts."""
    return transactions if contracts is None else transactions.semi_join(contracts, "person_id")


def find_terms(days: ibis.Table, contracts: ibis.Table | None, *, occasion_days: int | None) -> Terms:
    """Tell on which terms customers buy.

    Args:
        days: What `purchase_days` returns.
        contracts: Table `contracts`; None where nobody has one.
        occasion_days: Days from one occasion to buy, or to renew a contract, to the next; None takes a month for
            contracts, and finds occasions where all purchases fall on days a fixed number of days apart.

    Raises:
        ValueError: `occasion_days` is not above 0.
    """
    if occasion_days is not None and occasion_days < 1:
        raise ValueError(f"occasion_days is {occasion_days}: it must be 1 or more.")
    if contracts is not None:
        known = contracts.select("person_id", *{"started_at", "churned_at", "active"} & {*contracts.columns})
        found = known.to_pandas().reindex(columns=["person_id", "started_at", "churned_at", "active"])
        found["churned_at"] = pd.to_datetime(found["churned_at"])
        found = found.assign(ended=found["churned_at"].notna() | found["active"].eq(False))
        found = found.sort_values(["started_at", "churned_at", "person_id"])
        return Terms(occasion_days or MONTH, found.drop(columns="active"))
    if occasion_days is not None:
        return Terms(float(occasion_days), None)
    bought = days.filter(days.bought).select("day").distinct().order_by("day").day.to_pandas()
    apart = int(np.gcd.reduce(bought.diff().dropna().dt.days.to_numpy(), initial=0))
    return Terms(float(apart) if apart > 1 and len(bought) >= FEWEST_DAYS else 0.0, None)


def under_terms(customers: pd.DataFrame, terms: Terms, *, at: datetime) -> pd.DataFrame:
    """Add what the models need of the terms, as of a midnight.

    Args:
        customers: Histories up to `at`, from `customer_summary`.
        terms: What `find_terms` returns.
        at: Midnight.

    Returns:
        `occasion_weeks` is added unless any time is an occasion; under a contract also `contract_periods` and
        `left`, of the last to begin. One that has ended on an unknown day is taken to have done so at its first
        renewal without a payment, one that begins later to begin with the first purchase.

    Raises:
        ValueError: Customers bought more often than there were occasions.
    """
    if not terms.days:
        return customers
    weeks = terms.days / 7
    customers = customers.assign(occasion_weeks=weeks)
    if terms.contracts is None:
        often = int((customers["x"] > (customers["t_x"] / weeks).round()).sum())
        if often:
            told = f"{say_count(often)} customers bought more often than once in so many days"
            raise ValueError(f"occasion_days is {terms.days:g}: {told}.")
        return customers
    begun = terms.contracts[terms.contracts["started_at"] < at].drop_duplicates("person_id", keep="last")
    found = customers.merge(begun, on="person_id", how="left")
    started = found["started_at"].fillna(at - found["T"] * WEEK)
    left_at = found["churned_at"]
    unpaid = at - (found["T"] - found["t_x"]) * WEEK + pd.Timedelta(days=terms.days)
    left_at = left_at.where(left_at.notna() | ~found["ended"].eq(True), unpaid)
    left = (left_at < at).to_numpy()
    found["contract_periods"] = ((left_at.where(left, pd.Timestamp(at)) - started) / WEEK / weeks).clip(lower=1e-3)
    return found.assign(left=left.astype(float))[[*customers, "contract_periods", "left"]]


def say_terms(terms: Terms, customers: pd.DataFrame) -> str:
    """Return which kind of model is taken, and why."""
    if terms.contracts is not None:
        told = (
            f"Contracts tell who has left: {say_count(customers['left'].sum())} of {say_count(len(customers))} had"
        )
        instead = (
            "A survival model takes the place of those that guess it. Buyers without a contract are left out."
        )
        return f"{told} before the split. {instead}"
    if terms.days:
        return (
            f"Customers buy at occasions {terms.days:g} days apart, so BG/BB stands beside the models of any time."
        )
    return ""
