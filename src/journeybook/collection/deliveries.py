"""What came, against what came before: a delivery that came twice, odd days, a schema unlike the last run's."""

from collections.abc import Mapping
from typing import Any

import ibis
import numpy as np
import pandas as pd

# Rows in one piece, equal to as many earlier ones, are a delivery that came twice; fewer may be so by chance.
LEAST_ROWS = 20
# A day is odd if it is so many standard deviations (robust, and no less than Poisson's) from its weekday's median.
_ODD, _LEAST_WEEKS = 6, 8


def delivered_twice(accepted: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Return pieces of a table that came before: table, first_row, last_row, n_rows, like_row (its first copy)."""
    found = [pd.DataFrame(columns=["table", "first_row", "last_row", "n_rows", "like_row"])]
    for name, table in accepted.items():
        cells = [c for c in table.columns if c != "row"]
        told = table.select("row", digest=lambda t, cells=cells: ibis.struct({c: t[c] for c in cells}).hash())
        first = ibis._.row.min().over(group_by="digest")
        copies = told.mutate(first=first).filter(ibis._.row > ibis._["first"])
        rows = copies.select("row", "first").order_by("row").to_pandas()
        pieces = rows.groupby(((rows.diff() != 1).any(axis=1)).cumsum()).agg(
            first_row=("row", "min"), last_row=("row", "max"), n_rows=("row", "size"), like_row=("first", "min")
        )
        found.append(pieces[pieces.n_rows >= LEAST_ROWS].assign(table=name)[found[0].columns])
    return pd.concat(found[1:] or found, ignore_index=True)


def odd_days(accepted: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Return the days of a table with far more or fewer rows than its weekday's median: table, day, n_rows, usual.

    Days without a row count as 0. Not judged are the first and last one, tables of under eight weeks, and weekdays
    of which half have no row.
    """
    found = [pd.DataFrame(columns=["table", "day", "n_rows", "usual"])]
    for name in (name for name, table in accepted.items() if "occurred_at" in table.columns):
        day = accepted[name].filter(ibis._.occurred_at.notnull()).occurred_at.truncate("D")
        n = day.value_counts(name="n_rows").to_pandas().set_index(day.get_name()).n_rows
        n = n.sort_index().asfreq("D", fill_value=0)[1:-1]
        if len(n) >= 7 * _LEAST_WEEKS:
            usual = n.groupby(n.index.day_of_week).transform("median")
            spread = 1.4826 * (n - usual).abs().groupby(n.index.day_of_week).transform("median")
            told = {"table": name, "day": n.index.strftime("%Y-%m-%d"), "n_rows": n, "usual": usual}
            odd = (usual > 0) & ((n - usual).abs() > _ODD * np.sqrt(np.maximum(spread**2, usual)))
            found.append(pd.DataFrame(told)[odd])
    return pd.concat(found[1:] or found, ignore_index=True)


def aside_by_day(
    tables: Mapping[str, ibis.Table], quarantine: ibis.Table, *, now: ibis.Table | None
) -> pd.DataFrame:
    """Count the raw rows of each dated table that are set aside, by day and rule; of nobody by name.

    Args:
        tables: Raw rows by table.
        quarantine: Rows set aside: table, row, column, problem.
        now: `Consent.now`, by which only rows of whoever permits analytics count; None where there is no ledger.

    Returns:
        One row a table, day and rule: table, day, problem (column and rule; empty for all of the day), n_rows.
    """
    found = [pd.DataFrame(columns=["table", "day", "problem", "n_rows"])]
    for name in (name for name, table in tables.items() if "occurred_at" in table.columns):
        rows = tables[name].filter(ibis._.occurred_at.notnull())
        if now is not None and "customer_id" in rows.columns:
            who = now.filter((now.purpose == "analytics") & now.permits)
            rows = rows.filter(rows.customer_id.isnull() | rows.customer_id.isin(who.customer_id))
        rows = rows.select("row", day=rows.occurred_at.strftime("%Y-%m-%d"))
        told = quarantine.filter(quarantine.table == name)
        told = told.select("row", problem=told.column + " " + told.problem).distinct().inner_join(rows, "row")
        by_rule = told.group_by("day", "problem").aggregate(n_rows=told.count()).to_pandas()
        every = told.group_by("day").aggregate(n_rows=told.row.nunique()).to_pandas().assign(problem="")
        parts = pd.concat([every, by_rule]).assign(table=name)
        found.append(parts[found[0].columns].sort_values(["day", "problem"]))
    return pd.concat(found[1:] or found, ignore_index=True)


def compare_schemas(
    tables: Mapping[str, ibis.Table], described: Mapping[str, Any], register: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Return what changed since the last delivery that was another, and the entry to keep of this one.

    Args:
        tables: Raw rows by table.
        described: Digest of each table, by name.
        register: What was kept: `now` and `before`, each of `schemas` and `digests`. The same delivery again is
            compared with the same one, so that a second run says what the first one said.
    """
    schemas = {name: {c: str(kind) for c, kind in t.schema().items()} for name, t in tables.items()}
    now = {"schemas": schemas, "digests": dict(described)}
    kept = register.get("kept", {})
    before = kept.get("before") if kept.get("now") == now else kept.get("now")
    old = (before or now)["schemas"]
    told = [f"table `{name}` is new" for name in schemas if name not in old]
    told += [f"table `{name}` is gone" for name in old if name not in schemas]
    for name in schemas.keys() & old.keys():
        both = sorted({*schemas[name], *old[name]})
        kinds = [(c, old[name].get(c, "none"), schemas[name].get(c, "none")) for c in both]
        told += [f"`{name}.{c}` was {was}, and is {kind}" for c, was, kind in kinds if was != kind]
    return sorted(told), {"now": now, "before": before}
