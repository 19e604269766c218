"""Page 08: types of visitor, against products by hand, fixed points of EM, and planted types."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score
from walks import BROWSER, LAW, steps, walk

from journeybook.clickstream import mixture
from journeybook.clickstream.mixture import fit_types
from journeybook.clickstream.truth import hold_against_truth, type_agreement

NAMES = ("(start)", "home", "item", "cart")
ENDS = (*NAMES[1:], "(conversion)", "(exit)")
LAWS = {"buyer": LAW, "browser": BROWSER}


def fit(table, *, max_types=3, n_starts=4, seed=1):
    return fit_types(table, max_types=max_types, n_starts=n_starts, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def people():
    """150 people of two kinds with 12 sessions each, some of unknown visitors between them."""
    rng = np.random.default_rng(3)
    kinds = {f"{n}": "buyer" if n % 3 == 0 else "browser" for n in range(150)}
    who = [*([*kinds] * 12), *([None] * 100)]
    walks = [walk(LAWS[kinds[name]] if name else LAW, rng) for name in who]
    return steps(walks, who), pd.Series(kinds, name="customer_type").rename_axis("person_id").reset_index()


@pytest.fixture(scope="module")
def chains():
    rows = [
        (kind, NAMES[i], ENDS[j], law[i, j])
        for kind, law in LAWS.items()
        for i, j in zip(*np.nonzero(law), strict=True)
    ]
    return pd.DataFrame(rows, columns=["customer_type", "source", "target", "probability"])


@pytest.fixture(scope="module")
def found(people):
    return fit(people[0])


def test_planted_types_are_found_and_counted(found, people, chains):
    assert found.choice.loc[found.choice["chosen"], "n_types"].tolist() == [2]
    assert found.choice["converged"].all()
    assert (found.unit, len(found.members)) == ("people", 150)
    agreement, ceiling, n_planted = type_agreement(found, {"event_customers": people[1], "event_chains": chains})
    both = found.members.merge(people[1], on="person_id")
    assert n_planted == 2
    assert agreement == adjusted_rand_score(both["customer_type"], both["type"])
    assert agreement > max(0.8, ceiling - 0.1)


def test_the_ceiling_is_bayes_rule_with_the_planted_chains(found, people, chains):
    _, ceiling, _ = type_agreement(found, {"event_customers": people[1], "event_chains": chains})
    law = chains.set_index(["customer_type", "source", "target"])["probability"]
    share = people[1]["customer_type"].value_counts(normalize=True)
    told = {}
    for person, rows in found.counts.groupby("person_id"):
        score = {
            kind: np.log(share[kind])
            + sum(r.n * np.log(max(law.get((kind, r.source, r.target), 0.0), 1e-9)) for r in rows.itertuples())
            for kind in LAWS
        }
        told[person] = max(score, key=score.get)
    assert ceiling == adjusted_rand_score(people[1]["customer_type"], people[1]["person_id"].map(told))


def test_the_planted_chains_are_estimated(found, chains):
    """The larger type is the browsers; their steps are within four standard errors of the planted ones."""
    own = found.transitions[found.transitions["type"] == 1].set_index(["source", "target"])["probability"]
    n = found.counts.groupby("source")["n"].sum()
    planted = chains[chains["customer_type"] == "browser"]
    for row in planted.itertuples():
        target = row.target.replace("purchase", "(conversion)")
        error = np.sqrt(row.probability * (1 - row.probability) / (0.6 * n[row.source]))
        assert own[row.source, target] == pytest.approx(row.probability, abs=4 * error + 0.005)
    profile = found.profile.set_index("type")
    assert profile["conversion_probability"].is_monotonic_increasing
    assert profile["share"].sum() == pytest.approx(1)


def test_one_type_is_the_chain_of_all_and_its_likelihood_a_sum_of_logarithms(found):
    counts = found.counts.groupby(["source", "target"])["n"].sum()
    shares = counts / counts.groupby("source").transform("sum")
    one = found.choice.iloc[0]
    assert one["log_likelihood"] == pytest.approx((counts * np.log(shares)).sum(), rel=1e-9)
    n_parameters = len(counts) - counts.index.get_level_values("source").nunique()
    assert found.choice["n_parameters"].tolist() == [k * n_parameters + k - 1 for k in found.choice["n_types"]]
    expected = one["n_parameters"] * np.log(150) - 2 * one["log_likelihood"]
    assert one["bic"] == pytest.approx(expected)


def test_em_rests_where_bayes_rule_and_the_counts_agree(found):
    """Memberships by Bayes' rule from the chains, person by person; chains by the counts of the members."""
    wide = found.transitions.pivot(index=["source", "target"], columns="type", values="probability")
    counts = found.counts.pivot(index=["source", "target"], columns="person_id", values="n").fillna(0)
    counts = counts.reindex(wide.index)[found.members["person_id"]]
    share = found.profile["share"].to_numpy()
    joint = counts.to_numpy().T @ np.log(wide.to_numpy()) + np.log(share)
    members = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(members.max(axis=1), found.members["certainty"], atol=1e-3)
    np.testing.assert_array_equal(members.argmax(axis=1) + 1, found.members["type"])
    np.testing.assert_allclose(members.mean(axis=0), share, atol=1e-4)
    overall = counts.sum(axis=1) / counts.sum(axis=1).groupby(level="source").transform("sum")
    for k, column in enumerate(wide):
        weighted = pd.Series(counts.to_numpy() @ members[:, k], index=wide.index) + overall
        expected = weighted / weighted.groupby(level="source").transform("sum")
        np.testing.assert_allclose(wide[column], expected, atol=1e-4)
    assert joint.shape == (150, 2)
    chosen = found.choice[found.choice["chosen"]].iloc[0]
    assert chosen["log_likelihood"] == pytest.approx(logsumexp(joint, axis=1).sum(), abs=1e-3)


def test_no_iteration_of_em_loses(found, monkeypatch):
    walked = mixture._walked(found.counts)
    seeds = walked.chains(walked.counts[[0, 1, 2]].toarray())
    objectives = []
    for most in range(1, 12):
        monkeypatch.setattr(mixture, "_MOST_ITERATIONS", most)
        objectives.append(mixture._em(walked, seeds).objective)
    assert (np.diff(objectives) > -1e-8).all()


def test_em_says_when_it_did_not_come_to_rest(people, monkeypatch):
    monkeypatch.setattr(mixture, "_MOST_ITERATIONS", 2)
    assert not fit(people[0], max_types=2).choice.loc[1, "converged"]


def test_alike_people_are_one_type():
    rng = np.random.default_rng(5)
    who = [f"{n}" for n in range(120)] * 6
    found = fit(steps([walk(LAW, rng) for _ in who], who))
    assert found.choice.loc[found.choice["chosen"], "n_types"].tolist() == [1]
    assert found.certainty == 1.0


def test_with_few_people_sessions_are_grouped(people, chains):
    rng = np.random.default_rng(6)
    found = fit(steps([walk(LAW, rng) for _ in range(150)], [f"{n % 20}" for n in range(150)]), max_types=2)
    assert (found.unit, len(found.members)) == ("sessions", 150)
    assert found.members.columns.tolist() == ["session", "type", "certainty"]
    truths = {"event_customers": people[1], "event_chains": chains}
    assert hold_against_truth(truths, {}, faults=None, types=found).empty


def test_of_many_units_some_are_drawn_without_looking_at_names(people, monkeypatch):
    monkeypatch.setattr(mixture, "MOST_PEOPLE", 110)
    found = fit(people[0], max_types=2)
    assert len(found.members) == 110
    drawn = found.members["person_id"].astype(int)
    assert drawn.max() > 120
    assert drawn.min() < 30


def test_names_of_people_play_no_part(people, found):
    frame = people[0].to_pandas()
    renamed = {name: f"p {hash_}" for hash_, name in enumerate(sorted(frame["cluster"].unique(), reverse=True))}
    again = fit(ibis.memtable(frame.assign(cluster=frame["cluster"].map(renamed))))
    pd.testing.assert_frame_equal(again.choice, found.choice)
    pd.testing.assert_frame_equal(again.profile, found.profile)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"max_types": 13}, "max_types is 13: it must be from 1 to 12"), ({"n_starts": 0}, "n_starts is 0")],
)
def test_bad_input_is_named(people, given, message):
    with pytest.raises(ValueError, match=message):
        fit(people[0], **given)
