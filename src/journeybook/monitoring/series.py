"""What is counted of each table and source by day, in the engine: volume, quality, and how values are made up.

A share counts what is wrong: cells that are empty, rows set aside, rows that came before, keys that nothing knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.holiday import USFederalHolidayCalendar

from journeybook.tables import brought_in

Array = NDArray[np.float64]

WHOLE, OTHERS = "(all)", "(others)"
RATE, SHARE, LEVEL = "rate", "share", "level"
MEASURES = {
    "volume": RATE,
    "completeness": SHARE,
    "validity": SHARE,
    "uniqueness": SHARE,
    "timeliness": LEVEL,
    "consistency": SHARE,
    "mix": RATE,
    "values": LEVEL,
}
"""Measures, and the kind of each: a rate against its expectation, a share of what is wrong, a mean in its sd."""

_MOST_SOURCES, _MOST_VALUES = 8, 20
# Sums of floats depend on threads: logarithms are summed in whole thousandths, hours in whole minutes.
_PARTS = {"values": 1000, "timeliness": 60}
ABOUT = ["table", "source", "measure", "column"]
_NO_IDS = ("row", "instant", "day_", "source_")


@dataclass(frozen=True, eq=False)
class DailySeries:
    """Series of one calendar.

    Attributes:
        about: One row a series: table, source, measure, column (what it is of), kind; the order of all arrays.
        days: Days without a gap, shape (days,).
        k: What was counted, or the sum of a level, shape (series, days).
        n: What it was counted among, likewise; 1 for a volume.
        q: Sum of squares of a level, 0 for others, likewise.
        seen: Whether a table had rows before, on and after a day, likewise: days at the ends may be cut.
        note: What could not be counted, and what it would take; empty where nothing lacks.
    """

    about: pd.DataFrame
    days: pd.DatetimeIndex
    k: Array
    n: Array
    q: Array
    seen: NDArray[np.bool_]
    note: str = ""

    def kind(self, *kinds: str) -> NDArray[np.bool_]:
        """Which series are of these kinds, shape (series, 1)."""
        return self.about["kind"].isin(kinds).to_numpy()[:, None]

    def only(self, chosen: NDArray[Any]) -> "DailySeries":
        """Those series alone, by place or by mask."""
        arrays = {name: getattr(self, name)[chosen] for name in ("k", "n", "q", "seen")}
        return replace(self, about=self.about.iloc[chosen].reset_index(drop=True), **arrays)


def default_sources(tables: Mapping[str, ibis.Table], *, contacts: str) -> dict[str, str]:
    """Return the column that tells sources apart, by table: the device of events, the channel of contacts."""
    usual = {"events": "device", contacts: "channel"}
    return {name: c for name, c in usual.items() if name in tables and c in tables[name].columns}


def default_holidays(days: pd.DatetimeIndex, *, dataset: str) -> list[str]:
    """Return the federal holidays of the United States among the days, for the data that come from there."""
    if dataset == "files" or not len(days):
        return []
    return [f"{day:%Y-%m-%d}" for day in USFederalHolidayCalendar().holidays(days[0], days[-1])]


def count_days(
    tables: Mapping[str, ibis.Table],
    *,
    sources: Mapping[str, str],
    quarantine: ibis.Table | None,
    products: ibis.Table | None,
) -> DailySeries:
    """Count each table by day and source.

    Args:
        tables: Accepted rows by table; those without `occurred_at` are left out.
        sources: Column by whose values a table's rows are watched apart, by table; the commonest eight of them.
        quarantine: Rows set aside by table, day and rule (page 01); None where they are not known.
        products: The products that rows may name; None where there are none.

    Raises:
        ValueError: A source is no column of its table.
    """
    dated = {name: table for name, table in tables.items() if "occurred_at" in table.columns}
    for name, column in sources.items():
        if name in dated and column not in dated[name].columns:
            known = ", ".join(c for c in dated[name].columns if c != "row")
            raise ValueError(f"sources: {name} has no column {column!r}; it has {known}.")
    parts = [_counts(name, t, by=sources.get(name), products=products) for name, t in dated.items()]
    if quarantine is not None:
        aside = quarantine.filter(quarantine.table.isin([*dated])).order_by("table", "problem", "day").to_pandas()
        accepted = dict(zip(dated, parts, strict=True))
        parts += [_aside(rows, accepted[str(name)], name=str(name)) for name, rows in aside.groupby("table")]
    lacks = [f"{name} with `occurred_at`" for name in tables if name not in dated]
    lacks += ["`recorded_at`, for timeliness"] * all("recorded_at" not in t.columns for t in dated.values())
    lacks += ["`products`, for consistency"] * (products is None)
    lacks += ["page 01's quarantine by day, for validity"] * (quarantine is None)
    return _arranged(parts, note=f"To tell more it would need {', '.join(lacks)}." if lacks else "")


def _counts(name: str, table: ibis.Table, *, by: str | None, products: ibis.Table | None) -> pd.DataFrame:
    """Counts of a table, long: day, table, source, measure, column, k, n, q."""
    rows = table.filter(table.occurred_at.notnull())
    again = rows.row.isin(brought_in(_repeated(table)).row)
    rows = rows.mutate(day_=rows.occurred_at.truncate("D"), source_=_source(rows, by), again_=again)
    columns = [c for c in table.columns if c not in _NO_IDS and c != by]
    # What people decide is no quality of data; how late it is known is.
    columns = ["recorded_at"] if name == "consents" and "recorded_at" in columns else columns
    asked: dict[str, ir.Value] = {"volume": rows.count()}
    told: dict[str, tuple[str, str, str | None]] = {"volume": ("volume", "rows", None)}

    def ask(measure: str, column: str, value: ir.Value, of: str | None = "volume", squares: Any = None) -> None:
        key = f"x{len(asked)}"
        asked[key] = value.fill_null(0)
        told[key] = (measure, column, of)
        if squares is not None:
            asked[f"{key}_n"], asked[f"{key}_q"] = squares

    for column in (c for c in columns if c != "occurred_at"):
        ask("completeness", column, rows[column].isnull().sum())
    ask("uniqueness", "rows", rows.again_.sum())
    if "product_id" in columns and products is not None and name != "products":
        known = rows.product_id.isin(products.product_id)
        ask("consistency", "product_id", (rows.product_id.notnull() & ~known).sum())
    for column, number in _numbers(rows, columns):
        level = number.cast("int64")
        ask("timeliness" if column == "recorded_at" else "values", column, level.sum(), None,
            (level.count(), (level * level).sum().fill_null(0)))  # fmt: skip
    counted = rows.group_by("day_", "source_").aggregate(**asked).order_by("day_", "source_").to_pandas()
    counted = _with_whole(counted, by)
    parts = _mix(rows, [*columns, *([by] if by else [])], counted, by=by)
    for key, (measure, column, of) in told.items():
        unit = _PARTS.get(measure, 1)
        own = {"measure": measure, "column": column, "k": counted[key] / unit, "n": 1.0, "q": 0.0}
        if of is not None:
            own["n"] = counted[of].astype(float)
        elif key != "volume":
            own |= {"n": counted[f"{key}_n"].astype(float), "q": counted[f"{key}_q"] / unit**2}
        parts.append(counted[["day_", "source_"]].assign(**own))
    named = pd.concat(parts, ignore_index=True).rename(columns={"day_": "day", "source_": "source"})
    return named.assign(table=name)


def _source(rows: ibis.Table, by: str | None) -> ir.StringValue:
    """The source of each row: a value of the column, and what is not among its commonest."""
    if by is None:
        return ibis.literal(WHOLE)
    value = rows[by].cast("string").fill_null("(none)")
    common = value.name("value").value_counts(name="n")
    kept = common.order_by(ibis.desc("n"), "value").limit(_MOST_SOURCES).to_pandas()["value"]
    return ibis.ifelse(value.isin([*kept]), value, OTHERS)


def _repeated(table: ibis.Table) -> ibis.Table:
    """Rows all of whose cells an earlier row has."""
    cells = ibis.struct({c: table[c] for c in table.columns if c != "row"}).hash()
    told = table.select("row", digest=cells)
    several = told.group_by("digest").aggregate(first=told.row.min(), n=told.count())
    several = several.filter(several.n > 1).select("digest", "first")
    both = told.inner_join(several, "digest")
    return both.filter(both.row > both["first"]).select("row")


def _mix(rows: ibis.Table, columns: list[str], whole: pd.DataFrame, *, by: str | None) -> list[pd.DataFrame]:
    """Rows of each value of the columns of few values, by day and source, every value on every day."""
    texts = [c for c in columns if rows[c].type().is_string() or rows[c].type().is_boolean()]
    asked = {c: rows[c].nunique() for c in texts if not c.endswith("_id")}
    many = rows.aggregate(**asked).to_pandas().iloc[0] if asked else {}
    parts = []
    for column in (c for c in asked if 1 < many[c] <= _MOST_VALUES):
        value = rows[column].cast("string")
        told = rows.filter(value.notnull()).group_by("day_", "source_", value=value).aggregate(k=ibis._.count())
        told = _with_whole(told.order_by("day_", "source_", "value").to_pandas(), by, "value")
        # Of what tells sources apart each source has one value.
        days = whole[whole["source_"] == WHOLE] if column == by else whole
        for value_, own in told.groupby("value"):
            both = days[["day_", "source_", "volume"]].merge(own, how="left", on=["day_", "source_"])
            about = {"measure": "mix", "column": f"{column}: {value_}", "q": 0.0}
            both = both.assign(k=both["k"].fillna(0.0), n=both["volume"].astype(float), **about)
            parts.append(both.drop(columns=["value", "volume"]))
    return parts


def _with_whole(counted: pd.DataFrame, by: str | None, *keys: str) -> pd.DataFrame:
    """Counts by day and source, and of all sources together."""
    if by is None:
        return counted
    whole = counted.groupby(["day_", *keys], as_index=False).sum(numeric_only=True)
    return pd.concat([counted, whole.assign(source_=WHOLE)], ignore_index=True)


def _numbers(rows: ibis.Table, columns: list[str]) -> list[tuple[str, ir.NumericValue]]:
    """Columns of numbers in thousandths of a logarithm, and how late a row was recorded, in minutes."""
    found: list[tuple[str, ir.NumericValue]] = []
    for column in columns:
        value = rows[column]
        if column == "recorded_at":
            late = value.epoch_seconds() - rows.occurred_at.epoch_seconds()
            found.append((column, (late * _PARTS["timeliness"] / 3600).round()))
        elif value.type().is_numeric() and column != "position":
            size = value.cast("float64").abs()
            found.append((column, (ibis.ifelse(size > 0, size, None).ln() * _PARTS["values"]).round()))
    return found


def _aside(rows: pd.DataFrame, accepted: pd.DataFrame, *, name: str) -> pd.DataFrame:
    """Rows of a table set aside by rule, a series each, on the days that it has accepted rows of."""
    aside = rows.assign(day=pd.to_datetime(rows["day"]))
    came = accepted[(accepted["measure"] == "volume") & (accepted["source"] == WHOLE)].set_index("day")["k"]
    of_rule = {rule: own.set_index("day")["n_rows"].reindex(came.index) for rule, own in aside.groupby("problem")}
    # The empty rule is all that was set aside on a day.
    n = came + of_rule.pop("", came * 0).fillna(0.0)
    parts = [
        pd.DataFrame(
            {"day": came.index, "column": rule, "k": k.fillna(0.0).to_numpy(dtype=float), "n": n, "q": 0.0}
        )
        for rule, k in of_rule.items()
    ]
    about = {"table": name, "source": WHOLE, "measure": "validity"}
    return pd.concat([pd.DataFrame(columns=["day", "column", "k", "n", "q"]), *parts]).assign(**about)


def _arranged(parts: list[pd.DataFrame], *, note: str) -> DailySeries:
    """Long counts as arrays of one calendar, that of the table with most rows."""
    long = pd.concat([pd.DataFrame(columns=["day", *ABOUT, "k", "n", "q"]), *parts], ignore_index=True)
    if long.empty:
        none = np.zeros((0, 0))
        about = pd.DataFrame(columns=[*ABOUT, "kind"])
        return DailySeries(about, pd.DatetimeIndex([]), none, none, none, none.astype(bool), note)
    long["day"] = pd.to_datetime(long["day"])
    rows = long[long["measure"] == "volume"]
    busiest = rows[rows["table"] == rows.groupby("table")["k"].sum().idxmax()]["day"]
    long = long[long["day"].between(busiest.min(), busiest.max())]
    days = pd.date_range(busiest.min(), busiest.max(), freq="D")
    keys = pd.MultiIndex.from_frame(long[ABOUT].drop_duplicates())
    place = keys.get_indexer(pd.MultiIndex.from_frame(long[ABOUT]))
    at = (long["day"] - days[0]).dt.days.to_numpy()
    arrays = {name: np.zeros((len(keys), len(days))) for name in ("k", "n", "q")}
    for name, array in arrays.items():
        array[place, at] = long[name].to_numpy(dtype=float)
    about = keys.to_frame(index=False, name=ABOUT)
    about["kind"] = about["measure"].map(MEASURES)
    volume = (about["measure"] == "volume").to_numpy()
    arrays["n"][volume] = 1.0
    seen = np.zeros(arrays["k"].shape, dtype=bool)
    for name, of in about.groupby("table").groups.items():
        there = np.flatnonzero(arrays["k"][[i for i in of if volume[i]]].sum(axis=0) > 0)
        # The first and the last day of a table may be cut.
        if len(there):
            late = int(len(days) - 1 - there[-1])
            note += f" No row of {name} came after {days[there[-1]]:%d %B}, {late} days before the last." * (
                late > 7
            )
            seen[np.asarray(of), there[0] + 1 : there[-1]] = True
    return DailySeries(about=about, days=days, seen=seen, note=note.strip(), **arrays)
