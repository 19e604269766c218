"""Files that hold one session a line: its events in order, separated by blanks, with no times.

The UCI file of MSNBC's visitors of 28 September 1999 is one: comments begin with a per cent sign, and the numbers
of its lines stand for the names that its head lists.
"""

from pathlib import Path

import duckdb

from journeybook.datasets.converting import quoted
from journeybook.errors import JourneybookError

SESSION_COLUMNS = ("session_id", "position", "event")
_HEAD_LINES = 100


def session_rows(connection: duckdb.DuckDBPyConnection, file: Path, *, place: str = "path") -> str:
    """Return SQL of the events of one file, columns `SESSION_COLUMNS`, all text, in the order of the file.

    `place` is the key of the parameters that the JourneybookError names where the file holds no session.
    """
    n_head, names = read_head(file)
    settings = "columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, delim = '\\x01', quote = '', "
    settings += f"escape = '', skip = {n_head}, max_line_size = 100000000, parallel = false"
    lines = f"SELECT row_number() OVER () AS n, trim(line) AS line FROM read_csv({quoted(str(file))}, {settings})"
    lines = f"SELECT row_number() OVER (ORDER BY n) AS n, line FROM ({lines}) WHERE line <> '' AND line[1] <> '%'"
    if not connection.execute(f"SELECT count(*) FROM ({lines})").fetchall()[0][0]:
        raise JourneybookError(f"{place}: {file.name!r} holds no session; one a line is needed.")
    parts = f"SELECT n, regexp_split_to_array(line, '\\s+') AS parts FROM ({lines})"
    each = f"SELECT n, unnest(range(1, len(parts) + 1)) AS position, unnest(parts) AS part FROM ({parts})"
    listed = "[" + ", ".join(map(quoted, names)) + "]::VARCHAR[]"
    event = f"coalesce(list_extract({listed}, TRY_CAST(part AS INTEGER)), part)"
    columns = f"CAST(n AS VARCHAR) AS session_id, CAST(position AS VARCHAR) AS position, {event} AS event"
    return f"(SELECT {columns} FROM ({each}) ORDER BY n, position)"


def read_head(file: Path) -> tuple[int, list[str]]:
    """Return the lines before the first session, and the names that numbers stand for, if the head lists any.

    The head ends with the comment `% Sequences:`; its last line that is no comment lists the names.
    """
    names: list[str] = []
    with file.open(encoding="utf-8", errors="replace") as opened:
        for number, line in zip(range(1, _HEAD_LINES + 1), opened, strict=False):
            if line.lower().startswith("% sequences"):
                return number, names
            if line.strip() and not line.startswith("%"):
                names = line.split()
    return 0, []
