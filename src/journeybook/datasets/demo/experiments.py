"""Two A/B tests, one still running, and a 2x2 test of the web shop, simulated on units with real spending before.

Every household is one unit. The other units are unknown visitors; each has the pre-period spend of a household
drawn with replacement, and no `customer_id`. Assignment is by independent fair draws on either kind of device.
Whether a unit buys, and what it spends, depends on the pre-period spend, on the device and on the variant by the
planted effects, which the seed draws:

    P(converted) = logistic(base + slope x + shift + tilt m),  x = standardised log(1 + pre_spend),
                   m = 1/2 on mobile and -1/2 on desktop
    spend | converted = lognormal, mean = level (1 - weight + weight z) (1 + uplift),  z = pre_spend / its mean
    orders | spend, converted = 1 + Poisson(again spend / level)
    hours_to_order | converted = FOLLOW_UP_HOURS u^2,  u uniform; FOLLOW_UP_HOURS where nothing was ordered

The truth is the average, over the very units of the test, of what each is expected to do under each variant.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.statistics import stream

# Units so far; of the test that is still running 20,000 were planned.
N_UNITS = {"experiment": 20_000, "factorial": 20_000, "ongoing": 12_000}
# Weeks before the assignment in which `pre_spend` is counted, and units that arrive a day.
PRE_WEEKS, UNITS_A_DAY = 8, 715
STARTS_ON = {"experiment": "2017-09-04", "factorial": "2017-10-16", "ongoing": "2017-12-04"}
VARIANTS = {
    "experiment": ("control", "treatment"),
    "factorial": ("control", "banner", "free_delivery", "banner+free_delivery"),
    "ongoing": ("control", "treatment"),
}
# Spread of the log of a conversion's spend.
SPEND_SPREAD = 0.5
# Every unit is followed for a week after its assignment, and meets the change a few minutes after it.
FOLLOW_UP_HOURS = 168.0
MEAN_MINUTES_TO_EXPOSURE = 6.0
DEVICES = ("desktop", "mobile")
MOBILE_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class DemoExperiments:
    """Simulated tests and what was planted in them.

    Attributes:
        tables: `experiment`, `factorial` and `ongoing`: `unit_id`, `customer_id` (null for an unknown visitor),
            `occurred_at` (assignment), `exposed_at`, `stratum` (the device), `variant`, `pre_spend` and `spend`
            (currency), `converted` (0 or 1), `orders` (count), `hours_to_order` (or `FOLLOW_UP_HOURS`).
        truth: One row a test, metric, variant and group of units (`all`, or a device): expected mean under the
            variant, and the effect against control; `spend_per_order` is the ratio of two means; rows
            `banner x free_delivery` hold the interaction.
    """

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame


def simulate_experiments(connection: Backend, *, seed: int) -> DemoExperiments:
    """Simulate the three tests on the real purchases, `transactions`; another seed plants other effects."""
    tables, truths = {}, []
    for name, variants in VARIANTS.items():
        effects = _draw_effects(len(variants), stream(seed, f"experiments: {name} effects"))
        units = _draw_units(connection, name, stream(seed, f"experiments: {name} units"))
        chance, spend = _expected(units, effects)
        rng = stream(seed, f"experiments: {name} outcomes")
        tables[name] = _outcomes(units, variants, (chance, spend), effects, rng)
        truths.append(_truth(units["stratum"], variants, (chance, spend), effects).assign(experiment=name))
    return DemoExperiments(tables=tables, truth=pd.concat(truths, ignore_index=True))


def _draw_effects(n_variants: int, rng: np.random.Generator) -> dict:
    """Return what is planted, named as above: by variant, 0 for control, where it depends on the variant."""
    shift = np.r_[0.0, rng.uniform(0.10, 0.35, size=n_variants - 1)]
    uplift = np.r_[0.0, rng.uniform(-0.04, 0.08, size=n_variants - 1)]
    if n_variants == 4:
        # Both together: the sum of each alone, and an interaction of either sign.
        shift[3] = shift[1] + shift[2] + rng.choice([-1, 1]) * rng.uniform(0.05, 0.25)
        uplift[3] = uplift[1] + uplift[2]
    ranges = {"base": (-1.4, -0.8), "slope": (0.5, 0.8), "level": (25, 40), "weight": (0.6, 0.8)}
    effects: dict = {name: rng.uniform(*of) for name, of in ranges.items()}
    effects |= {"shift": shift, "uplift": uplift}
    # The A/B tests work better on one kind of device; the 2x2 test on both alike.
    apart = n_variants == 2
    effects["tilt"] = np.r_[0.0, rng.choice([-1, 1]) * rng.uniform(0.15, 0.3)] if apart else np.zeros(n_variants)
    return effects | {"again": rng.uniform(0.2, 0.4)}


def _draw_units(connection: Backend, name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the units in the order of assignment: every household once, and visitors modelled on households."""
    start = pd.Timestamp(STARTS_ON[name])
    households = connection.con.execute(
        """
        SELECT customer_id, coalesce(sum(revenue) FILTER (occurred_at >= ? AND occurred_at < ?), 0) AS pre_spend
        FROM transactions WHERE customer_id IS NOT NULL GROUP BY customer_id ORDER BY min(row)
        """,
        [(start - pd.Timedelta(weeks=PRE_WEEKS)).to_pydatetime(), start.to_pydatetime()],
    ).df()
    spent = households["pre_spend"].astype(float).round(2).to_numpy()
    n_visitors = max(N_UNITS[name] - len(households), 0)
    model = np.r_[np.arange(len(households)), rng.integers(len(households), size=n_visitors)]
    known = np.arange(len(model)) < len(households)
    # Households and visitors arrive in any order.
    arrival = rng.permutation(len(model))
    names = np.where(known, households["customer_id"].to_numpy(dtype=object)[model], None)
    days = -(-N_UNITS[name] // UNITS_A_DAY)
    seconds = np.sort(rng.integers(days * 86_400, size=len(model)))
    later = seconds + np.ceil(rng.exponential(60 * MEAN_MINUTES_TO_EXPOSURE, size=len(model)))
    return pd.DataFrame(
        {
            "unit_id": [f"{name[0].upper()}{n + 1:06d}" for n in range(len(model))],
            "customer_id": names[arrival],
            "occurred_at": (start + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]"),
            "exposed_at": (start + pd.to_timedelta(later, unit="s")).astype("datetime64[us]"),
            "stratum": np.where(rng.random(len(model)) < MOBILE_SHARE, DEVICES[1], DEVICES[0]).astype(object),
            "pre_spend": spent[model][arrival],
        }
    )


def _expected(units: pd.DataFrame, effects: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of conversion and the mean spend of a conversion, shape (variants, units)."""
    pre_spend = units["pre_spend"].to_numpy()
    x = np.log1p(pre_spend)
    x = (x - x.mean()) / x.std()
    side = np.where(units["stratum"] == "mobile", 0.5, -0.5)
    odds = effects["base"] + effects["slope"] * x + effects["shift"][:, None] + effects["tilt"][:, None] * side
    share = 1 - effects["weight"] + effects["weight"] * pre_spend / pre_spend.mean()
    return 1 / (1 + np.exp(-odds)), effects["level"] * share * (1 + effects["uplift"][:, None])


def _outcomes(
    units: pd.DataFrame,
    variants: tuple[str, ...],
    expected: tuple[np.ndarray, np.ndarray],
    effects: dict,
    rng: np.random.Generator,
) -> pd.DataFrame:
    chance, mean = expected
    arm, row = rng.integers(len(variants), size=len(units)), np.arange(len(units))
    converted = rng.random(len(units)) < chance[arm, row]
    scatter = np.exp(rng.normal(-(SPEND_SPREAD**2) / 2, SPEND_SPREAD, size=len(units)))
    spend = np.where(converted, np.round(np.maximum(mean[arm, row] * scatter, 0.01), 2), 0.0)
    orders = np.where(converted, 1 + rng.poisson(effects["again"] * spend / effects["level"]), 0).astype(np.int64)
    hours = np.where(converted, np.round(FOLLOW_UP_HOURS * rng.random(len(units)) ** 2, 2), FOLLOW_UP_HOURS)
    found = {"converted": converted.astype(np.int64), "spend": spend, "orders": orders, "hours_to_order": hours}
    assigned = units.assign(variant=np.array(variants, dtype=object)[arm])
    return assigned[[*units.columns[:-1], "variant", units.columns[-1]]].assign(**found)


def _truth(
    stratum: pd.Series, variants: tuple[str, ...], by_unit: tuple[np.ndarray, np.ndarray], effects: dict
) -> pd.DataFrame:
    chance, spend = by_unit[0], by_unit[0] * by_unit[1]
    expected = {
        "converted": chance,
        "spend": spend,
        "orders": chance + effects["again"] * spend / effects["level"],
    }
    expected["hours_to_order"] = FOLLOW_UP_HOURS * (1 - chance * 2 / 3)
    rows = []
    for group in ("all", *DEVICES):
        inside = (stratum == group).to_numpy() | (group == "all")
        means = {metric: values[:, inside].mean(axis=1) for metric, values in expected.items()}
        means["spend_per_order"] = means["spend"] / means["orders"]
        for metric, mean in means.items():
            rows += [(metric, v, group, m, m - mean[0]) for v, m in zip(variants, mean, strict=True)]
            if len(variants) == 4:
                rows.append(
                    (metric, "banner x free_delivery", group, np.nan, mean[3] - mean[1] - mean[2] + mean[0])
                )
    return pd.DataFrame(rows, columns=["metric", "variant", "group", "mean", "effect"])
