"""Pairs of records: which are compared (blocking), and how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.records import CUSTOMER_FIELDS, Field, usable_fields
from journeybook.tables import kept_in_engine

# Shares of records that bear a name, above which it is a common one, and an ordinary one.
COMMON, ORDINARY = 0.01, 0.001
_SIMILAR = "similar (Jaro-Winkler ≥ 0.80)"
_NAME = ("different", _SIMILAR, "close (Jaro-Winkler ≥ 0.92), or one has all the other's words")
_EQUAL = ("equal, borne by 1 in 100 or more", "equal, borne by 1 in 1,000 or more", "equal, and rarer")
# Levels of agreement by kind; level -1 is that a value is missing on either side.
LEVEL_LABELS = {
    "name": (*_NAME, *_EQUAL),
    "given": (*_NAME, "initial or short form of the other", *_EQUAL),
    "text": ("different", _SIMILAR, "close (Jaro-Winkler ≥ 0.92)", "equal"),
    "code": ("different", "one edit apart", "equal"),
    "phone": ("different", "one edit apart, or longer by a prefix", "equal"),
    "date": ("different", "one edit apart, another year, or day and month swapped", "equal"),
    "email": ("different", "same name before the @, or one edit apart", "equal"),
    "source": ("different", "equal"),
}
# Digits of a telephone number that are the same in each of its forms, and fewest of one without its area.
PHONE_END, LOCAL_DIGITS = 8, 7
TOP_LEVEL = {kind: len(labels) - 1 for kind, labels in LEVEL_LABELS.items()}
# Levels at the top on which values are equal.
N_EQUAL = {kind: sum(label.startswith("equal") for label in labels) for kind, labels in LEVEL_LABELS.items()}
# Kinds that are names, and what is put behind such a column for the same in Latin letters.
NAMES, LATIN = ("given", "name"), "_latin"
# Where a field beside another is compared: what the pair does on the other.
_PLACES = ("agrees", "differs", "missing")
# Level from which it does.
AGREES = 2


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
        equal_shares: Shares of all possible pairs that are on each level of equal values, by field; counted.
    """

    fields: tuple[Field, ...]
    blocking: tuple[tuple[str, ...], ...]
    n_possible: int
    n_pairs: int
    n_skipped: int
    pairs: ibis.Table
    patterns: pd.DataFrame
    random_patterns: pd.DataFrame
    equal_shares: dict[str, np.ndarray]


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
    after: int = 0,
    names_of: ibis.Table | None = None,
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
        after: Only pairs with a `row` above this are compared: what came later, with itself and with the rest.
        names_of: Records by which it is told how common a name is; None is `records`.

    Raises:
        ValueError: A rule names an unknown field, or `max_block` or `n_random_pairs` is below its range.
    """
    wanted = usable_fields(records) if fields is None else usable_fields(records, fields=fields)
    compared = tuple(part for field in wanted for part in _parts(field, wanted))
    rules = blocking_rules(blocking, columns=records.columns)
    if max_block < 2 or n_random_pairs < 1:
        raise ValueError(
            f"max_block is {max_block} and n_random_pairs {n_random_pairs}: needed are >= 2 and >= 1."
        )
    records = kept_in_engine(_with_latin(records, [field.name for field in wanted if field.kind in NAMES]))
    rows = records.order_by("row").row.to_pandas().to_numpy()
    borne = records if names_of is None else names_of
    candidates, n_skipped = _candidates(records, rules, max_block)
    pairs = kept_in_engine(_with_patterns(candidates.filter(candidates.right > after), records, compared, borne))
    random = _with_patterns(ibis.memtable(_random_pairs(rows, n_random_pairs, rng)), records, compared, borne)
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
        equal_shares={field.name: _equal_shares(records, field) for field in compared if not field.beside},
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


def _parts(field: Field, among: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return a field as it is compared: one beside another in three parts, of which each pair is in one."""
    if field.beside not in {other.name for other in among}:
        return (replace(field, beside=""),)
    return tuple(replace(field, name=f"{field.name}, {field.beside} {where}") for where in _PLACES)


def _equal_shares(records: ibis.Table, field: Field) -> np.ndarray:
    """Return the share of the pairs with two values that is on each level of equal values."""
    values = records.filter(records[field.name].notnull()).group_by(field.name).aggregate(n=ibis._.count())
    n = values.order_by(field.name).n.to_pandas().to_numpy(dtype=float)
    rarity = np.zeros(len(n), dtype=int)
    if N_EQUAL[field.kind] > 1:
        share = n / records.count().to_pandas()
        rarity = (share < COMMON).astype(int) + (share < ORDINARY)
    n_equal = np.bincount(rarity, weights=n * (n - 1), minlength=N_EQUAL[field.kind])
    return n_equal / max(n.sum() * (n.sum() - 1), 1)


def _with_patterns(
    pairs: ibis.Table, records: ibis.Table, fields: tuple[Field, ...], borne: ibis.Table
) -> ibis.Table:
    kinds = {field.column: field.kind for field in fields}
    names = list(kinds)
    columns = names + [name + LATIN for name, kind in kinds.items() if kind in NAMES]
    lefts = records.select(left="row", **{f"l_{name}": records[name] for name in columns})
    rights = records.select(right="row", **{f"r_{name}": records[name] for name in columns})
    wide = pairs.inner_join(lefts, "left").inner_join(rights, "right")
    if {"given_name", "surname"} <= set(names):
        wide = _names_in_better_order(wide)
    for name, kind in kinds.items():
        if kind in NAMES:
            share = borne.group_by(**{f"l_{name}": borne[name]}).aggregate(n=ibis._.count())
            share = share.select(f"l_{name}", **{f"b_{name}": share.n / borne.count().as_scalar()})
            wide = wide.left_join(share, f"l_{name}")
    if "given" in kinds.values():
        given = next(name for name, kind in kinds.items() if kind == "given")
        wide = wide.left_join(_short_forms(records[given]), [f"l_{given}", f"r_{given}"])
    levels = {name: _level(wide, name, kind) for name, kind in kinds.items()}
    pattern = ibis.literal(0, "int64")
    for field in fields:
        level = levels[field.column]
        if field.beside:
            other = levels[field.beside]
            where = ibis.cases((other < 0, "missing"), (other >= AGREES, "agrees"), else_="differs")
            level = (where == field.name.split()[-1]).ifelse(level, -1)
        pattern = pattern * (TOP_LEVEL[field.kind] + 2) + (level + 1)
    return wide.select(*pairs.columns, pattern=pattern.cast("int64"))


def _short_forms(names: ibis.expr.types.StringColumn) -> ibis.Table:
    """Return the pairs among the names of which one is a short form of the other, both ways."""
    from nicknames import NickNamer

    listed, borne = NickNamer(), set(names.as_table().distinct().to_pandas().iloc[:, 0].dropna())
    pairs = {(name, short) for name in borne for short in listed.nicknames_of(name) & borne}
    ways = sorted(pairs | {(short, name) for name, short in pairs})
    columns = {f"l_{names.get_name()}": "string", f"r_{names.get_name()}": "string", "is_short_form": "boolean"}
    return ibis.memtable([(*way, True) for way in ways], schema=columns)


def _names_in_better_order(wide: ibis.Table) -> ibis.Table:
    given, surname = f"given_name{LATIN}", f"surname{LATIN}"

    def alike(left: str, right: str) -> ibis.expr.types.FloatingValue:
        return _jaro_winkler(wide[f"l_{left}"], wide[f"r_{right}"])

    swap = alike(given, surname) + alike(surname, given) > alike(given, given) + alike(surname, surname)
    swap = swap.fill_null(False)
    ways = {"given_name": "surname", "surname": "given_name", given: surname, surname: given}
    return wide.mutate(
        **{f"r_{one}": swap.ifelse(wide[f"r_{other}"], wide[f"r_{one}"]) for one, other in ways.items()}
    )


def _with_latin(records: ibis.Table, names: Sequence[str]) -> ibis.Table:
    """Add names in plain Latin letters, so that two spellings of one, or two scripts, can be seen to be alike."""
    from anyascii import anyascii

    for name in names:
        foreign = records.filter(records[name].re_search(r"[^\x00-\x7F]"))[name].as_table().distinct()
        latin = [(written, anyascii(written).lower()) for written in foreign.to_pandas()[name].sort_values()]
        spelled = ibis.memtable(latin, schema={"written": "string", "latin": "string"})
        joined = records.left_join(spelled, records[name] == spelled.written).drop("written")
        records = joined.mutate(**{name + LATIN: joined.latin.nullif("").fill_null(joined[name])}).drop("latin")
    return records


def _level(wide: ibis.Table, name: str, kind: str) -> ibis.expr.types.IntegerValue:
    left, right = wide[f"l_{name}"], wide[f"r_{name}"]
    if kind in ("given", "name", "text"):
        top, latin = TOP_LEVEL[kind], LATIN if kind in NAMES else ""
        likeness = _jaro_winkler(wide[f"l_{name}{latin}"], wide[f"r_{name}{latin}"])
        close = likeness >= 0.92
        cases = [(left == right, top)]
        if kind in NAMES:
            # One surname of two, or a name without its particle: Lopez, and del Carmen Lopez Garcia.
            close = close | _holds(left, right) | _holds(right, left)
            borne = wide[f"b_{name}"].fill_null(0.0)
            rarity = ibis.cases((borne >= COMMON, top - 2), (borne >= ORDINARY, top - 1), else_=top)
            cases = [(left == right, rarity)]
        if kind == "given":
            initial = (ibis.least(left.length(), right.length()) == 1) & (left[0] == right[0])
            cases += [(initial | wide.is_short_form.fill_null(False), top - 3)]
        cases += [(close, 2), (likeness >= 0.80, 1)]
    elif kind == "email":
        same_name = left.split("@")[0] == right.split("@")[0]
        cases = [(left == right, 2), (same_name | (_edits(left, right) <= 1), 1)]
    elif kind == "source":
        cases = [(left == right, 1)]
    else:
        near = _edits(left, right) <= 1
        if kind == "phone":
            # +44 20 ..., 0044 20 ... and 020 ...; Mexico's old +52 1; Argentina's 9 abroad and 15 at home.
            near = near | _same_end(left, right)
        if kind == "date":
            near = near | (left.substr(0, 4) + left.substr(6, 2) + left.substr(4, 2) == right)
            near = near | (left.right(4) == right.right(4))
        cases = [(left == right, 2), (near, 1)]
    missing = left.isnull() | right.isnull()
    return ibis.cases((missing, -1), *cases, else_=0).cast("int64")


def _holds(whole: ibis.Column, part: ibis.Column) -> ibis.expr.types.BooleanValue:
    return (" " + whole + " ").contains(" " + part + " ")


def _same_end(left: ibis.Column, right: ibis.Column) -> ibis.expr.types.BooleanValue:
    # In one form, at home or abroad, another area is another number.
    other_form = (left.length() != right.length()) | left.startswith("0") | right.startswith("0")
    n_end = ibis.least(left.length(), right.length(), ibis.literal(PHONE_END))
    return other_form & (n_end >= LOCAL_DIGITS) & (left.right(n_end) == right.right(n_end))


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
