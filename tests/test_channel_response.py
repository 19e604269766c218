"""Page 07 as a whole: the comparison of methods, the witnesses, the sentences."""

import dataclasses
import hashlib
import os
from pathlib import Path

import channel_response_toys
import numpy as np
import pandas as pd
import pytest
from channel_response_toys import BUDGET, OPEN_GATE, SHARES, TREES, framed, imputer_of, simulated, studied
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from journeybook import channel_response as cr
from journeybook.channel_response import words
from journeybook.channel_response.models import BASES, METHODS, log_odds, response_pipelines
from journeybook.channel_response.scores import contact_probabilities
from journeybook.channel_response.study import GAIN_SHARES, _chosen
from journeybook.channel_response.truth import ceiling
from journeybook.channel_response.witnesses import _written_off, refitted_alone
from journeybook.channel_response.words import (
    title_calibration,
    title_gain,
    title_gate,
    title_resampling,
)
from journeybook.statistics import stream
from journeybook.statistics.quality import difference, gain, quality


@pytest.fixture(scope="module")
def study():
    """Contacts, split, gate, search and comparison."""
    return channel_response_toys.study()


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated contacts."""
    return simulated()


BANK_SHA256 = "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8"


def bank_marketing() -> pd.DataFrame:
    """UCI bank marketing as contacts, from JOURNEYBOOK_DATA."""
    folder = os.environ.get("JOURNEYBOOK_DATA")
    path = Path(folder or ".") / "bank_marketing" / "bank-additional-full.csv"
    if not folder:
        pytest.skip("1 witness needs bank_marketing/bank-additional-full.csv under JOURNEYBOOK_DATA")
    assert path.is_file(), f"JOURNEYBOOK_DATA is set, but {path} is not there"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == BANK_SHA256
    table = pd.read_csv(path, sep=";")
    return table.assign(row=np.arange(1, len(table) + 1), responded=table["y"] == "yes").drop(columns="y")


def test_the_stack_is_that_of_scikit_learn(study):
    contacts, split, _, search, found = study
    stack = found.model("stack", "class_weights").pipeline
    rows = contacts.rows.iloc[search.places]
    said = np.column_stack([search.said[method, "class_weights"] for method in ("logistic", "forest", "xgboost")])
    by_hand = LogisticRegression().fit(log_odds(said), rows["responded"])
    np.testing.assert_allclose(stack.final_estimator_[-1].coef_, by_hand.coef_, rtol=1e-9)
    test = contacts.rows.iloc[split.test]
    parts = [found.model(m, "class_weights").probability(test, calibrated=False) for m in BASES]
    expected = by_hand.predict_proba(log_odds(np.column_stack(parts)))[:, 1]
    found_here = found.model("stack", "class_weights").probability(test, calibrated=False)
    assert found_here == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="no model 'stack' with resampling 'all' was fitted"):
        found.model("stack", "all")


def test_methods_hold_every_combination(study):
    *_, found = study
    keys = ["method", "resampling", "channel", "calibrated"]
    # Every model on all channels together, the chosen one also on each of the three.
    assert len(found.methods) == len(found.methods[keys].drop_duplicates()) == (4 * 4 + 3) * 2
    for name in ("roc_auc", "pr_auc", "log_loss", "brier", "ece"):
        assert (found.methods[f"{name}_low"] <= found.methods[name]).all()
        assert (found.methods[name] <= found.methods[f"{name}_high"]).all()
    row = found.row(calibrated=True)
    assert row["roc_auc"] == pytest.approx(roc_auc_score(found.responded, found.probability), abs=1e-12)
    assert len(found.calibration) == 4 * 4 * 2 * 10
    ranked = {("none", method) for method in METHODS} | {(found.chosen.resampling, found.chosen.method)}
    assert len(found.gain) == len(ranked) * len(GAIN_SHARES)
    assert found.gain_at(0.2)["contacted_share"] == pytest.approx(0.2)


def test_resampling_breaks_probabilities_and_calibration_mends_them(study):
    *_, found = study
    table = found.corrections.set_index(["method", "resampling"])
    moved = table.drop("stack").drop("none", level="resampling")
    assert moved["ece_as_fitted"].min() > 0.1
    assert (moved["ece_corrected"] < moved["ece_as_fitted"] / 2).all()
    assert table.loc["stack", "ece_as_fitted"].max() < 0.06
    assert table["ece_calibrated"].max() < 0.05
    row = found.row(calibrated=True, method="forest", resampling="smote")
    assert table.loc[("forest", "smote"), "ece_calibrated"] == pytest.approx(row["ece"], abs=1e-12)


def test_nothing_is_learned_from_the_test(frame, study):
    contacts, split, gate, search, found = study
    rows = contacts.rows.copy()
    test = rows.index[split.test]
    rows.loc[test, "visits"] = rows.loc[test, "visits"].to_numpy()[::-1] * 100
    rows.loc[test, "region"] = "elsewhere"
    rows.loc[test, "responded"] = rows.loc[test, "responded"].to_numpy()[::-1]
    changed = dataclasses.replace(contacts, rows=rows)
    assert cr.leak_gate(changed, split, **OPEN_GATE).aucs.equals(gate.aucs)
    search_again = cr.search_settings(changed, split, gate, **BUDGET, rng=stream(1, "search"))
    pd.testing.assert_frame_equal(search_again.trials, search.trials, check_exact=True)
    again = cr.compare_methods(changed, split, gate, search_again, n_draws=60, rng=stream(1, "models"))
    fit = contacts.rows.iloc[split.training]
    assert (again.chosen.method, again.chosen.resampling) == (found.chosen.method, found.chosen.resampling)
    said, said_again = (model.probability(fit, calibrated=True) for model in (found.chosen, again.chosen))
    np.testing.assert_array_equal(said, said_again)
    assert abs(again.row(calibrated=True)["roc_auc"] - found.row(calibrated=True)["roc_auc"]) > 0.05


def test_results_depend_on_no_value_of_an_id():
    frame = simulated(1000)
    *_, found = studied(frame, n_draws=5)
    ids = {name: f"z{-i:+06d}" for i, name in enumerate(frame["person_id"].unique())}
    *_, again = studied(frame.assign(person_id=frame["person_id"].map(ids)), n_draws=5)
    pd.testing.assert_frame_equal(found.methods, again.methods, check_exact=True)
    pd.testing.assert_frame_equal(found.people, again.people, check_exact=True)


def test_the_plain_call_of_imbalanced_learn_says_the_same(study):
    contacts, split, *_, found = study
    assert refitted_alone(contacts, split, found.model("logistic", "undersample")) == 0
    moved = dataclasses.replace(split, fit=split.fit[:-500])
    assert refitted_alone(contacts, moved, found.model("logistic", "undersample")) > 1e-4


@pytest.mark.parametrize(("gained", "chosen"), [(0.0005, "none"), (0.02, "smote")])
def test_a_resampled_model_must_be_better_beyond_chance(gained, chosen):
    rng = np.random.default_rng(3)
    person = rng.integers(300, size=3000)
    plain = rng.exponential(0.3, size=3000)
    # Ten contacts of a person share their luck: the standard error of the mean is 0.1 / sqrt(300) = 0.006.
    lost = {("forest", "none"): plain, ("stack", "smote"): plain - gained + rng.normal(0, 0.1, size=300)[person]}
    lost["stack", "smote"] += (plain - lost["stack", "smote"]).mean() - gained
    assert _chosen(lost, {"none": "forest"}, person)[1] == chosen


def test_paired_differences(study):
    *_, found = study
    effects = found.effects.set_index(["method", "resampling", "measure"])
    for measure in ("roc_auc", "log_loss"):
        rows = [found.row(calibrated=True, method="xgboost", resampling=r)[measure] for r in ("smote", "none")]
        assert effects.loc[("xgboost", "smote", measure), "difference"] == pytest.approx(
            rows[0] - rows[1], abs=1e-12
        )
    same = quality(found.probability, found.responded, found.weights)
    assert (difference(same, same)[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, "Resampling did not help"),
        ({("smote", "roc_auc"): -0.05}, "Resampling did not help"),
        ({("smote", "log_loss"): -0.05}, "Resampling helped"),
        (
            {("smote", "pr_auc"): 0.05, ("class_weights", "roc_auc"): -0.05},
            "helped in places and harmed in others",
        ),
    ],
)
def test_the_verdict_is_plain(study, planted, said):
    *_, found = study
    effects = found.effects.assign(difference=0.0, difference_low=-0.01, difference_high=0.01)
    for (resampling, measure), effect in planted.items():
        here = (effects["resampling"] == resampling) & (effects["measure"] == measure)
        effects.loc[here, ["difference", "difference_low", "difference_high"]] = [
            effect,
            effect - 0.01,
            effect + 0.01,
        ]
    assert said in title_resampling(dataclasses.replace(found, effects=effects))


def test_the_true_probabilities_are_the_ceiling(frame, study):
    contacts, split, *_, found = study
    truth = ceiling(contacts, split, found, frame[["contact_id", "probability"]])
    test = frame.iloc[split.test]
    assert truth.roc_auc == pytest.approx(roc_auc_score(test["responded"], test["probability"]), abs=1e-12)
    assert 0.5 < truth.reached_share < 1.02
    assert truth.mean_absolute_error == pytest.approx(np.abs(found.probability - test["probability"]).mean())
    with pytest.raises(ValueError, match="have no true probability"):
        ceiling(contacts, split, found, frame[["contact_id", "probability"]].head(10))


def test_shuffled_labels_teach_nothing(study):
    contacts, split, gate, *_ = study
    for seed in range(3):
        noise = cr.noise_trial(contacts, split, gate, settings=TREES, rng=stream(seed, "noise")).iloc[0]
        assert noise["reference"] == 0.5
        assert 0 < abs(noise["value"] - 0.5) <= noise["tolerance"] < 0.1


def test_smote_before_the_split_finds_what_is_not_there(study):
    contacts, split, gate, *_ = study
    pitfall = cr.smote_before_split(
        contacts, split, gate, max_rows=1200, n_folds=2, settings=TREES, rng=stream(1, "p")
    )
    assert pitfall.roc_auc("noise", "before the split") > 0.75
    assert pitfall.roc_auc("noise", "inside each fold") == pytest.approx(0.5, abs=0.08)
    assert pitfall.roc_auc("own", "before the split") > pitfall.roc_auc("own", "inside each fold") + 0.1


def test_bank_marketing_from_its_file():
    contacts = framed(bank_marketing())
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    gate = cr.leak_gate(contacts, split, **OPEN_GATE)
    aucs = gate.aucs.set_index("column")["auc"]
    assert set(gate.leaks["column"]) == {"duration"}
    assert set(gate.leaks["rule"]) == {"published name", "always or never", "single-column AUC"}
    assert aucs["duration"] == pytest.approx(0.818, abs=0.01)
    assert aucs["nr.employed"] == pytest.approx(0.749, abs=0.01)
    rows = contacts.rows[[*gate.features, "responded"]]
    fit, test = rows.iloc[split.training], rows.iloc[split.test]
    settings = {"max_depth": 3, "n_estimators": 150}
    (pipeline,) = response_pipelines(
        fit, [("xgboost", settings)], resampling="none", imputer=imputer_of(fit), rng=stream(1, "x")
    )
    pipeline.fit(fit.drop(columns="responded"), fit["responded"])
    said = pipeline.predict_proba(test.drop(columns="responded"))[:, 1]
    # Moro, Cortez & Rita 2014: AUC 0.80, and 79 % of the subscribers in the best half.
    stratified, responded = roc_auc_score(test["responded"], said), test["responded"].to_numpy()
    assert stratified >= 0.79
    half = gain(said, responded, np.ones((1, len(said))), shares=[0.5])["found_share"].item()
    # Another split than theirs: within three standard errors of the share of these subscribers.
    assert half == pytest.approx(0.79, abs=3 * (0.79 * 0.21 / responded.sum()) ** 0.5)
    # The file is in the order of time: taught on the first and judged on the last, the same model finds much less.
    fit, test = rows.iloc[: -len(split.test)], rows.iloc[-len(split.test) :]
    pipeline.fit(fit.drop(columns="responded"), fit["responded"])
    said = pipeline.predict_proba(test.drop(columns="responded"))[:, 1]
    assert roc_auc_score(test["responded"], said) < stratified - 0.05


def test_sentences_say_numbers(study):
    contacts, split, gate, _, found = study
    said = [
        words.say_split(contacts, split),
        title_gate(gate) + ".",
        words.say_choice(found),
        words.say_calibration(found),
        words.say_people(found),
        words.say_resampling(found),
    ]
    assert all(text.rstrip("*").endswith(".") and "nan" not in text for text in said)
    assert f"test {len(split.test):,}" in said[0]
    assert f"{found.row(calibrated=True)['roc_auc']:.3f}" in said[2]
    assert "The top 50% hold" in said[4]
    assert set(words.METHODS) == set(METHODS)
    assert title_calibration(found).startswith("Predicted probabilities are off by")
    assert (
        title_gain(found)
        == f"The top 20% of contacts hold {found.gain_at(0.2)['found_share']:.1%} of the responses"
    )


def test_what_is_handed_on_is_what_the_models_say(study):
    contacts, split, *_, found = study
    told = contact_probabilities(found, contacts, split, response_window_days=7)
    assert told["part"].value_counts().to_dict() == {
        "fit": len(split.fit),
        "calibrate": len(split.calibrate),
        "test": len(split.test),
        **({"purged": len(split.purged)} if len(split.purged) else {}),
    }
    np.testing.assert_allclose(told["probability"].iloc[split.test], found.probability, rtol=0, atol=1e-15)
    assert told["probability"].iloc[split.fit].isna().all()
    trees, rows = found.model("xgboost", "none"), contacts.rows.iloc[split.test]
    by_sms = trees.probability(rows.assign(channel="sms"), calibrated=True)
    np.testing.assert_allclose(told["probability_sms"].iloc[split.test], by_sms, rtol=0, atol=1e-15)
    one_more = trees.probability(rows.assign(n_contacts_28d=rows["n_contacts_28d"] + 1), calibrated=True)
    np.testing.assert_allclose(told["probability_one_more"].iloc[split.test], one_more, rtol=0, atol=1e-15)
    assert (told["known_at"] - contacts.rows["occurred_at"] == pd.Timedelta(days=7)).all()
    assert _written_off(contacts, found, told) == 0
    slipped = told.assign(probability=told["probability"].shift())
    assert _written_off(contacts, found, slipped) > 0.001
