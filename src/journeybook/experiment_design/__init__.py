"""Experiment design: how large, how long, how to assign, fixed or adaptive (page 12).

| module | holds |
|---|---|
| sizing | what is known of the next test's units; how many it needs, for how long, and what it can detect |
| assignment | a unit's variant by a salted hash |
| rules | rules of stopping: what each errs and what each costs |
| bandits | adaptive assignment where the truth is known |
| witnesses | the page's figures by another road |
| words, findings | what the page says |
"""

from journeybook.experiment_design.assignment import assignment_checks, unit_ids_of
from journeybook.experiment_design.bandits import bandit_study, planned_rates
from journeybook.experiment_design.findings import find
from journeybook.experiment_design.rules import compare_rules
from journeybook.experiment_design.sizing import detectable, last_units, sizes, spread, units_a_day
from journeybook.experiment_design.witnesses import assignment_holds, bandits_hold, rules_hold, sizes_hold
