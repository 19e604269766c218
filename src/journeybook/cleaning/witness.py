"""What page 02 is held against: published counts, another way of counting, rows before and after."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import correlated_normals, impute_trial
from journeybook.cleaning.missing import PLACEHOLDERS, trading_days
from journeybook.cleaning.records import EMPTY_FIELDS
from journeybook.cleaning.stage import PASSED_THROUGH, Cleaning

# Counts of the Complete Journey study's 1,469,307 lines, taken from the package's file with another tool.
# Sales of 20 lines are dust of floating point below 1e-14, which is 0.0000 in money.
STUDY_COUNTS = {
    "lines of quantity 0": 8_869,
    "lines of revenue 0": 11_226 + 20,
    "lines of more than 100 units": 13_510,
    "lines of negative revenue": 0,
}


_WITNESS = ["name", "value", "reference", "tolerance", "source"]


def rows_hold(
    accepted: Mapping[str, ibis.Table], found: Cleaning, report: pd.DataFrame, *, max_rows: int
) -> pd.DataFrame:
    """Count what should be 0: rows, money and cells that are not what they were, or what a rule makes of them.

    Args:
        accepted: Accepted table by name.
        found: The same after cleaning.
        report: What is missing in the accepted tables.
        max_rows: Receipt lines to work out a second time at most.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`, `kind`.
    """
    n_lost, n_missing_off = 0, 0
    reported = report.set_index(["table", "column"]).n_missing
    for name, table in accepted.items():
        aside = found.set_aside.get(name)
        n_out = int(found.tables[name].count().execute()) + (0 if aside is None else int(aside.count().execute()))
        n_lost += abs(int(table.count().execute()) - n_out)
        columns = [column for column in table.columns if column != "row"]
        holes = table.aggregate(**{c: table[c].isnull().cast("int64").sum().fill_null(0) for c in columns})
        n_missing_off += int((reported[name][columns] != holes.to_pandas().iloc[0][columns]).sum())
    zeros: list[tuple[str, float, str, str]] = [
        ("rows lost or invented", n_lost, "rows in = rows out + rows set aside, counted again", "conservation"),
        ("columns whose missing cells are counted otherwise", n_missing_off, "counted cell by cell", "witness"),
    ]
    for name in [name for name in accepted if name in PASSED_THROUGH]:
        altered = count_altered(accepted[name], found.tables[name])
        zeros.append(
            (f"rows of {name} altered", altered, "the accepted table, every column but row", "conservation")
        )
    if "customer_records" in accepted:
        zeros += _records_hold(accepted["customer_records"], found)
    for name, keys in (("products", ["product_id"]), ("third_party", ["postcode", "customer_id", "as_of"])):
        if name in accepted:
            off = _attributes_off(accepted[name], found.tables[name], keys=keys)
            zeros.append((f"rows of {name} that differ", off, "plain pandas, row by row", "witness"))
    if "transactions" in accepted:
        before, after = accepted["transactions"], found.tables["transactions"]
        gone = revenue_lost(before, after, found.set_aside.get("transactions"))
        hand = f"a second count in plain Python, {max_rows:,} lines at most"
        zeros += [
            ("revenue lost", gone, "sum of the accepted receipts, DECIMAL", "conservation"),
            ("receipt lines altered", _lines_altered(before, after, found.set_aside.get("transactions")),
             "the accepted lines, every column they came with", "conservation"),
            ("line types that differ", count_unlike(after, max_rows=max_rows), hand, "witness"),
            ("units that are not the quantity, or one of a volume", _units_off(after), "line by line", "witness"),
        ]  # fmt: skip
    rows = [(name, value, 0, 0.0, source, kind) for name, value, source, kind in zeros]
    return pd.DataFrame(rows, columns=[*_WITNESS, "kind"])


def _records_hold(before: ibis.Table, found: Cleaning) -> list[tuple[str, float, str, str]]:
    """Compare each field of each record with what it said before, and the change log with the cells changed."""
    old = before.to_pandas().drop_duplicates("record_id").set_index("record_id")
    new = found.tables["customer_records"].to_pandas().set_index("record_id")
    old = old.loc[new.index]
    emptied, altered, miscounted = 0, 0, 0
    changes = found.changes[found.changes["table"] == "customer_records"]
    for column in [c for c in old.columns if c in _SAYS and c in new.columns]:
        says, could_be = _SAYS[column]
        was, is_ = old[column], new[column]
        known = was.notna() & is_.notna()
        same = [says(str(a)) == says(str(b)) for a, b in zip(was[known], is_[known], strict=True)]
        altered += len(same) - sum(same)
        gone = was[was.notna() & is_.isna()]
        emptied += sum(bool(could_be(str(value))) for value in gone)
        told = changes[changes["column"] == column].set_index("rule")["rows_changed"]
        n_written = int((was[known].astype(str) != is_[known].astype(str)).sum())
        miscounted += int(told.get("written one way", 0)) != n_written
        miscounted += int(told.get("cannot be one: made missing", 0)) != len(gone)
    hand = "plain Python, field by field"
    return [
        ("fields of records that say something else", altered, hand, "witness"),
        ("good values of records made missing", emptied, hand, "witness"),
        ("rules of records that touched other numbers of rows", miscounted, "cells before and after", "witness"),
    ]


def _plain(text: str) -> str:
    """Letters and digits without accents, in lower case."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", bare.lower())


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _initials(text: str) -> str:
    """Digits, and the first letter of each word: what short forms of an address keep."""
    return "".join(word if word.isdigit() else word[0] for word in re.findall(r"\w+", text.lower()))


# By field: what must stay the same of a value, and whether a text could be one.
_SAYS: dict[str, tuple[Callable[[str], str], Callable[[str], object]]] = {
    "email": (lambda t: re.sub(r"\s", "", t.lower()), re.compile(r"^\s*[^\s@]+@[^\s@]+\.[a-zA-Z]{2,}\s*$").match),
    "phone": (lambda t: _digits(t)[-7:], lambda t: len(set(_digits(t))) > 1 and len(_digits(t)) >= 8),
    "given_name": (_plain, lambda t: len(_plain(t)) > 2 and t.strip().lower() not in EMPTY_FIELDS),
    "surname": (_plain, lambda t: len(_plain(t)) > 2 and t.strip().lower() not in EMPTY_FIELDS),
    "address": (_initials, lambda t: bool(_digits(t)) and len(_plain(t)) > 5),
    "postcode": (lambda t: _plain(t)[:5].lstrip("0"), re.compile(r"^\s*\d{5}\s*$").match),
    "birth_date": (lambda t: t[:10], lambda t: "1910" < t[:4] < "2000"),
}


def _attributes_off(before: ibis.Table, after: ibis.Table, *, keys: Sequence[str]) -> int:
    """Number of rows that differ from the accepted ones, placeholders made missing and one kept a key."""
    keys = [key for key in keys if key in before.columns]
    old, new = (table.order_by("row").to_pandas().drop(columns="row") for table in (before, after))
    for column, dtype in before.schema().items():
        if dtype.is_string() and column not in keys:
            stripped = old[column].str.strip()
            old[column] = stripped.mask(stripped.str.lower().isin(PLACEHOLDERS))
    if "postcode" in keys:  # written one way, which page 03 relies on and the records' check follows
        old["postcode"] = new["postcode"].to_numpy() if len(old) == len(new) else old["postcode"]
    old = old.drop_duplicates(keys).reset_index(drop=True)
    if len(old) != len(new):
        return abs(len(old) - len(new))
    same = (old == new[old.columns]) | (old.isna() & new[old.columns].isna())
    return int((~same.all(axis=1)).sum())


def _lines_altered(before: ibis.Table, after: ibis.Table, aside: ibis.Table | None) -> int:
    columns = [column for column in before.columns if column != "row"]
    kept = after.select(*columns) if aside is None else after.select(*columns).union(aside.select(*columns))
    return count_altered(before, kept.mutate(row=0)) + count_altered(kept.mutate(row=0), before)


def _units_off(lines: ibis.Table) -> int:
    """Number of lines whose units are neither the quantity nor, of a product sold by volume, one."""
    if "units" not in lines.columns or "by_volume" not in lines.columns:
        return 0
    one = lines.by_volume & (lines.quantity > 0)
    right = ibis.ifelse(one, lines.units == 1, lines.units.identical_to(lines.quantity))
    quantity = lines.quantity.cast("float64")
    medians = {"m": quantity.median(where=lines.quantity > 0), "volume": lines.by_volume.any()}
    middle = lines.group_by("product_id").aggregate(**medians)
    # No product sold by volume has a smaller median than one that is not.
    ends = middle.filter(middle.product_id.notnull()).aggregate(
        least=middle.m.min(where=middle.volume), most=middle.m.max(where=~middle.volume)
    )
    least, most = ends.to_pandas().iloc[0]
    return int((~right.fill_null(False)).sum().execute() or 0) + int(least < most)


def study_holds(transactions: ibis.Table) -> pd.DataFrame:
    """Count what is known of the Complete Journey study, in the receipts of all its households.

    Args:
        transactions: Receipt lines of the study, with `quantity`.

    Returns:
        `name`, `value`, `reference` (the study's count), `tolerance`, `source`.
    """
    quantity, revenue = transactions.quantity, transactions.revenue
    conditions = [quantity == 0, revenue == 0, quantity > 100, revenue < 0]
    asked = {f"n_{i}": transactions.count(where=condition) for i, condition in enumerate(conditions)}
    counts = transactions.aggregate(**asked).to_pandas().iloc[0]
    rows = [
        (name, int(counts[f"n_{i}"]), published, 0.0, "84.51° study, counted with another tool")
        for i, (name, published) in enumerate(STUDY_COUNTS.items())
    ]
    days = pd.to_datetime(trading_days(transactions).day)
    rows.append(("trading days", len(days), 364, 0.0, "2017 less 25 December"))
    rows.append(("days of trade on 25 December", int((days == "2017-12-25").sum()), 0, 0.0, "the shops were shut"))
    return pd.DataFrame(rows, columns=_WITNESS)


def trial_holds(*, rng: np.random.Generator) -> pd.DataFrame:
    """Make the trial of filling in on normals of correlation 0.7, whose answers are known in closed form.

    Returns:
        `name`, `value`, `reference`, `tolerance` (more than four standard errors), `source`.
    """
    r2 = 0.7**2
    closed = {
        "mean": (1.0, 0.0),
        "random_cell": (2**0.5, 1.0),
        "regression": ((1 - r2) ** 0.5, r2),
        "donor": ((2 * (1 - r2)) ** 0.5, 1.0),
    }
    pairs = correlated_normals(20_000, correlation=0.7, rng=rng)
    trial = impute_trial(pairs, column="y", hidden_share=0.3, repeats=2, rng=rng, methods=list(closed))
    found = trial.methods[trial.methods.mechanism == "at_random"].set_index("method")
    source = "closed form for normals of correlation 0.7; 12,000 hidden cells"
    rows = []
    for method, (error, kept) in closed.items():
        rows.append((f"error of {method}", found.rmse[method], error, 0.05, source))
        rows.append((f"variance kept by {method}", found.variance_ratio[method], kept, 0.08, source))
    return pd.DataFrame(rows, columns=_WITNESS)


def count_unlike(transactions: ibis.Table, *, max_rows: int) -> int:
    """Count lines whose `line_type` differs from one worked out row by row in plain Python.

    Args:
        transactions: Clean receipt lines.
        max_rows: Lines to look at; beyond it every k-th.
    """
    n_all = int(transactions.count().execute())
    step = max(1, -(-n_all // max_rows))
    columns = [c for c in ("revenue", "quantity") if c in transactions.columns]
    some = transactions.filter(transactions.row % step == 0).select("row", "line_type", *columns)
    unlike = 0
    for line in some.order_by("row").to_pandas().itertuples():
        money, units = line.revenue, getattr(line, "quantity", None)
        units = None if units is None or np.isnan(float(units)) else units
        if money < 0 or (units is not None and units < 0):
            expected = "return"
        elif money == 0:
            expected = "empty" if units == 0 else "free"
        else:
            expected = "amount_only" if units == 0 else "sale"
        unlike += expected != line.line_type
    return unlike


def count_altered(before: ibis.Table, after: ibis.Table) -> int:
    """Count rows of `before` that are not in `after` with the same value in every column but `row`."""
    columns = [column for column in before.columns if column != "row"]
    left = before.select(*columns).difference(after.select(*columns), distinct=False)
    return int(left.count().execute())


def revenue_lost(before: ibis.Table, after: ibis.Table, set_aside: ibis.Table | None) -> float:
    """Return revenue before, less revenue after and set aside, summed as DECIMAL; 0 where none is lost."""
    total, kept = before.revenue.sum().execute(), after.revenue.sum().execute()
    aside = None if set_aside is None else set_aside.revenue.sum().execute()
    return float((total or 0) - (kept or 0) - (aside or 0))


def volume_share(transactions: ibis.Table) -> float:
    """Return the share of all quantity that is volume, not units; NaN where nothing is known of it."""
    if "by_volume" not in transactions.columns:
        return float("nan")
    sums = transactions.aggregate(
        volume=transactions.quantity.sum(where=transactions.by_volume), whole=transactions.quantity.sum()
    )
    volume, whole = sums.to_pandas().iloc[0].fillna(0).astype(float)
    return volume / whole if whole > 0 else float("nan")


def distinct_values(before: ibis.Table, after: ibis.Table) -> pd.DataFrame:
    """Count the ways in which the fields of customer records are written: `column`, `n_before`, `n_after`."""
    columns = [c for c in before.columns if c not in ("row", "record_id", "source", "customer_id", "updated_at")]
    counts = [
        table.aggregate(**{column: table[column].nunique() for column in columns}).to_pandas().iloc[0]
        for table in (before, after)
    ]
    return pd.DataFrame({"column": columns, "n_before": list(counts[0]), "n_after": list(counts[1])})
