"""One page at work: it opens tables for the purposes its notebook names, and collects its results."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import DisplayHandle, Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from journeybook import plots
from journeybook import tables as door
from journeybook.errors import JourneybookError
from journeybook.findings import Finding, say_in_short
from journeybook.results import Check, checks_of, describe_columns, save_results, show_checks
from journeybook.teaching import Grade, grade, solutions

_WHERE = ("tables", "results", "page_name")


@dataclass
class Page:
    """What one notebook asked, opened and found so far; running a cell again adds nothing twice.

    Attributes:
        name: Name of the page, with its variant if it has one.
        run: The run whose tables it reads and writes.
        parameters: Its parameters and their values, without where the run is.
        inputs: Tables it has read, in order; what they are (REAL, SIMULATED, MIXED, YOURS) stamps its figures.
        checks: Its checks by name.
        metrics: Headline figures by name.
        tables: Result tables by name.
    """

    name: str
    run: door.Run
    parameters: dict[str, Any]
    inputs: list[str] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    _notebook: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _results: Path | None = None
    _in_short: DisplayHandle | None = None

    @property
    def data_is(self) -> str:
        """REAL, SIMULATED, MIXED or YOURS: what it has read, taken together; SIMULATED where it read nothing."""
        return door.provenance(self.run, *self.inputs) if self.inputs else "SIMULATED"

    def has(self, name: str) -> bool:
        """Return whether the run holds a table."""
        return door.has(self.run, name)

    def read(self, name: str, *, purpose: str | None = None, needed: bool = False) -> ibis.Table:
        """Open a table for the purpose that the notebook names; where it names several, for the one given."""
        purpose = purpose or door.named_purpose(self.run, name)
        table = door.read(self.run, name, purpose=purpose, needed=needed)
        self._note(name)
        return table

    def read_if_there(self, name: str, *, purpose: str | None = None) -> ibis.Table | None:
        """Open a table, or return None where the run does not hold it."""
        return self.read(name, purpose=purpose) if self.has(name) else None

    def read_all(self, stage: str) -> dict[str, ibis.Table]:
        """Open every table of a stage (`raw`, `accepted`), by bare name, for the purposes the notebook names."""
        found = {}
        for name in door.list_tables(self.run, stage):
            if stage == "raw":
                found[name] = door.raw(self.run, name)
                self._note(f"raw/{name}")
            else:
                found[name] = self.read(f"{stage}/{name}")
        return found

    def truth(self, name: str) -> pd.DataFrame | None:
        """Return what was planted in simulated rows, for comparison only; None where nothing was."""
        return door.read_truth(self.run, name) if door.has_truth(self.run, name) else None

    def write(self, name: str, table: ibis.Table | pd.DataFrame, *, sources: Sequence[str] | None = None) -> None:
        """Write a table of the run; without `sources` it was made from all that was read."""
        door.write(self.run, name, table, sources=self.inputs if sources is None else sources)

    def look(self, frame: pd.DataFrame | ibis.Table, *, purpose: str | None = None) -> pd.DataFrame:
        """Show what the data are and whose rows may be read, and return a table of the columns of one of them."""
        purpose = purpose or door.named_purpose(self.run, self.inputs[0])
        note = "" if purpose == "collection" else door.consent_note(self.run, purpose=purpose)
        self.say(f"Data: **{self.data_is}**. {note}")
        return describe_columns(frame)

    def noticed(self) -> list[Finding]:
        """Return what was odd about the files when they were read; for data of our own, nothing."""
        return [Finding(**one) for one in door.source_notices(self.run)]

    def say(self, *texts: str) -> None:
        """Show texts as Markdown, one paragraph each; an empty one is left out."""
        for text in filter(None, texts):
            display(Markdown(text))

    def draw(self, drawn: Axes | Figure | None, data: str | None = None) -> None:
        """Show a figure stamped with what its data are; `data` where it is not all that was read. None is none."""
        if drawn is not None:
            figure = plots.stamp(drawn, data or self.data_is)
            # Shown here, it comes before what the cell says of it, and not after all else.
            display(plots.as_bundle(figure), raw=True)
            plt.close(figure)

    def keep(self, **frames: pd.DataFrame) -> pd.DataFrame | None:
        """Keep result tables by name, and return the last of them to show, if it has a row."""
        self.tables |= frames
        last = list(frames.values())[-1]
        return last if len(last) else None

    def hold(self, *found: pd.DataFrame | Check) -> None:
        """Take up checks: each one alone, or rows of a table as `results.checks_of` reads it."""
        for given in found:
            made = [given] if isinstance(given, Check) else checks_of(given)
            self.checks |= {c.name: c for c in made}

    def show_checks(self) -> pd.DataFrame:
        """Return the checks so far as a table to show."""
        return show_checks([*self.checks.values()])

    def grade(self, answer: object, *, exercise: int) -> Grade:
        """Compare an answer with the notebook's own solution of an exercise, numbered from 1."""
        found = solutions(door.notebook_of(self.name))
        if not 1 <= exercise <= len(found):
            raise JourneybookError(f"page {self.name} has exercises 1 to {len(found)}, not {exercise}.")
        return grade(answer, solution=found[exercise - 1], names=self._notebook)

    def save(self, findings: Sequence[Finding], *, warning: str | None = None) -> None:
        """Write the results file, whole or not at all, and fill in "In short" from the findings it keeps."""
        kept = save_results(
            self.run,
            self._results,
            page=self.name,
            parameters=self.parameters,
            metrics=self.metrics,
            tables=self.tables,
            checks=[*self.checks.values()],
            inputs=self.inputs,
            findings=findings,
            warning=warning,
        )
        if self._in_short is not None:
            self._in_short.update(Markdown(say_in_short(kept)))

    def _note(self, name: str) -> None:
        if name not in self.inputs:
            self.inputs.append(name)


def open_page(notebook: Mapping[str, Any]) -> Page:
    """Open the page of a notebook, given its names and values (`globals()`), and show where "In short" will stand.

    Its parameters are those that the cell tagged `parameters` names, with the values they have now.

    Raises:
        JourneybookError: There is no run in the folder, no notebook of the page, or a parameter has no value.
    """
    name = notebook["page_name"]
    declared = _declared(door.parameter_cell(name))
    missing = [parameter for parameter in declared if parameter not in notebook]
    if missing:
        raise JourneybookError(f"page {name}: parameter {missing[0]!r} has no value: run its parameters cell.")
    plots.use_house_style()
    return Page(
        name=name,
        run=door.open_run(notebook["tables"], page=name),
        parameters={parameter: notebook[parameter] for parameter in declared if parameter not in _WHERE},
        _notebook=notebook,
        _results=notebook["results"],
        _in_short=display(Markdown("*Filled in when the page has run.*"), display_id="in-short"),
    )


def _declared(cell: str) -> list[str]:
    """Names that a parameters cell assigns, in order.

    >>> _declared("a = 1\\nb: int | None = None")
    ['a', 'b']
    """
    names = []
    for statement in ast.parse(cell).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names
