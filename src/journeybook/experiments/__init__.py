"""Experiments: did the change work, for whom, how sure are we, and may we look already (page 11).

| module | holds |
|---|---|
| measures, variants | which columns are metrics and covariates, which variant is the control |
| aggregation | units from exposures and outcomes in rows; who withdrew a consent |
| plan, looks | what was decided beforehand; what was looked at before |
| power, assignment | how many units are needed; which variant a unit gets |
| health | whether the experiment can be trusted, and how its effects must be read |
| contrasts | Welch, CUPED, ratios and Fieller from sufficient statistics |
| resampling, survival | quantiles and means by the bootstrap; time to an event |
| faults, exact | clusters and shares that moved; arms of few units |
| comparisons | every variant against the control: the headline |
| alternatives | other methods beside the headline |
| corrections | many comparisons |
| factorial | 2x2, 2^k and fractions of them |
| sequential, cumulative | intervals and boundaries for many looks; the effect at each look |
| bayes, equivalence | beliefs and losses; margins and effect sizes |
| subgroups, heterogeneity | for whom: planned, and searched honestly |
| bandits, simulations | what adaptive assignment and each procedure do where the truth is known |
| distributions, decision | how values are spread; ship, do not ship, or keep running |
| witnesses | the headline by another road, for the page's checks |
| findings | what the page found, for whoever decides |
| words, words_design, words_methods | the sentences of the page |
"""

from journeybook.experiments.aggregation import UnitRows, rows_sentence, units_from_rows, with_withdrawals
from journeybook.experiments.alternatives import METHOD_COLUMNS, alternatives
from journeybook.experiments.assignment import assign, assignment_checks
from journeybook.experiments.bandits import BanditStudy, bandit_study
from journeybook.experiments.bayes import posteriors
from journeybook.experiments.comparisons import COMPARISON_COLUMNS, Experiment, compare
from journeybook.experiments.contrasts import (
    ArmMoments,
    Contrast,
    Effect,
    Ratio,
    arm_moments,
    contrast,
    effect_of,
    metric_moments,
    proportion_moments,
    ratio_moments,
    relative_lift,
)
from journeybook.experiments.corrections import (
    CORRECTIONS,
    adjust,
    adjust_rows,
    benjamini_hochberg,
    benjamini_yekutieli,
    dunnett,
    holm,
)
from journeybook.experiments.cumulative import effects_so_far
from journeybook.experiments.decision import DECISION_COLUMNS, decide, decision_sentence
from journeybook.experiments.distributions import distributions
from journeybook.experiments.equivalence import effect_sizes, equivalence, guardrails, non_inferiority
from journeybook.experiments.factorial import (
    FACTORIAL_COLUMNS,
    Design,
    cells_that_differ,
    design,
    factorial_effects,
)
from journeybook.experiments.faults import by_cluster, cluster_sentence, moved_periods
from journeybook.experiments.findings import find
from journeybook.experiments.health import (
    HEALTH_COLUMNS,
    SampleRatio,
    alarms,
    cautions,
    cuped_checks,
    daily_effects,
    health,
    novelty_checks,
    sample_ratio,
)
from journeybook.experiments.heterogeneity import Heterogeneity, search_heterogeneity
from journeybook.experiments.looks import Look, experiment_key, fingerprint, look
from journeybook.experiments.measures import Measures, Metric, known_before, lower_is_better, measures, numbers
from journeybook.experiments.plan import Plan, is_over, plan_sha256, plan_table, read_plan, units_a_day
from journeybook.experiments.power import (
    minimum_detectable_effect,
    power_curve,
    power_of,
    power_table,
    sample_size,
)
from journeybook.experiments.resampling import poisson_bootstrap, quantile_effect
from journeybook.experiments.sequential import SPENDING, always_valid, boundaries, crossing, looking
from journeybook.experiments.simulations import FalsePositives, a_a_rates
from journeybook.experiments.subgroups import subgroups
from journeybook.experiments.survival import log_rank, survival_curves
from journeybook.experiments.variants import Arms, arms_of, choose_control
from journeybook.experiments.witnesses import procedure_witnesses, witnesses
from journeybook.experiments.words import (
    beside_truth,
    effects_sentence,
    factorial_sentence,
    headline_figures,
    health_sentence,
    novelty_sentence,
    plan_sentence,
)
from journeybook.experiments.words_design import (
    assignment_sentence,
    bandit_sentence,
    direction_sentence,
    followed_sentence,
    guardrails_sentence,
    look_sentence,
    looking_sentence,
    posteriors_sentence,
    power_sentence,
)
from journeybook.experiments.words_methods import (
    error_rates_sentence,
    heterogeneity_sentence,
    methods_sentence,
    subgroups_sentence,
)

__all__ = [
    "COMPARISON_COLUMNS",
    "CORRECTIONS",
    "DECISION_COLUMNS",
    "FACTORIAL_COLUMNS",
    "HEALTH_COLUMNS",
    "METHOD_COLUMNS",
    "SPENDING",
    "ArmMoments",
    "Arms",
    "BanditStudy",
    "Contrast",
    "Design",
    "Effect",
    "Experiment",
    "FalsePositives",
    "Heterogeneity",
    "Look",
    "Measures",
    "Metric",
    "Plan",
    "Ratio",
    "SampleRatio",
    "UnitRows",
    "a_a_rates",
    "adjust",
    "adjust_rows",
    "alarms",
    "alternatives",
    "always_valid",
    "arm_moments",
    "arms_of",
    "assign",
    "assignment_checks",
    "assignment_sentence",
    "bandit_sentence",
    "bandit_study",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "beside_truth",
    "boundaries",
    "by_cluster",
    "cautions",
    "cells_that_differ",
    "choose_control",
    "cluster_sentence",
    "compare",
    "contrast",
    "crossing",
    "cuped_checks",
    "daily_effects",
    "decide",
    "decision_sentence",
    "design",
    "direction_sentence",
    "distributions",
    "dunnett",
    "effect_of",
    "effect_sizes",
    "effects_sentence",
    "effects_so_far",
    "equivalence",
    "error_rates_sentence",
    "experiment_key",
    "factorial_effects",
    "factorial_sentence",
    "find",
    "fingerprint",
    "followed_sentence",
    "guardrails",
    "guardrails_sentence",
    "headline_figures",
    "health",
    "health_sentence",
    "heterogeneity_sentence",
    "holm",
    "is_over",
    "known_before",
    "log_rank",
    "look",
    "look_sentence",
    "looking",
    "looking_sentence",
    "lower_is_better",
    "measures",
    "methods_sentence",
    "metric_moments",
    "minimum_detectable_effect",
    "non_inferiority",
    "moved_periods",
    "novelty_checks",
    "novelty_sentence",
    "numbers",
    "plan_sentence",
    "plan_sha256",
    "plan_table",
    "poisson_bootstrap",
    "posteriors",
    "posteriors_sentence",
    "power_curve",
    "power_of",
    "power_sentence",
    "power_table",
    "proportion_moments",
    "procedure_witnesses",
    "quantile_effect",
    "ratio_moments",
    "read_plan",
    "relative_lift",
    "rows_sentence",
    "sample_ratio",
    "sample_size",
    "search_heterogeneity",
    "subgroups",
    "subgroups_sentence",
    "survival_curves",
    "units_a_day",
    "units_from_rows",
    "with_withdrawals",
    "witnesses",
]
