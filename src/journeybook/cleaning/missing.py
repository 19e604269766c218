"""What is missing and what only looks so, and whether those who lack a value differ from those who have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.statistics.ranks import chance_of_more
from journeybook.tables import in_sample, sample_share

# Words that stand for a missing value. `none` is not one of them: no children is an answer.
PLACEHOLDERS = ("", "-", "?", "n/a", "unknown", "null", "not available")

# Fewer customers or rows than this say nothing about the reason a value is missing.
FEW = 20

# Tables that describe customers. Who has no row in another was not contacted, did not come or did not buy: that is
# a choice of the sender or the customer, as with coupons sent to good customers, and no missing value.
DESCRIBING = ("customer_records", "third_party")

_PRESENCE = [
    "table", "column", "n_with", "n_without", "median_spend_with", "median_spend_without",
    "auc", "auc_low", "auc_high",
]  # fmt: skip


@dataclass(frozen=True)
class Empty:
    """One rule by which an empty cell is no hole. It is silent where the columns it needs are not there.

    Attributes:
        tables: Tables it holds for.
        columns: Columns it holds for; empty for all that the keys of the table are not.
        why: `not_applicable`, the field has no meaning for the row, or `not_asked`, nobody asked for it.
        words: The rule in words.
        key: Column that decides; None where the row does: none of `columns`, two or more, has a value.
        value: Value of `key` at which an empty cell is no hole; None where no row with the same key has a value.
        n_least: Rows with the same key from which it can be said that none has a value.
    """

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    why: str
    words: str
    key: str | None = None
    value: str | bool | None = None
    n_least: int = FEW


_CONTACTS = ("contacts", "coupon_contacts")
_UNITS = ("experiment", "experiment_values", "factorial", "ongoing", "outcomes")
_PERSON = ("given_name", "surname", "email", "phone", "address", "postcode", "birth_date")
_KEYS = ("row", "customer_id", "postcode", "as_of")

# Where several rules hold for a cell, the first counts.
EMPTIES = (
    Empty(_CONTACTS, ("opened", "clicked"), "not_applicable", "nothing was sent", "channel", "none"),
    Empty(_CONTACTS, ("value",), "not_applicable", "no response, no revenue of it", "responded", False),
    Empty(_CONTACTS, ("opened", "clicked"), "not_asked", "no message of the channel tells", "channel"),
    Empty(
        ("events",), ("customer_id",), "not_asked", "nobody signed in during the visit", "session_id", n_least=1
    ),
    Empty(("transactions",), ("customer_id",), "not_asked", "the basket of a guest", "basket_id", n_least=1),
    Empty(_UNITS, ("customer_id",), "not_asked", "a visitor who never signed in", "unit_id", n_least=1),
    Empty(("products",), ("package_size",), "not_applicable", "no product of its category has one", "category"),
    Empty(("products",), ("name", "category", "package_size"), "not_asked", "the product was never described"),
    Empty(("customer_records",), _PERSON, "not_asked", "no record of the source has one", "source"),
    Empty(("customer_records",), _PERSON, "not_asked", "the record says nothing of the person"),
    Empty(("third_party",), (), "not_asked", "the release says nothing of the place or person"),
)

REPORT = ["n_rows", "n_present", "n_not_applicable", "n_not_asked", "n_missing"]


def missing_report(tables: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Count the cells of every column but `row`: present, not applicable, not asked, missing.

    Args:
        tables: Table by name.

    Returns:
        One row a column: `table`, `column`, `n_rows`, `n_present`, `n_not_applicable` and `n_not_asked` (empty by
        a rule of `EMPTIES`), `n_missing` (the other empty cells), `missing_share` (of present and missing cells),
        `n_placeholders` (present texts such as `unknown`, which say that the value is missing; ids are not asked),
        and `rules`: those that hold, in words, with the cells of each.
    """
    found = []
    for name, table in tables.items():
        # A text that nobody wrote is no hole.
        columns = [c for c in table.columns if c != "row" and (name, c) != ("events", "text")]
        asked = {"n_rows": table.count()} | {f"known {c}": table[c].count() for c in columns}
        for column in columns:
            if table[column].type().is_string() and not column.endswith("_id"):
                empty = table[column].strip().lower().isin(PLACEHOLDERS)
                asked[f"words {column}"] = table.count(where=empty)
        counts = table.aggregate(**asked).to_pandas().iloc[0].astype(int)
        n_rows = counts.n_rows
        by_rule = _count_by_rule(name, table, [c for c in columns if counts[f"known {c}"] < n_rows])
        for column in columns:
            n_present, ruled = counts[f"known {column}"], by_rule.get(column, {})
            n = {why: sum(n for r, n in ruled.items() if r.why == why) for why in ("not_applicable", "not_asked")}
            n_missing = n_rows - n_present - sum(n.values())
            share = n_missing / (n_present + n_missing) if n_present + n_missing else float("nan")
            words = "; ".join(f"{rule.words}: {n:,}" for rule, n in ruled.items() if n)
            told = (n_rows, n_present, *n.values(), n_missing, share, counts.get(f"words {column}", 0), words)
            found.append((name, column, *told))
    return pd.DataFrame(found, columns=["table", "column", *REPORT, "missing_share", "n_placeholders", "rules"])


def _count_by_rule(name: str, table: ibis.Table, columns: Sequence[str]) -> dict[str, dict[Empty, int]]:
    """Count the empty cells of each column that a rule explains, each under the first rule that holds."""
    rules = [rule for rule in EMPTIES if name in rule.tables and columns]
    if not rules:
        return {}
    # Rows alike in the keys and in which cells are empty are judged once.
    keys = [k for k in dict.fromkeys(rule.key for rule in rules) if k in table.columns]
    asked = [c for c in table.columns if c in columns or any(c in rule.columns for rule in rules)]
    asked = [c for c in table.columns if c not in _KEYS] if name == "third_party" else asked
    cells = {f"no {c}": table[c].isnull() for c in asked}
    seen = table.group_by(**{f"key {k}": table[k] for k in keys}, **cells).aggregate(n=table.count())
    found: dict[str, dict[Empty, int]] = {}
    for column in columns:
        judged = [(rule, _holds(rule, seen, column)) for rule in rules]
        holds = [(rule, one.fill_null(False)) for rule, one in judged if one is not None]
        if holds:
            first = ibis.cases(*((one, r) for r, (_, one) in enumerate(holds)), else_=-1)
            ruled = seen.mutate(first=seen[f"no {column}"].ifelse(first, -1))
            sums = ruled.group_by("first").aggregate(n=ruled.n.sum()).to_pandas().set_index("first").n
            found[column] = {rule: int(sums.get(r, 0)) for r, (rule, _) in enumerate(holds)}
    return found


def _holds(rule: Empty, seen: ibis.Table, column: str) -> ibis.expr.types.BooleanValue | None:
    """Whether an empty cell of `column` is no hole by a rule; None where the rule has nothing to say of it."""
    there = [c.removeprefix("no ") for c in seen.columns if c.startswith("no ")]
    columns = [c for c in there if c in rule.columns or (not rule.columns and c not in _KEYS)]
    if column not in columns:
        return None
    if rule.key is None:
        return ibis.and_(*(seen[f"no {c}"] for c in columns)) if len(columns) > 1 else None
    if f"key {rule.key}" not in seen.columns:
        return None
    key = seen[f"key {rule.key}"]
    if rule.value is not None:
        return key == rule.value
    alike, known = ibis.window(group_by=key), ibis.ifelse(seen[f"no {column}"], 0, seen.n)
    n_rows, n_known = seen.n.sum().over(alike), known.sum().over(alike)
    return key.notnull() & (n_rows >= rule.n_least) & (n_known == 0)


def customer_spend(transactions: ibis.Table, *, max_customers: int) -> pd.DataFrame:
    """Return `customer_id` and `spend` of customers, in order of appearance; beyond `max_customers` by a hash."""
    if max_customers < 2:
        raise ValueError(f"max_customers is {max_customers}: it must be at least 2.")
    known = transactions.filter(transactions.customer_id.notnull())
    spend = {"first_row": known.row.min(), "spend": known.revenue.sum().cast("float64")}
    figures = known.group_by("customer_id").aggregate(**spend)
    share = sample_share(int(figures.count().execute()), at_most=max_customers)
    drawn = in_sample(figures.customer_id, figures.first_row, share=share, name="customers")
    return figures.filter(drawn).order_by("first_row").to_pandas().drop(columns="first_row")


def presence_by_spend(tables: Mapping[str, ibis.Table], *, level: float, max_customers: int) -> pd.DataFrame:
    """Compare the spend of customers who have a row, or a value, with that of those who have none.

    If the two differ, the value is not missing at random: what is seen of those who have it does not hold for
    those who do not, and no way of filling in can know that from the column itself.

    Args:
        tables: Tables by name; those of `DESCRIBING` with a `customer_id` are looked at.
        level: Level of all intervals taken together (Bonferroni), between 0 and 1.
        max_customers: Customers at most, but for chance; at least 2.

    Returns:
        `table`, `column` (`any` stands for a row at all; other columns are compared among those who have a row),
        `n_with`, `n_without` (each 20 or more), `median_spend_with`, `median_spend_without`, and `auc`, `auc_low`,
        `auc_high`: the chance that one who has it spends more than one who has not (DeLong et al. 1988).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: it must lie between 0 and 1.")
    if "transactions" not in tables:
        return pd.DataFrame(columns=_PRESENCE)
    figures = customer_spend(tables["transactions"], max_customers=max_customers)
    compared = []
    for name, table in tables.items():
        if name not in DESCRIBING or "customer_id" not in table.columns:
            continue
        columns = [column for column in table.columns if column not in ("row", "customer_id")]
        ever = {f"has_{i}": table[column].count() > 0 for i, column in enumerate(columns)}
        has = table.filter(table.customer_id.notnull()).group_by("customer_id").aggregate(**ever).to_pandas()
        joined = figures.merge(has, on="customer_id", how="left", indicator="present", validate="one_to_one")
        inside = joined[joined.present == "both"]
        sides = [("any", joined.spend, joined.present == "both")]
        sides += [(c, inside.spend, inside[f"has_{i}"].astype(bool)) for i, c in enumerate(columns)]
        for column, spend, present in sides:
            if min(present.sum(), (~present).sum()) >= FEW:
                compared.append((name, column, spend[present].to_numpy(), spend[~present].to_numpy()))
    each = 1 - (1 - level) / max(len(compared), 1)
    rows = []
    for name, column, having, lacking in compared:
        medians = (float(np.median(having)), float(np.median(lacking)))
        chance = chance_of_more(having, lacking, level=each)
        rows.append((name, column, len(having), len(lacking), *medians, *chance))
    return pd.DataFrame(rows, columns=_PRESENCE)
