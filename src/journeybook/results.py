"""What a page leaves behind: its figures, its checks, and what both were made from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.findings import Finding, ordered
from journeybook.tables import SCHEMAS, Run, fingerprint, provenance, root

# A report shows no figure that fewer people share.
AT_LEAST = 10
# So many checks of one source are listed; of more the one furthest off stands for all.
MANY = 24
QUANTILES = (0.1, 0.5, 0.9)
SHARED_BY = ("unit_id", "person_id", "customer_id", "person")
IDENTIFIERS = {column for schema in SCHEMAS.values() for column in schema.identifiers}

CHECK_KINDS = ("witness", "conservation", "constant", "known_miss")


@dataclass(frozen=True)
class Check:
    """One comparison of a figure with something outside the page.

    Attributes:
        name: What is compared.
        passed: Whether the comparison holds.
        value: The page's figure.
        rule: `within`, `at least` or `at most`.
        reference: What the figure is compared with.
        tolerance: Greatest difference allowed; 0 except for `within`.
        source: Where the reference comes from.
        kind: `witness`; `conservation`, equal by construction (rows in, rows out); `constant`, depends on no data
            and counts once however many variants show it; `known_miss`, a known answer that the method is known
            to miss: listed by name, and not counted as failed.
    """

    name: str
    passed: bool
    value: float
    rule: str
    reference: float
    tolerance: float
    source: str
    kind: str = "witness"

    def __post_init__(self) -> None:
        """Refuse a kind that nobody counts."""
        if self.kind not in CHECK_KINDS:
            raise JourneybookError(f"check {self.name!r} is of kind {self.kind!r}, not {', '.join(CHECK_KINDS)}.")


def check(
    name: str,
    value: float,
    *,
    reference: float,
    source: str,
    tolerance: float = 0,
    rule: str = "within",
    kind: str = "witness",
) -> Check:
    """Compare a figure with a reference, from which it may differ by `tolerance`, or which bounds it.

    >>> check("two and two", 4.1, reference=4, tolerance=0.2, source="arithmetic").passed
    True
    """
    holds = {
        "within": abs(value - reference) <= tolerance,
        "at least": value >= reference,
        "at most": value <= reference,
    }
    if rule not in holds:
        raise JourneybookError(f"check {name!r} has the rule {rule!r}, not {', '.join(holds)}.")
    allowed = float(tolerance) if rule == "within" else 0.0
    return Check(name, bool(holds[rule]), float(value), rule, float(reference), allowed, source, kind)


def checks_of(found: pd.DataFrame) -> list[Check]:
    """Return the checks that rows of a table ask for; of more than `MANY` of one source, the one furthest off.

    Args:
        found: One row a check: `name`, `value`, `reference`, `source`; `tolerance` where the value is to be within
            it; where they differ from row to row also `rule` (`within`, `at least`, `at most`) and `kind`.

    Raises:
        JourneybookError: Two rows have one name, or a rule is unknown.
    """
    if found.empty:
        return []
    twice = found.name[found.name.duplicated()]
    if len(twice):
        raise JourneybookError(f"two checks are named {twice.iloc[0]!r}: a check is known by its name.")
    columns = ["name", "value", "reference", "source", "tolerance", "rule", "kind"]
    made = [check(**row) for row in found[found.columns.intersection(columns)].to_dict("records")]
    by_source = {c.source: [one for one in made if one.source == c.source] for c in made}
    return [
        c if len(own) <= MANY else _furthest(own)
        for c in made
        if len(own := by_source[c.source]) <= MANY or c is own[0]
    ]


def _furthest(checks: Sequence[Check]) -> Check:
    """The check that stands for all: one that failed if any did, else the one nearest to its tolerance."""
    # Rounded, for last digits differ between processors: of checks that hold to those the first stands for all.
    used = [round(abs(c.value - c.reference) / max(c.tolerance, 1e-12), 2) for c in checks]
    worst = checks[max(range(len(checks)), key=lambda i: (not checks[i].passed, used[i]))]
    return replace(worst, name=f"{worst.name}, furthest off of {len(checks):,}")


def show_checks(checks: Sequence[Check]) -> pd.DataFrame:
    """Return the checks as a table to show: one row a check."""
    return pd.DataFrame(
        {
            "check": [c.name for c in checks],
            "passed": ["yes" if c.passed else "known miss" if c.kind == "known_miss" else "NO" for c in checks],
            "value": [say_figure(c.value) for c in checks],
            "compared with": [say_rule(c) for c in checks],
            "source": [c.source for c in checks],
        }
    )


def describe_columns(frame: pd.DataFrame | ibis.Table) -> pd.DataFrame:
    """Return what the columns of a table are, without a row or a figure of any single person.

    A quantile is rounded to three, two or one digits (times to the day, month or year), the finest that ten people
    or more share, and left out where not even the coarsest is shared. The commonest value of text is shown if ten
    have it. People are told apart by the first of `SHARED_BY` that there is; otherwise every row counts as a
    person. Ids and direct identifiers show no value, and a table of fewer than ten people none at all.

    Returns:
        One row a column, all text: `column`, `type`, `missing` (share of rows), `different` (number of values, to
        two digits from 100 on), `10 %`, `50 %`, `90 %`, `commonest`.

    >>> describe_columns(pd.DataFrame({"n": [1] * 11 + [2] * 8 + [987]})).loc[0, ["50 %", "90 %"]].tolist()
    ['1', '']
    """
    table = ibis.memtable(frame) if isinstance(frame, pd.DataFrame) else frame
    key = next((name for name in SHARED_BY if name in table.columns), None)
    person = ibis.row_number().cast("string") if key is None else table[key].cast("string").fill_null("nobody")
    table = table.mutate(person__=person)
    names = [name for name in table.columns if name != "person__"]
    shown = [n for n in names if not (n.endswith("_id") or n in {"row", "person", "unconverted", *IDENTIFIERS})]
    numbers = {n: number for n in shown if (number := _as_number(table[n])) is not None}
    totals = {"rows": table.count(), "people": table.person__.nunique()}
    totals |= {f"missing {n}": _missing(table[n]).mean() for n in names}
    totals |= {f"different {n}": table[n].nunique() for n in names}
    totals |= {f"quantiles {n}": number.quantile(QUANTILES) for n, number in numbers.items()}
    counted = table.aggregate(**totals).to_pandas().iloc[0]
    enough = counted["people"] >= AT_LEAST
    quantiles = _shared_quantiles(table, numbers, counted) if enough else {}
    common = {n: _commonest(table, n) for n in shown if enough and n not in numbers}
    rows = [
        {"column": n, "type": _type(table[n]), "missing": _share(counted[f"missing {n}"])}
        | {"different": _limited(counted[f"different {n}"]) if enough else ""}
        | {f"{q:.0%}".replace("%", " %"): quantiles.get((n, q), "") for q in QUANTILES}
        | {"commonest": common.get(n, "")}
        for n in names
    ]
    described = pd.DataFrame(rows)
    # A table of this name is folded, and stands at the end of its page in the report.
    described.attrs["aside"] = "Columns of the data"
    return described


def save_results(
    run: Run,
    results: str | Path | None,
    *,
    page: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tables: Mapping[str, pd.DataFrame],
    checks: Sequence[Check],
    inputs: Sequence[str],
    findings: Sequence[Finding] = (),
    warning: str | None = None,
) -> list[Finding]:
    """Write `<results>/<page>.json`, whole or not at all, and return the findings kept in it, the five worth most.

    A figure that does not hold is a finding itself, and comes first. Without `results` the folder is
    `reports/manual`, for a notebook run by hand; `warning` are a few words that go wherever these results are
    shown.

    Raises:
        JourneybookError: A metric is not a number, or a table holds a value that JSON cannot.
    """
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise JourneybookError(f"metric {name!r} of {page} is {value!r}: a metric is a number.")
    kept = ordered([*failed(checks), *findings])
    content = {
        "page": page,
        "dataset": run.dataset,
        "provenance": provenance(run, *inputs) if inputs else "SIMULATED",
        "consent_ledger": run.has_ledger,
        "parameters": _plain(dict(parameters)),
        "metrics": _plain(dict(metrics)),
        "tables": {name: _plain(frame.to_dict("records")) for name, frame in tables.items()},
        "findings": [_plain(vars(f)) for f in kept],
        "checks": [_plain(vars(c)) for c in checks],
        "inputs": {name: fingerprint(run, name) for name in inputs},
    }
    content |= {"warning": warning} if warning else {}
    folder = root() / "reports" / "manual" if results is None else Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{page}.json"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(
        json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    unfinished.replace(path)
    return kept


def failed(checks: Sequence[Check]) -> list[Finding]:
    """Return what checks that failed tell whoever decides: one finding for all; a known miss is none."""
    wrong = [c for c in checks if not c.passed and c.kind != "known_miss"]
    if not wrong:
        return []
    said = "A figure of this page does not" if len(wrong) == 1 else f"{len(wrong)} figures of this page do not"
    name = " ".join(wrong[0].name.split()[:12]).rstrip(",")
    return [
        Finding(
            text=f"{said} hold: {name}, {say_figure(wrong[0].value)}, must be {say_rule(wrong[0])}.",
            action="Decide nothing by this page before that is explained.",
            strength="contradicted",
            worth=1,
            section="Does it hold?",
            figure=None,
        )
    ]


def say_figure(value: float | None) -> str:
    """Return a figure as tables show it: whole numbers whole, others to six digits or to the cent.

    >>> [say_figure(v) for v in (1469307, 4596039.58, 0.0765903812, 8.9e-16, None)]
    ['1,469,307', '4,596,039.58', '0.0765904', '8.9e-16', 'none']
    """
    if value is None or math.isnan(value):
        return "none"
    if math.isinf(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 1e-6:
        return f"{value:.2g}"
    return f"{value:,.2f}" if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"


def say_rule(check: Check) -> str:
    """Return what a check's figure is compared with.

    >>> say_rule(check("two and two", 4.1, reference=4, tolerance=0.2, source="arithmetic"))
    '4 ± 0.2'
    """
    if check.rule != "within":
        return f"{check.rule} {say_figure(check.reference)}"
    return say_figure(check.reference) + (f" ± {check.tolerance:.2g}" if check.tolerance else "")


def _as_number(column: ibis.Value) -> ibis.Value | None:
    """A column as numbers (times as seconds), of which quantiles can be taken; None for text."""
    if column.type().is_numeric():
        return column.cast("float64")
    if column.type().is_timestamp() or column.type().is_date():
        return column.cast("timestamp").epoch_seconds().cast("float64")
    return None


def _missing(column: ibis.Value) -> ibis.Value:
    return column.isnull() | column.isnan() if column.type().is_floating() else column.isnull()


def _shared_quantiles(
    table: ibis.Table, numbers: Mapping[str, ibis.Value], counted: pd.Series
) -> dict[tuple[str, float], str]:
    """Each quantile at the finest rounding that ten people share; one query a rounding for all of them."""
    # A column without a value has no quantiles.
    told = {n: of for n in numbers if (of := counted[f"quantiles {n}"]) is not None}
    found = {(n, q): at for n, of in told.items() for q, at in zip(QUANTILES, of, strict=True)}
    left = [key for key, at in found.items() if at is not None and math.isfinite(at)]
    quantiles: dict[tuple[str, float], str] = {}
    for level in range(3):
        asked = {(n, q): _rounded(table[n], numbers[n], found[n, q], level=level) for n, q in left}
        flags = {str(i): same.fill_null(False) for i, (_, same) in enumerate(asked.values())}
        if not flags:
            break
        if counted["people"] < counted["rows"]:
            people = table.group_by("person__").aggregate(**{i: flag.any() for i, flag in flags.items()})
            sharing = people.aggregate(**{i: people[i].sum() for i in flags}).to_pandas().iloc[0]
        else:
            sharing = table.aggregate(**{i: flag.sum() for i, flag in flags.items()}).to_pandas().iloc[0]
        shared = [key for i, key in enumerate(asked) if sharing[str(i)] >= AT_LEAST]
        quantiles |= {key: asked[key][0] for key in shared}
        left = [key for key in asked if key not in quantiles]
    return quantiles


def _rounded(column: ibis.Value, number: ibis.Value, at: float, *, level: int) -> tuple[str, ibis.Value]:
    """A quantile to the day, month or year, or to three, two or one digits, and whether a value rounds to it."""
    if not column.type().is_numeric():
        form = ("%Y-%m-%d", "%Y-%m", "%Y")[level]
        said = pd.Timestamp(at, unit="s").strftime(form)
        return said, column.cast("timestamp").strftime(form) == said
    places = 2 - level - (math.floor(math.log10(abs(at))) if at else 0)
    places = min(places, 0) if column.type().is_integer() else places
    rounded = round(float(at), places)
    return say_figure(rounded), (number - rounded).abs() <= 0.5 * 10.0**-places


def _commonest(table: ibis.Table, name: str) -> str:
    """The value that most people have, if ten do; of equals the first in the alphabet."""
    texts = table.mutate(value=table[name].cast("string")).filter(ibis._.value.notnull())
    people = texts.group_by("value").aggregate(n=texts.person__.nunique())
    most = people.filter(people.n >= AT_LEAST).order_by(people.n.desc(), people.value).limit(1).to_pandas()
    return "" if most.empty else str(most.value.iloc[0])


def _type(column: ibis.Value) -> str:
    kind = column.type()
    if kind.is_boolean():
        return "yes or no"
    if kind.is_integer():
        return "whole number"
    if kind.is_numeric():
        return "number"
    return "time" if kind.is_timestamp() else "date" if kind.is_date() else "text" if kind.is_string() else "other"


def _share(share: float) -> str:
    if share is None or math.isnan(share):
        return ""
    return "under 1%" if 0 < share < 0.005 else f"{share:.0%}"


def _limited(n: int) -> str:
    return f"{int(n):,}" if n < 100 else f"{int(float(f'{n:.1e}')):,}"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON holds: numbers as they are, NaN and infinity as null, times as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise JourneybookError(f"a result holds {value!r} of type {type(value).__name__}, which JSON cannot hold.")
