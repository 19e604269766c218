"""A user's files as one staged table of text: every line of them, in order, none guessed at and none lost.

A CSV file is parsed by the rules found in its first lines or given in `options`, never by types: a line that does
not fit the header is kept with what is wrong with it, and ends in quarantine. The properties of a JSON file are
columns by their paths. Parquet files bring their types.
"""

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from journeybook.datasets.converting import Column, trimmed
from journeybook.datasets.counting import count_csv, count_json, count_parquet, count_sessions
from journeybook.datasets.dialects import Dialect, find_headers, read_dialect, read_quote
from journeybook.datasets.finding import is_json, is_parquet
from journeybook.datasets.notation import Notation, column_name, quoted
from journeybook.datasets.sequences import SESSION_COLUMNS, session_rows
from journeybook.datasets.unpacking import Plain, as_western, json_paths, unpack, without_lines
from journeybook.errors import JourneybookError, list_names, nearest

_SAME = {"sep": "delim", "delimiter": "delim", "separator": "delim", "null": "nullstr", "column_names": "names"}
_SAME |= {"date_format": "dateformat", "timestamp_format": "timestampformat", "quotechar": "quote"}
_PASSED = ("max_line_size", "null_padding", "strict_mode")
_ANY = ("filename", "union_by_name", "join_ids", "dateformat", "timestampformat")
_OWN: tuple[str, ...] = ("delim", "quote", "escape", "header", "skip", "names", "nullstr", "encoding", "sheet")
_OWN += ("layout", "decimal_separator", "thousands", *_ANY)
# Readings that are always so here: no value decides a type, no line is dropped, and a file says how it is packed.
_NEEDLESS: tuple[str, ...] = ("all_varchar", "auto_detect", "sample_size", "ignore_errors", "store_rejects")
_NEEDLESS += ("parallel", "buffer_size", "compression")
# Lines whose quote does not close, taken out one after the other.
_UNCLOSED = 20


@dataclass(frozen=True)
class Source:
    """A user's files, staged as one table.

    Attributes:
        view: The staged table: `position` from 1 in the order of the files, `file` (its number), `line_problem`
            (null for a line that could be read) and a column for each of the files'.
        unstaged: SQL of the same rows read anew, without their order, the lines that do not fit and blanks cut.
        columns: The columns, in the order of the first file.
        notation: How numbers and dates are written.
        n_files: Number of files.
        n_read: Rows read, with those that do not fit.
        n_counted: Lines below the headers, counted without the engine; None of a sample.
        whole: Whether all rows were read, not a sample.
        join_ids: Whether ids alike but for zeros, capitals and blanks are one.
        notes: What a user should know, one sentence each.
    """

    view: str
    unstaged: str
    columns: tuple[Column, ...]
    notation: Notation
    n_files: int
    n_read: int
    n_counted: int | None
    whole: bool
    join_ids: bool
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
    known = _ANY if parquet else (*_OWN, *_PASSED, *_NEEDLESS)
    found: dict = {}
    for given, value in options.items():
        name = _SAME.get(str(given).lower(), str(given).lower())
        if name in ("types", "dtypes", "column_types", "columns", "auto_type_candidates", "hive_types"):
            raise JourneybookError(
                f"{place}.options.{given} is not taken: values are read as text and converted to what the table "
                "needs; write a CAST in the column's expression instead."
            )
        if name not in known:
            raise JourneybookError(f"{place}.options.{given} is not an option; {nearest(name, known)}")
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
    folder: Path,
    limit: int | None = None,
) -> Source:
    """Read files into one staged table.

    Raises:
        JourneybookError: A file is empty or broken, the files' columns differ, or most lines do not fit the
            header.
    """
    formats = tuple(str(options[key]) for key in ("timestampformat", "dateformat") if options.get(key))
    decimal, thousands = str(options.get("decimal_separator", "")), str(options.get("thousands", ""))
    if len(decimal) > 1 or len(thousands) > 1 or ((thousands and decimal) or ".") == thousands:
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
            for plain in unpack(file, folder, options, place=f"files.{name}"):
                if is_json(plain.path):
                    engine.add_json(plain)
                else:
                    engine.add_csv(plain)
    return engine.finish(notation)


class _Staging:
    """Rows of several files, gathered part by part."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        name: str,
        folder: Path,
        limit: int | None,
        options: Mapping,
    ) -> None:
        self.connection, self.name, self.folder = connection, name, folder
        self.limit, self.options = limit, options
        self.parts: list[str] = []
        self.unstaged: list[str] = []
        self.types: dict[str, str] = {}
        self.n_rows = self.n_counted = 0
        self.rejects: list[tuple[str, int, str]] = []
        self.notes: list[str] = []
        self.whole = True

    def add_sessions(self, file: Path) -> None:
        """Stage one file that holds one session a line."""
        names = dict(zip(SESSION_COLUMNS, SESSION_COLUMNS, strict=True))
        self._check_columns(file.name, dict.fromkeys(names, "VARCHAR"))
        rows = session_rows(self.connection, file, place=f"files.{self.name}")
        self._keep(rows, names, dict.fromkeys(names, "VARCHAR"), file.name)
        self._count(self._n_staged())
        if self.limit is None:
            self.n_counted += count_sessions(file)

    def add_csv(self, plain: Plain) -> None:
        """Parse one CSV file; if need be again: in another encoding, with line ends alike, without bad lines."""
        if plain.path.stat().st_size == 0:
            raise JourneybookError(f"files.{self.name}: {plain.name!r} is empty.")
        dialect = read_dialect(plain, self.options, name=self.name)
        self._check_columns(plain.name, dict.fromkeys(dialect.names, "VARCHAR"))
        file = plain.path
        taken: dict[int, str] = {}
        try:
            problems = self._parse(plain, dialect)
        except duckdb.Error as problem:
            if "state machine" not in str(problem):
                raise self._broken(plain.name, problem) from None
            plain = plain._replace(path=without_lines(file, self.folder, set())[0])
            problems = self._parse(plain, dialect)
        if any(kind == "INVALID ENCODING" for _, kind, _, _ in problems) and "encoding" not in self.options:
            self._drop()
            plain = as_western(plain, self.folder)
            problems = self._parse(plain, dialect)
        if again := find_headers(self.connection, self.parts[-1], plain, dialect, order=list(self.types)):
            self._drop()
            plain = plain._replace(path=without_lines(plain.path, self.folder, again)[0])
            taken = dict.fromkeys(again, "the header once more")
            problems = self._parse(plain, dialect)
        while unclosed := [line for line, _, _, text in problems if "\n" in text.strip()]:
            # A quote that opens and does not close takes the lines below it along: that line goes to quarantine.
            whole = unclosed[0] + sum(line <= unclosed[0] for line in sorted(taken))
            if len(taken) == _UNCLOSED:
                raise JourneybookError(
                    f"files.{self.name}: a quote that opens on line {whole} of {plain.name!r} is not closed "
                    f"there, nor are {_UNCLOSED} before it; give the option quote."
                )
            self._drop()
            copy, (text,) = without_lines(plain.path, self.folder, {unclosed[0]})
            plain = plain._replace(path=copy)
            taken[whole] = f"A quote opens and does not close: {text}"
            problems = self._parse(plain, dialect)
        lines = {line: f"{message}: {text.strip()}" for line, _, message, text in problems}
        n_read = self._n_staged()
        if len(lines) > n_read:
            first, message = min(lines.items())
            raise JourneybookError(
                f"files.{self.name}: {len(lines)} of {n_read + len(lines)} lines of {plain.name!r} do not fit its "
                f"header of {len(dialect.names)} columns (line {first}: {message.split(': ')[0]}); check the "
                "options delim, quote and skip."
            )
        self._count(n_read)
        self.notes += [plain.note] if plain.note else []
        self.notes += [
            f"{plain.name} has several columns named {name!r}: the second is {name}_1." for name in dialect.doubled
        ]
        if self.limit is None:
            self.n_counted += count_csv(plain.path, dialect, self.options) + len(taken)
        self.rejects += [(plain.name, line, lines[line]) for line in sorted(lines)]
        self.rejects += [(plain.name, line, said) for line, said in sorted(taken.items())]

    def add_json(self, plain: Plain) -> None:
        """Stage one JSON file, an object a line or one array."""
        rows = f"read_json_objects({quoted(glob.escape(str(plain.path)))}, ignore_errors = true, format = 'auto')"
        head = f"(SELECT json FROM {rows}{f' LIMIT {self.limit}' if self.limit else ''})"
        try:
            (shape,) = self.connection.execute(f"SELECT json_group_structure(json) FROM {head}").fetchall()[0]
            made = json.loads(shape or "{}")
            wrapped = [
                name for name, inner in made.items() if isinstance(inner, list) and isinstance(inner[0], dict)
            ]
            n_objects = self.connection.execute(f"SELECT count(*) FROM {head}").fetchall()[0][0]
            if n_objects == 1 and wrapped:
                raise JourneybookError(
                    f"files.{self.name}: {plain.name!r} is one object, whose rows stand in {wrapped[0]!r}: save "
                    "that array as a file of its own."
                )
            paths = dict(json_paths(made))
            if not paths:
                raise JourneybookError(f"files.{self.name}: {plain.name!r} holds no object.")
            types = dict.fromkeys(paths, "VARCHAR")
            self._check_columns(plain.name, types)
            read = ", ".join(
                f"json_extract_string(json, {quoted(path)}) AS c{n}" for n, path in enumerate(paths.values())
            )
            names = {name: f"c{n}" for n, name in enumerate(paths)}
            self._keep(f"(SELECT {read} FROM {rows} WHERE json IS NOT NULL)", names, types, plain.name)
            n_bad = self.connection.execute(f"SELECT count_if(json IS NULL) FROM {head}").fetchall()[0][0]
        except duckdb.Error as problem:
            raise self._broken(plain.name, problem) from None
        self._count(self._n_staged())
        self.rejects += [(plain.name, n + 1, "the line is no JSON") for n in range(n_bad)]
        self.notes += [plain.note] if plain.note else []
        if self.limit is None:
            self.n_counted += count_json(plain.path)

    def add_parquet(self, file: Path) -> None:
        """Read one Parquet file with the types it brings."""
        rows = f"read_parquet({quoted(glob.escape(str(file)))})"
        try:
            described = self.connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
            types = {name.strip(): kind for name, kind, *_ in described}
            self._check_columns(file.name, types)
            self._keep(rows, {n.strip(): n for n, *_ in described}, types, file.name)
            self._count(self._n_staged())
            self.n_counted += count_parquet(file)
        except duckdb.Error as problem:
            raise self._broken(file.name, problem) from None

    def _n_staged(self) -> int:
        return self.connection.execute(f"SELECT count(*) FROM {self.parts[-1]}").fetchall()[0][0]

    def _count(self, n_rows: int) -> None:
        self.n_rows += n_rows
        self.whole = self.whole and (self.limit is None or n_rows < self.limit)

    def _drop(self) -> None:
        self.parts.pop()
        self.unstaged.pop()

    def finish(self, notation: Notation) -> Source:
        """Return the parts as one table, with the lines that did not fit after them."""
        if not self.n_rows:
            raise JourneybookError(f"files.{self.name}: no file has a row below its header.")
        view = f"staged_{self.name}"
        shown = " UNION ALL BY NAME ".join(f"SELECT * FROM {part}" for part in self.parts)
        rejected = f"rejected_{self.name}"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {rejected} (position BIGINT, file INTEGER, line_problem VARCHAR)"
        )
        if self.rejects:
            rows = [
                (self.n_rows + number, -1, f"line: {file} line {line}, {message}")
                for number, (file, line, message) in enumerate(self.rejects, start=1)
            ]
            self.connection.executemany(f"INSERT INTO {rejected} VALUES (?, ?, ?)", rows)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS {shown} UNION ALL BY NAME SELECT * FROM {rejected}"
        )
        native = {n: k for n, k, *_ in self.connection.execute(f"DESCRIBE SELECT * FROM {view}").fetchall()}
        columns = tuple(Column(name, f"s{n}", native[f"s{n}"], notation) for n, name in enumerate(self.types))
        return Source(
            view=view,
            unstaged=" UNION ALL BY NAME ".join(self.unstaged),
            columns=columns,
            notation=notation,
            n_files=len(self.parts),
            n_read=self.n_rows + len(self.rejects),
            n_counted=self.n_counted if self.limit is None else None,
            whole=self.whole,
            join_ids=bool(self.options.get("join_ids")),
            notes=tuple(self.notes),
        )

    def _check_columns(self, file: str, types: Mapping[str, str]) -> None:
        """Hold every file to the columns of the first, unless the user joins them by name."""
        if self.options.get("filename"):
            types = {**types, "filename": "VARCHAR"}
        if not self.types:
            self.types = dict(types)
        elif set(types) != set(self.types) and not self.options.get("union_by_name"):
            unlike = sorted(set(types) ^ set(self.types))
            raise JourneybookError(
                f"files.{self.name}: {file!r} has other columns than the first file "
                f"({list_names(map(repr, unlike))}): give the option union_by_name: true to read them together."
            )
        for column, kind in types.items():
            self.types.setdefault(column, kind)

    def _parse(self, plain: Plain, dialect: Dialect) -> list[tuple[int, str, str, str]]:
        """Stage one CSV file; return the lines that do not fit, with what is wrong."""
        nulls = self.options.get("nullstr", "")
        nulls = [str(value) for value in (nulls if isinstance(nulls, list) else [nulls])]
        quote = read_quote(self.options)
        given = {
            "columns": "{" + ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(dialect.names))) + "}",
            "auto_detect": "false",
            "header": "false",
            "skip": str(dialect.skip),
            "delim": quoted(dialect.delimiter),
            "quote": quoted(quote),
            "escape": quoted(str(self.options.get("escape", quote))),
            "nullstr": "[" + ", ".join(map(quoted, ["", *nulls])) + "]",
            "compression": "'none'",
        }
        for key in _PASSED:
            if key in self.options:
                value = self.options[key]
                given[key] = quoted(value) if isinstance(value, str) else str(value).lower()
        settings = ", ".join(f"{key} = {value}" for key, value in given.items())
        rows = f"read_csv({quoted(glob.escape(str(plain.path)))}, {settings}, "
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        names = {name: f"c{n}" for n, name in enumerate(dialect.names)}
        types = dict.fromkeys(names, "VARCHAR")
        self._keep(rows + "store_rejects = true)", names, types, plain.name, anew=rows + "ignore_errors = true)")
        problems = self.connection.execute(
            "SELECT DISTINCT ON (line) line, error_type, error_message, csv_line "
            "FROM reject_errors ORDER BY line, error_type"
        ).fetchall()
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        return [(line, kind, message.rstrip("."), text or "") for line, kind, message, text in problems]

    def _keep(
        self, rows: str, names: Mapping[str, str], types: Mapping[str, str], file: str, *, anew: str = ""
    ) -> None:
        """Stage the rows of one file under the staged columns' names; `anew` reads them and notes no failures."""
        order, wanted, quick = list(self.types), [], []
        for column, original in names.items():
            value, kind = column_name(original), types[column]
            text = kind in ("VARCHAR", "UUID") or kind.startswith("ENUM")
            whole = f"nullif({value}, '')" if kind == "VARCHAR" else value
            # Lines of fixed width: their blanks are positions.
            cut = whole if not text or len(names) == 1 else trimmed(f"CAST({value} AS VARCHAR)")
            wanted.append(f"{cut} AS s{order.index(column)}")
            # A parser of CSV has made blank fields null.
            quick.append(f"{value if anew else whole} AS s{order.index(column)}")
        if self.options.get("filename"):
            wanted.append(f"{quoted(file)} AS s{order.index('filename')}")
            quick.append(wanted[-1])
        number = len(self.parts)
        about = f"{number} AS file, NULL::VARCHAR AS line_problem, "
        self.unstaged.append(f"SELECT 0 AS position, {about}{', '.join(quick)} FROM {anew or rows}")
        about += ", ".join(wanted)
        limit = f" LIMIT {self.limit}" if self.limit is not None else ""
        query = f"SELECT row_number() OVER () + {self.n_rows} AS position, {about} FROM {rows}{limit}"
        path = self.folder / f"part_{number}.parquet"
        self.connection.execute(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet)")
        self.parts.append(f"read_parquet({quoted(glob.escape(str(path)))})")

    def _broken(self, file: str, problem: Exception) -> JourneybookError:
        first = str(problem).strip().splitlines()
        reason = " ".join(first[:1]).rstrip(".")
        return JourneybookError(f"files.{self.name}: {file!r} cannot be read: {reason}.")
