"""Identity: clusters of records, the people made of them, and whose refusal reaches whom."""

from datetime import datetime

import ibis
import numpy as np
import pandas as pd
import pytest
from test_identity import table

from journeybook import identity
from journeybook.identity.comparison import ComparedPairs
from journeybook.tables import coded

KEY = "test"


def chain(probabilities: list[float]) -> tuple[ibis.Table, ComparedPairs, identity.LinkageModel]:
    """Records 1 - 2 - 3 - ..., each linked to the next with a probability of its own."""
    n = len(probabilities)
    pairs = pd.DataFrame({"left": range(1, n + 1), "right": range(2, n + 2), "pattern": range(n)})
    compared_pairs = ComparedPairs(
        (), (), n * (n + 1) // 2, n, 0, ibis.memtable(pairs), pd.DataFrame(), pd.DataFrame(), {}
    )
    patterns = pd.DataFrame({"pattern": range(n), "n": 1, "probability": probabilities})
    model = identity.LinkageModel(pd.DataFrame(), pd.DataFrame(), 0.1, 0.0, patterns, 1.0, True)
    return table(surname=[None] * (n + 1)), compared_pairs, model


def test_a_chain_is_cut_at_its_weakest_link():
    records, pairs, model = chain([0.99, 0.98, 0.6, 0.97, 0.96])
    loose = identity.resolve(records, threshold=0.5, max_diameter=9, pairs=pairs, model=model)
    assert (loose.n_people, loose.n_cut) == (1, 0)
    compact = identity.resolve(records, threshold=0.5, max_diameter=2, pairs=pairs, model=model)
    assert compact.records.cluster.tolist() == [0, 0, 0, 1, 1, 1]
    assert (compact.n_cut, compact.links.kept.tolist()) == (1, [True, True, False, True, True])


def test_records_of_one_id_are_never_cut():
    records = table(customer_id=["a", "b", "a", "b", "a"], email=[None] * 5)
    found = identity.resolve(records, threshold=1.0, max_diameter=1)
    assert found.records.cluster.tolist() == [0, 1, 0, 1, 0]
    assert found.n_people == 2


@pytest.mark.parametrize("seed", range(5))
def test_components_are_those_of_breadth_first_search(seed):
    rng = np.random.default_rng(seed)
    n, ends = 60, rng.integers(60, size=(45, 2))
    neighbours = {i: set() for i in range(n)}
    for a, b in ends:
        neighbours[a].add(b)
        neighbours[b].add(a)
    labels = identity.clusters.components(n, ends)
    for start in range(n):
        reached, waiting = {start}, [start]
        while waiting:
            new = neighbours[waiting.pop()] - reached
            reached |= new
            waiting += new
        assert reached == set(np.flatnonzero(labels == labels[start]))


@pytest.mark.parametrize(("threshold", "max_diameter"), [(1.5, 2), (0.5, 0)])
def test_settings_out_of_range_are_errors(threshold, max_diameter):
    records, pairs, model = chain([0.9])
    with pytest.raises(ValueError, match="needed"):
        identity.resolve(records, threshold=threshold, max_diameter=max_diameter, pairs=pairs, model=model)


def test_a_person_is_named_by_the_first_record():
    records = table(customer_id=["w1", "l2", "w1"], email=[None, None, None])
    names = pd.Series({"w1": "P1", "l2": "P2"})
    people = identity.people_of(identity.resolve(records, threshold=1.0, max_diameter=1), names=names)
    assert people.customer_id.tolist() == ["w1", "l2"]
    assert people.person_id.tolist() == ["P1", "P2"]
    assert people.row.tolist() == [1, 2]


def in_clusters(*clusters: str) -> identity.clusters.Resolution:
    """Records of one customer id each, in the clusters given as texts of ids."""
    ids = pd.DataFrame(
        [(one, k) for k, group in enumerate(clusters) for one in group], columns=["customer_id", "cluster"]
    )
    ids = ids.sort_values("customer_id", ignore_index=True)
    return identity.clusters.Resolution(ids.assign(row=ids.index + 1), pd.DataFrame(), 0.9, len(clusters), 0)


NAMES = pd.Series({name: name.upper() for name in "abcdefg"})


def test_a_person_keeps_the_name_over_runs_and_merges():
    first = identity.people_of(in_clusters("b", "cd", "e"), names=NAMES)
    assert first.person_id.tolist() == ["B", "C", "C", "E"]
    # A record older than all others joins b; two people turn out to be one; somebody is gone, somebody new.
    found = in_clusters("ab", "cdf", "g")
    second = identity.people_of(found, names=NAMES, before=first).set_index("customer_id").person_id
    assert second.to_dict() == {"a": "B", "b": "B", "c": "C", "d": "C", "f": "C", "g": "G"}
    walked = identity.crosswalk(first, second.reset_index())
    told = walked[["person_id_before", "person_id", "n_customer_ids", "change"]].astype(object)
    assert told.where(told.notna(), None).to_numpy().tolist() == [
        ["B", "B", 1, "kept"], ["C", "C", 2, "kept"], ["E", None, 1, "gone"],
        [None, "B", 1, "new"], [None, "C", 1, "new"], [None, "G", 1, "new"],
    ]  # fmt: skip


def test_a_merge_and_a_split_are_told_apart_and_no_two_people_share_a_name():
    first = identity.people_of(in_clusters("abc", "d", "ef"), names=NAMES)
    second = identity.people_of(in_clusters("a", "bc", "def"), names=NAMES, before=first)
    named = second.set_index("customer_id").person_id
    # The id stays with the customer it was made of; of two earlier ids the one of more customers is kept.
    assert named.to_dict() == {"a": "A", "b": "B", "c": "B", "d": "E", "e": "E", "f": "E"}
    change = identity.crosswalk(first, second).set_index(["person_id_before", "person_id"]).change
    assert change.to_dict() == {("A", "A"): "kept", ("A", "B"): "split", ("D", "E"): "merged", ("E", "E"): "kept"}


def test_unmerging_gives_the_records_back():
    records = table(customer_id=["a", "b", "c"], source="web", postcode=["1", "2", "3"])
    apart = identity.people_of(in_clusters("ab", "c"), names=NAMES, unmerged=["A"])
    alone = identity.people_of(in_clusters("a", "b", "c"), names=NAMES)
    pd.testing.assert_frame_equal(apart, alone)
    values = identity.golden_values(records, apart)
    assert values.set_index("person_id").value.to_dict() == {"A": "1", "B": "2", "C": "3"}
    # On the next run too, whatever name the merged person would have got.
    again = identity.people_of(in_clusters("ab", "c"), names=NAMES, unmerged=["A"], before=apart)
    pd.testing.assert_frame_equal(again, alone)
    with pytest.raises(ValueError, match="'X' is no person_id"):
        identity.people_of(in_clusters("ab"), names=NAMES, unmerged=["X"])


def test_the_latest_value_survives():
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "person_id": ["P", "P", "Q"]})
    records = table(
        customer_id=["a", "b", "b", "c"],
        source=["web", "loyalty", "shop", "web"],
        postcode=["new", "old", None, None],
        birth_date=pd.to_datetime([None, "1969-12-31", "1970-01-01", None]),
        updated_at=pd.to_datetime(["2017-03-01", "2017-01-01", "2017-02-01", None]),
        email=["a@b", "a@b", "a@b", "c@d"],
    )
    values = identity.golden_values(records, people)
    profiles = identity.golden_profiles(records, people, values)
    told = values.drop(columns=["row", "updated_at"]).astype(object)
    assert told.where(told.notna(), None).to_numpy().tolist() == [
        ["P", "birth_decade", "1970", "shop", "latest update", 2],
        ["P", "email", None, "web", "only value", 1],
        ["P", "postcode", "new", "web", "latest update", 2],
        ["Q", "email", None, "web", "only value", 1],
    ]
    assert values.updated_at[0] == pd.Timestamp("2017-02-01")
    conflicts = identity.conflicts_of(values).set_index("field")
    assert conflicts.loc["postcode"].tolist() == [1, 1, 1.0]
    assert conflicts.loc["email"].tolist() == [2, 0, 0.0]
    assert set(profiles) == {"person_id", "row", "n_records", "n_sources", "n_customer_ids", "postcode",
                             "birth_decade", "updated_at"}  # fmt: skip
    first, second = profiles.itertuples(index=False)
    assert (first.person_id, first.n_records, first.n_sources, first.n_customer_ids) == ("P", 3, 3, 2)
    assert (first.postcode, first.birth_decade, first.updated_at) == ("new", 1970, pd.Timestamp("2017-03-01"))
    assert pd.isna(second.postcode)
    assert pd.isna(second.birth_decade)


def test_postcodes_count_from_their_record_on_and_undated_ones_from_the_last_day():
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "person_id": ["P", "P", "Q"], "row": [1, 2, 3]})
    records = table(
        source=["s"] * 6,
        customer_id=["a", "b", "b", "b", "a", "c"],
        postcode=["late", "early", "same moment", None, "undated", "undated"],
        updated_at=pd.to_datetime(["2017-03-01", "2017-01-01", "2017-01-01", "2017-02-01", None, None]),
    )
    history = identity.value_history(records, people, data_end=datetime(2018, 1, 1))
    found = identity.postcodes_of(history)
    assert history.is_change.tolist() == [False, True, False]
    # P has dated records, so that the undated one says nothing.
    assert found[["person_id", "postcode", "row"]].to_numpy().tolist() == [
        ["P", "same moment", 1], ["P", "late", 2], ["Q", "undated", 3],
    ]  # fmt: skip
    assert found.known_from.tolist() == list(pd.to_datetime(["2017-01-01", "2017-03-01", "2017-12-31"]))
    assert len(identity.value_history(records, people, data_end=None)) == 2
    bare = records.drop("updated_at", "postcode")
    assert identity.value_history(bare, people, data_end=None).empty


def test_the_history_of_values_ends_in_the_golden_one_and_holds_no_name():
    people = pd.DataFrame({"customer_id": ["a", "b"], "person_id": ["P", "P"], "row": [1, 2]})
    records = table(
        source=["s"] * 3,
        customer_id=["a", "b", "a"],
        surname=["Lee", "Ray", "Ray"],
        birth_date=["1971-02-03", None, "1971-02-03"],
        updated_at=pd.to_datetime(["2017-01-01", "2017-03-01", "2017-05-01"]),
    )
    history = identity.value_history(records, people, data_end=None)
    names = history[history.field == "surname"]
    assert names.is_change.tolist() == [False, True, False] and names.value.isna().all()
    assert names.known_from.tolist() == list(pd.to_datetime(["2017-01-01", "2017-03-01", "2017-05-01"]))
    last = history.groupby("field").last()
    golden = identity.golden_values(records, people).set_index("field")
    assert last.value.birth_decade == golden.value.birth_decade == "1970"
    assert (
        last.source.eq(golden.source[last.index]).all() and last.known_from.eq(golden.updated_at[last.index]).all()
    )


def test_a_refusal_reaches_the_other_records_of_a_person_and_merges_nothing():
    records = table(
        customer_id=["a", "b", "c", "d"],
        given_name=["ann", "ann", "bob", "eve"],
        email=["ann@x", "ann@x", "ann@x", "eve@x"],
    )
    refused = table(customer_id=["r"], given_name=["Ann"], email=["ANN@x"])
    people = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "person_id": ["P", "P", "Q", "R"]})
    names = pd.Series({name: f"own {name}" for name in "abcd"})
    carried = identity.carry_refusals(people, coded(refused, key=KEY), coded(records, key=KEY), names=names)
    assert carried.n_recognised == 1
    assert carried.set_apart.tolist() == ["a", "b"]
    named = carried.people.set_index("customer_id").person_id
    assert named["a"] != named["b"], "who refuses to be resolved is not resolved"
    assert (named["c"], named["d"]) == ("Q", "R"), "a shared e-mail address carries nothing to another person"
    links = set(zip(carried.links.customer_id, carried.links.person_id, strict=True))
    assert links == {("r", named["a"]), ("r", named["b"]), ("a", named["b"]), ("b", named["a"])}


def test_reach_counts_whose_refusal_holds_for_whom():
    people = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "person_id": ["P", "P", "Q", "R"]})
    links = pd.DataFrame({"customer_id": ["r"], "person_id": ["R"]})
    refused = {"analytics": pd.Series(["a", "r"]), "marketing_sms": pd.Series([], dtype=str)}
    reach = identity.refusal_reach(people, links, refused)
    assert reach.iloc[0].tolist() == ["analytics", 2, 2, 2, 1]
    assert reach.iloc[1].tolist() == ["marketing_sms", 0, 0, 0, 0]
    permitted = {"analytics": pd.DataFrame({"person_id": ["Q", "R"]})}
    assert identity.count_overruled(people, links, refused, permitted) == 1


def test_one_key_alone_puts_strangers_together():
    records = table(customer_id=["a", "b", "c", "d"], email=["x", "x", "y", None], phone=["1", "1", "1", "1"])
    truth = pd.Series({"a": 1, "b": 1, "c": 2, "d": 3})
    found = identity.keys_alone(records, truth, rules=["email", "phone", "surname"]).set_index("key")
    assert found.loc["email"].tolist() == [1, 0, 0.0, 0.0]
    assert found.loc["phone"].tolist() == [6, 5, pytest.approx(5 / 6), 0.0]
    assert "surname" not in found.index


def test_quality_counts_only_those_found():
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "person_id": ["P", "P", "Q"]})
    truth = pd.DataFrame({"customer_id": ["a", "b", "c", "elsewhere"], "household_id": ["1", "2", "1", "1"]})
    quality = identity.people_quality(people, truth)
    assert (quality.n_true, quality.n_found, quality.n_right) == (1, 1, 0)
    assert identity.who_is_who(people, truth).loc[["a", "b", "c"]].tolist() == ["1", "2", "1"]
    assert identity.who_is_who(people, None).tolist() == ["P", "P", "Q"]
