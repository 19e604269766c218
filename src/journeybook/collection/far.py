"""Dates far from all others, as a mistyped year makes them: one row must not move the date of everything.

The rule, for each table and column of times, on the rows of whoever has not withdrawn. A date is far if a gap cuts
it off, before or after the rest of its table, no other table reaches it, and either

* at most one receipt (the rows of one customer at one moment), or one in a thousand, lies beyond the gap, the rest
  has ten days or more, and the gap is longer than 60 days and than ten times the longest gap within the rest; or
* at most one day, or one in twenty, lies beyond with less than half of the rows, and the gap is longer than a
  year and than the whole length of the rest: sentinels such as 1900-01-01, and odd dates in tables of few rows.

A season that comes once a year, a weekly delivery and a shop that reopens with more than a few receipts stay.
A refusal is never far: it holds whenever it was made. An early grant moves no date. Releases of third parties come
on few days: one is far by the second way, and if it has one row, or one in twenty. No other table goes by them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from journeybook.tables import brought_in, undecided_or_granting

_TIMES = ("occurred_at", "recorded_at", "as_of")
_FEW_RECEIPTS, _FEW_DAYS = 1_000, 20
_MANY_DAYS = 10
LONG, _TIMES_LONGEST, _YEAR = 60, 10, 366


def near_days(days: pd.DataFrame, *, releases: bool = False) -> tuple[int, int]:
    """Return the first and last place of the days that are not far.

    Args:
        days: One row a day, sorted: `day` (days since any date), `n_rows`, `n_receipts`.
        releases: They are of releases of third parties.

    >>> near_days(pd.DataFrame({"day": [0, 1, 3, 9000], "n_rows": 1, "n_receipts": 1}))
    (0, 2)
    """
    day, n = days.day.to_numpy(), len(days)
    gaps = np.diff(day)
    rows, receipts = (np.r_[0, np.cumsum(days[c].to_numpy())] for c in ("n_rows", "n_receipts"))
    breaks = np.flatnonzero(gaps > LONG)
    most = max(1, rows[-1] // 20) if releases else (rows[-1] - 1) // 2
    n_far = max(_MANY_DAYS, n // _FEW_DAYS, receipts[-1] // _FEW_RECEIPTS)

    def is_far(gap: int, first: int, last: int, beyond: slice) -> bool:
        within = gaps[first:last]
        longest = within.max() if len(within) else 0
        n_days = beyond.stop - beyond.start
        n_receipts = receipts[beyond.stop] - receipts[beyond.start]
        lone = (
            n_receipts <= max(1, receipts[-1] // _FEW_RECEIPTS)
            and last - first + 1 >= _MANY_DAYS
            and gap > _TIMES_LONGEST * longest
        )
        strange = (
            n_days <= max(1, n // _FEW_DAYS)
            and rows[beyond.stop] - rows[beyond.start] <= most
            and gap > max(_YEAR, day[last] - day[first])
        )
        return bool((lone and not releases) or strange)

    firsts = [0, *(int(b) + 1 for b in breaks if b + 1 <= n_far)]
    lasts = [n - 1, *(int(b) for b in breaks if n - 1 - b <= n_far)]
    best = (0, n - 1)
    for first in firsts:
        for last in lasts:
            if last < first or last - first >= best[1] - best[0]:
                continue
            early = first == 0 or is_far(gaps[first - 1], first, last, slice(0, first))
            late = last == n - 1 or is_far(gaps[last], first, last, slice(last + 1, n))
            if early and late:
                best = (first, last)
    return best


def is_far(table: ibis.Table, column: str, span: tuple[datetime | None, datetime | None]) -> ir.BooleanValue:
    """Return whether a row of a table lies outside what `near_dates` says of it; a refusal never does."""
    (first, before), at, no = span, table[column], ibis.literal(False)
    far = (at < first if first else no) | (at >= before if before else no)
    return far & table.granted if "granted" in table.columns else far


def near_dates(
    tables: Mapping[str, ibis.Table], *, first_given: bool, last_given: bool
) -> dict[tuple[str, str], tuple[datetime | None, datetime | None]]:
    """Return for each table and column of times from which moment on, and before which, a date is not far.

    Args:
        tables: Valid rows by table; the ledger is `consents`.
        first_given: A first day is asked for, so that no early date is far.
        last_given: A last day is asked for, so that no late date is far.

    Returns:
        A pair (from, before), None where nothing is far on that side.
    """
    whole: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    near: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    ledger = tables.get("consents")
    stays = None if ledger is None else brought_in(undecided_or_granting(ledger).select("customer_id", "purpose"))
    for name, table in tables.items():
        for column in (c for c in _TIMES if c in table.columns):
            days = _days(name, table, column, stays)
            if len(days):
                place = near_days(days, releases=column == "as_of")
                moments = pd.to_datetime(days.day, unit="D").tolist()
                whole[name, column] = (moments[0], moments[-1])
                near[name, column] = (moments[place[0]], moments[place[1]])
    found: dict[tuple[str, str], tuple[datetime | None, datetime | None]] = {}
    for pair, (low, high) in near.items():
        others = [span for (name, of), span in near.items() if name != pair[0] and of != "as_of"]
        earliest = min([low, *(span[0] for span in others)])
        latest = max([high, *(span[1] for span in others)])
        early = not first_given and pair[0] != "consents" and whole[pair][0] < low
        late = not last_given and whole[pair][1] > high
        found[pair] = (earliest if early else None, latest + timedelta(days=1) if late else None)
    return found


def _days(name: str, table: ibis.Table, column: str, stays: ibis.Table | None) -> pd.DataFrame:
    """Count rows by day, and receipts where a gap asks for them; who has withdrawn everything says nothing."""
    if stays is not None and "customer_id" in table.columns:
        if name == "consents":
            table = table.semi_join(stays, ["customer_id", "purpose"]).filter(ibis._.granted)
        else:
            table = table.filter(table.customer_id.isnull() | table.customer_id.isin(stays.customer_id))
    at = table[column]
    dated = table.mutate(day=at.epoch_seconds() // 86_400).filter(at.notnull())
    days = dated.group_by("day").aggregate(n_rows=dated.count()).order_by("day").to_pandas()
    if not (np.diff(days.day) > LONG).any():
        return days.assign(n_receipts=days.n_rows)
    who = dated.customer_id.fill_null("") if "customer_id" in dated.columns else ibis.literal("")
    receipts = dated.select("day", receipt=who + dated[column].cast("string")).group_by("day")
    return days.merge(receipts.aggregate(n_receipts=ibis._.receipt.nunique()).to_pandas(), on="day")
