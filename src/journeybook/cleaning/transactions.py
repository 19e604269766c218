"""Rules for receipts: what kind of line each one is; no line and no amount is lost."""

import math
from collections.abc import Sequence

import ibis
import pandas as pd

from journeybook.cleaning.log import Cleaned, Rule, change_log, renumber, touched_rows
from journeybook.tables import brought_in, kept_in_engine

# The median absolute deviation of a normal distribution, times this, is its standard deviation.
MAD_TO_SD = 1.4826


def clean_transactions(
    transactions: ibis.Table, *, unique_key: Sequence[str], volume_quantity: float, outlier_mads: float
) -> Cleaned:
    """Say what kind of line each receipt line is, and keep its amounts.

    Added columns: `line_type`, which is `sale`, `free` (units but no money), `empty` (neither), `amount_only`
    (money but no units) or `return`; `by_volume`; `units`, which is `quantity`, but 1 for a line of a product
    sold by volume; `is_outlier`. No amount is winsorised: what to do about an outlier depends on the question.

    Args:
        transactions: Accepted receipt lines.
        unique_key: Columns that together name one line. Lines equal in every column are then copies, and all
            but the first are set aside. Empty sets nothing aside: two equal lines may be two purchases.
        volume_quantity: A product whose median quantity is above this is sold by volume, such as fuel by the
            thousandth of a gallon. Above 1.
        outlier_mads: A sale is an outlier whose log revenue lies more than this many robust standard deviations
            (1.4826 times the median absolute deviation) above the median; so is a line of more than
            `volume_quantity` units. Above 0.

    Raises:
        ValueError: A parameter is out of its range or names a column that is not there.
    """
    if not volume_quantity > 1:
        raise ValueError(f"volume_quantity is {volume_quantity}: it must be above 1 unit.")
    if not outlier_mads > 0:
        raise ValueError(f"outlier_mads is {outlier_mads}: it must be above 0.")
    check_key(unique_key, transactions.columns)
    lines = transactions.mutate(place=_place_among_copies(transactions, unique_key))
    copies = lines.filter(lines.place > 0).drop("place")
    copy = Rule("copy of a line with the same key", ", ".join(unique_key), "set aside", lines.place > 0)
    removed = change_log("transactions", lines, [copy] if unique_key else [])
    lines = _units(lines.filter(lines.place == 0).drop("place"), volume_quantity)
    lines = kept_in_engine(lines.mutate(line_type=_line_type(lines)))
    fence = revenue_fence(lines, outlier_mads)
    dear = (lines.line_type == "sale") & (lines.revenue.cast("float64") > fence)
    many = (lines.units > volume_quantity).fill_null(False) if "units" in lines.columns else ibis.literal(False)
    lines = lines.mutate(is_outlier=dear | many, is_dear=dear, is_many=many)
    flags = _flags(lines, fence, volume_quantity)
    flagged = change_log("transactions", lines, flags)
    return Cleaned(
        table=renumber(lines.drop("is_dear", "is_many")),
        set_aside=copies.mutate(reason=ibis.literal(copy.name)) if unique_key else None,
        changes=pd.concat([removed, flagged], ignore_index=True) if unique_key else flagged,
        touched=touched_rows(lines, flags).union(copies.select("row")),
    )


def check_key(unique_key: Sequence[str], columns: Sequence[str]) -> None:
    """Raise ValueError where a column that should name a line is not one of the table's."""
    for column in unique_key:
        if column not in columns:
            raise ValueError(f"unique_key names {column!r}: transactions has the columns {', '.join(columns)}.")


def revenue_fence(lines: ibis.Table, outlier_mads: float) -> float:
    """Return the revenue above which a sale is an outlier; infinite where the sales have no spread."""
    sales = lines.filter(lines.line_type == "sale")
    logs = sales.select(log=sales.revenue.cast("float64").ln())
    median = logs["log"].median().execute()
    if median is None or not math.isfinite(median):
        return math.inf
    mad = (logs["log"] - median).abs().median().execute()
    return math.exp(median + outlier_mads * MAD_TO_SD * mad) if mad > 0 else math.inf


def _place_among_copies(table: ibis.Table, unique_key: Sequence[str]) -> ibis.expr.types.IntegerValue:
    """Return 0 for the first of lines equal in every column; 0 for all without a key or where it is missing."""
    if not unique_key:
        return ibis.literal(0)
    columns = [table[column] for column in table.columns if column != "row"]
    known = ibis.and_(*(table[column].notnull() for column in unique_key))
    place = ibis.row_number().over(group_by=columns, order_by=table.row)
    return known.ifelse(place, 0)


def _units(lines: ibis.Table, volume_quantity: float) -> ibis.Table:
    """Add `by_volume` and `units` where there are quantities."""
    if "quantity" not in lines.columns:
        return lines
    if "product_id" not in lines.columns:
        return lines.mutate(by_volume=ibis.literal(False), units=lines.quantity)
    bought = lines.filter(lines.quantity > 0, lines.product_id.notnull())
    medians = bought.group_by("product_id").aggregate(middle=bought.quantity.cast("float64").median())
    volumes = brought_in(medians.filter(medians.middle > volume_quantity).select("product_id"))
    lines = lines.mutate(by_volume=lines.product_id.isin(volumes.product_id).fill_null(False))
    one = lines.by_volume & (lines.quantity > 0)
    return lines.mutate(units=one.ifelse(ibis.literal(1).cast(lines.quantity.type()), lines.quantity))


def _line_type(lines: ibis.Table) -> ibis.expr.types.StringValue:
    revenue = lines.revenue
    if "quantity" not in lines.columns:
        return ibis.cases((revenue < 0, "return"), (revenue == 0, "free"), else_="sale")
    none = (lines.quantity == 0).fill_null(False)
    return ibis.cases(
        ((revenue < 0) | (lines.quantity < 0).fill_null(False), "return"),
        ((revenue == 0) & none, "empty"),
        (revenue == 0, "free"),
        (none, "amount_only"),
        else_="sale",
    )


def _flags(lines: ibis.Table, fence: float, volume_quantity: float) -> list[Rule]:
    kind = lines.line_type
    rules = [
        Rule("return", "line_type", "flagged", kind == "return", lines.revenue, kind),
        Rule("no money", "line_type", "flagged", kind == "free", lines.revenue, kind),
        Rule(f"one line above {fence:,.2f}", "is_outlier", "flagged", lines.is_dear, lines.revenue),
    ]
    if "quantity" in lines.columns:
        rules += [
            Rule("no units, no money", "line_type", "flagged", kind == "empty", lines.quantity, kind),
            Rule("money, no units", "line_type", "flagged", kind == "amount_only", lines.revenue, kind),
            Rule("sold by volume: one unit", "units", "changed", lines.by_volume, lines.quantity, lines.units),
            Rule(f"more than {volume_quantity:g} units", "is_outlier", "flagged", lines.is_many, lines.quantity),
        ]
    return rules
