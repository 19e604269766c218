"""Lines of a user's files, counted without the engine that reads them."""

import csv
import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from journeybook.datasets.dialects import Dialect, read_quote
from journeybook.datasets.sequences import read_head


def count_csv(file: Path, dialect: Dialect, options: Mapping) -> int:
    """Return the records of a CSV file below its header, as the csv module counts them; blank lines are none."""
    quote = read_quote(options)
    escape = str(options.get("escape", quote))
    rules: dict[str, Any] = {"quoting": csv.QUOTE_NONE}
    if quote:
        rules = {"quotechar": quote, "doublequote": escape == quote}
    if escape and escape != quote:
        rules["escapechar"] = escape
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        lines = itertools.islice(text, dialect.n_head, None)
        return sum(1 for record in csv.reader(lines, delimiter=dialect.delimiter, **rules) if record)


def count_parquet(file: Path) -> int:
    """Return the rows of a Parquet file, as its footer says."""
    return pq.read_metadata(file).num_rows


def count_sessions(file: Path) -> int:
    """Return the events of a file that holds one session a line, below its head."""
    n_head, _ = read_head(file)
    with file.open(encoding="utf-8", errors="replace") as lines:
        below = itertools.islice(lines, n_head, None)
        return sum(len(line.split()) for line in below if not line.lstrip().startswith("%"))


def count_json(file: Path) -> int:
    """Return the objects of a JSON file: its lines that are not blank, or the length of its one array."""
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        if text.read(1) == "[":
            text.seek(0)
            return len(json.load(text))
        text.seek(0)
        return sum(1 for line in text if line.strip())
