"""How a table looks, in JupyterLab and in the report alike: format and label follow from a column's name."""

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from journeybook.findings import say_p, say_share

MOST_COLUMNS = 6
"""Columns shown at once; the others stand in a folded table."""
MOST_ROWS = 12
"""Rows shown at once; of a longer table the first ten are, and at most sixty in the folded one."""
FIRST_ROWS = 10
WHOLE_ROWS = 60

_MONEY = {"revenue", "spend", "sales", "amount", "cost", "price", "profit", "money"}
_SHARES = {"share", "rate", "precision", "recall", "coverage"}
_VERBATIM = {
    "table",
    "tables",
    "column",
    "columns",
    "parameter",
    "feature",
    "features",
    "used",
    "value",
    "reads",
    "known",
}
_SAID = {
    "auc": "AUC",
    "roc": "ROC",
    "pr": "PR",
    "ece": "ECE",
    "ndcg": "nDCG",
    "bic": "BIC",
    "f1": "F1",
    "rfm": "RFM",
    "id": "ID",
    "sd": "SD",
}
_NUMBER = re.compile(r"[<±+−-]?\s?[\d,]*\.?\d+(e[-+]?\d+)?\s?%?")
# Names of code, alone or as in "missing_outcome: spend".
_CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*(: [a-z0-9]+(_[a-z0-9]+)*)*")
# JupyterLab would put text to the right as well.
_STYLE = "<style>.jb th,.jb td{text-align:left}.jb .n{text-align:right}</style>"


@dataclass(frozen=True)
class _Column:
    label: str
    names: str
    cells: list[str]
    kind: str
    rank: int


def show_tables() -> None:
    """Let the notebook that calls this show its data frames as `as_html` writes them."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        formatter = shell.display_formatter.formatters["text/html"]
        formatter.for_type(pd.DataFrame, as_html)
        formatter.for_type_by_name("pandas.io.formats.style", "Styler", lambda styler: as_html(styler.data))


def as_html(frame: pd.DataFrame) -> str:
    """Return a table as HTML: six columns and twelve rows at most, and all of it folded below where there is more.

    `n_` are counts; `_share` and `_rate` per cent; `p_value` is never below "< 0.001"; names of money have two
    decimals, times their date. `x_low` and `x_high` stand in brackets behind `x`. Of more than six columns those
    that vary come first: what a row is about, then intervals, p-values, shares, other figures and counts. A label
    shows the column's own name on hover. A frame with `attrs["aside"]` is folded under that title.

    >>> shown = as_html(pd.DataFrame({"open_share": [0.25], "low": [0.2], "high": [0.3], "p_value": [1e-9]}))
    >>> re.findall(r">([^<>]+)</t[dh]>|<td class=\\"n\\">([^<]+) ?<span>([^<]+)<", shown)
    [('Open share', '', ''), ('p‑value', '', ''), ('', '25.0% ', '(20.0% to 30.0%)'), ('&lt; 0.001', '', '')]
    """
    n_rows, columns = len(frame), _columns(frame.head(WHOLE_ROWS))
    first = sorted(columns, key=lambda c: c.rank)[:MOST_COLUMNS] if len(columns) > MOST_COLUMNS else columns
    shown = _table(first, n_rows=n_rows if n_rows <= MOST_ROWS else FIRST_ROWS)
    more = [f"{n_rows:,} rows"] if n_rows > MOST_ROWS else []
    more += [f"{len(columns)} columns"] if len(columns) > MOST_COLUMNS else []
    if more:
        said = f"{'All' if n_rows <= WHOLE_ROWS else f'The first {WHOLE_ROWS} of'} {' and '.join(more)}"
        whole = _table(columns, n_rows=n_rows)
        shown += f'\n<details class="whole"><summary>{said}</summary>\n{whole}\n</details>'
    if title := frame.attrs.get("aside"):
        shown = f"<details><summary>{html.escape(title)}</summary>\n{shown}\n</details>"
    return f'<div class="jb{" aside" if title else ""}">{_STYLE}\n{shown}\n</div>'


def _table(columns: Sequence[_Column], *, n_rows: int) -> str:
    lines = ['<div class="table-scroll"><table>', "<thead><tr>"]
    for c in columns:
        mark = ' class="n"' if c.kind == "n" else ""
        head = f'<th scope="col"{mark} title="{html.escape(c.names)}">{html.escape(c.label)}</th>'
        lines.append(head if c.label else "<td></td>")
    lines += ["</tr></thead>", "<tbody>"]
    for row in range(min(n_rows, len(columns[0].cells) if columns else 0)):
        cells = [_cell(c.cells[row], kind=c.kind, first=c is columns[0]) for c in columns]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table></div>"])


def _cell(cell: str, *, kind: str, first: bool) -> str:
    if first and kind != "n" and cell:
        return f'<th scope="row">{cell}</th>'
    if kind == "passed":
        kind = "good" if cell == "yes" else "bad" if cell.lower() == "no" else ""
    return f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>"


# --- columns ------------------------------------------------------------------------------------------


def _columns(frame: pd.DataFrame) -> list[_Column]:
    """The columns to show: the index where it says something, intervals within what they belong to."""
    values: dict[str, list] = {}
    if any(name is not None for name in frame.index.names) or not pd.api.types.is_numeric_dtype(frame.index):
        index = frame.index.to_frame(index=False)
        values = {"" if n is None else str(n): index.iloc[:, i].tolist() for i, n in enumerate(frame.index.names)}
    for i, name in enumerate(frame.columns):
        said = ": ".join(map(str, filter(None, name))) if isinstance(name, tuple) else str(name)
        values[said] = frame.iloc[:, i].tolist()
    intervals = _intervals(values)
    hidden = {end for low, high in intervals.values() for end in (low, high)}
    made: list[_Column] = []
    labels = [_label(name) for name in values]
    for name, label in zip(values, labels, strict=True):
        if name in hidden and name not in intervals:
            continue
        low, high = intervals.get(name, (None, None))
        say = _sayer(name, values[name])
        cells = [_say(v, say=say, name=name) for v in values[name]]
        if low == name and high is not None:
            label = _label(name.removesuffix("low")) or "Interval"
            cells = [f"{a} to {_say(b, say=say, name=name)}" for a, b in zip(cells, values[high], strict=True)]
        elif low is not None and high is not None:
            ends = zip(values[low], values[high], strict=True)
            cells = [c + _bracket(a, b, say=say) for c, (a, b) in zip(cells, ends, strict=True)]
        elif labels.count(label) > 1 and name.startswith("n_"):
            label = f"Number: {label.lower()}"
        names = ", ".join(n for n in dict.fromkeys((name, low, high)) if n)
        kind = _kind(name, values[name], cells)
        heads = not made or (kind != "n" and all(c.kind != "n" for c in made[1:]))
        rank = _rank(name, cells, head=heads, interval=low is not None)
        made.append(_Column(label, names, cells, kind, rank))
    return made


def _intervals(values: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, str]]:
    """For each column that has an interval its two ends; an interval alone stands for itself, by its lower end."""
    found = {}
    before = ""
    for low in values:
        stem, high = low.removesuffix("low").rstrip("_"), f"{low.removesuffix('low')}high"
        if (low == "low" or low.endswith("_low")) and high in values:
            owners = [n for n in (stem, f"{stem}_mean", f"{stem}_median", "" if stem else before) if n in values]
            found[owners[0] if owners else low] = (low, high)
        if not low.endswith(("low", "high")):
            before = low if any(map(_is_number, values[low])) else ""
    return found


def _label(name: str) -> str:
    """A column's name in words.

    >>> [_label(name) for name in ("n_rows", "always_valid_p_value", "roc_auc", "first_at", "p_adjusted")]
    ['Rows', 'Always valid p‑value', 'ROC AUC', 'First', 'Adjusted p‑value']
    """
    name = {"n": "number", "p_adjusted": "adjusted_p_value"}.get(name, name.removeprefix("n_") or name)
    name = name.removesuffix("_at") if len(name) > 3 else name
    words = " ".join(_SAID.get(word, word) for word in name.split("_") if word).replace("p value", "p‑value")
    return words if words[:2] == "p‑" else words[:1].upper() + words[1:]


def _kind(name: str, values: Sequence[Any], cells: Sequence[str]) -> str:
    """The class of a column's cells: `n` for figures, `short` for text in one line, `passed` for verdicts."""
    if name == "passed":
        return "passed"
    known = [(v, cell) for v, cell in zip(values, cells, strict=True) if not _missing(v) and cell]
    if known and all(_is_number(v) or _NUMBER.fullmatch(cell) for v, cell in known):
        return "n"
    return "short" if max(map(len, cells), default=0) <= 12 else ""


def _rank(name: str, cells: Sequence[str], *, head: bool, interval: bool) -> int:
    """Which columns come first where not all are shown."""
    if len(cells) > 1 and len(set(cells)) == 1:
        return 9
    if head:
        return 0
    if interval or name in ("decision", "advice", "passed"):
        return 1
    if name.endswith(("p_adjusted", "p_value")):
        return 2 if "adjusted" in name else 3
    return 4 if name.endswith("share") else 6 if name.startswith("n_") else 5


# --- cells --------------------------------------------------------------------------------------------


def _sayer(name: str, values: Sequence[Any]) -> Callable[[float], str]:
    """How the figures of a column are said."""
    words = name.split("_")
    if words[-1] in _SHARES or (words[-1] in ("low", "high") and words[-2:-1] == ["share"]):
        return say_share
    if name.endswith(("p_value", "p_adjusted")):
        return lambda p: say_p(p).removeprefix("p ").removeprefix("= ")
    if _MONEY & set(words):
        return "{:,.2f}".format
    sizes = [abs(float(v)) for v in values if _is_number(v) and math.isfinite(v) and v]
    if all(size.is_integer() for size in sizes):
        return ("{:.0f}" if name == "year" else "{:,.0f}").format
    if max(sizes) > 100 * min(sizes):
        return lambda v: f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.3g}"
    decimals = min(max(2 - math.floor(math.log10(sorted(sizes)[len(sizes) // 2])), 0), 6)
    return lambda v: f"{v:,.{decimals}f}"


def _say(value: Any, *, say: Callable[[float], str], name: str) -> str:
    if _missing(value):
        return "–"
    if _is_number(value):
        return html.escape(("∞" if math.isinf(value) else say(float(value))).replace("-", "−"))
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if hasattr(value, "isoformat"):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    text = str(value)
    if _CODE.fullmatch(text) and not _VERBATIM & set(name.split("_")):
        text = text.replace("_", " ")
    return html.escape(text)


def _bracket(low: Any, high: Any, *, say: Callable[[float], str]) -> str:
    if _missing(low) or _missing(high):
        return ""
    return f" <span>({_say(low, say=say, name='')} to {_say(high, say=say, name='')})</span>"


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, (bool, np.bool_))


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (_is_number(value) and math.isnan(value))
