"""What one unit adds to a release, bounded before anything is grouped; computed in the engine."""

from dataclasses import dataclass

import ibis
import numpy as np
from numpy.typing import NDArray

from journeybook.privacy.asking import Asked
from journeybook.privacy.releases import CENTS
from journeybook.tables import kept_in_engine

MISSING = "(missing)"


@dataclass(frozen=True, eq=False)
class Cells:
    """What noise is added to; exact, and for the house alone.

    Attributes:
        groups: Values of the grouping columns, one tuple a group.
        counted: Whole numbers by figure, each of shape (n_groups,): `people` (units), `rows`, `hits` (rows that
            say yes), `sum` (hundredths).
        cut: Units of whose rows, groups or amount a part was cut off.
    """

    groups: list[tuple[str, ...]]
    counted: dict[str, NDArray[np.int64]]
    cut: int


def unit_totals(table: ibis.Table, *, of: str) -> ibis.Table:
    """Return the total of a column by `unit`, in hundredths: one row a unit, with `total`."""
    return table.group_by("unit").aggregate(total=_hundredths(table[of]).sum())


def bounded_cells(rows: ibis.Table, asked: Asked) -> Cells:
    """Return counts and sums by group in which no unit has more than its declared part.

    First at most `rows` rows of a unit are kept, then at most `groups` of its groups, then its total in a group
    is clamped to between 0 and `amount`. Which rows and groups are kept is drawn by a hash of their own content
    and of the unit: what one unit adds depends on none of the others, and leaving a unit out changes its part
    alone. A number of the row would not do, for it changes when others leave. Rows of no unit are left out.

    Args:
        rows: `unit`, the grouping columns and `of`; a row of a group that was not declared counts nowhere.
        asked: The release, with its bounds.
    """
    rows = rows.filter(rows.unit.notnull())
    by = [] if asked.kind in ("histogram", "quantiles") else [*asked.by]
    named = {c: rows[c].cast("string").fill_null(MISSING) for c in by}
    told: ibis.Value = ibis.literal(0)
    if asked.amount:
        told = _hundredths(rows[asked.of]).clip(-asked.amount, asked.amount)
    elif asked.kind == "rate":
        told = rows[asked.of].cast("boolean").fill_null(False).cast("int64")
    rows = rows.select("unit", told=told.cast("int64"), **named)
    for column in by:
        if column in asked.values:
            rows = rows.filter(rows[column].isin(asked.values[column]))
    content = ibis.struct({c: rows[c] for c in rows.columns}).hash()
    # With everything in it alike, it does not matter which of two rows comes first.
    placed = rows.mutate(kept=ibis.row_number().over(group_by="unit", order_by=content) < asked.rows)
    each = placed.group_by("unit", *by).aggregate(
        n_rows=placed.kept.sum(), total=placed.told.sum(where=placed.kept).fill_null(0), over=~placed.kept.all()
    )
    drawn = ibis.struct({c: each[c] for c in ["unit", *by]}).hash()
    place = ibis.row_number().over(group_by="unit", order_by=[each.n_rows == 0, drawn])
    each = each.mutate(kept=(each.n_rows > 0) & (place < asked.groups))
    most = asked.amount or asked.rows
    outside = ~each.total.between(0, most)
    each = each.mutate(part=each.total.clip(0, most), cut=each.over | (~each.kept & (each.n_rows > 0)) | outside)
    each = kept_in_engine(each)
    cut = int(each.filter(each.cut).unit.nunique().to_pyarrow().as_py())
    kept = each.filter(each.kept)
    if asked.edges:
        edges = [round(edge * CENTS) for edge in asked.edges]
        kept, by = kept.mutate(band=kept.part.bucket([-(2**62), *edges, 2**62]).cast("string")), ["band"]
    found = kept.group_by(by).aggregate(people=kept.count(), rows=kept.n_rows.sum(), told=kept.part.sum())
    frame = found.to_pandas().set_index(by) if by else found.to_pandas().set_axis([()], axis=0)
    counted = {tuple(map(str, k if isinstance(k, tuple) else (k,))): row for k, *row in frame.itertuples()}
    bins: list[tuple[str, ...]] = [(str(i),) for i in range(len(asked.edges) + 1)]
    groups = bins if asked.edges else asked.declared
    if groups is None:
        groups = sorted(counted)
    told_of = np.array([counted.get(group, (0, 0, 0)) for group in groups], dtype=np.int64).reshape(-1, 3).T
    what = "hits" if asked.kind == "rate" else "sum"
    return Cells(groups, {"people": told_of[0], "rows": told_of[1], what: told_of[2]}, cut)


def moves(events: ibis.Table, *, of: str) -> ibis.Table:
    """Return each step of a unit from one state to the next in a session: `unit`, `source`, `target`."""
    order = [events[c] for c in ("occurred_at", "position") if c in events.columns]
    window = ibis.window(group_by=["unit", "session_id"], order_by=[*order, events[of]])
    steps = events.select("unit", source=events[of], target=events[of].lead().over(window))
    return steps.filter(steps.target.notnull())


def _hundredths(column: ibis.Value) -> ibis.Value:
    """Amounts as whole hundredths; nothing, not-a-number and the infinite count as 0."""
    number = column.cast("float64")
    sound = number.notnull() & ~number.isnan() & ~number.isinf()
    return sound.ifelse((number * CENTS).clip(-(2.0**52), 2.0**52).round(), 0).cast("int64")
