"""The canonical tables: their columns, reading them for a purpose, writing them."""

from journeybook.tables.access import access_of, maker_of, notebook_of, parameter_cell, readers
from journeybook.tables.codes import FEWEST_DIGITS, REFUSAL_RULES, SHORT_FORMS, coded, spelled
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
from journeybook.tables.keys import PUBLISHED_KEY, has_key, new_key
from journeybook.tables.log import logged_reads
from journeybook.tables.places import root, write_private
from journeybook.tables.register import (
    REGISTERS,
    keep_claims,
    keep_in_register,
    outliving,
    raw_digest,
    read_register,
    write_files,
)
from journeybook.tables.rotation import rotate_key
from journeybook.tables.rows import added_up, brought_in, kept_in_engine, whole_row
from journeybook.tables.run import (
    Run,
    engine,
    fingerprint,
    has,
    has_truth,
    key_digest,
    list_tables,
    named_purpose,
    open_run,
    owners_view,
    provenance,
    signature,
    source_lines,
    source_notices,
    store,
)
from journeybook.tables.sampling import in_sample, sample_share
from journeybook.tables.schema import PURPOSES, SCHEMAS, UNCONVERTED_SIGN, Column, Schema, schema_of
