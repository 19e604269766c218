"""What page 02 is held against: another way of counting, rows before and after, closed forms.

Each function returns one row a comparison: name, value, reference, tolerance, source, kind.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import Cells, ImputationTrial, impute
from journeybook.cleaning.missing import PLACEHOLDERS
from journeybook.cleaning.mistakes import Mistakes
from journeybook.cleaning.records import EMPTY_FIELDS
from journeybook.cleaning.stage import PASSED_THROUGH, Cleaning
from journeybook.tables import added_up

_ZERO = ["name", "value", "source", "kind"]


def rows_hold(
    mended: Mapping[str, ibis.Table],
    found: Cleaning,
    report: pd.DataFrame,
    *,
    given: Mapping[str, ibis.Table],
) -> pd.DataFrame:
    """Count what should be 0: rows, money and cells that are not what they were, or what a rule makes of them.

    Args:
        mended: Accepted table by name, once the sources' mistakes are mended.
        found: The same after cleaning.
        report: What is missing in the accepted tables.
        given: Accepted table by name, as page 01 wrote it.
    """
    n_lost = n_altered = 0
    for name, before in mended.items():
        columns, aside = [c for c in before.columns if c != "row"], found.set_aside.get(name)
        (n_in, sum_in), (n_out, sum_out) = (added_up(t, columns) for t in (before, found.tables[name]))
        n_aside, sum_aside = (0, 0) if aside is None else added_up(aside, columns)
        n_lost += abs(n_in - n_out - n_aside)
        n_altered += name in (*PASSED_THROUGH, "transactions") and sum_in != sum_out + sum_aside
    cells = report[["n_present", "n_not_applicable", "n_not_asked", "n_missing"]].sum(axis=1)
    zeros: list[tuple[str, float, str, str]] = [
        ("rows lost or invented", n_lost, "rows in = rows out + rows set aside, counted again", "conservation"),
        (
            "tables of receipts, contacts, events or units altered",
            n_altered,
            "sum of a digest of each row's cells",
            "conservation",
        ),
        ("columns with cells of no kind, or of two", int((cells != report.n_rows).sum()), "sums", "conservation"),
    ]
    for name in [name for name in ("contacts", "coupon_contacts") if name in mended]:
        off = _empties_off(mended[name], report[report.table == name].set_index("column"))
        zeros.append(
            (f"empty cells of {name} told apart otherwise", off, "by channel, in plain pandas", "witness")
        )
    if "customer_records" in mended:
        zeros += _records_hold(mended["customer_records"], found, given["customer_records"])
    if "products" in mended:
        off = _attributes_off(mended["products"], found.tables["products"])
        zeros.append(("attributes of products that differ", off, "joined by product, cell by cell", "witness"))
    if "transactions" in mended:
        off = _units_off(found.tables["transactions"])
        zeros.append(("units that are not the quantity, or one of a volume", off, "line by line", "witness"))
    return _zeros(zeros)


def _zeros(rows: Sequence[tuple[str, float, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_ZERO).assign(reference=0, tolerance=0)


def _empties_off(contacts: ibis.Table, reported: pd.DataFrame) -> int:
    """Number of empty cells of contacts that are told apart otherwise than by channel or response."""
    columns = [c for c in ("opened", "clicked", "value") if c in contacts.columns]
    seen = contacts.select(*columns, *(c for c in ("channel", "responded") if c in contacts.columns)).to_pandas()
    off = 0
    for column in columns:
        empty, none, unasked = seen[column].isna(), pd.Series(False, seen.index), 0
        if column == "value":
            none = empty & ~seen.responded.astype(bool)
        elif "channel" in seen:
            none = empty & (seen.channel == "none")
            known = seen[~none].groupby("channel")[column].agg(["size", "count"])
            unasked = int(known["size"][(known["count"] == 0) & (known["size"] >= 20)].sum())
        off += abs(int(none.sum()) - int(reported.n_not_applicable[column]))
        off += abs(unasked - int(reported.n_not_asked[column]))
    return off


def _records_hold(before: ibis.Table, found: Cleaning, given: ibis.Table) -> list[tuple[str, float, str, str]]:
    """Compare each field of each record with what it said before, and the rows touched with those that differ."""
    was_given, old, new = (
        t.to_pandas().drop_duplicates("record_id").set_index("record_id").drop(columns="row")
        for t in (given, before, found.tables["customer_records"])
    )
    old = old.loc[new.index]
    emptied, altered = 0, 0
    for column in [c for c in old.columns if c in _SAYS and c in new.columns]:
        says, could_be = _SAYS[column]
        was, is_ = old[column], new[column]
        known = was.notna() & is_.notna()
        altered += sum(says(str(a)) != says(str(b)) for a, b in zip(was[known], is_[known], strict=True))
        emptied += sum(bool(could_be(str(value))) for value in was[was.notna() & is_.isna()])
    was_given = was_given.loc[new.index]
    differ = ((was_given != new) & ~(was_given.isna() & new.isna())).any(axis=1)
    told = found.counts.set_index("table").loc["customer_records"]
    hand = "plain Python, field by field"
    return [
        ("fields of records that say something else", altered, hand, "witness"),
        ("good values of records made missing", emptied, hand, "witness"),
        (
            "records touched that do not differ, or that differ untouched",
            int(differ.sum()) + told.rows_set_aside - told.rows_touched,
            "rows before and after",
            "witness",
        ),
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


def _attributes_off(before: ibis.Table, after: ibis.Table) -> int:
    """Number of cells of products that are neither what they were nor emptied for a placeholder."""
    first = before.filter(before.row == before.row.min().over(group_by=before.product_id))
    both = after.inner_join(first, "product_id", rname="{name}_was")
    off: dict[str, ibis.expr.types.IntegerScalar] = {}
    for column, kind in before.schema().items():
        if column in ("row", "product_id"):
            continue
        is_, was = both[column], both[f"{column}_was"]
        if kind.is_string():
            was = was.strip()
            was = was.lower().isin(PLACEHOLDERS).ifelse(ibis.null("string"), was)
        off[column] = both.count(where=~is_.identical_to(was))
    return int(both.aggregate(**off).to_pandas().to_numpy().sum()) if off else 0


def _units_off(lines: ibis.Table) -> int:
    """Number of lines whose units are neither the quantity nor, of a product sold by volume, one."""
    if "units" not in lines.columns:
        return 0
    one = lines.by_volume & (lines.quantity > 0)
    right = ibis.ifelse(one, lines.units == 1, lines.units.identical_to(lines.quantity))
    return int(lines.count(where=~right.fill_null(False)).execute())


def trial_holds(cells: Sequence[Cells], trial: ImputationTrial, *, rng: np.random.Generator) -> pd.DataFrame:
    """Compare the trial with what is known before it: a mean's error, a regression's values, a donor's cells.

    The squared error of the mean, hidden at random, is the variance of the column; over the repeats it is held to
    five standard errors.
    """
    random = trial.scores[(trial.scores.mechanism == "at_random") & (trial.scores.method == "mean")]
    rows: list[tuple[str, float, float, float, str]] = []
    for one in cells:
        squared = random[random.column == one.name].error.to_numpy() ** 2
        reach = max(0.05, 5 * float(np.std(squared, ddof=1)) / trial.repeats**0.5)
        name = f"squared error of the mean, {one.name}"
        rows.append((name, float(squared.mean()), 1.0, reach, "closed form: the column's variance"))
    frame = cells[0].frame.astype(float)
    y, hidden = frame[cells[0].column], np.arange(len(frame)) % 4 == 0
    holes = frame.assign(**{cells[0].column: y.mask(hidden)})
    x = np.column_stack([np.ones(len(frame)), frame.drop(columns=cells[0].column)])
    expected = x[hidden] @ np.linalg.lstsq(x[~hidden], y[~hidden], rcond=None)[0]
    filled = {m: impute(holes, column=cells[0].column, method=m, rng=rng)[hidden] for m in ("regression", "donor")}
    off = float(np.abs(filled["regression"] - expected).max() / y.std())
    n_strange = int((~filled["donor"].isin(y[~hidden])).sum())
    rows.append(("greatest difference of a regression, sd", off, 0, 1e-6, "least squares by NumPy"))
    rows.append(("donated values that no donor has", n_strange, 0, 0, "looked for among the known cells"))
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"])


def mistakes_hold(accepted: Mapping[str, ibis.Table], mistakes: Mistakes) -> pd.DataFrame:
    """Count what should be 0: rows lost by mending, copies without their like, mistakes that are left."""
    n_lost = n_alone = 0
    for name, aside in mistakes.set_aside.items():
        after, columns = mistakes.tables[name], [c for c in accepted[name].columns if c != "row"]
        n_in, n_out, n_aside = (int(t.count().execute()) for t in (accepted[name], after, aside))
        n_lost += abs(n_in - n_out - n_aside)
        copies = aside.filter(aside.reason == "delivered twice").select(*columns).distinct()
        n_alone += int(
            copies.anti_join(after, [copies[c].identical_to(after[c]) for c in columns]).count().execute()
        )
    zeros = [
        ("rows lost or invented by mending", n_lost, "rows in = rows mended + rows set aside", "conservation"),
        ("doubled rows set aside without their like", n_alone, "the rows that are kept", "conservation"),
    ]
    if "customer_records" in accepted:
        left = _left(mistakes.tables["customer_records"].to_pandas())
        zeros.append(("mistakes left in customer records", left, "plain Python, record by record", "witness"))
    return _zeros(zeros)


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
