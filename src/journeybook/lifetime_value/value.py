"""What each customer is worth over a horizon, how sure that is, and who is in the top tier."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.lifetime_value.family import Family, Histories
from journeybook.lifetime_value.fitting import Array, Fit
from journeybook.lifetime_value.holdout import JEFFREYS, family_of, histories_of, own_rate, tiers_of
from journeybook.lifetime_value.spend import Spend

WEEKS_A_YEAR = 365.25 / 7
# Weeks of a horizon are discounted in so many parts.
N_PARTS = 12


@dataclass(frozen=True, eq=False)
class Value:
    """What customers are worth from the end of the data on.

    Attributes:
        table: One row a customer, in the order given: `person_id`, `purchases_expected`, `alive_probability`
            (missing where the customer's own rate is taken), `spend` (revenue a purchase), `value`, `value_low`,
            `value_high` (95 % for the expectation: parameters are uncertain, and the customer's own luck comes on
            top), `tier` (1 is the top), `tier_probability` (to be in the top tier by what will be bought).
        way: How purchases are foreseen.
        trouble: Why the model that was chosen could not be used on all data; None where it could.
    """

    table: pd.DataFrame
    way: str
    trouble: str | None


def customer_value(
    customers: pd.DataFrame,
    spend: Spend,
    *,
    way: str,
    found: Fit | None,
    horizon_weeks: float,
    yearly_discount: float,
    margin: float | None,
    n_tiers: int,
    n_draws: int,
    rng: np.random.Generator,
) -> Value:
    """Value each customer: discounted purchases expected within the horizon, times spend, times margin.

    The interval is by the delta method from the covariances of the fits; of a customer's own rate it is that of
    Jeffreys' posterior. The two fits are taken for independent, as the models are.

    Args:
        customers: Histories up to the end of the data, from `customer_summary`.
        spend: What a purchase of each brings.
        way: Name of the model of `found`.
        found: The model's fit to these customers; None takes each customer's own rate.
        horizon_weeks: Weeks that are valued, above 0.
        yearly_discount: What a year takes off a sum, as an interest rate; 0 or more.
        margin: Share of revenue that is kept; None values revenue.
        n_tiers: Tiers of equal size.
        n_draws: Futures drawn for the probability of the top tier.
        rng: Source of chance.

    Raises:
        ValueError: A number is out of its range.
    """
    times = horizon_weeks * np.arange(1, N_PARTS + 1) / N_PARTS
    # What is bought in a part of the horizon is discounted from the part's middle.
    discount = (1 + yearly_discount) ** (-(times - times[0] / 2) / WEEKS_A_YEAR)
    trouble = None if found is None else found.trouble
    kept = 1.0 if margin is None else margin
    h = histories_of(customers)
    if found is None or trouble:
        gamma = customers["x"].to_numpy(dtype=float) + JEFFREYS
        purchases = own_rate(customers) * horizon_weeks
        counted, alive, name = purchases * discount.mean(), np.full(len(customers), np.nan), "own rate"
        low, high = (counted * stats.gamma.ppf(q, gamma) / gamma for q in (0.025, 0.975))
        spread = np.zeros(len(customers))
    else:
        family, name = family_of(way), way
        expected = family.expected(found.theta, h, times)
        purchases, alive = expected[h.place, -1], family.alive(found.theta, h)[h.place]
        counted = _discounted(expected, discount)[h.place]
        by = _slopes(family, found.theta, h, times, discount)[:, h.place]
        spread = np.einsum("ic,ij,jc->c", by, found.covariance, by)
        low = high = counted
    per = spend.expected * kept
    value = counted * per
    if spend.fit is not None:
        more = np.einsum("ic,ij,jc->c", spend.by * kept, spend.fit.covariance, spend.by * kept)
        spread = spread * per**2 + more * counted**2
    else:
        spread = spread * per**2
    # On the log scale, so that no end is below 0.
    factor = np.exp(stats.norm.isf(0.025) * np.sqrt(spread) / np.maximum(value, 1e-12))
    table = pd.DataFrame({"person_id": customers["person_id"], "purchases_expected": purchases})
    table = table.assign(alive_probability=alive, spend=spend.expected, value=value)
    table = table.assign(value_low=low * per / factor, value_high=high * per * factor)
    table["tier"] = tiers_of(table["value"].to_numpy(), n_tiers=n_tiers)
    drawn = _top_share(customers, per, way=name, found=found, weeks=horizon_weeks, n_tiers=n_tiers,
                       n_draws=n_draws, rng=rng)  # fmt: skip
    return Value(table.assign(tier_probability=drawn), name, trouble)


def _discounted(expected: Array, discount: Array) -> Array:
    return np.diff(expected, axis=1, prepend=0.0) @ discount


def _slopes(
    family: Family, theta: Array, h: Histories, times: Array, discount: Array, step: float = 1e-4
) -> Array:
    """Return how discounted purchases change with the log of each parameter, shape (parameters, histories)."""
    up, down = ([theta * np.exp(sign * step * e) for e in np.eye(len(theta))] for sign in (1, -1))
    pairs = zip(up, down, strict=True)
    ends = [[_discounted(family.expected(at, h, times), discount) for at in pair] for pair in pairs]
    return np.stack([(more - less) / (2 * step) for more, less in ends])


def _top_share(
    customers: pd.DataFrame,
    per: Array,
    *,
    way: str,
    found: Fit | None,
    weeks: float,
    n_tiers: int,
    n_draws: int,
    rng: np.random.Generator,
) -> Array:
    """Return the share of drawn futures in which each customer is among the top tier by what is bought."""
    n, each = len(customers), histories_of(customers).each
    top, hits = -(-n // n_tiers), np.zeros(n)
    shape, rate = customers["x"].to_numpy(dtype=float) + JEFFREYS, own_rate(customers)
    for _ in range(n_draws):
        if way == "own rate" or found is None:
            bought = rng.poisson(rng.gamma(shape, rate / shape) * weeks).astype(float)
        else:
            bought = family_of(way).simulated(found.theta, each, weeks, rng)
        # Ties are broken by lot, so that nobody gains by a place in the file.
        worth = bought * per + rng.random(n) * 1e-9
        hits[np.argpartition(-worth, top - 1)[:top]] += 1
    return hits / n_draws
