"""What finding mistakes is held against: rows and cells counted again, and a second look in plain Python."""

from collections.abc import Mapping

import ibis
import pandas as pd

from journeybook.cleaning.mistakes import Mistakes


def mistakes_hold(accepted: Mapping[str, ibis.Table], mistakes: Mistakes) -> pd.DataFrame:
    """Count what should be 0: rows lost, cells changed that no rule names, copies set aside without their like.

    Args:
        accepted: Accepted table by name.
        mistakes: What was found in them.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`, `kind`.
    """
    n_lost = n_alone = n_cells = 0
    for name, before in accepted.items():
        after, aside = mistakes.tables[name], mistakes.set_aside.get(name)
        if after is before:
            continue
        columns = [column for column in before.columns if column != "row"]
        if aside is not None:
            copies = aside.filter(aside.reason == "delivered twice").select(*columns)
            n_alone += int(copies.distinct().difference(after.select(*columns)).count().execute())
            after = after.union(aside.select(*after.columns))
        n_lost += abs(int(before.count().execute()) - int(after.count().execute()))
        both = before.inner_join(after, "row", rname="{name}_after")
        unlike = {c: (~both[c].identical_to(both[f"{c}_after"])).sum().fill_null(0) for c in columns}
        n_cells += int(both.aggregate(**unlike).to_pandas().to_numpy().sum())
    log = mistakes.changes
    told = int(log[log.action == "changed"].rows_changed.sum()) if len(log) else 0
    zeros = [
        ("rows lost or invented by mending", n_lost, "rows in = rows mended + rows set aside", "conservation"),
        ("cells mended that no rule names", n_cells - told, "cells before and after, row by row", "conservation"),
        ("doubled rows set aside without their like", n_alone, "the rows that are kept", "conservation"),
    ]
    if "customer_records" in accepted:
        left = _left(mistakes.tables["customer_records"].to_pandas())
        zeros.append(("mistakes left in customer records", left, "plain Python, record by record", "witness"))
    frame = pd.DataFrame(zeros, columns=["name", "value", "source", "kind"])
    return frame.assign(reference=0, tolerance=0)


def _left(records: pd.DataFrame) -> int:
    """Number of records with a mistake that anyone would see."""
    n = 0
    for record in records.astype(object).where(records.notna(), "").to_dict("records"):
        mail, phone = str(record.get("email", "")).strip().lower(), str(record.get("phone", "")).strip()
        texts = [str(record.get(field, "")).strip().lower() for field in ("given_name", "surname", "address")]
        n += bool(
            mail.split("@")[0] in ("test", "noreply", "no-reply", "none")
            or ("@" in phone and "@" not in mail and mail)
            or "n.a." in texts
            or phone == "999"
            or str(record.get("birth_date", "")).startswith("1900-01-01")
        )
    return n
