"""Publishing for good: a plan of releases is charged to the ledger, and written into a folder of its own."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import JourneybookError, nearest
from journeybook.privacy.asking import Asked, Plan
from journeybook.privacy.bounding import Cells, bounded_cells, moves, unit_totals
from journeybook.privacy.card import write_card
from journeybook.privacy.ledger import Entry, Sign, append, budget_on, check_charge, locked, read_ledger
from journeybook.privacy.mechanisms import WRONG, Noise, charge_of, draw, noise_of, reach, together
from journeybook.privacy.releases import CENTS, band_names
from journeybook.privacy.utility import budgets_of_release
from journeybook.tables import Run, added_up, list_tables, provenance, read

COLUMNS = ["release", "group", "figure", "value", "low", "high", "made_by"]


@dataclass(frozen=True)
class Published:
    """What a plan came to.

    Attributes:
        charged: Releases that were charged, by name.
        served: Releases of the same rows with the same bounds as before: their figures are those of the ledger.
        files: Content of the folder by file name.
    """

    charged: tuple[str, ...]
    served: tuple[str, ...]
    files: dict[str, str]


def publish(run: Run, plan: Plan, *, ledger: Path, sign: Sign, day: date, target: Path) -> Published:
    """Charge the releases of a plan, make those that are new, and write all of them into a new folder.

    Over budget, nothing is computed; in every other refusal, nothing is written and nothing charged. Figures exist
    outside this process only once their charge is in the ledger, with them in it: a kill before leaves neither, a
    kill after is made good by asking again, at no cost.

    Args:
        run: The owner's view of a run.
        plan: What is asked.
        ledger: File of the ledger.
        sign: Keyed hash of bytes.
        day: Today, which says whose budget is spent.
        target: A new folder: `figures.csv`, `mechanisms.json`, `card.md`, and nothing else.

    Raises:
        JourneybookError: The plan does not fit the tables, or there is no budget for it; in one sentence.
    """
    if target.exists():
        raise JourneybookError(f"{str(target)!r} is there already: a release needs a new folder.")
    with locked(ledger):
        entries = read_ledger(ledger, sign=sign)
        budget = budget_on(entries, day=day, unit=plan.unit)
        rows = {asked.name: rows_of(run, plan, asked) for asked in plan.releases}
        about = {asked.name: _about(plan, asked, rows[asked.name], sign) for asked in plan.releases}
        known = {(e["asked"], e["data"]): e for e in entries if e["kind"] == "release"}
        fresh = [asked for asked in plan.releases if about[asked.name] not in known]
        noises = {asked.name: noise_of(asked) for asked in fresh}
        named = {"kind": "release", "unit": plan.unit, "period": budget["period"], "made_on": str(day)}
        charges = [named | {"release": asked.name} | charge_of(noises[asked.name]) for asked in fresh]
        check_charge(entries, budget, charges)
        for asked, charge in zip(fresh, charges, strict=True):
            cells = bounded_cells(rows[asked.name], asked)
            charge |= dict(zip(("asked", "data"), about[asked.name], strict=True))
            charge["figures"] = _figures(asked, cells, noises[asked.name])
        if charges:
            entries = append(ledger, entries, charges, sign=sign)
    known = {(e["asked"], e["data"]): e for e in entries if e["kind"] == "release"}
    made = [known[about[asked.name]] for asked in plan.releases]
    files = _files(plan, made, run=run)
    write_folder(target, files)
    new = tuple(asked.name for asked in fresh)
    return Published(new, tuple(a.name for a in plan.releases if a.name not in new), files)


def write_folder(target: Path, files: dict[str, str]) -> None:
    """Write files into a new folder, all of them or none."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    # What a killed release left must not come out with this one.
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in files.items():
        (unfinished / name).write_text(content, encoding="utf-8")
    unfinished.replace(target)


def rows_of(run: Run, plan: Plan, asked: Asked) -> ibis.Table:
    """Return the rows a release is made of: `unit`, its columns, and `segment` where it groups by it."""
    rows = _unit_rows(run, plan, asked.table, asked.name)
    needs = [asked.of] if asked.of else []
    if asked.kind == "transitions":
        needs.append("session_id")
    else:
        needs += [column for column in asked.by if column != "segment"]
    where = f"release {asked.name!r}: {asked.table}"
    if missing := [column for column in needs if column not in rows.columns]:
        raise JourneybookError(f"{where} has no column {missing[0]!r}: {nearest(missing[0], rows.columns)}")
    if asked.amount or asked.kind == "rate":
        _check_type(rows[asked.of], f"{where}: {asked.of}", yes_or_no=asked.kind == "rate")
    if asked.kind == "transitions":
        return moves(rows, of=str(asked.of))
    if "segment" in asked.by and plan.segment_of:
        table, of = plan.segment_of
        spending = _unit_rows(run, plan, table, asked.name)
        if of not in spending.columns:
            raise JourneybookError(f"segments: {table} has no column {of!r}: {nearest(of, spending.columns)}")
        _check_type(spending[of], f"segments: {of}", yes_or_no=False)
        edges, names = [round(edge * CENTS) for edge in plan.segment_edges], band_names(plan.segment_edges)
        totals = unit_totals(spending, of=of).rename(segment_unit="unit")
        # Who has no such rows spent nothing.
        rows = rows.drop("segment") if "segment" in rows.columns else rows
        rows = rows.left_join(totals, rows.unit == totals.segment_unit)
        band = rows.total.fill_null(0).bucket([-(2**62), *edges, 2**62]).cast("int64")
        rows = rows.mutate(segment=ibis.cases(*((band == i, name) for i, name in enumerate(names))))
    return rows.select("unit", *dict.fromkeys([*needs, *(["segment"] if "segment" in asked.by else [])]))


def _unit_rows(run: Run, plan: Plan, name: str, release: str) -> ibis.Table:
    there, where = list_tables(run, "clean"), f"release {release!r}: {name}"
    if name not in there:
        raise JourneybookError(f"{where} is no table of this run: {nearest(name, there)}")
    table = read(run, f"clean/{name}", purpose="analytics")
    if "person_id" not in table.columns:
        raise JourneybookError(f"{where} names no customer in its rows: nobody could be protected.")
    unit = "household_id" if plan.unit == "household" and "household_id" in table.columns else "person_id"
    # In the study and the demo a customer is a household.
    if plan.unit == "household" and unit == "person_id" and run.dataset == "files":
        raise JourneybookError(f"{where} has no household_id: keep that column, or protect persons.")
    return table.filter(table[unit].notnull()).rename(unit=unit)


def _check_type(column: ibis.Value, where: str, *, yes_or_no: bool) -> None:
    kind = column.type()
    if not (kind.is_boolean() if yes_or_no else kind.is_numeric()):
        raise JourneybookError(f"{where} is {kind}: needed is {'yes or no' if yes_or_no else 'a number'}.")


def _about(plan: Plan, asked: Asked, rows: ibis.Table, sign: Sign) -> tuple[str, str]:
    """Keyed hashes of what is asked, but for its name, and of the rows it is asked of."""
    bounds = {k: v for k, v in asdict(asked).items() if k != "name"}
    wanted = [plan.unit, plan.segment_of, plan.segment_edges, bounds]
    held = [asked.table, *added_up(rows, rows.columns)]
    return sign(json.dumps(wanted, sort_keys=True).encode()), sign(json.dumps(held).encode())


def _figures(asked: Asked, cells: Cells, noises: Sequence[Noise]) -> list[dict[str, Any]]:
    """Figures of one release, rows of `COLUMNS` but for the name; every one made of noised ones alone."""
    groups, drawn = draw(cells, list(noises))
    by_figure = {noise.figure: noise for noise in noises}
    cut, offset = max(0, int(drawn["cut"][0])), reach(by_figure["cut"])
    made: list[tuple] = [
        ("all", "cut", cut, max(0, int(drawn["cut"][0]) - offset), max(0, int(drawn["cut"][0]) + offset),
         by_figure["cut"].mechanism)
    ]  # fmt: skip
    names = [" / ".join(group) or "all" for group in groups]
    if asked.edges:
        names = list(band_names(asked.edges))
    if asked.kind == "quantiles":
        return _records([*made, *_quantiles(asked, drawn["people"], by_figure["people"])])
    for figure in (noise.figure for noise in noises if noise.figure != "cut"):
        noise, noised = by_figure[figure], drawn[figure]
        unit = CENTS if figure == "sum" else 1
        # A group that was found is there because its noised count passed the threshold: totals would mislead.
        whole, total = together(noised) if noise.threshold is None else (noised, None)
        off = reach(noise)
        for name, value, raw in zip(names, whole, noised, strict=True):
            low, high = max(0, int(raw) - off), max(0, int(raw) + off)
            made.append((name, figure, value / unit, low / unit, high / unit, noise.mechanism))
        if total is not None and len(names) > 1:
            off = reach(noise, n_added=len(names))
            low, high = max(0, int(noised.sum()) - off), max(0, int(noised.sum()) + off)
            made.append(("total", figure, total / unit, low / unit, high / unit, "added up"))
    if asked.kind in ("mean", "rate"):
        top, bottom = ("sum", "people") if asked.kind == "mean" else ("hits", "rows")
        made += _ratios(asked.kind, names, drawn[top], drawn[bottom], by_figure[top], by_figure[bottom])
    if asked.kind == "transitions":
        made += _probabilities(groups, [row for row in made if row[1] == "people" and row[0] != "total"])
    return _records(made)


def _ratios(
    kind: str, names: Sequence[str], top: np.ndarray, bottom: np.ndarray, over: Noise, under: Noise
) -> list[tuple]:
    """Means or rates by group; each end of an interval is wrong half as often as one of two figures may be."""
    unit, most = (CENTS, np.inf) if kind == "mean" else (1, 1.0)
    off_top, off_bottom = (reach(noise, wrong=WRONG / 2) for noise in (over, under))
    made = []
    for name, a, b in zip(names, top / unit, bottom, strict=True):
        # Below 1 there is nothing to divide by.
        value = min(most, max(0.0, a) / b) if b >= 1 else None
        low = max(0.0, a - off_top / unit) / max(1.0, b + off_bottom)
        high = min(most, max(0.0, a + off_top / unit) / (b - off_bottom)) if b - off_bottom >= 1 else None
        high = 1.0 if high is None and kind == "rate" else high
        made.append((name, kind, value, min(most, low), high, "computed"))
    return made


def _probabilities(groups: Sequence[tuple[str, ...]], counts: Sequence[tuple]) -> list[tuple]:
    """Of those who left a state, the share whose step went to each other one."""
    leaving: dict[str, float] = {}
    for group, row in zip(groups, counts, strict=True):
        leaving[group[0]] = leaving.get(group[0], 0) + max(0, row[2])
    return [
        (row[0], "probability", max(0, row[2]) / leaving[g[0]] if leaving[g[0]] else None, None, None, "computed")
        for g, row in zip(groups, counts, strict=True)
    ]


def _quantiles(asked: Asked, noised: np.ndarray, noise: Noise) -> list[tuple]:
    """Quantiles of the noised bins, and edges between which the exact one lies, by the noise alone."""
    bins, _ = together(noised)
    total, below = int(bins.sum()), np.cumsum(bins)[:-1]
    # All partial sums are off by no more than this at once (Levy's inequality), and the sum of all is one of them.
    off = reach(noise, n_added=len(noised), wrong=WRONG / 2)
    raw, all_raw = np.cumsum(noised)[:-1], int(noised.sum())
    made = []
    for share in asked.shares:
        name = f"{share:.0%}" if round(100 * share, 9) == round(100 * share) else f"{share:.4g}"
        value = float(np.interp(share * total, below, asked.edges)) if total else None
        # F(e) is surely below the share up to the low edge, and surely at least it from the high edge on.
        under = raw + off < share * (all_raw - off)
        over = raw - off >= share * (all_raw + off)
        low = float(asked.edges[np.flatnonzero(under)[-1]]) if under.any() else None
        high = float(asked.edges[np.flatnonzero(over)[0]]) if over.any() else None
        made.append((name, "quantile", None if value is None else round(value, 2), low, high, "computed"))
    return made


def _records(made: Sequence[tuple]) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        # Six digits after the point say all that a share or a mean can bear.
        return round(float(value), 6) if isinstance(value, int | float | np.number) else value

    return [dict(zip(COLUMNS[1:], map(plain, row), strict=True)) for row in made]


def _files(plan: Plan, made: Sequence[Entry], *, run: Run) -> dict[str, str]:
    rows = []
    for asked, entry in zip(plan.releases, made, strict=True):
        rows += [{"release": asked.name} | figure for figure in entry["figures"]]
    figures = pd.DataFrame(rows, columns=COLUMNS)
    mechanisms = []
    for asked, entry in zip(plan.releases, made, strict=True):
        about: dict[str, Any] = {"release": asked.name}
        bounds = {k: v for k, v in asdict(asked).items() if v not in (None, (), {}, 0)}
        if asked.amount:
            bounds["amount"] = asked.amount / CENTS
        spent = {k: entry[k] for k in ("mechanism", "sensitivity", "epsilon", "rho", "delta") if k in entry}
        noises = noise_of(asked)
        about |= {"asked": bounds, "cost": spent, "noise": [asdict(noise) for noise in noises]}
        about["decisions"] = budgets_of_release(asked, entry["figures"], noises)
        about["ledger"] = {key: entry[key] for key in ("entry", "signature", "made_on")}
        mechanisms.append(about)
    tables = sorted({f"clean/{asked.table}" for asked in plan.releases})
    decisions = {about["release"]: about["decisions"] for about in mechanisms}
    data_is = provenance(run, *tables)
    return {
        "figures.csv": figures.to_csv(index=False),
        "mechanisms.json": json.dumps(mechanisms, indent=1, sort_keys=True) + "\n",
        "card.md": write_card(plan, made, decisions, data_is=data_is, has_ledger=run.has_ledger),
    }
