"""Page 07: the model card's figures are the tables' own."""

import re

import ibis
import numpy as np
import pandas as pd
import pytest
from channel_response_toys import imputer_of

from journeybook.channel_response import contact_frame, leak_gate, model_card, split_contacts, training_contract
from journeybook.channel_response.models import calibrated_model, fit_together, response_pipelines
from journeybook.channel_response.study import MethodComparison
from journeybook.statistics import cluster_weights, stream
from journeybook.statistics.quality import quality


@pytest.fixture(scope="module")
def judged():
    """Contacts with a leak, their gate, and one model with its row of qualities."""
    rng = np.random.default_rng(31)
    n = 6000
    habit = rng.normal(size=n)
    channel = rng.choice(["email", "none"], n)
    rate = 1 / (1 + np.exp(1.8 - 0.8 * habit - 0.6 * (channel == "email") * (habit < 0)))
    table = pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "channel": channel,
            "propensity": 0.5,
            "responded": rng.random(n) < rate,
            "habit": habit,
            "duration": rng.random(n),
        }
    )
    contacts = contact_frame(ibis.memtable(table), None, max_rows=10_000)
    shares = {"test_share": 0.5, "calibration_share": 0.3, "response_window_days": 0}
    split = split_contacts(contacts, **shares, rng=stream(1, "split"))
    gate = leak_gate(contacts, split, known_after_contact=[], known_before_contact=[], max_single_auc=0.8)
    rows = contacts.rows[[*gate.features, "responded"]]
    fit, calibrate, test = (rows.iloc[part] for part in (split.fit, split.calibrate, split.test))
    settings = [("xgboost", {"max_depth": 3, "n_estimators": 30})]
    (pipeline,) = response_pipelines(
        fit, settings, resampling="none", imputer=imputer_of(fit), rng=stream(1, "models")
    )
    fit_together([pipeline], fit)
    model = calibrated_model(pipeline, calibrate, method="xgboost", resampling="none", shift=0.0)
    said, responded = model.probability(test, calibrated=True), test["responded"].to_numpy()
    weights = cluster_weights(np.arange(len(test)), n_draws=40, rng=stream(1, "bootstrap"))
    row = {"method": "xgboost", "resampling": "none", "channel": "all", "calibrated": True}
    methods = pd.DataFrame([{**row, **quality(said, responded, weights).record()}])
    empty = pd.DataFrame()
    found = MethodComparison(methods, empty, empty, empty, empty, empty, (model,), model, said, responded, weights)
    return contacts, split, gate, found


def test_the_card_tells_the_tables_figures(judged):
    contacts, split, gate, found = judged
    contract = training_contract(contacts, found.chosen)
    card = model_card(contacts, split, gate, found, contract, data_is="SIMULATED")
    row = found.methods.iloc[0]
    for name, title in (("roc_auc", "ROC AUC"), ("ece", "expected calibration error"), ("brier", "Brier score")):
        line = f"| {title} | all | {row[name]:.3f} | {row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f} |"
        assert line in card
    assert "`duration`" in re.search(r"Kept out.*", card)[0]
    assert "It reads as numbers `habit`; as levels `channel`." in card
    assert (
        f"{len(split.test):,} contacts ({contacts.rows['responded'].iloc[split.test].mean():.1%} responded)"
        in card
    )
    assert "Data: SIMULATED." in card
    assert split.warning in card
    assert "$" not in card
