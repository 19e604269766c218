"""Identity: from which probability pairs are linked, whether that is right, and which pairs are missed."""

import ibis
import numpy as np
import pandas as pd
import pytest
from test_identity import table

from journeybook import identity
from journeybook.identity.comparison import ComparedPairs
from journeybook.identity.records import Field
from journeybook.statistics import stream

COSTS = {"wrong_cost": 9.0, "missed_cost": 1.0}
NAMES = pd.Series({"a": "A", "b": "B", "c": "C", "d": "D"})


def doubtful() -> tuple[ibis.Table, ComparedPairs, identity.LinkageModel]:
    """Four records and three pairs: one certain, one doubtful, one out of the question."""
    records = table(customer_id=list("abcd"), surname=["smith", "smith", "smyth", None])
    fields = (Field("surname", "name"),)
    levels = pd.DataFrame({"pattern": [0, 1, 2], "n": 1, "surname": [5, 1, -1], "rules": 1})
    pairs = pd.DataFrame({"left": [1, 1, 2], "right": [2, 3, 4], "pattern": [0, 1, 2]})
    compared = ComparedPairs(fields, (), 6, 3, 0, ibis.memtable(pairs), levels, pd.DataFrame(), {})
    patterns = levels.assign(probability=[0.99, 0.7, 0.02])
    return records, compared, identity.LinkageModel(pd.DataFrame(), pd.DataFrame(), 0.1, 0.0, patterns, 1.0, True)


def test_costs_choose_the_threshold_that_bayes_would():
    """Of many pairs whose probabilities are right, none costs less than the share of a wrong link in the costs."""
    chosen = identity.choose_threshold(None, None, wrong_cost=3.0, missed_cost=1.0)
    assert (chosen.threshold, chosen.why) == (0.75, "costs")
    rng = stream(1, "pairs")
    p = rng.uniform(0.5, 0.95, 200_000)
    labelled = pd.DataFrame({"probability": p, "is_one_person": rng.random(len(p)) < p})
    by_labels = identity.choose_threshold(None, labelled, wrong_cost=3.0, missed_cost=1.0)
    assert by_labels.why == "labelled pairs"
    assert by_labels.threshold == pytest.approx(0.75, abs=0.051)
    assert identity.choose_threshold(0.6, labelled, **COSTS).threshold == 0.6


def test_labels_move_the_threshold_where_the_model_is_wrong():
    """Two doubtful pairs are one person, which the costs would leave apart; errors are counted by hand."""
    labelled = pd.DataFrame({"probability": [0.55, 0.62, 0.8], "is_one_person": [False, True, True]})
    chosen = identity.choose_threshold(None, labelled, **COSTS)
    assert chosen.threshold == 0.6
    at = chosen.curve.set_index("threshold")
    assert at.loc[0.5].tolist() == [1, 0, 9.0]
    assert at.loc[0.9].tolist() == [0, 2, 2.0]


def test_a_cost_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="wrong_cost is 0"):
        identity.choose_threshold(None, None, wrong_cost=0, missed_cost=1)


def test_doubtful_pairs_go_out_masked_and_come_back_labelled(tmp_path):
    records, pairs, model = doubtful()
    out = identity.pairs_to_label(records, pairs, model, names=NAMES, n_pairs=9, rng=stream(1, "label"))
    assert out[["left_id", "right_id", "probability", "is_one_person"]].to_numpy().tolist() == [
        ["A", "C", 0.7, ""]
    ]
    assert out.surname.tolist() == ["s••• s•••: similar (Jaro-Winkler ≥ 0.80)"]
    ids = pd.Series(list("abcd"), index=[1, 2, 3, 4])
    path = tmp_path / "labelled.csv"
    # Somebody turned the two around, and left one pair without a label.
    turned = out.assign(left_id="C", right_id="A", is_one_person="Yes")
    pd.concat([turned, turned.assign(is_one_person=None)]).to_csv(path, index=False)
    back = identity.read_labels(str(path), pairs, model, names=NAMES, ids=ids)
    assert back.to_numpy().tolist() == [[0.7, True]]
    turned.assign(is_one_person="perhaps").to_csv(path, index=False)
    with pytest.raises(ValueError, match="'perhaps' in row 1: yes or no"):
        identity.read_labels(str(path), pairs, model, names=NAMES, ids=ids)
    turned.drop(columns="right_id").to_csv(path, index=False)
    with pytest.raises(ValueError, match="no column right_id"):
        identity.read_labels(str(path), pairs, model, names=NAMES, ids=ids)


def test_probabilities_are_held_against_the_truth_bin_by_bin():
    ids, who = pd.Series(list("abcd"), index=[1, 2, 3, 4]), pd.Series({"a": 1, "b": 1, "c": 2})
    scored = pd.DataFrame({"left": [1, 1, 2, 1], "right": [2, 3, 3, 4], "probability": [0.95, 0.92, 0.2, 0.99]})
    bins = identity.calibration(scored, ids, who)
    # The pair with d, of whom nothing is known, is passed over.
    assert bins[["probability_from", "n_pairs"]].to_numpy().tolist() == [[0.1, 1], [0.9, 2]]
    assert bins.expected_share.tolist() == pytest.approx([0.2, 0.935])
    assert bins.right_share.tolist() == [0.0, 0.5]
    # Wilson's interval of 1 in 2, by its closed form with z = 1.96.
    z2 = 1.959963984540054**2
    half = np.sqrt(z2) / (2 + z2) * np.sqrt(0.5 + z2 / 4)
    assert bins.right_share_high.tolist()[1] == pytest.approx(0.5 + half)


def test_misses_are_counted_by_what_is_wrong_in_the_records():
    _, pairs, _ = doubtful()
    ids, who = pd.Series(list("abcd"), index=[1, 2, 3, 4]), pd.Series({"a": 1, "b": 1, "c": 1, "d": 2})
    people = pd.DataFrame({"customer_id": list("abcd"), "person_id": list("PPQR")})
    found = identity.misses_by_kind(pairs, ids, people, who)
    # a and b are equal and joined; a and c are alike and missed; b and c never met.
    assert found[["field", "kind", "n_pairs", "n_missed"]].to_numpy().tolist() == [
        ["all", "never compared", 1, 1], ["surname", "similar (Jaro-Winkler ≥ 0.80)", 1, 1],
    ]  # fmt: skip
