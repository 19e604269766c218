"""Looking through a release folder for exact figures: numbers that agree with the data better than by chance."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.privacy.asking import Plan
from journeybook.privacy.bounding import bounded_cells
from journeybook.privacy.mechanisms import noise_of
from journeybook.privacy.publishing import rows_of
from journeybook.privacy.releases import CENTS
from journeybook.tables import Run

_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w]|\.\d)")
_NEAR = 20  # scales of noise within which a published figure may come near an exact one
EXPECTED = 0.01
"""A number is reported where, by chance, fewer than this many would have agreed so well."""


@dataclass(frozen=True)
class Exact:
    """An exact figure of the house, and the noise its published twin has.

    Attributes:
        release: Name of the release.
        figure: `people`, `rows`, `hits`, `sum` or `cut`.
        value: In people, rows or currency.
        scale: Of the noise, in the same unit.
    """

    release: str
    figure: str
    value: float
    scale: float


def exact_figures_of(run: Run, plan: Plan) -> list[Exact]:
    """Return what the releases are made of, with their bounds and without any; for the house alone."""
    found = []
    for asked in plan.releases:
        rows, noises = rows_of(run, plan, asked), {noise.figure: noise for noise in noise_of(asked)}
        open_ = replace(asked, rows=2**31, groups=2**31, amount=2**50 if asked.amount else 0)
        for bounds in (asked, open_):
            cells = bounded_cells(rows, bounds)
            cut = {"cut": [cells.cut]} if bounds is asked else {}
            for figure, counted in (cells.counted | cut).items():
                if figure in noises:
                    unit = CENTS if figure == "sum" else 1
                    values = {int(value) for value in [*counted, sum(counted)]} - {0}
                    scale = noises[figure].scale / unit
                    found += [Exact(asked.name, figure, value / unit, scale) for value in sorted(values)]
    return list(dict.fromkeys(found))


def scan_release(folder: Path, exact: list[Exact]) -> pd.DataFrame:
    """Return the numbers in any file of a folder that agree with an exact figure better than by chance.

    A number with resolution r agrees with an exact figure that rounds to it. By chance noise of scale b does that
    with probability r / 2b at most, and a number that has nothing to do with it about once in |number| / r, for
    each exact figure. The chances of all numbers that come near are added up: reported is what fewer than
    `EXPECTED` would do. A small count with little noise is often exact by chance, and no scanner tells.

    Returns:
        One row a finding: `file`, `line`, `number` (as written), `release`, `figure`, `expected`.

    Raises:
        JourneybookError: There is no such folder.
    """
    if not folder.is_dir():
        raise JourneybookError(f"{str(folder)!r} is no folder: a release is one.")
    numbers = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            numbers += [(path.name, line, found.group()) for found in _NUMBER.finditer(text)]
    values = [float(text.replace(",", "")) for _, _, text in numbers]
    rows = []
    for one in exact:
        n_near = sum(abs(value - one.value) <= _NEAR * one.scale for value in values)
        for (file, line, text), value in zip(numbers, values, strict=True):
            resolution = 10.0 ** -len(text.partition(".")[2])
            if abs(value - one.value) > resolution / 2 * (1 + 1e-9):
                continue
            by_noise = n_near * resolution / (2 * one.scale)
            otherwise = len(exact) * resolution / max(abs(value), resolution)
            if (expected := max(by_noise, otherwise)) < EXPECTED:
                rows.append((file, line, text, one.release, one.figure, expected))
    found = pd.DataFrame(rows, columns=["file", "line", "number", "release", "figure", "expected"])
    return found.drop_duplicates(["file", "line", "number"]).reset_index(drop=True)
