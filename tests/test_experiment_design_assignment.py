"""Assignment by salted hash: the same everywhere, even, independent of other salts."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from journeybook.experiment_design.assignment import assign, assignment_checks, positions

IDS = [f"u{number}" for number in range(20_000)]
EVEN = {"control": 1, "treatment": 1}


def test_a_place_is_the_first_bits_of_the_digest():
    digest = int(hashlib.sha256(b"checkout:u1").hexdigest(), 16)
    assert positions(["u1"], salt="checkout")[0] == pytest.approx(digest / 2**256, abs=1e-15)
    # A number and its text are the same id; a place is never 1.
    assert positions([7], salt="s") == positions(["7"], salt="s")
    assert positions(IDS, salt="s").max() < 1


def test_a_unit_keeps_its_variant_whoever_stands_beside_it():
    found = assign(IDS, salt="a", shares=EVEN)
    order = np.random.default_rng(1).permutation(len(IDS))[:500]
    assert (assign([IDS[n] for n in order], salt="a", shares=EVEN) == found[order]).all()


def test_shares_are_met_and_a_growing_treatment_gives_no_unit_back():
    small = assign(IDS, salt="a", shares={"control": 0.9, "treatment": 0.1})
    large = assign(IDS, salt="a", shares={"control": 0.6, "treatment": 0.4})
    for found, share in ((small, 0.1), (large, 0.4)):
        assert (found == "treatment").mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))
    assert ((small == "treatment") <= (large == "treatment")).all()
    three = assign(IDS, salt="b", shares={"x": 1, "y": 2, "z": 7})
    assert stats.chisquare([(three == name).sum() for name in "xyz"], [2000, 4000, 14_000]).pvalue > 1e-4


def test_p_values_of_the_checks_are_uniform_over_salts():
    ids = IDS[:300]
    found = [assignment_checks(ids, salt=f"s{n}", other_salt=f"o{n}", shares=EVEN) for n in range(80)]
    assert [list(table["check"]) for table in found] == [list(found[0]["check"])] * 80
    p = [table.set_index("check")["p_value"]["hash_uniformity"] for table in found]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    alarms = np.mean([~table["passed"] for table in found])
    assert alarms < 0.01


def test_a_salt_used_twice_and_a_bad_hash_are_seen(monkeypatch):
    same = assignment_checks(IDS, salt="a", other_salt="a", shares=EVEN).set_index("check")
    assert not same["passed"]["hash_independence"]
    assert same["value"]["hash_independence"] == pytest.approx(1, abs=1e-12)
    assert same["passed"].drop("hash_independence").all()
    monkeypatch.setattr(
        "journeybook.experiment_design.assignment.positions",
        lambda ids, *, salt: np.linspace(0, 0.999, len(ids)) ** 1.1,
    )
    bad = assignment_checks(IDS, salt="a", other_salt="b", shares=EVEN).set_index("check")["passed"]
    assert not bad[["hash_shares", "hash_uniformity"]].any()


def test_a_unit_with_several_rows_counts_once():
    once = assignment_checks(IDS[:3000], salt="a", other_salt="b", shares=EVEN)
    assert assignment_checks(IDS[:3000] * 4, salt="a", other_salt="b", shares=EVEN).equals(once)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"salt": ""}, "salt: found an empty text"),
        ({"shares": {}}, "shares: found {}, needed a number above 0"),
        ({"shares": {"a": 1, "b": 0}}, "shares: found .*'b': 0"),
        ({"shares": {"a": 1, "b": float("nan")}}, "shares: found"),
    ],
)
def test_what_cannot_assign_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        assign(["u1"], **({"salt": "a", "shares": EVEN} | given))
