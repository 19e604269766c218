"""Experiments: did the change work, for whom, may we look already, ship or not (page 11).

| module | holds |
|---|---|
| aggregation | units from exposures, outcomes or values in rows; clusters; who withdrew a consent |
| summaries | arms that come summed up |
| measures, variants | which columns are metrics and covariates, which variant is the control |
| maturity | units whose outcomes are still coming in |
| plan, looks | what was decided beforehand; what was looked at before |
| health | whether the experiment can be trusted, and how its effects must be read |
| comparisons | every variant against the control: the headline |
| factorial | 2x2, 2^k and fractions of them |
| subgroups, heterogeneity | for whom: planned, and searched honestly |
| cumulative | the effect at each look |
| decision | guardrails; ship, do not ship, or keep running |
| witnesses, recount | headline and further tables by another road, and beside what was planted |
| words, findings | what the page says |
"""

from journeybook.experiments.aggregation import by_cluster, units_from_rows, with_withdrawals, with_zeros
from journeybook.experiments.comparisons import compare
from journeybook.experiments.cumulative import clearest, effects_so_far
from journeybook.experiments.decision import decide, guardrails
from journeybook.experiments.factorial import factorial_effects
from journeybook.experiments.findings import find
from journeybook.experiments.health import alarms, cautions, daily_effects, health, moved_periods
from journeybook.experiments.heterogeneity import search_heterogeneity
from journeybook.experiments.looks import look_at
from journeybook.experiments.maturity import ripe_units
from journeybook.experiments.measures import known_before, measures
from journeybook.experiments.plan import is_over, lower_is_better, plan_table, read_plan
from journeybook.experiments.recount import tables_hold, units_hold
from journeybook.experiments.subgroups import subgroups
from journeybook.experiments.summaries import summed_arms
from journeybook.experiments.variants import n_units, units_in_arms
from journeybook.experiments.witnesses import hold_against_truth, procedure_witnesses, witnesses
