"""Customers with a contract, whose leaving is seen: the shifted beta geometric, and Kaplan & Meier beside it."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betaln, digamma

from journeybook.lifetime_value.family import Family, Histories, Theta
from journeybook.lifetime_value.fitting import Array
from journeybook.statistics.survival import kaplan_meier


def renewals(h: Histories, time: Array | float = 0.0) -> Array:
    """Return how often a contract could be renewed until a time after the end, or at which time it was not."""
    return np.ceil(h.periods + time / h.step - 1e-6) - (1 - h.left)


def _likelihood(theta: Theta, h: Histories) -> tuple[Array, Array]:
    a, b = theta
    t, left = renewals(h), h.left
    value = betaln(a + left, b + t - left) - betaln(a, b)
    both = digamma(a + b) - digamma(a + b + t)
    return value, np.stack([left / a + both, digamma(b + t - left) - digamma(b) + both])


def _alive(theta: Theta, h: Histories) -> Array:
    return 1.0 - h.left


def _a_period(h: Histories) -> Array:
    # Purchases a period: the mean of Jeffreys' posterior of a Poisson rate, as in the baselines.
    return (h.x + 0.5) / np.maximum(h.T, 1 / 7) * h.step * (1 - h.left)


def _expected(theta: Theta, h: Histories, times: Array) -> Array:
    a, b = theta
    made = renewals(h)
    further = np.stack([renewals(h, time) - made for time in times], axis=1).astype(int)
    ahead = b + made[:, None] + np.arange(int(further.max(initial=0)))
    renewed = np.cumprod(ahead / (a + ahead), axis=1).cumsum(axis=1)
    bills = np.take_along_axis(np.column_stack([np.zeros(len(made)), renewed]), further, axis=1)
    return bills * _a_period(h)[:, None]


def _simulated(theta: Theta, h: Histories, time: float, rng: np.random.Generator) -> Array:
    a, b = theta
    made = renewals(h)
    stops = rng.geometric(np.maximum(rng.beta(a, b + made), 1e-12))
    return rng.poisson(_a_period(h) * np.minimum(stops - 1, renewals(h, time) - made)).astype(float)


# Fader & Hardie (2007), eq. 5 and 6. Each renewal brings a customer's own number of purchases: a bill, mostly.
SBG = Family("sBG", ("alpha", "beta"), (), _likelihood, _alive, _expected, _simulated)


def retention(h: Histories, theta: Array) -> pd.DataFrame:
    """Return the share still under contract after each period, by Kaplan & Meier and by the model.

    Returns:
        One row a period in which somebody could have left: `period`, `n_at_risk`, `kaplan_meier` with the ends of
        its 95 % interval `low` and `high` (Greenwood, on the scale of log minus log), and `model`.
    """
    each = h.each
    # Who was there after the last renewal is known until then; who left at one was at risk at it.
    at, at_risk, events, share = kaplan_meier(renewals(each), each.left > 0)
    inside = (share > 0) & (at_risk > 0)
    at, at_risk, events, share = (part[inside] for part in (at, at_risk, events, share))
    spread = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / np.log(share)
    ends = [share ** np.exp(sign * stats.norm.isf(0.025) * spread) for sign in (1, -1)]
    told = {"period": at.astype(int), "n_at_risk": at_risk, "kaplan_meier": share, "low": ends[0], "high": ends[1]}
    frame = pd.DataFrame(told).assign(model=np.exp(betaln(theta[0], theta[1] + at) - betaln(*theta)))
    return frame.assign(low=np.minimum(*ends), high=np.maximum(*ends))
