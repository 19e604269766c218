"""The canonical tables: their columns, reading them for a purpose, writing them."""

from journeybook.tables.consent import keep_permitted, keep_refusing, pseudonym, standing
from journeybook.tables.dates import last_times, ledger_dates, undecided_or_granting
from journeybook.tables.files import write_files
from journeybook.tables.register import keep_in_register, outliving, read_register
from journeybook.tables.run import (
    Run,
    consent_note,
    data_as_of,
    has,
    has_truth,
    ledger_as_of,
    list_tables,
    open_run,
    permitted_at,
    permitted_people,
    provenance,
    raw,
    read,
    read_refused,
    read_truth,
    root,
    store,
    write,
)
from journeybook.tables.sampling import in_sample, sample_share
from journeybook.tables.schema import PURPOSES, SCHEMAS, Column, Schema, schema_of

__all__ = [
    "PURPOSES",
    "SCHEMAS",
    "Column",
    "Run",
    "Schema",
    "consent_note",
    "data_as_of",
    "has",
    "has_truth",
    "in_sample",
    "keep_in_register",
    "keep_permitted",
    "keep_refusing",
    "last_times",
    "ledger_as_of",
    "ledger_dates",
    "list_tables",
    "open_run",
    "outliving",
    "permitted_at",
    "permitted_people",
    "provenance",
    "pseudonym",
    "raw",
    "read",
    "read_refused",
    "read_register",
    "read_truth",
    "root",
    "sample_share",
    "schema_of",
    "standing",
    "store",
    "undecided_or_granting",
    "write",
    "write_files",
]
