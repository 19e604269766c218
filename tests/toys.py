"""Small pages and a small data set, for trying the report without the real ones."""

import json
import sys
from pathlib import Path

import ibis
import pandas as pd
import pytest

from journeybook.datasets.storage import write_raw
from journeybook.report import planning, running
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters

OPEN = (
    "from journeybook.findings import Finding\nfrom journeybook.results import check, save_results\n"
    "from journeybook.tables import list_tables, open_run, raw, read, write\n"
    "run = open_run(tables, page=page_name)"
)
GIVEN = """
# Seed of every random number.
seed = 1
# Folder of the run's tables; None is the last default run.
tables: str | None = None
# Folder for the results file; None is reports/manual.
results: str | None = None
# Name of this page, with its variant if it has one.
page_name = {name!r}
"""


def write_page(
    folder: Path, name: str, *, own: str, cells: list[str], reads: dict[str, str], writes: list[str]
) -> None:
    """Write a notebook `name` with its own parameters and its code cells."""
    # A run that changes nothing does without it.
    import nbformat

    new = nbformat.v4
    opening = f"# {name[:2]} {name[3:].capitalize()}\n\n**What does {name[3:]} do?** It is a toy."
    parameters = new.new_code_cell(own.strip() + GIVEN.format(name=name), metadata={"tags": ["parameters"]})
    log = '\n\n<div id="reads"></div>' if "raw/*" in reads else ""
    held = new.new_markdown_cell(f"## Does it hold?{log}")
    code = [new.new_code_cell(cell) for cell in cells]
    notebook = new.new_notebook(
        cells=[new.new_markdown_cell(opening), parameters, *code[:-1], held, code[-1]],
        metadata={
            "journeybook": {"reads": reads, "writes": writes},
            "kernelspec": {"name": "a kernel that is not installed", "display_name": "None", "language": "python"},
        },
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")


FOUND = """[
    Finding(text=f'{len(frame)} rows were counted.', action='Count again.', strength='counted', worth=2,
            section='02 Count', value=len(frame), unit='rows'),
    Finding(text='Half of them <b>may</b> be wrong.', action='Say nothing of them.', strength='cannot be told',
            worth=1, section='02 Count', value=0.5, low=0.25, high=0.75, unit='share', figure=None),
]"""


def save(inputs: list[str], *, checks: str = "[]", metrics: str = "{}", findings: str = "[]") -> str:
    """The last cell of a toy page."""
    return (
        f"save_results(run, results, page=page_name, parameters={{}}, metrics={metrics}, tables={{}}, "
        f"checks={checks}, inputs={inputs!r}, findings={findings})"
    )


def write_pages(folder: Path) -> None:
    """Write four pages: one copies, one counts and draws, one lacks its table, one needs the second."""
    write_page(
        folder,
        "01_copy",
        own="# Rows kept. Range 1 up.\nrows = 3",
        reads={"raw/*": "collection"},
        writes=["accepted/*"],
        cells=[
            OPEN,
            "for name in list_tables(run, 'raw'):\n"
            "    write(run, f'accepted/{name}', raw(run, name).limit(rows), sources=[f'raw/{name}'])",
            save(["raw/transactions"]),
        ],
    )
    write_page(
        folder,
        "02_count",
        own='# Table counted.\ntable = "transactions"\n# Least number of rows.\nleast: float | None = None',
        reads={"accepted/{table}": "analytics"},
        writes=["counts"],
        cells=[
            OPEN,
            "import matplotlib.pyplot as plt\nfrom IPython.display import Markdown, display\n"
            "from journeybook import plots\nplots.use_house_style()",
            "frame = read(run, f'accepted/{table}', purpose='analytics').order_by('row').to_pandas()\nframe",
            "axes = plt.figure(figsize=(3, 2)).gca()\naxes.bar(frame['row'], 1)\n"
            "axes.set_title(f'{len(frame)} bars')\n"
            "display(Markdown(f'**What we see.** {len(frame)} bars.'))\n"
            "display(plots.as_bundle(axes.figure), raw=True)\nplt.close()\naxes",
            "write(run, 'counts', frame[['row']], sources=[f'accepted/{table}'])",
            save(
                ["accepted/transactions"],
                metrics="{'n_rows': len(frame), 'row_share': 0.123456, 'no_figure': float('nan')}",
                checks="[check('rows', len(frame), reference=least or 3, rule='at least', source='a <toy>')]",
                findings=FOUND,
            ),
        ],
    )
    write_page(
        folder,
        "03_visits",
        own="# Nothing much.\nshare = 0.5",
        reads={"accepted/events|accepted/paths": "analytics"},
        writes=["visits"],
        cells=[OPEN, save(["accepted/events"])],
    )
    write_page(
        folder,
        "04_last",
        own='# What goes wrong.\ntrouble = ""',
        reads={"counts": "analytics", "visits?": "analytics"},
        writes=["last"],
        cells=[
            "import os, time\nif trouble == 'slow':\n    time.sleep(60)\nif trouble == 'dead':\n    os._exit(1)",
            "from journeybook import errors\nif trouble == 'few':\n    raise errors.TooLittle('two are needed.')",
            "if trouble:\n    raise ValueError(f'trouble: {trouble}')",
            OPEN,
            "write(run, 'last', read(run, 'counts', purpose='analytics'), sources=['counts'])",
            save(["counts"]),
        ],
    )


def build_toy_dataset(folder, *, dataset, seed, scale, timezone, files=None, base=None) -> None:
    """Write a data set of one table, as `journeybook.datasets.build_dataset` would."""
    frame = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "revenue": [1.5, 2.0, 3.25, float(seed)]})
    write_raw(ibis.duckdb.connect(), Path(folder), "transactions", frame, provenance="SIMULATED", source="a toy")
    about = {"rows": len(frame), "sha256": "", "provenance": "SIMULATED", "source": "a toy"}
    described = {
        "dataset": dataset,
        "seed": seed,
        "scale": scale,
        "timezone": timezone,
        "as_of": None,
        "ledger_as_of": None,
        "tables": {"transactions": about},
    }
    (Path(folder) / "dataset.json").write_text(json.dumps(described), encoding="utf-8")


def code_digest(paths) -> str:
    """Stand for the digest of the code, so that editing a file while tests run changes nothing."""
    return "the code"


def run_in_a_process_of_its_own(notebooks: str, out: str) -> None:
    """Run the pages of a folder into another; `python tests/toys.py NOTEBOOKS OUT` does, and can be killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "build_dataset", build_toy_dataset)
        patch.setattr(planning, "code_digest", code_digest)
        pages = discover(Path(notebooks))
        parameters = read_parameters(pages=pages, settings=["seed=7"], defaults=Path(notebooks) / "none.yaml")
        running.run_report(parameters, out=Path(out))


if __name__ == "__main__":
    run_in_a_process_of_its_own(*sys.argv[1:])
