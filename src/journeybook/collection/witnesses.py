"""What the page is held against: the planted ledger, and counts made a second way.

Each function returns one row a comparison: name, value, reference, tolerance, source.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import ibis
import jsonschema
import numpy as np
import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.collection.evidence import DUE_DAYS
from journeybook.collection.plan import TrackingPlan
from journeybook.collection.rows import Collection
from journeybook.collection.validity import NO_NAMES
from journeybook.conservation import n_without_place
from journeybook.tables import PURPOSES, UNCONVERTED_SIGN, added_up, readers, schema_of

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]
_CODE = Path(__file__).parents[1]
_OPTIONAL = ("recorded_at", "expires_at")
_LATEST = """
    SELECT customer_id, purpose,
           last(granted AND coalesce(expires_at > $as_of, true) ORDER BY occurred_at, granted DESC) AS permits,
           NOT last(granted ORDER BY occurred_at, granted DESC) AS refuses,
           last(expires_at ORDER BY occurred_at, granted DESC) AS ends
    FROM words
    WHERE occurred_at < $as_of AND (NOT granted OR coalesce(recorded_at, occurred_at) < $as_of)
    GROUP BY ALL
"""
_SENT = """
    SELECT sent.row, last(granted AND coalesce(expires_at > sent.occurred_at, true)
                          ORDER BY words.occurred_at, granted DESC) AS permits
    FROM sent LEFT JOIN words
        ON words.customer_id = sent.customer_id AND purpose = 'marketing_' || sent.channel
        AND words.occurred_at < sent.occurred_at
        AND (NOT granted OR coalesce(recorded_at, words.occurred_at) < sent.occurred_at)
    WHERE sent.channel = $channel GROUP BY ALL
"""


def check_rows(collected: Mapping[str, ibis.Table], found: Collection) -> pd.DataFrame:
    """Add up digests of the raw rows, and of those accepted and set aside: none is lost, doubled or altered."""
    n_lost = n_unlike = n_miscounted = 0
    for name, table in collected.items():
        kept = found.accepted[name]
        # A row is known by the digest of its cells, as its schema types them.
        raw = table.select(**{c: table[c].try_cast(dtype) for c, dtype in kept.schema().items()})
        aside = raw.semi_join(found.quarantine.filter(found.quarantine.table == name), "row")
        (n_raw, sum_raw), (n_kept, sum_kept), (n_aside, sum_aside) = (
            added_up(rows, raw.columns) for rows in (raw, kept, aside)
        )
        n_lost += abs(n_raw - n_kept - n_aside)
        n_unlike += sum_raw != sum_kept + sum_aside
        told = found.counts.set_index("table").loc[name]
        told = [told.n_collected, told.n_accepted, told.n_unparsed + told.n_quarantined]
        n_miscounted += told != [n_raw, n_kept, n_aside]
    rows = [
        ("raw rows that are nowhere, or in two places", n_lost, 0, 0, "rows in = rows accepted + rows set aside"),
        ("tables whose rows are not the raw ones", n_unlike, 0, 0, "sum of a digest of each row's cells"),
        ("tables whose rows are counted otherwise", n_miscounted, 0, 0, "counted again, table by table"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind="conservation")


def check_rules(
    tables: Mapping[str, ibis.Table], found: Collection, *, max_rows: int, plan: TrackingPlan | None = None
) -> pd.DataFrame:
    """Ask the rules a second time in plain Python, and the plan by jsonschema, of some rows of each table.

    They are its first and last rows, and as many of its quarantine, evenly from first to last.
    """
    n_unlike = n_altered = 0
    for name, table in tables.items():
        mine = found.quarantine.filter(found.quarantine.table == name)
        aside = mine.select("row").distinct().order_by("row").to_pandas().row.to_numpy()
        every = np.unique(np.linspace(0, len(aside) - 1, min(max_rows, len(aside))).astype(int))
        last = int(table.row.max().to_pandas() or 0)
        chosen = {*range(1, max_rows + 1), *range(last - max_rows + 1, last + 1), *aside[every].tolist()}
        asked = ibis.memtable(pd.DataFrame({"row": sorted(chosen)}))
        told, records = mine.semi_join(asked, "row").to_pandas(), _records(table.semi_join(asked, "row"))
        told = told[told.row.isin(list(records))]
        ruled = told[~told.problem.str.contains("is before|is after|is far|cannot be trusted")]
        pairs = set(ruled[["row", "column"]].itertuples(index=False, name=None))
        broken = _broken_cells(name, records)
        if plan is not None and name == "events":
            broken |= {(row, cell) for row, record in records.items() for cell in _breaks_plan(record, plan)}
        n_unlike += len({row for row, _ in pairs ^ broken})
        kept = told.drop_duplicates("row").set_index("row").record
        n_altered += sum(not _same_row(json.loads(whole), records[row]) for row, whole in kept.items())
    source = f"plain Python, and jsonschema, on the first and last {max_rows:,} rows of each table and quarantine"
    rows = [
        ("rows judged otherwise by hand", n_unlike, 0, 0, source),
        ("rows in quarantine that are not the raw rows", n_altered, 0, 0, source),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _breaks_plan(record: dict, plan: TrackingPlan) -> set[str]:
    """Return the properties of an event that break the plan, by jsonschema; `event` if it is not planned."""
    event, text = record["event"], record.get("properties")
    if event is None or event.strip().lower() in NO_NAMES:
        return set()
    if event not in plan.events:
        return {"event"}
    try:
        said = {} if text is None else json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return {"properties"}
    said |= {p: record[p] for p in plan.properties if p in record}
    said = {p: float(v) if isinstance(v, Decimal) else v for p, v in said.items() if v is not None}
    asked = {key: plan.events[event].get(key, of) for key, of in (("required", []), ("properties", {}))}
    errors = jsonschema.Draft202012Validator(asked).iter_errors(said)
    return {str(e.path[0]) for e in errors if e.path} | (set(asked["required"]) - set(said))


def _records(table: ibis.Table) -> dict[int, dict]:
    """Return rows as dictionaries, by `row`; what is missing is None."""
    frame = table.to_pandas().astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return {row.pop("row"): row for row in rows}


def _same_row(kept: dict[str, str | None], raw: dict) -> bool:
    """Whether a row kept as text has the cells of the raw one: the same ones missing, each text the same."""
    return kept.keys() == raw.keys() and all(
        kept[c] == raw[c] if isinstance(raw[c], str) else (kept[c] is None) == (raw[c] is None) for c in raw
    )


def _broken_cells(name: str, records: Mapping[int, dict]) -> set[tuple[int, str]]:
    """Return each row and column that breaks a rule of the table's schema."""
    schema = schema_of(name)
    assert schema is not None
    bad: set[tuple[int, str]] = set()
    named = {c.name for c in schema.columns if c.required and not c.nullable} | {"session_id"}
    for row, record in records.items():
        parts = (record.get("unconverted") or "").split(UNCONVERTED_SIGN)
        unread = {part.split(": ")[0] for part in parts if part}
        bad |= {(row, column) for column in unread}
        if "line" in unread:
            continue
        for column in (c for c in schema.columns if c.name in record):
            value = record[column.name]
            if value is None:
                wrong = column.required and not column.nullable and column.name not in unread
            else:
                wrong = bool(column.allowed) and value not in column.allowed
                wrong |= column.low is not None and value < column.low
                wrong |= column.high is not None and value > column.high
                wrong |= value in (float("inf"), float("-inf"))
                no_name = str(value).strip().lower() in ("", "undefined", "(not set)", "__multiple__")
                wrong |= name != "consents" and column.name in named and no_name
                wrong |= column.name == "as_of" and value.year >= 2100
                if column.name == "churned_at" and (began := record.get("started_at")) is not None:
                    wrong |= value.date() < began.date()
            if wrong:
                bad.add((row, column.name))
        for group in schema.either:
            present = [column for column in group if column in record]
            if present and all(record[column] is None and column not in unread for column in present):
                bad.add((row, " or ".join(group)))
    return bad


def check_places(places: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Add up the places, and hold the lines that the engine read against those counted without it."""
    n_unlike = int((lines.n_lines - lines.n_read).abs().sum())
    apart = "lines of each file, by Python's csv module or the footer of Parquet"
    rows = [
        ("rows without a place, or with two", n_without_place(places), 0, 0, apart),
        ("lines that were read otherwise than they are counted", n_unlike, 0, 0, apart),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind="conservation")


def check_columns(
    collected: Mapping[str, ibis.Table], found: Collection, *, rates: pd.DataFrame, listed: pd.DataFrame
) -> pd.DataFrame:
    """Count events by what they are in pandas; look for empty cells, and for each column's name in pages' code."""
    n_rates_off, n_listed_off = 0.0, 0
    aside = found.quarantine.filter(found.quarantine.table == "events").select("row", "column").to_pandas()
    for by, told in rates.groupby("by"):
        column = "occurred_at" if by == "day" else by
        events = collected["events"].select("row", value=column).to_pandas()
        if by == "day":
            events = events[~events.row.isin(aside.row[aside.column == column])]
            events["value"] = events.value.dt.floor("D")
        due = events.row.isin(aside.row).groupby(events.value).agg(["size", "sum", "mean"])
        due.index = due.index.strftime("%Y-%m-%d") if by == "day" else due.index
        told = told.set_index("value")[["n_events", "n_failed", "failed_share"]].set_axis(due.columns, axis=1)
        n_rates_off += due.sub(told, fill_value=0).abs().to_numpy().sum()
    for name, of in listed.groupby("table"):
        table = collected[name]
        empty = table.aggregate(n=table.count(), **{f"no {c}": table[c].isnull().sum() for c in of.column})
        counts = empty.to_pandas().iloc[0].fillna(0)
        n_listed_off += sum(counts.n - counts[f"no {c}"] != n for c, n in zip(of.column, of.n_filled, strict=True))
        for page in readers(name):
            own = (
                file.read_text(encoding="utf-8")
                for at in (page[3:], "journeys")
                for file in (_CODE / at).glob("*.py")
            )
            code = "\n".join(own)
            for row in of[of.named_by != "any"].itertuples():
                n_listed_off += bool(re.search(rf"\b{row.column}\b", code)) != (
                    page[:2] in row.named_by.split(", ")
                )
    rows = [
        ("events that keep the plan or fail counted otherwise", n_rates_off, 0, 1e-9, "value by value, in pandas"),
        ("columns of the catalogue filled or named otherwise", n_listed_off, 0, 0, "empty cells; the pages' code"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_ledger(
    consent: Consent,
    accepted: Mapping[str, ibis.Table],
    *,
    refusing: ibis.Table | None,
    evidence: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    renewals: ibis.Table | None = None,
) -> pd.DataFrame:
    """Compare permissions, sends, renewals and the records kept of who refuses with the same rule in SQL."""
    if consent.ledger is None or consent.now is None:
        return pd.DataFrame(columns=_COLUMNS)
    words = consent.ledger.to_pandas()
    words = words.assign(**{c: pd.Series(pd.NaT, words.index) for c in _OPTIONAL if c not in words})
    engine = consent.ledger.get_backend().con.cursor()
    engine.register("words", words)
    n_history = n_opened = 0.0
    for as_of, told in consent.shares.groupby("as_of"):
        due = engine.execute(_LATEST, {"as_of": as_of}).df().groupby("purpose")[["permits", "refuses"]]
        due = due.sum().add_prefix("n_").assign(n_decided=due.size())
        n_history += told.set_index("purpose")[due.columns].sub(due, fill_value=0).abs().to_numpy().sum()
    decided = engine.execute(_LATEST, {"as_of": consent.as_of}).df()
    by_sql = decided[decided.permits][["customer_id", "purpose"]]
    permits = consent.now.filter(consent.now.permits).select("customer_id", "purpose").to_pandas()
    both = permits.merge(by_sql, how="outer", indicator="side")
    for name, opened in consent.opened.groupby("table") if len(consent.opened) else ():
        ids = accepted[name].group_by("customer_id").aggregate(n=ibis._.count()).to_pandas()
        for row in opened.itertuples():
            n_open = ids.n[ids.customer_id.isin(by_sql.customer_id[by_sql.purpose == row.purpose])].sum()
            n_all = n_open + ids.n[ids.customer_id.isna()].sum()
            n_opened += abs(row.n_permitted - n_open) + abs(row.open_share - n_all / ids.n.sum())
    n_sends_off = n_kept_off = 0
    for sends in consent.sends.itertuples():
        engine.register(
            "sent", accepted[sends.table].select("row", "customer_id", "channel", "occurred_at").to_pandas()
        )
        permits = engine.execute(_SENT, {"channel": sends.channel}).df().permits.eq(True)
        n_sends_off += abs(len(permits) - sends.n_sent) + abs(int((~permits).sum()) - sends.n_not_permitted)
    if refusing is not None:
        refuse = consent.now.filter(consent.now.refuses, consent.now.purpose == "identity_resolution").to_pandas()
        ids = accepted["customer_records"].select("customer_id").to_pandas().customer_id
        n_kept_off = len(set(ids[ids.isin(refuse.customer_id)]) ^ set(refusing.customer_id.to_pandas()))
    rows: list[tuple[str, float, float, float, str]] = []
    if groups is not None and len(groups):
        of = accepted["customer_records"].select("customer_id", "source").distinct().to_pandas()
        by = ["purpose", "source"]
        due = decided.merge(of, on="customer_id").groupby(by).permits.agg(["size", "sum"])
        told = groups.set_index(by)[["n_decided", "n_permits"]].set_axis(due.columns, axis=1)
        off = due.sub(told, fill_value=0).abs().to_numpy().sum()
        rows.append(("permissions by source counted otherwise", off, 0, 0, "the rule in plain SQL"))
    if renewals is not None:
        days = (decided.ends[decided.permits] - consent.as_of) / pd.Timedelta(days=1)
        due = by_sql.assign(
            due_within_days=pd.cut(days, [-np.inf, *DUE_DAYS], labels=list(DUE_DAYS)).astype(float)
        )
        pairs = (set(t[[*due]].itertuples(index=False, name=None)) for t in (due.dropna(), renewals.to_pandas()))
        off = len(set.symmetric_difference(*pairs))
        rows.append(("grants due for renewal listed otherwise", off, 0, 0, "the rule in plain SQL"))
    rows += [
        ("sends without permission counted otherwise by SQL", n_sends_off, 0, 0, "send by send, in plain SQL"),
        ("ids of kept records that do not refuse, or lack", n_kept_off, 0, 0, "the ledger's latest words"),
        ("consents over time counted otherwise by SQL", n_history, 0, 0, "the rule in plain SQL, date by date"),
        ("rows open to a purpose counted otherwise", n_opened, 0, 1e-9, "customer by customer, in pandas"),
        ("permissions judged otherwise by SQL", int((both.side != "both").sum()), 0, 0, "the rule in plain SQL"),
    ]
    if evidence is not None:
        listed = evidence.set_index("purpose").n_permits.reindex(PURPOSES).fillna(0)
        n_off = int((listed - by_sql.groupby("purpose").size().reindex(PURPOSES).fillna(0)).abs().sum())
        rows.append(("grants that hold, listed otherwise than by SQL", n_off, 0, 0, "the rule in plain SQL"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_times(kept: Mapping[str, ibis.Table], told: ibis.Table) -> pd.DataFrame:
    """Look table by table when each customer was last seen."""
    seen = []
    for table in (table for name, table in kept.items() if name != "consents"):
        of = table if "customer_id" in table.columns else table.mutate(customer_id=ibis.null("string"))
        for column in {"occurred_at", "recorded_at"} & set(table.columns):
            seen.append(of.group_by("customer_id").aggregate(at=of[column].max()).to_pandas())
    n_off = 0
    if seen:
        due = pd.concat(seen).dropna(subset="at").groupby("customer_id", dropna=False)["at"].max()
        given = told.to_pandas().groupby("customer_id", dropna=False).last_at.max()
        both = pd.concat([due, given], axis=1)
        n_off = int((both["at"] != both.last_at).sum())
    row = ("customers last seen at another time", n_off, 0, 0, "table by table, in pandas")
    return pd.DataFrame([row], columns=_COLUMNS)


def check_planted(consent: Consent, planted: pd.DataFrame | None) -> pd.DataFrame:
    """Compare permissions by purpose with what the simulation planted; nothing where it planted nothing."""
    if planted is None:
        return pd.DataFrame(columns=_COLUMNS)
    truth = planted.groupby("purpose").permits.sum()
    counted = consent.today.set_index("purpose").n_permits
    rows = [(f"permissions for {p}", int(counted[p]), int(n), 0, "planted ledger") for p, n in truth.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)
