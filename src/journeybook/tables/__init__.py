"""The canonical tables: their columns, reading them for a purpose, writing them."""

from journeybook.tables.access import access_of, declared_reads, notebook_of, parameter_cell
from journeybook.tables.codes import REFUSAL_RULES, coded, spelled
from journeybook.tables.consent import (
    keep_permitted,
    pseudonym,
    said,
    standing,
    standings,
    unpermitted_sends,
)
from journeybook.tables.dates import last_times, ledger_dates, undecided_or_granting
from journeybook.tables.door import (
    consent_note,
    data_as_of,
    ledger_as_of,
    match_codes,
    permitted_at,
    permitted_people,
    pseudonyms,
    raw,
    read,
    read_refused,
    read_truth,
    refusing_ids,
    write,
)
from journeybook.tables.files import write_files
from journeybook.tables.keys import PUBLISHED_KEY, new_key
from journeybook.tables.places import root
from journeybook.tables.register import keep_in_register, outliving, read_register
from journeybook.tables.rotation import rotate_key
from journeybook.tables.rows import added_up, brought_in, whole_row
from journeybook.tables.run import (
    Run,
    fingerprint,
    has,
    has_truth,
    key_digest,
    list_tables,
    named_purpose,
    open_run,
    owners_view,
    provenance,
    source_lines,
    store,
)
from journeybook.tables.sampling import in_sample, sample_share
from journeybook.tables.schema import PURPOSES, SCHEMAS, UNCONVERTED_SIGN, Column, Schema, schema_of

__all__ = [
    "Column",
    "PUBLISHED_KEY",
    "PURPOSES",
    "REFUSAL_RULES",
    "Run",
    "SCHEMAS",
    "UNCONVERTED_SIGN",
    "Schema",
    "access_of",
    "added_up",
    "brought_in",
    "coded",
    "consent_note",
    "data_as_of",
    "declared_reads",
    "fingerprint",
    "has",
    "has_truth",
    "in_sample",
    "keep_in_register",
    "keep_permitted",
    "key_digest",
    "last_times",
    "ledger_as_of",
    "ledger_dates",
    "list_tables",
    "match_codes",
    "named_purpose",
    "new_key",
    "notebook_of",
    "open_run",
    "outliving",
    "owners_view",
    "parameter_cell",
    "permitted_at",
    "permitted_people",
    "provenance",
    "pseudonym",
    "pseudonyms",
    "raw",
    "read",
    "read_refused",
    "read_register",
    "read_truth",
    "refusing_ids",
    "root",
    "rotate_key",
    "said",
    "sample_share",
    "schema_of",
    "spelled",
    "standing",
    "standings",
    "store",
    "source_lines",
    "undecided_or_granting",
    "unpermitted_sends",
    "whole_row",
    "write",
    "write_files",
]
