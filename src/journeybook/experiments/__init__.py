"""Experiments: did the change work, by how much, and may the answer be trusted (page 11).

| module | holds |
|---|---|
| measures | which columns are metrics and covariates, which variant is the control |
| health | sample ratio, units in two arms, missing outcomes, balance before |
| contrasts | Welch, CUPED and Fieller from sufficient statistics |
| comparisons | every variant against the control, corrected; 2x2 designs |
| simulations | false positives of peeking, and of the page's own tests |
"""

from journeybook.experiments.comparisons import COMPARISON_COLUMNS, Experiment, compare, holm
from journeybook.experiments.contrasts import ArmMoments, Contrast, Ratio, contrast, moments, relative_lift
from journeybook.experiments.health import SampleRatio, health, sample_ratio
from journeybook.experiments.measures import Measures, choose_control, factors, measures, numbers, variant_labels
from journeybook.experiments.simulations import FalsePositives, a_a_rates, peeking

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
    "choose_control",
    "compare",
    "contrast",
    "factors",
    "health",
    "holm",
    "measures",
    "moments",
    "numbers",
    "peeking",
    "relative_lift",
    "sample_ratio",
    "variant_labels",
]
