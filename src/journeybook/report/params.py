"""params.yaml and --set, read strictly: one sentence for each mistake, before anything runs."""

import difflib
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from journeybook.datasets import DATASETS
from journeybook.datasets.complete_journey import TIMEZONE
from journeybook.errors import JourneybookError, nearest
from journeybook.report.kinds import check_kind
from journeybook.report.pages import GIVEN, Page
from journeybook.report.ranges import check_range
from journeybook.report.reading import read_document, read_value, said
from journeybook.tables import SCHEMAS, root, schema_of

PARAMS = root() / "params.yaml"
ENGINES = ("duckdb",)
RUN_DEFAULTS = {
    "dataset": "journey_demo",
    "engine": "duckdb",
    "seed": 20260101,
    "scale": 1.0,
    "timezone": TIMEZONE,
    "currency": "USD",
    "files": {},
}
RUN_MEANINGS = {
    "dataset": f"What to run on: {', '.join(DATASETS)} (your own tables, named under files).",
    "engine": "What computes the rows: duckdb.",
    "seed": "Seed of what is simulated and of every random number. Range 0 up.",
    "scale": "Share of the study's households, drawn without replacement. Range above 0 to 1.",
    "timezone": "Zone of the data set; occurred_at is naive local time in it.",
    "currency": "Currency of all amounts, three letters such as EUR; null for files where none is given.",
    "files": "Your own tables, for dataset: files; paths are relative to this file.",
}
KEYS = (*RUN_DEFAULTS, "pages", "alerts")


@dataclass(frozen=True)
class PageRun:
    """A page with values of its own parameters, named `page.variant` where it runs again with others."""

    name: str
    page: Page
    values: dict[str, object]

    @property
    def variant(self) -> str:
        """What follows the page's name in a second run of it; its tables are for pages of the same variant."""
        return self.name.removeprefix(self.page.name).removeprefix(".")


@dataclass(frozen=True)
class RunParameters:
    """Everything a run is asked to do; its keys are those of `RUN_MEANINGS`.

    Attributes:
        base: Folder that the paths in `files` are relative to.
        pages: The pages and variants, in reading order.
        file: The user's own parameters file, if there is one.
    """

    dataset: str
    engine: str
    seed: int
    scale: float
    timezone: str
    currency: str | None
    files: dict
    base: Path
    pages: tuple[PageRun, ...]
    file: Path | None = None

    @property
    def shared(self) -> dict[str, object]:
        """What is given to each page that declares it."""
        names = ("dataset", "engine", "seed", "scale", "timezone", "currency")
        return {name: getattr(self, name) for name in names}

    @property
    def source(self) -> dict[str, Any]:
        """What the data set is built from."""
        names = ("dataset", "seed", "scale", "timezone", "files", "base")
        return {name: getattr(self, name) for name in names}


def read_parameters(
    file: Path | None = None, *, pages: Sequence[Page], settings: Iterable[str] = (), defaults: Path = PARAMS
) -> RunParameters:
    """What to run: the repository's params.yaml, changed by the user's own `file`, changed by `key=value`.

    Every page runs that the data allow. `pages:` changes values and adds variants; it selects nothing.

    Raises:
        JourneybookError: Anything unknown, of another type, out of its range, or missing; one sentence.
    """
    documents = [(defaults.name, read_document(defaults) if defaults.exists() else {})]
    if file is not None:
        documents.append((file.name, read_document(file)))
    documents += [(f"--set {setting}", _setting(setting)) for setting in settings]
    return replace(_combined(documents, pages=pages, source=file or defaults), file=file)


def committed_parameters(*, pages: Sequence[Page], defaults: Path = PARAMS) -> RunParameters:
    """What params.yaml should hold: its run keys and variants, and each page's values from the page's cell."""
    document = read_document(defaults) if defaults.exists() else {}
    blocks = document.get("pages") or {}
    document["pages"] = {name: block for name, block in blocks.items() if "." in str(name)}
    return _combined([(defaults.name, document)], pages=pages, source=defaults)


def _combined(documents: Sequence[tuple[str, dict]], *, pages: Sequence[Page], source: Path) -> RunParameters:
    """The parameters of several documents, each with its name, the later ones before the earlier."""
    changes: dict[str, dict] = {}
    run: dict = dict(RUN_DEFAULTS)
    for i, (where, document) in enumerate(documents):
        given = _apply(document, run, changes, pages=pages, where=where)
        if given.get("dataset") == "files" and i > 0 and run["dataset"] != "files":
            run |= {"timezone": "UTC", "currency": None}
        run |= given
    if run["dataset"] == "files":
        _check_files(run["files"], where=source.name)
    elif run["files"]:
        raise JourneybookError(
            f"files is given, but dataset is {run['dataset']}: write dataset: files to run on your own tables."
        )
    elif run["timezone"] != TIMEZONE:
        raise JourneybookError(f"timezone is {run['timezone']}, but that of {run['dataset']} is {TIMEZONE}.")
    elif run["currency"] != RUN_DEFAULTS["currency"]:
        raise JourneybookError(f"currency is {run['currency']}, but that of {run['dataset']} is USD.")
    if run["scale"] != 1 and run["dataset"] != "journey_demo":
        raise JourneybookError(f"scale is {run['scale']}, but {run['dataset']} is used whole: leave scale at 1.")
    return RunParameters(
        **{**run, "scale": float(run["scale"])},
        base=source.resolve().parent,
        pages=tuple(_page_runs(pages, changes, base=source.resolve().parent)),
    )


def _apply(document: dict, run: dict, changes: dict, *, pages: Sequence[Page], where: str) -> dict:
    """The run's keys that a document sets, checked; the blocks of its pages go into `changes`."""
    for key in document:
        if key not in KEYS:
            raise JourneybookError(f"{where}: unknown key {key}; {nearest(key, KEYS)}")
    given = {k: v for k, v in document.items() if k in RUN_DEFAULTS and not (k == "files" and v is None)}
    if "alerts" in document:
        from journeybook.report.delivering import delivery_of

        # A run sends nothing, and is not changed by it; but a mistake is told before it begins.
        delivery_of(document["alerts"], where=where, base=Path())
    if where.startswith("--set") and "files" in given:
        given["files"] = _merged(run["files"], given["files"])
    _check_run(given, where=where)
    for name, block in _blocks(document.get("pages"), pages=pages, where=where).items():
        changes.setdefault(name, {}).update({key: (value, where) for key, value in block.items()})
    return given


def _page_runs(pages: Sequence[Page], changes: dict[str, dict], *, base: Path) -> Iterator[PageRun]:
    """The pages and variants with their values, each in its range where one was changed; paths made whole."""
    for page in pages:
        given = {name: (p.default, "") for name, p in page.own.items()} | changes.get(page.name, {})
        for name in [page.name, *sorted(n for n in changes if n.startswith(page.name + "."))]:
            own = given | changes.get(name, {})
            values = {key: value for key, (value, _) in own.items()}
            origin = next((where for _, where in reversed(own.values()) if where), "")
            for key, (_, where) in own.items() if origin else ():
                at = f"{where or origin}: pages.{name}.{key}"
                check_range(key, values, meaning=page.own[key].meaning, where=at)
                if values[key] is not None and page.own[key].meaning.startswith("Path "):
                    if not (base / values[key]).is_file():
                        raise JourneybookError(f"{at} is {values[key]}, but there is no such file in {base.name}.")
                    values[key] = str(base / values[key])
            yield PageRun(name, page, values)


def _setting(setting: str) -> dict:
    """The document that `key=value` stands for."""
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise JourneybookError(
            f"--set {setting} is not key=value, such as seed=7 or 05_segmentation.max_segments=5."
        )
    value = read_value(text, where=f"--set {setting}")
    top, _, rest = key.partition(".")
    if top == "files":
        for part in reversed(rest.split(".") if rest else []):
            value = {part: value}
        return {"files": value}
    if top != "pages" and ("." not in key or top in KEYS):
        return {key: value}
    page, _, name = (rest if top == "pages" else key).rpartition(".")
    if not page:
        raise JourneybookError(f"--set {setting} names no parameter: page.parameter=value is needed.")
    return {"pages": {page: {name: value}}}


def _merged(old: object, new: object) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {k: _merged(old.get(k), v) for k, v in new.items()}
    return new


_SPLIT: dict[str, tuple[str, tuple[str, ...]]] = {
    "07_channel_response": ("14_decisions", ("contacts", "n_draws")),
    "08_clickstream": (
        "09_attribution",
        ("conversion", "session_gap_minutes", "least_events", "most_events", "least_pause_seconds", "n_draws"),
    ),
    "11_experiments": ("12_experiment_design", ()),
}
"""Pages that go on with another's question, and what is set there for both, unless a file sets it for each."""


def _shared(blocks: dict[str, dict], *, by_name: Mapping[str, Page]) -> dict[str, dict]:
    """The blocks with what one page's hold for the other: the shared values, and those that only the other knows.

    A file written when the two were one page goes on working.
    """
    shared = dict(blocks)
    for name, block in blocks.items():
        base, dot, variant = name.partition(".")
        second, both = _SPLIT.get(base, ("", ()))
        if second in by_name:
            own, others = by_name[base].own, by_name[second].own
            taken = {k: v for k, v in block.items() if k in others and (k not in own or (k in both and not dot))}
            if taken:
                shared[second + dot + variant] = taken | shared.get(second + dot + variant, {})
                shared[name] = {k: v for k, v in block.items() if k in own or k not in others}
    return shared


def _blocks(given: object, *, pages: Sequence[Page], where: str) -> dict[str, dict]:
    """The blocks under `pages:`, each value checked against the parameter it sets."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise JourneybookError(f"{where}: pages is {said(given)}, but must hold a block for each page it changes.")
    by_name = {page.name: page for page in pages}
    for name, block in given.items():
        if not isinstance(block, dict | None):
            raise JourneybookError(f"{where}: pages.{name} is {said(block)}, but must hold parameter: value.")
    blocks = _shared({str(name): dict(block or {}) for name, block in given.items()}, by_name=by_name)
    for name, block in blocks.items():
        base, dot, variant = name.partition(".")
        if base not in by_name:
            raise JourneybookError(f"{where}: unknown page {name}; {nearest(base, by_name)}")
        if dot and not re.fullmatch(r"[A-Za-z0-9_-]+", variant):
            raise JourneybookError(
                f"{where}: variant {name} is not named in letters, digits, _ and - after one dot."
            )
        own = by_name[base].own
        for key, value in block.items():
            if key in GIVEN:
                hint = f"write {key} at the top" if key in KEYS else "the run gives it"
                raise JourneybookError(f"{where}: pages.{name}.{key} is the same for every page; {hint}.")
            if key not in own:
                raise JourneybookError(f"{where}: unknown parameter {key} of {name}; {nearest(key, own)}")
            check_kind(value, own[key].kind, where=f"{where}: pages.{name}.{key}")
    return blocks


def _check_run(given: dict, *, where: str) -> None:
    for key, allowed in (("dataset", DATASETS), ("engine", ENGINES)):
        if key in given and given[key] not in allowed:
            later = " (pyspark comes later)" if given[key] == "pyspark" else ""
            raise JourneybookError(
                f"{where}: {key} is {said(given[key])}{later}; {nearest(str(given[key]), allowed)}"
            )
    if "seed" in given:
        check_kind(given["seed"], "int", where=f"{where}: seed")
        if not 0 <= given["seed"] < 2**63:
            raise JourneybookError(f"{where}: seed is {given['seed']}, but must be from 0 to 2**63 - 1.")
    if "scale" in given:
        check_kind(given["scale"], "float", where=f"{where}: scale")
        if not 0 < given["scale"] <= 1:
            raise JourneybookError(f"{where}: scale is {given['scale']}, but must be above 0 and at most 1.")
    if not re.fullmatch("[A-Z]{3}", str(given.get("currency") or "USD")):
        raise JourneybookError(
            f"{where}: currency is {said(given['currency'])}, but must be three letters such as EUR."
        )
    if "timezone" in given:
        check_kind(given["timezone"], "str", where=f"{where}: timezone")
        zones = sorted(zoneinfo.available_timezones())
        if zones and given["timezone"] not in zones:
            close = difflib.get_close_matches(given["timezone"], zones, n=1)
            hint = f"did you mean {close[0]}?" if close else "a name such as Europe/London is needed."
            raise JourneybookError(f"{where}: timezone is {said(given['timezone'])}; {hint}")


def _check_files(files: object, *, where: str) -> None:
    """Names of tables and keys; what is in the tables is checked where they are read."""
    example = "transactions: {path: ..., columns: {...}}"
    if not isinstance(files, dict) or not files:
        raise JourneybookError(
            f"{where}: dataset is files, but files is {said(files or None)}: a block for each table is needed, "
            f"such as {example}."
        )
    for table, block in files.items():
        if "/" in str(table) or schema_of(str(table)) is None:
            raise JourneybookError(f"{where}: unknown table files.{table}; {nearest(table, SCHEMAS)}")
        if not isinstance(block, dict):
            raise JourneybookError(f"{where}: files.{table} is {said(block)}, but must be like {example}.")
