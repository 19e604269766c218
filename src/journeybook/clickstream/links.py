"""The links of sessions, from a step to the next, lazily in the engine: what the comparisons of page 08 count."""

import ibis

from journeybook.clickstream.sessions import CONVERSION, EXIT, START


def links(steps: ibis.Table, *columns: str, memory: int = 1) -> ibis.Table:
    """Return one row a link, the last of each walk into `(conversion)` or `(exit)`.

    Args:
        steps: What `session_steps` or `path_steps` returns.
        columns: Columns of `steps` to keep.
        memory: How many steps back a link remembers.

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
        inside = told.conversions + told.nulls
        leaving = [(CONVERSION, told.conversions), (EXIT, told.nulls)]
        ends = told.last
    else:
        inside = ibis.literal(1)
        leaving = [(EXIT, inside)]
        ends = told.last & (told.label != CONVERSION)
    kept = [_source(k) for k in range(1, memory + 1)]
    found = told.select(*columns, *kept, target=told.label, n=inside.cast("int64"))
    one_on = {_source(k): told[_source(k - 1)] for k in range(2, memory + 1)}
    for target, n in leaving:
        last = told.select(
            *columns, source=told.label, **one_on, target=ibis.literal(target), n=n.cast("int64"), ends=ends
        )
        found = found.union(last.filter(last.ends).drop("ends"))
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
