"""An A/B test and a 2x2 test of the web shop, simulated on units with real spending before.

Every household is one unit. The other units are unknown visitors; each has the pre-period spend of a household
drawn with replacement, and no `customer_id`. Assignment is by independent fair draws. Whether a unit buys, and
what it spends, depends on the pre-period spend and on the variant by the planted effects, which the seed draws:

    P(converted) = logistic(base + slope x + shift),  x = standardised log(1 + pre_spend)
    spend | converted = lognormal, mean = level (1 - weight + weight z) (1 + uplift),  z = pre_spend / its mean

The truth is the average, over the very units of the test, of what each is expected to do under each variant.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.statistics import stream

N_UNITS = 20_000
# Weeks before the assignment in which `pre_spend` is counted, and the days over which units arrive.
PRE_WEEKS, ARRIVAL_DAYS = 8, 28
STARTS_ON = {"experiment": "2017-09-04", "factorial": "2017-10-16"}
VARIANTS = {
    "experiment": ("control", "treatment"),
    "factorial": ("control", "banner", "free_delivery", "banner+free_delivery"),
}
# Spread of the log of a conversion's spend.
SPEND_SPREAD = 0.5


@dataclass(frozen=True, eq=False)
class DemoExperiments:
    """Simulated tests and what was planted in them.

    Attributes:
        experiment: Canonical table `experiment`: `unit_id`, `customer_id` (null for an unknown visitor),
            `occurred_at` (assignment), `variant`, `pre_spend` and `spend` (currency), `converted` (0 or 1).
        factorial: The same columns for the 2x2 test.
        truth: One row a test, variant and metric: expected mean under the variant, and the effect against
            control; rows `banner x free_delivery` hold the interaction.
    """

    experiment: pd.DataFrame
    factorial: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Effects:
    """What a seed plants in one test.

    Attributes:
        base: Log odds of conversion of an average unit under control.
        slope: Change of the log odds with one standard deviation of x.
        level: Mean spend of a conversion under control at the mean of `pre_spend`, in currency.
        weight: Share of that mean that is proportional to `pre_spend`; the rest is the same for all.
        shift: Change of the log odds, shape (variants,); 0 for control.
        uplift: Relative change of the mean spend, shape (variants,); 0 for control.
    """

    base: float
    slope: float
    level: float
    weight: float
    shift: np.ndarray
    uplift: np.ndarray


def simulate_experiments(connection: Backend, *, seed: int) -> DemoExperiments:
    """Simulate both tests.

    Args:
        connection: Holds the real purchases as `transactions`.
        seed: Seed of the run; another one plants other effects.
    """
    frames, truths = {}, []
    for name, variants in VARIANTS.items():
        effects = _draw_effects(len(variants), stream(seed, f"experiments: {name} effects"))
        units = _draw_units(connection, name, stream(seed, f"experiments: {name} units"))
        frames[name] = _outcomes(units, variants, effects, stream(seed, f"experiments: {name} outcomes"))
        truths.append(_truth(name, variants, units["pre_spend"].to_numpy(), effects))
    return DemoExperiments(
        experiment=frames["experiment"],
        factorial=frames["factorial"],
        truth=pd.concat(truths, ignore_index=True),
    )


def _draw_effects(n_variants: int, rng: np.random.Generator) -> Effects:
    shift = np.r_[0.0, rng.uniform(0.10, 0.35, size=n_variants - 1)]
    uplift = np.r_[0.0, rng.uniform(-0.04, 0.08, size=n_variants - 1)]
    if n_variants == 4:
        # Both together: the sum of each alone, and an interaction of either sign.
        shift[3] = shift[1] + shift[2] + rng.choice([-1, 1]) * rng.uniform(0.05, 0.25)
        uplift[3] = uplift[1] + uplift[2]
    return Effects(
        base=float(rng.uniform(-1.4, -0.8)),
        slope=float(rng.uniform(0.5, 0.8)),
        level=float(rng.uniform(25, 40)),
        weight=float(rng.uniform(0.6, 0.8)),
        shift=shift,
        uplift=uplift,
    )


def _draw_units(connection: Backend, name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the units in the order of assignment: every household once, and visitors modelled on households."""
    lines = connection.table("transactions")
    start = pd.Timestamp(STARTS_ON[name])
    begins = start - pd.Timedelta(weeks=PRE_WEEKS)
    before = lines.occurred_at.between(begins.to_pydatetime(), (start - pd.Timedelta("1us")).to_pydatetime())
    households = (
        lines.filter(lines.customer_id.notnull())
        .group_by("customer_id")
        .aggregate(row=lines.row.min(), pre_spend=before.ifelse(lines.revenue, 0).sum())
        .order_by("row")
        .to_pandas()
    )
    spent = households["pre_spend"].astype(float).round(2).to_numpy()
    n_visitors = max(N_UNITS - len(households), 0)
    model = np.r_[np.arange(len(households)), rng.integers(len(households), size=n_visitors)]
    known = np.arange(len(model)) < len(households)
    # Households and visitors arrive in any order.
    arrival = rng.permutation(len(model))
    names = np.where(known, households["customer_id"].to_numpy(dtype=object)[model], None)
    seconds = np.sort(rng.integers(ARRIVAL_DAYS * 86_400, size=len(model)))
    return pd.DataFrame(
        {
            "unit_id": [f"{name[0].upper()}{n + 1:06d}" for n in range(len(model))],
            "customer_id": names[arrival],
            "occurred_at": (start + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]"),
            "pre_spend": spent[model][arrival],
        }
    )


def _expected(pre_spend: np.ndarray, effects: Effects) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of conversion and the mean spend of a conversion, shape (variants, units)."""
    x = np.log1p(pre_spend)
    x = (x - x.mean()) / x.std()
    chance = 1 / (1 + np.exp(-(effects.base + effects.slope * x + effects.shift[:, None])))
    share = 1 - effects.weight + effects.weight * pre_spend / pre_spend.mean()
    return chance, effects.level * share * (1 + effects.uplift[:, None])


def _outcomes(
    units: pd.DataFrame, variants: tuple[str, ...], effects: Effects, rng: np.random.Generator
) -> pd.DataFrame:
    arm, row = rng.integers(len(variants), size=len(units)), np.arange(len(units))
    chance, mean = _expected(units["pre_spend"].to_numpy(), effects)
    converted = rng.random(len(units)) < chance[arm, row]
    scatter = np.exp(rng.normal(-(SPEND_SPREAD**2) / 2, SPEND_SPREAD, size=len(units)))
    spend = np.where(converted, np.round(np.maximum(mean[arm, row] * scatter, 0.01), 2), 0.0)
    measured = units.assign(
        variant=np.array(variants, dtype=object)[arm], converted=converted.astype(np.int64), spend=spend
    )
    return measured[["unit_id", "customer_id", "occurred_at", "variant", "pre_spend", "converted", "spend"]]


def _truth(name: str, variants: tuple[str, ...], pre_spend: np.ndarray, effects: Effects) -> pd.DataFrame:
    chance, mean = _expected(pre_spend, effects)
    means = pd.DataFrame({"converted": chance.mean(axis=1), "spend": (chance * mean).mean(axis=1)}, index=variants)
    parts = [means.assign(what="mean"), (means - means.loc["control"]).assign(what="effect")]
    long = pd.concat(parts).rename_axis("variant").reset_index()
    long = long.melt(id_vars=["variant", "what"], var_name="metric")
    truth = long.pivot(index=["metric", "variant"], columns="what", values="value").reset_index()
    if len(variants) == 4:
        both = means.loc["banner+free_delivery"] - means.loc["banner"]
        interaction = both - means.loc["free_delivery"] + means.loc["control"]
        crossed = pd.DataFrame(
            {"metric": means.columns, "variant": "banner x free_delivery", "effect": interaction.to_numpy()}
        )
        truth = pd.concat([truth, crossed], ignore_index=True)
    truth.insert(0, "experiment", name)
    return truth[["experiment", "metric", "variant", "mean", "effect"]].rename_axis(columns=None)
