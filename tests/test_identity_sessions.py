"""Identity: sessions joined to people by sign-in, on the device or during the visit."""

import ibis
import pandas as pd
import pytest

from journeybook import identity

SCHEMA = dict.fromkeys(["session_id", "customer_id", "device_id"], "string")
SCHEMA |= {"occurred_at": "timestamp", "channel": "string", "device": "string"}
PEOPLE = pd.DataFrame({"customer_id": ["a", "b", "b2"], "person_id": ["A", "B", "B"]})


def visits(*rows: tuple) -> ibis.Table:
    """Events as session, customer, device id, day of March 2017."""
    frame = pd.DataFrame(rows, columns=["session_id", "customer_id", "device_id", "day"])
    at = pd.Timestamp("2017-03-01") + pd.to_timedelta(frame.day, unit="D")
    frame = frame.drop(columns="day").assign(occurred_at=at, channel="direct", device="app")
    return ibis.memtable(frame, schema=SCHEMA)


def joined(*rows: tuple, days: float = 7) -> dict:
    found = identity.join_sessions(visits(*rows), PEOPLE, window_days=days).sessions.to_pandas()
    found = found.astype(object).where(found.notna(), None)
    return {s: (person, via) for s, person, via in found[["session_id", "person_id", "via"]].to_numpy()}


def test_a_sign_in_names_the_whole_visit():
    rows = ("s1", None, "d", 0), ("s1", "a", "d", 0), ("s2", "a", "e", 0), ("s2", "b", "e", 0)
    assert joined(*rows) == {"s1": ("A", "signed in"), "s2": (None, "several people")}
    # Two accounts of one person are one person.
    assert joined(("s3", "b", "d", 0), ("s3", "b2", "d", 0)) == {"s3": ("B", "signed in")}


@pytest.mark.parametrize(
    ("day", "days", "person"), [(3, 7, "A"), (-3, 7, "A"), (8, 7, None), (8, 9, "A"), (7, 7, "A")]
)
def test_a_device_names_the_visits_within_the_window_alone(day, days, person):
    found = joined(("known", "a", "d", 0), ("unknown", None, "d", day), ("elsewhere", None, "e", 0), days=days)
    assert found["unknown"] == (person, "same device" if person else "anonymous")
    assert found["elsewhere"] == (None, "anonymous")


def test_a_shared_device_names_nobody():
    found = joined(
        ("one", "a", "d", 0), ("other", "b", "d", 5), ("between", None, "d", 2), ("later", None, "d", 11)
    )
    assert found["between"] == (None, "several people")
    # A week after the last sign-in of a, the device is that of b.
    assert found["later"] == ("B", "same device")


def test_without_devices_only_sign_ins_join_and_all_sessions_are_counted():
    events = visits(("s1", "a", None, 0), ("s2", None, None, 0), ("s3", "unheard of", None, 0)).drop("device_id")
    found = identity.join_sessions(events, PEOPLE, window_days=7)
    assert found.counts.to_numpy().tolist() == [
        ["direct", "app", "anonymous", 2],
        ["direct", "app", "signed in", 1],
    ]
    said = identity.say_sessions(found, window_days=7)
    assert said.endswith("0 more were joined by a sign-in on their device within 7 days, and 2 stay anonymous.")
    with pytest.raises(ValueError, match="above 0"):
        identity.join_sessions(events, PEOPLE, window_days=0)
