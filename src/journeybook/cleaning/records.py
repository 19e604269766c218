"""Rules for customer records: one way to write each field, so that page 03 compares like with like."""

from collections.abc import Sequence
from datetime import datetime

import ibis

from journeybook.cleaning.log import Cleaned, Rule, change_log, changed_cells, renumber, touched_rows
from journeybook.cleaning.phones import with_one_form
from journeybook.tables import SHORT_FORMS, kept_in_engine

# Nobody living was born before this date.
FIRST_BIRTH = "1900-01-01"

# Words that stand for a missing field. Null, None and Na are surnames and are kept.
EMPTY_FIELDS = ("", "-", "?", "n/a", "unknown", "not given")

# What a person is known by, and how many of these must be known to call two records alike.
PERSON = ("given_name", "surname", "email", "phone", "address", "postcode", "birth_date")
FEWEST_ALIKE = 3

# Share of postcodes of five digits, or of nine, from which they are taken for those of the United States.
FIVE_DIGIT_SHARE = 0.5

_ACCENTED = "àáâãäåçèéêëìíîïñòóôõöøùúûüýÿāăąćčďđēęěğīįłńňőřśşšţťūůűźżž"
_PLAIN = "aaaaaaceeeeiiiinoooooouuuuyyaaaccddeeegiilnnorsssttuuuzzz"


def clean_records(records: ibis.Table, *, country_code: str, five_digits: bool, as_of: datetime | None) -> Cleaned:
    """Write every field of the customer records one way; a value that cannot be one becomes missing.

    Names and addresses: lower case, one space, no accents, no points. E-mail: lower case, no space, missing
    without `@` and a domain. Phone: see `phones.one_form`. Postcode: see `clean_postcodes`. Birth date: missing
    before 1900 or from `as_of` on. Records equal in every column, `record_id` too, are copies and set aside; those
    alike but for one field are near copies, which page 03 links.

    Args:
        records: Accepted customer records.
        country_code: Country calling code of the phone numbers, digits; empty for none.
        five_digits: The postcodes of this data set are the five digits of the United States.
        as_of: First midnight after the data, or None.

    Raises:
        ValueError: `country_code` is not of digits.
    """
    if country_code and not (country_code.isascii() and country_code.isdigit()):
        raise ValueError(f"country_code is {country_code!r}: it must be digits, such as '1', or empty.")
    given = records.columns
    if "phone" in given:
        records = with_one_form(records, country_code=country_code)
    tidy = _tidy_fields(records, five_digits, as_of)
    everything = [records[column] for column in given if column != "row"]
    place = ibis.row_number().over(group_by=everything, order_by=records.row)
    written = records.mutate(place=place, **{f"tidy_{column}": value for column, value in tidy.items()})
    near = _near_copies(written, [f"tidy_{c}" for c in PERSON if c in tidy])
    written = kept_in_engine(written.mutate(near=near))
    copy = Rule("copy of a record", "record_id", "set aside", written.place > 0)
    rules = [copy, Rule("alike but for one field", "record_id", "reported", (written.place == 0) & written.near)]
    for column in tidy:
        before, after = written[column], written[f"tidy_{column}"]
        more = ("changed", (before != after).fill_null(False), before, after, True)
        rules.append(Rule("written one way", column, *more))
        more = ("changed", before.notnull() & after.isnull(), before, after, True)
        rules.append(Rule("cannot be one: made missing", column, *more))
    kept = written.filter(written.place == 0)
    kept = kept.mutate(**{column: kept[f"tidy_{column}"] for column in tidy}).select(*given)
    aside = written.filter(written.place > 0).select(*given).mutate(reason=ibis.literal(copy.name))
    changes = change_log("customer_records", written, rules)
    cells = changed_cells("customer_records", written, rules, changes)
    return Cleaned(renumber(kept), aside, changes, touched_rows(written, rules), cells)


def _near_copies(records: ibis.Table, fields: Sequence[str]) -> ibis.expr.types.BooleanValue:
    """Whether another record has the same value in all fields but one, or in all, and three of them are known."""
    near = ibis.literal(False)
    for left_out in fields:
        others = [records[field] for field in fields if field != left_out]
        known = sum((field.notnull().cast("int64") for field in others), ibis.literal(0))
        alike, ids = ibis.window(group_by=others), records.record_id
        near |= (known >= FEWEST_ALIKE) & (ids.min().over(alike) < ids.max().over(alike))
    return near


def clean_postcodes(postcode: ibis.expr.types.StringValue, *, five_digits: bool) -> ibis.expr.types.StringValue:
    """Return postcodes in capitals, without signs; of five digits: the first five, zeros at the front put back."""
    bare = postcode.re_replace(r"[\s\-.]", "").upper()
    bare = bare.lower().isin(EMPTY_FIELDS).ifelse(ibis.null("string"), bare)
    if not five_digits:
        return bare
    return ibis.cases(
        (bare.re_search(r"^\d{8,9}$"), bare.lpad(9, "0").substr(0, 5)),
        (bare.re_search(r"^\d{3,4}$"), bare.lpad(5, "0")),
        else_=bare,
    )


def has_five_digit_postcodes(tables: Sequence[ibis.Table]) -> bool:
    """Return whether most postcodes of the tables have five digits, or the nine of ZIP+4."""
    n_five = n_known = 0
    for table in tables:
        bare = table.postcode.re_replace(r"[\s\-]", "")
        found = table.aggregate(
            five=bare.re_search(r"^(\d{5}|\d{9})$").sum().fill_null(0), known=table.postcode.count()
        ).to_pandas()
        n_five, n_known = n_five + int(found.five.item()), n_known + int(found.known.item())
    return n_known > 0 and n_five / n_known >= FIVE_DIGIT_SHARE


def _tidy_fields(
    records: ibis.Table, five_digits: bool, as_of: datetime | None
) -> dict[str, ibis.expr.types.Value]:
    """Return each field there is, written one way."""
    tidy: dict[str, ibis.expr.types.Value] = {}
    for column in ("given_name", "surname"):
        if column in records.columns:
            tidy[column] = _words(records[column].re_replace(r"[.,'’`´]", ""))
    if "address" in records.columns:
        tidy["address"] = _address(records.address)
    if "email" in records.columns:
        email = records.email.re_replace(r"\s", "").lower()
        tidy["email"] = email.re_search(r"^[^@]+@[^@]+\.[^@.]+$").ifelse(email, ibis.null("string"))
    if "phone" in records.columns:
        tidy["phone"] = records.tidy_phone
    if "postcode" in records.columns:
        tidy["postcode"] = clean_postcodes(records.postcode, five_digits=five_digits)
    if "birth_date" in records.columns:
        possible = records.birth_date >= ibis.date(FIRST_BIRTH)
        if as_of is not None:
            possible &= records.birth_date < ibis.date(as_of.date().isoformat())
        tidy["birth_date"] = possible.ifelse(records.birth_date, ibis.null("date"))
    return tidy


def _words(text: ibis.expr.types.StringValue) -> ibis.expr.types.StringValue:
    """Return lower case without accents, with one space between words; missing where nothing is left."""
    plain = text.lower().translate(_ACCENTED, _PLAIN).re_replace(r"\s+", " ").strip()
    return plain.isin(EMPTY_FIELDS).ifelse(ibis.null("string"), plain)


def _address(address: ibis.expr.types.StringValue) -> ibis.expr.types.StringValue:
    """Return an address in plain words, with the short form of those that have one."""
    plain = _words(address.re_replace(r"[.,;:#/\-]+", " "))
    for long, short in SHORT_FORMS.items():
        plain = plain.re_replace(rf"\b{long}\b", short)
    return plain
