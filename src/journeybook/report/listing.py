"""Parameters and tables as text, for the command line."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import yaml

from journeybook.errors import JourneybookError
from journeybook.report.kinds import in_words
from journeybook.report.params import RUN_DEFAULTS, RUN_MEANINGS, PageRun, RunParameters
from journeybook.tables import owners_view, schema_of

WIDTH = 110


def parameter_lines(parameters: RunParameters) -> Iterator[str]:
    """Every parameter with its value, its type, and its meaning with unit and range."""
    for key, meaning in RUN_MEANINGS.items():
        yield f"{key}: {_flow(getattr(parameters, key))}"
        yield indented(meaning, by=4)
    yield "pages:"
    for run in parameters.pages:
        yield f"  {run.name}:"
        for name, value in run.values.items():
            parameter = run.page.own[name]
            changed = "" if value == parameter.default else f"; the notebook has {_flow(parameter.default)}"
            yield f"    {name}: {_flow(value)}    ({in_words(parameter.kind)}{changed})"
            if parameter.meaning and not run.variant:
                yield indented(_in_yaml(parameter.meaning), by=8)


def params_yaml(parameters: RunParameters) -> str:
    """The text of params.yaml: the run's keys as they are, each page's parameters as its cell has them.

    A variant keeps the values in which it differs from its page.
    """
    lines = [
        "# What to run on, and how: one block a page. `journeybook params --write` brings the blocks in step",
        "# with the notebooks. A file of your own (journeybook run --params FILE) names only what it changes.",
        "",
    ]
    for key, meaning in RUN_MEANINGS.items():
        value = getattr(parameters, key)
        if key == "files" and not value:
            continue
        same = value == RUN_DEFAULTS[key] and isinstance(value, float)
        lines += [f"# {meaning}", f"{key}: {_flow(int(value) if same and value == int(value) else value)}"]
    lines += ["", "pages:"]
    for i, run in enumerate(parameters.pages):
        lines += ["", *_block(run)] if i else _block(run)
    return "\n".join(lines) + "\n"


def table_lines(tables: Path) -> Iterator[str]:
    """The tables of a run: rows, columns, REAL / SIMULATED / MIXED / YOURS, and what one row is."""
    run = owners_view(tables)
    con = duckdb.connect(config={"temp_directory": ""})
    yield f"{run.dataset}, seed {run.seed}, scale {run.scale:g}, {run.timezone}: {tables}"
    yield f"{'table':<44} {'rows':>12} {'columns':>8}  {'data':<10} what one row is"
    for path in sorted(tables.rglob("*.parquet"), key=lambda p: _place(p.relative_to(tables))):
        name = path.relative_to(tables).with_suffix("").as_posix()
        rows = con.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchall()[0][0]
        columns = con.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)]).description
        about = dict(
            con.execute("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)]).fetchall()
        )
        schema = schema_of(name)
        if schema is not None and name != "consents" and not name.startswith("truth/"):
            meaning = schema.meaning
        else:
            meaning = about.get("source", "")
        yield f"{name:<44} {rows:>12,} {len(columns):>8}  {about.get('provenance', ''):<10} {meaning}".rstrip()


def _block(run: PageRun) -> list[str]:
    defaults = {name: p.default for name, p in run.page.own.items()}
    if run.variant:
        changed = {name: value for name, value in run.values.items() if value != defaults[name]}
        return [f"  {run.name}: {_flow(changed)}"]
    if not defaults:
        return [f"  {run.name}: {{}}"]
    lines = [f"  {run.name}:"]
    for name, value in defaults.items():
        comment = _in_yaml(run.page.own[name].meaning)
        lines += [f"    # {line}" for line in textwrap.wrap(comment, WIDTH - 6)]
        lines.append(f"    {name}: {_flow(value)}")
    return lines


def _flow(value: object) -> str:
    """A value as YAML on one line.

    >>> _flow(["email", "no"]), _flow(None), _flow({"contacts": "coupon_contacts"})
    ("[email, 'no']", 'null', '{contacts: coupon_contacts}')
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _in_yaml(meaning: str) -> str:
    """A comment with Python's constants as YAML has them."""
    return re.sub(r"\b(None|True|False)\b", lambda m: {"None": "null"}.get(m[0], m[0].lower()), meaning)


def indented(text: str, *, by: int) -> str:
    """A text in lines of `WIDTH`, indented."""
    return textwrap.fill(text, WIDTH, initial_indent=" " * by, subsequent_indent=" " * by)


def _place(path: Path) -> tuple[int, str]:
    """Stages in the order in which they are made."""
    stages = ("raw", "truth", "accepted", "refused", "clean", "", "variants", "reads")
    stage = path.parts[0] if len(path.parts) > 1 else ""
    return (stages.index(stage) if stage in stages else len(stages), path.as_posix())


def tables_of(out: Path | None, default: Path) -> Path:
    """The folder of the tables of a run into `out`; the default run's where `out` is None."""
    folder = default if out is None else out / "tables"
    if not (folder / "dataset.json").is_file():
        raise JourneybookError(f"There are no tables in {folder}: journeybook run makes them.")
    return folder
