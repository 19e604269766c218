"""Page 07: the search keeps to its budget, and says what cross-validation says."""

import dataclasses

import channel_response_toys
import numpy as np
import pytest
from channel_response_toys import BUDGET
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from journeybook import channel_response as cr
from journeybook.channel_response.models import response_pipelines
from journeybook.channel_response.search import search_folds
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def study():
    """Contacts, split, gate, search and comparison."""
    return channel_response_toys.study()


def test_the_search_keeps_to_its_budget_and_to_its_contacts(study):
    contacts, split, gate, search, _ = study
    assert search.n_fits == 4 * 3 * 1 * 2
    assert set(search.places) <= set(split.fit)
    assert len(search.places) == pytest.approx(2000, rel=0.1)
    assert search.trials.groupby(["method", "resampling"])["chosen"].sum().eq(1).all()
    trees = search.settings["xgboost", "none"]["n_estimators"]
    assert 1 <= trees <= BUDGET["n_trees"]
    with pytest.raises(ValueError, match="n_settings must lie in 1 to 4"):
        cr.search_settings(contacts, split, gate, **(BUDGET | {"n_settings": 9}), rng=stream(1, "x"))
    with pytest.raises(ValueError, match="fold 1 of the search holds"):
        cr.search_settings(contacts, split, gate, **(BUDGET | {"max_rows": 4}), rng=stream(1, "x"))


def test_the_search_says_what_cross_validation_says(study):
    contacts, split, gate, search, _ = study
    places, fold = search_folds(contacts, split, n_folds=2, max_rows=2000, rng=stream(1, "search"))
    np.testing.assert_array_equal(places, search.places)
    rows = contacts.rows.iloc[places][[*gate.features, "responded"]]
    assert not set(rows.index[fold == 0]) & set(rows.index[fold == 1])
    people = contacts.rows["person"].to_numpy()[places]
    assert not set(people[fold == 0]) & set(people[fold == 1])
    (plain,) = response_pipelines(
        rows, [("logistic", {"C": 1.0})], resampling="none", imputer=contacts.imputer, rng=stream(1, "x")
    )
    features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
    said = cross_val_predict(plain, features, responded, cv=PredefinedSplit(fold), method="predict_proba")[:, 1]
    assert search.said["logistic", "none"] == pytest.approx(said, abs=1e-9)
    trial = search.trials.query("method == 'logistic' and resampling == 'none'").iloc[0]
    by_fold = [log_loss(responded[fold == k], said[fold == k]) for k in (0, 1)]
    assert trial["log_loss"] == pytest.approx(np.mean(by_fold), abs=1e-9)
    assert trial["log_loss_sd"] == pytest.approx(np.std(by_fold, ddof=1), abs=1e-9)


def test_no_feature_left(study):
    contacts, split, gate, *_ = study
    with pytest.raises(ValueError, match="no feature is left"):
        none = dataclasses.replace(gate, features=())
        cr.search_settings(contacts, split, none, **BUDGET, rng=stream(1, "x"))
