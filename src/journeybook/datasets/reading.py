"""A user's files as one staged table of text: every line of them, in order, none guessed at and none lost.

A CSV file is parsed by the rules found in its first lines or given in `options`, never by types: a line that does
not fit the header is kept with what is wrong with it, and ends in quarantine. Parquet files bring their types.
"""

import glob
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from journeybook.datasets.converting import Column, Notation, quoted
from journeybook.datasets.counting import count_csv, count_parquet, count_sessions
from journeybook.datasets.dialects import Dialect, read_dialect, read_quote
from journeybook.datasets.expressions import list_columns, nearest
from journeybook.datasets.finding import is_parquet
from journeybook.datasets.sequences import SESSION_COLUMNS, session_rows
from journeybook.errors import JourneybookError

_SAME = {"sep": "delim", "delimiter": "delim", "separator": "delim", "null": "nullstr", "column_names": "names"}
_SAME |= {"date_format": "dateformat", "timestamp_format": "timestampformat", "quotechar": "quote"}
_PASSED = ("compression", "max_line_size", "null_padding", "strict_mode")
_OWN: tuple[str, ...] = (
    "delim",
    "quote",
    "escape",
    "header",
    "skip",
    "names",
    "nullstr",
    "encoding",
    "filename",
    "union_by_name",
    "layout",
)
_OWN += ("decimal_separator", "thousands", "dateformat", "timestampformat")
# Readings that are always so here: no value decides a type, and no line is dropped.
_NEEDLESS = (
    "all_varchar",
    "auto_detect",
    "sample_size",
    "ignore_errors",
    "store_rejects",
    "parallel",
    "buffer_size",
)
_BLANKS = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"


@dataclass(frozen=True)
class Source:
    """A user's files, staged as one table.

    Attributes:
        view: Name of the staged table: `position` from 1 in the order of the files, `line_problem` (null for a
            line that could be read) and a column for each of the files'.
        columns: The columns, in the order of the first file.
        notation: How numbers and dates are written.
        n_files: Number of files.
        n_rejected: Lines that do not fit the header.
        n_counted: Lines below the headers, counted without the engine; None of a sample.
        whole: Whether all rows were read, not a sample.
        notes: What a user should know about the reading, one sentence each.
    """

    view: str
    columns: tuple[Column, ...]
    notation: Notation
    n_files: int
    n_rejected: int
    n_counted: int | None
    whole: bool
    notes: tuple[str, ...]


def read_options(options: object, *, parquet: bool, place: str) -> dict:
    """Return the options for the reader under one name each.

    Raises:
        JourneybookError: An option is unknown, given twice, or would change what a value is.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise JourneybookError(f'{place}.options is {options!r}: it must name options, as {{delim: ";"}} does.')
    known = ("filename", "union_by_name") if parquet else (*_OWN, *_PASSED, *_NEEDLESS)
    found: dict = {}
    for given, value in options.items():
        name = _SAME.get(str(given).lower(), str(given).lower())
        if name in ("types", "dtypes", "column_types", "columns", "auto_type_candidates", "hive_types"):
            raise JourneybookError(
                f"{place}.options.{given} is not taken: values are read as text and converted to what the table "
                "needs; write a CAST in the column's expression instead."
            )
        if name not in known:
            raise JourneybookError(
                f"{place}.options.{given} is not an option{nearest(name, known)} (options: {', '.join(known)})."
            )
        if name in found:
            raise JourneybookError(f"{place}.options.{given} is given twice, under two names.")
        found[name] = value
    if found.get("layout", "sessions") != "sessions":
        raise JourneybookError(f"{place}.options.layout is {found['layout']!r}: it can only be sessions.")
    return found


def stage(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    options: Mapping,
    *,
    name: str,
    timezone: str,
    folder: Path | None,
    limit: int | None = None,
) -> Source:
    """Read files into one staged table.

    Args:
        connection: DuckDB inside the process.
        files: CSV files, or Parquet files.
        options: As `read_options` returns them.
        name: Name of the table, for messages and views.
        timezone: Zone that times with an offset are converted to.
        folder: Folder for the staged rows, removed by the caller; None holds them in memory.
        limit: Rows to read of each file; None reads all.

    Raises:
        JourneybookError: A file is empty or broken, the files' columns differ, or most lines do not fit the
            header.
    """
    formats = tuple(str(options[key]) for key in ("timestampformat", "dateformat") if options.get(key))
    decimal = str(options.get("decimal_separator", "."))
    thousands = str(options.get("thousands", ""))
    if len(decimal) != 1 or len(thousands) > 1 or decimal == thousands:
        raise JourneybookError(
            f"files.{name}.options: decimal_separator is {decimal!r} and thousands is {thousands!r}: each must be "
            "one character of its own."
        )
    notation = Notation(timezone=timezone, decimal=decimal, thousands=thousands, formats=formats)
    kinds = {is_parquet(file) for file in files}
    if len(kinds) > 1:
        raise JourneybookError(f"files.{name}.path names CSV and Parquet files together: name one kind of them.")
    engine = _Staging(connection, name=name, folder=folder, limit=limit, options=options)
    for file in files:
        if True in kinds:
            engine.add_parquet(file)
        elif "layout" in options:
            engine.add_sessions(file)
        else:
            engine.add_csv(file)
    return engine.finish(notation)


class _Staging:
    """Rows of several files, gathered part by part."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        name: str,
        folder: Path | None,
        limit: int | None,
        options: Mapping,
    ) -> None:
        self.connection, self.name, self.folder = connection, name, folder
        self.limit, self.options = limit, options
        self.parts: list[str] = []
        self.types: dict[str, str] = {}
        self.n_rows = self.n_counted = 0
        self.rejects: list[tuple[str, int, str]] = []
        self.notes: list[str] = []
        self.whole = True

    def add_sessions(self, file: Path) -> None:
        """Stage one file that holds one session a line."""
        names = dict(zip(SESSION_COLUMNS, SESSION_COLUMNS, strict=True))
        self._check_columns(file, dict.fromkeys(names, "VARCHAR"))
        rows = session_rows(self.connection, file, place=f"files.{self.name}")
        self._keep(rows, names, dict.fromkeys(names, "VARCHAR"), file)
        self._count(self.connection.execute(f"SELECT count(*) FROM {self.parts[-1]}").fetchall()[0][0])
        if self.limit is None:
            self.n_counted += count_sessions(file)

    def add_csv(self, file: Path) -> None:
        """Parse one CSV file; try again as Latin-1, or with its line ends made alike, where it needs that."""
        if file.stat().st_size == 0:
            raise JourneybookError(f"files.{self.name}: {file.name!r} is empty.")
        dialect = read_dialect(file, self.options, name=self.name)
        self._check_columns(file, dict.fromkeys(dialect.names, "VARCHAR"))
        try:
            problems = self._parse(file, dialect)
        except duckdb.Error as problem:
            if "state machine" not in str(problem):
                raise self._broken(file, problem) from None
            problems = self._parse_mixed(file, dialect)
        if any(kind == "INVALID ENCODING" for _, kind, _, _ in problems) and "encoding" not in self.options:
            self.parts.pop()
            latin = Dialect(dialect.names, dialect.delimiter, dialect.skip, "latin-1")
            problems = self._parse(file, latin)
            self.notes.append(f"{file.name} is not UTF-8 and was read as Latin-1.")
        lines: dict[int, str] = {}
        for line, kind, message, text in problems:
            if kind == "UNQUOTED VALUE" and "\n" in text.strip():
                raise JourneybookError(
                    f"files.{self.name}: a quote that opens on line {line} of {file.name!r} is not closed there; "
                    "mend the line, or give the option quote."
                )
            lines[line] = f"{message}: {text.strip()}"
        n_read = self.connection.execute(f"SELECT count(*) FROM {self.parts[-1]}").fetchall()[0][0]
        if len(lines) > n_read:
            first, message = min(lines.items())
            raise JourneybookError(
                f"files.{self.name}: {len(lines)} of {n_read + len(lines)} lines of {file.name!r} do not fit its "
                f"header of {len(dialect.names)} columns (line {first}: {message.split(': ')[0]}); check the "
                "options delim, quote and skip."
            )
        self._count(n_read)
        if self.limit is None:
            self.n_counted += count_csv(file, dialect, self.options)
        self.rejects += [(file.name, line, lines[line]) for line in sorted(lines)]

    def add_parquet(self, file: Path) -> None:
        """Read one Parquet file with the types it brings."""
        rows = f"read_parquet({quoted(glob.escape(str(file)))})"
        try:
            described = self.connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
            types = {name.strip(): kind for name, kind, *_ in described}
            self._check_columns(file, types)
            self._keep(rows, {n.strip(): n for n, *_ in described}, types, file)
            self._count(self.connection.execute(f"SELECT count(*) FROM {self.parts[-1]}").fetchall()[0][0])
            self.n_counted += count_parquet(file)
        except duckdb.Error as problem:
            raise self._broken(file, problem) from None

    def _count(self, n_rows: int) -> None:
        self.n_rows += n_rows
        self.whole = self.whole and (self.limit is None or n_rows < self.limit)

    def finish(self, notation: Notation) -> Source:
        """Return the parts as one table, with the lines that did not fit after them."""
        if not self.n_rows:
            raise JourneybookError(f"files.{self.name}: no file has a row below its header.")
        view = f"staged_{self.name}"
        shown = " UNION ALL BY NAME ".join(f"SELECT * FROM {part}" for part in self.parts)
        rejected = f"rejected_{self.name}"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {rejected} (position BIGINT, line_problem VARCHAR)")
        if self.rejects:
            rows = [
                (self.n_rows + number, f"line: {file} line {line}, {message}")
                for number, (file, line, message) in enumerate(self.rejects, start=1)
            ]
            self.connection.executemany(f"INSERT INTO {rejected} VALUES (?, ?)", rows)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS {shown} UNION ALL BY NAME SELECT * FROM {rejected}"
        )
        native = {n: k for n, k, *_ in self.connection.execute(f"DESCRIBE SELECT * FROM {view}").fetchall()}
        columns = tuple(Column(name, f"s{n}", native[f"s{n}"]) for n, name in enumerate(self.types))
        return Source(
            view=view,
            columns=columns,
            notation=notation,
            n_files=len(self.parts),
            n_rejected=len(self.rejects),
            n_counted=self.n_counted if self.limit is None else None,
            whole=self.whole,
            notes=tuple(self.notes),
        )

    def _check_columns(self, file: Path, types: Mapping[str, str]) -> None:
        """Hold every file to the columns of the first, unless the user joins them by name."""
        if self.options.get("filename"):
            types = {**types, "filename": "VARCHAR"}
        if not self.types:
            self.types = dict(types)
        elif set(types) != set(self.types) and not self.options.get("union_by_name"):
            unlike = sorted(set(types) ^ set(self.types))
            raise JourneybookError(
                f"files.{self.name}: {file.name!r} has other columns than the first file "
                f"({list_columns(unlike)}): give the option union_by_name: true to read them together."
            )
        for column, kind in types.items():
            self.types.setdefault(column, kind)

    def _parse(self, file: Path, dialect: Dialect, **more: object) -> list[tuple[int, str, str, str]]:
        """Stage one CSV file; return the lines that do not fit, with what is wrong."""
        options = {**self.options, **more}
        nulls = options.get("nullstr", "")
        nulls = [str(value) for value in (nulls if isinstance(nulls, list) else [nulls])]
        quote = read_quote(options)
        given = {
            "columns": "{" + ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(dialect.names))) + "}",
            "auto_detect": "false",
            "header": "false",
            "skip": str(dialect.skip),
            "delim": quoted(dialect.delimiter),
            "quote": quoted(quote),
            "escape": quoted(str(options.get("escape", quote))),
            "nullstr": "[" + ", ".join(map(quoted, nulls)) + "]",
            "encoding": quoted(dialect.encoding),
            "store_rejects": "true",
        }
        if file.suffix.lower() == ".gz":
            given["compression"] = "'gzip'"
        for key in _PASSED:
            if key in options:
                value = options[key]
                given[key] = quoted(value) if isinstance(value, str) else str(value).lower()
        settings = ", ".join(f"{key} = {value}" for key, value in given.items())
        rows = f"read_csv({quoted(glob.escape(str(file)))}, {settings})"
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        names = {name: f"c{n}" for n, name in enumerate(dialect.names)}
        self._keep(rows, names, dict.fromkeys(names, "VARCHAR"), file)
        problems = self.connection.execute(
            "SELECT DISTINCT ON (line) line, error_type, error_message, csv_line "
            "FROM reject_errors ORDER BY line, error_type"
        ).fetchall()
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        return [(line, kind, message.rstrip("."), text or "") for line, kind, message, text in problems]

    def _keep(self, rows: str, names: Mapping[str, str], types: Mapping[str, str], file: Path) -> None:
        """Stage the rows of one file under the staged columns' names."""
        order = list(self.types)
        wanted = []
        for column, original in names.items():
            value = '"' + original.replace('"', '""') + '"'
            kind = types[column]
            if kind == "VARCHAR" and len(names) == 1:
                # Lines of fixed width: their blanks are positions.
                value = f"nullif({value}, '')"
            elif kind == "VARCHAR" or kind.startswith("ENUM") or kind == "UUID":
                value = f"nullif(trim(CAST({value} AS VARCHAR), {_BLANKS}), '')"
            wanted.append(f"{value} AS s{order.index(column)}")
        if self.options.get("filename"):
            wanted.append(f"{quoted(file.name)} AS s{order.index('filename')}")
        limit = f" LIMIT {self.limit}" if self.limit is not None else ""
        position = f"row_number() OVER () + {self.n_rows} AS position, NULL::VARCHAR AS line_problem"
        query = f"SELECT {position}, {', '.join(wanted)} FROM {rows}{limit}"
        part = f"part_{self.name}_{len(self.parts)}"
        if self.folder is None:
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {part} AS {query}")
            self.parts.append(part)
        else:
            path = self.folder / f"{part}.parquet"
            self.connection.execute(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet)")
            self.parts.append(f"read_parquet({quoted(glob.escape(str(path)))})")

    def _parse_mixed(self, file: Path, dialect: Dialect) -> list[tuple[int, str, str, str]]:
        """Stage a CSV file whose lines end in more than one way."""
        if self.folder is None:
            return self._parse(file, dialect, strict_mode=False)
        alike = self.folder / f"lines_{len(self.parts)}.csv"
        opener = gzip.open if file.suffix.lower() == ".gz" else open
        python = dialect.encoding if dialect.encoding != "latin-1" else "iso-8859-1"
        with (
            opener(file, "rt", encoding=python, errors="surrogateescape") as source,
            alike.open("w", encoding=python, errors="surrogateescape", newline="\n") as target,
        ):
            for line in source:
                target.write(line)
        try:
            return self._parse(alike, dialect)
        except duckdb.Error as problem:
            raise self._broken(file, problem) from None
        finally:
            alike.unlink()

    def _broken(self, file: Path, problem: Exception) -> JourneybookError:
        first = str(problem).strip().splitlines()
        reason = " ".join(first[:1]).rstrip(".")
        return JourneybookError(f"files.{self.name}: {file.name!r} cannot be read: {reason}.")
