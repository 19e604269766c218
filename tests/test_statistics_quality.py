"""Page 07: measures against scikit-learn, calibration error and gain by hand, intervals by simulation."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from journeybook.statistics import cluster_weights
from journeybook.statistics.quality import gain, qualities, quality, reliability


@pytest.mark.parametrize("decimals", [12, 2], ids=["no ties", "ties"])
def test_measures_are_those_of_scikit_learn(decimals):
    rng = np.random.default_rng(8)
    said = np.clip(rng.beta(2, 9, 2003).round(decimals), 0.01, 0.99)
    responded = (rng.random(2003) < said).astype(int)
    weights = cluster_weights(rng.integers(300, size=2003), n_draws=20, rng=rng)
    found = quality(said, responded, weights)
    measures = (roc_auc_score, average_precision_score, log_loss, brier_score_loss)
    assert found.estimate[:4] == pytest.approx([m(responded, said) for m in measures], abs=1e-12)
    assert found.draws[7] == pytest.approx(
        [m(responded, said, sample_weight=weights[7]) for m in measures], abs=1e-12
    )


def test_calibration_error_by_hand():
    said = np.repeat(np.arange(10) / 20 + 0.05, 20)
    responded = np.tile([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 20)
    found = quality(said, responded, np.ones((5, 200)))
    # Ten bins of 20 rows, each with a rate of 0.1.
    assert found.estimate[4] == pytest.approx(np.abs(np.arange(10) / 20 + 0.05 - 0.1).mean())
    table = reliability(said, responded)
    assert table["observed"].tolist() == [0.1] * 10
    assert table["predicted"].to_numpy() == pytest.approx(np.arange(10) / 20 + 0.05)


def test_the_floor_is_what_true_probabilities_show():
    rng = np.random.default_rng(4)
    said = rng.beta(2, 14, 3000)
    shown = []
    for _ in range(60):
        responded = (rng.random(3000) < said).astype(int)
        shown.append(quality(said, responded, np.ones((1, 3000))).estimate[4])
    weights = cluster_weights(np.arange(3000), n_draws=200, rng=rng)
    assert quality(said, responded, weights).ece_floor == pytest.approx(np.mean(shown), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_intervals_hold_the_truth_as_often_as_they_say(shift):
    rng = np.random.default_rng(6)

    def draw(n: int) -> tuple[np.ndarray, ...]:
        person = rng.integers(n // 5, size=n)
        logit = -2 + 0.8 * rng.normal(size=n) + 0.6 * rng.normal(size=n // 5)[person]
        true = 1 / (1 + np.exp(-logit))
        return person, true, 1 / (1 + np.exp(-(logit + shift))), (rng.random(n) < true).astype(int)

    _, true, said, responded = draw(400_000)
    parts = np.array_split(np.argsort(said), 10)
    ece = np.mean([abs(true[part].mean() - said[part].mean()) for part in parts])
    target = np.array([roc_auc_score(responded, said), ece])
    held = np.zeros(2)
    for _ in range(200):
        person, _, said, responded = draw(2500)
        interval = quality(said, responded, cluster_weights(person, n_draws=200, rng=rng)).interval()
        ends = np.column_stack([interval.low, interval.high])[[0, 4]]
        held += (ends[:, 0] <= target) & (target <= ends[:, 1])
    # 95 % for the AUC, less three Monte Carlo errors; the ECE's interval is at least that.
    assert (held / 200 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)).all()


@pytest.mark.parametrize(
    ("said", "responded", "message"),
    [
        ([0.1, 1.2], [0, 1], "below 0 or above 1"),
        ([0.1, np.nan], [0, 1], "a probability is missing"),
        ([0.1, 0.2], [1, 1], "both outcomes are needed"),
        ([0.1, 0.2], [0, 1, 1], "do not belong together"),
    ],
)
def test_probabilities_that_cannot_be_judged(said, responded, message):
    with pytest.raises(ValueError, match=message):
        quality(np.array(said), np.array(responded), np.ones((2, 2)))


def test_gain_by_hand():
    said, responded = np.array([0.9, 0.1, 0.8, 0.2]), np.array([1, 0, 0, 1])
    table = gain(said, responded, np.ones((2, 4)), shares=[0, 0.25, 0.75, 1])
    assert table["found_share"].tolist() == [0, 0.5, 1, 1]
    assert table["lift"].tolist()[1:] == pytest.approx([2, 4 / 3, 1])


def test_probabilities_of_one_order_are_measured_as_if_alone():
    rng = np.random.default_rng(5)
    said, responded = rng.random(500), rng.integers(2, size=500)
    weights = cluster_weights(rng.integers(60, size=500), n_draws=7, rng=rng)
    same, other, tied = said**2, rng.random(500), said.round(1)
    for each, found in zip(
        (said, same, other, tied), qualities([said, same, other, tied], responded, weights), strict=True
    ):
        alone = quality(each, responded, weights)
        np.testing.assert_array_equal(found.estimate, alone.estimate)
        np.testing.assert_array_equal(found.gap_draws, alone.gap_draws)
