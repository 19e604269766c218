"""Rules for attributes, of products and of postcodes or customers, and for tables that pass through."""

from collections.abc import Sequence

import ibis
import pandas as pd

from journeybook.cleaning.log import LOG_COLUMNS, Cleaned, Rule, change_log, changed_cells, renumber, touched_rows
from journeybook.cleaning.missing import PLACEHOLDERS
from journeybook.cleaning.records import clean_postcodes
from journeybook.tables import kept_in_engine


def clean_products(products: ibis.Table) -> Cleaned:
    """Make missing attributes missing, and keep one row a product: a second one would double its sales."""
    return _clean_attributes("products", products, keys=["product_id"])


def clean_third_party(third_party: ibis.Table, *, five_digits: bool) -> Cleaned:
    """Write postcodes one way, make missing attributes missing, and keep one row a key and date."""
    keys = [column for column in ("postcode", "customer_id") if column in third_party.columns]
    if "postcode" not in keys:
        return _clean_attributes("third_party", third_party, keys=[*keys, "as_of"])
    written = third_party.mutate(tidy=clean_postcodes(third_party.postcode, five_digits=five_digits))
    column, after = written.postcode, written.tidy
    rule = Rule("written one way", "postcode", "changed", ~column.identical_to(after), column, after, True)
    changes = change_log("third_party", written, [rule])
    tidy = written.mutate(postcode=written.tidy).drop("tidy")
    found = _clean_attributes("third_party", tidy, keys=[*keys, "as_of"])
    touched = touched_rows(written, [rule])
    touched = touched if found.touched is None else touched.union(found.touched)
    cells = (*changed_cells("third_party", written, [rule], changes), *found.cells)
    log = pd.concat([changes, found.changes], ignore_index=True)
    return Cleaned(found.table, found.set_aside, log, touched, cells)


def pass_through(table: ibis.Table) -> Cleaned:
    """Keep a table as it is; `row` alone is counted anew."""
    return Cleaned(renumber(table), None, pd.DataFrame(columns=LOG_COLUMNS))


def _clean_attributes(name: str, table: ibis.Table, *, keys: Sequence[str]) -> Cleaned:
    """Null the placeholders of text attributes; keep the first row of each key."""
    texts = [c for c, dtype in table.schema().items() if dtype.is_string() and c not in keys]
    place = ibis.row_number().over(group_by=[table[key] for key in keys], order_by=table.row)
    placed = kept_in_engine(table.mutate(place=place))
    reason = "key listed again"
    rules = [Rule(reason, ", ".join(keys), "set aside", placed.place > 0)]
    tidy = {}
    for column in texts:
        is_missing = placed[column].strip().lower().isin(PLACEHOLDERS)
        tidy[column] = is_missing.ifelse(ibis.null("string"), placed[column].strip())
        rules.append(Rule("placeholder made missing", column, "changed", is_missing, placed[column], tidy[column]))
    changes = change_log(name, placed, rules)
    kept = placed.mutate(**tidy).filter(ibis._.place == 0).drop("place")
    aside = placed.filter(placed.place > 0).drop("place").mutate(reason=ibis.literal(reason))
    cells = changed_cells(name, placed, rules, changes)
    return Cleaned(renumber(kept), aside, changes, touched_rows(placed, rules), cells)
