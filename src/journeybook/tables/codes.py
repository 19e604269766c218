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
FEWEST_DIGITS = 7
# What page 02 may take off a number: the code of a country, or what is dialled before a call at home.
_ABROAD = r"^\s*(?:\+|00)"
_CODES, _TRUNKS = ("^", r"^\d", r"^\d\d", r"^\d\d\d"), ("^", "^0", "^1", "^(?:01|0?4[45])")
# Words of addresses that have one short form.
SHORT_FORMS = {
    "street": "st", "avenue": "ave", "road": "rd", "boulevard": "blvd", "drive": "dr", "lane": "ln",
    "court": "ct", "place": "pl", "square": "sq", "highway": "hwy", "apartment": "apt", "suite": "ste",
    "north": "n", "south": "s", "east": "e", "west": "w",
}  # fmt: skip


def coded(records: ibis.Table, *, key: str) -> ibis.Table:
    """Return one keyed code for each of `REFUSAL_RULES` that a record has all the fields for.

    Two records agree exactly on a rule where they share a code. Without the key nobody can try names. A record
    that page 02 has not seen has a code for each form of its telephone number that page 02 may give it.

    Returns:
        `row` (1, 2, ... by record and code), `customer_id`, `code` (24 hexadecimal digits).
    """
    found = [
        _coded(records, rule, key=key)
        for rule in REFUSAL_RULES
        if all(field in records.columns for field in rule.split(" + "))
    ]
    if not found:
        found = [records.select("row", "customer_id", code=ibis.null("string"))]
    codes = reduce(lambda above, below: above.union(below), found).filter(ibis._.code.notnull()).distinct()
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
        # Google reads no point before the @.
        name, host = text.split("@")[0], text.re_extract(r"@(?:gmail|googlemail)\.com$", 0)
        text = (host != "").ifelse(name.replace(".", "") + "@gmail.com", text)
    else:
        # Letters and marks of any script: a name in another one is a name.
        text = _without_accents(text).re_replace(r"[^\p{L}\p{M}\p{N} ]", " ").re_replace(r" +", " ").strip()
    return text.nullif("")


def _coded(records: ibis.Table, rule: str, *, key: str) -> ibis.Table:
    fields = rule.split(" + ")
    if "phone" in fields:
        records = records.mutate(phone=_forms(records.phone.cast("string")).unnest())
    # The rule is part of what is hashed: a code is no pseudonym, and equal only to one of the same rule.
    text = ibis.literal(f"match\x1f{rule}")
    for field in fields:
        text = text + "\x1f" + spelled(_short(records[field], field), _KINDS[field])
    return records.select("row", "customer_id", code=pseudonym(text, key=key))


def _short(column: ibis.Column, field: str) -> ibis.Column:
    """A name without points, or an address in short forms, as page 02 writes them."""
    if _KINDS[field] == "name":
        return column.cast("string").re_replace(r"[.,'’`´]", "")
    if field == "address":
        for long, short in SHORT_FORMS.items():
            column = column.cast("string").re_replace(rf"(?i)\b{long}\b", short)
    return column


def _forms(phone: ibis.expr.types.StringValue) -> ibis.expr.types.ArrayValue:
    bare = phone.re_replace(r"(?i)\(0\)|\s*(?:ext|x|#).*$", "")
    digits = bare.re_replace(_ABROAD, "").re_replace(r"\D", "")
    abroad, home = (ibis.array([digits.re_replace(start, "") for start in few]) for few in (_CODES, _TRUNKS))
    return bare.re_search(_ABROAD).ifelse(abroad, home).filter(lambda form: form.length() >= FEWEST_DIGITS)


@ibis.udf.scalar.builtin(name="strip_accents")
def _without_accents(text: str) -> str: ...  # type: ignore[empty-body]
