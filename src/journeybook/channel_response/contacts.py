"""From a contact table, and the feature snapshots if there are any, to one frame of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis
import numpy as np
import pandas as pd

from journeybook.sends import NO_CONTACT, channels_of, learners, quantity
from journeybook.statistics.imputation import NOTHING, Imputer, fill, handed_imputer, side_by_side
from journeybook.tables import in_sample, sample_share

OUTCOMES = ("opened", "clicked", "value")
"""Canonical columns that are known only after the contact."""

ROLES = ("row", "contact_id", "person_id", "occurred_at", "channel", "propensity", "responded", "cut_off")
"""Columns that say what a contact is; never features as they stand."""

FATIGUE_DAYS = 28
"""Days before a contact in which earlier contacts of the same person are counted."""

RARE_LEVEL = 20
"""Levels of a text column with fewer contacts than this are pooled, so that a model holds no name of theirs."""

RARE = "rare level"
"""What stands for all of them."""

MISSING = "missing"
"""What stands for no value in a text column."""


@dataclass(frozen=True, eq=False)
class ContactFrame:
    """Contacts with what was known before each of them.

    Attributes:
        rows: One row a contact, sorted by `row`: `row`, `person` (integer code by first appearance; guests and
            tables without ids have a code a row, and copies of a row share one), `channel` ("all" where the table
            names none), `responded` (0 or 1), the columns of the table, and the features. `person_id`,
            `occurred_at` and `contact_id` only where the table has them; `_learner` (`sends.learners`) only where
            there are no times.
        features: Names of the columns that may predict, in order: numbers as float64, the rest as text.
        contact_features: Those of `features` that come from the contact table itself.
        times: Those of `features` that were times: now days before sending, negative where later.
        undated: Columns that are times and no features, for the contacts have no times to hold them against.
        outcomes: Outcome columns present in `rows`; never features.
        says_cut_off: Whether the table says by `cut_off` whose outcome the data end before.
        n_read: Contacts in the table.
        n_cut_off: Contacts left out because the data end before their outcome was known.
        n_unknown: Contacts left out because `responded` is missing.
        n_sampled_out: Contacts left out by the hash sample; 0 where all were taken.
        n_with_snapshot: Contacts with a feature snapshot strictly before sending.
        imputer: What fills in missing numbers, as pages 02 and 04 learned it; nothing before `filled_by`.
        n_identical: Rows equal to an earlier row in every feature, outcome and time, where no person is named.
    """

    rows: pd.DataFrame
    features: tuple[str, ...]
    contact_features: tuple[str, ...]
    times: tuple[str, ...]
    undated: tuple[str, ...]
    outcomes: tuple[str, ...]
    says_cut_off: bool
    n_read: int
    n_cut_off: int
    n_unknown: int
    n_sampled_out: int
    n_with_snapshot: int
    n_identical: int
    imputer: Imputer = NOTHING

    @property
    def has_times(self) -> bool:
        """Whether every contact has a time."""
        return "occurred_at" in self.rows

    @property
    def has_people(self) -> bool:
        """Whether contacts name people."""
        return "person_id" in self.rows

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels, most contacts first."""
        return channels_of(self.rows)


def contact_frame(contacts: ibis.Table, features: ibis.Table | None, *, max_rows: int) -> ContactFrame:
    """Join each contact with the latest feature snapshot strictly before it was sent.

    Strictly before: a snapshot stamped at the moment of sending is not used, and a later one can never be.
    Where contacts have times, hour and weekday of sending become features; where they also name people, so does
    the number of contacts sent to that person in the 28 days before.

    Args:
        contacts: Canonical contacts, with a unique `row`; every column that is not canonical is a feature.
        features: Snapshots by (person_id, as_of), each made from rows before `as_of`; None to use none.
        max_rows: Contacts taken into memory at most, but for chance; beyond it whole people are drawn by a keyed
            hash of each (`tables.in_sample`), contacts without a person one by one.

    Raises:
        ValueError: A column is missing, no contact is left, or `responded` is not 0 or 1.
    """
    for needed in ("row", "responded"):
        if needed not in contacts.columns:
            raise ValueError(f"contacts have no column {needed!r}; found {', '.join(contacts.columns)}.")
    n_read = _count(contacts)
    # Contacts some of which have no time cannot be put in order: they are all taken as untimed.
    if "occurred_at" in contacts.columns and _count(contacts.filter(contacts.occurred_at.isnull())) > 0:
        contacts = contacts.drop("occurred_at")
    if "person_id" in contacts.columns and _count(contacts.filter(contacts.person_id.notnull())) == 0:
        contacts = contacts.drop("person_id")
    has_history = {"occurred_at", "person_id"} <= set(contacts.columns)
    given = tuple(name for name in contacts.columns if name not in (*ROLES, *OUTCOMES))

    table = _with_fatigue(contacts) if has_history else contacts
    if "occurred_at" not in table.columns:
        table = table.mutate(_learner=learners(table, person="person_id"))
    if says_cut_off := "cut_off" in table.columns:
        table = table.filter(~table.cut_off.cast("boolean").fill_null(False)).drop("cut_off")
    n_kept = _count(table)
    table = table.filter(table.responded.notnull())
    n_known = _count(table)
    if n_known == 0:
        raise ValueError(f"contacts hold no row whose outcome is known; {n_read} rows were read.")
    person = table.person_id if "person_id" in table.columns else ibis.null("string")
    share = sample_share(n_known, at_most=max_rows)
    table = table.filter(in_sample(person, table.row, share=share, name="contacts"))
    n_taken = n_known if share == 1 else _count(table)
    snapshot: tuple[str, ...] = ()
    if features is not None and has_history:
        table, snapshot = _with_snapshot(table, features)
    table = table.mutate(**{n: table[n].cast("float64") for n in table.columns if table[n].type().is_decimal()})
    counts = {"n_cut_off": n_read - n_kept, "n_unknown": n_kept - n_known, "n_sampled_out": n_known - n_taken}
    rows = table.order_by("row").to_pandas()
    counts["n_read"] = n_read
    return _frame(rows, given=given, snapshot=snapshot, says_cut_off=says_cut_off, counts=counts)


def filled_by(
    contacts: ContactFrame,
    *,
    own: ibis.Table,
    snapshots: ibis.Table | None,
    source: str,
    cut_at: pd.Timestamp | None,
) -> ContactFrame:
    """Give contacts what fills in their missing numbers: what was learned last before the test begins.

    Args:
        contacts: Contacts.
        own: `contact_imputers` of page 02, for the columns of the contacts themselves.
        snapshots: `feature_imputers` of page 04, for the features; None where there are none.
        source: Name of the contacts' table.
        cut_at: First moment of the test; None where the split is not by time.

    Raises:
        ValueError: A number is missing in a column that neither page knows.
    """
    imputer = handed_imputer(own.to_pandas(), source=source, before=cut_at)
    if snapshots is not None:
        late = handed_imputer(snapshots.to_pandas(), source="features", before=cut_at)
        prefixed = [f"snapshot_{c}" for c in late.columns]
        names = [p if p in contacts.features else c for p, c in zip(prefixed, late.columns, strict=True)]
        imputer = side_by_side(imputer, replace(late, columns=tuple(names)))
    numbers = [name for name in contacts.features if pd.api.types.is_float_dtype(contacts.rows[name])]
    fill(contacts.rows, imputer, columns=numbers)
    return replace(contacts, imputer=imputer)


def _count(table: ibis.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _with_fatigue(contacts: ibis.Table) -> ibis.Table:
    """Count the person's contacts in the 28 days before each; those at the same moment do not count."""
    if "n_contacts_28d" in contacts.columns:
        return contacts
    sent = (
        (contacts.channel != NO_CONTACT).fill_null(True) if "channel" in contacts.columns else ibis.literal(True)
    )
    marked = contacts.mutate(_sent=sent.cast("int64"))
    until_now = ibis.trailing_range_window(
        preceding=ibis.interval(days=FATIGUE_DAYS), group_by="person_id", order_by="occurred_at"
    )
    now = ibis.window(group_by=["person_id", "occurred_at"])
    earlier = marked._sent.sum().over(until_now) - marked._sent.sum().over(now)
    return marked.mutate(n_contacts_28d=ibis.ifelse(marked.person_id.isnull(), 0, earlier)).drop("_sent")


def _with_snapshot(table: ibis.Table, features: ibis.Table) -> tuple[ibis.Table, tuple[str, ...]]:
    """As-of join; a feature named like a column of the contacts is prefixed `snapshot_`."""
    wanted = [name for name in features.columns if name not in ("row", "person_id", "as_of")]
    names = {f"snapshot_{name}" if name in table.columns else name: name for name in wanted}
    right = features.select("person_id", "as_of", **names)
    joined = table.asof_join(right, on=table.occurred_at > right.as_of, predicates="person_id")
    return joined.drop("person_id_right"), tuple(names)


def _frame(
    rows: pd.DataFrame,
    *,
    given: Sequence[str],
    snapshot: Sequence[str],
    says_cut_off: bool,
    counts: dict[str, int],
) -> ContactFrame:
    """Type the collected rows and say which columns are features."""
    outcome = rows["responded"].astype("float64")
    if not outcome.isin([0, 1]).all():
        raise ValueError(f"contacts.responded must be 0 or 1, found {sorted(outcome.unique())[:5]}.")
    channel = rows["channel"].fillna("unknown").astype(str) if "channel" in rows else "all"
    rows = rows.assign(responded=outcome.astype("int8"), channel=channel)
    own = [*given, *(name for name in ("n_contacts_28d",) if name in rows and name not in given)]
    if "occurred_at" in rows:
        sent = rows["occurred_at"].dt
        for name, value in (("hour", sent.hour), ("weekday", sent.day_name())):
            if name not in rows and value.nunique() > 1:
                rows[name] = value
                own.append(name)
    times = [name for name in (*own, *snapshot) if pd.api.types.is_datetime64_any_dtype(rows[name])]
    undated = [name for name in own if name in times and "occurred_at" not in rows]
    own = [name for name in own if name not in undated]
    rows = _typed(rows, [*own, *snapshot])
    if rows["channel"].nunique() > 1:
        own.append("channel")
    features = (*own, *snapshot)
    compared = [*features, *(["occurred_at"] if "occurred_at" in rows else [])]
    named = "person_id" in rows
    return ContactFrame(
        rows=rows.assign(person=_people(rows, compared)).reset_index(drop=True),
        features=features,
        contact_features=tuple(own),
        times=tuple(name for name in times if name in features),
        undated=tuple(undated),
        outcomes=tuple(name for name in OUTCOMES if name in rows),
        says_cut_off=says_cut_off,
        n_with_snapshot=int(rows["as_of"].notna().sum()) if snapshot else 0,
        imputer=NOTHING,
        n_identical=0 if named else int(rows.duplicated([*compared, "responded"]).sum()),
        **counts,
    )


def _people(rows: pd.DataFrame, compared: Sequence[str]) -> np.ndarray:
    """Code of each row's person; without ids of each row, where copies share one.

    Rows that are equal by chance end as differently as any two: only where equal rows differ in their outcome half
    as often, or less, are they taken for copies.
    """
    if "person_id" in rows:
        codes, known = pd.factorize(rows["person_id"])
        return np.where(codes < 0, len(known) + np.cumsum(codes < 0) - 1, codes)
    if not compared:
        return np.arange(len(rows))
    alike = pd.factorize(pd.util.hash_pandas_object(rows[list(compared)], index=False))[0]
    size, hits = np.bincount(alike), np.bincount(alike, weights=rows["responded"])
    pairs, unlike = (size * (size - 1) / 2).sum(), (hits * (size - hits)).sum()
    rate = rows["responded"].mean()
    copies = unlike < pairs * rate * (1 - rate) and size.max() <= max(10, len(rows) / 100)
    return alike if copies else np.arange(len(rows))


def _typed(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Numbers as float64, times as days before sending, the rest as text whose rare levels are pooled."""
    typed = {}
    for name in names:
        column = rows[name]
        number = quantity(column, sent_at=rows.get("occurred_at"))
        if number is not None:
            typed[name] = number
        else:
            words = column.astype("object").where(column.notna(), MISSING).astype(str).astype("object")
            typed[name] = words.where(words.map(words.value_counts()) >= RARE_LEVEL, RARE)
    return rows.assign(**typed)
