"""Identity: records in one spelling, pairs, the model, and links of known truth."""

import hashlib
import os
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from journeybook import identity
from journeybook.identity.comparison import ComparedPairs, blocking_rules
from journeybook.identity.quality import pair_quality
from journeybook.identity.records import Field
from journeybook.identity.trial import KnownRecords
from journeybook.statistics import stream

BLOCKING = ["email", "phone", "address", "given_name + surname", "surname + postcode", "birth_date"]


def table(**columns) -> ibis.Table:
    """Customer records with `row` and `customer_id` where they are not given."""
    n = len(next(iter(columns.values())))
    given = {"row": range(1, n + 1), "customer_id": [f"c{i}" for i in range(1, n + 1)]} | columns
    return ibis.memtable(pd.DataFrame(given))


def household(seed: int, n: int) -> pd.DataFrame:
    """People in one spelling, no two alike, names from short lists so that strangers agree now and then."""
    rng = stream(seed, "people")
    syllables = ["ba", "co", "di", "fe", "gu", "ka", "lo", "mi", "nu", "pe", "ra", "so", "ti", "vu"]

    def word(k: int) -> list[str]:
        return ["".join(rng.choice(syllables, k)) for _ in range(n)]

    surname = word(3)
    return pd.DataFrame(
        {
            "row": range(1, n + 1),
            "customer_id": [f"p{i}" for i in range(n)],
            "given_name": word(2),
            "surname": surname,
            "email": [f"{name}{i}@example.org" for i, name in enumerate(surname)],
            "phone": [f"555{k:07d}" for k in rng.integers(10**7, size=n)],
            "address": [f"{k} {w} street" for k, w in zip(rng.integers(1, 999, size=n), word(3), strict=True)],
            "postcode": [f"{k:05d}" for k in 10_000 + 97 * rng.integers(80, size=n)],
            "birth_date": [f"{y}{m:02d}{d:02d}" for y, m, d in rng.integers([1930, 1, 1], [2000, 13, 29], (n, 3))],
        }
    )


def known_records(seed: int, n_people: int = 800, relative_share: float = 0.15) -> KnownRecords:
    """Records of known truth around made-up people."""
    return identity.simulate_copies(
        household(seed, n_people),
        n_people=n_people,
        copy_share=0.4,
        error_rate=0.1,
        missing_rate=0.1,
        relative_share=relative_share,
        rng=stream(seed, "copies"),
    )


def compared(known: KnownRecords, seed: int = 1) -> tuple[ibis.Table, ComparedPairs]:
    records = ibis.memtable(known.records)
    pairs = identity.compare(
        records, blocking=BLOCKING, max_block=100, n_random_pairs=50_000, rng=stream(seed, "random")
    )
    return records, pairs


@pytest.fixture(scope="module")
def trial():
    """Records of known truth, compared and weighed once."""
    known = known_records(1)
    records, pairs = compared(known)
    return known, records, pairs, identity.fit_linkage(pairs, max_iterations=1000)


# --- one spelling -----------------------------------------------------------------------------------------


def test_equal_things_are_spelled_alike():
    spelled = identity.normalise(
        table(
            given_name=["  JOSÉ-Luis ", "jose luis", ""],
            email=[" Ann+shop@Example.org", "ann@example.org", None],
            phone=["(555) 010-1234", "555.010.1234", " "],
            birth_date=pd.to_datetime(["1980-02-03", "1980-02-03", None]),
        )
    )
    frame = spelled.order_by("row").to_pandas()
    for field in ("given_name", "email", "phone", "birth_date"):
        assert frame[field][0] == frame[field][1]
        assert pd.isna(frame[field][2])
    assert frame.birth_date[0] == "19800203"


def test_a_name_of_another_script_stays_a_name():
    names = ["Иванова", "山田", "محمد", "O'Neill-Ørsted", "प्रिया"]
    spelled = identity.normalise(table(surname=names)).order_by("row").surname.to_pandas()
    assert spelled[:4].tolist() == ["иванова", "山田", "محمد", "o neill ørsted"]
    assert spelled[4] and spelled.is_unique


# --- pairs ------------------------------------------------------------------------------------------------


def levels(**columns) -> dict[str, int]:
    """Levels of agreement of two records."""
    records = identity.normalise(table(**columns))
    pairs = identity.compare(
        records, blocking=["postcode"], max_block=10, n_random_pairs=10, rng=stream(1, "random")
    )
    assert pairs.n_pairs == 1
    return pairs.patterns.iloc[0][[field.name for field in pairs.fields]].astype(int).to_dict()


@pytest.mark.parametrize(
    ("field", "values", "level"),
    [
        ("surname", ("smith", "smith"), 3),
        ("surname", ("martha", "marhta"), 2),  # Jaro-Winkler 0.961 (Winkler 1990)
        ("surname", ("dwayne", "duane"), 1),  # 0.840
        ("surname", ("smith", "jones"), 0),
        ("surname", ("smith", None), -1),
        ("surname", ("Иванова", "Ivanova"), 2),
        ("surname", ("Müller", "Mueller"), 1),
        ("surname", ("Weiß", "Weiss"), 2),
        ("surname", ("Nguyễn", "Nguyen"), 3),  # accents are no difference
        ("surname", ("山田", "鈴木"), 0),
        ("surname", ("山田", "山田"), 3),
        ("surname", ("García Márquez", "garcia"), 2),
        ("given_name", ("j", "james"), 3),
        ("given_name", ("j", "amanda"), 0),
        ("given_name", ("william", "bill"), 3),
        ("given_name", ("liz", "elizabeth"), 3),
        ("given_name", ("ana", "anna"), 2),
        ("given_name", ("anna", "anna"), 4),
        ("phone", ("5550100", "5550010"), 1),  # neighbours exchanged are one edit
        ("phone", ("5550100", "5559900"), 0),
        ("phone", ("442079460123", "02079460123"), 1),
        ("phone", ("00442079460123", "442079460123"), 1),
        ("phone", ("5215512345678", "525512345678"), 1),  # Mexico before 2019, and since
        ("phone", ("5491112345678", "01115 12345678"), 1),  # Argentina from abroad, and at home
        ("phone", ("2075550123", "3075550123"), 1),  # one edit
        ("phone", ("2065550123", "3175550123"), 0),
        ("phone", ("5550123", "2065550123"), 1),  # without its area
        ("surname", ("lopez garcia", "garcia"), 2),
        ("surname", ("van der berg", "berg"), 2),
        ("surname", ("del carmen lopez garcia", "lopez garcia"), 2),
        ("surname", ("bergen", "berg"), 2),  # Jaro-Winkler 0.933
        ("surname", ("rosenberg", "berg"), 0),
        ("email", ("ann.lee@example.org", "annlee@example.org"), 1),
        ("birth_date", ("19800203", "19800302"), 1),  # day and month
        ("birth_date", ("19800203", "19820203"), 1),
        ("birth_date", ("19800203", "19820301"), 0),
        ("birth_date", ("19960410", "20060410"), 1),  # another year
        ("email", ("ann@example.org", "ann@example.com"), 1),
        ("email", ("a.n.n+shop@gmail.com", "ann@googlemail.com"), 2),
        ("email", ("a.n.n@example.org", "ann@example.org"), 0),
        ("email", ("ann@example.org", "bob@example.org"), 0),
    ],
)
def test_levels_of_agreement(field, values, level):
    assert levels(postcode=["12345", "12345"], **{field: list(values)}) == {"postcode": 2, field: level}


def test_swapped_names_agree():
    got = levels(given_name=["anna", "berg"], surname=["berg", "anna"], postcode=["1", "1"])
    assert (got["given_name"], got["surname"]) == (4, 3)


def test_blocking_finds_each_pair_once_and_says_by_which_rules():
    records = table(email=["x", "x", "x", None], surname=["a", "a", "b", "b"], postcode=["1", "1", "1", "2"])
    pairs = identity.compare(
        records, blocking=["email", "surname + postcode"], max_block=10, n_random_pairs=10, rng=stream(1, "r")
    )
    found = pairs.pairs.order_by("left", "right").to_pandas()
    assert found[["left", "right", "rules"]].to_numpy().tolist() == [[1, 2, 3], [1, 3, 1], [2, 3, 1]]
    assert pairs.n_pairs == pairs.patterns.n.sum() == 3
    assert pairs.random_patterns.n.sum() == pairs.n_possible == 6


def test_a_value_that_too_many_share_is_skipped_and_counted():
    pairs = identity.compare(
        table(email=["none"] * 5 + ["a", "a"]),
        blocking=["email"],
        max_block=4,
        n_random_pairs=10,
        rng=stream(1, "r"),
    )
    assert pairs.n_pairs == 1
    assert pairs.n_skipped == 5


def test_a_rule_of_an_unknown_field_is_an_error():
    with pytest.raises(ValueError, match="unknown field"):
        blocking_rules(["e_mail"], columns=["email"])


def test_nothing_to_compare_is_no_error():
    records = table(source=["web", "web"])
    pairs = identity.compare(records, blocking=BLOCKING, max_block=10, n_random_pairs=10, rng=stream(1, "r"))
    model = identity.fit_linkage(pairs, max_iterations=10)
    found = identity.resolve(records, threshold=0.5, max_diameter=2, pairs=pairs, model=model)
    assert (pairs.n_pairs, found.n_people, model.converged) == (0, 2, True)
    assert "nothing to compare" in identity.say_fit(pairs, model)


# --- the model --------------------------------------------------------------------------------------------


def test_em_recovers_planted_probabilities():
    """Patterns drawn from a known mixture of matches, households and strangers, u known from random pairs."""
    rng = stream(4, "planted")
    fields = tuple(
        Field(name, "code", personal=name in ("one", "two")) for name in ("one", "two", "three", "four")
    )
    chance, alike = np.array([0.9, 0.06, 0.04]), np.array([0.15, 0.1, 0.75])
    m = {"one": [0.05, 0.1, 0.85], "two": [0.1, 0.1, 0.8], "three": [0.2, 0.1, 0.7], "four": [0.02, 0.08, 0.9]}
    n = 40_000
    kind = rng.choice(3, n, p=[0.3, 0.2, 0.5])

    def draw(kinds: np.ndarray) -> pd.DataFrame:
        levels = {}
        for f in fields:
            of_class = [m[f.name], chance if f.personal else alike, chance]
            levels[f.name] = np.choose(kinds, [rng.choice(3, len(kinds), p=p) for p in of_class])
        counts = pd.DataFrame(levels).groupby(list(levels), as_index=False).size().rename(columns={"size": "n"})
        return counts.assign(pattern=range(len(counts)), rules=1)

    pairs = ComparedPairs(
        fields=fields,
        blocking=(("key",),),
        n_possible=100_000 * 99_999 // 2,
        n_pairs=n,
        n_skipped=0,
        pairs=ibis.memtable({"left": [1]}),
        patterns=draw(kind),
        random_patterns=draw(np.full(200_000, 2)),
        equal_shares={},
    )
    model = identity.fit_linkage(pairs, max_iterations=2000)
    assert model.converged
    assert model.passes.n_matches[0] == pytest.approx((kind == 0).sum(), rel=0.03)
    assert model.passes.n_household[0] == pytest.approx((kind == 1).sum(), rel=0.05)
    for field in fields:
        rows = model.weights[model.weights.field == field.name]
        assert jensenshannon(rows.m_probability, m[field.name]) < 0.02
        assert jensenshannon(rows.u_probability, chance) < 0.01


def test_em_that_stops_at_its_limit_says_so(trial):
    _, _, pairs, model = trial
    assert model.converged
    hurried = identity.fit_linkage(pairs, max_iterations=1)
    assert not hurried.converged
    assert "EM stopped at its limit" in identity.say_fit(pairs, hurried)


def test_matches_are_found_and_relatives_kept_apart(trial):
    known, records, pairs, model = trial
    assert model.n_matches == pytest.approx(pair_quality(known.truth, known.truth).n_true, rel=0.03)
    found = identity.resolve(records, threshold=0.9, max_diameter=2, pairs=pairs, model=model)
    quality = pair_quality(found.records.cluster, known.truth)
    assert quality.precision > 0.985
    assert quality.recall > 0.95


def test_twins_and_a_shared_mailbox_stay_apart_and_a_new_surname_does_not():
    """Forty pairs of twins, half with one mailbox; forty people who changed their surname; thirty of one firm."""
    known, base, other = known_records(1), household(101, 150), household(201, 150)
    base["surname"] = other.surname
    twins = base[:40].assign(given_name=other.given_name[:40])
    twins["email"] = twins.email.where(twins.index < 20, other.email[:40])
    renamed = base[40:80].assign(surname=other.surname[80:120].to_numpy())
    more = pd.concat([base[:80], twins, renamed, base[80:110].assign(email="info@example.org")], ignore_index=True)
    together = pd.concat([known.records, more], ignore_index=True)
    together["row"] = range(1, len(together) + 1)
    together["customer_id"] = [f"c{row}" for row in together.row]
    records, pairs = compared(KnownRecords(together, known.truth))
    model = identity.fit_linkage(pairs, max_iterations=1000)
    found = identity.resolve(records, threshold=0.9, max_diameter=2, pairs=pairs, model=model)
    person = found.records.cluster.to_numpy()[-len(more) :]
    assert (person[:40] == person[80:120]).sum() <= 1
    assert (person[40:80] == person[120:160]).sum() >= 38
    assert len(set(person[160:])) == 30


def test_the_same_answer_whatever_the_order_of_the_rows(trial):
    known, _, pairs, model = trial
    shuffled = ibis.memtable(known.records.sample(frac=1, random_state=3))
    again = identity.compare(
        shuffled, blocking=BLOCKING, max_block=100, n_random_pairs=50_000, rng=stream(1, "random")
    )
    pd.testing.assert_frame_equal(again.patterns, pairs.patterns)
    refitted = identity.fit_linkage(again, max_iterations=1000)
    pd.testing.assert_frame_equal(refitted.weights, model.weights, check_exact=True)


def test_perfect_grouping_is_perfect():
    quality = pair_quality([1, 1, 2, 2, 3], list("aabbc"))
    assert (quality.precision, quality.recall, quality.f1) == (1, 1, 1)
    nothing = pair_quality([1, 2, 3], list("abc"))
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)


def test_copies_without_errors_are_the_originals():
    shares = {"copy_share": 1.0, "error_rate": 0.0, "missing_rate": 0.0, "relative_share": 0.0}
    known = identity.simulate_copies(household(1, 5), n_people=5, **shares, rng=stream(1, "copies"))
    fields = known.records.columns[2:]
    pd.testing.assert_frame_equal(
        known.records[fields][:5].reset_index(drop=True), known.records[fields][5:].reset_index(drop=True)
    )
    assert known.truth.tolist() == [0, 1, 2, 3, 4] * 2
    with pytest.raises(ValueError, match="n_known_people is 0"):
        identity.simulate_copies(household(1, 5), n_people=0, **shares, rng=stream(1, "copies"))


@pytest.mark.parametrize("n", [1, 3])
def test_a_handful_of_records_is_linked_and_judged(n):
    shares = {"copy_share": 0.3, "error_rate": 0.1, "missing_rate": 0.1, "relative_share": 0.1}
    known = identity.simulate_copies(household(1, n), n_people=9, **shares, rng=stream(1, "copies"))
    how = {"blocking": BLOCKING, "max_block": 9, "n_random_pairs": 99, "max_iterations": 99, "max_diameter": 2}
    how |= {"wrong_cost": 9, "missed_cost": 1}
    trial = identity.try_linkage(known, threshold=0.9, **how, rng=stream(1, "random"))
    assert trial.curve.threshold.tolist() == [0.1, 0.5, 0.9, 0.99]
    linked = pd.DataFrame({"probability": []})
    holds = identity.copies_hold(trial, None, pd.DataFrame(), linked=linked, n_overruled=0)
    assert holds["name"].tolist() == [
        "people permitted despite a refusal",
        "copies: records that day two alone links otherwise",
        "copies: pairs rightly linked",
    ]


# --- published figures ------------------------------------------------------------------------------------

# FEBRL, and what Splink 4 reaches at a threshold of 0.5.
FEBRL = {
    1: ("637acf9db993a77cc49d479c7c53b739a748615f272a050ff973e8038b1b9cb6", 500, 0.9980),
    2: ("0c86efe0910769fbb13fb8c6fa01a7eedcd9a53a8ab8965b2946f87dcd7c4195", 1934, 0.9974),
    3: ("0e667330458ae88dd3d6b9cab39af4e7629a2fef98a810d0ea5f15e48220bdbf", 6538, 0.9963),
    4: ("23c205acd5cb0781acbe7b2ec2d09e8afe42ef7156e1e9cd0eb2ed7bf9a78fae", 5000, 0.9991),
}
FEBRL_FIELDS = (
    Field("given_name", "given", personal=True),
    Field("surname", "name"),
    Field("soc_sec_id", "code"),
    Field("address", "text"),
    Field("suburb", "name"),
    Field("postcode", "code"),
    Field("birth_date", "date", personal=True),
)
FEBRL_BLOCKING = ["soc_sec_id", "birth_date", "given_name + surname", "surname + postcode", "address",
                  "given_name + postcode", "suburb + surname"]  # fmt: skip


@pytest.mark.parametrize("number", [1, *(pytest.param(number, marks=pytest.mark.slow) for number in (2, 3, 4))])
def test_febrl_is_linked_at_least_as_well_as_by_splink(number):
    folder = os.environ.get("JOURNEYBOOK_DATA")
    # The fourth is two files, to be linked to each other.
    parts = ["4a", "4b"] if number == 4 else [str(number)]
    paths = [Path(folder or ".") / "febrl" / f"dataset{part}.csv" for part in parts]
    if not folder:
        pytest.skip(f"1 witness needs febrl/{paths[0].name} under JOURNEYBOOK_DATA")
    assert all(path.is_file() for path in paths), f"JOURNEYBOOK_DATA is set, but {paths} are not there"
    digest, n_true, bar = FEBRL[number]
    assert hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest() == digest
    frame = pd.concat([pd.read_csv(path, dtype=str, skipinitialspace=True) for path in paths], ignore_index=True)
    frame.columns = frame.columns.str.strip()
    truth = frame.rec_id.str.extract(r"rec-(\d+)-")[0]
    frame = frame.rename(columns={"rec_id": "customer_id", "date_of_birth": "birth_date"})
    frame["address"] = frame.street_number.fillna("") + " " + frame.address_1.fillna("")
    frame["row"] = range(1, len(frame) + 1)
    records = identity.normalise(ibis.memtable(frame), fields=FEBRL_FIELDS)
    pairs = identity.compare(
        records,
        blocking=FEBRL_BLOCKING,
        max_block=200,
        n_random_pairs=100_000,
        rng=stream(1, "random"),
        fields=FEBRL_FIELDS,
    )
    model = identity.fit_linkage(pairs, max_iterations=500)
    found = identity.resolve(records, threshold=0.5, max_diameter=2, pairs=pairs, model=model)
    quality = pair_quality(found.records.cluster, truth)
    assert quality.n_true == n_true
    assert round(quality.f1, 4) >= bar
