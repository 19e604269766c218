"""Errors planted in page 02."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

import ibis
import numpy as np

from mutants.planted import Mutant

PARAMETERS = {"max_rows": 1000}


def fields(change: Callable) -> Callable:
    """A change of the tidy fields of customer records."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(records: Any, *args: Any, **asked: Any) -> Any:
            tidy = sound(records, *args, **asked)
            return tidy | change(records, tidy)

        return wrong

    return planted_in


def rows_of(name: str, change: Callable) -> Callable:
    """A change of one table after cleaning."""

    def planted_in(sound: Callable) -> Callable:
        def wrong(accepted: Any, **asked: Any) -> Any:
            found = sound(accepted, **asked)
            return replace(found, tables=found.tables | {name: change(found.tables[name])})

        return wrong

    return planted_in


def no_mail(_records: Any, _tidy: dict) -> dict:
    return {"email": ibis.null("string")}


def surnames(records: Any, _tidy: dict) -> dict:
    return {"phone": records.surname}


def code_cut_twice(_records: Any, tidy: dict) -> dict:
    return {"phone": tidy["phone"].substr(3)}


def dear_lines_cut(lines: Any) -> Any:
    return lines.mutate(revenue=ibis.least(lines.revenue, 20).cast(lines.revenue.type()))


def units_of_all(lines: Any) -> Any:
    return lines.mutate(units=ibis.ifelse(lines.quantity > 1, 1, lines.units).cast(lines.units.type()))


def outcomes_shifted(contacts: Any) -> Any:
    later = contacts.responded.lag().over(order_by=contacts.row)
    return contacts.mutate(responded=later.fill_null(False))


def some_lost(table: Any) -> Any:
    return table.filter(table.row % 50 != 0)


def brands_mixed(products: Any) -> Any:
    return products.mutate(brand=products.brand.lead().over(order_by=products.row))


def peeking(sound: Callable) -> Callable:
    """Cells are filled in with what was hidden, half of it."""

    def wrong(holes: Any, column: str, *args: Any) -> Any:
        sets = sound(holes, column, *args)
        return np.where(holes[column].isna(), (sets + sets.mean()) / 2, sets)

    return wrong


def touched_by_rule(sound: Callable) -> Callable:
    def wrong(tables: Any, *cleaned: Any) -> Any:
        n = [int(one.changes.rows_changed.sum()) for one in cleaned[0].values()]
        return sound(tables, *cleaned).assign(rows_touched=n)

    return wrong


def known_is_missing(sound: Callable) -> Callable:
    def wrong(tables: Any) -> Any:
        report = sound(tables)
        return report.assign(n_missing=report["n_rows"] - report["n_missing"])

    return wrong


def no_empties(sound: Callable) -> Callable:
    def wrong(tables: Any) -> Any:
        with patch("journeybook.cleaning.missing.EMPTIES", ()):
            return sound(tables)

    return wrong


def beyond(sound: Callable) -> Callable:
    """Expected values are nine times as large."""

    def wrong(holes: Any, column: str, method: str, *args: Any) -> Any:
        sets = sound(holes, column, method, *args)
        return np.where(holes[column].isna() & (method == "model"), 9 * sets, sets)

    return wrong


def no_phones(sound: Callable) -> Callable:
    def wrong(*args: Any) -> Any:
        cells = sound(*args)
        return cells.filter(cells.column != "phone")

    return wrong


def seen_cells(sound: Callable) -> Callable:
    def wrong(truth: Any, filled: Any, hidden: Any, **asked: Any) -> Any:
        return sound(truth, filled, ~hidden, **asked)

    return wrong


def no_rule(_sound: Callable) -> Callable:
    return lambda *args: []


def half_exchanged(sound: Callable) -> Callable:
    return lambda records: sound(records)[::2]


def same_session(_sound: Callable) -> Callable:
    """A row of a session, or contact, that was seen before is taken for a copy."""

    def wrong(table: Any, once: Any) -> Any:
        return ibis.row_number().over(group_by=table[once[0]], order_by=table.row) > 0

    return wrong


def free_as_sales(sound: Callable) -> Callable:
    return lambda lines: sound(lines).substitute({"free": "sale"})


def nearer_fence(sound: Callable) -> Callable:
    """Spread is taken for a standard deviation as it is, not times 1.4826."""
    return lambda lines, mads: sound(lines, mads / 1.4826)


def slipped(releases: Any) -> Any:
    others = [c for c in releases.columns if c not in ("row", "postcode", "customer_id", "as_of")]
    return releases.mutate(**{c: releases[c].lag().over(order_by=releases.row) for c in others})


def seven_digits(_records: Any, tidy: dict) -> dict:
    return {"phone": tidy["phone"].right(7)}


def other_rule(sound: Callable) -> Callable:
    """The way that comes second is handed on."""

    def wrong(trial: Any) -> Any:
        return sound(trial).assign(method=lambda t: np.where(t.method == "median", "model", "median"))

    return wrong


def turned(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return found.assign(auc=1 - found.auc, auc_low=1 - found.auc_high, auc_high=1 - found.auc_low)

    return wrong


def narrow(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        found = sound(*given, **asked)
        return found.assign(**{end: (found.auc + found[end]) / 2 for end in ("auc_low", "auc_high")})

    return wrong


def one_by_one(sound: Callable) -> Callable:
    return lambda having, lacking, *, level: sound(having, lacking, level=0.95)


def half_aside(sound: Callable) -> Callable:
    return lambda found: sound(found).filter(ibis._.row % 2 == 0)


def half_the_holes(sound: Callable) -> Callable:
    """The mean of the sets counts as of one: what is missing adds nothing to the doubt."""
    return lambda estimates, *more, **asked: sound(np.full_like(estimates, estimates.mean()), *more, **asked)


def taught_later(sound: Callable) -> Callable:
    def wrong(*tables: Any, **asked: Any) -> Any:
        made = sound(*tables, **asked)
        return made.assign(constant=made.groupby("column").constant.shift(-1).fillna(made.constant))

    return wrong


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.cleaning{target}", wrong, **more)


MISTAKES = ".mistakes:"
WHOLE = ":clean_tables"
MUTANTS = [
    planted("no_mail", "every e-mail is emptied", ".records:_tidy_fields", fields(no_mail)),
    planted("surnames", "phones are replaced by surnames", ".records:_tidy_fields", fields(surnames)),
    planted(
        "code_cut_twice",
        "phones lose three more digits",
        ".records:_tidy_fields",
        fields(code_cut_twice),
        data=("demo",),
    ),
    planted("dear_lines_cut", "dear receipt lines are cut to 20", WHOLE, rows_of("transactions", dear_lines_cut)),
    planted("units_of_all", "several units count as one", WHOLE, rows_of("transactions", units_of_all)),
    planted("outcomes_shifted", "responses slip by one contact", WHOLE, rows_of("contacts", outcomes_shifted)),
    planted("some_lost", "one product in fifty is lost", WHOLE, rows_of("products", some_lost)),
    planted(
        "brands_mixed", "brands slip by one product", WHOLE, rows_of("products", brands_mixed), data=("demo",)
    ),
    planted("free_as_sales", "free lines are called sales", ".transactions:_line_type", free_as_sales),
    planted("nearer_fence", "the fence of outliers lies too near", ".transactions:revenue_fence", nearer_fence),
    planted(
        "slipped",
        "attributes of third parties slip by a row",
        WHOLE,
        rows_of("third_party", slipped),
        data=("demo",),
    ),
    planted(
        "seven_digits",
        "phones are cut to seven digits",
        ".records:_tidy_fields",
        fields(seven_digits),
        data=("demo",),
    ),
    planted("other_rule", "another way of filling in is handed on", ":choose", other_rule),
    planted("turned", "who has a value changes places with who has none", ":presence_by_spend", turned),
    planted("presence_narrow", "intervals of presence are half as wide", ":presence_by_spend", narrow),
    planted(
        "one_by_one", "intervals of presence hold one by one, not together", ".missing:chance_of_more", one_by_one
    ),
    planted("half_aside", "half of the rows set aside are not kept", ":rows_set_aside", half_aside),
    planted(
        "taught_later",
        "later contacts teach how earlier ones are filled in",
        ":contact_imputers",
        taught_later,
        data=("demo",),
    ),
    planted("shrunk", "filled cells are drawn to their mean", ".imputation:_fill", peeking),
    planted("beyond", "expected values lie beyond the known ones", ".imputation:_fill", beyond, data=("demo",)),
    planted("sentinels_kept", "births of 1900-01-01 are kept", f"{MISTAKES}_sentinels_of_records", no_rule),
    planted("same_session", "all but the first step of a visit are copies", f"{MISTAKES}_is_copy", same_session),
    planted(
        "half_exchanged",
        "an e-mail goes back, the phone does not",
        f"{MISTAKES}_exchanged",
        half_exchanged,
        data=("demo",),
    ),
    planted("known_is_missing", "known cells count as missing", ":missing_report", known_is_missing),
    planted("holes_all", "structural empties count as missing", ":missing_report", no_empties),
    planted(
        "born_too_late",
        "births after 1990 are taken for impossible",
        f"{MISTAKES}_sentinels_of_records",
        lambda sound: lambda records, _as_of: sound(records, datetime(1990, 1, 1)),
        data=("demo",),
    ),
    planted("certain_holes", "what is missing adds no doubt to a mean", ".imputation:pooled", half_the_holes),
    planted(
        "half_level",
        "intervals of means hold half of what they promise",
        ".imputation:pooled",
        lambda sound: lambda *sets, level, **more: sound(*sets, level=level / 2, **more),
    ),
    planted(
        "draws_of_others",
        "values are drawn about the mean of all",
        ".imputation:normal_draws",
        lambda sound: lambda values, others, **asked: sound(values, np.zeros_like(others), **asked),
        data=("demo",),
    ),
    planted("seen_cells", "the trial scores cells that were seen", ".imputation:_score", seen_cells),
    planted("cells_untold", "changed phones are not told cell by cell", ".stage:_cells", no_phones),
    planted(
        "all_touched",
        "every receipt counts as touched",
        ".transactions:touched_rows",
        lambda _sound: lambda lines, _rules: lines.select("row"),
    ),
    planted("touched_by_rule", "rows touched twice count twice", ".stage:_counts", touched_by_rule),
]
