"""What page 02 is held against: another way of counting, rows before and after, closed forms.

Each function returns one row a comparison: name, value, reference, tolerance, source, kind.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import ibis
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from journeybook.cleaning import imputation
from journeybook.cleaning.cells import Cells, drawn_rows
from journeybook.cleaning.imputation import ImputationTrial
from journeybook.cleaning.missing import PLACEHOLDERS, customer_spend
from journeybook.cleaning.mistakes import Mistakes
from journeybook.cleaning.records import EMPTY_FIELDS
from journeybook.cleaning.stage import PASSED_THROUGH, Cleaning
from journeybook.cleaning.transactions import MAD_TO_SD
from journeybook.tables import added_up

_ZERO = ["name", "value", "source", "kind"]
_OUTCOMES = ("opened", "clicked", "value")


def rows_hold(
    mended: Mapping[str, ibis.Table],
    found: Cleaning,
    report: pd.DataFrame,
    *,
    given: Mapping[str, ibis.Table],
    country_code: str,
    volume_quantity: float,
    outlier_mads: float,
) -> pd.DataFrame:
    """Count what should be 0: rows, money and cells that are not what they were, or what a rule makes of them.

    Args:
        mended: Accepted table by name, once the sources' mistakes are mended.
        found: The same after cleaning.
        report: What is missing in the accepted tables.
        given: Accepted table by name, as page 01 wrote it.
        country_code: As for `clean_tables`.
        volume_quantity: As for `clean_tables`.
        outlier_mads: As for `clean_tables`.
    """
    n_lost = n_altered = 0
    for name, before in mended.items():
        # What customers wrote goes no further.
        columns = [c for c in before.columns if c != "row" and (name, c) != ("events", "text")]
        aside = found.set_aside.get(name)
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
        ("rows touched beyond all rules, or below one of them", _touched_off(found), "log of changes", "witness"),
    ]
    for name in [name for name in ("contacts", "coupon_contacts") if name in mended]:
        if not {*_OUTCOMES} & {*mended[name].columns}:
            continue
        off = _empties_off(mended[name], report[report.table == name].set_index("column"))
        zeros.append(
            (f"empty cells of {name} told apart otherwise", off, "by channel, in plain pandas", "witness")
        )
    if "customer_records" in mended:
        zeros += _records_hold(mended["customer_records"], found, given["customer_records"], country_code)
    for name in [name for name in ("products", "third_party") if name in mended]:
        off = _attributes_off(mended[name], found.tables[name], found.set_aside[name])
        zeros.append((f"attributes of {name} that differ", off, "row by row, in plain pandas", "witness"))
    if "transactions" in mended:
        off = _units_off(found.tables["transactions"])
        zeros.append(("units that are not the quantity, or one of a volume", off, "line by line", "witness"))
        off = _kinds_off(found.tables["transactions"], volume_quantity, outlier_mads)
        zeros.append(("kinds and outliers that differ, line by line", off, "NumPy, fence by SciPy", "witness"))
    return _zeros(zeros)


def _touched_off(found: Cleaning) -> int:
    """Number of rows touched that are more than all rules of a table together tell of, or fewer than one does."""
    by_rule = found.changes[found.changes.action != "reported"].groupby("table").rows_changed
    touched = found.counts.set_index("table").rows_touched
    most, least = (told.reindex(touched.index, fill_value=0) for told in (by_rule.sum(), by_rule.max()))
    return int(((touched - most).clip(lower=0) + (least - touched).clip(lower=0)).sum())


def _zeros(rows: Sequence[tuple[str, float, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_ZERO).assign(reference=0, tolerance=0)


def _empties_off(contacts: ibis.Table, reported: pd.DataFrame) -> int:
    """Number of empty cells of contacts that are told apart otherwise than by channel or response."""
    columns = [c for c in _OUTCOMES if c in contacts.columns]
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


def _records_hold(
    before: ibis.Table, found: Cleaning, given: ibis.Table, country_code: str
) -> list[tuple[str, float, str, str]]:
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
        if column == "phone":
            digits = [(_digits(a), _digits(b)) for a, b in zip(was[known], is_[known], strict=True)]
            cut = [a.removesuffix(b) for a, b in digits if a.endswith(b)]
            altered += sum(not re.fullmatch(f"0*({country_code})?0?", lost) for lost in cut)
        emptied += sum(bool(could_be(str(value))) for value in was[was.notna() & is_.isna()])
    was_given = was_given.loc[new.index]
    cells = (was_given != new) & ~(was_given.isna() & new.isna())
    differ = cells.any(axis=1)
    named = found.cells.filter(found.cells.table == "customer_records").select("row", "column").distinct()
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
        (
            "changed cells of records that are not told, or told and not changed",
            abs(int(cells.to_numpy().sum()) - int(named.count().execute())),
            "cells before and after",
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


def _attributes_off(before: ibis.Table, after: ibis.Table, aside: ibis.Table) -> int:
    """Number of attributes that are neither what they were nor emptied for a placeholder, row by row in pandas."""
    old, new = (t.order_by("row").to_pandas() for t in (before.anti_join(aside, "row"), after))
    if len(old) != len(new):
        return max(len(old), len(new))
    off = 0
    for column in [c for c in old if c not in ("row", "postcode")]:
        was, is_ = old[column], new[column]
        if before[column].type().is_string():
            was = was.str.strip()
            was = was.mask(was.str.lower().isin(PLACEHOLDERS))
        off += int((~((was == is_) | (was.isna() & is_.isna())).fillna(False)).sum())
    return off


def _units_off(lines: ibis.Table) -> int:
    """Number of lines whose units are neither the quantity nor, of a product sold by volume, one."""
    if "units" not in lines.columns:
        return 0
    one = lines.by_volume & (lines.quantity > 0)
    right = ibis.ifelse(one, lines.units == 1, lines.units.identical_to(lines.quantity))
    return int(lines.count(where=~right.fill_null(False)).execute())


def _kinds_off(lines: ibis.Table, volume_quantity: float, outlier_mads: float) -> int:
    """Number of lines of another kind than their money and quantity say, or outliers on the wrong side."""
    columns = [c for c in ("revenue", "quantity", "units") if c in lines.columns]
    numbers = {c: lines[c].cast("float64") for c in columns}
    told = lines.select("line_type", "is_outlier", **numbers).to_pandas()
    money, n = told.revenue.to_numpy(), told.reindex(columns=["quantity"]).quantity.to_numpy()
    cases = {"return": (money < 0) | (n < 0), "empty": (money == 0) & (n == 0), "free": money == 0}
    cases["amount_only"] = n == 0
    kind = np.select([*cases.values()], [*cases], "sale")
    logs = np.log(money[kind == "sale"])
    mad = stats.median_abs_deviation(logs) if len(logs) else 0.0
    fence = np.exp(np.median(logs) + outlier_mads * MAD_TO_SD * mad) if mad > 0 else np.inf
    many = told.reindex(columns=["units"]).units.to_numpy() > volume_quantity
    off = (kind != told.line_type) | (told.is_outlier != ((kind == "sale") & (money > fence) | many))
    return int(off.sum())


def handed_on_holds(
    given: Mapping[str, ibis.Table],
    found: Cleaning,
    cells: Sequence[Cells],
    trial: ImputationTrial,
    *,
    aside: ibis.Table,
    presence: pd.DataFrame,
    rules: pd.DataFrame,
    level: float,
    max_customers: int,
) -> pd.DataFrame:
    """Hold what is handed on: rows set aside, whether a value goes with spend, and the rules of filling in."""
    kept = aside.group_by("table").aggregate(n=aside.count()).to_pandas().set_index("table").n
    n_in, n_out = ({k: int(t.count().execute()) for k, t in of.items()} for of in (given, found.tables))
    n_gone = sum(abs(n - n_out[name] - int(kept.get(name, 0))) for name, n in n_in.items())
    far, mended = 0.0, found.mistakes.tables
    if len(presence):
        lines = mended["transactions"].select("customer_id", spent=ibis._.revenue.cast("float64")).to_pandas()
        asked = customer_spend(mended["transactions"], max_customers=max_customers).customer_id
        spend = lines.groupby("customer_id").spent.sum().round(4)[asked]
    for one in presence.itertuples():
        told = mended[one.table].to_pandas().dropna(subset="customer_id").set_index("customer_id")
        there = told.index if one.column == "any" else told.index[told[one.column].notna()]
        of = spend if one.column == "any" else spend[spend.index.isin(told.index)]
        having, lacking = of[of.index.isin(there)], of[~of.index.isin(there)]
        auc = stats.mannwhitneyu(having, lacking).statistic / len(having) / len(lacking)
        # Each value's share of the other side that is less, equal ones counting half (DeLong et al. 1988).
        less = [
            sum(np.searchsorted(np.sort(b), a, side) for side in ("left", "right")) / 2 / len(b)
            for a, b in ((having, lacking), (lacking, having))
        ]
        reach = stats.norm.isf((1 - level) / len(presence) / 2) * sum(x.var(ddof=1) / len(x) for x in less) ** 0.5
        ends = np.clip([auc, auc - reach, auc + reach], 0, 1)
        said = (one.auc, one.auc_low, one.auc_high, one.n_with, one.median_spend_with, one.median_spend_without)
        made = (*ends, len(having), having.median(), lacking.median())
        far = max(far, float(np.abs(np.subtract(said, made)).max()))
    due: dict[str, str] = {}
    for cell in [cell for cell in cells if cell.table]:
        tried = trial.scores[trial.scores.column == cell.name].assign(auc_off=lambda t: t.auc_off.abs())
        by = tried[tried.method.isin(imputation.HANDED_ON)].groupby(["method", "repeat"])
        profile, auc_off = by.profile_off.mean().unstack(), by.auc_off.mean().unstack()
        best = profile.drop(["median", "indicator"]).mean(axis=1).idxmin()
        nearer = (profile.loc["median"] > profile.loc[best] + imputation.LEAST_GAIN).all()
        ranks = auc_off.loc[best].mean() <= auc_off.loc["median"].mean() + imputation.LEAST_AUC_GAIN
        marked = (auc_off.loc["median"] > auc_off.loc["indicator"] + imputation.LEAST_AUC_GAIN).all()
        due.setdefault(cell.column, best if nearer and ranks else "indicator" if marked else "median")
    handed = rules.set_index("column").method
    n_other = sum(handed.get(column) != method for column, method in due.items())
    rows = [
        ("rows set aside that are not listed", n_gone, 0, "accepted rows less clean ones", "conservation"),
        ("figures of spend, greatest difference", far, 1e-6, "Mann-Whitney's U by SciPy, medians", "witness"),
        ("rules of filling in that the trial does not give", n_other, 0, "repeat by repeat", "witness"),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source", "kind"]).assign(reference=0)


def taught_holds(tables: Mapping[str, ibis.Table], taught: pd.DataFrame, *, max_rows: int) -> pd.DataFrame:
    """Hold the medians handed on of contacts with times against those of what was sent before their moment."""
    n_off, handed = 0, taught[taught.as_of.notna() & ~taught.method.isin(["mode", "model"])]
    for name, own in handed.groupby("source"):
        rows = drawn_rows(tables[name], max_rows=max_rows)
        for one in own.itertuples():
            values = rows.loc[rows.occurred_at < one.as_of, one.column]
            if pd.api.types.is_numeric_dtype(values):
                n_off += not np.isclose(one.constant, values.median() if values.notna().any() else 0, rtol=1e-9)
    return _zeros([("medians of contacts that are not of what was sent before", n_off, "pandas", "witness")])


def trial_holds(cells: Sequence[Cells], trial: ImputationTrial, *, rng: np.random.Generator) -> pd.DataFrame:
    """Compare the trial with what is known before it: a median's error, and expected values.

    The squared error of the median, hidden at random, is the variance of the column and the squared distance from
    the mean; over the repeats it is held to five standard errors.
    """
    random = trial.scores[(trial.scores.mechanism == "MCAR") & (trial.scores.method == "median")]
    rows: list[tuple[str, float, float, float, str]] = []
    for one in cells:
        y = one.frame[one.column].astype(float)
        squared = random[random.column == one.name].error.to_numpy() ** 2
        reach = max(0.05, 5 * float(np.std(squared, ddof=1)) / len(squared) ** 0.5)
        due = float(1 + ((y.mean() - y.median()) / y.std(ddof=0)) ** 2)
        name = f"squared error of the median, {one.name}"
        rows.append((name, float(squared.mean()), due, reach, "closed form: the column's variance"))
    frame, column = cells[0].frame.astype(float), cells[0].column
    y, hidden = frame[column], np.arange(len(frame)) % 4 == 0
    holes = frame.assign(**{column: y.mask(hidden)})
    others = np.arcsinh(frame.drop(columns=column))
    scaler = StandardScaler().fit(others[~hidden])
    ridge = Ridge(alpha=1e-3 * (~hidden).sum()).fit(scaler.transform(others[~hidden]), np.arcsinh(y[~hidden]))
    expected = np.sinh(ridge.predict(scaler.transform(others[hidden])))
    model = imputation._fill(holes, column, "model", rng)[0][hidden]
    inside = (expected > y[~hidden].min()) & (expected < y[~hidden].max())
    off = float(np.abs(model - expected)[inside].max(initial=0) / y.std())
    rows.append(("greatest difference of an expected value, sd", off, 0, 1e-6, "ridge regression by scikit-learn"))
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"])


def means_hold(cells: Sequence[Cells], means: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Hold means of columns with holes against Student's interval, and draws against what they are drawn about.

    The mean of the completed sets is off that of a regression's own values by chance alone, of which the share
    that is due to what is missing tells the size; four of its standard errors are allowed. Rubin's degrees of
    freedom are two fewer than Student's where nothing is missing: a hundredth of an error.
    """
    told, far, drawn = means.set_index(["column", "way"]), 0.0, 0.0
    for one in cells:
        y, others = one.whole[one.column].astype(float), one.whole.drop(columns=one.column)
        known = y.notna()
        for way, values in (("known cells", y[known]), ("median", y.fillna(y.median()))):
            error = stats.sem(values)
            ends = stats.t.interval(level, len(values) - 1, loc=values.mean(), scale=error)
            said = told.loc[(one.name, way), ["mean", "low", "high"]].astype(float)
            far = max(far, float(np.abs(said - [values.mean(), *ends]).max() / error))
        if known.all():
            continue
        model = LinearRegression().fit(others[known], y[known])
        expected = y.fillna(pd.Series(model.predict(others), y.index)).mean()
        pooled = told.loc[(one.name, "multiple imputation")].astype(float)
        spread = (pooled.high - pooled.low) / 2 / stats.norm.ppf((1 + level) / 2)
        error = spread * (pooled.missing_share / 20) ** 0.5
        drawn = max(drawn, abs(pooled["mean"] - expected) / error if error else np.inf)
    rows = [
        ("means of columns with holes, furthest off in errors", far, 0.01, "Student's t by SciPy", "within"),
        (
            "means of completed sets, furthest off in errors",
            drawn,
            0,
            "linear regression by scikit-learn",
            "at most",
        ),
    ]
    table = pd.DataFrame(rows, columns=["name", "value", "tolerance", "source", "rule"])
    return table.assign(reference=[0, 4])


def mistakes_hold(accepted: Mapping[str, ibis.Table], mistakes: Mistakes) -> pd.DataFrame:
    """Count what should be 0: copies without their like, mistakes that are left."""
    n_alone = 0
    for name, aside in mistakes.set_aside.items():
        after, columns = mistakes.tables[name], [c for c in accepted[name].columns if c != "row"]
        copies = aside.filter(aside.reason == "delivered twice").select(*columns).distinct()
        n_alone += int(
            copies.anti_join(after, [copies[c].identical_to(after[c]) for c in columns]).count().execute()
        )
    zeros = [("doubled rows set aside without their like", n_alone, "the rows that are kept", "conservation")]
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
