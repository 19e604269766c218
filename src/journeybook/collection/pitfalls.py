"""Tempting ways to collect and to count consent, next to the right ones."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import pandas as pd

from journeybook.collection.consents import Consent, count_permits
from journeybook.tables import standings


@dataclass(frozen=True, eq=False)
class Pitfall:
    """A tempting way next to the right one.

    Attributes:
        table: Both side by side.
        size: The error, in the unit that `sentence` names.
        sentence: What was compared, and by how much it is off.
    """

    table: pd.DataFrame
    size: float
    sentence: str


def find_pitfall(accepted: Mapping[str, ibis.Table], consent: Consent, *, max_rows: int) -> Pitfall:
    """Return the pitfall of these tables: of consent where there is a ledger, of types where there is none."""
    return type_pitfall(accepted, max_rows=max_rows) if consent.ledger is None else consent_pitfall(consent)


def consent_pitfall(consent: Consent) -> Pitfall:
    """Count permissions by the shortcuts that ignore withdrawals or the end of a grant."""
    ledger, now, as_of = consent.ledger, consent.now, consent.as_of
    assert ledger is not None and now is not None and as_of is not None
    endless = ledger.drop("expires_at") if "expires_at" in ledger.columns else ledger
    ever = ledger.group_by("purpose").aggregate(n=ledger.customer_id.nunique(where=ledger.granted))
    table = count_permits(now).to_frame()
    table["n_ever_granted"] = ever.to_pandas().set_index("purpose").n.reindex(table.index).fillna(0).astype(int)
    table["n_end_ignored"] = count_permits(standings(endless, as_of=as_of))
    table["too_many_ever"] = table.n_ever_granted - table.n_permits
    table["too_many_end_ignored"] = table.n_end_ignored - table.n_permits
    worst, n_wrong = table.loc[table.too_many_ever.idxmax()], int(table.too_many_ever.sum())
    sentence = (
        f"**A yes once is a yes for ever.** Counting everyone who ever said yes finds {n_wrong:,} permissions too "
        f"many, most for `{worst.name}`: {worst.n_ever_granted:,} instead of {worst.n_permits:,}. Taking the "
        f"latest decision but forgetting that grants end finds {int(table.too_many_end_ignored.sum()):,} too many."
    )
    return Pitfall(table.rename_axis("purpose").reset_index(), n_wrong, sentence)


def type_pitfall(accepted: Mapping[str, ibis.Table], *, max_rows: int) -> Pitfall:
    """Write each table's first rows as CSV, read them with pandas' guesses, and count the texts that change."""
    rows = []
    for name, table in accepted.items():
        texts = [column for column, kind in table.schema().items() if kind.is_string()]
        if not texts:
            continue
        frame = table.order_by("row").limit(max_rows).select(*texts).to_pandas().astype("string")
        guessed = pd.read_csv(io.StringIO(frame.to_csv(index=False)), low_memory=False)
        for column in texts:
            n_changed = int((guessed[column].astype("string").fillna("") != frame[column].fillna("")).sum())
            if n_changed:
                rows.append((name, column, str(guessed[column].dtype), n_changed, len(frame)))
    table = pd.DataFrame(rows, columns=["table", "column", "read_as", "n_changed", "n_rows"])
    n_wrong = int(table.n_changed.sum())
    found = f"{n_wrong:,} values of {len(table)} text columns change" if n_wrong else "no text changes, by luck"
    sentence = (
        f"**Letting the reader guess the types.** Written as CSV and read back with pandas' guesses (the first "
        f"{max_rows:,} rows of each table), {found}. An id that lost its zeros or gained a `.0` joins to nothing."
    )
    return Pitfall(table, n_wrong, sentence)
