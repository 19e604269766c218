#!/usr/bin/env bash
# ibis-framework 12.0.0 with duckdb 2.0.0 and sqlglot 30.30.0, which its own requirements allow (no upper bound).
# One would guess: what installs together works together, at least for tables made from frames and for listing them.
# Seen: reading, expressions and create_table from a query work. create_table from a frame raises a ParserException, for
# the name is lost from the DROP VIEW that follows; the table stays, with its rows. list_tables raises an
# AttributeError, for DuckDB 2.0 has no fetch_arrow_table any more. A memtable in an expression does what a table would.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "ibis-framework[duckdb]==12.0.0" duckdb==2.0.0 sqlglot==30.30.0 pandas==3.0.0 2>"$folder/pip.err" ||
    { cat "$folder/pip.err"; exit 1; }

cat > "$folder/tables.py" <<'PYTHON'
import ibis
import pandas as pd

connection = ibis.duckdb.connect()
frame = pd.DataFrame({"x": [1, 2, 3]})

def tried(what, do):
    try:
        do()
    except Exception as error:
        print(f"{what}: {type(error).__name__}: {str(error).splitlines()[0]}")
        return type(error).__name__
    print(f"{what}: works")
    return "works"

query = ibis.memtable(frame).mutate(y=ibis._.x + 1)
assert tried("create_table from a query", lambda: connection.create_table("made", query)) == "works"
assert tried("create_table from a frame", lambda: connection.create_table("given", frame)) == "ParserException"
assert tried("list_tables", connection.list_tables) == "AttributeError"
print("rows of the table from a frame:", connection.con.execute("SELECT count(*) FROM given").fetchall()[0][0])
assert connection.con.execute("SELECT count(*) FROM given").fetchall() == [(3,)]
assert query.y.sum().execute() == 9
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/tables.py"
