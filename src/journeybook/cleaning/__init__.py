"""Page 02: what is wrong in the rows, and what was done about it.

A row is changed only by a rule with a name, and the change log counts the rows of every rule. Rows are never
lost: what is not clean is flagged or set aside, and both are counted. Outcomes, variants and metrics are passed
through as they are.
"""

from journeybook.cleaning.attributes import clean_products, clean_third_party, pass_through
from journeybook.cleaning.findings import find
from journeybook.cleaning.imputation import (
    METHODS,
    Cells,
    ImputationTrial,
    advise,
    correlated_normals,
    holed_cells,
    impute,
    impute_trial,
)
from journeybook.cleaning.log import Cleaned, Rule, change_log, renumber, shape
from journeybook.cleaning.missing import (
    chance_of_more,
    customer_spend,
    missing_report,
    presence_by_spend,
    trading_days,
)
from journeybook.cleaning.mistakes import Mistakes, find_mistakes, say_mistakes, within_reach
from journeybook.cleaning.mistakes_witness import mistakes_hold
from journeybook.cleaning.records import clean_postcodes, clean_records, has_five_digit_postcodes
from journeybook.cleaning.sentences import (
    by_method,
    differs,
    metrics,
    say_changes,
    say_copies,
    say_imputation,
    say_missing,
    say_pitfall,
    say_receipts,
    say_records,
)
from journeybook.cleaning.stage import PASSED_THROUGH, Cleaning, clean_tables, row_places, rows_set_aside
from journeybook.cleaning.transactions import clean_transactions, revenue_fence
from journeybook.cleaning.witness import (
    count_altered,
    count_unlike,
    distinct_values,
    revenue_lost,
    rows_hold,
    study_holds,
    trial_holds,
    volume_share,
)

__all__ = [
    "METHODS",
    "PASSED_THROUGH",
    "Cells",
    "Cleaned",
    "Cleaning",
    "ImputationTrial",
    "Mistakes",
    "Rule",
    "advise",
    "by_method",
    "chance_of_more",
    "change_log",
    "clean_postcodes",
    "clean_products",
    "clean_records",
    "clean_tables",
    "clean_third_party",
    "clean_transactions",
    "correlated_normals",
    "count_altered",
    "count_unlike",
    "customer_spend",
    "differs",
    "distinct_values",
    "find",
    "find_mistakes",
    "has_five_digit_postcodes",
    "holed_cells",
    "impute",
    "impute_trial",
    "metrics",
    "missing_report",
    "mistakes_hold",
    "pass_through",
    "presence_by_spend",
    "renumber",
    "revenue_fence",
    "revenue_lost",
    "rows_hold",
    "row_places",
    "rows_set_aside",
    "say_changes",
    "say_copies",
    "say_imputation",
    "say_missing",
    "say_mistakes",
    "say_pitfall",
    "say_receipts",
    "say_records",
    "shape",
    "study_holds",
    "trading_days",
    "trial_holds",
    "volume_share",
    "within_reach",
]
