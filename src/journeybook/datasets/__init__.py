"""Where rows come from: the study that comes with journeybook, the demo around it, and your own files."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ibis.backends.duckdb import Backend

from journeybook.errors import JourneybookError
from journeybook.tables import engine

DATASETS = ("journey_demo", "complete_journey", "files")


def build_dataset(
    folder: str | Path,
    *,
    dataset: str,
    seed: int,
    scale: float = 1.0,
    timezone: str = "America/New_York",
    files: dict | None = None,
    base: str | Path | None = None,
) -> None:
    """Write a data set's raw tables, the truth behind simulated ones, and `dataset.json`.

    Args:
        folder: Folder of the run's tables; made where it is not there.
        dataset: One of `DATASETS`.
        seed: Seed of everything simulated.
        scale: Share of the households to draw, above 0 and up to 1; for `journey_demo` only.
        timezone: Zone of the naive times.
        files: The block `files:` of the parameters, for the data set `files`.
        base: Folder that relative paths in `files` start from.

    Raises:
        JourneybookError: The data set is unknown or its rows cannot be used.
    """
    if dataset not in DATASETS:
        raise JourneybookError(f"dataset is {dataset!r}: it must be one of {', '.join(DATASETS)}.")
    folder, connection = Path(folder), engine(Path(folder))
    found: dict[str, dict] = {}
    if dataset == "files":
        from journeybook.datasets.files import build_files

        found = build_files(connection, folder, files=files or {}, timezone=timezone, base=Path(base or "."))
    else:
        from journeybook.datasets.complete_journey import TIMEZONE, build_complete_journey

        if timezone != TIMEZONE:
            raise JourneybookError(f"timezone is {timezone!r}: the shops of {dataset} are in {TIMEZONE}.")
        if dataset == "complete_journey":
            build_complete_journey(connection, folder)
        else:
            from journeybook.datasets.demo import build_demo, draw_households

            households = None if scale == 1 else draw_households(seed, scale)
            build_complete_journey(connection, folder, households=households, with_demographics=False)
            build_demo(connection, folder, seed=seed)
    about = {"dataset": dataset, "seed": seed, "scale": scale, "timezone": timezone}
    about |= {"tables": _described(connection, folder, found)}
    (folder / "dataset.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _described(connection: Backend, folder: Path, found: Mapping[str, Mapping]) -> dict[str, dict]:
    """Return what the raw tables are, the lines of the files they come from and what is odd about them."""
    tables = {}
    for path in sorted((folder / "raw").glob("*.parquet")):
        written = connection.con.execute(
            "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)]
        )
        about = dict(written.fetchall())
        tables[path.stem] = {
            "rows": int(connection.read_parquet(path).count().execute()),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "provenance": about["provenance"],
            "source": about["source"],
            **found.get(path.stem, {}),
        }
    return tables
