"""Steps of events or of paths, and the links from each to the next, lazily in the engine."""

from typing import Any

import ibis

from journeybook.journeys.sessions import CONVERSION, EXIT, START, computed, session_steps

NUMBER = "decimal(24, 6)"
"""Walks of a path, which may be fractions; sums of decimals do not depend on their order."""

USUAL_CONVERSION = "purchase"
"""The event that counts as conversion where none is named."""


def default_conversion(table: ibis.Table) -> str | None:
    """Return `purchase` where it is among the events, None where it is not; paths bring their own end."""
    if "path" in table.columns:
        return CONVERSION
    found = table.filter(table.event == USUAL_CONVERSION).count().execute()
    return USUAL_CONVERSION if found else None


def steps_of(rows: ibis.Table, *, conversion: str | None, **rules: Any) -> ibis.Table:
    """Return the steps of canonical `events`, computed once in the engine, or of canonical `paths`.

    Args:
        rows: Either table.
        conversion: As `session_steps` takes it; paths bring their own end.
        rules: The other rules of `session_steps`, of no use for paths.

    Raises:
        ValueError: An event of paths is named as conversion, or `session_steps` refuses the events.
    """
    if "path" not in rows.columns:
        return computed(session_steps(rows, conversion=conversion, **rules))
    check_ends(conversion)
    return path_steps(rows)


def check_ends(conversion: str | None) -> None:
    """Refuse an event as the conversion of aggregated paths.

    Raises:
        ValueError: One is named.
    """
    if conversion not in (None, CONVERSION):
        raise ValueError(f"conversion is {conversion!r}, but aggregated paths bring their own end: leave it out.")


def path_separator(paths: ibis.Table) -> str:
    """Return the regular expression that separates the steps of paths: `>` or `->`, else `|`, else a comma.

    It is the first of them that any path holds; names may hold the others.
    """
    seen = paths.aggregate(bar=paths.path.contains("|").any(), arrow=paths.path.contains(">").any()).to_pandas()
    if seen["arrow"].any():
        return "-?>"
    return r"\|" if seen["bar"].any() else ","


def path_steps(paths: ibis.Table) -> ibis.Table:
    """Return one row a step of aggregated paths: `row`, `step`, `label`, `previous`, `last`, the two numbers.

    Empty steps are left out, and so is a path without any.
    """
    parts = paths.path.re_split(path_separator(paths)).map(lambda part: part.strip())
    walks = paths.select("row", "conversions", "nulls", parts=parts.filter(lambda part: part != ""))
    steps = walks.mutate(step=ibis.range(0, walks.parts.length()).unnest(), n=walks.parts.length())
    steps = steps.mutate(label=steps.parts[steps.step], last=steps.step == steps.n - 1)
    previous = steps.label.lag().over(group_by=steps.row, order_by=steps.step).fill_null(START)
    return steps.mutate(previous=previous).drop("parts", "n")


def links(steps: ibis.Table, *columns: str, memory: int = 1) -> ibis.Table:
    """Return one row a link, the last of each walk into `(conversion)` or `(exit)`.

    `columns` of the steps are kept; a link remembers `memory` steps back.

    Returns:
        The columns asked for, `source`, `source_2` ... `source_<memory>` (further and further back, `(start)`
        before the first step), `target` and `n` (1, or the walks of an aggregated path).
    """
    aggregated = "session" not in steps.columns
    walk = steps.row if aggregated else steps.session
    within = {"group_by": walk, "order_by": steps.step}
    earlier = {_source(k): steps.previous.lag(k - 1).over(**within).fill_null(START) for k in range(2, memory + 1)}
    told = steps.mutate(source=steps.previous, **earlier)
    if aggregated:
        won, lost = (told[name].cast(NUMBER) for name in ("conversions", "nulls"))
        inside = (won + lost).cast(NUMBER)
        leaving = [(CONVERSION, won), (EXIT, lost)]
        ends = told.last
    else:
        inside = ibis.literal(1, "int64")
        leaving = [(EXIT, inside)]
        ends = told.last & (told.label != CONVERSION)
    kept = [_source(k) for k in range(1, memory + 1)]
    found = told.select(*columns, *kept, target=told.label, n=inside)
    one_on = {_source(k): told[_source(k - 1)] for k in range(2, memory + 1)}
    for target, n in leaving:
        last = told.filter(ends)
        found = found.union(last.select(*columns, source=last.label, **one_on, target=ibis.literal(target), n=n))
    return found.filter(found.n > 0)


def first_ranks(steps: ibis.Table) -> ibis.Table:
    """Return `cluster` and `rank`, its place (from 0) in the order of first appearance.

    The rank, neither the id nor the row, stands for a person wherever chance enters: ids are keyed, and rows
    that nobody may read must leave no trace.
    """
    clusters = steps.group_by("cluster").aggregate(first=steps.row.min())
    return clusters.select("cluster", rank=ibis.row_number().over(order_by=clusters["first"]))


def hashed(rank: ibis.Value, *, n_digits: int) -> ibis.Value:
    """Return one of 16 to the power of `n_digits` groups, drawn by a hash of the rank."""
    return rank.cast("string").hexdigest("md5").substr(0, n_digits)


def person_of(cluster: ibis.Value) -> ibis.Value:
    """Return the person of a known visitor's cluster."""
    return cluster.re_replace("^p ", "")


def _source(k: int) -> str:
    return "source" if k == 1 else f"source_{k}"
