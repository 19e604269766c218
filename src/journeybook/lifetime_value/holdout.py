"""Which way of foreseeing purchases is best, told by a time that none of them has seen."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from journeybook.findings import wider
from journeybook.lifetime_value.fitting import Array, Fit
from journeybook.lifetime_value.models import FAMILIES, Family, Histories, fit, histories

OWN_RATE, REPEATED, HIATUS, BOOSTED = "own rate", "last window repeated", "own rate until a pause", "boosted trees"
MODELS = tuple(family.name for family in FAMILIES)
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
    """Return the histories of a summary's customers."""
    return histories(*(customers[name].to_numpy(dtype=float) for name in ("x", "t_x", "T")))


def judge(
    customers: pd.DataFrame,
    before: pd.DataFrame,
    *,
    weeks: float,
) -> Judged:
    """Fit every model before the split, and judge it and the baselines on the purchases after it.

    The baselines: each customer's own rate; the last window repeated; the own rate until a pause (Wuebben &
    v. Wangenheim 2008), whose length is chosen a window earlier; boosted trees on what was known, taught a window
    earlier.

    Args:
        customers: Histories up to the split, with what came after, from `customer_summary`.
        before: The same, split a window earlier.
        weeks: Length of the window.
    """
    h, actual = histories_of(customers), customers["n_after"].to_numpy(dtype=float)
    fits = {family.name: fit(family, h) for family in FAMILIES}
    predictions = {
        name: family_of(name).expected(found.theta, h, np.array([weeks]))[h.place, 0]
        for name, found in fits.items()
        if found.trouble is None
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
    rows += [{"way": name, "kind": "model", "trouble": one.trouble} for name, one in fits.items() if one.trouble]
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
    """Return purchases a week after the split: `week`, `actual`, and as models and the best baseline foresaw."""
    after = weekly.loc[weekly["week"] >= 0, ["week", "n_purchases"]].rename(columns={"n_purchases": "actual"})
    h, times = histories_of(customers), np.arange(1, len(after) + 1, dtype=float)
    for name in judged.predictions:
        if name in MODELS:
            expected = family_of(name).expected(judged.fits[name].theta, h, times)
            after[name] = np.diff(h.weight @ expected, prepend=0.0)
    return after.assign(**{judged.best_baseline: judged.predictions[judged.best_baseline].sum() / len(after)})


def by_past(customers: pd.DataFrame, judged: Judged, *, n_classes: int = 8) -> pd.DataFrame:
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
    """Return what tiers by expected revenue truly brought after the split.

    Returns:
        One row a tier, 1 is the top: `tier`, `n`, `revenue`, `revenue_share` and its ends (95 %, delta method over
        customers).
    """
    place = (-pd.Series(judged.predictions[judged.chosen] * spend)).rank(method="first").to_numpy() - 1
    tier, revenue = (place * n_tiers // len(place)).astype(int), customers["revenue_after"].to_numpy(dtype=float)
    total, rows = revenue.sum(), []
    for number in range(n_tiers):
        within = tier == number
        share = revenue[within].sum() / total if total > 0 else float("nan")
        spread = np.sqrt(len(place)) * (revenue * (within - share)).std() / total if total > 0 else float("nan")
        margin = stats.norm.isf(0.025) * spread
        rows.append(
            {"tier": number + 1, "n": int(within.sum()), "revenue": revenue[within].sum(), "revenue_share": share,
             "revenue_share_low": max(share - margin, 0.0), "revenue_share_high": min(share + margin, 1.0)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def coverage(
    customers: pd.DataFrame, judged: Judged, *, weeks: float, n_draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the share of customers, and of draws, that lie amid the best model's draws.

    The middle is from the 5 % to the 95 % quantile. Counts are whole, so that it holds more of the draws.
    """
    name = judged.best_model
    if name is None:
        return float("nan"), float("nan")
    h = histories_of(customers)
    each = replace(h, x=h.x[h.place], t_x=h.t_x[h.place], T=h.T[h.place])
    draws = np.stack(
        [family_of(name).simulated(judged.fits[name].theta, each, weeks, rng) for _ in range(n_draws)]
    )
    low, high = np.quantile(draws, [0.05, 0.95], axis=0, method="closest_observation")
    actual = customers["n_after"].to_numpy()
    return float(((actual >= low) & (actual <= high)).mean()), float(((draws >= low) & (draws <= high)).mean())
