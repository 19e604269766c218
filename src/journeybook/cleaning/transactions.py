"""Rules for receipts: what kind of line each one is; no line and no amount is lost."""

import math
from collections.abc import Sequence

import ibis
import pandas as pd

from journeybook.cleaning.log import Cleaned, Rule, change_log, changed_cells, renumber, touched_rows
from journeybook.tables import brought_in, kept_in_engine

# Units of weight, volume and length, in which a line is one unit however much of it there is.
MEASURES = ("kg", "g", "mg", "lb", "lbs", "oz", "l", "ml", "cl", "gal", "qt", "pt", "m", "cm", "ft", "in", "yd")
# Signs of currencies, for their codes.
SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "¥": "JPY"}

# The median absolute deviation of a normal distribution, times this, is its standard deviation.
MAD_TO_SD = 1.4826


def clean_transactions(
    transactions: ibis.Table, *, unique_key: Sequence[str], volume_quantity: float, outlier_mads: float
) -> Cleaned:
    """Say what kind of line each receipt line is, and keep its amounts.

    Added columns: `line_type`, which is `sale`, `free` (units but no money), `empty` (neither), `amount_only`
    (money but no units) or `return`; `by_volume`; `units`, which is `quantity`, but 1 for a line of a product
    sold by volume or in one of `MEASURES` (column `unit`); `is_outlier`; `sale_row`, the sale that a return gives
    back (see `_sales_of_returns`). Lines in another currency than most (column `currency`) are set aside: they
    cannot be added. No amount is winsorised: what to do about an outlier depends on the question.

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
    away = [Rule("copy of a line with the same key", ", ".join(unique_key), "set aside", lines.place > 0)]
    away = (away if unique_key else []) + _other_currencies(lines)
    removed = change_log("transactions", lines, away)
    lines = lines.mutate(reason=ibis.cases(*((r.applies, r.name) for r in away)) if away else ibis.null("string"))
    aside = lines.filter(lines.reason.notnull()).drop("place")
    lines = _units(lines.filter(lines.reason.isnull()).drop("place", "reason"), volume_quantity)
    lines = kept_in_engine(lines.mutate(line_type=_line_type(lines)))
    fence = revenue_fence(lines, outlier_mads)
    dear = (lines.line_type == "sale") & (lines.revenue.cast("float64") > fence)
    many = (lines.units > volume_quantity).fill_null(False) if "units" in lines.columns else ibis.literal(False)
    lines = lines.mutate(is_outlier=dear | many, is_dear=dear, is_many=many)
    flags = _flags(lines, fence, volume_quantity)
    flagged = change_log("transactions", lines, flags)
    table, matched = _sales_of_returns(renumber(lines.drop("is_dear", "is_many")))
    logs = [log for log in (removed, flagged, matched) if len(log)]
    return Cleaned(
        table=table,
        set_aside=aside if away else None,
        changes=pd.concat(logs, ignore_index=True),
        touched=touched_rows(lines, flags).union(aside.select("row")),
        cells=changed_cells("transactions", lines, flags, flagged),
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


def _other_currencies(lines: ibis.Table) -> list[Rule]:
    """The rule for lines in another currency than most; of two as common the first by name is kept."""
    if "currency" not in lines.columns:
        return []
    code = lines.currency.strip().upper()
    code = code.substitute(SIGNS).nullif("")
    counts = lines.filter(code.notnull()).group_by(code=code).aggregate(n=ibis._.count()).to_pandas()
    main = counts.sort_values(["n", "code"], ascending=[False, True]).code.head(1)
    return [
        Rule(f"not in {name}, as most lines are", "currency", "set aside", (code != name).fill_null(False))
        for name in main
    ]


def _sales_of_returns(lines: ibis.Table) -> tuple[ibis.Table, pd.DataFrame]:
    """Add `sale_row`, the row of the sale that a return gives back, and log how many were matched.

    It is the latest sale of the product to the customer by then; no sale takes back more units than it has.
    """
    none = lines.mutate(sale_row=ibis.null("int64"))
    keys = ["customer_id", "product_id"]
    if (
        not {*keys, "line_type"} <= set(lines.columns)
        or not lines.count(where=lines.line_type == "return").execute()
    ):
        return (none if set(keys) <= set(lines.columns) else lines), pd.DataFrame()
    one = ibis.literal(1).cast("decimal(18, 4)")
    n = lines.quantity.abs().fill_null(one) if "quantity" in lines.columns else one
    n = ibis.greatest(n, one)
    known = lines.mutate(n=n).filter(ibis.and_(*(lines[key].notnull() for key in keys)))
    sold = known.filter(known.line_type == "sale").group_by([*keys, "occurred_at"])
    sold = sold.aggregate(sale_row=ibis._.row.min(), sold=ibis._.n.sum()).rename(sold_at="occurred_at")
    returned = known.filter(known.line_type == "return").select("row", *keys, "occurred_at", "n")
    both = returned.asof_join(sold, on=returned.occurred_at >= sold.sold_at, predicates=keys)
    so_far = both.n.sum().over(group_by=both.sale_row, order_by=[both.occurred_at, both.row], rows=(None, 0))
    both = brought_in(both.mutate(so_far=so_far).filter(ibis._.so_far <= ibis._.sold).select("row", "sale_row"))
    lines = kept_in_engine(lines.left_join(both, "row").drop("row_right"))
    is_return, has = lines.line_type == "return", lines.sale_row.notnull()
    rules = [
        Rule("return matched to its sale", "sale_row", "flagged", is_return & has, lines.revenue, lines.sale_row),
        Rule("return without its sale", "sale_row", "flagged", is_return & ~has, lines.revenue),
    ]
    return lines, change_log("transactions", lines, rules)


def _units(lines: ibis.Table, volume_quantity: float) -> ibis.Table:
    """Add `by_volume` and `units` where there are quantities."""
    if "quantity" not in lines.columns:
        return lines
    by_volume: ibis.expr.types.BooleanValue = ibis.literal(False)
    if "product_id" in lines.columns:
        bought = lines.filter(lines.quantity > 0, lines.product_id.notnull())
        medians = bought.group_by("product_id").aggregate(middle=bought.quantity.cast("float64").median())
        volumes = brought_in(medians.filter(medians.middle > volume_quantity).select("product_id"))
        by_volume = lines.product_id.isin(volumes.product_id).fill_null(False)
    if "unit" in lines.columns:
        by_volume |= lines.unit.strip().lower().isin(MEASURES).fill_null(False)
    lines = lines.mutate(by_volume=by_volume)
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
