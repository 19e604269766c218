"""Declared rules, methods, behaviour, words, use, steady movement and triggers, by hand and by truth."""

from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score
from test_segmentation import MONTHS, grouped, segmented

from journeybook import segmentation
from journeybook.segmentation.movement import move_on
from journeybook.segmentation.segments import same_numbers
from journeybook.statistics import stream

DAYS = {"new_days": 60, "at_risk_days": 28, "lapsed_days": 91}
BOUGHT = {"n_baskets": 9, "n_baskets_28d": 2, "n_baskets_91d": 4}


def ago(months: dict[str, list], **more) -> pd.DataFrame:
    """Rows of one column a person, on the first dates of MONTHS; None is no row."""
    rows = [(name, at, v) for name, values in months.items() for at, v in zip(MONTHS, values, strict=False)]
    frame = pd.DataFrame(rows, columns=["person_id", "as_of", "recency_days"]).sort_values("as_of", kind="stable")
    return frame.assign(
        row=range(1, len(frame) + 1), **({"tenure_days": 400.0, "revenue_91d": 10.0} | BOUGHT | more)
    )


# --- declared rules -----------------------------------------------------------------------------------------


def test_declared_stages_by_hand():
    features = ago({"a": [100.0, 3, 40], "b": [5.0, 30, 95], "c": [np.nan, 2, 20]})
    features.loc[(features["person_id"] == "c") & (features["as_of"] > MONTHS[0]), "tenure_days"] = 20
    features.loc[features["person_id"] == "b", "revenue_91d"] = [500.0, 499.99, 500.01]
    features.loc[(features["person_id"] == "a") & (features["as_of"] == MONTHS[1]), "n_baskets_91d"] = 2
    found = segmentation.declare(features, **DAYS, high_value=500.0, held_out_days=91)
    by = found.people.set_index(["person_id", "as_of"])
    assert by.loc["a", "lifecycle"].tolist() == ["lapsed", "won back", "at risk"]
    assert by.loc["b", "lifecycle"].tolist() == ["active", "at risk", "lapsed"]
    assert by.loc["c", "lifecycle"].tolist() == ["registered", "new", "new"]
    assert by.loc["b", "high_value"].tolist() == [True, False, True]
    held = segmentation.rules_hold(features, found, **DAYS)
    assert held["value"].tolist() == [0]
    other = segmentation.declare(features, **DAYS | {"new_days": 61}, high_value=500.0, held_out_days=91)
    assert other.version != found.version and len(found.version) == 8


def test_high_value_is_set_before_the_time_that_judges_it():
    features = ago({f"p{i}": [1.0] * 5 for i in range(10)})
    features["revenue_91d"] = np.where(features["as_of"] <= MONTHS[0], features.groupby("as_of").cumcount(), 1e6)
    found = segmentation.declare(features, **DAYS, high_value=None, held_out_days=91)
    assert found.made_on == found.judged_from == MONTHS[0] and found.high_value == pytest.approx(7.2)
    with pytest.raises(ValueError, match="at_risk_days: found 91, needed above 0 and below lapsed_days"):
        segmentation.declare(features, **DAYS | {"at_risk_days": 91}, high_value=None, held_out_days=91)


# --- methods and behaviour --------------------------------------------------------------------------------------


def test_four_methods_find_planted_groups_and_say_how_they_chose():
    rng = stream(2, "methods")
    values = np.eye(3, 4)[rng.choice(3, 400)] * 9 + rng.standard_normal((400, 4))
    found = segmentation.side_by_side(values, max_segments=6, rng=rng).set_index("method")
    assert found["n_groups"].tolist() == [3, 3, 3, 3]
    assert (found["valley"] < 0.5).all() and found.loc["k-means", "agreement"] == 1
    said = segmentation.say_methods(found.reset_index())
    assert "k-means 3 (by elbow)" in said and "0.5 would be a group" in said
    few = segmentation.side_by_side(values[:20], max_segments=6, rng=rng)
    assert few.empty and "too few" in segmentation.say_methods(few)


def test_no_method_shows_a_valley_in_one_cloud():
    rng = stream(3, "cloud")
    found = segmentation.side_by_side(rng.standard_normal((600, 5)), max_segments=6, rng=rng)
    assert found["valley"].dropna().min() > 0.7


def walks(n_people: int, chances: list[float], *, n_sessions: int = 150) -> tuple[pd.DataFrame, np.ndarray]:
    """Sessions of three pages; from the first on a person goes to the second by the kind's chance."""
    rng = stream(4, "walks")
    kind = rng.choice(len(chances), n_people)
    person = np.repeat(np.arange(n_people), n_sessions)
    second = np.where(rng.random(len(person)) < np.array(chances)[kind[person]], "product", "offers")
    third = np.where(rng.random(len(person)) < np.array(chances)[kind[person]], "basket", "help")
    frame = pd.DataFrame({"session_id": np.arange(len(person)), "person_id": [f"p{i}" for i in person]})
    parts = [frame.assign(event=event, position=at) for at, event in enumerate(["home", second, third], start=1)]
    events = pd.concat(parts).sort_values(["session_id", "position"])
    return events.assign(session_id=events["session_id"].astype(str), row=range(1, len(events) + 1)), kind


@pytest.mark.parametrize(("chances", "n_groups"), [([0.2, 0.7], 2), ([0.5, 0.5], 1)])
def test_groups_in_steps_on_the_site_are_those_planted(chances, n_groups):
    events, kind = walks(200, chances)
    asked = {"max_segments": 4, "n_splits": 2}
    found = segmentation.behaviour(ibis.memtable(events), **asked, rng=stream(1, "b"))
    assert found.count.n_groups == n_groups and found.profile["n_people"].sum() == 200
    contacts = pd.DataFrame({"person_id": [f"p{i}" for i in range(200)], "contact_id": range(200)})
    truth = pd.DataFrame({"contact_id": range(200), "customer_type": kind})
    held = segmentation.behaviour_holds(found, contacts, truth)["value"].tolist()
    assert held == ([2, 1.0] if n_groups == 2 else [1, 0.0])
    said = segmentation.say_behaviour(found, segmentation.behaviour_holds(found, contacts, truth))
    assert ("**2** groups; most apart they are in home >" in said) == (n_groups == 2)


def test_without_events_of_known_people_no_groups_are_sought():
    events, _ = walks(10, [0.5])
    for table in (None, ibis.memtable(events.drop(columns="person_id")), ibis.memtable(events)):
        assert segmentation.behaviour(table, max_segments=4, n_splits=2, rng=stream(1, "b")) is None
    assert "no events of sixty known people" in segmentation.say_behaviour(None, pd.DataFrame())
    assert segmentation.behaviour_holds(None, None, None).empty


# --- words and cards -----------------------------------------------------------------------------------------


def test_a_rule_says_who_is_in_a_segment():
    features = grouped(900)
    found, last = segmented(features), segmentation.last_snapshot(features)
    words = segmentation.in_words(last, found=found, rng=stream(1, "words"))
    assert words.fidelity > 0.98 and words.by_largest == pytest.approx(found.profile["share"].max())
    said = segmentation.say_words(words, pd.DataFrame())
    assert f"* **{found.names[0]}**: {words.rules['rule'].iloc[0]}" in said
    for row in words.rules.itertuples():
        chained = [part.split() for part in row.rule.split(" and ")]
        query = " and ".join(" ".join(part) for part in chained)
        inside = last.query(query)
        at_end = found.at_end.to_numpy()[inside.index]
        assert abs(len(inside) - row.n_people) <= 2 and (at_end == row.segment).mean() > 0.9


def test_a_card_by_hand():
    features = grouped(300, n_months=1).assign(share_tea=lambda d: (d["revenue_28d"] > 40) * 0.5, share_all=0.5)
    found, last = segmented(features), segmentation.last_snapshot(features)
    people = last["person_id"]
    contacts = pd.DataFrame({"person_id": list(people) * 2, "channel": ["sms"] * 300 + ["email"] * 300})
    contacts["responded"] = contacts["channel"] == "sms"
    profiles = pd.DataFrame({"person_id": people, "birth_decade": 1970.0})
    may = pd.Series(found.at_end.to_numpy() == found.names[0], dtype="boolean")
    cards = segmentation.cards(last, found=found, contacts=contacts, consents=may, profiles=profiles)
    assert cards["segment"].tolist() == found.names and cards["channel"].tolist() == ["sms"] * 3
    assert cards["consent_share"].tolist() == [1, 0, 0] and (cards["birth_decade"] == 1970).all()
    assert cards.loc[0, "category"] == "tea" and cards["value_share"].sum() == pytest.approx(1)
    unknown = pd.Series(pd.NA, index=range(300), dtype="boolean")
    least = segmentation.cards(last, found=found, contacts=None, consents=unknown, profiles=None)
    assert not {"channel", "consent_share", "birth_decade"} & set(least)


def test_a_feature_that_stands_in_for_age_is_flagged_and_no_other():
    features = grouped(600, n_months=1)
    found, last = segmented(features), segmentation.last_snapshot(features)
    noise = stream(1, "age").standard_normal(600)
    decade = 10 * np.round(197 + 2 * (last["recency_days"].rank(pct=True) - 0.5) + 0.3 * noise)
    profiles = pd.DataFrame({"person_id": last["person_id"], "birth_decade": decade})
    asked = segmentation.proxies(last, found=found, profiles=profiles).set_index("feature")
    assert asked.loc["recency_days", "flagged"]
    shuffled = profiles.assign(birth_decade=stream(2, "age").permutation(decade))
    assert not segmentation.proxies(last, found=found, profiles=shuffled)["flagged"].any()
    assert segmentation.proxies(last, found=found, profiles=None).empty


# --- use -----------------------------------------------------------------------------------------------------


def quarter(n: int = 2_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """People of whose spend the segment tells half of the variance, and the number of baskets nothing."""
    rng = stream(5, "quarter")
    kind = rng.choice(2, n)
    first = pd.DataFrame({"person_id": [f"p{i}" for i in range(n)], "as_of": MONTHS[0], "revenue": 100.0})
    first = first.assign(n_baskets=rng.integers(1, 9, n), n_baskets_91d=rng.integers(1, 9, n), recency_days=5.0)
    last = first.assign(as_of=MONTHS[4], revenue=100 + 50 + 10 * (2 * kind - 1) + 10 * rng.standard_normal(n))
    features = pd.concat([first, last], ignore_index=True).assign(row=range(1, 2 * n + 1))
    dated = features[["person_id", "as_of", "row"]].assign(segment=np.tile(np.where(kind, "1 a", "2 b"), 2))
    return features, dated


def used(features: pd.DataFrame, dated: pd.DataFrame, *, contacts=None, seed: int = 1) -> pd.DataFrame:
    declared = features[["row"]].assign(lifecycle="active", high_value=False)
    how = {"contacts": contacts, "declared": declared, "n_quantiles": 3, "n_draws": 200, "level": 0.95}
    return segmentation.usefulness(features, dated, **how, rng=stream(seed, "uses"))


def test_segments_explain_out_of_sample_what_they_were_planted_to():
    features, dated = quarter()
    found = used(features, dated).set_index("predictor")
    segments = found.loc["segments"]
    assert segments["low"] < 0.5 < segments["high"] and segments["high"] - segments["low"] < 0.1
    assert abs(found.loc["n_baskets_91d alone", "explained"]) < 0.02
    assert found.loc["n_baskets_91d alone", "ahead_high"] < 0 and found.loc["segments", "ahead"] == 0
    last = dated["as_of"] == MONTHS[4]
    spent = features.loc[last, "revenue"].to_numpy() - 100
    means = pd.Series(spent).groupby(dated.loc[last, "segment"].to_numpy()).transform("mean")
    assert segments["explained"] == pytest.approx(r2_score(spent, means), abs=0.01)
    held = segmentation.uses_hold(used(features, dated), features, dated)
    assert len(held) == 2 and ((held["value"] - held["reference"]).abs() < held["tolerance"]).all()
    shuffled = dated.assign(segment=stream(6, "shuffled").permutation(dated["segment"]))
    assert used(features, shuffled).set_index("predictor").loc["segments", "explained"] < 0.01


def test_response_is_that_of_messages_since():
    features, dated = quarter()
    people = features.loc[:1_999, "person_id"]
    told = (dated["segment"][:2_000] == "1 a").to_numpy()
    after = pd.DataFrame({"person_id": people, "occurred_at": MONTHS[2], "responded": told})
    before = after.assign(occurred_at=MONTHS[0] - pd.Timedelta(days=9), responded=~told)
    found = used(features, dated, contacts=pd.concat([before, after])).set_index(["target", "predictor"])
    assert found.loc[("response", "segments"), "explained"] > 0.98
    assert used(features[features["as_of"] == MONTHS[4]], dated).empty


# --- steady movement -------------------------------------------------------------------------------------------


def test_who_stands_near_a_border_does_not_move():
    features = grouped(300, n_months=1)
    found = segmented(features)
    rows = features.head(2).copy()
    told = found.preparation.columns
    number = pd.Index(found.names).get_indexer(pd.Index(found.assignments["segment"].head(300)))
    one, other = (features[number == n].iloc[0] for n in (0, 1))
    values = {}
    for share in (0.0, 0.505, 1.0):
        mixed = rows.head(1).copy()
        mixed[told] = [(1 - share) * one[told].astype(float) + share * other[told].astype(float)]
        before = pd.Series([0], [mixed["person_id"].iloc[0]])
        values[share] = [move_on(mixed, found=found, before=before, border=b).iloc[0] for b in (0.0, 0.9)]
    assert values[0.0] == [0, 0] and values[1.0][0] == 1
    assert all(late == 0 for _, late in (values[0.0], values[0.505]))
    with pytest.raises(ValueError, match="border: found 1, needed at least 0 and below 1"):
        move_on(rows, found=found, before=None, border=1.0)


def test_yesterday_and_today_s_rows_are_enough():
    features = grouped(400, moving_share=0.2)
    found = segmented(features)
    whole = segmentation.steady(features, found=found, border=0.2)
    cut = segmentation.steady(features[features["as_of"] < MONTHS[4]], found=found, border=0.2)
    pd.testing.assert_frame_equal(whole[whole["as_of"] < MONTHS[4]], cut)
    held = segmentation.steady_holds(features, whole, found=found, border=0.2)
    assert held["value"].tolist() == [0]
    last, before = (whole[whole["as_of"] == date].set_index("person_id")["segment"] for date in MONTHS[[-1, -2]])
    numbers = pd.Series(pd.Index(found.names).get_indexer(before), before.index)
    again = move_on(features[features["as_of"] == MONTHS[-1]], found=found, before=numbers, border=0.2)
    assert [found.names[n] for n in again] == last.tolist()
    plain = segmentation.steady(features, found=found, border=0.0)
    assert (plain["segment"] == found.assignments["segment"]).all()
    stays = [(f["segment"].groupby(f["person_id"]).nunique() == 1).mean() for f in (plain, whole)]
    assert stays[0] <= stays[1]


def test_who_enters_and_leaves_is_counted():
    rows = [("a", 0), ("a", 1), ("b", 1), ("b", 2), ("c", 0), ("c", 2)]
    frame = pd.DataFrame(rows, columns=["person_id", "at"]).assign(
        segment=["1 x", "1 x", "2 y", "2 y", "2 y", "1 x"]
    )
    frame = frame.assign(as_of=MONTHS[frame["at"]], row=range(1, 7))
    moves = segmentation.movement(frame, since=MONTHS[0], n_draws=20, level=0.95, rng=stream(1, "m"))
    # b enters; c leaves and comes again; a leaves.
    assert moves.flows.to_numpy().tolist() == [["1 x", 1, 1], ["2 y", 1, 1]]


def test_numbers_go_on_from_date_to_date():
    before = pd.Series([0, 0, 1, 2, 2, 2], list("abcdef"))
    now = pd.Series([2, 2, 0, 1, 1, 0, 0], list("abcdefg"))
    assert same_numbers(before, now, n=3).tolist() == [1, 2, 0]


# --- triggers --------------------------------------------------------------------------------------------------


def at(*days: float) -> list[pd.Timestamp]:
    return [MONTHS[0] + pd.Timedelta(days=d) for d in days]


def test_triggers_by_hand():
    moments = at(0, 0.1, 1.5, 3, 3.5, 6.2, 40)
    events = pd.DataFrame({"occurred_at": moments, "person_id": list("aaabbba"), "row": range(1, 8)})
    events["event"] = ["basket", "basket", "purchase", "basket", "purchase", "basket", "home"]
    bought = pd.DataFrame({"person_id": list("ccc"), "occurred_at": at(0, 91, 100)})
    people = ago({"d": [1.0, 2, 40], "e": [1.0, 2, 3]}).assign(lifecycle="active", high_value=False)
    people.loc[(people["person_id"] == "d") & (people["as_of"] < MONTHS[2]), "high_value"] = True
    people.loc[(people["person_id"] == "d") & (people["as_of"] == MONTHS[2]), "lifecycle"] = "at risk"
    people.loc[(people["person_id"] == "e") & (people["as_of"] > MONTHS[0]), "high_value"] = True
    asked = {"left_hours": 24, "lapsed_days": 91, "conversion": "purchase"}
    found = segmentation.find_triggers(bought, people, events=ibis.memtable(events), **asked)
    told = found.set_index(["trigger", "person_id"])["occurred_at"]
    assert len(found) == 5 and found["row"].tolist() == [1, 2, 3, 4, 5]
    assert told["basket left", "a"] == at(1.1)[0] and told["basket left", "b"] == at(7.2)[0]
    assert told["lapsed buyer back", "c"] == at(91)[0]
    assert told["high value reached", "e"] == MONTHS[1] and told["high value lapsing", "d"] == MONTHS[2]
    told = {"bought": bought, "people": people, "events": ibis.memtable(events), **asked}
    told["run"] = SimpleNamespace(has_ledger=False)
    assert segmentation.triggers_hold(found, **told)["value"].tolist() == [0]
    assert segmentation.triggers_hold(found.iloc[1:], **told)["value"].tolist() == [1]
    none = segmentation.find_triggers(None, people, events=None, **asked)
    assert sorted(none["trigger"]) == ["high value lapsing", "high value reached"]


def test_precision_is_counted_on_time_held_out():
    """Of 20 lapsed buyers who come back, 15 buy again within 28 days; everyone else buys every ten days."""
    back = pd.DataFrame({"trigger": "lapsed buyer back", "person_id": [f"p{i}" for i in range(20)]})
    back["occurred_at"] = at(40)[0]
    early = back.assign(occurred_at=at(1)[0])
    again = [("p" + str(i), at(50 if i < 15 else 70)[0]) for i in range(20)]
    others = [(f"q{i}", at(day)[0]) for i in range(5) for day in range(0, 119, 10)]
    bought = pd.DataFrame([*again, *others], columns=["person_id", "occurred_at"])
    people = ago({f"q{i}": [1.0] * 5 for i in range(5)}).assign(lifecycle="active", high_value=False)
    rows = pd.concat([early, back])
    found = segmentation.precision(rows, bought, people, since=at(30)[0]).set_index("trigger")
    one = found.loc["lapsed buyer back"]
    assert (one["n"], one["precision"], one["usual"]) == (20, 0.75, 1.0)
    assert one["low"] == pytest.approx(0.75 - 1.96 * np.sqrt(0.75 * 0.25 / 19)) and one["lift"] == 0.75
    assert segmentation.precision(rows, None, people, since=at(30)[0]).empty


def test_without_a_ledger_consent_is_not_known():
    moments = pd.DataFrame({"person_id": ["a"], "occurred_at": at(1)})
    assert segmentation.with_consent(SimpleNamespace(has_ledger=False), moments)["may_email"].isna().all()
