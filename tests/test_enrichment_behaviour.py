"""Page 04: visits, messages, habits, stages, who is registered, the dictionary, and what each source adds."""

from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import entropy

from journeybook import enrichment
from journeybook.enrichment.ablation import RESPONSE, SPEND, Quarter, gained, losses
from journeybook.enrichment.behaviour import OUTCOMES
from journeybook.enrichment.by_hand import behaviour_holds
from journeybook.enrichment.dictionary import FEATURES
from journeybook.enrichment.habits import rate

DATES = [datetime(2026, 2, 1), datetime(2026, 6, 1), datetime(2026, 7, 1)]
DAY = timedelta(days=1)


def table(rows, columns):
    frame = pd.DataFrame(rows, columns=columns.split())
    times = {c: frame[c].astype("datetime64[us]") for c in frame if c in ("occurred_at", "as_of", "known_from")}
    return ibis.memtable(frame.assign(**times, row=range(1, len(frame) + 1)))


def people(*names, dates=DATES):
    return table([(name, date) for date in dates for name in names], "person_id as_of")


def steps(*visits):
    """Steps a minute apart: each visit is (session, person or None, begin, events)."""
    rows = [
        (session, person, pd.Timestamp(begin) + n * pd.Timedelta(minutes=1), event, "app")
        for session, person, begin, events in visits
        for n, event in enumerate(events.split())
    ]
    return table(rows, "session_id person_id occurred_at event device")


def seen(events, snapshots, *, contacts=None, known_after_days=7, dates=DATES):
    visited = enrichment.visits(events, basket_event=None, conversion=None)
    how = {"as_of_dates": dates, "known_after_days": known_after_days}
    made = enrichment.add_behaviour(snapshots, visited, enrichment.messages(contacts), **how)
    return made.order_by("row").to_pandas().set_index(["person_id", "as_of"])


def test_visits_counted_by_hand():
    events = steps(
        ("s1", "ann", "2026-05-20 10:00", "home basket purchase"),
        ("s2", "ann", "2026-05-25 10:00", "home basket"),
        ("s3", "ann", "2026-04-01 10:00", "home"),
        ("s4", "ann", "2026-01-01 10:00", "home"),
    )
    ann = seen(events, people("ann", "bob")).loc["ann"]
    june = ann.loc[DATES[1]]
    assert ann.n_visits_91d.tolist() == [1, 3, 3] and ann.n_visits_28d.tolist() == [0, 2, 0]
    assert (june.steps_per_visit_91d, june.minutes_per_visit_91d, june.n_devices_91d) == (2.0, 1.0, 1)
    assert june.visit_purchase_share_91d == pytest.approx(1 / 3)
    assert june.abandoned_share_91d == 0.5
    assert june.days_since_visit == pytest.approx(7 - 10 / 24)
    assert june.visits_per_28d == pytest.approx(3 * 28 / 91)


def test_who_never_came_has_visits_of_zero_and_no_shares():
    events = steps(("s1", "ann", "2026-05-20 10:00", "home purchase"))
    bob = seen(events, people("ann", "bob")).loc["bob"]
    assert (bob[["n_visits_28d", "n_visits_91d", "visits_per_28d"]] == 0).all(axis=None)
    assert bob[["steps_per_visit_91d", "visit_purchase_share_91d", "days_since_visit"]].isna().all(axis=None)


def test_a_visit_holds_nothing_from_the_date_on_and_one_over_midnight_is_cut_there():
    events = steps(("s1", "ann", "2026-05-31 23:58", "home basket checkout purchase"))
    ann = seen(events, people("ann")).loc["ann"]
    before, after = ann.loc[DATES[1]], ann.loc[DATES[2]]
    assert (before.n_visits_91d, before.steps_per_visit_91d, before.visit_purchase_share_91d) == (1, 2.0, 0.0)
    assert (after.n_visits_91d, after.visit_purchase_share_91d) == (2, 0.5)


def test_who_signs_in_during_a_visit_is_known_in_all_of_it_and_a_visit_of_two_is_nobodys():
    signed_in = steps(("s1", None, "2026-05-20 10:00", "home search"), ("s1", "ann", "2026-05-20 10:02", "basket"))
    assert seen(signed_in, people("ann")).loc[("ann", DATES[1])].steps_per_visit_91d == 3
    shared = steps(("s1", "bob", "2026-05-20 10:00", "home"), ("s1", "ann", "2026-05-20 10:02", "basket"))
    assert (seen(shared, people("ann", "bob")).n_visits_91d == 0).all()


def test_without_sessions_a_day_is_a_visit_and_unknown_events_make_no_share():
    events = steps(("s1", "ann", "2026-05-20 10:00", "a b"), ("s2", "ann", "2026-05-20 20:00", "a")).drop(
        "session_id", "device"
    )
    found = seen(events, people("ann"))
    assert found.loc[("ann", DATES[1])].steps_per_visit_91d == 3
    assert not {"visit_purchase_share_91d", "abandoned_share_91d", "n_devices_91d"} & set(found)
    untimed = events.drop("occurred_at")
    for nothing in (None, untimed):
        assert enrichment.visits(nothing, basket_event=None, conversion=None) is None


def contacts(*rows):
    return table(rows, "person_id occurred_at channel opened clicked responded")


def test_outcomes_count_once_they_can_be_known_and_no_message_is_none():
    sent = contacts(
        ("ann", DATES[1] - 40 * DAY, "email", True, True, True),
        ("ann", DATES[1] - 10 * DAY, "email", False, False, False),
        ("ann", DATES[1] - 3 * DAY, "email", True, True, True),
        ("ann", DATES[1] - 2 * DAY, "none", False, False, True),
        ("ann", DATES[1] - 5 * DAY, "sms", None, True, True),
    )
    found = seen(None, people("ann"), contacts=sent).loc["ann"]
    june, july = found.loc[DATES[1]], found.loc[DATES[2]]
    assert (june.n_messages_28d, june.n_messages_91d, june.days_since_message) == (3, 4, 3.0)
    assert (june.opened_share_91d, june.clicked_share_91d, june.responded_share_91d) == (0.5, 0.5, 0.5)
    # All was opened before the last 28 days, and nothing in them.
    assert june.fatigue_28d == 1.0
    assert july.responded_share_91d == pytest.approx(3 / 4) and july.opened_share_91d == pytest.approx(2 / 3)
    at_once = seen(None, people("ann"), contacts=sent, known_after_days=0).loc[("ann", DATES[1])]
    assert at_once.responded_share_91d == pytest.approx(3 / 4)


@pytest.mark.parametrize("days", [-1, 28])
def test_days_until_an_outcome_is_known_have_a_range(days):
    with pytest.raises(ValueError, match=f"known_after_days is {days}: it must be at least 0 and below 28"):
        seen(None, people("ann"), contacts=contacts(), known_after_days=days)


def test_no_behaviour_depends_on_what_comes_after():
    rng = np.random.default_rng(3)
    begins = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 180 * 86_400, 300), unit="s")
    events = steps(
        *[(f"s{k}", f"p{k % 9}", at, "home basket purchase"[: 4 + k % 17]) for k, at in enumerate(begins)]
    )
    whole = seen(events, people(*[f"p{k}" for k in range(9)]))
    cut = seen(events.filter(events.occurred_at < DATES[1]), people(*[f"p{k}" for k in range(9)]))
    there = whole.index.get_level_values("as_of") <= DATES[1]
    pd.testing.assert_frame_equal(whole[there].drop(columns="row"), cut[there].drop(columns="row"))


def test_a_rate_is_unbiased_whenever_someone_was_first_seen_and_the_bare_count_is_not():
    """Poisson processes of known rates begin up to 84 days before the date; Monte Carlo error stated."""
    rng = np.random.default_rng(11)
    n, per_day = 20_000, 0.2
    first = rng.uniform(7, 84, n)
    later = rng.poisson(per_day * first)
    given = ibis.memtable({"n": later + 1, "days": first})
    found = given.select(rate=rate(given.n, given.days)).to_pandas().rate
    error = found.std() / n**0.5
    assert abs(found.mean() - 28 * per_day) < 4 * error < 0.1
    assert (later + 1).mean() * 28 / 91 < 0.65 * 28 * per_day
    old = ibis.memtable({"n": [13, 3], "days": [400.0, 6.9]})
    assert old.select(r=rate(old.n, old.days)).to_pandas().r.fillna(-1).tolist() == [4.0, -1]


def receipts(*rows):
    made = table(rows, "person_id occurred_at revenue product_id")
    return made.mutate(revenue=made.revenue.cast("decimal(18, 4)"))


def test_stages_and_variety_by_hand():
    date = DATES[2]
    ago = {"new": [3], "active": [60, 20], "at risk": [200, 40], "lapsed": [300, 100], "won back": [200, 5]}
    lines = receipts(*[(who, date - d * DAY, 5, f"{who}{d % 3}") for who, days in ago.items() for d in days])
    products = ibis.memtable(
        {"product_id": ["active0", "active2", "new0"], "category": ["x", "y", "x"], "row": [1, 2, 3]}
    )
    plain = enrichment.feature_snapshots(lines, as_of_dates=[date], products=None, groups={}, hours=False)
    made = enrichment.add_habits(plain, lines, as_of_dates=[date], products=products)
    found = made.to_pandas().set_index("person_id")
    assert found.lifecycle_stage.to_dict() == {who: who for who in ago}
    assert found.category_entropy_91d["active"] == pytest.approx(entropy([1, 1], base=2)) == 1.0
    assert found.category_entropy_91d["new"] == 0 and np.isnan(found.category_entropy_91d["lapsed"])
    assert found.pause_share["active"] == pytest.approx(20 / (20 + 40))
    pd.testing.assert_frame_equal(
        found[[c for c in plain.columns if c in found]], plain.to_pandas().set_index("person_id")
    )


def test_entropy_is_scipys_on_many_categories():
    rng = np.random.default_rng(5)
    category = rng.choice(12, 400, p=rng.dirichlet(np.ones(12)))
    date = DATES[2]
    lines = receipts(
        *[
            ("ann", date - int(d) * DAY, 1, f"q{c}")
            for d, c in zip(rng.integers(1, 90, 400), category, strict=True)
        ]
    )
    products = ibis.memtable({"product_id": [f"q{c}" for c in range(12)], "department": list("abcdefghijkl")})
    plain = enrichment.feature_snapshots(lines, as_of_dates=[date], products=None, groups={}, hours=False)
    made = enrichment.add_habits(plain, lines, as_of_dates=[date], products=products).to_pandas()
    assert made.category_entropy_91d.item() == pytest.approx(entropy(np.bincount(category), base=2), abs=1e-10)


def test_registered_people_exist_until_they_buy():
    snapshots = people("ann").filter(ibis._.as_of >= DATES[1])
    history = [
        ("ann", "2026-01-05"),
        ("cem", "2026-08-01"),
        ("cem", "2026-05-15"),
        ("dee", DATES[2] - timedelta(days=1)),
    ]
    history = table(history, "person_id known_from")
    visited = enrichment.visits(steps(("s1", "eve", "2026-01-20", "home")), basket_event=None, conversion=None)
    how = {"as_of_dates": DATES, "max_people": 10}
    made = enrichment.registered_people(snapshots, [visited, None], history=history, **how)
    found = made.order_by("row").to_pandas()
    assert found["row"].tolist() == list(range(1, len(found) + 1))
    by_date = found.groupby("as_of").person_id.agg(list).to_dict()
    assert by_date == {DATES[0]: ["eve", "ann"], DATES[1]: ["eve", "cem"], DATES[2]: ["eve", "cem", "dee"]}
    assert (found.lifecycle_stage == "registered").all()
    nobody = enrichment.registered_people(snapshots, [None, None], history=None, **how)
    assert nobody.count().execute() == 0
    stages = enrichment.people_by_stage(snapshots.mutate(lifecycle_stage=ibis.literal("new")), made)
    assert stages[["new", "registered"]].to_numpy().tolist() == [[0, 2], [1, 2], [1, 3]]
    assert enrichment.say_stages(stages) == "On the last date, of those who are known 1 new and 3 registered."


def test_the_dictionary_names_each_feature_once_and_an_area_is_no_person():
    columns = [
        "row",
        "person_id",
        "as_of",
        "n_baskets",
        "revenue_91d",
        "share_meat",
        "third_party_known",
        "income",
    ]
    how = {"groups": {"share_meat": "MEAT"}, "attributes": ["income"]}
    purposes = dict.fromkeys(enrichment.AS_OF_RULES, "analytics") | {"third_party": "third_party_enrichment"}
    told = enrichment.feature_dictionary(columns, **how, by_place=True, purposes=purposes)
    assert told.feature.tolist() == columns[3:] and told["row"].tolist() == [1, 2, 3, 4, 5]
    by_name = told.set_index("feature")
    assert by_name.kind.tolist() == ["total", "window", "share", "attribute", "area"]
    assert by_name.window_days.fillna(0).tolist() == [0, 91, 0, 0, 0]
    assert by_name.purpose.tolist() == ["analytics"] * 3 + ["third_party_enrichment"] * 2
    assert (
        enrichment.feature_dictionary(columns, **how, by_place=False, purposes=purposes).kind.iloc[-1]
        == "attribute"
    )
    with pytest.raises(KeyError, match="n_mistakes"):
        enrichment.feature_dictionary(["n_mistakes"], **how, by_place=False, purposes=purposes)


def test_every_source_is_explained_and_no_window_is_misnamed():
    assert {source for _, _, source, _ in FEATURES.values()} == set(enrichment.AS_OF_RULES)
    windows = {name for name, (_, kind, *_) in FEATURES.items() if kind == "window"}
    assert all(name.endswith(("_28d", "_91d")) for name in windows)
    assert {kind for name, (_, kind, *_) in FEATURES.items() if name.endswith("per_28d")} == {"rate"}


def test_a_window_called_a_total_and_a_feature_untold_are_noticed():
    features = ibis.memtable(
        {"row": [1, 2], "person_id": ["a", "a"], "as_of": DATES[:2], "n_baskets": [1, 2], "n_baskets_28d": [1, 0]}
    )
    told = pd.DataFrame(
        {"feature": ["n_baskets", "n_baskets_28d"], "kind": ["total", "window"], "unit": "baskets"}
    )
    assert enrichment.dictionary_holds(features, told)["value"].tolist() == [0, 0]
    assert enrichment.dictionary_holds(features, told.assign(kind="total"))["value"].tolist() == [0, 1]
    assert enrichment.dictionary_holds(features, told.head(1))["value"].tolist() == [1, 0]


def quarter(n=1_500, *, seed=2):
    """Spend hangs on `a`, answers on `b`; `a_again` is `a` from another source; `idle` is of no use."""
    rng = np.random.default_rng(seed)
    a, b, idle = rng.standard_normal((3, n))
    n_sent = rng.integers(0, 9, n)
    answered = rng.binomial(n_sent, 1 / (1 + np.exp(2 - b)))
    frame = pd.DataFrame({"a": np.exp(a), "b": np.exp(b), "idle": np.exp(idle), "a_again": np.exp(a)})
    spend = np.expm1(np.maximum(np.log1p(np.exp(a)) + 2 + 0.3 * rng.standard_normal(n), 0))
    made = Quarter(frame, spend, n_sent.astype(float), answered.astype(float))
    return made, pd.DataFrame({"feature": ["a", "b", "idle"], "source": ["first", "second", "third"]})


def test_a_source_adds_where_the_outcome_hangs_on_it_and_nowhere_else():
    made, told = quarter()
    found = enrichment.ablation(made, told, least_gain=0.02).set_index(["outcome", "source"])
    verdicts = found.verdict.to_dict()
    assert verdicts[SPEND, "first"] == verdicts[RESPONSE, "second"] == "adds"
    assert (
        verdicts[SPEND, "second"] == verdicts[SPEND, "third"] == verdicts[RESPONSE, "third"] == "can be given back"
    )
    assert found.gain[SPEND, "first"] > 0.7 > 0.2 > found.gain[RESPONSE, "second"] > 0.03
    assert (found.gain_low < found.gain).all() and (found.gain < found.gain_high).all()
    assert enrichment.title_sources(found.reset_index()).startswith(
        "predicting the next quarter needs first and second"
    )


def test_of_two_sources_of_one_thing_neither_is_missed():
    made, told = quarter()
    told = pd.concat([told, pd.DataFrame({"feature": ["a_again"], "source": ["again"]})])
    found = enrichment.ablation(made, told, least_gain=0.02).set_index(["outcome", "source"])
    assert found.verdict[SPEND, "first"] == found.verdict[SPEND, "again"] == "can be given back"


def test_where_there_is_one_source_all_is_lost_without_it():
    made, told = quarter()
    found = enrichment.ablation(made, told.assign(source="only"), least_gain=0.02).set_index("outcome")
    assert found.gain[SPEND] == pytest.approx(found.explained[SPEND], abs=0.01)


def test_models_are_those_of_statsmodels():
    made, told = quarter(400)
    asked, y, n = made.asked()[RESPONSE]
    found = losses(made, told, outcome=RESPONSE)
    x = np.log1p(made.people[["a", "b", "idle"]].to_numpy())[asked]
    fold = np.arange(asked.sum()) % 5 == 0
    z = (x - x[~fold].mean(axis=0)) / x[~fold].std(axis=0)
    model = sm.GLM(
        np.column_stack([n * y, n * (1 - y)])[~fold], sm.add_constant(z[~fold]), family=sm.families.Binomial()
    )
    said = model.fit().predict(sm.add_constant(z[fold]))
    due = -2 * n[fold] * (y[fold] * np.log(said) + (1 - y[fold]) * np.log(1 - said))
    # The penalty of ten draws slopes towards 0 a little.
    assert found["all"][fold].sum() == pytest.approx(due.sum(), rel=0.02)
    gain, error = gained(pd.Series([1.0, 3.0, 2.0]), pd.Series([4.0, 4.0, 4.0]))
    assert (gain, error) == (0.5, pytest.approx(np.sqrt(2 * 3 / 2) / 12))


def test_intervals_of_a_source_of_nothing_stay_at_nothing():
    """Of 40 sets the 95 % interval may lie above 0 in six at most (binomial, one in 2,000)."""
    above = 0
    for seed in range(40):
        made, told = quarter(150, seed=seed)
        found = losses(made, told, outcome=SPEND)
        gain, error = gained(found["third"] - found["all"], found["mean"])
        above += gain - 1.96 * error > 0
    assert above <= 6


def test_where_too_little_came_nothing_is_said():
    made, told = quarter(80)
    for given in (None, made):
        found = enrichment.ablation(given, told, least_gain=0.02)
        assert found.empty and enrichment.title_sources(found).endswith("cannot be told")
    with pytest.raises(ValueError, match="least_gain is 0: it must be above 0 and below 1"):
        enrichment.ablation(made, told, least_gain=0)
    assert OUTCOMES[0] == "opened"
    short = {"as_of_dates": DATES[1:], "known_after_days": 7}
    assert enrichment.next_quarter(people("ann"), receipts(), None, **short) is None


def test_what_came_in_the_quarter_is_counted_from_its_first_moment_to_its_last():
    dates = [datetime(2026, 3, 1), datetime(2026, 6, 1)]
    end = dates[0] + 91 * DAY
    lines = receipts(
        ("ann", dates[0] - timedelta(seconds=1), 1, "q"),
        ("ann", dates[0], 2, "q"),
        ("ann", end - timedelta(seconds=1), 4, "q"),
        ("ann", end, 8, "q"),
    )
    sent = contacts(
        ("bob", dates[0], "email", True, True, True),
        ("bob", end - 8 * DAY, "email", True, True, False),
        ("bob", end - 7 * DAY, "email", True, True, True),
        ("bob", dates[0] + DAY, "none", True, True, True),
    )
    how = {"as_of_dates": dates, "known_after_days": 7}
    found = enrichment.next_quarter(people("ann", "bob", dates=dates), lines, enrichment.messages(sent), **how)
    assert (found.spend.tolist(), found.n_sent.tolist(), found.n_answered.tolist()) == ([6, 0], [0, 2], [0, 1])


@pytest.mark.parametrize("lost", [(), ("session_id", "device")])
def test_plain_sql_agrees_and_notices_a_figure_that_is_off(lost):
    rng = np.random.default_rng(8)
    begins = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 180 * 86_400, 400), unit="s")
    words, who = np.array(["home", "basket", "purchase"]), [f"p{k % 9}" if k % 11 else None for k in range(400)]
    events = steps(*[(f"s{k}", who[k], at, " ".join(rng.choice(words, 3))) for k, at in enumerate(begins)])
    events = events.drop(*lost)
    outcomes, channels = (rng.random((400, 3)) < 0.3).tolist(), ["email", "none", None]
    sent = contacts(*[(who[k], at, channels[k % 3], *outcomes[k]) for k, at in enumerate(begins)])
    usual, known = {"basket_event": None, "conversion": None}, {"known_after_days": 7}
    tables = enrichment.visits(events, **usual), enrichment.messages(sent)
    made = enrichment.add_behaviour(people(*[f"p{k}" for k in range(12)]), *tables, as_of_dates=DATES, **known)
    how = {"events": events, "contacts": sent, **usual, **known}
    holds = behaviour_holds(made, **how)
    assert len(holds) == 2 and (holds["value"] <= holds["tolerance"]).all()
    for column in ("visits_per_28d", "n_visits_28d", "fatigue_28d", "responded_share_91d", "days_since_message"):
        off = made.mutate(**{column: made[column] + 0.01})
        assert (behaviour_holds(off, **how)["value"] > holds["tolerance"]).sum() == 1


def test_texts_count_before_the_date_and_their_mean_tone_is_that_of_ninety_one_days():
    tones = [
        ("ann", "2026-05-20", 0.5),
        ("ann", "2026-05-21", -0.1),
        ("ann", "2026-01-05", 0.9),
        ("ann", "2026-05-22", None),
    ]
    events = table([*tones, (None, "2026-05-20", 0.9)], "person_id occurred_at text_tone").mutate(
        event=ibis.literal("review")
    )
    how = {"as_of_dates": DATES, "known_after_days": 7, "written": enrichment.written(events)}
    found = enrichment.add_behaviour(people("ann", "bob"), None, None, **how).order_by("row").to_pandas()
    found = found.set_index(["person_id", "as_of"])
    assert found.n_texts_91d.tolist() == [1, 0, 2, 0, 2, 0]
    assert found.loc["ann"].text_tone_91d.tolist() == pytest.approx([0.9, 0.2, 0.2])
    assert found.loc["bob"].text_tone_91d.isna().all()
    assert enrichment.written(events.drop("text_tone")) is None
