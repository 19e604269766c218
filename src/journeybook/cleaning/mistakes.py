"""What sources get wrong: encodings, sentinels, test records, exchanged cells, doubled deliveries.

A sentinel is a value that means that nothing is known (`999`, `N.A.`, 1900-01-01, an address nobody reads); its
cell becomes missing. Text whose bytes were read in another encoding is read in its own. Exchanged cells go back
to their places. Test records and doubled deliveries are set aside. Each rule asks for a sign that a true value can
hardly give: nobody is a test for being called Test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import ftfy
import ibis
import ibis.expr.types as ir
import pandas as pd

from journeybook.cleaning.log import LOG_COLUMNS, Rule, change_log, changed_cells, touched_rows
from journeybook.planted import faults_found
from journeybook.tables import brought_in, kept_in_engine

# Texts, in small letters, that stand for nothing known. `na` is not one of them: it is a surname.
SENTINEL_WORDS = ("n.a.", "999", "9999", "xxx")
# Numbers that stand for nothing known where they lie far outside all others.
SENTINEL_NUMBERS = (999, 9_999, 99_999, 999_999, -99, -999, -9_999)
NO_BIRTH = "1900-01-01"
TEST_WORDS = ("test", "tester", "testing")

# A letter or sign of UTF-8 that was read as Windows-1252 begins with one of the first and goes on with the others.
_GARBLED = r"[Â-ô][\x{80}-\x{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_LOST = "\ufffd"
# The part before the @ of an address that nobody reads, and of one that tries a form out.
_NOBODY = r"^\s*(no-?reply|do-?not-?reply|none|no-?mail|no-?email|test|tester|testing)@"
_TEST = r"^\s*(test|tester|testing)@"
# A house number and a street; a postcode that is digits alone.
_STREET, _DIGITS = r"^\s*\d+\s+[A-Za-z]{3,}", r"^\s*\d{4,5}(-\d{4})?\s*$"
# What names a row once within its table. Elsewhere two equal rows may be two customers.
_ONCE = {
    "contacts": ("contact_id",),
    "coupon_contacts": ("contact_id",),
    "events": ("session_id", "position", "occurred_at"),
}
# What a find is told by, where it is compared with the truth.
_TOLD_BY = {
    "contacts": ("contact_id",), "customer_records": ("record_id",), "events": ("session_id", "position"),
    "third_party": ("postcode", "as_of"),
}  # fmt: skip
_NEVER = ("record_id", "source", "customer_id", "postcode", "product_id")


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Tables without the mistakes found in them.

    Attributes:
        tables: Every table given, mended.
        set_aside: Rows set aside, with a `reason`, by the name of their table.
        changes: Change log of the rules; see `Cleaning.changes`.
        touched: `row` of the rows that a rule touched, as they came, by the name of their table.
        cells: The cells that rules changed; see `changed_cells`.
        found: Lazy; one row a cell or row found: table, column (`delivery` of a doubled one), key.
    """

    tables: dict[str, ibis.Table]
    set_aside: dict[str, ibis.Table]
    changes: pd.DataFrame
    touched: dict[str, ibis.Table]
    cells: tuple[ibis.Table, ...]
    found: ibis.Table


def find_mistakes(tables: Mapping[str, ibis.Table], *, as_of: datetime | None) -> Mistakes:
    """Find what sources get wrong, mend the cells and set the rows aside; nobody is born after `as_of`."""
    mended, aside, logs, found = dict(tables), {}, [], []
    touched: dict[str, ibis.Table] = {}
    cells_of: list[ibis.Table] = []
    for name, table in tables.items():
        once = [column for column in _ONCE.get(name, ()) if column in table.columns]
        if once and len(once) == len(_ONCE[name]):
            # Equal rows have equal keys: only those whose key comes twice are compared.
            again = table.group_by(once).aggregate(n=table.count()).filter(ibis._.n > 1)
            twice = brought_in(table.semi_join(again, once))
            copies = twice.mutate(copy_=_is_copy(twice, once)).filter(ibis._.copy_).select("row")
            table = table.mutate(copy_=table.row.isin(brought_in(copies).row))
        rules = _rules(name, table, as_of)
        if not rules:
            continue
        logs.append(change_log(name, table, rules))
        hit = [rule for rule, n in zip(rules, logs[-1].rows_changed, strict=True) if n]
        found += [_told(name, table, rule) for rule in hit]
        cells_of += changed_cells(name, table, rules, logs[-1])
        touched |= {name: touched_rows(table, hit)} if hit else {}
        away = [(rule.applies, rule.name) for rule in hit if rule.action == "set aside"]
        if away:
            reasons = table.mutate(reason=ibis.cases(*away, else_=ibis.null("string")))
            # Brought in once: every row is compared to find the few.
            rows = brought_in(reasons.filter(reasons.reason.notnull()).select("row", "reason"))
            aside[name] = tables[name].inner_join(rows, "row")
        cells = _mended(table, [rule for rule in hit if rule.action == "changed"])
        if cells:
            mended[name] = tables[name].mutate(**cells)
        if away:
            mended[name] = mended[name].anti_join(aside[name], "row")
        if hit:
            mended[name] = kept_in_engine(mended[name])
    nothing = ibis.memtable(pd.DataFrame({"table": [""], "column": [""], "key": [""]})).limit(0)
    return Mistakes(
        tables=mended,
        set_aside=aside,
        changes=pd.concat(logs, ignore_index=True) if logs else pd.DataFrame(columns=LOG_COLUMNS),
        touched=touched,
        cells=tuple(cells_of),
        found=reduce(lambda above, below: above.union(below), found, nothing),
    )


def score_mistakes(
    mistakes: Mistakes, planted: pd.DataFrame | None, tables: Mapping[str, ibis.Table]
) -> tuple[pd.DataFrame, list[str]]:
    """Return how many planted mistakes were found (`planted.faults_found`), and the kinds without a rule.

    Faults of rows that are not here, and those for page 01, do not count.
    """
    if planted is None:
        return faults_found(None, pd.DataFrame(), by=["key"]), []
    faults = planted[planted.found_by != "01"]
    there = [
        ibis.memtable(pd.DataFrame({"key": keys.unique()}))
        .semi_join(tables[name].select(key=_key(name, tables[name])), "key")
        .to_pandas()
        .assign(table=name)
        for name, keys in faults.groupby("table").key
        if name in tables
    ]
    faults = faults.merge(pd.concat(there), on=["table", "key"]) if there else faults.iloc[:0]
    missed = sorted(faults.fault[faults.found_by == ""].unique())
    return faults_found(faults, mistakes.found.to_pandas(), by=["key"]), missed


def _is_copy(table: ibis.Table, once: Sequence[str]) -> ir.BooleanValue:
    """Return whether a row equals an earlier one in every column, and names its contact or step."""
    everything = [table[column] for column in table.columns if column != "row"]
    place = ibis.row_number().over(group_by=everything, order_by=table.row)
    return ibis.and_(place > 0, *(table[column].notnull() for column in once))


def _rules(name: str, table: ibis.Table, as_of: datetime | None) -> list[Rule]:
    """Return the rules of a table that can be asked of it."""
    rules = [Rule("delivered twice", "delivery", "set aside", table.copy_)] if "copy_" in table.columns else []
    if name in ("customer_records", "products", "third_party"):
        texts = [c for c, dtype in table.schema().items() if dtype.is_string() and c not in _NEVER]
        rules += [rule for column in texts for rule in _encodings(table, column)]
    if name == "customer_records":
        rules += [*_exchanged(table), *_sentinels_of_records(table, as_of)]
    if name in ("customer_records", "third_party"):
        rules += [
            _made_missing(
                table, column, table[column].strip().lower().isin(SENTINEL_WORDS), "a word for not known"
            )
            for column, dtype in table.schema().items()
            if dtype.is_string() and column not in _NEVER
        ]
    return rules + (_sentinel_numbers(table) if name == "third_party" else [])


def _made_missing(table: ibis.Table, column: str, applies: ir.BooleanValue, rule: str) -> Rule:
    value = table[column]
    return Rule(rule, column, "changed", applies.fill_null(False), value, value.nullif(value), True)


def _encodings(table: ibis.Table, column: str) -> list[Rule]:
    """Text such as `ZoÃ«`, each read once by ftfy; where a letter was lost, nothing brings it back."""
    value = table[column]
    odd = table.filter(value.re_search(_GARBLED) | value.contains(_LOST)).select(text=column).distinct()
    seen = sorted(odd.to_pandas().text)
    own = {text: ftfy.fix_encoding(text) for text in seen if _LOST not in text}
    own = {text: read for text, read in own.items() if read != text}
    rules = []
    if own:
        read = ibis.map(list(own), list(own.values())).get(value, value)
        name = "read in another encoding"
        rules.append(Rule(name, column, "changed", value.isin(list(own)).fill_null(False), value, read, True))
    if any(_LOST in text for text in seen):
        lost = value.contains(_LOST).fill_null(False)
        rules.append(Rule("a letter was lost in an encoding", column, "flagged", lost, value, None, True))
    return rules


def _exchanged(records: ibis.Table) -> list[Rule]:
    """Return the rules for cells that stand in each other's place: each looks like the other."""
    signs = {
        ("email", "phone"): lambda email, phone: (
            ~email.contains("@") & phone.contains("@") & (email.re_replace(r"\D", "").length() >= 7)
        ),
        ("address", "postcode"): lambda address, postcode: (
            address.re_search(_DIGITS) & postcode.re_search(_STREET)
        ),
    }
    rules = []
    for (one, other), sign in signs.items():
        if {one, other} <= set(records.columns):
            applies = sign(records[one], records[other]).fill_null(False)
            for column, source in ((one, other), (other, one)):
                name = f"{one} and {other} exchanged"
                rules.append(Rule(name, column, "changed", applies, records[column], records[source], True))
    return rules


def _sentinels_of_records(records: ibis.Table, as_of: datetime | None) -> list[Rule]:
    rules = []
    if "birth_date" in records.columns:
        birth = records.birth_date
        none = birth == ibis.date(NO_BIRTH)
        rules.append(_made_missing(records, "birth_date", none, f"born on {NO_BIRTH}"))
        if as_of is not None:
            to_come = birth >= ibis.date(as_of.date().isoformat())
            rules.append(_made_missing(records, "birth_date", to_come, "born after the data end"))
    if "email" in records.columns:
        email = records.email.lower()
        names = [
            records[c].strip().lower().isin(TEST_WORDS) for c in ("given_name", "surname") if c in records.columns
        ]
        called = ibis.or_(ibis.literal(False), *(name.fill_null(False) for name in names))
        test = (called & email.re_search(_TEST)).fill_null(False)
        rules.append(
            _made_missing(records, "email", email.re_search(_NOBODY) & ~test, "an address that nobody reads")
        )
        rules.append(Rule("a test record", "record_id", "set aside", test))
    return rules


def _sentinel_numbers(table: ibis.Table) -> list[Rule]:
    """Numbers that stand for nothing known: below 0 where all others are not, or twice as far as any other."""
    columns = [c for c, dtype in table.schema().items() if dtype.is_numeric() and c != "row"]
    if not columns:
        return []
    asked: dict[str, ir.Scalar] = {}
    for i, column in enumerate(columns):
        true = table[column].notin(SENTINEL_NUMBERS)
        asked |= {f"low_{i}": table[column].min(where=true), f"high_{i}": table[column].max(where=true)}
    ends = table.aggregate(**asked).to_pandas().iloc[0]
    rules = []
    for i, column in enumerate(columns):
        low, high = ends[f"low_{i}"], ends[f"high_{i}"]
        if not pd.isna(low):
            far = [n for n in SENTINEL_NUMBERS if n > 2 * high - low or (n < 0 <= low)]
            rules.append(_made_missing(table, column, table[column].isin(far), "a number for not known"))
    return rules


def _mended(table: ibis.Table, rules: Sequence[Rule]) -> dict[str, ir.Value]:
    """Return the columns that change; of several rules on one cell the last holds."""
    cells: dict[str, ir.Value] = {}
    for rule in rules:
        cells[rule.column] = rule.applies.ifelse(rule.after, cells.get(rule.column, table[rule.column]))
    return cells


def _told(name: str, table: ibis.Table, rule: Rule) -> ibis.Table:
    """Return what a rule found, row by row, as the truth names it."""
    hit = table.filter(rule.applies)
    return hit.select(table=ibis.literal(name), column=ibis.literal(rule.column), key=_key(name, hit))


def _key(name: str, table: ibis.Table) -> ir.StringValue:
    by = [table[column] for column in _TOLD_BY.get(name, ()) if column in table.columns] or [table.row]
    texts = [c.strftime("%Y-%m-%d") if c.type().is_temporal() else c.cast("string") for c in by]
    return reduce(lambda one, other: one + "/" + other, texts)
