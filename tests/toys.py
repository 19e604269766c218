"""Small pages and a small data set, for trying the report without the real ones."""

import json
from pathlib import Path

import nbformat

OPENING = "from journeybook.results import check_at_least, save_results\nfrom journeybook.tables import open_run\n"
GIVEN = """
# Seed of every random number.
seed = 1
# Folder of the run's tables; None is the last default run.
tables: str | None = None
# Folder for the results file; None is reports/manual.
results: str | None = None
# Name of this page, with its variant if it has one.
page = {name!r}
"""


def write_page(
    folder: Path, name: str, *, own: str, cells: list[str], reads: list[str], writes: list[str], question: str = ""
) -> None:
    """Write a notebook `name` with parameters `own` and code `cells`."""
    new = nbformat.v4
    opening = f"# {name[:2]} {name[3:].capitalize()}\n\n**{question or 'What is it?'}** More words."
    parameters = new.new_code_cell(own.strip() + GIVEN.format(name=name), metadata={"tags": ["parameters"]})
    code = [new.new_code_cell(cell) for cell in [OPENING + "run = open_run(tables, page=page)", *cells]]
    notebook = new.new_notebook(
        cells=[new.new_markdown_cell(opening), parameters, *code],
        metadata={
            "journeybook": {"reads": reads, "writes": writes},
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        },
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")


def save(inputs: list[str], *, checks: str = "[]", metrics: str = "{}") -> str:
    """The last cell of a toy page."""
    return (
        f"save_results(run, results, page=page, parameters={{}}, metrics={metrics}, tables={{}}, "
        f"checks={checks}, inputs={inputs!r})"
    )


def write_pages(folder: Path) -> None:
    """Write four pages: one that copies, one that counts, one that needs another table, one after it."""
    write_page(
        folder, "01_copy", own="# Rows kept. Range 1 up.\nrows = 3", reads=["raw/*"], writes=["accepted/*"],
        cells=[
            "from journeybook.tables import list_tables, raw, write",
            "for name in list_tables(run, 'raw'):\n"
            "    write(run, f'accepted/{name}', raw(run, name).limit(rows), sources=[f'raw/{name}'])",
            save(["raw/transactions"]),
        ],
    )  # fmt: skip
    write_page(
        folder, "02_count", own='# Table counted.\ntable = "transactions"\n# A label.\nlabel: str | None = None',
        reads=["accepted/{table}"], writes=["counts"], question="How many rows are there?",
        cells=[
            "import matplotlib.pyplot as plt\nimport pandas as pd\nfrom IPython.display import Markdown, display\n"
            "from journeybook.tables import read, write",
            "frame = read(run, f'accepted/{table}', purpose='analytics').order_by('row').to_pandas()\nframe",
            "axes = plt.figure(figsize=(3, 2)).gca()\naxes.bar(frame['row'], 1)\n"
            "display(Markdown(f'**What we see.** {len(frame)} bars.'))\naxes",
            "write(run, 'counts', pd.DataFrame({'n': [len(frame)]}), sources=[f'accepted/{table}'])",
            save(
                ["accepted/transactions"], metrics="{'n_rows': len(frame), 'row_share': 0.123456}",
                checks="[check_at_least('rows', len(frame), bound=3, source='a toy')]",
            ),
        ],
    )  # fmt: skip
    write_page(
        folder, "03_visits", own="# Nothing much.\nx = 0.5", reads=["accepted/events|accepted/paths"],
        writes=["visits"], cells=[save(["accepted/events"])],
    )  # fmt: skip
    write_page(
        folder, "04_last", own='# What goes wrong.\ntrouble = ""', reads=["counts", "visits?"], writes=["last"],
        cells=[
            "import time\nif trouble == 'slow':\n    time.sleep(30)",
            "if trouble:\n    raise ValueError(trouble)",
            "from journeybook.tables import read, write\n"
            "write(run, 'last', read(run, 'counts', purpose='analytics'), sources=['counts'])",
            save(["counts"]),
        ],
    )  # fmt: skip


def build_toy_dataset(
    folder: Path, *, dataset: str, seed: int, scale: float, timezone: str, files=None, base=None
):
    """A data set of one table, as `journeybook.datasets.build_dataset` would write it."""
    import ibis
    import pandas as pd

    from journeybook.datasets.storage import write_raw

    frame = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "revenue": [1.5, 2.0, 3.25, float(seed)]})
    write_raw(ibis.duckdb.connect(), Path(folder), "transactions", frame, provenance="SIMULATED", source="a toy")
    described = {
        "dataset": dataset, "seed": seed, "scale": scale, "timezone": timezone,
        "as_of": None, "ledger_as_of": None,
        "tables": {"transactions": {"rows": 4, "sha256": "", "provenance": "SIMULATED", "source": "a toy"}},
    }  # fmt: skip
    (Path(folder) / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
