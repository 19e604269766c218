"""What page 02 is held against: published counts, another way of counting, rows before and after."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import (
    Cells,
    ImputationTrial,
    advise,
    correlated_normals,
    impute,
    impute_trial,
)
from journeybook.cleaning.missing import PLACEHOLDERS, REPORT
from journeybook.cleaning.mistakes import Mistakes
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


# Each function returns one row a comparison.
_WITNESS = ["name", "value", "reference", "tolerance", "source"]


def rows_hold(
    accepted: Mapping[str, ibis.Table],
    found: Cleaning,
    report: pd.DataFrame,
    *,
    given: Mapping[str, ibis.Table],
    max_rows: int,
) -> pd.DataFrame:
    """Count what should be 0: rows, money and cells that are not what they were, or what a rule makes of them.

    Args:
        accepted: Accepted table by name, once the sources' mistakes are mended.
        found: The same after cleaning.
        given: Accepted table by name, as page 01 wrote it.
        report: What is missing in the accepted tables.
        max_rows: Receipt lines to work out a second time at most.
    """
    n_lost, n_cells_off, n_touched_off = 0, 0, 0
    told = found.counts.set_index("table").rows_touched
    for name, table in accepted.items():
        aside = found.set_aside.get(name)
        n_out = int(found.tables[name].count().execute()) + (0 if aside is None else int(aside.count().execute()))
        n_lost += abs(int(table.count().execute()) - n_out)
        n_cells_off += _cells_off(name, table, report[report.table == name])
        n_touched_off += int(told[name] != _touched_by_hand(name, given[name], found))
    zeros: list[tuple[str, float, str, str]] = [
        ("rows lost or invented", n_lost, "rows in = rows out + rows set aside, counted again", "conservation"),
        ("columns whose empty cells are told apart otherwise", n_cells_off, "by key, in plain pandas", "witness"),
        ("tables with other numbers of rows touched", n_touched_off, "rows before and after", "witness"),
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
        columns, aside = [c for c in before.columns if c != "row"], found.set_aside.get("transactions")
        kept = after.select(*columns) if aside is None else after.select(*columns).union(aside.select(*columns))
        gone = float((before.revenue.sum().execute() or 0) - (kept.revenue.sum().execute() or 0))
        hand = f"a second count in plain Python, {max_rows:,} lines at most"
        zeros += [
            ("revenue lost", gone, "sum of the accepted receipts, DECIMAL", "conservation"),
            ("receipt lines altered", count_altered(before, kept),
             "the accepted lines, every column they came with", "conservation"),
            ("line types that differ", count_unlike(after, max_rows=max_rows), hand, "witness"),
            ("units that are not the quantity, or one of a volume", _units_off(after), "line by line", "witness"),
        ]  # fmt: skip
    rows = [(name, value, 0, 0.0, source, kind) for name, value, source, kind in zeros]
    return pd.DataFrame(rows, columns=[*_WITNESS, "kind"])


# By table: the columns that decide what an empty cell is, and those of which a row with none says nothing.
_DECIDE = {
    **dict.fromkeys(("contacts", "coupon_contacts"), ("channel", "responded")),
    **dict.fromkeys(("experiment", "factorial", "ongoing", "outcomes"), ("unit_id",)),
    **{"events": ("session_id",), "transactions": ("basket_id",), "products": ("category",)},
    **{"customer_records": ("source",)},
}
_SAYING = {
    "customer_records": ["given_name", "surname", "email", "phone", "address", "postcode", "birth_date"],
    "products": ["name", "category", "package_size"],
}


def _cells_off(name: str, table: ibis.Table, reported: pd.DataFrame) -> int:
    """Number of columns whose cells, told apart by hand, are others than reported."""
    columns = [column for column in table.columns if column != "row"]
    keys = [key for key in _DECIDE.get(name, ()) if key in table.columns]
    flags = {f"no {c}": table[c].isnull() for c in columns}
    seen = table.group_by(*keys, **flags).aggregate(n=table.count()).to_pandas()
    attributes = [c for c in columns if c not in ("customer_id", "postcode", "as_of")]
    saying = [c for c in _SAYING.get(name, attributes if name == "third_party" else []) if c in columns]
    silent = seen[[f"no {c}" for c in saying]].all(axis=1) & (len(saying) > 1)
    off = 0
    for one in reported.set_index("column")[REPORT].astype(int).itertuples():
        column, empty = str(one.Index), seen[f"no {one.Index}"]
        never = {key: _never(seen, key, ~empty) for key in keys}
        nothing = inapplicable = pd.Series(False, index=seen.index)
        unasked = silent if column in saying else nothing
        if "contacts" in name and column in ("opened", "clicked") and "channel" in keys:
            inapplicable, unasked = seen.channel == "none", never["channel"] >= 20
        elif "contacts" in name and column == "value":
            inapplicable = ~seen.responded.astype(bool)
        elif "contacts" not in name and column == "customer_id" and keys and name not in _SAYING:
            unasked = never[keys[0]] > 0
        elif column == "package_size" and "category" in keys:
            inapplicable = never["category"] >= 20
        elif name == "customer_records" and column in saying and keys:
            unasked = silent | (never["source"] >= 20)
        kinds = (~empty, empty & inapplicable, empty & ~inapplicable & unasked, empty & ~inapplicable & ~unasked)
        off += tuple(one)[1:] != (int(seen.n.sum()), *(int(seen.n[kind].sum()) for kind in kinds))
    return off


def _never(seen: pd.DataFrame, key: str, known: pd.Series) -> pd.Series:
    """Number of rows with the same key, where none of them is known; else 0."""
    rows = seen.groupby(key).n.transform("sum").fillna(0)
    return rows.where(~known.groupby(seen[key]).transform("any").fillna(True).astype(bool), 0)


def _touched_by_hand(name: str, before: ibis.Table, found: Cleaning) -> int:
    """Number of rows set aside, flagged, or with another value than before."""
    after = found.tables[name]
    asides = [t[name].select("row") for t in (found.set_aside, found.mistakes.set_aside) if name in t]
    aside = ibis.union(*asides) if asides else None
    n_aside = 0 if aside is None else int(aside.count().execute())
    if name == "transactions":
        flagged = after.is_outlier | (after.line_type != "sale")
        flagged |= after.by_volume if "by_volume" in after.columns else ibis.literal(False)
        return n_aside + int(after.count(where=flagged).execute())
    if name in PASSED_THROUGH:
        return n_aside
    kept = before if aside is None else before.anti_join(aside, "row")
    old, new = (table.order_by("row").to_pandas().drop(columns="row") for table in (kept, after))
    if len(old) != len(new):
        return -1
    if name != "customer_records":  # blanks at the ends of attributes are no rule's business
        texts = [c for c, dtype in before.schema().items() if dtype.is_string() and c != "postcode"]
        old = old.assign(**{c: old[c].str.strip() for c in texts})
    return n_aside + int(((old != new[old.columns]) & ~(old.isna() & new[old.columns].isna())).any(axis=1).sum())


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


def study_holds(tables: Mapping[str, ibis.Table], *, dataset: str) -> pd.DataFrame:
    """Count what is known of the Complete Journey study, where the receipts are those of all its households."""
    if dataset != "complete_journey":
        return pd.DataFrame(columns=_WITNESS)
    transactions = tables["transactions"]
    quantity, revenue = transactions.quantity, transactions.revenue
    conditions = [quantity == 0, revenue == 0, quantity > 100, revenue < 0]
    asked = {f"n_{i}": transactions.count(where=condition) for i, condition in enumerate(conditions)}
    counts = transactions.aggregate(**asked).to_pandas().iloc[0]
    rows = [
        (name, int(counts[f"n_{i}"]), published, 0.0, "84.51° study, counted with another tool")
        for i, (name, published) in enumerate(STUDY_COUNTS.items())
    ]
    days = pd.to_datetime(transactions.select(day=transactions.occurred_at.date()).distinct().to_pandas().day)
    rows.append(("trading days", len(days), 364, 0.0, "2017 less 25 December"))
    rows.append(("days of trade on 25 December", int((days == "2017-12-25").sum()), 0, 0.0, "the shops were shut"))
    return pd.DataFrame(rows, columns=_WITNESS)


def trial_holds(cells: Sequence[Cells], trial: ImputationTrial, *, rng: np.random.Generator) -> pd.DataFrame:
    """Compare the trial with closed forms: of each column's constant, and of normals of correlation 0.7.

    A constant's error is known before any trial: hidden at random, its mean square is the variance of the column,
    and the commonest word is wrong for all others. The mean over repeats is held to five standard errors,
    normals to more than four.
    """
    random = trial.scores[trial.scores.mechanism == "at_random"]
    rows: list[tuple[str, float, float, float, str]] = []
    behind = 0
    for one, told in zip(cells, advise(trial).itertuples(), strict=True):
        tried = random[random.column == one.name]
        errors = {method: of.sort_values("repeat").error.to_numpy() for method, of in tried.groupby("method")}
        constant = errors[told.constant] if one.words else errors[told.constant] ** 2
        due = 1 - one.frame[one.column].value_counts(normalize=True).max() if one.words else 1.0
        reach = max(0.05, 5 * float(np.std(constant, ddof=1)) / trial.repeats**0.5)
        name = f"{'share wrong' if one.words else 'squared error'} of the {told.constant}, {one.name}"
        rows.append((name, constant.mean(), due, reach, "closed form of a constant"))
        if told.advice != "none":
            behind += int((errors[told.advice] >= errors[told.constant]).sum())
    rows.append(("repeats in which an advised method loses", behind, 0, 0, "constant and method, pair by pair"))
    pairs = correlated_normals(20_000, correlation=0.7, rng=rng)
    closed = {
        "mean": (1.0, 0.0),
        "random_cell": (2**0.5, 1.0),
        "regression": (0.51**0.5, 0.49),
        "donor": (1.02**0.5, 1.0),
    }
    known = impute_trial([Cells(pairs, "y")], hidden_share=0.3, repeats=2, rng=rng, methods=list(closed))
    found = known.methods[known.methods.mechanism == "at_random"].set_index("method")
    source = "closed form for normals of correlation 0.7; 12,000 hidden cells"
    for method, (error, kept) in closed.items():
        rows.append((f"error of {method}", found.error[method], error, 0.05, source))
        rows.append((f"variance kept by {method}", found.variance_ratio[method], kept, 0.08, source))
    few = pairs.head(400).assign(y=pairs.y.where(pairs.index % 4 > 0))
    near = [few.y[(few.x[few.y.notna()] - x).abs().nsmallest(5).index].mean() for x in few.x[::4]]
    filled = impute(few, column="y", method="nearest_5", rng=rng)[::4]
    off = float(np.abs(filled.to_numpy() - near).max())
    rows.append(("greatest difference of a mean of 5 nearest", off, 0, 1e-9, "a plain search"))
    return pd.DataFrame(rows, columns=_WITNESS)


def count_unlike(transactions: ibis.Table, *, max_rows: int) -> int:
    """Count lines whose `line_type` differs from one worked out in plain Python; beyond `max_rows` every k-th."""
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
    """Count rows that one table has and the other lacks, by a digest of every cell of `before` but `row`."""
    columns = [column for column in before.columns if column != "row"]
    some, others = (t.select(digest=ibis.struct({c: t[c] for c in columns}).hash()) for t in (before, after))
    both = some.mutate(n=ibis.literal(1)).union(others.mutate(n=ibis.literal(-1)))
    left = both.group_by("digest").aggregate(n=both.n.sum())
    lost = left.aggregate(ours=left.n.sum(where=left.n > 0), theirs=left.n.sum(where=left.n < 0))
    return int(lost.to_pandas().fillna(0).abs().iloc[0].max())


def mistakes_hold(accepted: Mapping[str, ibis.Table], mistakes: Mistakes) -> pd.DataFrame:
    """Count what should be 0: rows lost, cells changed that no rule names, copies set aside without their like."""
    n_lost = n_alone = n_cells = 0
    for name, before in accepted.items():
        after, aside = mistakes.tables[name], mistakes.set_aside.get(name)
        if after is before:
            continue
        columns = [column for column in before.columns if column != "row"]
        if aside is not None:
            copies = aside.filter(aside.reason == "delivered twice").select(*columns)
            n_alone += int(copies.distinct().difference(after.select(*columns)).count().execute())
            after = after.union(aside.select(*after.columns))
        n_lost += abs(int(before.count().execute()) - int(after.count().execute()))
        both = before.inner_join(after, "row", rname="{name}_after")
        unlike = {c: (~both[c].identical_to(both[f"{c}_after"])).sum().fill_null(0) for c in columns}
        n_cells += int(both.aggregate(**unlike).to_pandas().to_numpy().sum())
    log = mistakes.changes
    told = int(log[log.action == "changed"].rows_changed.sum()) if len(log) else 0
    zeros = [
        ("rows lost or invented by mending", n_lost, "rows in = rows mended + rows set aside", "conservation"),
        ("cells mended that no rule names", n_cells - told, "cells before and after, row by row", "conservation"),
        ("doubled rows set aside without their like", n_alone, "the rows that are kept", "conservation"),
    ]
    if "customer_records" in accepted:
        left = _left(mistakes.tables["customer_records"].to_pandas())
        zeros.append(("mistakes left in customer records", left, "plain Python, record by record", "witness"))
    frame = pd.DataFrame(zeros, columns=["name", "value", "source", "kind"])
    return frame.assign(reference=0, tolerance=0)


def _left(records: pd.DataFrame) -> int:
    """Number of records with a mistake that anyone would see."""
    n = 0
    for record in records.astype(object).where(records.notna(), "").to_dict("records"):
        mail, phone = str(record.get("email", "")).strip().lower(), str(record.get("phone", "")).strip()
        texts = [str(record.get(field, "")).strip().lower() for field in ("given_name", "surname", "address")]
        n += bool(
            mail.split("@")[0] in ("test", "noreply", "no-reply", "none")
            or ("@" in phone and "@" not in mail and mail)
            or "n.a." in texts
            or phone == "999"
            or str(record.get("birth_date", "")).startswith("1900-01-01")
        )
    return n
