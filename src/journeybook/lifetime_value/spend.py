"""What a purchase of each customer is worth: Gamma-Gamma, or the mean drawn to that of like customers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import digamma, gammaln

from journeybook.lifetime_value.fitting import Array, Fit, maximise

# Rank correlation of spend and frequency from which they are not taken for independent.
DEPENDENT = 0.1
FEWEST_REPEATERS = 100
N_CLASSES = 10


@dataclass(frozen=True, eq=False)
class Spend:
    """What a purchase of each customer is expected to bring.

    Attributes:
        expected: Revenue a purchase, shape (customers,).
        by: Its derivatives by the logs of the parameters of the fit, shape (parameters, customers); no row for the
            fallback.
        fit: Gamma-Gamma's parameters; None where it is refused.
        correlation: Rank correlation of spend a purchase and number of purchases, with the ends of its 95 %
            interval; NaN of fewer than four repeat buyers.
        refused: Why Gamma-Gamma is not used, in words; None where it is.
    """

    expected: Array
    by: Array
    fit: Fit | None
    correlation: tuple[float, float, float]
    refused: str | None


def fit_gamma_gamma(x: Array, mean: Array) -> Fit:
    """Fit Gamma-Gamma to repeat buyers (Fader & Hardie 2013, eq. 1a).

    Args:
        x: Repeat purchases, 1 or more.
        mean: Mean revenue a repeat purchase, above 0.
    """

    def likelihood(theta: Array, rows: slice) -> tuple[Array, Array]:
        p, q, gamma = theta
        n, m = x[rows], mean[rows]
        ratio = np.log(n * m) - np.log(gamma + n * m)
        value = gammaln(p * n + q) - gammaln(p * n) - gammaln(q) + p * n * ratio - np.log(m)
        value = value + q * (np.log(gamma) - np.log(gamma + n * m))
        by_p = n * (digamma(p * n + q) - digamma(p * n) + ratio)
        by_q = digamma(p * n + q) - digamma(q) + np.log(gamma) - np.log(gamma + n * m)
        return value, np.stack([by_p, by_q, q / gamma - (p * n + q) / (gamma + n * m)])

    return maximise(likelihood, ("p", "q", "gamma"), weight=np.ones(len(x)), sizes=[1, 1, np.median(mean)])


def spend_a_purchase(customers: pd.DataFrame) -> Spend:
    """Return what a purchase of each customer is expected to bring.

    Gamma-Gamma takes spend and frequency for independent. Where their rank correlation is clearly not nought
    and at least `DEPENDENT`, or the fit has no certificate, the customer's own mean is drawn to that of customers
    who buy about as often (empirical Bayes within tenths of frequency).

    Args:
        customers: `x`, `repeat_revenue`, `squares`, from `customer_summary`.
    """
    x = customers["x"].to_numpy(dtype=float)
    mean = (customers["repeat_revenue"] / customers["x"].where(customers["x"] > 0)).to_numpy(dtype=float)
    known = mean > 0
    correlation = _correlation(x[known], mean[known])
    refused, found = None, None
    if known.sum() < FEWEST_REPEATERS:
        refused = f"{known.sum()} customers spent in repeat purchases, and it needs {FEWEST_REPEATERS}"
    elif abs(correlation[0]) >= DEPENDENT and correlation[1] * correlation[2] > 0:
        refused = "those who buy more often spend " + ("more" if correlation[0] > 0 else "less") + " a purchase"
    else:
        found = fit_gamma_gamma(x[known], mean[known])
        refused = found.trouble
    if refused or found is None:
        squares = customers["squares"].to_numpy(dtype=float)
        return Spend(_drawn(x, mean, squares, known), np.zeros((0, len(x))), None, correlation, refused)
    total = np.where(known, x * np.nan_to_num(mean), 0.0)
    n = np.where(known, x, 0.0)
    return Spend(*_gamma_gamma_mean(found.theta, n, total), found, correlation, None)


def spend_holds(customers: pd.DataFrame, spend: Spend) -> pd.DataFrame:
    """Rank spend and frequency again in pandas, and hold Gamma-Gamma to independent ones, one row a check."""
    known = customers[customers["repeat_revenue"] > 0]
    rho = known["x"].rank().corr((known["repeat_revenue"] / known["x"]).rank())
    clear = abs(rho) >= DEPENDENT and abs(rho) > 2 * np.sqrt((1 + rho**2 / 2) / (len(known) - 3))
    rows = {
        "rank correlation of spend and number of purchases": (
            np.nan_to_num(spend.correlation[0]),
            np.nan_to_num(rho),
        ),
        "Gamma-Gamma where spend and number of purchases are dependent": (clear and spend.fit is not None, 0),
    }
    about = {"tolerance": 1e-9, "source": "ranks in pandas"}
    return pd.DataFrame([{"name": name, "value": v, "reference": at, **about} for name, (v, at) in rows.items()])


def _gamma_gamma_mean(theta: Array, x: Array, total: Array) -> tuple[Array, Array]:
    """Return the expected spend a purchase (Fader & Hardie 2013, eq. 5), and its derivatives by log parameters."""
    p, q, gamma = theta
    below = p * x + q - 1
    expected = p * (gamma + total) / below
    by_p = expected * (1 - p * x / below)
    return expected, np.stack([by_p, -expected * q / below, p * gamma / below])


def _correlation(x: Array, mean: Array) -> tuple[float, float, float]:
    """Return Spearman's correlation with Fisher's interval (variance by Bonett & Wright 2000)."""
    if len(x) < 4 or len(np.unique(x)) < 2 or len(np.unique(mean)) < 2:
        return (float("nan"),) * 3
    rho = float(stats.spearmanr(x, mean).statistic)
    margin = stats.norm.isf(0.025) * np.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    return rho, float(np.tanh(np.arctanh(rho) - margin)), float(np.tanh(np.arctanh(rho) + margin))


def _drawn(x: Array, mean: Array, squares: Array, known: np.ndarray) -> Array:
    """Return each customer's mean drawn to that of a tenth of customers alike in frequency."""
    if not known.any():
        return np.zeros(len(x))
    overall = float(np.average(mean[known], weights=x[known]))
    within = float((squares - x * mean**2)[known].sum() / max((x[known] - 1).sum(), 1))
    edges = np.unique(np.quantile(x[known], np.linspace(0, 1, N_CLASSES + 1)[1:-1]))
    classes, result = np.searchsorted(edges, x, side="right"), np.full(len(x), overall)
    for number in np.unique(classes[known]):
        rows = known & (classes == number)
        own, noise = mean[rows], within / x[rows]
        centre = float(own.mean())
        between = max(float(own.var(ddof=1) - noise.mean()) if len(own) > 1 else 0.0, 0.0)
        result[rows] = centre + (own - centre) * between / np.maximum(between + noise, 1e-12)
    return result
