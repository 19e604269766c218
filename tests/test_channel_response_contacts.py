"""Page 07: contacts with features as of sending."""

import numpy as np
import pandas as pd
import pytest
from channel_response_toys import SHARES, framed, simulated

from journeybook import channel_response as cr
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated contacts."""
    return simulated()


@pytest.fixture
def few() -> pd.DataFrame:
    """Six contacts of two people and a guest."""
    return pd.DataFrame(
        {
            "row": [1, 2, 3, 4, 5, 6],
            "person_id": ["b", "a", "a", None, "a", "b"],
            "occurred_at": [
                *(
                    pd.Timestamp("2025-02-01"),
                    pd.Timestamp("2025-02-10"),
                    pd.Timestamp("2025-03-01"),
                    pd.Timestamp("2025-03-02"),
                ),
                *(pd.Timestamp("2025-03-01 00:00:01"), pd.Timestamp("2025-04-15")),
            ],
            "channel": ["email", "email", "none", "email", "sms", "email"],
            "responded": [True, False, True, False, None, True],
        }
    )


SNAPSHOTS = pd.DataFrame(
    {
        "row": [1, 2, 3],
        "person_id": ["a", "a", "b"],
        "as_of": [pd.Timestamp("2025-02-01"), pd.Timestamp("2025-03-01"), pd.Timestamp("2025-03-01")],
        "n_baskets": [2.0, 5.0, 9.0],
        "channel": ["x", "y", "z"],
    }
)


def test_the_latest_snapshot_strictly_before_sending(few):
    contacts = framed(few.assign(responded=[1, 0, 1, 0, 1, 1]), SNAPSHOTS)
    found = contacts.rows.set_index("row")["n_baskets"]
    # b's first contact precedes any snapshot; a's contact 3 is sent at the moment of one, which does not count.
    assert found.loc[[2, 3, 5, 6]].tolist() == [2, 2, 5, 9]
    assert found.loc[[1, 4]].isna().all()
    assert contacts.n_with_snapshot == 4
    assert "snapshot_channel" in contacts.features
    assert contacts.rows["snapshot_channel"].isin(["rare level"]).all(), "nobody's own level is kept"


def test_contacts_in_the_28_days_before(few):
    found = framed(few.assign(responded=[1, 0, 1, 0, 1, 1])).rows.set_index("row")["n_contacts_28d"]
    # 3 comes 19 days after 2; 5 comes a second after 3, which sent nothing; 6 comes too late; 4 is a guest.
    assert found.tolist() == [0, 0, 1, 0, 1, 0]


def test_what_cannot_be_judged_is_left_out_and_counted(few):
    contacts = framed(few.assign(cut_off=[False, True, False, False, False, None]))
    assert contacts.rows["row"].tolist() == [1, 3, 4, 6]
    assert (contacts.n_read, contacts.n_cut_off, contacts.n_unknown) == (6, 1, 1)
    assert "cut_off" not in contacts.features
    assert "left out" in cr.words.say_contacts(contacts).lower()


def test_a_sample_holds_whole_people_and_nobody_moves_when_one_leaves(frame):
    n_sample = len(frame) // 3
    found = framed(frame, max_rows=n_sample)
    drawn = set(found.rows.person_id)
    assert len(found.rows) == pytest.approx(n_sample, rel=0.35)
    assert found.n_sampled_out == len(frame) - len(found.rows)
    assert set(found.rows["row"]) == set(frame[frame.person_id.isin(drawn)]["row"])
    left = min(drawn)
    without = framed(frame[frame.person_id != left], max_rows=n_sample)
    assert set(without.rows.person_id) == drawn - {left}


def test_people_are_numbered_as_they_appear(few):
    assert framed(few.assign(responded=True)).rows["person"].tolist() == [0, 1, 1, 2, 1, 0]


def test_a_table_of_the_least_kind():
    frame = pd.DataFrame({"row": [1, 2, 3], "responded": [True, False, False], "emp.var.rate": [1, 2, 2]})
    contacts = framed(frame)
    assert contacts.features == ("emp.var.rate",)
    assert (contacts.has_times, contacts.has_people, contacts.channels) == (False, False, ("all",))
    assert contacts.n_identical == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "responded"}, "no column 'responded'"),
        ({"responded": 2.5}, "must be 0 or 1"),
        ({"responded": None}, "no row whose outcome is known"),
    ],
)
def test_contacts_that_cannot_be_used(few, change, message):
    bad = few.drop(columns=change["drop"]) if "drop" in change else few.assign(responded=change["responded"])
    if "drop" not in change:
        bad["responded"] = bad["responded"].astype("float64")
    with pytest.raises(ValueError, match=message):
        framed(bad)


def test_cut_off_may_be_numbers(few):
    contacts = framed(few.assign(cut_off=[0, 1, 0, 0, 0, 0]))
    assert contacts.n_cut_off == 1 and 2 not in contacts.rows["row"].tolist()


def test_marks_of_missing_among_numbers_and_dates_without_a_time_of_sending():
    n = 60
    table = pd.DataFrame(
        {"row": range(1, n + 1), "responded": [True, False] * 30, "age": ["31", "?", "45.5"] * 20}
    )
    table = table.assign(
        since=pd.date_range("2024-01-01", periods=n), plan=["a", "b", "?"] * 20, rare=[f"{i}x" for i in range(n)]
    )
    contacts = framed(table)
    assert contacts.rows["age"].iloc[0] == 31 and contacts.rows["age"].isna().sum() == 20
    assert set(contacts.rows["plan"]) == {"a", "b", "?"} and set(contacts.rows["rare"]) == {"rare level"}
    assert contacts.undated == ("since",) and "since" not in contacts.features
    assert "without a time of sending: since" in cr.words.say_contacts(contacts)


def test_copies_of_rows_share_a_person_and_chance_twins_do_not():
    rng = np.random.default_rng(3)
    once = pd.DataFrame({"spend": rng.gamma(2, 30, 500), "responded": rng.random(500) < 0.15})
    twice = pd.concat([once, once], ignore_index=True).assign(row=range(1, 1001))
    contacts = framed(twice)
    assert (contacts.rows["person"].iloc[:500].to_numpy() == contacts.rows["person"].iloc[500:].to_numpy()).all()
    assert "copies stay on one side" in cr.words.say_contacts(contacts)
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    sides = [set(contacts.rows["spend"].iloc[part]) for part in (split.fit, split.calibrate, split.test)]
    assert not sides[0] & sides[2] and not sides[1] & sides[2]
    few_values = once.assign(spend=rng.integers(5, size=500), row=range(1, 501))
    assert framed(few_values).rows["person"].nunique() == 500
