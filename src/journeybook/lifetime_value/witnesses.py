"""Histories, likelihoods, expectations, tiers and values once more by another road."""

from collections.abc import Callable
from datetime import datetime

import ibis
import numpy as np
import pandas as pd
from scipy import integrate, stats
from scipy.special import betaln, gammaln

from journeybook.lifetime_value.bg_bb import occasions
from journeybook.lifetime_value.contracts import renewals
from journeybook.lifetime_value.family import Histories
from journeybook.lifetime_value.fitting import FLAT, Array, Fit
from journeybook.lifetime_value.holdout import MODELS, Judged, family_of, histories_of
from journeybook.lifetime_value.models import BG_BB, MBG_NBD, PARETO_NBD, SBG
from journeybook.lifetime_value.spend import Spend
from journeybook.lifetime_value.terms import Terms
from journeybook.lifetime_value.value import Value

# Customers whose histories are counted again.
MOST_RECOUNTED = 500
# Relative error of an adaptive integral.
INTEGRAL = 1e-6
# Futures drawn, and standard errors of their mean allowed.
N_FUTURES, MC_ERRORS = 100, 4.0


def recount(
    transactions: ibis.Table, customers: pd.DataFrame, *, split: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    """Count the histories of some customers again in plain pandas, one row a check."""
    some = customers.iloc[np.unique(np.linspace(0, len(customers) - 1, MOST_RECOUNTED).astype(int))]
    own_lines = transactions.filter(transactions.person_id.isin(some["person_id"].tolist()))
    lines = own_lines.select("person_id", "occurred_at", "revenue").to_pandas()
    lines = lines.assign(day=lines["occurred_at"].dt.normalize(), revenue=lines["revenue"].astype(float))
    lines = lines[lines["day"] < end]
    bought = lines[lines["revenue"] > 0].drop_duplicates(["person_id", "day"])[["person_id", "day"]]
    past, later = bought[bought["day"] < split], bought[bought["day"] >= split]
    days = past.groupby("person_id")["day"].agg(["min", "max", "size"]).reindex(some["person_id"])
    first = lines["person_id"].map(days["min"])
    repeat = lines[(lines["day"] > first) & (lines["day"] < split)].groupby("person_id")["revenue"].sum()
    week = pd.Timedelta(weeks=1)
    own = pd.DataFrame(
        {
            "x": days["size"] - 1,
            "t_x": (days["max"] - days["min"]) / week,
            "T": (split - days["min"]) / week,
            "repeat_revenue": repeat.reindex(days.index).fillna(0.0),
            "n_after": later.groupby("person_id").size().reindex(days.index).fillna(0),
        }
    )
    apart = np.abs(own.to_numpy(dtype=float) - some[[*own]].to_numpy(dtype=float)).max(axis=1)
    known = transactions.filter((transactions.revenue > 0) & (transactions.occurred_at < split))
    rows = {
        "histories counted otherwise": int((~(apart <= 1e-6)).sum()),
        "customers without a history, or too many": int(known.person_id.nunique().execute()) - len(customers),
    }
    about = {"reference": 0, "tolerance": 0, "source": f"plain pandas, {len(some)} customers"}
    return pd.DataFrame([{"name": name, "value": off, **about} for name, off in rows.items()])


def models_hold(
    customers: pd.DataFrame, judged: Judged, *, weeks: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Hold each certified model against integrals, differences and draws, one row a check."""
    rows: list[tuple[str, float, float, float, str, str]] = []
    h = histories_of(customers)
    each = h.each
    for name in [name for name in MODELS if name in judged.predictions]:
        family, theta = family_of(name), judged.fits[name].theta
        off = _off_integrals(name, theta, h)
        rows.append((f"{name}: log likelihoods, greatest difference", off, 0, INTEGRAL, "within", "integrals"))
        slope = _slope(name, theta, h)
        rows.append((f"{name}: slope of the likelihood", slope, 10 * FLAT, 0, "at most", "differences"))
        drawn = np.array([family.simulated(theta, each, weeks, rng).sum() for _ in range(N_FUTURES)])
        error = max(float(drawn.std(ddof=1)) / np.sqrt(N_FUTURES), 1e-9)
        apart = float(judged.predictions[name].sum() - drawn.mean()) / error
        what = f"{name}: purchases foreseen less those drawn, standard errors"
        rows.append((what, apart, 0, MC_ERRORS, "within", f"{N_FUTURES} futures drawn"))
        bend = _bend(name, theta, judged.fits[name].covariance, h)
        rows.append((f"{name}: bend of the likelihood, share off", bend, 0.01, 0, "at most", "differences"))
    columns = ["name", "value", "reference", "tolerance", "rule", "source"]
    return pd.DataFrame(sorted(rows), columns=columns)


def _off_integrals(name: str, theta: Array, h: Histories) -> float:
    """Return the greatest difference of five log likelihoods from their integrals."""
    some = np.unique(np.linspace(0, len(h.x) - 1, 5).astype(int))
    family, own = family_of(name), []
    for one in (h.of(np.array([at])) for at in some):
        story, parameters = family.own(theta, one)
        own.append(_log_integral(story.name, np.hstack(parameters), one))
    return float(np.abs(np.array(own) - family.likelihood(theta, h.of(some))[0]).max())


def _slope(name: str, theta: Array, h: Histories, step: float = 1e-4) -> float:
    """Return the steepest slope of the mean log likelihood by the log of a parameter, by differences."""
    ends = [theta * np.exp(sign * step * e) for e in np.eye(len(theta)) for sign in (1, -1)]
    at = [h.weight @ family_of(name).likelihood(end, h)[0] / h.weight.sum() for end in ends]
    return float(np.abs(np.diff(np.reshape(at, (-1, 2)), axis=1)).max() / (2 * step))


def _bend(name: str, theta: Array, covariance: Array, h: Histories, step: float = 0.02) -> float:
    """Return how far the likelihood bends otherwise than a covariance says, along its axes, as a share."""
    axes = step * np.linalg.cholesky(covariance)
    at = np.exp(np.stack([axes, 0 * axes, -axes])) * theta[:, None]
    value = np.array([[h.weight @ family_of(name).likelihood(end, h)[0] for end in side.T] for side in at])
    return float(np.abs(np.diff(value, 2, axis=0) / step**2 + 1).max())


def _log_integral(name: str, theta: Array, h: Histories) -> float:
    """Return one history's log likelihood by adaptive integrals over the time, or the chance, of leaving."""
    if name == SBG.name:
        (t,), (left,) = renewals(h), h.left
        return float(np.log(_coins(theta, left, t - left)))
    if name == BG_BB.name:
        (last,), (n,), (x,) = *occasions(h), h.x
        there = _coins(theta[:2], x, n - x) * _coins(theta[2:], 0, n)
        gone = (_coins(theta[:2], x, at - x) * _coins(theta[2:], 1, at) for at in np.arange(last, n))
        return float(np.log(there + sum(gone)))
    (r, alpha, a, b), (x, t_x, T) = theta, (h.x[0], h.t_x[0], h.T[0])

    def given(time: float) -> float:
        # The chance of the purchases, less that at T, of a customer known to have been there until `time`.
        return float(np.exp((r + x) * (np.log(alpha + T) - np.log(alpha + time))))

    if name == PARETO_NBD.name:
        gone = integrate.quad(lambda t: given(t) * a / b * (1 + t / b) ** -(a + 1), t_x, T, limit=200)[0]
        both = (1 + T / b) ** -a + gone
    else:
        k = x + (name == MBG_NBD.name)
        both = _beta_mean(a, b, lambda p: (1 - p) ** k)
        both += given(t_x) * _beta_mean(a, b, lambda p: p * (1 - p) ** (k - 1)) if k > 0 else 0.0
    scale = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + T)
    return float(np.log(both) + scale)


def _coins(theta: Array, hits: float, misses: float) -> float:
    """Return the chance of so many hits, then misses, of a coin drawn from a beta distribution."""
    return _beta_mean(theta[0], theta[1], lambda p: p**hits * (1 - p) ** misses)


def _beta_mean(a: float, b: float, of: Callable[[float], float]) -> float:
    """Return the mean of a function over a beta distribution, whose ends may be infinite."""
    return integrate.quad(of, 0, 1, weight="alg", wvar=(a - 1, b - 1), limit=200)[0] / np.exp(betaln(a, b))


def contracts_hold(
    customers: pd.DataFrame, kept: pd.DataFrame | None, terms: Terms, *, at: datetime
) -> pd.DataFrame:
    """Count ended contracts, and Kaplan & Meier's shares, once more; one row a check, none without contracts."""
    rows: list[tuple[str, float]] = []
    if kept is not None and terms.contracts is not None:
        last = terms.contracts.sort_values("started_at", kind="stable")
        last = last[last["started_at"] < at].groupby("person_id").tail(1).set_index("person_id")["churned_at"]
        told = pd.to_datetime(customers["person_id"].map(last))
        otherwise = told.notna() & ((told < at) != (customers["left"] > 0))
        rows = [("contracts ended counted otherwise", int(otherwise.sum()))]
        # Whoever is still there was asked as often as whole periods went by; the last was the end of who left.
        asked = np.ceil(customers["contract_periods"] - 1e-6) - 1 + customers["left"]
        share, off = 1.0, 0.0
        for row in kept.itertuples():
            here = asked >= row.period
            share *= 1 - customers["left"][asked == row.period].sum() / here.sum()
            off = max(off, abs(share - row.kaplan_meier), abs(here.sum() - row.n_at_risk))
        rows.append(("Kaplan & Meier's shares, greatest difference", off))
    table = pd.DataFrame(rows, columns=["name", "value"])
    return table.assign(reference=0, tolerance=1e-9, source="plain pandas, period by period")


def value_holds(
    value: Value,
    customers: pd.DataFrame,
    *,
    found: Fit | None,
    horizon_weeks: float,
    yearly_discount: float,
    margin: float | None,
    n_tiers: int,
    spend: Spend,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Hold tiers to their order and sizes, and values to a sum over single weeks, one row a check.

    Intervals are held to what the model foresees at parameters drawn from the covariance of its fit.
    """
    table, weeks = value.table, np.arange(0, horizon_weeks)
    ends = np.append(weeks[1:], horizon_weeks)
    interest = (1 + yearly_discount) ** (-(weeks + ends) / 2 * 7 / 365.25)
    if found is None or value.trouble:
        a_week = np.outer((customers["x"] + 0.5) / customers["T"].clip(lower=1 / 7), ends - weeks)
    else:
        h = histories_of(customers)
        a_week = np.diff(family_of(value.way).expected(found.theta, h, ends), axis=1, prepend=0.0)[h.place]
    own = a_week @ interest * table["spend"].to_numpy() * (margin or 1.0)
    worst = table.groupby("tier")["value"].agg(["min", "max"])
    size = (np.diff(np.arange(n_tiers + 1) * len(table) // n_tiers).min(), len(table) // n_tiers + 1)
    counts = table["tier"].value_counts()
    overlap = (worst["min"].to_numpy()[:-1] < worst["max"].to_numpy()[1:]).sum()
    outside = ((table["value_low"] > own) | (own > table["value_high"])).sum()
    places = table["tier_probability"].sum() - -(-len(table) // n_tiers)
    off = (np.abs(table["value"] - own).to_numpy() / np.where((own > 0).all(), own, 1.0)).max()
    here, weekly = "the table itself", "a sum over single weeks; discounted by months on the page"
    rows = [
        ("tiers that overlap", overlap, 1e-6, here),
        ("tiers of another size", (~counts.between(*size)).sum() + n_tiers - len(counts), 1e-6, here),
        ("values outside their interval", outside, 1e-6, here),
        ("chances of the top tier, less its places", places, 1e-6, here),
        ("customers without a value", len(set(customers["person_id"]) ^ set(table["person_id"])), 1e-6, here),
        ("values, greatest relative difference", off, 0.01, weekly),
    ]
    # Who has left is worth nothing, for certain.
    worth = np.flatnonzero(own > 0)
    if found is not None and not value.trouble and len(worth):
        some = worth[np.unique(np.linspace(0, len(worth) - 1, 30).astype(int))]
        few, family, n = histories_of(customers.iloc[some]), family_of(value.way), 400
        # A hundredth of the way, where nothing bends yet.
        at = found.theta * np.exp(0.01 * rng.multivariate_normal(0 * found.theta, found.covariance, n))
        drawn = np.log([family.expected(theta, few, np.array([horizon_weeks]))[few.place, 0] for theta in at])
        spread = drawn.var(axis=0, ddof=1) / 0.01**2
        if spend.fit is not None:
            by = spend.by[:, some] / spend.expected[some]
            spread += np.einsum("ic,ij,jc->c", by, spend.fit.covariance, by)
        ends = np.log(table["value_high"] / table["value_low"]).to_numpy()[some]
        width = float(np.mean(ends / (2 * stats.norm.isf(0.025) * np.sqrt(spread)))) - 1
        # A spread of n draws has a standard error of 1 / root of 2 n.
        rows.append(
            ("mean width of intervals of values, share off", width, 4 / (2 * n) ** 0.5, f"{n} parameters drawn")
        )
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source"]).assign(reference=0)


def tiers_hold(
    customers: pd.DataFrame, tiers: pd.DataFrame, expected: Array, *, n_tiers: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Sort customers by revenue expected, and so far, cut the lines and add up once more; bootstrap the ends."""
    revenue, n = customers["revenue_after"].to_numpy(dtype=float), len(customers)
    drawn = rng.multinomial(n, np.full(n, 1 / n), 500) * revenue
    off, widths = 0.0, []
    lines = [
        np.argsort(-worth, kind="stable")
        for worth in (expected, customers["repeat_revenue"].to_numpy(dtype=float))
    ]
    for row in tiers.itertuples():
        cut = slice(*(-(-n * k // n_tiers) for k in (row.tier - 1, row.tier)))
        own, past = (line[cut] for line in lines)
        shares = [revenue[part].sum() / revenue.sum() for part in (own, past)]
        off = max(off, abs(row.revenue_share - shares[0]), abs(row.past_share - shares[1]), abs(row.n - len(own)))
        gains = drawn[:, own].sum(axis=1) / drawn.sum(axis=1)
        width = (row.revenue_share_high - row.revenue_share_low) / (2 * stats.norm.isf(0.025))
        # A tier of those who have left brings nothing, whoever is drawn.
        widths.append(width / gains.std() if gains.any() else 1 + width)
    rows = [
        ("revenue of tiers, greatest difference of a share", off, 1e-9, "customers sorted"),
        ("mean width of tiers' intervals, share off", np.mean(widths) - 1, 0.25, "bootstrap of customers"),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source"]).assign(reference=0)
