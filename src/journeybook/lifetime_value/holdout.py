"""Which way of foreseeing purchases is best, told by a time that none of them has seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from journeybook.findings import wider
from journeybook.lifetime_value.contracts import retention
from journeybook.lifetime_value.family import Family, Histories, histories
from journeybook.lifetime_value.fitting import Array, Fit
from journeybook.lifetime_value.models import ANY_TIME, FAMILIES, SBG, fit, suitable
from journeybook.lifetime_value.period import WEEKS_A_YEAR
from journeybook.lifetime_value.summary import COVARIATE

OWN_RATE, HIATUS, BOOSTED = "own rate", "own rate until a pause", "boosted trees"
REPEATED, LAST_YEAR = "last window repeated", "last year repeated"
MODELS = tuple(family.name for family in FAMILIES)
# Why a model of silent leaving is not judged where contracts are known.
KNOWN = "contracts tell who has left, and it would guess"
# Purchases added to a count before it is a rate: the mean of Jeffreys' posterior of a Poisson rate.
JEFFREYS = 0.5
# Pauses tried as the end of a customer, as quantiles of those between a customer's last purchase and the split.
PAUSES = np.linspace(0.5, 1, 21)
FEWEST_TAUGHT = 100


@dataclass(frozen=True, eq=False)
class Judged:
    """Ways of foreseeing purchases, each judged on the time after the split.

    Attributes:
        table: One row a way, best first: `way`, `kind` (`model`, `baseline`), `trouble` (why it is not judged;
            missing where it is), `predicted` (purchases in all), `actual`, `deviance` (Poisson's, a customer),
            `deviance_low`, `deviance_high` (of its difference from the best of the other kind; corrected for all
            ways, 95 %), `error` (mean absolute error).
        predictions: Purchases predicted for each customer, by way.
        fits: The models' parameters, fitted before the split, by name.
        best_model: The certified model of least deviance; None where none is certified.
        best_baseline: The baseline of least deviance.
        gain: Deviance that the best model saves a customer against the best baseline, with the corrected ends of
            its 95 % interval; above 0 is better. NaN without a model.
    """

    table: pd.DataFrame
    predictions: dict[str, Array]
    fits: dict[str, Fit]
    best_model: str | None
    best_baseline: str
    gain: tuple[float, float, float]

    @property
    def chosen(self) -> str:
        """The way to use: the best model, unless a baseline is clearly better."""
        return self.best_baseline if self.best_model is None or self.gain[2] < 0 else self.best_model


def family_of(name: str) -> Family:
    """Return the model of a name."""
    return next(family for family in FAMILIES if family.name == name)


def histories_of(customers: pd.DataFrame) -> Histories:
    """Return the histories of a summary's customers, with the terms and covariates that were added to them."""
    x, t_x, T = (customers[name].to_numpy(dtype=float) for name in ("x", "t_x", "T"))
    step = float(customers["occasion_weeks"].max()) if "occasion_weeks" in customers else 0.0
    contract = (customers["contract_periods"], customers["left"]) if "left" in customers else None
    known = customers.filter(like=COVARIATE)
    return histories(x, t_x, T, covariates=None if known.empty else known, step=step, contract=contract)


def judge(
    customers: pd.DataFrame,
    before: pd.DataFrame,
    *,
    weeks: float,
) -> Judged:
    """Fit every model before the split, and judge it and the baselines on the purchases after it.

    Where contracts tell who has left, the models that guess it are fitted, but not judged.

    The baselines: each customer's own rate; the last window repeated; the same weeks of last year, where somebody
    is known for a year; the own rate until a pause (Wuebben & v. Wangenheim 2008), whose length is chosen a window
    earlier; boosted trees on what was known, taught a window earlier.

    Args:
        customers: Histories up to the split, with what came after, from `customer_summary`.
        before: The same, split a window earlier.
        weeks: Length of the window.
    """
    h, actual = histories_of(customers), customers["n_after"].to_numpy(dtype=float)
    told = suitable(h)
    fits = {family.name: fit(family, h) for family in dict.fromkeys((*told, *ANY_TIME))}
    predictions = {
        family.name: family.expected(fits[family.name].theta, h, np.array([weeks]))[h.place, 0]
        for family in told
        if fits[family.name].trouble is None
    }
    predictions |= baselines(customers, before, weeks=weeks)
    deviance = {name: poisson_deviance(actual, predicted) for name, predicted in predictions.items()}
    mean = {name: float(part.mean()) for name, part in deviance.items()}
    models = [name for name in mean if name in MODELS]
    best_model = min(models, key=mean.__getitem__) if models else None
    best_baseline = min((name for name in mean if name not in MODELS), key=mean.__getitem__)
    gain = (float("nan"),) * 3
    if best_model is not None:
        gain = _mean_interval(deviance[best_baseline] - deviance[best_model], n_tried=len(mean) - 1)
    rows = [
        {"way": name, "kind": "model" if name in MODELS else "baseline", "predicted": predictions[name].sum(),
         "actual": actual.sum(), "deviance": mean[name], "error": np.abs(predictions[name] - actual).mean()}
        for name in sorted(mean, key=mean.__getitem__)
    ]  # fmt: skip
    troubles = {name: one.trouble for name, one in fits.items() if name not in mean}
    rows += [{"way": name, "kind": "model", "trouble": why or KNOWN} for name, why in troubles.items()]
    table = pd.DataFrame(rows).reindex(
        columns=["way", "kind", "predicted", "actual", "deviance", "error", "trouble"]
    )
    return Judged(table, predictions, fits, best_model, best_baseline, gain)


def poisson_deviance(actual: Array, predicted: Array) -> Array:
    """Return each customer's deviance from a prediction above 0; 0 is a perfect one."""
    predicted = np.maximum(predicted, 1e-9)
    logs = np.where(actual > 0, actual * np.log(np.maximum(actual, 1) / predicted), 0.0)
    return 2 * (logs - (actual - predicted))


def baselines(customers: pd.DataFrame, before: pd.DataFrame, *, weeks: float) -> dict[str, Array]:
    """Return what the simple ways and the trees foresee; see `judge`."""
    result = {
        OWN_RATE: own_rate(customers) * weeks,
        REPEATED: customers["n_recent"].to_numpy(dtype=float) + JEFFREYS,
        HIATUS: _until_pause(customers, weeks=weeks, pause=_best_pause(before, weeks=weeks)),
    }
    if customers["T"].max() >= WEEKS_A_YEAR:
        result[LAST_YEAR] = customers["n_last_year"].to_numpy(dtype=float) + JEFFREYS
    if len(before) >= FEWEST_TAUGHT and before["n_after"].sum() > 0:
        result[BOOSTED] = fit_trees(before)(customers)
    return result


def fit_trees(before: pd.DataFrame) -> Callable[[pd.DataFrame], Array]:
    """Teach boosted trees the purchases of one window from what was known before it; return how they predict."""
    trees = HistGradientBoostingRegressor(loss="poisson", max_iter=100, min_samples_leaf=40, random_state=0)
    trees.fit(_known(before), before["n_after"])
    return lambda customers: trees.predict(_known(customers))


def _known(customers: pd.DataFrame) -> np.ndarray:
    """Return what trees learn from: nothing that grows with the length of the history alone."""
    since = customers["T"] - customers["t_x"]
    spent = customers["repeat_revenue"] / customers["x"].clip(lower=1)
    further = customers.filter(like="feature_")
    return np.column_stack([own_rate(customers), customers["n_recent"], since, spent, further])


def own_rate(customers: pd.DataFrame) -> Array:
    """Return each customer's purchases a week so far: the mean of Jeffreys' posterior of a Poisson rate."""
    weeks = np.maximum(customers["T"].to_numpy(dtype=float), 1 / 7)
    return (customers["x"].to_numpy(dtype=float) + JEFFREYS) / weeks


def _until_pause(customers: pd.DataFrame, *, weeks: float, pause: float) -> Array:
    since = (customers["T"] - customers["t_x"]).to_numpy(dtype=float)
    return np.where(since <= pause, own_rate(customers), JEFFREYS / np.maximum(since, 1 / 7)) * weeks


def _best_pause(before: pd.DataFrame, *, weeks: float) -> float:
    """Return the pause of least deviance in the window before the split."""
    actual = before["n_after"].to_numpy(dtype=float)
    tried = np.quantile(before["T"] - before["t_x"], PAUSES)
    deviances = [poisson_deviance(actual, _until_pause(before, weeks=weeks, pause=p)).mean() for p in tried]
    return float(tried[int(np.argmin(deviances))])


def _mean_interval(values: Array, *, n_tried: int) -> tuple[float, float, float]:
    centre = float(values.mean())
    margin = wider(n_tried) * stats.norm.isf(0.025) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return centre, centre - margin, centre + margin


def by_week(customers: pd.DataFrame, judged: Judged, weekly: pd.DataFrame) -> pd.DataFrame:
    """Return purchases a week after the split, and all so far (`..., cumulated`), as made and as foreseen.

    Returns:
        One row a week: `week`, `actual`, and a column for each model and for the best baseline.
    """
    after = weekly.loc[weekly["week"] >= 0, ["week", "n_purchases"]].rename(columns={"n_purchases": "actual"})
    h, times = histories_of(customers), np.arange(1, len(after) + 1, dtype=float)
    for name in judged.predictions:
        if name in MODELS:
            expected = family_of(name).expected(judged.fits[name].theta, h, times)
            after[name] = np.diff(h.weight @ expected, prepend=0.0)
    after[judged.best_baseline] = judged.predictions[judged.best_baseline].sum() / len(after)
    return after.join(after.drop(columns="week").cumsum().add_suffix(", cumulated"))


def by_period(customers: pd.DataFrame, judged: Judged) -> pd.DataFrame | None:
    """Return the share still under contract after each period, as `retention` does; None without contracts."""
    return retention(histories_of(customers), judged.fits[SBG.name].theta) if SBG.name in judged.fits else None


def by_past(customers: pd.DataFrame, judged: Judged, *, n_classes: int = 10) -> pd.DataFrame:
    """Return mean purchases after the split by those before it: `x_low`, `x_high`, `n`, `actual`, each way."""
    x = customers["x"].to_numpy()
    edges = np.unique(np.quantile(x, np.linspace(0, 1, n_classes + 1)[1:-1]).astype(int))
    values = pd.DataFrame({"x": x, "actual": customers["n_after"].to_numpy(dtype=float), **judged.predictions})
    grouped = values.groupby(np.searchsorted(edges, x, side="right"))
    means = grouped[["actual", *judged.predictions]].mean()
    ends = grouped["x"].agg(x_low="min", x_high="max", n="size")
    error = (grouped["actual"].std() / np.sqrt(ends["n"])).fillna(0.0) * stats.norm.isf(0.025)
    return ends.join(means).assign(margin=error).reset_index(drop=True)


def by_tier(customers: pd.DataFrame, spend: Array, judged: Judged, *, n_tiers: int) -> pd.DataFrame:
    """Return what tiers by expected revenue truly brought after the split, and tiers by revenue so far.

    That the best customers so far stay the best is a rule of thumb of managers (Wuebben & v. Wangenheim 2008).

    Returns:
        One row a tier, 1 is the top: `tier`, `n`, `revenue`, `revenue_share`, the same of tiers by the revenue of
        repeat purchases so far, `past_share`, and of the first less the second, `gain`; shares with `_low` and
        `_high` (95 %, delta method over customers).
    """
    revenue = customers["revenue_after"].to_numpy(dtype=float)
    expected, past = judged.predictions[judged.chosen] * spend, customers["repeat_revenue"].to_numpy(dtype=float)
    tiers, so_far = (tiers_of(worth, n_tiers=n_tiers) for worth in (expected, past))
    total, rows = revenue.sum(), []
    for number in range(1, n_tiers + 1):
        ours, theirs = (np.where(tier == number, 1.0, 0.0) for tier in (tiers, so_far))
        row = {"tier": number, "n": int(ours.sum()), "revenue": float(revenue @ ours)}
        for name, counted in (("revenue_share", ours), ("past_share", theirs), ("gain", ours - theirs)):
            share = revenue @ counted / total if total > 0 else float("nan")
            margin = stats.norm.isf(0.025) * np.sqrt(len(revenue)) * (revenue * (counted - share)).std() / total
            row |= {name: share, f"{name}_low": share - margin, f"{name}_high": share + margin}
        rows.append(row)
    return pd.DataFrame(rows)


def tiers_of(worth: Array, *, n_tiers: int) -> Array:
    """Return the tier of each customer by rank, of equal sizes; 1 is the top, and ties stay in order."""
    place = (-pd.Series(worth)).rank(method="first").to_numpy() - 1
    return (place * n_tiers // len(place)).astype(int) + 1
