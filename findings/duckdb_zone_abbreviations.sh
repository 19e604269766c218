#!/usr/bin/env bash
# duckdb 2.0.0.
# One would guess: an abbreviated zone is the offset it stands for, PST eight hours behind UTC and CET one ahead, on any day.
# Seen: it is the name of a region's clock. PST and CET in July are read as daylight time, an hour off for logs that keep
# standard time all year, while EST and MST keep their offset in summer. BST is Bangladesh's time, not Britain's summer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 2>"$folder/pip.err" ||
    { cat "$folder/pip.err"; exit 1; }

cat > "$folder/zones.py" <<'PYTHON'
import duckdb

duckdb.execute("SET TimeZone = 'UTC'")
guessed = {"PST": -8, "CET": 1, "EST": -5, "MST": -7, "BST": 1}
seen = {}
for zone in guessed:
    asked = f"SELECT date_diff('hour', TIMESTAMPTZ '2024-07-25 12:00 {zone}', TIMESTAMPTZ '2024-07-25 12:00+00')"
    seen[zone] = duckdb.execute(asked).fetchall()[0][0]
    print(f"12:00 {zone} in July: {seen[zone]:+d} hours from UTC, guessed {guessed[zone]:+d}")
assert seen == {"PST": -7, "CET": 2, "EST": -5, "MST": -7, "BST": 6}
PYTHON
"$folder/venv/bin/python" "$folder/zones.py"
