"""Page 07: contacts with features as of sending."""

import pandas as pd
import pytest
from channel_response_toys import framed, simulated

from journeybook import channel_response as cr


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
    assert contacts.rows.set_index("row").loc[6, "snapshot_channel"] == "z"


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
