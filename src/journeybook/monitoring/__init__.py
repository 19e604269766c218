"""Monitoring: whether the data and the models are still what they were (page 15).

| module | holds |
|---|---|
| series | what is counted by day, table and source |
| limits | what is expected of a day; alarms with a budget of false ones; verdicts against a margin |
| faults | faults planted into clean histories: how often they are found, and how soon; clean histories |
| drift | the newest rows against the reference: covariates, label, concept, calibration |
| acting | the model of page 07 on its newest contacts: keep it, calibrate it anew, train it anew |
| learning | training frozen, a little each week, anew, on schedule or when told, honestly forward |
| replay, adaptive | a contextual bandit on logged contacts, beside fixed choices; for the page |
| upkeep, acting_holds | both for the page, in words; made again by another road |
| fairness, serving, serving_holds | groups of people along the pipeline; for the page; made again |
| witnesses | the page's figures by another road |
| words, findings | what the page says |
"""

from journeybook.monitoring.acting_holds import upkeep_holds
from journeybook.monitoring.adaptive import adaptive_holds, find_adaptive, say_adaptive, try_adaptive
from journeybook.monitoring.drift import (
    contacts_of,
    fit_concept,
    measure_drift,
    profile_of,
    psi_alarms,
    read_reference,
    split_newest,
)
from journeybook.monitoring.faults import clean_alarms, find_faults
from journeybook.monitoring.findings import find
from journeybook.monitoring.limits import Margins, evidence, learn, limit_of, stand, sums_of, to_act_on, watch
from journeybook.monitoring.series import count_days, default_holidays, default_sources
from journeybook.monitoring.serving import find_served, say_served, try_serving
from journeybook.monitoring.serving_holds import serving_holds
from journeybook.monitoring.upkeep import find_upkeep, keep_or_retrain, say_upkeep
from journeybook.monitoring.witnesses import (
    alarms_hold,
    clean_holds,
    counts_hold,
    drift_holds,
    expectation_holds,
    place_of,
    planted_alarms,
    planted_hold,
    psi_holds,
)
