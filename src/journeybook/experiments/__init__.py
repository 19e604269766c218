"""Experiments: did the change work, for whom, how sure are we, and may we look already (page 11)."""

from journeybook.experiments.aggregation import UnitRows, rows_sentence, units_from_rows
from journeybook.experiments.comparisons import COMPARISON_COLUMNS, Experiment, compare
from journeybook.experiments.contrasts import (
    ArmMoments,
    Contrast,
    Ratio,
    contrast,
    moments,
    proportion_moments,
    relative_lift,
)
from journeybook.experiments.corrections import adjust, holm
from journeybook.experiments.factorial import design, factorial_effects
from journeybook.experiments.health import (
    SampleRatio,
    cuped_checks,
    daily_effects,
    health,
    novelty_checks,
    sample_ratio,
)
from journeybook.experiments.measures import Measures, Metric, measures, numbers
from journeybook.experiments.plan import Plan, is_over, plan_table, read_plan
from journeybook.experiments.simulations import FalsePositives, a_a_rates, most_skewed, peeking
from journeybook.experiments.variants import arms_of, choose_control
from journeybook.experiments.words import (
    beside_truth,
    effects_sentence,
    factorial_sentence,
    headline_figures,
    health_sentence,
    summary,
)
