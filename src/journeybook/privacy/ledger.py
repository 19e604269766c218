"""The ledger of budget: what was granted and what was spent, outliving every run; nobody rewrites it unseen."""

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.privacy.composing import Spending, compose

Entry = dict[str, Any]
Sign = Callable[[bytes], str]

UNITS = ("person", "household")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time read what is left and spend of it; the next one waits, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def read_ledger(path: Path, *, sign: Sign) -> list[Entry]:
    """Return the entries of a ledger, each held against the key, the one before it, and the last one known.

    `<name>.head` beside the file says, signed, which entry is the last, so that entries cut off at the end are
    missed. Whoever takes both files away leaves no budget, and a release never grants one. Who puts back
    an older copy of both goes unseen here: the card of every release names its entry.

    Args:
        path: The ledger, one JSON object a line.
        sign: Keyed hash of bytes; signatures of another key are refused.

    Raises:
        JourneybookError: There is none, it was made with another key, or it is not as it was written.
    """
    head = _head(path)
    if not path.is_file():
        if head.is_file():
            raise JourneybookError(f"{path.name} is gone, and {head.name} knows it: put back the ledger.")
        raise JourneybookError("there is no budget: `journeybook budget --grant EPSILON` grants one.")
    entries: list[Entry] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        entry = _parsed(line)
        if entry.get("key") != sign(b"ledger"):
            if entry.get("key") is not None and not entries:
                raise JourneybookError(f"{path.name} was made with another key: set JOURNEYBOOK_KEY to that one.")
            raise JourneybookError(f"{path.name} is not as it was written: entry {number} was changed.")
        before = entries[-1]["signature"] if entries else ""
        if entry.get("before") != before or entry.get("signature") != _signed(entry, sign):
            raise JourneybookError(f"{path.name} is not as it was written: entry {number} was changed or moved.")
        entries.append(entry)
    known = _parsed(head.read_text(encoding="utf-8")) if head.is_file() else {}
    n = known.get("entries", 0)
    # A process killed between the two files leaves a head that is behind, never one ahead.
    behind = [*entries[n - 1 : n]] if known.get("signature") == _signed(known, sign) else []
    if not behind or behind[0]["signature"] != known["last"]:
        raise JourneybookError(f"{path.name} is not as it was written: its end, or {head.name}, is gone.")
    return entries


def append(path: Path, entries: Sequence[Entry], new: Sequence[Mapping[str, Any]], *, sign: Sign) -> list[Entry]:
    """Write new entries behind those that were read, all or none; `locked` must hold. Returns all of them."""
    grown = list(entries)
    for content in new:
        before = grown[-1]["signature"] if grown else ""
        entry = {"entry": len(grown) + 1, **content, "key": sign(b"ledger"), "before": before}
        grown.append(entry | {"signature": _signed(entry, sign)})
    lines = "".join(f"{json.dumps(entry, sort_keys=True)}\n" for entry in grown)
    _write(path, lines)
    last = {"entries": len(grown), "last": grown[-1]["signature"]}
    _write(_head(path), f"{json.dumps(last | {'signature': _signed(last, sign)}, sort_keys=True)}\n")
    return grown


def grant(path: Path, *, epsilon: float, delta: float, unit: str, period: str, sign: Sign) -> list[Entry]:
    """Grant a budget for a period, first into a new ledger; returns the entries.

    Args:
        path: The ledger.
        epsilon: Privacy loss of everything that is released in the period, above 0.
        delta: Probability that it may be passed with, from 0 to below 1.
        unit: Whom it protects: `person` or `household`.
        period: First and last day, such as `2026-01-01/2026-12-31`.
        sign: Keyed hash of bytes.

    Raises:
        JourneybookError: A value is out of range, or the days have a budget already.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise JourneybookError(f"epsilon is {epsilon:g}: a budget needs a number above 0.")
    if not 0 <= delta < 1:
        raise JourneybookError(f"delta is {delta:g}: a budget needs a probability from 0 to below 1.")
    if unit not in UNITS:
        raise JourneybookError(f"unit is {unit!r}: a budget protects a person or a household.")
    first, last = days_of(period)
    with locked(path):
        fresh = not path.is_file() and not _head(path).is_file()
        entries = [] if fresh else read_ledger(path, sign=sign)
        for other in (entry for entry in entries if entry["kind"] == "budget"):
            if other["unit"] != unit:
                raise JourneybookError(f"{path.name} is a ledger of another unit: it protects a {other['unit']}.")
            begins, ends = days_of(other["period"])
            if first <= ends and begins <= last:
                raise JourneybookError(f"period {period} has days of {other['period']}, which has its budget.")
        about = {"kind": "budget", "epsilon": epsilon, "delta": delta, "unit": unit, "period": period}
        return append(path, entries, [about], sign=sign)


def days_of(period: str) -> tuple[date, date]:
    """Return the first and the last day of a period, such as `2026-01-01/2026-12-31`."""
    try:
        first, last = (date.fromisoformat(day) for day in period.split("/"))
    except ValueError:
        first, last = date.max, date.min
    if first > last:
        raise JourneybookError(f"period is {period!r}: needed are its first and last day, 2026-01-01/2026-12-31.")
    return first, last


def budget_on(entries: Sequence[Entry], *, day: date, unit: str) -> Entry:
    """Return the budget that a release of this day draws on; JourneybookError where there is none for the unit."""
    for entry in entries:
        if entry["kind"] == "budget" and days_of(entry["period"])[0] <= day <= days_of(entry["period"])[1]:
            if (protected := entry["unit"]) != unit:
                raise JourneybookError(f"the ledger is of another unit: it protects a {protected}, not a {unit}.")
            return entry
    raise JourneybookError(f"there is no budget for {day}: `journeybook budget --grant EPSILON` grants one.")


def charges_of(entries: Sequence[Entry], budget: Entry) -> list[Entry]:
    """Return what was released of a budget."""
    return [entry for entry in entries if entry["kind"] == "release" and entry["period"] == budget["period"]]


def check_charge(entries: Sequence[Entry], budget: Entry, new: Sequence[Mapping[str, Any]]) -> Spending:
    """Return what a budget will have spent with new charges; JourneybookError where that is more than it has."""
    together = compose([*charges_of(entries, budget), *new], delta=budget["delta"])
    # Ten times 0.1 is a little more than 1 in floating point.
    if together.epsilon > budget["epsilon"] * (1 + 1e-9) or together.delta > budget["delta"]:
        names = ", ".join(str(charge["release"]) for charge in new)
        before = compose(charges_of(entries, budget), delta=budget["delta"])
        raise JourneybookError(
            f"over budget, nothing was computed: {names} would bring epsilon from {before.epsilon:.6g} to "
            f"{together.epsilon:.6g} and delta to {together.delta:.3g}, of {budget['epsilon']:g} and "
            f"{budget['delta']:.3g} for {budget['period']}."
        )
    return together


def budget_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return each charge of each budget, in order, with what is left after it.

    Returns:
        One row an entry: `entry`, `period`, `unit`, `release` (`granted` for a budget), `mechanism`, `epsilon` or
        `rho` (missing where the charge is in the other), `delta`, `spent`, `left` (epsilon of the period, after
        it), `composed` (`sum` or `zCDP`).
    """
    rows = []
    for budget in (entry for entry in entries if entry["kind"] == "budget"):
        charges = charges_of(entries, budget)
        about = {"period": budget["period"], "unit": budget["unit"]}
        for n, entry in enumerate([budget, *charges]):
            spent = compose(charges[:n], delta=budget["delta"])
            granted = {"release": "granted", "mechanism": ""} if entry is budget else {}
            row = {key: entry.get(key) for key in ("entry", "release", "mechanism", "epsilon", "rho", "delta")}
            left = {"spent": spent.epsilon, "left": max(0.0, budget["epsilon"] - spent.epsilon)}
            rows.append(row | about | granted | left | {"composed": spent.by})
    order = ["entry", "period", "unit", "release", "mechanism", "epsilon", "rho", "delta"]
    made = pd.DataFrame(rows, columns=[*order, "spent", "left", "composed"])
    return made.astype({"epsilon": float, "rho": float, "delta": float})


def budget_lines(table: pd.DataFrame) -> Iterator[str]:
    """Yield `budget_table` for the screen: for each period what is left, then what took it."""
    for period, rows in table.groupby("period", sort=False):
        granted, last = rows.iloc[0], rows.iloc[-1]
        how = " together, by zCDP" if last.composed == "zCDP" else ""
        yield (
            f"{period}, each {granted.unit}: epsilon {last.left:.4g} of {granted.epsilon:g} left "
            f"({last.spent:.4g} spent{how}), delta {granted.delta:g}"
        )
        for row in rows.iloc[1:].itertuples():
            cost = f"epsilon {row.epsilon:.4g}" if row.epsilon == row.epsilon else f"rho {row.rho:.4g}"
            yield f"  {row.entry:>3}  {row.release:<24} {row.mechanism:<28} {cost:<16} left {row.left:.4g}"
    yield f"{len(table)} entries; signed, in a chain, and none is missing"


def _head(path: Path) -> Path:
    return path.with_name(f"{path.name}.head")


def _signed(entry: Mapping[str, Any], sign: Sign) -> str:
    content = {key: value for key, value in entry.items() if key != "signature"}
    return sign(json.dumps(content, sort_keys=True).encode())


def _parsed(line: str) -> Entry:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> None:
    """Replace a file whole, on the disk before its name is: a kill leaves the old one or the new one."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
