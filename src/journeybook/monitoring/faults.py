"""Clean histories and faults planted into them: how often the page's own procedure alarms, and how soon.

SIMULATED around what was learnt: each series has the level, the rows a day and the dispersion of its reference.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from journeybook.monitoring.limits import (
    DAYS_A_MONTH,
    Array,
    Expectation,
    Margins,
    episodes,
    evidence,
    learn,
    watch,
)
from journeybook.monitoring.series import LEVEL, WHOLE, DailySeries
from journeybook.statistics import proportion_interval

SEVERITIES = (0.01, 0.05, 0.25, 1.0)
"""Share of the rows that a fault strikes."""

WITHIN_DAYS = 14
"""A fault counts as found if it is within so many days."""

_TOGETHER = 10


def draw(expected: Expectation, *, rng: np.random.Generator) -> DailySeries:
    """Draw series from what is expected of them, days independent; no count exceeds its rows.

    Counts scatter as Poisson's whose mean is drawn from a gamma distribution, so that their variance is the
    dispersion times their mean; parts of a mix that scatter less are binomial.
    """
    series, phi = expected.series, np.broadcast_to(expected.dispersion, expected.level.shape)
    means = series.kind(LEVEL) & (series.n > 0)
    counted = ~series.kind(LEVEL) & (series.n > 0)
    mean = np.where(counted, np.maximum(series.n * expected.level, 0.0), 0.0)
    wide = (phi > 1) & (mean > 0)
    shape = np.where(wide, mean / np.where(wide, phi - 1, 1.0), 1.0)
    drawn = rng.poisson(np.where(wide, mean * rng.gamma(shape) / shape, mean)).astype(float)
    parts = counted & (phi < 1)
    among = np.where(parts, series.n, 0).astype(np.int64)
    fewer = rng.binomial(among, np.where(parts, np.clip(expected.level, 0, 1), 0.0))
    volume = (series.about["measure"] == "volume").to_numpy()[:, None]
    k = np.where(volume, drawn, np.minimum(np.where(parts, fewer, drawn), series.n))
    error = expected.sd * np.sqrt(phi / np.maximum(series.n, 1))
    level = expected.level + error * rng.standard_normal(expected.level.shape)
    k = np.where(means, series.n * level, np.where(series.kind(LEVEL), 0.0, k))
    q = np.where(means, series.n * level**2 + np.maximum(series.n - 1, 0) * expected.sd**2, 0.0)
    return replace(series, k=k, q=q)


def clean_alarms(
    expected: Expectation, *, margins: Margins, limit: float, n_histories: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Take clean histories through all of the procedure, learning among it.

    Returns:
        One row a history: `n_alarms` and `months` that were judged.
    """
    series, n_series = expected.series, len(expected.series.about)
    months = (series.seen & ~expected.reference).any(axis=0).sum() / DAYS_A_MONTH
    counts: list[int] = []
    n_histories = n_histories if n_series else 0
    for begun in range(0, n_histories, _TOGETHER):
        several = np.tile(np.arange(n_series), min(_TOGETHER, n_histories - begun))
        drawn = draw(expected.only(several), rng=rng)
        about = drawn.about.assign(table=[f"{i // n_series} {t}" for i, t in enumerate(drawn.about["table"])])
        again = learn(
            replace(drawn, about=about), reference_days=expected.reference_days, holidays=expected.holidays
        )
        found = watch(again, margins=margins, limit=limit).query("verdict != 'same'")
        found = found["table"].str.split(" ").str[0].astype(int)
        counts += np.bincount(found, minlength=len(several) // max(n_series, 1)).tolist()
    return pd.DataFrame({"n_alarms": counts, "months": months})


@dataclass(frozen=True)
class Fault:
    """One fault of the catalogue.

    Attributes:
        name: What went wrong, in words.
        measure: Measure of the series that it is planted into.
        column: How the column of that series begins, where there is one.
        strikes: Makes `k` and `n` of a day's rows from the sound ones, the share struck and random numbers.
        days: How long it lasts.
    """

    name: str
    measure: str
    column: str
    strikes: Callable[[Array, Array, float, np.random.Generator], tuple[Array, Array]]
    days: int = WITHIN_DAYS


def _emptied(k: Array, n: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    return k + rng.binomial((n - k).astype(np.int64), share), n


def _hundredfold(k: Array, n: Array, share: float, _rng: np.random.Generator) -> tuple[Array, Array]:
    return k + n * share * np.log(100), n


def _doubled(k: Array, n: Array, share: float, _rng: np.random.Generator) -> tuple[Array, Array]:
    return k + np.round(n * share), n + np.round(n * share)


def _lost(k: Array, n: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    kept = rng.binomial(k.astype(np.int64), 1 - share)
    return kept.astype(float), n - k + kept


CATALOGUE = (
    Fault("a column goes empty for one source", "completeness", "", _emptied),
    Fault("amounts come a hundredfold", "values", "revenue", _hundredfold),
    Fault("a day is delivered twice", "uniqueness", "", _doubled, days=1),
    Fault("tracking of one page is lost", "mix", "event: ", _lost),
    Fault("a campaign changes the mix", "mix", "channel: ", _emptied),
)


def find_faults(
    expected: Expectation, *, margins: Margins, limit: float, n_histories: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Plant each fault of the catalogue into a series that it can strike, by itself.

    The sum stands at 0 when the fault begins, which is when it takes longest. A campaign moves so many of the
    other rows to one value.

    Returns:
        One row a fault and severity: `fault`, `series`, `struck_share` (of the rows), `n`, `found_share`
        (within 14 days) with its ends (Wilson, 95 %), `delay_days` (mean of those found, the first day 1).
    """
    taken: set[int] = set()
    rows = []
    for fault in CATALOGUE:
        place = _struck(expected, fault, taken)
        if place is None:
            continue
        taken.add(place)
        of = expected.series.about.loc[place]
        for severity in SEVERITIES:
            several = expected.only(np.repeat(place, n_histories))
            crossed = _crossed(several, fault, severity, margins=margins, limit=limit, rng=rng)
            found = (crossed >= 0).sum()
            ends = proportion_interval(found, n_histories)
            told = {"fault": fault.name, "series": say_series(of), "struck_share": severity, "n": n_histories}
            told |= {"found_share": found / n_histories}
            told |= {"found_share_low": float(ends.low), "found_share_high": float(ends.high)}
            rows.append(told | {"delay_days": float(np.mean(crossed[crossed >= 0] + 1)) if found else np.nan})
    shares = ["found_share", "found_share_low", "found_share_high"]
    columns = ["fault", "series", "struck_share", "n", *shares, "delay_days"]
    return pd.DataFrame(rows, columns=columns)


def say_series(of: pd.Series) -> str:
    """Return the name of a series in words.

    >>> say_series(pd.Series({"table": "events", "source": "app", "measure": "mix", "column": "event: basket"}))
    'events, app: mix of event: basket'
    """
    source = "" if of["source"] == WHOLE else f", {of['source']}"
    told = "" if of["measure"] == "volume" else f" of {of['column'].replace('_', ' ')}"
    return f"{of['table'].replace('_', ' ')}{source}: {of['measure']}{told}"


def _struck(expected: Expectation, fault: Fault, taken: set[int]) -> int | None:
    """The series with most rows that the fault can strike: of one source where it may be, not struck before."""
    about = expected.series.about
    fits = (about["measure"] == fault.measure) & ~about.index.isin([*taken])
    if not fits.any():
        return None
    level = np.median(expected.level, axis=1)
    n = np.median(expected.series.n, axis=1) * np.where(about["measure"] == "mix", level * (1 - level), 1.0)
    named, apart = about["column"].str.startswith(fault.column), about["source"] != WHOLE
    order = pd.DataFrame({"named": named, "apart": apart, "n": n, "place": -about.index})[fits]
    return -int(order.sort_values(["named", "apart", "n", "place"])["place"].iloc[-1])


def _crossed(
    several: Expectation,
    fault: Fault,
    severity: float,
    *,
    margins: Margins,
    limit: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Day of the alarm after the fault began, from 0; -1 where none came in time. Shape (histories,)."""
    drawn = draw(several, rng=rng)
    judged = np.flatnonzero((several.judged & ~several.reference)[0])
    days = judged[: -WITHIN_DAYS or None] if len(judged) > WITHIN_DAYS else judged[:1]
    # Each history begins on a day of its own, so that no weekday stands for all.
    starts = days[np.arange(len(drawn.k)) % len(days)] if len(days) else np.zeros(len(drawn.k), dtype=int)
    at = starts[:, None] <= np.arange(len(drawn.days))
    span = at & (np.arange(len(drawn.days)) < (starts + WITHIN_DAYS)[:, None])
    strikes = span & (np.arange(len(drawn.days)) < (starts + fault.days)[:, None])
    k, n = fault.strikes(drawn.k, drawn.n, severity, rng)
    changed = replace(drawn, k=np.where(strikes, k, drawn.k), n=np.where(strikes, n, drawn.n))
    ratio = np.where(span, evidence(replace(several, series=changed), margins=margins), 0.0)
    found = episodes(ratio.reshape(-1, ratio.shape[2]), limit=limit)
    crossed = np.full(len(drawn.k), len(drawn.days))
    np.minimum.at(crossed, found[:, 0] % max(len(crossed), 1), found[:, 2])
    return np.where(crossed < len(drawn.days), crossed - starts, -1)
