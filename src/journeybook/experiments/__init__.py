"""Experiments: did the change work, by how much, and may the answer be trusted (page 11).

| module | holds |
|---|---|
| measures | which columns are metrics and covariates, which variant is the control |
| health | sample ratio, units in two arms, missing outcomes, balance before |
| contrasts | Welch, CUPED and Fieller from sufficient statistics |
| comparisons | every variant against the control, corrected; 2x2 designs |
| simulations | false positives of peeking, and of the page's own tests |
| words | the sentences of the page |
"""

from journeybook.experiments.comparisons import COMPARISON_COLUMNS, Experiment, compare, holm
from journeybook.experiments.contrasts import (
    ArmMoments,
    Contrast,
    Ratio,
    contrast,
    moments,
    proportion_moments,
    relative_lift,
)
from journeybook.experiments.health import SampleRatio, health, sample_ratio
from journeybook.experiments.measures import Measures, choose_control, factors, measures, numbers, variant_labels
from journeybook.experiments.simulations import FalsePositives, a_a_rates, most_skewed, peeking
from journeybook.experiments.words import (
    beside_truth,
    effects_sentence,
    factorial_sentence,
    headline_figures,
    health_sentence,
    summary,
)

__all__ = [
    "COMPARISON_COLUMNS",
    "ArmMoments",
    "Contrast",
    "Experiment",
    "FalsePositives",
    "Measures",
    "Ratio",
    "SampleRatio",
    "a_a_rates",
    "beside_truth",
    "choose_control",
    "compare",
    "contrast",
    "effects_sentence",
    "factorial_sentence",
    "factors",
    "headline_figures",
    "health",
    "health_sentence",
    "holm",
    "measures",
    "moments",
    "most_skewed",
    "numbers",
    "peeking",
    "proportion_moments",
    "relative_lift",
    "sample_ratio",
    "summary",
    "variant_labels",
]
