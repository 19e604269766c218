"""Samples of people in which everybody's place is their own: nobody's leaving lets another in or out."""

import math

import ibis
import ibis.expr.types as ir

from journeybook.errors import JourneybookError

_EIGHTHS = 8


def sample_share(n: int, *, at_most: int) -> float:
    """Return the share to draw so that about `at_most` of `n` are drawn, rounded down to three binary digits.

    The share moves at eight values of `n` in each doubling and nowhere between: one person more or less leaves
    everybody else's place as it was, where a sample of exactly `at_most` would let the next one in.

    >>> sample_share(2469, at_most=1000), sample_share(900, at_most=1000)
    (0.375, 1.0)
    """
    if at_most < 1:
        raise JourneybookError(f"a sample of {at_most} was asked for: it must be at least 1.")
    if n <= at_most:
        return 1.0
    mantissa, exponent = math.frexp(at_most / n)
    return math.ldexp(math.floor(mantissa * 2 * _EIGHTHS) / (2 * _EIGHTHS), exponent)


def in_sample(person: ir.StringValue, row: ir.IntegerValue, *, share: float, name: str) -> ir.BooleanValue:
    """Return whether each row belongs to the sample: all rows of one person together, rows without one by number.

    A person is drawn by a hash of the sample's name and the pseudonym, which is itself keyed.

    Args:
        person: Pseudonyms; null for a guest.
        row: Number of the row.
        share: Share of the people to draw, from `sample_share`.
        name: Name of the sample; samples of different names are independent.
    """
    if share >= 1:
        return ibis.literal(True)
    unit = ibis.coalesce(person.cast("string"), ibis.literal("row ") + row.cast("string"))
    place = (ibis.literal(f"{name}: ") + unit).hexdigest("sha256").substr(0, 8)
    return place < f"{math.floor(share * 2**32):08x}"
