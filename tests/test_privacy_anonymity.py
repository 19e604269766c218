"""Coarsened tables: k and l by hand and as published, least loss by trying everything, and what linking finds."""

from itertools import product

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook import privacy
from journeybook.errors import JourneybookError
from journeybook.privacy.anonymity import check_anonymity, coarsen
from journeybook.privacy.releases import Grouping
from journeybook.statistics import proportion_interval, stream

# Machanavajjhala, Kifer, Gehrke & Venkitasubramaniam 2007, figure 1: inpatient microdata.
PATIENTS = pd.DataFrame(
    {
        "zip": [
            f"{n}" for n in [13053, 13068, 13068, 13053, 14853, 14853, 14850, 14850, 13053, 13053, 13068, 13068]
        ],
        "age": [28, 29, 21, 23, 50, 55, 47, 49, 31, 37, 36, 35],
        "nation": [*"RAJAIRAAAIJA"],
        "group": ["heart"] * 2 + ["viral"] * 2 + ["cancer", "heart"] + ["viral"] * 2 + ["cancer"] * 4,
    }
)
STEPS = {"zip": [5, 4, 3, 0], "age": [1, 10, 20, 0], "nation": [20, 0]}


def anonymise(known, *, k=4, l_diversity=1, max_suppressed=0.0, steps=STEPS):
    return privacy.anonymise(known, steps=steps, k=k, l_diversity=l_diversity, max_suppressed=max_suppressed)


def test_the_published_tables_have_the_published_k_and_l():
    """Figure 2 is 4-anonymous and gives away who has cancer; figure 3 is 3-diverse."""
    figure_2 = PATIENTS.assign(
        zip=["130**"] * 4 + ["1485*"] * 4 + ["130**"] * 4, age=["<30"] * 4 + [">=40"] * 4 + ["3*"] * 4
    )
    figure_3 = PATIENTS.assign(
        zip=[z[:4] for z in PATIENTS.zip], age=PATIENTS.age.gt(40).map({True: ">40", False: "<=40"})
    )
    as_it_is = {"zip": [9], "age": [9]}
    for table, n_groups in ((figure_2, 1), (figure_3, 3)):
        found = anonymise(table, steps=as_it_is)
        assert (found.k, found.n_groups, found.suppressed_share) == (4, n_groups, 0)


def test_the_least_coarse_table_is_the_published_one():
    found = anonymise(PATIENTS, l_diversity=3)
    assert found.columns.step.tolist() == [4, 20, 0]
    assert found.columns.n_values.tolist() == [4, 12, 4] and found.columns.n_values_left.tolist() == [3, 2, 1]
    assert (found.k, found.n_groups) == (4, 3) and found.rows.kept.all()
    assert found.columns.coarsened.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.rows.zip.tolist()[:2] == ["1305**", "1306**"] and found.rows.age[4] == "40 to 59"


def test_k_and_l_by_hand_with_people_left_out():
    known = pd.DataFrame({"shop": [*"aaabbc"], "group": [*"xyxxxy"]})
    asked = {"steps": {"shop": [1, 0]}, "k": 2}
    found = anonymise(known, **asked, l_diversity=1, max_suppressed=0.2)
    assert found.rows.kept.tolist() == [True] * 5 + [False] and found.rows["shop"].tolist() == [*"aaabbc"]
    assert (found.k, found.n_groups, found.suppressed_share) == (2, 1, pytest.approx(1 / 6))
    found = anonymise(known, **asked, l_diversity=2, max_suppressed=0.5)
    assert found.rows.kept.tolist() == [True] * 3 + [False] * 3 and (found.k, found.n_groups) == (3, 2)
    # Not enough may be left out: the column goes.
    found = anonymise(known, **asked, l_diversity=2, max_suppressed=0.4)
    assert found.rows["shop"].unique().tolist() == ["*"] and (found.k, found.n_groups) == (6, 2)
    # Nothing hides seven among six.
    found = anonymise(known, steps=asked["steps"], k=7, max_suppressed=0.4)
    assert not found.rows.kept.any() and (found.k, found.n_groups, found.suppressed_share) == (0, 0, 1)


def people(seed: int, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    codes = rng.choice(["02139", "02142", "10001", "10029", "60601", None], n, p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05])
    return pd.DataFrame(
        {
            "person_id": [f"p{i}" for i in range(n)],
            "postcode": codes,
            "birth_decade": pd.array(rng.choice([1950, 1960, 1970, 1980, None], n), dtype="Int64"),
            "weeks_since_visit": rng.integers(0, 30, n),
            "group": rng.choice(["low", "high"], n, p=[0.8, 0.2]),
        }
    )


PEOPLE_STEPS = {"postcode": [5, 3, 1, 0], "birth_decade": [10, 20, 0], "weeks_since_visit": [1, 4, 13, 0]}


# pycanon 1.3.6, `k_anonymity` and `l_diversity` of the kept rows, by seed and k.
# It needs pandas 2, and was asked in an environment of its own.
PYCANON = {
    (0, 2): (2, 1), (0, 5): (6, 2), (0, 11): (25, 2),
    (1, 2): (2, 1), (1, 5): (5, 2), (1, 11): (12, 2),
    (2, 2): (2, 1), (2, 5): (6, 2), (2, 11): (22, 2),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("k", "l_diversity", "most"), [(2, 1, 0.1), (5, 2, 0.05), (11, 2, 0.0)])
def test_no_combination_of_steps_loses_less(seed, k, l_diversity, most):
    """Every combination is tried again by pandas' own grouping."""
    known = people(seed)
    found = anonymise(known, steps=PEOPLE_STEPS, k=k, l_diversity=l_diversity, max_suppressed=most)
    tried = []
    for at in product(*(range(len(listed)) for listed in PEOPLE_STEPS.values())):
        text = {
            c: coarsen(known[c], step=listed[i]) for (c, listed), i in zip(PEOPLE_STEPS.items(), at, strict=True)
        }
        of_class = pd.DataFrame(text).assign(group=known.group).groupby([*text]).group
        hidden = (of_class.transform("size") >= k) & (of_class.transform("nunique") >= l_diversity)
        height = np.mean([i / (len(s) - 1) for i, s in zip(at, PEOPLE_STEPS.values(), strict=True)])
        if 1 - hidden.mean() <= most:
            tried.append((round(height, 9), round(1 - hidden.mean(), 9)))
    assert (round(found.columns.coarsened.mean(), 9), round(found.suppressed_share, 9)) == min(tried)
    kept = found.rows[found.rows.kept]
    of_class = kept.groupby([*PEOPLE_STEPS]).group
    assert (of_class.size().min(), of_class.nunique().min()) == (found.k, found.n_groups)
    assert found.k >= k and found.n_groups >= l_diversity
    assert (found.k, found.n_groups) == PYCANON[seed, k]


def test_values_are_coarsened_as_said_and_a_missing_one_is_a_value():
    assert coarsen(pd.Series([1950, 1990, None], dtype="Int64"), step=40).tolist() == [
        "1920 to 1959",
        "1960 to 1999",
        "(missing)",
    ]
    assert coarsen(pd.Series(["02139", "021"]), step=3).tolist() == ["021**", "021"]
    assert coarsen(pd.Series([7, 8]), step=1).tolist() == ["7", "8"] and set(coarsen(pd.Series([7]), step=0)) == {
        "*"
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"k": 1}, "k is 1"),
        ({"l_diversity": 0}, "l_diversity is 0"),
        ({"max_suppressed": 1.0}, "max_suppressed 1.0"),
        ({"steps": {"zip": [0, 3]}}, "0 the last"),
        ({"steps": {"zip": []}}, "needed are steps"),
        ({"steps": {"height": [1, 0]}}, "people have no such column"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(changes, said):
    with pytest.raises(ValueError, match=said):
        anonymise(PATIENTS, **changes)
    check_anonymity(STEPS, k=2, l_diversity=1, max_suppressed=0.0)


def test_what_is_known_of_people():
    at = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-02-01", "2024-02-01"])
    features = pd.DataFrame({"person_id": [*"aabc"], "as_of": at, "recency_days": [9.0, 13.9, 14.0, 3.0]})
    receipts = pd.DataFrame({"person_id": [*"aaabb", None], "store_id": [*"211", "9", "10", "2"]})
    profiles = pd.DataFrame({"person_id": [*"ba"], "postcode": ["2", "1"], "birth_decade": [1970, None], "x": 1})
    groups = Grouping(("low", "high"), np.array([1, 0, 0]), np.ones(2))
    whole = pd.DataFrame({"person_id": [*"abc"], "revenue": 1.0})
    asked = {"profiles": ibis.memtable(profiles), "receipts": ibis.memtable(receipts)}
    found = privacy.known_of_people(whole, ibis.memtable(features), groups, **asked)
    assert found.person_id.tolist() == ["a", "b"] and found.weeks_since_visit.tolist() == [1, 2]
    assert found["shop"].tolist() == ["1", "10"] and found.postcode.tolist() == ["1", "2"]
    assert found.group.tolist() == ["high", "low"] and found.birth_decade.isna().tolist() == [True, False]
    bare = privacy.known_of_people(whole, ibis.memtable(features), groups, profiles=None, receipts=None)
    assert [*bare] == ["person_id", "group", "weeks_since_visit"] and len(bare) == 3
    again = Grouping(groups.names, np.repeat(groups.codes, 2), np.ones(2))
    with pytest.raises(JourneybookError, match=r"^features: 3 rows of the last snapshot are of a person who"):
        privacy.known_of_people(pd.concat([whole, whole]), ibis.memtable(features), again, **asked)


# --- linking ----------------------------------------------------------------------------------------------


def linked(known, outside, found, *, seed=1):
    return privacy.linkage_attack(known, outside, found, steps=PEOPLE_STEPS, rng=stream(seed, "linkage"))


def test_linking_finds_as_many_as_there_are_classes():
    """The chance to be found is one over the class; over all people, that is the number of classes."""
    known = people(7)
    found = anonymise(known, steps=PEOPLE_STEPS, k=5, l_diversity=2, max_suppressed=0.05)
    before, after = linked(known, known, found).itertuples()
    n_classes = known.groupby([*PEOPLE_STEPS], dropna=False).ngroups
    assert before.expected_share == pytest.approx(n_classes / len(known)) and before.n_published == len(known)
    kept = found.rows[found.rows.kept]
    assert after.expected_share == pytest.approx(kept.groupby([*PEOPLE_STEPS]).ngroups / len(known))
    assert after.expected_share <= 1 / found.k and (after.k, after.n_groups) == (found.k, found.n_groups)
    assert after.told_share == 0 < before.told_share and after.alone_share == 0 < before.alone_share
    for row in (before, after):
        around = proportion_interval(row.reidentified_share * len(known), len(known))
        assert (row.low, row.high) == (around.low, around.high)
    drawn = [linked(known, known, found, seed=seed) for seed in range(200)]
    inside = np.mean([(t.low <= t.expected_share) & (t.expected_share <= t.high) for t in drawn], axis=0)
    assert (inside > 0.92).all(), (
        "chances differ from person to person: the interval holds more often than it says"
    )
    assert np.mean([t.reidentified_share for t in drawn], axis=0) == pytest.approx(
        drawn[0].expected_share, rel=0.03
    )


def test_an_outsider_with_other_values_finds_nobody_by_them():
    known = people(3)
    found = anonymise(known, steps=PEOPLE_STEPS, k=5, max_suppressed=0.05)
    truth = pd.DataFrame({"person_id": known.person_id[:300], "postcode": "99999"})
    outside = privacy.outside_table(known, truth)
    assert outside.postcode[:300].unique().tolist() == ["99999"] and outside.postcode[300:].equals(
        known.postcode[300:]
    )
    before = linked(known, outside, found).iloc[0]
    alone = known.groupby([*PEOPLE_STEPS], dropna=False).group.transform("size")
    assert before.expected_share == pytest.approx((1 / alone[300:]).sum() / len(known))
    assert privacy.outside_table(known, None) is known
    nobody = anonymise(known, steps=PEOPLE_STEPS, k=401, max_suppressed=0.05)
    after = linked(known, known, nobody).iloc[1]
    assert (after.n_published, after.k, after.reidentified_share, after.told_share) == (0, 0, 0, 0)
    asked = {"steps": PEOPLE_STEPS, "k": 401, "l_diversity": 1, "max_suppressed": 0.05}
    held = privacy.anonymity_holds(known, known, nobody, linked(known, known, nobody), **asked)
    assert held.value.abs().max() < 4
