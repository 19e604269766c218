"""All tables of a run through page 02: each by its own rules, every row accounted for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import ibis
import pandas as pd

from journeybook.cleaning.attributes import clean_products, clean_third_party, pass_through
from journeybook.cleaning.log import LOG_COLUMNS, Cleaned
from journeybook.cleaning.mistakes import Mistakes, find_mistakes
from journeybook.cleaning.records import clean_records, has_five_digit_postcodes
from journeybook.cleaning.texts import with_tone
from journeybook.cleaning.transactions import clean_transactions
from journeybook.tables import whole_row

# No outcome, variant, metric or path of these is imputed, winsorised or dropped.
PASSED_THROUGH = (
    *("contacts", "coupon_contacts", "events", "experiment", "factorial", "ongoing", "outcomes", "paths"),
    *("experiment_values", "experiment_arms", "contracts"),
)


@dataclass(frozen=True, eq=False)
class Cleaning:
    """All tables of a run after cleaning.

    Attributes:
        tables: Clean table by name, lazy.
        set_aside: Rows set aside, lazy, by the name of the table, where a rule sets any aside.
        changes: Change log of all tables: `table`, `rule`, `column`, `action`, `rows_changed`, and one example
            `before` and `after`. Rules that touch no row are kept.
        cells: Every cell of the clean tables that a rule changed, lazy: `table`, `row` (of the clean table),
            `column`, `rule`, `before`, `after`; of what names a person the shapes alone.
        counts: `table`, `rows_in`, `rows_out`, `rows_set_aside`, `rows_touched` (by a rule, each once).
        mistakes: What the sources got wrong; the rules of each table start from its `tables`.
    """

    tables: dict[str, ibis.Table]
    set_aside: dict[str, ibis.Table]
    changes: pd.DataFrame
    cells: ibis.Table
    counts: pd.DataFrame
    mistakes: Mistakes


def clean_tables(
    tables: Mapping[str, ibis.Table],
    *,
    unique_key: Sequence[str],
    volume_quantity: float,
    outlier_mads: float,
    country_code: str,
    as_of: datetime | None,
) -> Cleaning:
    """Clean every accepted table of a run, each by its own rules.

    Args:
        tables: Accepted table by its bare name, without `consents`.
        unique_key: See `clean_transactions`.
        volume_quantity: See `clean_transactions`, units.
        outlier_mads: See `clean_transactions`, robust standard deviations.
        country_code: See `clean_records`, digits.
        as_of: First midnight after the data; nobody is born later. None where no table has times.

    Raises:
        ValueError: A table has no rules, a parameter is out of its range, or rows were lost.
    """
    mistakes = find_mistakes(tables, as_of=as_of)
    given, tables = tables, mistakes.tables
    five_digits = has_five_digit_postcodes([t for t in tables.values() if "postcode" in t.columns])
    cleaned: dict[str, Cleaned] = {}
    for name, table in tables.items():
        if name == "transactions":
            cleaned[name] = clean_transactions(
                table, unique_key=unique_key, volume_quantity=volume_quantity, outlier_mads=outlier_mads
            )
        elif name == "products":
            cleaned[name] = clean_products(table)
        elif name == "third_party":
            cleaned[name] = clean_third_party(table, five_digits=five_digits)
        elif name == "customer_records":
            cleaned[name] = clean_records(table, country_code=country_code, five_digits=five_digits, as_of=as_of)
        elif name in PASSED_THROUGH:
            cleaned[name] = pass_through(with_tone(table) if name == "events" else table)
        else:
            raise ValueError(f"table {name!r} has no rules of cleaning: it is not a canonical table.")
    logs = [mistakes.changes] if len(mistakes.changes) else []
    logs += [one.changes for one in cleaned.values() if len(one.changes)]
    return Cleaning(
        tables={name: one.table for name, one in cleaned.items()},
        set_aside={name: one.set_aside for name, one in cleaned.items() if one.set_aside is not None},
        changes=pd.concat(logs, ignore_index=True) if logs else pd.DataFrame(columns=LOG_COLUMNS),
        cells=_cells(tables, cleaned, mistakes),
        counts=_counts(given, cleaned, mistakes),
        mistakes=mistakes,
    )


def rows_set_aside(found: Cleaning) -> ibis.Table:
    """Return every row that a rule set aside: table, row, rule, record (the whole accepted row, as JSON)."""
    listed = [
        rows.select(table=ibis.literal(name), row="row", rule="reason", record=whole_row(rows, without=["reason"]))
        for aside in (found.mistakes.set_aside, found.set_aside)
        for name, rows in aside.items()
    ]
    none = ibis.memtable([], schema={"table": "string", "row": "int64", "rule": "string", "record": "string"})
    return reduce(lambda above, below: above.union(below), listed, none)


def row_places(found: Cleaning) -> pd.DataFrame:
    """Return where the rows of each table ended: table, n_lines (rows that came in), n_set_aside, n_kept.

    Rows that the ledger keeps from this page are not told of, or a withdrawal would show here.
    """
    names = {"rows_in": "n_lines", "rows_set_aside": "n_set_aside", "rows_out": "n_kept"}
    return found.counts.rename(columns=names)[["table", *names.values()]]


def _cells(tables: Mapping[str, ibis.Table], cleaned: Mapping[str, Cleaned], mistakes: Mistakes) -> ibis.Table:
    """Return the changed cells of all tables, by the row numbers of the clean ones, which have no gaps."""
    cells = [*mistakes.cells, *(part for one in cleaned.values() for part in one.cells)]
    if not cells:
        none = dict.fromkeys(("table", "column", "rule", "before", "after"), "string") | {"row": "int64"}
        return ibis.memtable([], schema=none)
    kept = []
    for name, one in cleaned.items():
        if not (one.cells or name in mistakes.touched):
            continue
        rows = tables[name].select("row")
        rows = rows if one.set_aside is None else rows.anti_join(one.set_aside, "row")
        number = (ibis.row_number().over(order_by=rows.row) + 1).cast("int64")
        kept.append(rows.select(of=ibis.literal(name), was="row", number=number))
    changed, numbers = ibis.union(*cells), ibis.union(*kept)
    both = changed.inner_join(numbers, [changed.table == numbers.of, changed.row == numbers.was])
    told = both.select("table", "column", "rule", "before", "after", row="number")
    return told.order_by("table", "row", "column", "rule")


def _counts(tables: Mapping[str, ibis.Table], cleaned: Mapping[str, Cleaned], mistakes: Mistakes) -> pd.DataFrame:
    """Count rows in, out and set aside, and see that they add up."""
    rows = []
    for name, table in tables.items():
        one, both = cleaned[name], (mistakes.set_aside.get(name), mistakes.touched.get(name))
        asides, touched = (
            [t for t in pair if t is not None] for pair in zip((one.set_aside, one.touched), both, strict=True)
        )
        n_in, n_out = (int(t.count().execute()) for t in (table, one.table))
        n_aside = sum(int(aside.count().execute()) for aside in asides)
        n_touched = int(ibis.union(*(t.select("row") for t in touched)).row.nunique().execute()) if touched else 0
        if n_in != n_out + n_aside:
            raise ValueError(
                f"{name}: {n_in} rows came in, {n_out} went out and {n_aside} were set aside: they must add up."
            )
        rows.append((name, n_in, n_out, n_aside, n_touched))
    return pd.DataFrame(rows, columns=["table", "rows_in", "rows_out", "rows_set_aside", "rows_touched"])
