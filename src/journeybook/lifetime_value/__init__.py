"""06 Lifetime value: what each customer will spend, who is still a customer, and how sure that is.

summary.py    what receipts tell of each customer; purchases a week
period.py     what the period of the data cannot tell
terms.py      whether customers buy at any time, at occasions or under a contract
family.py     what a model is, and the histories it is fitted to
models.py     BG/NBD, MBG/NBD and Pareto/NBD
bg_bb.py      BG/BB, for occasions
contracts.py  the shifted beta geometric, for contracts
fitting.py    maximum likelihood with a certificate
spend.py      what a purchase is worth: Gamma-Gamma, or its fallback
holdout.py    models and baselines on a time that none has seen
intervals.py  intervals for single customers, and whether they hold
cohorts.py    customers by the quarter of their first purchase
pitfalls.py   a mean of the past, and judging where one has learned
value.py      value over a horizon with its interval, tiers
findings.py   what a manager should know
witnesses.py  what the page is held against
words.py      titles, sentences and headline figures
"""

from journeybook.lifetime_value.cohorts import by_cohort, cohorts_hold
from journeybook.lifetime_value.findings import find
from journeybook.lifetime_value.holdout import (
    MODELS,
    Judged,
    by_past,
    by_period,
    by_tier,
    by_week,
    family_of,
    histories_of,
    judge,
)
from journeybook.lifetime_value.intervals import intervals_hold, judge_intervals
from journeybook.lifetime_value.models import fit
from journeybook.lifetime_value.period import check_customers, read_period, split_of
from journeybook.lifetime_value.pitfalls import find_pitfall
from journeybook.lifetime_value.spend import spend_a_purchase, spend_holds
from journeybook.lifetime_value.summary import (
    customer_summary,
    purchase_days,
    weekly_purchases,
    with_covariates,
    with_features,
)
from journeybook.lifetime_value.terms import find_terms, of_contracts, say_terms, under_terms
from journeybook.lifetime_value.value import Value, customer_value
from journeybook.lifetime_value.witnesses import contracts_hold, models_hold, recount, tiers_hold, value_holds
from journeybook.lifetime_value.words import (
    headline,
    say_cohorts,
    say_intervals,
    say_models,
    say_period,
    say_spend,
    title_cohorts,
    title_judged,
    title_tiers,
)
