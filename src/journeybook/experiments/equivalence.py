"""Showing that nothing was lost: equivalence, non-inferiority, and effect sizes without a unit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from journeybook.experiments.sequential import always_valid

GUARDRAIL_COLUMNS = ("metric", "variant", "margin", "effect", "effect_low", "effect_high", "p_value", "verdict")
EFFECT_SIZE_COLUMNS = ("metric", "variant", "measure", "size", "magnitude")
# Cohen (1988): small, medium and large, for h and d alike.
_MAGNITUDES = ((0.2, "below small"), (0.5, "small"), (0.8, "medium"), (np.inf, "large"))


@dataclass(frozen=True, eq=False)
class Margins:
    """A test that an effect lies within margins; shapes are those of the effect.

    Attributes:
        p_value: Probability of data as favourable, if the effect were at (the nearer of) its margins.
        low: Lower end of the interval that belongs to the test; it lies inside the margins exactly where
            p_value < alpha.
        high: Upper end; infinite for a one-sided test.
    """

    p_value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def equivalence(
    effect: ArrayLike, standard_error: ArrayLike, df: ArrayLike, *, low: float, high: float, alpha: float
) -> Margins:
    """Two one-sided tests that an effect lies between two margins (Schuirmann 1987).

    Args:
        effect: Difference of means.
        standard_error: Its standard error.
        df: Its degrees of freedom.
        low: Lower margin.
        high: Upper margin, above `low`.
        alpha: Level of each of the two tests, and of both together; the interval is at 1 - 2 alpha.

    Raises:
        ValueError: The margins are not in order.
    """
    if not low < high:
        raise ValueError(f"margins: found {low:g} to {high:g}, needed a lower one below the upper one.")
    d, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    p = np.maximum(stats.t.sf((d - low) / se, df), stats.t.cdf((d - high) / se, df))
    margin = stats.t.isf(alpha, df) * se
    return Margins(p, d - margin, d + margin)


def non_inferiority(
    effect: ArrayLike, standard_error: ArrayLike, df: ArrayLike, *, margin: float, alpha: float
) -> Margins:
    """One-sided test that an effect is better than a margin.

    Args:
        effect: Difference of means.
        standard_error: Its standard error.
        df: Its degrees of freedom.
        margin: Below 0: the metric may fall by no more. Above 0: it may rise by no more.
        alpha: Level of the test; the interval is one-sided at 1 - alpha.

    Raises:
        ValueError: The margin is 0 or no number.
    """
    if not (np.isfinite(margin) and margin != 0):
        raise ValueError(f"margin: found {margin}, needed a number other than 0: how much worse is allowed.")
    d, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    reach = stats.t.isf(alpha, df) * se
    if margin < 0:
        return Margins(stats.t.sf((d - margin) / se, df), d - reach, np.full_like(d, np.inf))
    return Margins(stats.t.cdf((d - margin) / se, df), np.full_like(d, -np.inf), d + reach)


def guardrails(
    rows: pd.DataFrame, *, margins: Mapping[str, float], alpha: float, planned_n: int | None = None
) -> pd.DataFrame:
    """Whether each guardrail metric is shown to be no worse than its margin.

    Only a metric that is shown to be within its margin holds; "no significant harm" is no such showing. Each
    guardrail is tested at `alpha` without correction: shipping needs all of them to hold, so that one false
    "holds" alone ships nothing.

    Args:
        rows: One row a metric and variant: metric, variant, effect, standard_error, df (missing is normal),
            n_control, n_treatment.
        margins: Margin by metric: below 0 it may fall by no more, above 0 it may rise by no more.
        alpha: Level of each one-sided test.
        planned_n: Planned units of all arms, where the tests must hold at every look; None is one planned look.

    Returns:
        Columns `GUARDRAIL_COLUMNS`. `verdict` is `holds`, `harmed` (worse than the margin beyond doubt) or `open`;
        `p_value` belongs to `holds`.
    """
    found = []
    for row in rows[rows["metric"].isin(list(margins))].itertuples():
        margin = float(margins[row.metric])
        df = np.inf if np.isnan(row.df) else row.df
        if planned_n is None:
            one = non_inferiority(row.effect, row.standard_error, df, margin=margin, alpha=alpha)
            good, bad, low, high = float(one.p_value), 1 - float(one.p_value), float(one.low), float(one.high)
        else:
            n = row.n_control + row.n_treatment
            every = always_valid(row.effect, row.standard_error, n=n, alpha=alpha, planned_n=planned_n)
            beyond = always_valid(row.effect - margin, row.standard_error, n=n, alpha=alpha, planned_n=planned_n)
            inside = (row.effect - margin) * np.sign(margin) < 0
            good, bad = (float(beyond.p_value), 1.0) if inside else (1.0, float(beyond.p_value))
            low, high = float(every.low), float(every.high)
        verdict = "holds" if good < alpha else "harmed" if bad < alpha else "open"
        found.append((row.metric, row.variant, margin, row.effect, low, high, good, verdict))
    return pd.DataFrame(found, columns=list(GUARDRAIL_COLUMNS))


def cohen_h(control: ArrayLike, treatment: ArrayLike) -> NDArray[np.float64]:
    """Cohen's h of two proportions: the difference of their arcsine-transformed values (Cohen 1988, ch. 6).

    >>> cohen_h(0.5, 0.5).item()
    0.0
    """
    a, b = np.asarray(control, dtype=float), np.asarray(treatment, dtype=float)
    return 2 * np.arcsin(np.sqrt(b)) - 2 * np.arcsin(np.sqrt(a))


def cohen_d(
    effect: ArrayLike,
    *,
    sd_control: ArrayLike,
    sd_treatment: ArrayLike,
    n_control: ArrayLike,
    n_treatment: ArrayLike,
) -> NDArray[np.float64]:
    """Cohen's d: the difference of means in pooled standard deviations (Cohen 1988, ch. 2).

    >>> cohen_d(1.0, sd_control=2.0, sd_treatment=2.0, n_control=10, n_treatment=20).item()
    0.5
    """
    n0, n1 = np.asarray(n_control, dtype=float), np.asarray(n_treatment, dtype=float)
    squares = (n0 - 1) * np.asarray(sd_control, float) ** 2 + (n1 - 1) * np.asarray(sd_treatment, float) ** 2
    return np.asarray(effect, dtype=float) / np.sqrt(squares / (n0 + n1 - 2))


def effect_sizes(arms: pd.DataFrame, *, kinds: Mapping[str, str], control: str) -> pd.DataFrame:
    """Cohen's h of each proportion and Cohen's d of each mean, against the control.

    Args:
        arms: One row a metric and variant: metric, variant, n, mean, sd.
        kinds: Kind by metric; other kinds have no such size and are left out.
        control: The variant compared against.

    Returns:
        Columns `EFFECT_SIZE_COLUMNS`; `magnitude` is Cohen's word for the size.
    """
    found = []
    for metric in [metric for metric, kind in kinds.items() if kind in ("proportion", "mean")]:
        part = arms[arms["metric"] == metric].set_index("variant")
        base = part.loc[control]
        for name, arm in part.drop(index=control).iterrows():
            if kinds[metric] == "proportion":
                measure, size = "cohen_h", float(cohen_h(base["mean"], arm["mean"]))
            else:
                measure = "cohen_d"
                size = float(
                    cohen_d(
                        arm["mean"] - base["mean"],
                        sd_control=base["sd"],
                        sd_treatment=arm["sd"],
                        n_control=base["n"],
                        n_treatment=arm["n"],
                    )
                )
            magnitude = next(word for bound, word in _MAGNITUDES if abs(size) < bound)
            found.append((metric, name, measure, size, magnitude))
    return pd.DataFrame(found, columns=list(EFFECT_SIZE_COLUMNS))
