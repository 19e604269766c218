"""How well intervals for single customers hold, and what makes them hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from journeybook.lifetime_value.fitting import Array, Fit
from journeybook.lifetime_value.holdout import Judged, family_of, histories_of
from journeybook.lifetime_value.models import fit
from journeybook.lifetime_value.spend import spend_a_purchase

INSIDE = 0.9
"""Share of customers that an interval is to hold."""
AFTER = {"purchases": "n_after", "revenue": "revenue_after"}
MC_ERRORS = 4.0


def judge_intervals(
    customers: pd.DataFrame,
    before: pd.DataFrame,
    judged: Judged,
    *,
    weeks: float,
    n_draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return how many customers lay within 90 % intervals of the best model after the split.

    A draw is a customer's rate and leaving given the history, the purchases these bring, and what each is worth.
    The model's own interval is from the 5 % to the 95 % quantile of the draws. It takes a customer's rate for
    lasting. Rates change, and purchases scatter more: the widened interval is between the quantiles within which
    90 % of customers lay a window earlier (recalibration; Kuleshov, Fenner & Ermon 2018). Parameters are as they
    were fitted: what is not known of them adds 0.001 to the share inside on the default data.

    Args:
        customers: Histories up to the split, with what came after.
        before: The same, split a window earlier.
        judged: Ways of foreseeing, judged after the split.
        weeks: Length of the window.
        n_draws: Draws a customer.
        rng: Source of chance.

    Returns:
        A row for `purchases` and one for `revenue`, for the model's `own` interval and the `widened`: `what`,
        `interval`, `low` and `high` (its quantiles), `value` (share of customers inside) and `error` (standard
        error of a share of `INSIDE` learned in one window and judged in the other); and as a check `name`,
        `reference`, `rule`, `kind` and `source`. Empty where no model is certified in both windows.
    """
    rows, name = [], judged.best_model
    learned = None if name is None else fit(family_of(name), histories_of(before))
    if name is not None and learned is not None and learned.trouble is None:
        past = draw_window(before, learned, way=name, weeks=weeks, n_draws=n_draws, rng=rng)
        drawn = draw_window(customers, judged.fits[name], way=name, weeks=weeks, n_draws=n_draws, rng=rng)
        usual = ((1 - INSIDE) / 2, (1 + INSIDE) / 2)
        error = np.sqrt(INSIDE * (1 - INSIDE) * (1 / len(customers) + 1 / len(before)))
        for what, column in AFTER.items():
            wide = np.quantile(places(past[what], before[column].to_numpy(dtype=float), rng=rng), usual)
            actual = customers[column].to_numpy(dtype=float)
            for interval, levels in (("own", usual), ("widened", wide)):
                share = share_inside(drawn[what], actual, levels)
                rows.append((f"{what} within the {interval} 90% interval", what, interval, *levels, share, error))
    table = pd.DataFrame(rows, columns=["name", "what", "interval", "low", "high", "value", "error"])
    least = INSIDE - MC_ERRORS * table["error"]
    return table.assign(reference=least, rule="at least", kind="known_miss", source="weeks held out")


def draw_window(
    people: pd.DataFrame, found: Fit, *, way: str, weeks: float, n_draws: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw what each customer buys and brings in the weeks to come, each of shape (n_draws, customers)."""
    h, x = histories_of(people), people["x"].to_numpy(dtype=float)
    bought = np.stack([family_of(way).simulated(found.theta, h.each, weeks, rng) for _ in range(n_draws)])
    # Purchases of one customer scatter about the mean by a gamma of this squared coefficient of variation.
    mean = people["repeat_revenue"].to_numpy(dtype=float) / np.maximum(x, 1)
    often = (x > 1) & (mean > 0)
    squares = people["squares"].to_numpy(dtype=float) - x * mean**2
    scatter = max(float(squares[often].sum() / ((x - 1) * mean**2)[often].sum()) if often.any() else 0.0, 1e-6)
    return {
        "purchases": bought,
        "revenue": rng.gamma(bought / scatter, spend_a_purchase(people).expected * scatter),
    }


def places(draws: Array, actual: Array, *, rng: np.random.Generator) -> Array:
    """Return the place of what came among the draws, from 0 to 1, ties broken by lot; uniform where these hold."""
    ties = (draws == actual).sum(axis=0) + 1
    return ((draws < actual).sum(axis=0) + rng.random(len(actual)) * ties) / (len(draws) + 1)


def share_inside(draws: Array, actual: Array, levels: Sequence[float] | Array) -> float:
    """Return the share of customers between two quantiles of their draws, ends included."""
    low, high = np.quantile(draws, levels, axis=0, method="closest_observation")
    return float(((actual >= low) & (actual <= high)).mean())


def intervals_hold(
    customers: pd.DataFrame,
    before: pd.DataFrame,
    judged: Judged,
    held: pd.DataFrame,
    *,
    weeks: float,
    n_draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw what `judge_intervals` drew, with as its `rng`, sort it and count who lies inside; one row, or none."""
    if held.empty:
        return held
    family, windows, own = family_of(str(judged.best_model)), [], []
    known = fit(family, histories_of(before)).theta, judged.fits[family.name].theta
    for people, theta in zip((before, customers), known, strict=True):
        each = histories_of(people).each
        bought = np.array([family.simulated(theta, each, weeks, rng) for _ in range(n_draws)])
        often = people[(people["x"] > 1) & (people["repeat_revenue"] > 0)]
        x, revenue, squares = often[["x", "repeat_revenue", "squares"]].to_numpy(dtype=float).T
        scatter = (squares - revenue**2 / x).sum() / ((x - 1) * (revenue / x) ** 2).sum() if len(often) else 0.0
        brought = rng.gamma(bought / max(scatter, 1e-6), spend_a_purchase(people).expected * max(scatter, 1e-6))
        windows.append([np.sort(drawn, axis=0).T for drawn in (bought, brought)])
    usual = (1 - INSIDE) / 2, (1 + INSIDE) / 2
    for past, now, column in zip(*windows, AFTER.values(), strict=True):
        was, came = (people[column].to_numpy(dtype=float) for people in (before, customers))
        less, most = (
            np.array([np.searchsorted(drawn, actual, side) for drawn, actual in zip(past, was, strict=True)])
            for side in ("left", "right")
        )
        place = np.sort((less + rng.random(len(was)) * (most - less + 1)) / (n_draws + 1))
        for levels in (usual, np.interp(usual, np.linspace(0, 1, len(place)), place)):
            low, high = (now[:, max(round(n_draws * level), 1) - 1] for level in levels)
            own.append((*levels, ((low <= came) & (came <= high)).mean()))
    error = (INSIDE * (1 - INSIDE) * (1 / len(customers) + 1 / len(before))) ** 0.5
    told = held[["low", "high", "value"]].to_numpy(dtype=float)
    off = max(np.abs(told - own).max(), np.abs(held["reference"] - INSIDE + MC_ERRORS * error).max())
    about = {"name": "intervals of customers, greatest difference of a share", "value": float(off)}
    return pd.DataFrame([about | {"reference": 0, "tolerance": 1e-9, "source": "the same futures, sorted"}])
