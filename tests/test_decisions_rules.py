"""Page 14's rules: read strictly, looked through, carried out, held beside plain Python, priced and assigned."""

from datetime import datetime
from itertools import product

import duckdb
import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from journeybook.decisions.carrying import Carried
from journeybook.decisions.gains import Gains, assign
from journeybook.decisions.people import people_now, people_then
from journeybook.decisions.release import changes, review
from journeybook.decisions.rules import bind, read_rules
from journeybook.decisions.rules_hold import _unknown, evaluate, first_free, parsed, trees_of
from journeybook.decisions.slots import decide_slots
from journeybook.decisions.words import say_changed, say_decided, say_rules
from journeybook.errors import JourneybookError
from journeybook.plots.decisions import plot_decided

AS_OF = datetime(2026, 1, 1)
CHANNELS = ("email", "sms")
FILE = {
    "version": "1",
    "slots": {"noon": "2026-01-02 12:00", "night": "2026-01-02 22:00"},
    "actions": {
        "hello": {"channel": "email", "content": "'Hello ' || town", "fallback": "Hello"},
        "text": {"channel": "sms", "eligible": "n > 1"},
        "best": {},
    },
    "rules": {"old": {"when": "age >= 60", "action": "hello", "priority": 1},
              "near": {"when": "town = 'Ulm'", "action": "text", "priority": 2}},
}  # fmt: skip


def written(folder, **more):
    (folder / "r.yaml").write_text(yaml.safe_dump(FILE | more), encoding="utf-8")
    return read_rules(str(folder / "r.yaml"), dataset="files", as_of=AS_OF)


@pytest.fixture(scope="module")
def people():
    """Three hundred people, some of whom are not known well, and the messages of the week before."""
    connection, rng, n = ibis.duckdb.connect(), np.random.default_rng(5), 300
    frame = pd.DataFrame({"row": range(1, n + 1), "person_id": [f"p{i:03d}" for i in range(n)], "as_of": AS_OF})
    frame["age"] = np.where(rng.random(n) < 0.1, np.nan, rng.integers(18, 90, n))
    frame["town"] = pd.Series(rng.choice(["Ulm", "Bonn", None], n), dtype="str")
    frame = frame.assign(n=rng.integers(0, 5, n), vip=rng.random(n) < 0.2, spend=rng.gamma(2, 15, n))
    sent = pd.DataFrame({"row": range(1, 201), "person_id": rng.choice(frame["person_id"], 200)})
    sent["occurred_at"] = pd.Timestamp(AS_OF) - pd.to_timedelta(rng.integers(0, 12 * 86400, 200), unit="s")
    sent["channel"] = rng.choice([*CHANNELS, "none"], 200)
    for name, one in {"features": frame, "contacts": sent}.items():
        connection.con.register(f"{name}_made", one)
        connection.raw_sql(f"CREATE TABLE {name} AS SELECT * FROM {name}_made")
    return people_now(connection.table("contacts"), {"features": connection.table("features")}, ends=None)


def gains_of(people, effect=(0.05, 0.03), cost=(0.1, 0.2)):
    spend = people.table.order_by("row").to_pandas()["spend"].to_numpy()
    table = pd.DataFrame({"group": "all", "channel": CHANNELS, "effect": effect, "low": effect, "high": effect})
    ends = np.repeat(np.array(effect)[None, :, None], 3, axis=2)
    cost = np.array(cost)
    return Gains(CHANNELS, table, ends, np.zeros(len(spend), dtype=int), spend, cost, cost)


def decided(people, rules, permitted=None, **more):
    return decide_slots(bind(rules, people), people, gains_of(people, **more), permitted=permitted)


# --- reading ----------------------------------------------------------------------------------------------


def test_the_demos_rules_are_read_and_other_data_have_none():
    rules = read_rules(None, dataset="journey_demo", as_of=datetime(2018, 1, 1))
    assert next(rule.name for rule in rules.tried) == "best customers" and rules.tried[-1].name == "fallback"
    assert rules.slots["Tuesday morning"] == datetime(2018, 1, 2, 10)
    assert read_rules(None, dataset="files", as_of=AS_OF) is None


def test_a_slot_by_weekday_is_the_first_from_the_end_of_the_data_on(tmp_path):
    slots = {"a": "Thursday 10:00", "b": "Wednesday 10:00"}
    assert written(tmp_path, slots=slots).slots == {"a": datetime(2026, 1, 1, 10), "b": datetime(2026, 1, 7, 10)}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(FILE | {"slots": {"a": "Thursday 10:00"}}), encoding="utf-8")
    late = read_rules(str(tmp_path / "r.yaml"), dataset="files", as_of=datetime(2026, 1, 1, 11))
    assert late.slots["a"] == datetime(2026, 1, 8, 10)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"version": 2}, "version is 2; needed: a text in quotes, such as '2026-01'."),
        ({"slot": {}}, "the file has the key 'slot', which is not known; did you mean slots?"),
        ({"slots": {"a": "soon"}}, "slots.a is 'soon'; needed: a local time such as Monday 10:00"),
        ({"slots": {"a": "2025-01-01 10:00"}}, "slots.a is 2025-01-01 10:00, before the data end"),
        ({"slots": {"a": "Mnday 10:00"}}, "slots.a is 'Mnday 10:00'; needed: a local time"),
        ({"quiet_hours": {"sms": [1260, "08:00"]}}, "quiet_hours.sms.0 is 1260; needed: a time in quotes"),
        ({"rules": {"x": {"action": "text"}}}, "rules.x has no when; needed: a text."),
        ({"rules": {"x": {"when": "n > 1", "action": "txt"}}}, "rules.x.action is 'txt', no action; did you mean"),
        ({"fallback": "nothing"}, "fallback is 'nothing', no action"),
        ({"caps": {"all": -1}}, "caps.all is -1; needed: a whole number of at least 0."),
        ({"holdout": 1}, "holdout is 1; needed: a share from 0 to below 1."),
        ({"actions": {"a": {}}, "rules": {"x": {"when": "n > 1", "action": "a"}}}, "actions.a has no channel"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_in_its_own_names(tmp_path, more, sentence):
    with pytest.raises(JourneybookError) as refused:
        written(tmp_path, **more)
    assert str(refused.value).startswith("rules r.yaml: ") and sentence in str(refused.value)


def test_a_file_that_is_not_there_or_no_yaml_is_refused(tmp_path):
    with pytest.raises(JourneybookError, match="there is no such file"):
        read_rules(str(tmp_path / "none.yaml"), dataset="files", as_of=AS_OF)
    (tmp_path / "r.yaml").write_text("rules: {", encoding="utf-8")
    with pytest.raises(JourneybookError, match=r"^rules r.yaml is no YAML: "):
        read_rules(str(tmp_path / "r.yaml"), dataset="files", as_of=AS_OF)


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("agee > 3", "rules.x.when is 'agee > 3', and 'agee' is not a column"),
        ("n > (select 1)", "holds a subquery"),
        ("n", "which gives BIGINT; needed: true or false."),
        ("random() > n", "which gives another value at each run"),
        ("sum(n) > 3", "an aggregate"),
        ("town > DATE '2020-01-01' + town", "cannot be computed"),
        ("true; DROP TABLE features", "cannot parse"),
    ],
)
def test_a_condition_is_one_true_or_false_of_one_row(tmp_path, people, when, sentence):
    with pytest.raises(JourneybookError) as refused:
        bind(written(tmp_path, rules={"x": {"when": when, "action": "text"}}), people)
    assert "r.yaml: rules.x.when" in str(refused.value) and sentence in str(refused.value)


# --- carried out ------------------------------------------------------------------------------------------


def test_everybody_has_one_decision_a_slot_with_its_reason(tmp_path, people):
    found = decided(people, written(tmp_path, fallback="hello"))
    table = found.table
    assert len(table) == 600 and not table.duplicated(["person_id", "slot"]).any()
    assert (table["reason"].str.len() > 0).all() and not table["reason"].str.contains("p0").any()
    old = table[(table["slot"] == "noon") & (table["rule"] == "old")]
    assert (old["channel"] == "email").all() and old["content"].str.startswith("Hello").all()
    assert "Hello" in set(old["content"]) and "Hello Ulm" in set(old["content"])
    spend = people.table.order_by("row").to_pandas().set_index("person_id")["spend"]
    assert np.allclose(old["expected_gain"], 0.05 * old["person_id"].map(spend) - 0.1)
    assert "old by email. Lost: near (comes later)." in set(old["reason"])


def test_consent_stands_before_every_rule_and_override(tmp_path, people):
    rules = {"all": {"when": "true", "action": "hello", "override": True}}
    may = {slot: {"email": np.arange(300) % 3 == 0, "sms": np.ones(300, bool)} for slot in ("noon", "night")}
    table = decided(people, written(tmp_path, rules=rules), permitted=may).table
    assert ((table["channel"] == "email") == (table.groupby("slot").cumcount() % 3 == 0)).all()
    assert "None: no rule may send anything. Lost: all (no consent)." in set(table["reason"])


def test_quiet_hours_holidays_and_eligibility_stop_a_rule(tmp_path, people):
    rules = {"near": {"when": "n >= 0", "action": "text"}}
    quiet = decided(people, written(tmp_path, rules=rules, quiet_hours={"sms": ["21:00", "08:00"]})).table
    assert (quiet.loc[quiet["slot"] == "night", "channel"] == "none").all()
    noon = quiet[quiet["slot"] == "noon"]
    n = people.table.order_by("row").to_pandas()["n"].to_numpy()
    assert ((noon["channel"] == "sms") == (n > 1)).all()
    closed = decided(people, written(tmp_path, rules=rules, holidays=["2026-01-02"])).table
    assert (closed["channel"] == "none").all() and closed["reason"].str.contains("holiday").any()


def test_caps_count_the_week_before_and_the_slots_before(tmp_path, people):
    rules = {"all": {"when": "true", "action": "hello"}}
    table = decided(people, written(tmp_path, rules=rules, caps={"email": 1})).table
    past = people.messages.to_pandas()
    recent = past[(past["channel"] == "email") & (past["occurred_at"] >= datetime(2025, 12, 26, 12))]
    noon = table[table["slot"] == "noon"]
    assert ((noon["channel"] == "none") == noon["person_id"].isin(recent["person_id"])).all()
    night = table[table["slot"] == "night"].set_index("person_id")["channel"]
    assert (night[noon.loc[noon["channel"] == "email", "person_id"]] == "none").all()
    lifted = {"all": rules["all"] | {"override": True}}
    assert (decided(people, written(tmp_path, rules=lifted, caps={"email": 1})).table["channel"] == "email").all()


def test_capacity_goes_by_rule_and_the_hold_out_is_the_same_for_every_version(tmp_path, people):
    found = decided(people, written(tmp_path, capacity={"email": 50}, fallback="hello", holdout=0.2))
    for slot, to in found.intended.items():
        first = found.table.loc[found.table["slot"] == slot, "rule"].to_numpy()[to == 0]
        assert (to == 0).sum() == 50 and (first == "old").all()
    held = found.table.loc[found.table["holdout"]]
    assert (held["channel"] == "none").all() and held["reason"].str.startswith("Held out by lot.").any()
    assert 30 <= held["person_id"].nunique() <= 90
    other = decided(
        people, written(tmp_path, version="2", rules={"x": {"when": "true", "action": "text"}}, holdout=0.2)
    )
    assert set(other.table.loc[other.table["holdout"], "person_id"]) == set(held["person_id"])


RICH = {
    "rules": {
        "vip": {"when": "vip and hour < 20", "action": "hello", "priority": 1, "override": True},
        "old": {"when": "age between 60 and 80 or (town is null and age < 30)", "action": "hello", "priority": 2},
        "near": {"when": "lower(town) in ('ulm', 'x') and not vip", "action": "text", "priority": 3},
        "whom": {"when": "coalesce(age, 0) * 2 > 50 and weekday = 'Friday'", "action": "best", "priority": 4},
    },
    "caps": {"email": 1, "sms": 2, "all": 2},
    "quiet_hours": {"sms": ["21:00", "08:00"]},
    "fallback": "hello",
    "holdout": 0.1,
}


def test_the_engine_decides_as_plain_python_does_row_by_row(tmp_path, people):
    rng = np.random.default_rng(8)
    may = {slot: {c: rng.random(300) < 0.7 for c in CHANNELS} for slot in ("noon", "night")}
    found = decided(people, written(tmp_path, **RICH), permitted=may)
    before = {who: [] for who in found.table["person_id"]}
    for row in people.messages.to_pandas().itertuples():
        before[row.person_id].append((row.channel, row.occurred_at.to_pydatetime()))
    rows = people.table.order_by("row").to_pandas().to_dict("records")
    winners, trees = set(), trees_of(found.rules)
    for slot, at in found.rules.slots.items():
        told = found.table[found.table["slot"] == slot].set_index("person_id")["rule"]
        for i, row in enumerate(rows):
            known = {k: None if v is None or v != v else v for k, v in row.items()}
            known |= {"slot": slot, "hour": at.hour, "weekday": f"{at:%A}", "holiday": False}
            allowed = {c: bool(may[slot][c][i]) for c in CHANNELS}
            won = first_free(found.rules, trees, known, at, may=allowed, before=before[row["person_id"]])
            assert won == told[row["person_id"]]
            winners.add(won)
            if (to := found.intended[slot][i]) < 2:
                before[row["person_id"]].append((CHANNELS[to], at))
    assert winners == {"vip", "old", "near", "whom", "fallback", ""}


@pytest.mark.parametrize("text", [
    "a > 2 and b", "a > 2 or b", "not b", "a in (1, 3, null)", "a not in (1, 3)", "a is null", "b is not null",
    "a between 1 and 3", "coalesce(a, 7) = 7", "a + 1 >= 2.5 and a <> 3", "t = 'x' or null",
    "upper(t) || 'y' = 'Xy'", "a * 1e1 / 4 < 5", "-a < 0", "abs(a - 2) <= 1",
])  # fmt: skip
def test_plain_python_and_the_engine_agree_on_nulls(text):
    with duckdb.connect() as engine:
        for a, b, t in product([None, 1, 3], [None, True, False], [None, "x"]):
            rows = engine.execute(f"SELECT ({text}) FROM (SELECT ?::DOUBLE a, ?::BOOL b, ?::VARCHAR t)", [a, b, t])
            ((due,),) = rows.fetchall()
            assert evaluate(parsed(text), {"a": a, "b": b, "t": t}) is due


def test_what_python_does_not_know_is_not_guessed():
    with pytest.raises(NotImplementedError, match="jaccard"):
        evaluate(parsed("jaccard(t, 'x') > 0"), {"t": "x"})


@pytest.mark.parametrize("text", ["a IS DISTINCT FROM 1", "round(a) = 2", "a::TEXT = '1'", "a IN (1, sqrt(a))"])
def test_what_plain_python_does_not_know_or_rounds_otherwise_is_not_taken_again_by_row(text):
    assert _unknown(parsed(text))


# --- looked through ---------------------------------------------------------------------------------------


def test_faults_are_found_with_an_example_of_ten(tmp_path, people):
    rules = {
        "none": {"when": "age > 80 and age < 20", "action": "text", "priority": 1},
        "most": {"when": "n >= 1", "action": "hello", "priority": 2},
        "hidden": {"when": "n >= 3", "action": "text", "priority": 3},
        "one": {"when": "n = 0 and age >= 30", "action": "hello"},
        "other": {"when": "n = 0 and age >= 50", "action": "best"},
        "poor": {"when": "n = 0 and age < 20", "action": "text", "priority": 4},
    }
    bound = bind(written(tmp_path, rules=rules), people)
    faults = review(bound, people, CHANNELS).set_index("fault")
    frame = people.table.to_pandas()
    assert faults.loc["holds for nobody", "rule"] == "none" and faults.loc["nobody is eligible", "rule"] == "poor"
    hidden = faults.loc[faults["rule"] == "hidden"].iloc[0]
    assert (hidden.name, hidden["other"], hidden["n_people"]) == ("never reached", "most", (frame["n"] >= 3).sum())
    overlap = faults.loc["overlap without priority"]
    assert (overlap["rule"], overlap["other"]) == ("one", "other")
    gap = faults.loc["no rule and no fallback"]
    assert gap["n_people"] == ((frame["n"] == 0) & ~((frame["age"] >= 30) | (frame["age"] < 20))).sum()
    assert hidden["example"].startswith("n about ") and not faults["example"].str.contains("p\\d").any()
    sound = bind(written(tmp_path, fallback="hello"), people)
    assert review(sound, people, CHANNELS).empty


def test_the_difference_of_two_versions_is_counted_and_priced(tmp_path, people):
    one = decided(people, written(tmp_path, rules={"all": {"when": "n > 2", "action": "hello"}}))
    two = decided(people, written(tmp_path, rules={"all": {"when": "n > 1", "action": "text"}}))
    table, frame = changes(one, two, gains_of(people)), people.table.order_by("row").to_pandas()
    noon = table[table["slot"] == "noon"].set_index(["before", "after"])
    new = frame[frame["n"] == 2]
    assert noon.loc[("nothing", "text by sms"), "n_people"] == len(new)
    assert noon.loc[("nothing", "text by sms"), "gain"] == pytest.approx((0.03 * new["spend"] - 0.2).sum())
    assert noon.loc[("hello by email", "text by sms"), "n_people"] == (frame["n"] > 2).sum()
    assert changes(one, one, gains_of(people)).empty


# --- whom it moves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [None, 2.0])
def test_an_assignment_is_the_best_of_all(budget):
    rng = np.random.default_rng(1)
    gain, paid = rng.normal(1, 1, (6, 2)), np.array([0.7, 0.4])
    chosen = assign(gain, np.arange(6), paid=paid, capacity={0: 2}, budget=budget)
    full = np.column_stack([gain, np.zeros(6)])
    best = max(
        sum(full[i, to] for i, to in enumerate(way))
        for way in product(range(3), repeat=6)
        if way.count(0) <= 2 and (budget is None or way.count(0) * 0.7 + way.count(1) * 0.4 <= budget)
    )
    assert full[np.arange(6), chosen].sum() == pytest.approx(best, rel=1e-4) and (chosen == 0).sum() <= 2
    assert (assign(-np.abs(gain), np.arange(6), paid=paid, capacity={}, budget=None) == 2).all()


def test_many_people_are_assigned_nearly_as_well_as_one_by_one():
    rng, n = np.random.default_rng(2), 12_000
    group = rng.integers(0, 3, n)
    effect = np.array([[0.05, 0.02], [0.03, 0.04], [0.02, 0.05]])
    gain = effect[group] * rng.gamma(2, 15, n)[:, None] - [0.1, 0.2]
    chosen = assign(gain, group, paid=np.array([0.1, 0.2]), capacity={0: 2000, 1: 1500}, budget=None)
    assert [(chosen == i).sum() for i in (0, 1)] == [2000, 1500]
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, vstack

    at, to = np.divmod(np.arange(2 * n), 2)
    one = csr_array((np.ones(2 * n), (at, np.arange(2 * n))))
    rooms = csr_array((np.ones(2 * n), (to, np.arange(2 * n))))
    bound = -linprog(-gain.ravel(), A_ub=vstack([one, rooms]), b_ub=np.r_[np.ones(n), 2000, 1500]).fun
    got = np.column_stack([gain, np.zeros(n)])[np.arange(n), chosen].sum()
    assert 0.99 * bound < got <= bound * (1 + 1e-9)


def test_best_fills_what_rules_before_it_leave(tmp_path, people):
    rules = {"old": FILE["rules"]["old"], "whom": {"when": "true", "action": "best", "priority": 2}}
    found = decided(people, written(tmp_path, rules=rules, capacity={"email": 130, "sms": 30}, budget=20.0))
    for slot, to in found.intended.items():
        n_email, n_sms = ((to == i).sum() for i in (0, 1))
        assert n_email <= 130 and n_sms <= 30 and n_email * 0.1 + n_sms * 0.2 <= 20 + 1e-9
        whom = found.table[(found.table["slot"] == slot) & (found.table["rule"] == "whom")]
        assert (whom["expected_gain"] >= 0).all() and {"email", "sms", "none"} == set(whom["channel"])
    dear = decided(people, written(tmp_path, rules=rules), effect=(np.nan, np.nan)).table
    assert (dear.loc[dear["rule"] == "whom", "channel"] == "none").all()
    assert dear.loc[dear["channel"] == "email", "expected_gain"].isna().all()


# --- checks, words and figure -----------------------------------------------------------------------------


def test_a_past_contact_sees_what_was_known_before_it():
    connection = ibis.duckdb.connect()
    days = pd.to_datetime(["2025-01-01", "2025-02-01"])
    connection.con.register(
        "f", pd.DataFrame({"row": [1, 2], "person_id": "a", "as_of": days, "x": [1.0, np.nan]})
    )
    connection.raw_sql("CREATE TABLE features AS SELECT * FROM f")
    sent = pd.DataFrame({"row": [1, 2, 3], "person_id": ["a", "a", "b"], "channel": "email"})
    sent["occurred_at"] = pd.to_datetime(["2025-02-01", "2025-02-02", "2025-02-02"])
    connection.con.register("s", sent)
    connection.raw_sql("CREATE TABLE contacts AS SELECT * FROM s")
    found = people_then(sent, connection.table("contacts"), connection.table("features"), None)
    assert found.columns == ("x",) and found.table.order_by("row").to_pandas()["x"].fillna(-1).tolist() == [
        1,
        -1,
        -1,
    ]
    assert people_then(sent.drop(columns="occurred_at"), connection.table("contacts"), None, None) is None


def test_what_is_said_and_drawn_counts_what_is_decided(tmp_path, people):
    found = decided(people, written(tmp_path, **RICH))
    carried = Carried("", review(found.rules, people, CHANNELS), people, gains_of(people), found, None,
                      changes(found, found, gains_of(people)))  # fmt: skip
    assert "5 rules, tried in this order: vip, old, near, whom, fallback." in say_rules(carried)
    noon = found.table[(found.table["slot"] == "noon") & (found.table["channel"] != "none")]
    assert f"noon: {len(noon)} of 300 people are sent a message" in say_decided(carried)
    assert say_changed(carried).startswith("Beside the version before, 0 decisions are others")
    figure = plot_decided(carried)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()][-1] == "no rule"
    assert sum(bar.get_width() for bar in figure.axes[0].patches) == 300
    plt.close(figure)
    assert say_decided(Carried("No rules.")) == "" and plot_decided(Carried("No rules.")) is None
