"""What page 15 counts, expects and concludes, by another road; and the faults that are known."""

from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from journeybook.monitoring import faults as histories
from journeybook.monitoring.drift import LABEL, expected_by
from journeybook.monitoring.limits import CHANGED, DAYS_A_MONTH, SAME, UNTOLD, Array, Expectation, Margins
from journeybook.monitoring.series import ABOUT, LEVEL, RATE, SHARE, WHOLE, DailySeries
from journeybook.monitoring.words import clean_rate

Rows = list[dict[str, Any]]
_DAYS = 3
# By which a planted fault is known.
_KEYS = {"contacts": ["contact_id"], "events": ["session_id", "position"]}


def counts_hold(tables: Mapping[str, ibis.Table], series: DailySeries) -> pd.DataFrame:
    """Some days of each table once more from the rows in pandas, and all its repeated rows as a set."""
    rows: Rows = []
    for name, table in tables.items():
        of = (series.about["table"] == name) & (series.about["source"] == WHOLE)
        whole = series.only(of.to_numpy())
        if whole.about.empty:
            continue
        cells = [c for c in table.columns if c != "row"]
        dated = table.filter(table.occurred_at.notnull())
        n_again = int(dated.count().to_pandas() - dated.select(*cells).distinct().count().to_pandas())
        again = whole.k[(whole.about["measure"] == "uniqueness").to_numpy()].sum()
        rows.append(
            _row(f"rows of {name} that came before", again, n_again, 0, "all rows less the different ones")
        )
        there = np.flatnonzero(whole.n[0] * whole.k[(whole.about["measure"] == "volume").to_numpy()][0])
        chosen = there[np.linspace(0, len(there) - 1, _DAYS).astype(int)]
        days = [whole.days[at] for at in chosen]
        held = dated.filter(
            dated.occurred_at.truncate("D").isin([ibis.literal(day.to_pydatetime()) for day in days])
        )
        wrong = _miscounted(held.order_by("row").to_pandas(), whole, dict(zip(days, chosen, strict=True)))
        rows.append(_row(f"counts of {name} that are otherwise", wrong, 0, 0, f"{_DAYS} days in pandas"))
    return pd.DataFrame(rows)


def _miscounted(frame: pd.DataFrame, whole: DailySeries, days: Mapping[pd.Timestamp, int]) -> int:
    wrong = 0
    for day, at in days.items():
        own = frame[frame["occurred_at"].dt.normalize() == day]
        for i, of in enumerate(whole.about.itertuples()):
            column, _, value = of.column.partition(": ")
            if of.measure == "volume":
                due = len(own)
            elif of.measure == "completeness":
                due = own[column].isna().sum()
            elif of.measure == "mix":
                due = sum(str(cell).lower() == value.lower() for cell in own[column].dropna())
            elif of.measure == "values":
                size = own[column].astype(float).abs()
                due = np.log(size[size > 0]).sum()
            else:
                continue
            wrong += abs(whole.k[i, at] - due) > 0.001 * (1 + len(own)) * (of.measure == "values")
    return int(wrong)


def expectation_holds(expected: Expectation) -> pd.DataFrame:
    """What is expected of the reference adds up to what came, by weekday; its scatter in pandas."""
    series, worst, off = expected.series, 0.0, 0.0
    weekday, week = np.asarray(series.days.day_of_week), np.arange(len(series.days)) // 7
    for i, kind in enumerate(series.about["kind"]):
        at = expected.taught[i]
        k, due = series.k[i, at], (series.n[i] * expected.level[i])[at]
        came, told = (np.bincount(weekday[at], weights=x, minlength=7) for x in (k, due))
        worst = max(worst, float((np.abs(came - told) / (1 + np.abs(came))).max()))
        v = series.n[i, at] * expected.sd[i, 0] ** 2 if kind == LEVEL else due
        off_week, v_week = (np.bincount(week[at], weights=x).astype(float) for x in (k - due, v))
        found = [_pearson(k - due, v, lost=7), _pearson(off_week, v_week, lost=1)]
        # What scatters less than chance keeps its floor.
        off = max(off, abs(expected.dispersion[i, 0] / max(found) - 1)) if max(found) > 1 else off
    return pd.DataFrame([
        _row("expected by weekday, furthest off", worst, 0, 0.1, "sums of what came on reference days"),
        _row("dispersion, furthest off", off, 0, 1e-6, "Pearson's by day and by week, in pandas"),
    ])  # fmt: skip


def _pearson(off: Array, variance: Array, *, lost: int) -> float:
    at = variance > 0
    return float((off[at] ** 2 / variance[at]).sum() / max(int(at.sum()) - lost, 1))


def alarms_hold(
    raised: pd.DataFrame, expected: Expectation, *, margins: Margins, limit: float, budget: float
) -> pd.DataFrame:
    """Cumulative sums once more in plain Python from SciPy's likelihoods; limit, effects and verdicts by hand."""
    series, found, n_sums = expected.series, set(), 0
    for i, of in enumerate(series.about[ABOUT].itertuples(index=False)):
        for way in (1, -1):
            gained = _by_scipy(expected, i, way, margins)
            n_sums += bool(np.any(gained != 0))
            found |= {(*of, f"{series.days[day]:%Y-%m-%d}") for day in _passed(gained, limit)}
    told = {tuple(row) for row in raised[[*ABOUT, "alarmed"]].itertuples(index=False)}
    verdicts, off = 0, 0.0
    for row in raised.itertuples():
        verdict = CHANGED if row.low > row.margin or row.high < -row.margin else UNTOLD
        verdict = SAME if -row.margin <= row.low and row.high <= row.margin else verdict
        verdicts += verdict != row.verdict
        i = place_of(expected, row)
        at = (
            (series.days >= row.since)
            & (series.days <= (row.until if pd.notna(row.until) else series.days[-1]))
            & expected.judged[i]
        )
        k, n, level = series.k[i, at], series.n[i, at], expected.level[i, at]
        due = sum(a * b for a, b in zip(n, level, strict=True))
        kind = series.about["kind"].iloc[i]
        scale = due if kind == RATE else sum(n) * expected.sd[i, 0]
        off = max(off, abs(row.effect - (sum(k) - due) / scale) / (1 + abs(row.effect)))
    promised = n_sums * DAYS_A_MONTH * np.exp(-limit)
    return pd.DataFrame([
        _row("alarms that are otherwise", len(found ^ told), 0, 0, "plain sums of SciPy's log-likelihoods"),
        _row("verdicts that are otherwise", verdicts, 0, 0, "intervals against margins by hand"),
        _row("effects, furthest off", off, 0, 1e-9, "sums of the days by hand"),
        _row("false alarms a month at this limit", promised, budget if n_sums else 0, 1e-9, "Lorden (1971)"),
    ])  # fmt: skip


def _by_scipy(expected: Expectation, i: int, way: int, margins: Margins) -> Array:
    """A day's evidence for a move one way, of SciPy's Poisson or normal likelihood; 0 where it is not judged."""
    series, kind, phi = expected.series, expected.series.about["kind"].iloc[i], expected.dispersion[i, 0]
    n, k, level = series.n[i], series.k[i], expected.level[i]
    judged = expected.judged[i] & ~expected.reference[i]
    if kind == LEVEL:
        error = expected.sd[i, 0] * np.sqrt(phi / np.maximum(n, 1))
        ends = [
            stats.norm.logpdf(k / np.maximum(n, 1), m, error)
            for m in (level + way * margins.sd * expected.sd[i, 0], level)
        ]
        return np.where(judged, ends[0] - ends[1], 0.0)
    base = np.maximum(level, margins.points / 10) if kind == SHARE else level
    moved = base + way * margins.points if kind == SHARE else base * (1 + way * margins.ratio)
    judged &= (moved > 0) & (base > 0)
    # Counts are whole: SciPy knows no others.
    ends = [stats.poisson.logpmf(k, n * np.where(judged, m, 1.0)) for m in (moved, base)]
    return np.where(judged, (ends[0] - ends[1]) / phi, 0.0)


def _passed(gained: Array, limit: float) -> list[int]:
    """Days on which a sum passes the limit; it begins anew once it has sunk by as much from its highest."""
    total, top, alarmed, days = 0.0, 0.0, False, []
    for day, one in enumerate(gained.tolist()):
        total = total + one if alarmed else max(0.0, total + one)
        if not alarmed and total >= limit:
            alarmed, top = True, total
            days.append(day)
        top = max(top, total)
        if alarmed and total <= top - limit:
            total, top, alarmed = 0.0, 0.0, False
    return days


def place_of(expected: Expectation, alarm: Any) -> int:
    """Return the place of an alarm's series."""
    about = expected.series.about
    return int(np.flatnonzero((about[ABOUT] == [getattr(alarm, name) for name in ABOUT]).all(axis=1))[0])


def clean_holds(
    expected: Expectation, clean: pd.DataFrame, *, budget: float, rng: np.random.Generator
) -> pd.DataFrame:
    """False alarms against the budget, with three Monte Carlo errors; the scatter of clean days."""
    if expected.series.about.empty:
        return pd.DataFrame()
    rate, error = clean_rate(clean)
    series, drawn = expected.series, histories.draw(expected, rng=rng)
    at = (
        (series.n > 0)
        & ~series.kind(LEVEL)
        & (series.n * expected.level > 20)
        & (expected.dispersion > 1)
        & (expected.dispersion < 20)
    )
    at &= ((series.about["measure"] == "volume").to_numpy()[:, None]) | (expected.level < 0.5)
    due = series.n * expected.level
    ratio = ((drawn.k - due)[at] ** 2 / (due * expected.dispersion)[at]).mean() if at.any() else 1.0
    rule, budgeted = {"rule": "at most", "kind": "witness"}, "budget and three Monte Carlo errors"
    return pd.DataFrame([
        _row("false alarms a month of clean histories", rate, budget + 3 * error, 0, budgeted, **rule),
        _row("variance of clean days over the learnt", ratio, 1, 0.25, "moments", rule="within", kind="witness"),
    ])  # fmt: skip


def drift_holds(
    drift: pd.DataFrame,
    before: pd.DataFrame,
    newest: pd.DataFrame,
    concept: pd.DataFrame,
    *,
    kept: bool,
    alpha: float,
) -> pd.DataFrame:
    """Responses counted by hand, their interval by a jackknife of people; the concept by its score equations."""
    rows: Rows = []
    if len(concept) and not kept:
        y, p = before["responded"].to_numpy(dtype=float), expected_by(concept, before)
        rows.append(
            _row("responses that the concept expects", p.sum(), y.sum(), 1e-4 * y.sum(), "responses that came")
        )
    told = drift[(drift["part"] == LABEL)]
    for row in told.head(1).itertuples():
        errors = [_jackknife(rows_) for rows_ in ([newest] if kept else [newest, before])]
        half = stats.norm.isf(alpha / 2 / len(drift)) * float(np.sqrt(np.square(errors).sum()))
        by_hand = sum(newest["responded"].tolist()) / len(newest)
        rows.append(_row("share that responded", row.newest, by_hand, 1e-12, "counted row by row"))
        if not kept:
            rows.append(
                _row(
                    "half the interval of a response",
                    (row.high - row.low) / 2,
                    half,
                    0.02 * half,
                    "jackknife of people",
                )
            )
    return pd.DataFrame(rows)


def _jackknife(rows: pd.DataFrame) -> float:
    parts = rows.groupby(rows["person_id"].astype("object"), sort=False)["responded"].agg(["sum", "size"])
    rest = parts.sum() - parts
    without = (rest["sum"] / rest["size"]).to_numpy()
    return float(np.sqrt((len(without) - 1) * without.var()))


def psi_holds(psi: pd.DataFrame) -> pd.DataFrame:
    """Alarms of PSI where nothing moved against chi-square: it is 2 / n times one of nine degrees of freedom."""
    rows: Rows = []
    for row in psi[psi["shift"] == 0].itertuples():
        exact = float(stats.chi2.sf(0.1 * row.n / 2, 9))
        near = 4 * max(exact * (1 - exact) / row.simulations, 1e-6) ** 0.5 + 0.03 * (exact > 0.01)
        rows.append(
            _row(
                f"PSI alarms at n = {row.n}", row.psi_alarms, exact, near, "chi-square of nine degrees of freedom"
            )
        )
    return pd.DataFrame(rows)


def planted_alarms(
    alarms: pd.DataFrame,
    expected: Expectation,
    counted: DailySeries,
    tables: Mapping[str, ibis.Table],
    truths: Mapping[str, pd.DataFrame | None],
    *,
    margins: Margins,
    limit: float,
) -> pd.DataFrame:
    """Return each planted fault beside what was found of it; nothing where nothing is known to be planted.

    A broken step is asked for where the evidence that it leaves, on average, is twice the limit.

    Returns:
        One row a fault: `fault`, `planted` and `found` (days or rows), `tolerance`, `alarm` (row of the alarms; -1
        for none).
    """
    rows: Rows = []
    broken, faults = truths.get("event_faults"), truths.get("faults")
    series = expected.series
    for fault in broken.itertuples() if broken is not None else ():
        named = ["events", fault.device, "mix", f"event: {fault.target}"]
        at = (series.days >= fault.starts_at) & (series.days < fault.ends_at)
        of = (series.about[ABOUT] == named).all(axis=1).to_numpy()
        due = (series.n * expected.level / expected.dispersion)[of][:, at].sum()
        gained = due * (margins.ratio + (1 - fault.failure_share) * np.log(1 - margins.ratio))
        mine = alarms[(alarms[ABOUT] == named).all(axis=1) & (alarms["effect"] < 0)]
        until = pd.to_datetime(mine["until"]).fillna(series.days[-1])
        mine = mine[(pd.to_datetime(mine["since"]) < fault.ends_at) & (until >= fault.starts_at)]
        late = (pd.to_datetime(mine["since"]) - fault.starts_at.normalize()).dt.days
        if gained >= 2 * limit:
            told = {
                "fault": f"{fault.source} broken in {fault.device}, day it began",
                "planted": 0,
                "tolerance": 3,
            }
            rows.append(told | {"found": late.min(), "alarm": mine.index[0] if len(mine) else -1})
    if faults is not None:
        again = faults[faults["fault"] == "delivered twice"]
        for name in sorted({*tables} & {*again["table"]} & {*_KEYS}):
            of = (counted.about[["table", "measure", "source"]] == [name, "uniqueness", WHOLE]).all(axis=1)
            # Rows are numbered anew: a fault is known by its key, and a copy of who may not be read is none.
            mine = again.loc[again["table"] == name, "key"].str.split("/", expand=True)
            keys = ibis.memtable(mine.set_axis(_KEYS[name], axis=1))
            here = tables[name].select(**{c: tables[name][c].cast("string") for c in _KEYS[name]}).distinct()
            n = int(here.inner_join(keys, _KEYS[name]).count().to_pandas())
            told = {"fault": f"{name} delivered twice, rows", "planted": n, "tolerance": 0, "alarm": -1}
            rows.append(told | {"found": counted.k[of.to_numpy()].sum()})
    return pd.DataFrame(rows, columns=["fault", "planted", "found", "tolerance", "alarm"])


def planted_hold(planted: pd.DataFrame) -> pd.DataFrame:
    """What was found of planted faults against what was planted."""
    told = [
        _row(r.fault, np.nan_to_num(r.found, nan=-999), r.planted, r.tolerance, "planted faults")
        for r in planted.itertuples()
    ]
    return pd.DataFrame(told)


def _row(name: str, value: float, reference: float, tolerance: float, source: str, **more: Any) -> dict[str, Any]:
    figures = {"value": float(value), "reference": float(reference), "tolerance": float(tolerance)}
    return {"name": name.replace("_", " "), **figures, "source": source, **more}
