"""Page 07: purging, people on one side only, draws."""

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


def test_no_training_window_reaches_into_the_test(frame):
    contacts = framed(frame)
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    times = contacts.rows["occurred_at"]
    cut = times.iloc[split.test].min()
    assert split.how == "time"
    assert split.cut_at == cut
    assert (times.iloc[split.training] + pd.Timedelta(days=7)).max() <= cut
    assert times.iloc[split.fit].max() <= times.iloc[split.calibrate].min()
    purged = times.iloc[split.purged]
    assert len(purged)
    assert ((purged < cut) & (purged + pd.Timedelta(days=7) > cut)).all()
    every = np.sort(np.concatenate([split.fit, split.calibrate, split.test, split.purged]))
    assert (every == np.arange(len(contacts.rows))).all()
    assert len(split.test) / len(every) == pytest.approx(0.3, abs=0.001)
    seen = set(contacts.rows["person"].iloc[split.training])
    assert (~contacts.rows["person"].iloc[split.test].isin(seen)).tolist() == split.new.tolist()


def test_calibration_begins_earlier_where_its_share_holds_too_few_responses(frame):
    rare = frame.copy()
    late = rare["occurred_at"].rank(pct=True).between(0.4, 0.7)
    rare.loc[late & rare["responded"], "responded"] = False
    split = cr.split_contacts(framed(rare), **SHARES, rng=stream(1, "split"))
    responded = framed(rare).rows["responded"].to_numpy(dtype=bool)
    times = framed(rare).rows["occurred_at"]
    assert responded[split.calibrate].sum() == 10
    assert len(split.calibrate) > SHARES["calibration_share"] * len(split.training)
    assert times.iloc[split.fit].max() < times.iloc[split.calibrate].min()


def test_without_times_nobody_is_on_both_sides(frame):
    contacts = framed(frame.drop(columns=["occurred_at", "probability"]))
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    person = contacts.rows["person"]
    parts = [set(person.iloc[part]) for part in (split.fit, split.calibrate, split.test)]
    assert split.how == "person"
    assert len(set.union(*parts)) == sum(len(part) for part in parts)
    assert split.new.all()
    assert len(split.test) / len(person) == pytest.approx(0.3, abs=0.02)


def test_without_ids_a_stratified_draw_with_a_warning(frame):
    contacts = framed(frame.drop(columns=["occurred_at", "person_id", "probability"]))
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    responded = contacts.rows["responded"].to_numpy()
    assert split.how == "draw"
    assert split.warning in cr.words.say_split(contacts, split)
    assert [responded[part].mean() for part in (split.fit, split.calibrate, split.test)] == pytest.approx(
        [responded.mean()] * 3, abs=0.002
    )


def test_responses_still_to_come_are_left_out(frame):
    last = frame["occurred_at"] > frame["occurred_at"].max() - pd.Timedelta(days=7)
    assert cr.split_contacts(framed(frame), **SHARES, rng=stream(1, "split")).warning == ""
    rng = np.random.default_rng(1)
    young = pd.concat([frame] * 4, ignore_index=True).assign(row=range(1, 4 * len(frame) + 1))
    last = young["occurred_at"] > young["occurred_at"].max() - pd.Timedelta(days=7)
    young["responded"] &= ~last | (rng.random(len(young)) < 0.4)
    split = cr.split_contacts(framed(young), **SHARES, rng=stream(1, "split"))
    assert "responses seem still to come" in split.warning
    assert not last.iloc[np.concatenate([split.training, split.test])].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_share": 1.0}, "test_share must lie between 0 and 1"),
        ({"response_window_days": -1}, "response_window_days must be at least 0"),
        ({"response_window_days": 1000}, "no contact is left to learn from"),
        ({"test_share": 0.002}, "the test part of the contacts holds"),
    ],
)
def test_splits_that_cannot_be_made(frame, change, message):
    with pytest.raises(ValueError, match=message):
        cr.split_contacts(framed(frame), **(SHARES | change), rng=stream(1, "split"))
