"""A run and where its tables are; key, folders and connection stay inside the door."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend
from threadpoolctl import threadpool_limits

from journeybook.errors import JourneybookError
from journeybook.tables.access import Access, find_access, normalised
from journeybook.tables.keys import PUBLISHED_KEY, secret
from journeybook.tables.places import root


@dataclass(frozen=True)
class Run:
    """One run, as one page sees it; its tables are reached by the functions of the door alone.

    Attributes:
        page: Page that reads and writes, with its variant if it has one; None is the owner.
        dataset: `journey_demo`, `complete_journey` or `files`.
        seed: Seed the data set was made with.
        scale: Share of the households drawn.
        timezone: Zone in which `occurred_at` is local.
        has_ledger: Whether the data set has a consent ledger.
    """

    page: str | None
    dataset: str
    seed: int
    scale: float
    timezone: str
    has_ledger: bool
    _access: Access | None = field(repr=False)
    _folder: Path = field(repr=False)
    # Where a notebook run by hand writes, and reads first; None in a run of the report.
    _layer: Path | None = field(repr=False)
    _key: str = field(repr=False)
    _connection: Backend = field(repr=False, compare=False)
    # What the ledger says, once it was asked.
    _known: dict[tuple, Any] = field(default_factory=dict, repr=False, compare=False)


def open_run(tables: str | Path | None = None, *, page: str) -> Run:
    """Open a run's tables for one page, and hold the process to one thread for arrays.

    The page may open what its notebook's metadata names, for the purposes named there, and nothing else. Sums on
    several threads differ in the last digit from run to run.

    Args:
        tables: Folder of the tables. None is a notebook run by hand: it reads the last default run,
            `data/processed`, and writes into a layer of its own, `data/manual`, whose tables it reads first.
        page: Name of the page, with its variant if it has one.
    """
    by_hand = tables is None
    folder = root() / "data" / "processed" if tables is None else Path(tables)
    described = _described(folder)
    # A layer belongs to one data set: tables made from another never stand before these.
    layer = root() / "data" / "manual" / hashlib.sha256(described).hexdigest()[:12] if by_hand else None
    return _opened(folder, described, page=page, access=find_access(page), layer=layer)


def owners_view(tables: str | Path) -> Run:
    """Open a run's tables as their owner, to whom every table is open; for the runner and tests, never a page."""
    return _opened(Path(tables), _described(Path(tables)), page=None, access=None, layer=None)


def named_purpose(run: Run, name: str) -> str:
    """Return the one purpose for which the page's notebook names a table."""
    if run._access is None:
        raise JourneybookError(f"the purpose of {name!r} is not known: only a page names one.")
    return run._access.purpose_of(name)


def has(run: Run, name: str) -> bool:
    """Return whether the run holds a table."""
    return find(run, normalised(name)) is not None


def has_truth(run: Run, name: str) -> bool:
    """Return whether the truth behind simulated rows is known."""
    return has(run, f"truth/{name}")


def list_tables(run: Run, stage: str) -> list[str]:
    """Return the bare names of the tables of one stage (`raw`, `accepted`, `clean`), sorted."""
    stage = normalised(stage)
    return sorted({path.stem for base in _bases(run) for path in (base / stage).glob("*.parquet")})


def provenance(run: Run, *names: str) -> str:
    """Return REAL, SIMULATED, MIXED or YOURS for one or more tables taken together."""
    if not names:
        raise JourneybookError("provenance needs at least one table: name those that were read.")
    kinds = {_about(run, name)["provenance"] for name in names}
    return kinds.pop() if len(kinds) == 1 else "MIXED"


def fingerprint(run: Run, name: str) -> dict[str, Any]:
    """Return `rows` and `sha256` of a table's file."""
    path = found(run, normalised(name))
    query = "SELECT num_rows FROM parquet_file_metadata(?)"
    rows = run._connection.con.execute(query, [str(path)]).fetchall()[0][0]
    return {"rows": rows, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def source_lines(run: Run) -> pd.DataFrame:
    """Return by table the lines of its files, as they were counted when the tables were made.

    Returns:
        table, n_lines (counted without the engine; rows where there is no file), n_read, n_left_out (by `where`).
    """
    described = json.loads(_described(run._folder))["tables"]
    rows = []
    for name, about in sorted(described.items()):
        lines = about.get("lines") or {"n_counted": about["rows"], "n_read": about["rows"], "n_left_out": 0}
        rows.append((name, lines["n_counted"], lines["n_read"], lines["n_left_out"]))
    return pd.DataFrame(rows, columns=["table", "n_lines", "n_read", "n_left_out"])


def source_notices(run: Run) -> list[dict[str, Any]]:
    """Return what was odd about a user's tables when they were made, each as `findings.Finding` takes it."""
    described = json.loads(_described(run._folder))["tables"]
    return [one for _, about in sorted(described.items()) for one in about.get("notices", [])]


def key_digest(run: Run) -> str:
    """Return a digest of the key of the pseudonyms: another key is another run."""
    return hashlib.sha256(f"digest of a key\0{run._key}".encode()).hexdigest()


def signature(run: Run, content: bytes) -> str:
    """Return a keyed hash (HMAC with SHA-256), which nobody makes without the key of the pseudonyms."""
    return hmac.new(run._key.encode(), content, "sha256").hexdigest()


def by_hand(run: Run) -> tuple[str, ...]:
    """Return the tables of a layer made by hand that this run reads first; none in a run of the report."""
    if run._layer is None:
        return ()
    apart = ("reads", "variants")
    places = (p.relative_to(run._layer).with_suffix("") for p in sorted(run._layer.rglob("*.parquet")))
    return tuple(p.as_posix() for p in places if p.parts[0] not in apart)


def engine(folder: Path) -> Backend:
    """Open an engine; what it cannot hold in memory goes into a folder of its own in `folder`, gone with it.

    Its own choice, the working folder, would show rows to others; what a killed one leaves, the next run removes.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = ibis.duckdb.connect(temp_directory=str(folder / f"spilled-{secrets.token_hex(4)}.unfinished"))
    # What is made in memory alone is worked out here too.
    ibis.set_backend(made)
    return made


def store(connection: Backend, table: ibis.Table, path: Path, *, about: dict[str, str]) -> None:
    """Write rows to a Parquet file of mode 600, in their order, with a few words about them inside it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    connection.to_parquet(table, unfinished, compression="zstd", kv_metadata=about)
    unfinished.chmod(0o600)
    unfinished.replace(path)


# --- for the modules of the door alone -------------------------------------------------------------------


def opened(run: Run, name: str) -> ibis.Table:
    """Return all rows and columns of a table, with no question asked."""
    return run._connection.read_parquet(found(run, name))


def found(run: Run, name: str) -> Path:
    """Return the file of a table that must be there."""
    path = find(run, name)
    if path is None:
        raise JourneybookError(f"table {name!r} is not in this run: the page that writes it has not run.")
    return path


def find(run: Run, name: str) -> Path | None:
    """Return the file of a table: a variant's own comes first, then the layer made by hand, then the run's.

    A link to another table is none: what may be read is told by the name.
    """
    places = [base / f"{name}.parquet" for base in _bases(run)]
    return next((p for p in places if p.is_file() and p.resolve().as_posix().endswith(f"/{name}.parquet")), None)


def target(run: Run) -> Path:
    """Return the folder that the page writes into; a variant writes apart, for pages of the same variant alone."""
    base, variant = run._layer or run._folder, (run.page or "").partition(".")[2]
    return base / "variants" / variant if variant else base


def _bases(run: Run) -> list[Path]:
    return list(dict.fromkeys([target(run), *([run._layer] if run._layer else []), run._folder]))


def _described(folder: Path) -> bytes:
    path = folder / "dataset.json"
    if not path.is_file():
        raise JourneybookError(
            f"there are no tables in {folder.name!r}: `make report` or `journeybook run` makes them."
        )
    return path.read_bytes()


def _opened(folder: Path, described: bytes, *, page: str | None, access: Access | None, layer: Path | None) -> Run:
    data = json.loads(described)
    threadpool_limits(1)
    return Run(
        page=page,
        dataset=data["dataset"],
        seed=data["seed"],
        scale=data["scale"],
        timezone=data["timezone"],
        has_ledger="consents" in data["tables"],
        _access=access,
        _folder=folder,
        _layer=layer,
        _key=secret() if data["dataset"] == "files" else PUBLISHED_KEY,
        _connection=engine(layer or folder),
    )


def _about(run: Run, name: str) -> dict[str, str]:
    path = found(run, normalised(name))
    query = "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)"
    return dict(run._connection.con.execute(query, [str(path)]).fetchall())
