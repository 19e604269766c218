"""Anonymity without noise: rows coarsened and left out until each hides among k, and what linking still finds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.errors import JourneybookError
from journeybook.privacy.releases import Grouping
from journeybook.statistics import proportion_interval

MISSING = "(missing)"
_ROUNDING = 1e-12

Steps = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Anonymised:
    """A table of people without names, as coarse as k and l ask for.

    Attributes:
        rows: What would be published, one row a person of the input in its order: the columns known outside as
            text, `group`, and `kept`; who is not kept is left out.
        columns: One row a column: `column`, `step` (0: left out whole), `n_values` before, `n_values_left` after,
            `coarsened` (0 as it came, 1 left out whole; 1 less its mean is Sweeney's precision, 2002).
        k: Least people who share a published row; 0 where nothing is published.
        n_groups: Least different groups among them; 0 likewise.
        suppressed_share: Share of the people who are left out.
    """

    rows: pd.DataFrame
    columns: pd.DataFrame
    k: int
    n_groups: int
    suppressed_share: float


def known_of_people(
    people: pd.DataFrame,
    features: ibis.Table,
    groups: Grouping,
    *,
    profiles: ibis.Table | None,
    receipts: ibis.Table | None,
) -> pd.DataFrame:
    """Return what an outsider may know of the people of the last snapshot, in their order.

    Args:
        people: `person_id` of each.
        features: Snapshots with `as_of` and `recency_days`.
        groups: Of the same people.
        profiles: `person_id`, `postcode`, `birth_decade` of those who permit that they are used; None where
            nobody's are known. With them, people without a profile are left out.
        receipts: Lines of receipts with `person_id` and, if there are shops, `store_id`.

    Returns:
        `person_id`, `group`, `weeks_since_visit` and, where it is known, `postcode`, `birth_decade` (its first
        year), `shop` (on most lines of their receipts; of two, the first by name).

    Raises:
        JourneybookError: A person stands twice in the last snapshot.
    """
    if twice := int(people.person_id.duplicated().sum()):
        raise JourneybookError(f"features: {twice} rows of the last snapshot are of a person who has one already.")
    last = features.filter(features.as_of == features.as_of.max())
    weeks = (last.recency_days / 7).floor().cast("int64")
    known = people[["person_id"]].assign(group=np.array(groups.names)[groups.codes])
    known = known.merge(last.select("person_id", weeks_since_visit=weeks).to_pandas(), how="left")
    if profiles is not None:
        told = [c for c in ("postcode", "birth_decade") if c in profiles.columns]
        known = known.merge(profiles.select("person_id", *told).to_pandas(), how="inner", validate="one_to_one")
    if receipts is not None and "store_id" in receipts.columns:
        lines = receipts.group_by("person_id", shop=receipts.store_id).aggregate(n=receipts.count())
        first = ibis.row_number().over(group_by=lines.person_id, order_by=[lines.n.desc(), lines.shop])
        usual = lines.mutate(place=first).filter(ibis._.place == 0).select("person_id", "shop")
        known = known.merge(usual.to_pandas(), how="left", validate="one_to_one")
    return known


def check_anonymity(steps: Steps, *, k: int, l_diversity: int, max_suppressed: float) -> None:
    """Raise ValueError unless these can be asked of a table."""
    for column, listed in steps.items():
        finer = [float(step) for step in listed if step]
        if not listed or min(listed) < 0 or 0 in listed[:-1] or len(set(finer)) < len(finer):
            raise ValueError(f"known_outside coarsens {column!r} by {list(listed)}: needed are steps, 0 the last.")
    if k < 2:
        raise ValueError(f"k is {k}: whoever shares a row with nobody is not hidden; needed are 2 people or more.")
    if not (l_diversity >= 1 and 0 <= max_suppressed < 1):
        raise ValueError(
            f"l_diversity is {l_diversity}, max_suppressed {max_suppressed}: needed are 1 up, 0 to below 1."
        )


def coarsen(values: pd.Series, *, step: float) -> pd.Series:
    """Return values as text: a text by its first characters, a number by the interval of a width that holds it.

    >>> coarsen(pd.Series(["02139", None]), step=3).tolist(), coarsen(pd.Series([1971, 1988]), step=20).tolist()
    (['021**', '(missing)'], ['1960 to 1979', '1980 to 1999'])
    """
    if not step:
        return pd.Series("*", index=values.index, dtype="str")
    missing = values.isna()
    if pd.api.types.is_numeric_dtype(values):
        low = (values.astype(float).fillna(0) // step * step).astype("int64")
        return low.map(lambda n: f"{n}" if step == 1 else f"{n} to {n + int(step) - 1}").mask(missing, MISSING)
    text, kept = values.astype("str"), int(step)
    return text.where(text.str.len() <= kept, text.str[:kept] + "**").mask(missing, MISSING)


def anonymise(known: pd.DataFrame, *, steps: Steps, k: int, l_diversity: int, max_suppressed: float) -> Anonymised:
    """Coarsen whole columns, and leave out whom even that does not hide, until each row is shared by k people.

    Of all combinations of steps at which `max_suppressed` is enough, the one that coarsens least is taken, then
    the one that leaves out fewest, then the first: k-minimal generalisation with suppression (Samarati 2001), by
    looking at every combination, least coarse first. l-diversity is that of distinct values (Machanavajjhala et
    al. 2007, section 3): whoever is known to be in a class may be in any of `l_diversity` groups. A missing
    value is a value.

    Args:
        known: `group`, which the row tells, and columns that an outsider may know, one row a person.
        steps: Column to its steps, finest first: characters kept of a text, width of a number, 0 leaves it out.
            Columns that `known` lacks are passed over.
        k: Least people who share a row, 2 or more.
        l_diversity: Least different groups among them, 1 or more.
        max_suppressed: Largest share of people left out, from 0 to below 1; where no combination keeps to it, all
            are left out.
    """
    check_anonymity(steps, k=k, l_diversity=l_diversity, max_suppressed=max_suppressed)
    used = {column: [*steps[column]] for column in steps if column in known}
    if not used:
        raise ValueError(f"known_outside has {', '.join(steps) or 'nothing'}: people have no such column.")
    coarse = {(c, step): coarsen(known[c], step=step) for c, listed in used.items() for step in listed}
    codes = {of: pd.factorize(text)[0].astype("int64") for of, text in coarse.items()}
    told = pd.factorize(known.group)[0]
    places = sorted(product(*(range(len(listed)) for listed in used.values())), key=lambda at: _height(at, used))
    least, least_height = 1.0 + max_suppressed, 2.0
    # Where nothing is enough: the coarsest, and nobody.
    at, kept = places[-1], np.zeros(len(known), dtype=bool)
    for tried in places:
        if _height(tried, used) > least_height:
            break
        steps_tried = [(c, listed[i]) for (c, listed), i in zip(used.items(), tried, strict=True)]
        n_people, n_groups = _shared(_classes([codes[of] for of in steps_tried]), told)
        hidden = (n_people >= k) & (n_groups >= l_diversity)
        if (lost := 1 - float(hidden.mean())) <= max_suppressed + _ROUNDING and lost < least:
            least, least_height, at, kept = lost, _height(tried, used), tried, hidden
    chosen = {c: listed[i] for (c, listed), i in zip(used.items(), at, strict=True)}
    n_people, n_groups = _shared(_classes([codes[of] for of in chosen.items()]), told)
    rows = pd.DataFrame({c: coarse[c, step] for c, step in chosen.items()}).assign(group=known.group, kept=kept)
    levels = [i / max(1, len(listed) - 1) for listed, i in zip(used.values(), at, strict=True)]
    about = {"column": [*chosen], "step": [*chosen.values()], "coarsened": levels}
    about |= {"n_values": [known[c].nunique(dropna=False) for c in chosen]}
    about |= {"n_values_left": [rows[c][kept].nunique() for c in chosen]}
    k_found, l_found = (int(shared[kept].min()) if kept.any() else 0 for shared in (n_people, n_groups))
    return Anonymised(rows, pd.DataFrame(about), k_found, l_found, 1 - float(kept.mean()))


def outside_table(known: pd.DataFrame, truth: pd.DataFrame | None) -> pd.DataFrame:
    """Return what an outsider has on each of these people: as it is in the house, or where it is known, as it is.

    `truth` names `person_id` and the `postcode` where each lives, which the house may have wrong or old; an
    outsider who knows all that the house has is the worst there is.
    """
    if truth is None or not {"person_id", "postcode"} <= set(truth.columns) or "postcode" not in known:
        return known
    at_end = truth.drop_duplicates("person_id", keep="last").set_index("person_id").postcode
    return known.assign(postcode=known.person_id.map(at_end).fillna(known.postcode))


def linkage_attack(
    known: pd.DataFrame, outside: pd.DataFrame, published: Anonymised, *, steps: Steps, rng: np.random.Generator
) -> pd.DataFrame:
    """Link an outside table to a published one by all columns both have, and guess who is who.

    The outsider coarsens what they know as the published rows are, and of the rows that agree takes one by lot.
    The share of right guesses has Wilson's interval: the people are a sample, each guessed once.

    Args:
        known: The house's own columns, by person.
        outside: The outsider's, of the same people in the same order.
        published: The rows as coarsened.
        steps: As in `anonymise`.
        rng: Draws the lots.

    Returns:
        Two rows, `table` (`names taken off`, `coarsened`): `n_published`, `k`, `n_groups` (least people and groups
        that share a row), `alone_share` (of the published), `reidentified_share` of all people, with `low` and
        `high`, `expected_share` (by the sizes of the classes), `told_share` (of whom the group is sure).
    """
    finest = {c: listed[0] for c, listed in steps.items() if c in known}
    chosen = dict(zip(published.columns.column, published.columns.step, strict=True))
    told, rows = pd.factorize(known.group)[0], []
    for name, at, kept in (
        ("names taken off", finest, np.ones(len(known), dtype=bool)),
        ("coarsened", chosen, published.rows.kept.to_numpy()),
    ):
        both = [pd.concat([coarsen(t[c], step=step) for t in (known, outside)]) for c, step in at.items()]
        ours, theirs = _classes([pd.factorize(text)[0] for text in both]).reshape(2, -1)
        n_people, n_groups = (np.zeros(len(known), dtype="int64") for _ in range(2))
        n_people[kept], n_groups[kept] = _shared(ours[kept], told[kept])
        among = kept & (ours == theirs)
        chance = among / np.maximum(n_people, 1)
        right = rng.random(len(known)) < chance
        around = proportion_interval(right.sum(), len(known))
        least = [int(shared[kept].min()) if kept.any() else 0 for shared in (n_people, n_groups)]
        alone = float((n_people[kept] == 1).mean()) if kept.any() else 0.0
        shares = (alone, right.mean(), float(around.low), float(around.high), chance.mean())
        rows.append((name, int(kept.sum()), *least, *shares, float((among & (n_groups == 1)).mean())))
    named = ["table", "n_published", "k", "n_groups", "alone_share", "reidentified_share", "low", "high"]
    return pd.DataFrame(rows, columns=[*named, "expected_share", "told_share"])


def anonymity_holds(
    known: pd.DataFrame,
    outside: pd.DataFrame,
    published: Anonymised,
    attack: pd.DataFrame,
    *,
    steps: Steps,
    k: int,
    l_diversity: int,
    max_suppressed: float,
) -> pd.DataFrame:
    """Hold k, l, the loss and the linkage against a recount of the published rows, person by person."""
    names, kept, groups = [*published.columns.column], published.rows.kept.tolist(), [*known.group]
    rows = [*published.rows[names].itertuples(index=False, name=None)]
    shared = Counter(row for row, yes in zip(rows, kept, strict=True) if yes)
    n_told = Counter(row for row, _ in {(r, g) for r, g, yes in zip(rows, groups, kept, strict=True) if yes})
    levels = [[*steps[c]].index(step) for c, step in zip(names, published.columns.step, strict=True)]
    ways, n, linked = (([0] * len(names), [True] * len(kept)), (levels, kept)), len(known), []
    for (at, among), told in zip(ways, attack.itertuples(), strict=True):
        ours, theirs = (_coarse_rows(table, steps, names, at) for table in (known, outside))
        size = Counter(one for one, yes in zip(ours, among, strict=True) if yes)
        both = zip(ours, theirs, among, strict=True)
        chance = sum(1 / size[one] for one, other, yes in both if yes and one == other) / n
        error = max((chance * (1 - chance) / n) ** 0.5, 1 / n)
        linked.append((abs(told.expected_share - chance), abs(told.reidentified_share - chance) / error))
    # One step finer in any column, more than allowed would have to be left out: no finer table would do.
    finer = []
    for i in (i for i, level in enumerate(levels) if level and shared):
        each = pd.Series(_coarse_rows(known, steps, names, [*levels[:i], levels[i] - 1, *levels[i + 1 :]]))
        of_class = pd.Series(groups).groupby(each)
        hidden = (of_class.transform("size") >= k) & (of_class.transform("nunique") >= l_diversity)
        finer.append(1 - float(hidden.mean()))
    after, lost = attack.iloc[1], published.suppressed_share - 1 + sum(kept) / n
    said = [after.k, published.k, after.n_groups, published.n_groups, after.n_published]
    due = [min(shared.values(), default=0)] * 2 + [min(n_told.values(), default=0)] * 2 + [sum(kept)]
    off = max(abs(lost), *(abs(a - b) for a, b in zip(said, due, strict=True)))
    few = sum(size for size in shared.values() if size < k), sum(size < l_diversity for size in n_told.values())
    recount = "published rows, counted one by one"
    checked = [
        ("published rows that fewer than k share", few[0], "within", 0, 0, recount),
        ("published classes of fewer than l groups", few[1], "within", 0, 0, recount),
        ("k, l and people left out as shown, off", off, "within", 0, 1e-9, recount),
        ("chance of a right link, off", max(a for a, _ in linked), "within", 0, 1e-9, "pairs of both tables"),
        ("right links, in standard errors", max(z for _, z in linked), "at most", 4, 0, "sizes of the classes"),
        ("right links after, for k of them", after.expected_share * k, "at most", 1 + 1e-9, 0, "one in k at most"),
    ]
    if finer:
        over, source = min(finer) - max_suppressed, "Samarati 2001, definition of k-minimal"
        checked.append(("left out one step finer, over the most", over, "at least", _ROUNDING, 0, source))
    columns = ["name", "value", "rule", "reference", "tolerance", "source"]
    return pd.DataFrame(checked, columns=columns).assign(kind="witness")


def _coarse_rows(table: pd.DataFrame, steps: Steps, names: Sequence[str], at: Sequence[int]) -> list[tuple]:
    text = (coarsen(table[c], step=steps[c][i]) for c, i in zip(names, at, strict=True))
    return [*zip(*text, strict=True)]


def _height(at: Sequence[int], used: Mapping[str, Sequence[float]]) -> float:
    """Mean share of the steps taken, from 0 to 1."""
    each = [i / max(1, len(listed) - 1) for listed, i in zip(used.values(), at, strict=True)]
    return round(sum(each) / len(each), 9)


def _classes(codes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number the classes of people alike in every column, shape (n_people,)."""
    classes = codes[0].astype("int64")
    for more in codes[1:]:
        classes = np.unique(classes * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]
    return classes


def _shared(classes: NDArray[np.int64], told: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each person, how many share the class and how many groups are in it."""
    numbered = np.unique(classes, return_inverse=True)[1]
    n_told, n_classes = int(told.max(initial=0)) + 1, int(numbered.max(initial=-1)) + 1
    in_class = np.unique(numbered * n_told + told) // n_told
    n_people, n_groups = (np.bincount(of, minlength=n_classes) for of in (numbered, in_class))
    return n_people[numbered], n_groups[numbered]
