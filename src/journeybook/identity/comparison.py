"""Pairs of records: which are compared (blocking), and how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.records import CUSTOMER_FIELDS, Field, usable_fields
from journeybook.tables import kept_in_engine

_SIMILAR = "similar (Jaro-Winkler ≥ 0.80)"
# Levels of agreement by kind; level -1 is that a value is missing on either side.
LEVEL_LABELS = {
    "name": ("different", _SIMILAR, "close (Jaro-Winkler ≥ 0.92), or one has all the other's words", "equal"),
    "text": ("different", _SIMILAR, "close (Jaro-Winkler ≥ 0.92)", "equal"),
    "code": ("different", "one edit apart", "equal"),
    "phone": ("different", "one edit apart, or longer by a prefix", "equal"),
    "date": ("different", "one edit apart, or day and month swapped", "equal"),
    "email": ("different", "same name before the @, or two edits apart", "equal"),
}
# Digits of a telephone number that are the same in each of its forms.
PHONE_END = 8
TOP_LEVEL = {kind: len(labels) - 1 for kind, labels in LEVEL_LABELS.items()}


@dataclass(frozen=True, eq=False)
class ComparedPairs:
    """Pairs of records and how far each field of them agrees.

    Attributes:
        fields: The fields compared, in the order of the patterns' columns.
        blocking: Rules that brought the pairs; a rule is a tuple of columns that must be equal.
        n_possible: Number of pairs that records could form, n (n - 1) / 2.
        n_pairs: Number of pairs compared.
        n_skipped: Uses of values that more than `max_block` records share, over all rules.
        pairs: Lazy: `left`, `right` (values of `row`, left < right), `pattern`, `rules` (bit i: rule i).
        patterns: Counts: `pattern`, `rules`, `n`, then one column a field with its level (-1 missing).
        random_patterns: The same without `rules`, for pairs drawn at random.
    """

    fields: tuple[Field, ...]
    blocking: tuple[tuple[str, ...], ...]
    n_possible: int
    n_pairs: int
    n_skipped: int
    pairs: ibis.Table
    patterns: pd.DataFrame
    random_patterns: pd.DataFrame


def blocking_rules(texts: Sequence[str], *, columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the rules that the columns at hand allow, as tuples of columns.

    >>> blocking_rules(["email", "surname + postcode"], columns=["surname", "postcode"])
    (('surname', 'postcode'),)
    """
    rules = [tuple(part.strip() for part in text.split("+")) for text in texts]
    allowed = set(columns) | {field.name for field in CUSTOMER_FIELDS}
    for text, rule in zip(texts, rules, strict=True):
        if not set(rule) <= allowed:
            raise ValueError(f"blocking: {text!r} names an unknown field: known are {', '.join(sorted(allowed))}.")
    return tuple(rule for rule in rules if set(rule) <= set(columns))


def compare(
    records: ibis.Table,
    *,
    blocking: Sequence[str],
    max_block: int,
    n_random_pairs: int,
    rng: np.random.Generator,
    fields: Sequence[Field] | None = None,
) -> ComparedPairs:
    """Compare the pairs that share a blocking key, and pairs drawn at random, field by field.

    Pairs and comparisons stay in the engine; what leaves it are counts of agreement patterns, which do not
    depend on the order in which the engine works. Given name and surname are compared in whichever order
    agrees better, in matches and random pairs alike, so that swapped names cost nothing.

    Args:
        records: Normalised records, `row` unique.
        blocking: Rules such as `"surname + postcode"`: a pair is compared if it agrees on any of them.
        max_block: A value shared by more records than this is not used for blocking (2 or more).
        n_random_pairs: Pairs drawn to learn how often records agree by chance; all are taken if fewer.
        rng: Draws those pairs.
        fields: Fields compared; None is the canonical ones that `records` has.

    Raises:
        ValueError: A rule names an unknown field, or `max_block` or `n_random_pairs` is below its range.
    """
    compared = usable_fields(records) if fields is None else usable_fields(records, fields=fields)
    rules = blocking_rules(blocking, columns=records.columns)
    if max_block < 2 or n_random_pairs < 1:
        raise ValueError(
            f"max_block is {max_block} and n_random_pairs {n_random_pairs}: needed are >= 2 and >= 1."
        )
    records = kept_in_engine(records)
    rows = records.order_by("row").row.to_pandas().to_numpy()
    candidates, n_skipped = _candidates(records, rules, max_block)
    pairs = kept_in_engine(_with_patterns(candidates, records, compared))
    random = _with_patterns(ibis.memtable(_random_pairs(rows, n_random_pairs, rng)), records, compared)
    patterns = (
        pairs.group_by("pattern", "rules").aggregate(n=ibis._.count()).order_by("pattern", "rules").to_pandas()
    )
    by_chance = random.group_by("pattern").aggregate(n=ibis._.count()).order_by("pattern").to_pandas()
    return ComparedPairs(
        fields=compared,
        blocking=rules,
        n_possible=len(rows) * (len(rows) - 1) // 2,
        n_pairs=int(patterns.n.sum()),
        n_skipped=n_skipped,
        pairs=pairs,
        patterns=_decoded(patterns, compared),
        random_patterns=_decoded(by_chance, compared),
    )


def equal_pairs(records: ibis.Table, *, rules: Sequence[str]) -> pd.DataFrame:
    """Return the pairs of normalised records that are equal on all columns of any rule whose columns are there.

    Returns:
        `left`, `right` (values of `row`, left < right), in their order, each pair once.
    """
    found = [_sharing(_keyed(records, rule)) for rule in blocking_rules(rules, columns=records.columns)]
    if not found:
        return pd.DataFrame({"left": pd.Series(dtype="int64"), "right": pd.Series(dtype="int64")})
    together = ibis.union(*found) if len(found) > 1 else found[0]
    return together.distinct().order_by("left", "right").to_pandas()


def _keyed(records: ibis.Table, rule: tuple[str, ...]) -> ibis.Table:
    key = records[rule[0]]
    for column in rule[1:]:
        key = key + "\x1f" + records[column]
    return records.select("row", key=key).filter(ibis._.key.notnull())


def _sharing(keyed: ibis.Table) -> ibis.Table:
    other = keyed.view()
    joined = keyed.inner_join(other, [keyed.key == other.key, keyed.row < other.row], rname="{name}_right")
    return joined.select(left="row", right="row_right")


def _candidates(records: ibis.Table, rules: tuple[tuple[str, ...], ...], max_block: int) -> tuple[ibis.Table, int]:
    """Return the pairs that share a key, and how many uses of keys that too many share were left out."""
    found, n_skipped = [], 0
    for position, rule in enumerate(rules):
        keyed = _keyed(records, rule).mutate(n_sharing=ibis._.count().over(group_by="key"))
        n_skipped += int(keyed.count(where=keyed.n_sharing > max_block).to_pandas())
        kept = keyed.filter(ibis._.n_sharing <= max_block).select("row", "key")
        found.append(_sharing(kept).mutate(rule=ibis.literal(2**position, "int64")))
    if not found:
        nobody = records.filter(ibis.literal(False))
        found = [nobody.select(left="row", right="row", rule=ibis.literal(0, "int64"))]
    together = ibis.union(*found) if len(found) > 1 else found[0]
    pairs = together.group_by("left", "right").aggregate(rules=together.rule.bit_or())
    return pairs, n_skipped


def _random_pairs(rows: np.ndarray, n_wanted: int, rng: np.random.Generator) -> pd.DataFrame:
    n = len(rows)
    if n * (n - 1) // 2 <= n_wanted:
        left, right = np.triu_indices(n, k=1)
    else:
        left = rng.integers(n, size=n_wanted)
        right = (left + rng.integers(1, n, size=n_wanted)) % n
        left, right = np.minimum(left, right), np.maximum(left, right)
    return pd.DataFrame({"left": rows[left], "right": rows[right]})


def _with_patterns(pairs: ibis.Table, records: ibis.Table, fields: tuple[Field, ...]) -> ibis.Table:
    names = [field.name for field in fields]
    lefts = records.select(left="row", **{f"l_{name}": records[name] for name in names})
    rights = records.select(right="row", **{f"r_{name}": records[name] for name in names})
    wide = pairs.inner_join(lefts, "left").inner_join(rights, "right")
    if {"given_name", "surname"} <= set(names):
        wide = _names_in_better_order(wide)
    pattern = ibis.literal(0, "int64")
    for field in fields:
        level = _level(wide[f"l_{field.name}"], wide[f"r_{field.name}"], field.kind)
        pattern = pattern * (TOP_LEVEL[field.kind] + 2) + (level + 1)
    return wide.select(*pairs.columns, pattern=pattern.cast("int64"))


def _names_in_better_order(wide: ibis.Table) -> ibis.Table:
    straight = _jaro_winkler(wide.l_given_name, wide.r_given_name) + _jaro_winkler(wide.l_surname, wide.r_surname)
    crossed = _jaro_winkler(wide.l_given_name, wide.r_surname) + _jaro_winkler(wide.l_surname, wide.r_given_name)
    swap = (crossed > straight).fill_null(False)
    return wide.mutate(
        r_given_name=swap.ifelse(wide.r_surname, wide.r_given_name),
        r_surname=swap.ifelse(wide.r_given_name, wide.r_surname),
    )


def _level(left: ibis.Column, right: ibis.Column, kind: str) -> ibis.expr.types.IntegerValue:
    if kind in ("name", "text"):
        likeness = _jaro_winkler(left, right)
        close = likeness >= 0.92
        if kind == "name":
            # One surname of two, or a name without its particle: Lopez, and del Carmen Lopez Garcia.
            close = close | _holds(left, right) | _holds(right, left)
        cases = [(left == right, 3), (close, 2), (likeness >= 0.80, 1)]
    elif kind == "email":
        same_name = left.split("@")[0] == right.split("@")[0]
        cases = [(left == right, 2), (same_name | (_edits(left, right) <= 2), 1)]
    else:
        near = _edits(left, right) <= 1
        if kind == "phone":
            # +44 20 ..., 0044 20 ... and 020 ...; Mexico's old +52 1; Argentina's 9 abroad and 15 at home.
            near = near | _same_end(left, right)
        if kind == "date":
            near = near | (left.substr(0, 4) + left.substr(6, 2) + left.substr(4, 2) == right)
        cases = [(left == right, 2), (near, 1)]
    missing = left.isnull() | right.isnull()
    return ibis.cases((missing, -1), *cases, else_=0).cast("int64")


def _holds(whole: ibis.Column, part: ibis.Column) -> ibis.expr.types.BooleanValue:
    return (" " + whole + " ").contains(" " + part + " ")


def _same_end(left: ibis.Column, right: ibis.Column) -> ibis.expr.types.BooleanValue:
    # In one form, at home or abroad, another area is another number.
    other_form = (left.length() != right.length()) | left.startswith("0") | right.startswith("0")
    long = ibis.least(left.length(), right.length()) >= PHONE_END
    return other_form & long & (left.right(PHONE_END) == right.right(PHONE_END))


def _decoded(counts: pd.DataFrame, fields: tuple[Field, ...]) -> pd.DataFrame:
    rest = counts.pattern.to_numpy(dtype="int64")
    levels = {}
    for field in reversed(fields):
        rest, digit = np.divmod(rest, TOP_LEVEL[field.kind] + 2)
        levels[field.name] = digit - 1
    return counts.assign(**{field.name: levels[field.name] for field in fields})


@ibis.udf.scalar.builtin(name="jaro_winkler_similarity")
def _jaro_winkler(left: str, right: str) -> float: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin(name="damerau_levenshtein")
def _edits(left: str, right: str) -> int: ...  # type: ignore[empty-body]
