"""Page 14: contacts and groups as it reads them, its sentences, its figures."""

import json

import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from journeybook.decisions.choices import known_contacts
from journeybook.decisions.findings import unlike_groups
from journeybook.decisions.groups import compare_groups, person_groups
from journeybook.decisions.policy import MODEL, TODAY, advantage, decide
from journeybook.decisions.uplift import uplift_study
from journeybook.decisions.witnesses import groups_hold
from journeybook.decisions.words import say_contacts, say_fairness, title_uplift
from journeybook.plots.decisions import plot_fairness, plot_policies, plot_uplift
from journeybook.sends import permitted_channels
from journeybook.statistics import cluster_weights, stream
from journeybook.statistics.fairness import fairness
from journeybook.tables import owners_view, permitted_at, permitted_people, store

RULES = {"permitted": None, "value_per_response": 10.0, "max_messages_28d": 3}


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    """Contacts of known probability, half of them sent an e-mail by chance."""
    rng = np.random.default_rng(31)
    n = 6000
    habit, channel = rng.normal(size=n), rng.choice(["email", "none"], n)
    rate = {name: expit(-1.8 + 0.8 * habit + 0.6 * (name == "email") * (habit < 0)) for name in ("email", "none")}
    own = np.where(channel == "email", rate["email"], rate["none"])
    asked = pd.DataFrame({"row": np.arange(1, n + 1), "channel": channel, "propensity": 0.5})
    asked = asked.assign(responded=rng.random(n) < own, habit=np.where(habit > 0, "high", "low"), part="raw")
    part = rng.choice(["fit", "calibrate", "test"], n, p=[0.2, 0.3, 0.5])
    told = pd.DataFrame({"row": asked["row"], "person_id": [f"p{i % 2000}" for i in range(n)], "part": part})
    told = told.assign(known_at=pd.NaT, n_contacts_28d=np.nan, probability=own, probability_one_more=np.nan)
    told = told.assign(channel=channel, **{f"probability_{name}": rate[name] for name in rate})
    return known_contacts(ibis.memtable(asked), ibis.memtable(told.astype({"known_at": "datetime64[us]"})))


@pytest.fixture
def fair():
    rng = np.random.default_rng(3)
    group = np.repeat(["old", "young", "few"], [300, 300, 5])
    p = np.clip(rng.beta(2, 8, size=605) + 0.2 * (group == "young"), 0, 1)
    responded = (rng.random(605) < p).astype(int)
    return fairness(p, responded, group, np.arange(605), selected_share=0.3, min_group_size=50)


def test_what_page_07_wrote_stands_before_the_contacts_own_columns(judged):
    assert judged["part"].isin(["fit", "calibrate", "test"]).all()
    assert judged["person"].tolist()[:3] == [0, 1, 2] and judged["person"].nunique() == 2000
    assert set(judged["responded"]) == {0, 1}
    guests = pd.DataFrame({"row": [1, 2, 3], "responded": [True, False, True]})
    told = ibis.memtable(pd.DataFrame({"row": [1, 2, 3], "person_id": ["a", None, None], "part": "test"}))
    assert known_contacts(ibis.memtable(guests), told)["person"].tolist() == [0, 1, 2]
    other = ibis.memtable(guests.assign(channel="sms"))
    sent = ibis.memtable(pd.DataFrame({"row": [1, 2, 3], "person_id": "a", "part": "test", "channel": "email"}))
    for wrong in (other, ibis.memtable(guests.head(2))):
        with pytest.raises(ValueError, match="are of other contacts"):
            known_contacts(wrong, sent)
    assert say_contacts(judged).startswith("6,000 contacts: training ")


def test_groups_come_from_contacts_profiles_or_features(judged):
    people = judged["person_id"].unique()
    decade = np.where(np.arange(len(people)) % 2, 1960.0, np.nan)
    profiles = ibis.memtable(pd.DataFrame({"person_id": people, "birth_decade": decade}))
    found = person_groups(judged, profiles, None, column=None)
    assert (found == np.where(judged["person"] % 2, "1960s", "unknown")).all()
    assert person_groups(judged, None, None, column=None) is None
    assert set(person_groups(judged, None, None, column="habit")) == {"high", "low"}
    days = pd.to_datetime(["2025-01-01", "2025-01-03"])
    snapshots = ibis.memtable(pd.DataFrame({"person_id": ["p0", "p0"], "as_of": days, "kind": ["one", "two"]}))
    timed = judged.head(3).assign(person_id="p0", occurred_at=pd.date_range("2025-01-01", periods=3, freq="2D"))
    timed["known_at"] = timed["occurred_at"]
    # A snapshot stamped at the moment of sending is not known by then.
    assert person_groups(timed, None, snapshots, column="kind").tolist() == ["unknown", "one", "two"]
    with pytest.raises(ValueError, match="fairness_by names 'gender', no column"):
        person_groups(judged, profiles, None, column="gender")


def test_groups_are_compared_on_the_messages_of_the_test_set(judged):
    fair = compare_groups(judged, judged["habit"].to_numpy(), selected_share=0.3, min_group_size=20)
    assert fair.n_rows == ((judged["part"] == "test") & (judged["channel"] == "email")).sum()
    hold = groups_hold(fair, judged, judged["habit"].to_numpy(), [], column="habit")
    assert len(hold) == 3 and (hold["value"].abs() <= hold["tolerance"]).all()
    turned = judged.assign(probability=1 - judged["probability"])
    wrong = compare_groups(turned, judged["habit"].to_numpy(), selected_share=0.3, min_group_size=20)
    off = groups_hold(wrong, judged, judged["habit"].to_numpy(), [], column="habit")["value"]
    assert off.tolist()[:2] == [0, 2] and off.iloc[2] > 0.1
    nobody = compare_groups(judged, None, selected_share=0.3, min_group_size=20)
    assert nobody.groups.empty and groups_hold(nobody, judged, None, [], column=None).empty
    assert plot_fairness(nobody) is None and "`fairness_by`" in say_fairness(nobody)


def test_fairness_says_who_and_at_what_price(fair):
    rows = fair.groups[fair.groups["rule"] == "one threshold"].set_index("group")["true_positive_rate"]
    (found,) = unlike_groups(fair)
    assert f"finds {rows['young']:.1%} of the responders of group young, but {rows['old']:.1%} of" in found.text
    said = say_fairness(fair)
    assert "Chosen alike: p < 0.001" in said and "1 smaller groups (5 contacts) are not shown" in said
    price = fair.costs.set_index("rule").loc["equal true positives", "expected_lost_share"]
    assert f"equal true positives {price:.1%}" in said


def test_figures_draw_what_is_found(judged):
    deciding = decide(judged, costs=None, **RULES)
    ax = plot_policies(deciding)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["today's sending", "everyone by email", "expected profit"]
    first = deciding.policy[
        (deciding.policy["prices"] == "0% of a response") & (deciding.policy["estimator"] == "dr")
    ]
    drawn = ax.containers[0].lines[0].get_xdata()
    assert drawn[-1] == first.set_index("policy").loc["expected profit", "gain_per_1000"]
    beyond = advantage(deciding, MODEL, TODAY, true=None)[0]
    assert drawn[-1] - drawn[0] == pytest.approx(beyond)
    weights = cluster_weights(judged.loc[judged["part"] == "test", "person"], n_draws=40, rng=stream(1, "b"))
    moved = uplift_study(deciding, weights)
    ax = plot_uplift(moved)
    assert title_uplift(moved).startswith("Choosing by effect adds")
    assert ax.lines[0].get_ydata()[-1] == moved.curve["added_per_1000"].iloc[20]
    plt.close("all")


def test_what_is_refused_is_marked(judged):
    few = judged.drop(judged.index[(judged["part"] == "test").cumsum() > 300])
    ax = plot_policies(decide(few, costs={"email": 0.1}, **RULES))
    assert "refused" in [text.get_text() for text in ax.texts]
    plt.close("all")


def test_plots_of_fairness(fair):
    chosen, found, calibrated = plot_fairness(fair).axes
    assert [len(ax.containers) for ax in (chosen, found, calibrated)] == [3, 3, 1]
    assert [tick.get_text() for tick in chosen.get_yticklabels()] == ["old", "young"]
    plt.close("all")


def test_where_nothing_is_told_nothing_is_drawn(judged):
    undecided = decide(judged.assign(channel="email"), costs=None, **RULES)
    assert plot_policies(undecided) is None
    assert plot_uplift(uplift_study(undecided, np.ones((2, 1)))) is None


def test_permission_at_a_moment_is_what_the_ledger_says_as_of_it(tmp_path):
    rng = np.random.default_rng(14)
    n = 400
    customers = np.array([f"c{i}" for i in range(30)])
    at = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 100, n), "D")
    ledger = pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "customer_id": rng.choice(customers, n),
            "purpose": rng.choice(["marketing_email", "marketing_sms"], n),
            "granted": rng.random(n) < 0.7,
            "occurred_at": at,
            "recorded_at": at + pd.to_timedelta(rng.integers(0, 5, n), "D"),
            "expires_at": (at + pd.Timedelta(days=30)).where(rng.random(n) < 0.3),
        }
    )
    people = pd.DataFrame({"customer_id": customers, "person_id": [f"p{i // 2}" for i in range(30)], "row": 1})
    links = pd.DataFrame({"customer_id": ["c0", "c5"], "person_id": ["p9", "p12"], "row": [1, 2]})
    connection = ibis.duckdb.connect()
    for name, frame in {"consents": ledger, "people": people, "refusal_links": links}.items():
        store(connection, ibis.memtable(frame), tmp_path / f"{name}.parquet", about={"provenance": "SIMULATED"})
    described = {
        "dataset": "journey_demo",
        "seed": 1,
        "scale": 1.0,
        "timezone": "UTC",
        "as_of": "2025-05-01T00:00:00",
    }
    described |= {"ledger_as_of": "2025-05-01T00:00:00", "tables": {"consents": {}}}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    run = owners_view(tmp_path)
    everyone = sorted(set(people["person_id"]))
    moments = pd.date_range("2025-01-03", "2025-04-20", freq="13D")
    asked = pd.DataFrame([(p, m) for m in moments for p in everyone], columns=["person_id", "occurred_at"])
    found = permitted_at(run, asked, purpose="marketing_email")
    permitted = {
        m: set(permitted_people(run, purpose="marketing_email", as_of=m.to_pydatetime()).to_pandas()["person_id"])
        for m in moments
    }
    wanted = [p in permitted[m] for p, m in asked.itertuples(index=False)]
    assert found.tolist() == wanted
    assert 20 < found.sum() < len(found) - 20
    assert not permitted_at(run, asked.assign(person_id=None), purpose="marketing_email").any()

    table = asked.assign(row=np.arange(1, len(asked) + 1), responded=False)
    table["channel"] = ["email", "pigeon", "none"] * (len(asked) // 3)
    channels = permitted_channels(run, table)
    assert channels["email"].tolist() == wanted
    assert not channels["pigeon"].any(), "a channel without a purpose is permitted by nobody"
    assert set(channels) == {"email", "pigeon"}
