"""How missing features are filled in, learned date by date of those known then, and handed on as a table."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd

from journeybook.statistics.imputation import HANDED, fit_imputer, imputer_table

_KEYS = ("row", "person_id", "as_of")


def feature_imputers(features: ibis.Table, *, rules: Mapping[str, str] | None) -> pd.DataFrame:
    """Learn, of the people of each snapshot, how the missing numbers of that date are filled in.

    A page that is judged on later rows takes a date before them (page 07 the last before its test), and a segment
    of a date that date's, so that nobody teaches who is in a test, and nothing that came later.

    Args:
        features: Snapshots, with `row` and `as_of`; its numbers are learned.
        rules: Method by column, as page 02 chose; others as `OTHERS` there.

    Returns:
        Rows of `HANDED`, `source` features, one a date and column.
    """
    numbers = quantities(features)
    dates = sorted(features.as_of.as_table().distinct().to_pandas().as_of)
    found = [pd.DataFrame(columns=HANDED)]
    for date in dates:
        rows = numbers.filter(numbers.as_of == date).order_by("row").drop("row", "as_of").to_pandas()
        found.append(imputer_table(fit_imputer(rows, rules=rules), source="features", as_of=date))
    return pd.concat(found, ignore_index=True).astype({"as_of": "datetime64[us]"})


def imputers_hold(features: ibis.Table, imputers: pd.DataFrame) -> pd.DataFrame:
    """Hold the medians handed on against those of each date in SQL; one missing or too many counts as one off."""
    numbers = quantities(features)
    columns = [c for c in numbers.columns if c not in _KEYS]
    medians = numbers.group_by("as_of").aggregate(**{c: numbers[c].median() for c in columns}).to_pandas()
    due = medians.melt("as_of", var_name="column", value_name="median").fillna({"median": 0.0})
    both = due.merge(imputers, on=["as_of", "column"], how="outer").astype({"median": float, "constant": float})
    asked = both[~both.method.isin(["mode", "model"])]
    n_off = int((~np.isclose(asked["median"], asked.constant, rtol=1e-9)).sum())
    row = ("medians handed on that are not those of their date", n_off, 0, 0.0, "SQL, date by date")
    return pd.DataFrame([row], columns=["name", "value", "reference", "tolerance", "source"])


def quantities(features: ibis.Table) -> ibis.Table:
    """Return the numbers among the features as floats, beside `row` and `as_of`."""
    kinds = {c: features[c].type() for c in features.columns if c not in _KEYS}
    numbers = [c for c, kind in kinds.items() if kind.is_numeric() and not kind.is_boolean()]
    return features.select("row", "as_of", **{c: features[c].cast("float64") for c in numbers})
