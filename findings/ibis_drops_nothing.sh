#!/usr/bin/env bash
# ibis-framework 12.0.0 with duckdb 2.0.0 and sqlglot 30.30.0, which its own requirements allow.
# One would guess: `create_table` from a data frame works, and a table kept with `Table.cache()` is dropped at the end.
# Seen: statements that drop something are written without its name (`DROP VIEW IF EXISTS`). `create_table` from a data
# frame stops with a ParserException; a cached table leaves a traceback on standard error when the program ends, though
# its exit code is 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "ibis-framework[duckdb]==12.0.0" duckdb==2.0.0 sqlglot==30.30.0 pandas==3.1.1 2>"$folder/pip.err" ||
    { cat "$folder/pip.err"; exit 1; }

cat > "$folder/create.py" <<'PYTHON'
import ibis
import pandas as pd

connection = ibis.duckdb.connect()
try:
    connection.create_table("t", pd.DataFrame({"a": [1, 2]}))
except Exception as problem:
    print(type(problem).__name__, str(problem).splitlines()[2])
PYTHON
cat > "$folder/cache.py" <<'PYTHON'
import ibis
import pandas as pd

table = ibis.memtable(pd.DataFrame({"a": [1, 2]}))
kept = table.filter(table.a > 1).cache()
print(kept.count().execute(), "row")
PYTHON

created=$("$folder/venv/bin/python" "$folder/create.py" 2>/dev/null)
echo "create_table: $created"
cached=$("$folder/venv/bin/python" "$folder/cache.py" 2>"$folder/err")
echo "cache: $cached, exit code $?, on standard error: $(grep ParserException "$folder/err" | head -1)"
[[ $created == "ParserException LINE 1: DROP VIEW IF EXISTS" ]]
[[ $cached == "1 row" ]]
grep -q "ParserException" "$folder/err"
