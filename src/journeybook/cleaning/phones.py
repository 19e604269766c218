"""Telephone numbers in one form, by the numbering plans that `phonenumbers` keeps."""

import re

import ibis
import pandas as pd

from journeybook.tables import FEWEST_DIGITS

# By country code, what is dialled and no part of a number, and what stands for it. Mexico until 2019: 1 from
# abroad, 044, 045 and 01. Argentina: 15 before a mobile number, of area 11 where eight digits follow.
_OLD = {52: (r"^(?:1|01|0?4[45])(?=\d{10}$)", ""), 54: (r"^15(?=\d{8}$)", "911")}


def with_one_form(records: ibis.Table, *, country_code: str) -> ibis.Table:
    """Add `tidy_phone`, each of the distinct numbers read once; see `one_form`."""
    written = records.select(written=records.phone).distinct().to_pandas()["written"].dropna()
    forms = pd.DataFrame({"written": written, "tidy_phone": [one_form(n, country_code) for n in written]})
    known = ibis.memtable(forms.astype("str"), schema={"written": "string", "tidy_phone": "string"})
    return records.left_join(known, records.phone == known.written).drop("written")


def one_form(written: str, country_code: str) -> str | None:
    """Return the digits of a number: the national ones at home, behind the country code elsewhere.

    An extension is left out. What no numbering plan knows keeps its digits. Missing is what has fewer than seven
    digits, or one digit only.

    >>> {one_form(written, "54") for written in ("011 15 2345-6789", "15 2345-6789", "+54 9 11 2345 6789")}
    {'91123456789'}
    >>> one_form("044 55 1234 5678", "52"), one_form("+52 1 55 1234 5678", "1"), one_form("999", "1")
    ('5512345678', '525512345678', None)
    """
    import phonenumbers

    home = int(country_code or 0)
    digits = re.sub(r"\D", "", written)
    try:
        region = phonenumbers.region_code_for_country_code(home)
        number = phonenumbers.parse(re.sub(r"^\s*00", "+", written), region)
    except phonenumbers.NumberParseException:
        number = None  # What no plan knows keeps its digits.
    if number is not None:
        national = phonenumbers.national_significant_number(number)
        if number.country_code in _OLD:
            national = re.sub(*_OLD[number.country_code], national)
            number.national_number, number.italian_leading_zero = int(national), None
        if phonenumbers.is_possible_number(number):
            digits = national if number.country_code == home else f"{number.country_code}{national}"
    return digits if len(digits) >= FEWEST_DIGITS and len(set(digits)) > 1 else None
