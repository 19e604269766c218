"""The change log: every rule that touched a table, how many rows it touched, and one example."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import pandas as pd

LOG_COLUMNS = ["table", "rule", "column", "action", "rows_changed", "before", "after"]


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule, as conditions on the rows of one table.

    Attributes:
        name: What the rule says, in a few words.
        column: Column it concerns.
        action: `changed`, `flagged`, `set aside` or `reported`; what is only reported touches no row.
        applies: Whether it touches a row.
        before: Value before; None where the row as a whole is meant.
        after: Value after; None where nothing takes its place.
        shown_as_shape: The example shows the shape of a text and never the text.
    """

    name: str
    column: str
    action: str
    applies: ibis.expr.types.BooleanValue
    before: ibis.expr.types.Value | None = None
    after: ibis.expr.types.Value | None = None
    shown_as_shape: bool = False


@dataclass(frozen=True, eq=False)
class Cleaned:
    """One table after cleaning.

    Attributes:
        table: Clean rows, with `row` counted anew from 1 in the same order.
        set_aside: Rows not in `table`, as they came, with a `reason`; None where no rule sets any aside.
        changes: Change log: `table`, `rule`, `column`, `action`, `rows_changed`, `before`, `after`.
        touched: `row` of the rows, as they came, that a rule touched; a row may be named twice. None: no rule.
        cells: The cells that rules changed; see `changed_cells`.
    """

    table: ibis.Table
    set_aside: ibis.Table | None
    changes: pd.DataFrame
    touched: ibis.Table | None = None
    cells: tuple[ibis.Table, ...] = ()


def shape(text: str | None) -> str | None:
    """Return the shape of a text: a run of capitals as `A`, of other letters as `a`, each digit as `9`.

    >>> shape("  O'Brien, 12 Main St ")
    "  A'Aa, 99 Aa Aa "
    """
    if text is None:
        return None
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_A-Z]+", "a", re.sub(r"[A-Z]+", "A", text)))


def change_log(name: str, table: ibis.Table, rules: Sequence[Rule]) -> pd.DataFrame:
    """Return the change log of one table, in one query; of each rule the touched row of least `row` is shown."""
    if not rules:
        return pd.DataFrame(columns=LOG_COLUMNS)
    asked = {}
    for number, rule in enumerate(rules):
        applies = rule.applies.fill_null(False)
        asked[f"n_{number}"] = applies.sum().fill_null(0)
        for side, value in (("before", rule.before), ("after", rule.after)):
            if value is not None:
                text = value.cast("string").fill_null("(missing)")
                asked[f"{side}_{number}"] = text.argmin(table.row, where=applies)
    found = table.aggregate(**asked).to_pandas().iloc[0]
    rows = []
    for number, rule in enumerate(rules):
        texts = [found.get(f"{side}_{number}") for side in ("before", "after")]
        texts = [None if text is None or pd.isna(text) else text for text in texts]
        if rule.shown_as_shape:
            texts = [text if text == "(missing)" else shape(text) for text in texts]
        rows.append((name, rule.name, rule.column, rule.action, int(found[f"n_{number}"]), *texts))
    return pd.DataFrame(rows, columns=LOG_COLUMNS)


def changed_cells(
    name: str, table: ibis.Table, rules: Sequence[Rule], changes: pd.DataFrame
) -> tuple[ibis.Table, ...]:
    """Return the cells that each rule changed: table, row, column, rule, before, after; shapes as in the log."""
    return tuple(
        table.filter(rule.applies).select(
            table=ibis.literal(name),
            row="row",
            column=ibis.literal(rule.column),
            rule=ibis.literal(rule.name),
            before=_shown(rule.before, rule.shown_as_shape),
            after=_shown(rule.after, rule.shown_as_shape),
        )
        for rule, n in zip(rules, changes.rows_changed, strict=True)
        if n and rule.action == "changed" and rule.before is not None and rule.after is not None
    )


def _shown(value: ibis.expr.types.Value, as_shape: bool) -> ibis.expr.types.StringValue:
    """A value as text, or its `shape`, in the engine."""
    text = value.cast("string")
    if as_shape:
        text = text.re_replace("[A-Z]+", "A").re_replace(r"[^\P{L}A-Z]+", "a").re_replace(r"\d", "9")
    return text.fill_null("(missing)")


def touched_rows(table: ibis.Table, rules: Sequence[Rule]) -> ibis.Table:
    """Return `row` of the rows that at least one of the rules touches, each once."""
    applies = [rule.applies.fill_null(False) for rule in rules if rule.action != "reported"]
    return table.filter(ibis.or_(*applies)).select("row")


def renumber(table: ibis.Table) -> ibis.Table:
    """Count `row` from 1 in the order it has, so that no gap tells of a row that may not be read."""
    return table.mutate(row=(ibis.row_number().over(order_by=table.row) + 1).cast("int64"))
