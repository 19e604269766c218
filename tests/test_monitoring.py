"""Page 15: counts by day, limits against published run lengths, faults, drift against SciPy and scikit-learn."""

import json
from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest
from finding_rules import told
from scipy import stats
from sklearn.linear_model import LogisticRegression

from journeybook import monitoring
from journeybook.collection.deliveries import aside_by_day
from journeybook.errors import JourneybookError
from journeybook.monitoring.drift import expected_by, psi
from journeybook.monitoring.faults import draw
from journeybook.monitoring.limits import episodes, moves, verdict_of
from journeybook.monitoring.series import DailySeries
from journeybook.monitoring.words import clean_rate, say_pitfall
from journeybook.statistics import stream

MARGINS = monitoring.Margins(ratio=0.2, points=0.01, sd=0.2)
START = pd.Timestamp("2024-01-01")


def toy(k: np.ndarray, n: np.ndarray | float = 1.0, *, measure: str = "volume", q: np.ndarray | None = None):
    """One series from its counts."""
    about = pd.DataFrame([("events", "(all)", measure, "rows")], columns=["table", "source", "measure", "column"])
    about["kind"] = monitoring.series.MEASURES[measure]
    n = np.broadcast_to(np.asarray(n, dtype=float), k.shape).copy()
    seen = np.ones((1, len(k)), dtype=bool)
    days = pd.date_range(START, periods=len(k), freq="D")
    squares = np.zeros_like(k) if q is None else q
    return DailySeries(about, days, k[None].astype(float), n[None], squares[None], seen)


def usual(n_days: int = 364, *, seed: int = 1, mean: float = 400.0) -> np.ndarray:
    """Rows a day, fewer at weekends, Poisson."""
    weekday = np.arange(n_days) % 7
    return stream(seed, "usual").poisson(np.where(weekday < 5, mean, mean / 2)).astype(float)


def shop() -> dict[str, pd.DataFrame]:
    rng = stream(3, "rows of a shop")
    n = 4000
    rows = pd.DataFrame({"row": np.arange(1, n + 1), "person_id": [f"p{i % 70}" for i in range(n)]})
    rows["occurred_at"] = START + pd.to_timedelta(rng.integers(0, 100 * 1440, n), unit="min")
    rows["event"] = rng.choice(["home", "basket", "order"], n, p=[0.6, 0.3, 0.1])
    rows["device"] = rng.choice(["web", "app"], n)
    rows["product_id"] = rng.choice(["a", "b", "c", None], n)
    rows["value"] = rng.lognormal(3, 1, n).round(2)
    rows["recorded_at"] = rows["occurred_at"] + pd.to_timedelta(90, unit="min")
    again = rows.sample(40, random_state=1).assign(row=np.arange(n + 1, n + 41))
    return {"events": pd.concat([rows, again], ignore_index=True)}


@pytest.fixture(scope="module")
def counted() -> DailySeries:
    tables = {name: ibis.memtable(frame) for name, frame in shop().items()}
    products = ibis.memtable(pd.DataFrame({"product_id": ["a", "b"]}))
    return monitoring.count_days(tables, sources={"events": "device"}, quarantine=None, products=products)


def one(series: DailySeries, measure: str, column: str, source: str = "(all)") -> int:
    of = series.about
    return int(np.flatnonzero((of["measure"] == measure) & (of["column"] == column) & (of["source"] == source))[0])


@pytest.mark.parametrize("source", ["(all)", "app", "web"])
def test_every_measure_is_what_pandas_counts(counted, source):
    rows = shop()["events"]
    rows["again"] = rows.drop(columns="row").duplicated()
    rows = rows if source == "(all)" else rows[rows["device"] == source]
    day = rows["occurred_at"].dt.normalize()
    of_day = {
        ("volume", "rows"): rows.groupby(day).size(),
        ("completeness", "product_id"): rows["product_id"].isna().groupby(day).sum(),
        ("uniqueness", "rows"): rows["again"].groupby(day).sum(),
        ("consistency", "product_id"): (rows["product_id"] == "c").groupby(day).sum(),
        ("mix", "event: basket"): (rows["event"] == "basket").groupby(day).sum(),
        ("values", "value"): np.log(rows["value"]).groupby(day).sum(),
        ("timeliness", "recorded_at"): (day.groupby(day).size() * 1.5),
    }
    for (measure, column), due in of_day.items():
        found = counted.k[one(counted, measure, column, source)]
        due = due.reindex(counted.days, fill_value=0).to_numpy(dtype=float)
        assert np.allclose(found, due, atol=0.1 if measure == "values" else 1e-9), measure


def test_the_first_and_last_day_are_not_judged_and_what_lacks_is_said(counted):
    assert not counted.seen[:, [0, -1]].any()
    assert counted.seen[:, 1:-1].all()
    assert counted.note == "To tell more it would need page 01's quarantine by day, for validity."
    undated = monitoring.count_days(
        {"contacts": ibis.memtable(pd.DataFrame({"row": [1], "responded": [True]}))},
        sources={}, quarantine=None, products=None,
    )  # fmt: skip
    assert undated.about.empty
    assert "contacts with `occurred_at`" in undated.note


def test_a_source_that_is_no_column_is_refused():
    rows = {"events": ibis.memtable(shop()["events"])}
    with pytest.raises(
        ValueError, match=r"^sources: events has no column 'release'; it has person_id, occurred_at"
    ):
        monitoring.count_days(rows, sources={"events": "release"}, quarantine=None, products=None)


def test_rows_set_aside_are_counted_by_day_and_rule():
    raw = {"events": ibis.memtable(pd.DataFrame({"row": [1, 2, 3, 4], "occurred_at": [START] * 3 + [None]}))}
    told = [("events", 1, "event", "is missing"), ("events", 1, "event", "is missing"), ("events", 4, "x", "is y")]
    aside = ibis.memtable(pd.DataFrame(told, columns=["table", "row", "column", "problem"]))
    found = aside_by_day(raw, aside, now=None)
    assert found.to_dict("list") == {
        "table": ["events", "events"],
        "day": ["2024-01-01", "2024-01-01"],
        "problem": ["", "event is missing"],
        "n_rows": [1, 1],
    }


def test_rows_of_whoever_refuses_analytics_are_not_counted_as_set_aside():
    raw = {"events": ibis.memtable(pd.DataFrame({"row": [1, 2], "occurred_at": START, "customer_id": ["a", "b"]}))}
    told = [("events", row, "event", "is missing") for row in (1, 2)]
    aside = ibis.memtable(pd.DataFrame(told, columns=["table", "row", "column", "problem"]))
    now = pd.DataFrame({"customer_id": ["a", "b"], "purpose": "analytics", "permits": [True, False]})
    assert aside_by_day(raw, aside, now=ibis.memtable(now)).n_rows.tolist() == [1, 1]


# --- expectations ---------------------------------------------------------------------------------------------


def test_weekday_season_and_holidays_are_learnt():
    days = np.arange(3 * 364)
    season = 1 + 0.4 * (pd.date_range(START, periods=len(days)).month == 12)
    free = pd.date_range(START, periods=len(days), freq="D")[[40, 200, 500, 900]]
    truth = np.where(days % 7 < 5, 4000.0, 2000.0) * season
    truth[[40, 200, 500, 900]] /= 4
    series = toy(stream(2, "season").poisson(truth).astype(float))
    expected = monitoring.learn(series, reference_days=728, holidays=[f"{d:%Y-%m-%d}" for d in free])
    assert np.abs(expected.level[0] / truth - 1).max() < 0.04
    assert expected.judged.all()
    assert expected.note == ""
    short = monitoring.learn(series, reference_days=100, holidays=[f"{free[1]:%Y-%m-%d}"])
    assert not short.judged[0, 200]
    assert "a year of reference, to learn the season" in short.note
    assert "a reference with two holidays, to judge them" in short.note


def test_days_that_belong_together_scatter_more():
    weekly = np.repeat(stream(4, "weeks").gamma(20, 1 / 20, 52), 7)
    series = toy(stream(4, "days").poisson(400 * weekly).astype(float))
    found = monitoring.learn(series, reference_days=350, holidays=[]).dispersion[0, 0]
    # The variance of a week's sum over its mean is 1 + 7 * 400 / 20.
    assert found == pytest.approx(141, rel=0.5)
    alone = monitoring.learn(toy(usual()), reference_days=350, holidays=[]).dispersion[0, 0]
    assert 1 <= alone < 1.7


def test_a_reference_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="reference_days is 400, but the data have 364 whole days"):
        monitoring.learn(toy(usual()), reference_days=400, holidays=[])
    assert monitoring.learn(toy(usual(40)), reference_days=None, holidays=[]).series.about.empty


@pytest.mark.parametrize(("name", "wrong"), [("ratio", 1.0), ("points", 0.0), ("sd", -1.0)])
def test_a_margin_that_is_none_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"margin_{name} is {wrong}: it must be above 0"):
        replace(MARGINS, **{name: wrong})


# --- run lengths ----------------------------------------------------------------------------------------------


def by_markov_chain(shift: float, *, k: float, h: float, cells: int = 400) -> float:
    """Average run length of a one-sided normal CUSUM (Brook & Evans 1972)."""
    width = 2 * h / (2 * cells - 1)
    middle = np.arange(cells) * width
    upper = stats.norm.cdf(middle[None] + width / 2 - middle[:, None] + k - shift)
    lower = stats.norm.cdf(middle[None] - width / 2 - middle[:, None] + k - shift)
    steps = upper - lower
    steps[:, 0] = upper[:, 0]
    return float(np.linalg.solve(np.eye(cells) - steps, np.ones(cells))[0])


# Two-sided run lengths at k = 1/2, as printed in Montgomery's Introduction to Statistical Quality Control.
@pytest.mark.parametrize(("h", "shift", "printed"), [(4, 0, 168), (4, 1, 8.38), (5, 0, 465), (5, 1, 10.4)])
def test_run_lengths_are_the_published_ones(h, shift, printed):
    up, down = (by_markov_chain(way * shift, k=0.5, h=h) for way in (1, -1))
    assert 1 / (1 / up + 1 / down) == pytest.approx(printed, rel=0.01)
    n_sums, n_days = 1000, 60 if shift else 1500
    z = stream(h, f"run lengths {shift}").standard_normal((n_sums, n_days)) + shift
    found = episodes(np.concatenate([z - 0.5, -z - 0.5]), limit=h)
    first = np.full(n_sums, n_days)
    np.minimum.at(first, found[:, 0] % n_sums, found[:, 2] + 1)
    # Exponential beyond its start: those that never alarmed tell the mean by maximum likelihood.
    length = first.sum() / (first < n_days).sum()
    assert length == pytest.approx(printed, rel=0.12)


def test_an_episode_begins_ends_and_begins_anew():
    ratio = np.array([[0, -1, 2, 3, 3, -4, -4, 0, 6, 6, 0]], dtype=float)
    found = episodes(ratio, limit=5)
    assert found.tolist() == [[0, 2, 3, 4, 1], [0, 8, 8, 10, 0]]


def test_no_sum_alarms_sooner_than_lorden_promises():
    """Means over exp(h) days or more where nothing moved, of shares, rates and levels by chance alone."""
    expected = monitoring.learn(toy(usual(1400)), reference_days=364, holidays=[])
    several = expected.only(np.zeros(300, dtype=int))
    ratio = monitoring.evidence(replace(several, series=draw(several, rng=stream(5, "lorden"))), margins=MARGINS)
    for limit in (1.0, 2.0, 3.0):
        found = episodes(ratio.reshape(600, -1), limit=limit)
        days = 600 * (~expected.reference).sum()
        assert len(found) / days <= 1.1 * np.exp(-limit)


# --- verdicts and intervals -----------------------------------------------------------------------------------


def test_intervals_of_counts_are_garwood_s():
    """A count of 10: 4.80 to 18.39, as every table of Poisson limits has it."""
    expected = monitoring.learn(toy(np.full(100, 20.0)), reference_days=99, holidays=[])
    # What the reference's own error adds is taken off.
    expected = replace(expected, dispersion=np.full((1, 1), 1 / (1 + 1 / 99)))
    expected = replace(expected, series=replace(expected.series, k=np.full((1, 100), 10.0)))
    row = moves(expected, np.array([0]), np.array([50]), np.array([50])).iloc[0]
    assert (row["seen"], row["expected"], row["effect"]) == (10, 20, -0.5)
    assert 20 * (1 + row["low"]) == pytest.approx(4.80, abs=0.005)
    assert 20 * (1 + row["high"]) == pytest.approx(18.39, abs=0.005)


def test_the_verdict_hangs_on_the_margin_and_not_on_the_sample():
    rng = stream(6, "verdicts")
    for n in (1e4, 1e6, 1e8):
        z = rng.standard_normal(2000) / np.sqrt(n)
        said = verdict_of(0.05 + z - 2 / np.sqrt(n), 0.05 + z + 2 / np.sqrt(n), np.array(0.1))
        assert (said == "same").mean() > 0.99
        said = verdict_of(0.15 + z - 2 / np.sqrt(n), 0.15 + z + 2 / np.sqrt(n), np.array(0.1))
        assert (said == "changed").mean() > 0.99


def test_a_planted_break_is_found_where_and_when_it_was():
    k = usual()
    k[250:271] *= 0.5
    expected = monitoring.learn(toy(k), reference_days=182, holidays=[])
    limit = monitoring.limit_of(2, false_alarms_a_month=1)
    (alarm,) = monitoring.watch(expected, margins=MARGINS, limit=limit).itertuples()
    assert (alarm.since, alarm.until) == ("2024-09-07", "2024-09-27")
    assert alarm.low < -0.5 < alarm.high
    assert alarm.verdict == "changed"


def test_what_moves_less_than_half_the_margin_never_adds_up():
    k = usual(mean=1e6)
    k[200:] *= 1.08
    expected = monitoring.learn(toy(k), reference_days=182, holidays=[])
    assert monitoring.watch(expected, margins=MARGINS, limit=1.0).empty
    standing = monitoring.stand(expected, margins=MARGINS, limit=5.0, recent_days=28)
    assert standing["verdict"].tolist() == ["same"]
    assert standing["delay_days"].tolist() == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("kept_together", [0.0, 0.5])
def test_clean_histories_keep_the_budget(kept_together):
    """Five hundred clean histories of forty series through the whole procedure, learning among it.

    Days scatter five times as much as by chance; with `kept_together` half of that scatter is shared by a week.
    """
    rng, budget, n, n_days, n_series = stream(7, f"budget {kept_together}"), 1.0, 500, 364, 40
    limit = monitoring.limit_of(2 * n_series, false_alarms_a_month=budget)
    mean = np.where(np.arange(n_days) % 7 < 5, 400.0, 200.0)
    alarms = []
    for _ in range(n):
        weekly = 1 + np.sqrt(kept_together * 4 / 400 / 7) * rng.standard_normal((n_series, n_days // 7))
        shape = mean / (4 * (1 - kept_together))
        daily = rng.gamma(shape, 1 / shape, (n_series, n_days)) * np.repeat(np.maximum(weekly, 0.1), 7, axis=1)
        many = toy(usual()).only(np.zeros(n_series, dtype=int))
        many = replace(many, k=rng.poisson(mean * daily).astype(float))
        found = monitoring.watch(
            monitoring.learn(many, reference_days=None, holidays=[]), margins=MARGINS, limit=limit
        )
        alarms.append(len(found))
    rate, error = clean_rate(pd.DataFrame({"n_alarms": alarms, "months": 26 * 7 / 30.44}))
    print(f"{rate:.3f} false alarms a month, Monte Carlo error {error:.3f}")
    assert rate + 3 * error <= budget


# --- faults ---------------------------------------------------------------------------------------------------


def test_clean_days_have_the_level_and_scatter_that_were_learnt():
    series = toy(stream(8, "wide").negative_binomial(100, 0.2, 364).astype(float))
    expected = monitoring.learn(series, reference_days=350, holidays=[])
    drawn = draw(expected.only(np.zeros(400, dtype=int)), rng=stream(8, "draws")).k
    assert drawn.mean() == pytest.approx(expected.level.mean(), rel=0.01)
    ratio = ((drawn - expected.level) ** 2 / expected.level).mean()
    assert ratio == pytest.approx(expected.dispersion[0, 0], rel=0.05)


def test_each_fault_is_found_sooner_the_more_it_strikes(counted):
    expected = monitoring.learn(counted, reference_days=49, holidays=[])
    limit = monitoring.limit_of(50, false_alarms_a_month=1)
    found = monitoring.find_faults(expected, margins=MARGINS, limit=limit, n_histories=60, rng=stream(9, "faults"))
    assert found["fault"].nunique() == 5
    for _, rows in found.groupby("fault"):
        assert (rows["found_share"].diff().dropna() >= -0.1).all()
        assert rows["found_share"].iloc[-1] > 0.9
        assert rows["delay_days"].iloc[-1] <= 14


# --- drift ----------------------------------------------------------------------------------------------------


def sent(n: int = 3000, *, seed: int = 11, shift: float = 0.0, slope: float = 1.0) -> pd.DataFrame:
    rng = stream(seed, "contacts")
    rows = pd.DataFrame({"row": np.arange(n), "x": rng.standard_normal(n) + shift})
    rows["person_id"] = [f"p{i}" for i in range(n)]
    rows["channel"] = rng.choice(["email", "sms"], n)
    rows["occurred_at"] = START + pd.to_timedelta(np.sort(rng.integers(0, 100, n)), unit="D")
    p = 1 / (1 + np.exp(1 - slope * rows["x"] - 0.5 * (rows["channel"] == "sms")))
    return rows.assign(responded=(rng.random(n) < p).astype(float), probability=p)


def test_effects_and_errors_are_scipy_s():
    was, now = sent(), sent(seed=12, shift=0.3)
    profile = monitoring.profile_of(was)
    table = monitoring.measure_drift(now, profile, monitoring.fit_concept(was), margins=MARGINS, alpha=0.05)
    (row,) = table[table["name"] == "x"].itertuples()
    test = stats.ttest_ind(now["x"], was["x"], equal_var=False)
    assert row.effect * was["x"].std() == pytest.approx(now["x"].mean() - was["x"].mean())
    error = (row.high - row.low) / 2 / stats.norm.isf(0.025 / len(table)) * was["x"].std()
    assert row.effect * was["x"].std() / error == pytest.approx(test.statistic, rel=1e-3)
    assert row.verdict == "changed"


def test_the_concept_is_scikit_learn_s():
    was = sent()
    model = monitoring.fit_concept(was)
    x = np.column_stack([(was["x"] - was["x"].mean()) / was["x"].std(ddof=0)])
    mark = (was["channel"] == "sms").to_numpy(dtype=float)
    x = np.column_stack([x, (mark - mark.mean()) / mark.std()])
    theirs = LogisticRegression(C=1 / 10, tol=1e-10, max_iter=1000).fit(x, was["responded"]).predict_proba(x)[:, 1]
    assert np.abs(theirs - expected_by(model, was)).max() < 1e-5


def test_covariates_label_concept_and_calibration_are_told_apart():
    was = sent(20000)
    profile, model = monitoring.profile_of(was), monitoring.fit_concept(was)
    margins = replace(MARGINS, points=0.03)

    def changed(now: pd.DataFrame) -> set[str]:
        table = monitoring.measure_drift(now, profile, model, margins=margins, alpha=0.05)
        return set(table.loc[table["verdict"] == "changed", "part"])

    assert changed(sent(20000, seed=13)) == set()
    assert changed(sent(20000, seed=14, shift=0.5)) == {"covariate", "label"}
    # The same people respond otherwise; scores that know it still hold.
    new = changed(sent(20000, seed=15, slope=0.0))
    assert "concept" in new
    assert not new & {"covariate", "calibration"}
    stale = sent(20000, seed=15, slope=0.0).assign(probability=lambda t: expected_by(model, t))
    assert {"concept", "calibration"} <= changed(stale)


def test_psi_by_hand_and_by_chi_square():
    was, now = np.arange(100.0)[None], np.r_[np.arange(50.0), np.arange(50.0)][None]
    # Half the bins hold a fifth each instead of a tenth; the others count as half a row of 102.5.
    due = 5 * (20 / 102.5 - 0.1) * np.log(20 / 102.5 / 0.1) + 5 * (0.5 / 102.5 - 0.1) * np.log(0.5 / 102.5 / 0.1)
    assert psi(was, now, bins=10)[0] == pytest.approx(due)
    found = monitoring.psi_alarms(
        [200, 1000], shifts=[0.0, 0.3], margins=MARGINS, n_simulations=1000, rng=stream(1, "psi")
    )
    alarms = found.set_index(["n", "shift"])["psi_alarms"]
    assert alarms[200, 0.0] == pytest.approx(0.35, abs=0.06)
    assert alarms[1000, 0.0] == 0
    assert found.set_index(["n", "shift"])["changed"][200, 0.0] < 0.01
    assert "At n = 200, where nothing moved, PSI alarms on 3" in say_pitfall(found)


def test_an_earlier_report_is_the_reference(tmp_path):
    was = sent()
    profile, model = monitoring.profile_of(was), monitoring.fit_concept(was)
    kept = {"tables": {"profile": profile.to_dict("records"), "concept": model.to_dict("records")}}
    (tmp_path / "15_monitoring.json").write_text(json.dumps(kept))
    again, concept = monitoring.read_reference(str(tmp_path / "15_monitoring.json"))
    pd.testing.assert_frame_equal(again, profile)
    pd.testing.assert_frame_equal(concept, model)
    assert monitoring.read_reference(None) is None
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(JourneybookError, match="it must be results/15_monitoring"):
        monitoring.read_reference(str(tmp_path / "other.json"))


def test_totals_that_only_grow_are_no_drift_of_who_is_written_to():
    at = pd.Timestamp("2024-03-01")
    rows = {"row": [1], "person_id": ["a"], "channel": ["email"], "occurred_at": [at], "responded": [True]}
    known = {
        "row": [1],
        "person_id": ["a"],
        "as_of": [at - pd.Timedelta(days=3)],
        "n_baskets": [9],
        "mean_basket": [7.0],
    }
    kinds = {"feature": ["n_baskets", "mean_basket"], "kind": ["total", "mean"]}
    contacts, features, dictionary = (ibis.memtable(pd.DataFrame(of)) for of in (rows, known, kinds))
    found = monitoring.contacts_of(contacts, features, None, dictionary=dictionary)
    assert found["mean_basket"].tolist() == [7.0] and "n_baskets" not in found
    assert "n_baskets" in monitoring.contacts_of(contacts, features, None, dictionary=None)


# --- findings -------------------------------------------------------------------------------------------------


def test_findings_say_what_moved_and_whether_scores_hold():
    k = usual()
    k[250:271] *= 0.5
    expected = monitoring.learn(toy(k), reference_days=182, holidays=[])
    raised = monitoring.watch(expected, margins=MARGINS, limit=4.8)
    alarms = monitoring.to_act_on(raised, expected, recent_days=28)
    standing = monitoring.stand(expected, margins=MARGINS, limit=4.8, recent_days=28)
    was = sent()
    drift = monitoring.measure_drift(
        sent(seed=16), monitoring.profile_of(was), monitoring.fit_concept(was), margins=MARGINS, alpha=0.05
    )
    planted = pd.DataFrame({"alarm": [alarms.index[0]]})
    lines = told(monitoring.find(alarms, standing, drift, planted=planted), "15_monitoring")
    found = next(line for line in lines if "rows of" in line.lower())
    assert found.startswith("3 known answer recovered: Rows of events fell by 5")
    assert ", from 7 September, over by 27 September." in found
    assert any("points against its scores; up to " in line for line in lines)
    assert any(line.startswith("3 counted: In 0% of the series") for line in lines)
    lately = monitoring.to_act_on(raised, expected, recent_days=len(expected.series.days) - 250)
    assert (alarms.is_new.tolist(), lately.is_new.tolist()) == ([False], [True])
    lines = told(monitoring.find(lately, standing, drift, planted=planted), "15_monitoring")
    assert any(line.startswith("2 known answer recovered: Rows of events") for line in lines)
    nothing = monitoring.find(alarms[:0], standing[:0], drift[:0], planted=planted[:0])
    assert nothing == []
