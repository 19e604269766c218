"""02 Cleaning: what is wrong in the rows, and what was done about it.

A row is changed only by a rule with a name, and the change log counts the rows of every rule. What is not clean is
flagged or set aside, and counted. Outcomes, variants and metrics pass through as they are.

stage.py         all tables: each by its own rules, every row accounted for
log.py           a rule, and the change log
mistakes.py      what sources get wrong: encodings, sentinels, test records, exchanged cells, doubled deliveries
records.py       customer records, written one way
transactions.py  the kind of each receipt line; returns and their sale
attributes.py    products and third-party attributes
texts.py         what customers wrote, by a lexicon
missing.py       what is missing, and whether that goes with spend
cells.py         known cells that can be hidden
imputation.py    a trial of filling in, and the rule by which each column is filled in
findings.py      what a manager should know
witnesses.py     what the page is held against
words.py         sentences and headline figures
"""

from journeybook.cleaning.cells import holed_cells
from journeybook.cleaning.findings import find
from journeybook.cleaning.imputation import (
    SENDS,
    ImputationTrial,
    choose,
    contact_imputers,
    imputation_rules,
    impute_trial,
    pooled_means,
)
from journeybook.cleaning.missing import missing_report, presence_by_spend
from journeybook.cleaning.mistakes import score_mistakes
from journeybook.cleaning.stage import clean_tables, row_places, rows_set_aside
from journeybook.cleaning.witnesses import (
    handed_on_holds,
    means_hold,
    mistakes_hold,
    rows_hold,
    taught_holds,
    trial_holds,
)
from journeybook.cleaning.words import (
    by_method,
    metrics,
    say_imputation,
    title_missing,
)
