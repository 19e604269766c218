"""Keyed codes of what two records must agree on exactly, so that a match needs no name."""

from functools import reduce

import ibis

from journeybook.tables.consent import pseudonym

# Whose a refusal is: something that may be a household's beside something that is the person's. The e-mail
# address or the phone alone would carry a refusal to relatives who did not make it.
REFUSAL_RULES = (
    "email + given_name",
    "email + birth_date",
    "phone + given_name",
    "phone + birth_date",
    "address + given_name",
    "given_name + surname + birth_date",
)

_KINDS = {"given_name": "name", "surname": "name", "email": "email"}
_KINDS |= {"phone": "code", "address": "text", "birth_date": "date"}


def coded(records: ibis.Table, *, key: str) -> ibis.Table:
    """Return one keyed code for each of `REFUSAL_RULES` that a record has all the fields for.

    Two records agree exactly on a rule where they share a code. Without the key nobody can try names.

    Returns:
        `row` (1, 2, ... by record and code), `customer_id`, `code` (24 hexadecimal digits).
    """
    found = [
        records.select("row", "customer_id", code=_code(records, rule, key=key))
        for rule in REFUSAL_RULES
        if all(field in records.columns for field in rule.split(" + "))
    ]
    if not found:
        found = [records.select("row", "customer_id", code=ibis.null("string"))]
    codes = reduce(lambda above, below: above.union(below), found).filter(ibis._.code.notnull())
    return codes.mutate(row=ibis.row_number().over(order_by=[codes.row, codes.code]) + 1)


def spelled(column: ibis.Column, kind: str) -> ibis.expr.types.StringValue:
    """Return a field (of kind `name`, `text`, `code`, `date` or `email`) in one spelling; an empty one is null."""
    if column.type().is_temporal():
        column = column.strftime("%Y%m%d")
    text = column.cast("string").lower().strip()
    if kind in ("code", "date"):
        text = text.re_replace(r"[^\p{L}\p{N}]", "")
    elif kind == "email":
        text = text.re_replace(r"\s", "").re_replace(r"\+[^@]*@", "@")
    else:
        # Letters and marks of any script: a name in another one is a name.
        text = _without_accents(text).re_replace(r"[^\p{L}\p{M}\p{N} ]", " ").re_replace(r" +", " ").strip()
    return text.nullif("")


def _code(records: ibis.Table, rule: str, *, key: str) -> ibis.expr.types.StringValue:
    # The rule is part of what is hashed: a code is no pseudonym, and equal only to one of the same rule.
    text = ibis.literal(f"match\x1f{rule}")
    for field in rule.split(" + "):
        text = text + "\x1f" + spelled(records[field], _KINDS[field])
    return pseudonym(text, key=key)


@ibis.udf.scalar.builtin(name="strip_accents")
def _without_accents(text: str) -> str: ...  # type: ignore[empty-body]
