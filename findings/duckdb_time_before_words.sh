#!/usr/bin/env bash
# duckdb 2.0.0.
# One would guess: a text that is no timestamp, such as one with PM behind the time, cannot be cast: TRY_CAST gives NULL.
# Seen: TRY_CAST to TIMESTAMP reads up to the time and leaves out any word behind it. 2:00 PM is 02:00, half a day too
# early; a zone, or a word that means nothing, is dropped as well. A word behind a date alone gives NULL, and TIMESTAMPTZ
# refuses PM. Times of twelve hours need strptime with %I and %p.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 pytz 2>"$folder/pip.err" ||
    { cat "$folder/pip.err"; exit 1; }

cat > "$folder/cast.py" <<'PYTHON'
import duckdb

def cast(text, kind):
    return duckdb.execute(f"SELECT CAST(TRY_CAST(? AS {kind}) AS VARCHAR)", [text]).fetchall()[0][0]

seen = {}
for text in ("2024-03-25 2:00 PM", "2024-03-25 2:00 CET", "2024-03-25 2:00 banana", "2024-03-25 PM"):
    seen[text] = cast(text, "TIMESTAMP")
    print(f"{text!r} as TIMESTAMP: {seen[text]}; as TIMESTAMPTZ: {cast(text, 'TIMESTAMPTZ')}")
right = duckdb.execute("SELECT CAST(strptime('2024-03-25 2:00 PM', '%Y-%m-%d %I:%M %p') AS VARCHAR)").fetchall()[0][0]
print(f"by strptime: {right}")
assert right == "2024-03-25 14:00:00"
assert list(seen.values()) == ["2024-03-25 02:00:00"] * 3 + [None]
assert cast("2024-03-25 2:00 PM", "TIMESTAMPTZ") is None
PYTHON
"$folder/venv/bin/python" "$folder/cast.py"
