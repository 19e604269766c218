"""Errors planted in page 01."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import ibis

from mutants.planted import Mutant

# Somebody's own files have the demo's plan.
PARAMETERS = {"recount_rows": 300, "tracking_plan": str(files("journeybook.datasets.demo") / "tracking_plan.yaml")}


def on_some(change: Callable) -> Callable:
    """A change of the sound rows of events and contacts."""

    def planted(sound: Callable) -> Callable:
        def wrong(table: Any, broken: Any) -> Any:
            kept = sound(table, broken)
            return change(kept) if {"event", "contact_id"} & set(table.columns) else kept

        return wrong

    return planted


def first_decision(sound: Callable) -> Callable:
    def wrong(ledger: Any, *, as_of: Any) -> Any:
        first = ibis.row_number().over(group_by=[ledger.customer_id, ledger.purpose], order_by=ledger.occurred_at)
        return sound(ledger.mutate(first=first).filter(ibis._.first == 0).drop("first"), as_of=as_of)

    return wrong


def no_end(sound: Callable) -> Callable:
    return lambda ledger, **asked: sound(ledger.mutate(expires_at=ibis.null("timestamp(6)")), **asked)


def late_refusal(sound: Callable) -> Callable:
    """A refusal counts a year after it was made."""

    def wrong(ledger: Any, **asked: Any) -> Any:
        later = ibis.ifelse(ledger.granted, ledger.occurred_at, ledger.occurred_at + ibis.interval(days=365))
        return sound(ledger.mutate(occurred_at=later), **asked)

    return wrong


def cut_text(sound: Callable) -> Callable:
    def wrong(name: str, rows: Any) -> Any:
        kept = sound(name, rows)
        return kept.mutate(email=kept.email.left(8)) if "email" in kept.columns else kept

    return wrong


def shifted_money(sound: Callable) -> Callable:
    def wrong(name: str, rows: Any) -> Any:
        kept = sound(name, rows)
        money = {"revenue": kept.revenue.round(0).cast("decimal(18, 4)")} if "revenue" in kept.columns else {}
        return kept.mutate(**money)

    return wrong


def refusals_as_grants(sound: Callable) -> Callable:
    def wrong(ledger: Any, **asked: Any) -> Any:
        return sound(ledger.mutate(granted=ledger.granted | (ledger.row % 50 == 0)), **asked)

    return wrong


def some_lost(table: Any) -> Any:
    return table.filter(table.row % 10 != 0)


def some_twice(table: Any) -> Any:
    return table.union(table.filter(table.row % 10 == 0))


def first_rule(sound: Callable) -> Callable:
    def wrong(*asked: Any) -> Any:
        said = sound(*asked)
        nth = ibis.row_number().over(group_by=said.row, order_by=said.column)
        return said.mutate(nth=nth).filter(ibis._.nth == 0).drop("nth")

    return wrong


def half_a_row(sound: Callable) -> Callable:
    return lambda table, *, without: sound(table, without=[*without, *table.columns[: len(table.columns) // 2]])


def not_left_out(sound: Callable) -> Callable:
    return lambda *args, **asked: sound(*args, **asked).assign(n_left_out=0)


def no_dates_far(_sound: Callable) -> Callable:
    return lambda tables, **days: {}


def any_name(_sound: Callable) -> Callable:
    return lambda schema, table: []


def none_late(sound: Callable) -> Callable:
    return lambda accepted: sound(accepted).limit(0)


def any_value(sound: Callable) -> Callable:
    def wrong(text: Any, keyword: str, limit: Any) -> tuple:
        broken, problem = sound(text, keyword, limit)
        return broken & (keyword == "required"), problem

    return wrong


def any_order(sound: Callable) -> Callable:
    return lambda events, plan: sound(events, plan).iloc[::2]


def year_before(sound: Callable) -> Callable:
    """The ledger is asked a year before each send."""

    def wrong(contacts: Any, ledger: Any) -> Any:
        return sound(contacts, ledger.mutate(occurred_at=ledger.occurred_at + ibis.interval(days=365)))

    return wrong


def who_permits(sound: Callable) -> Callable:
    return lambda accepted, consent: accepted["customer_records"].anti_join(sound(accepted, consent), "row")


def known_at_once(sound: Callable) -> Callable:
    """A grant counts from when it was given, not from when it reached the ledger."""
    return lambda ledger, **asked: sound(ledger.mutate(recorded_at=ledger.occurred_at), **asked)


def by_the_known(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        opened, gone = sound(*given, **asked)
        return opened.assign(open_share=opened.n_permitted / opened.n_rows), gone

    return wrong


def one_month_off(sound: Callable) -> Callable:
    def wrong(*given: Any, **asked: Any) -> Any:
        shares = sound(*given, **asked)
        first = shares.as_of == shares.as_of.min()
        return shares.assign(n_permits=shares.n_permits.mask(first, shares.n_permits - 1))

    return wrong


def receipts_unseen(sound: Callable) -> Callable:
    return lambda accepted: sound({name: t for name, t in accepted.items() if name != "transactions"})


def records_not_ids(sound: Callable) -> Callable:
    def wrong(consent: Any, records: Any) -> Any:
        return sound(consent, records.mutate(source=records.source + ibis.ifelse(records.row % 7 == 0, "2", "")))

    return wrong


def a_month_at_most(sound: Callable) -> Callable:
    return lambda grants: sound(grants.mutate(days=grants.days + 30))


def accepted_alone(sound: Callable) -> Callable:
    """Rates are of accepted events, so that none of a broken release fails."""
    return lambda events, found, *more: sound(None if events is None else found.accepted["events"], found, *more)


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.collection{target}", wrong, **more)


MUTANTS = [
    planted("known_at_once", "grants count before they are recorded", ".consents:consent_history", known_at_once),
    planted("by_the_known", "rows of nobody count as closed", ".consents:open_rows", by_the_known),
    planted(
        "one_month_off", "one permission of the first date is missed", ".consents:consent_history", one_month_off
    ),
    Mutant(
        "receipts_unseen",
        "receipts do not tell when a customer was last seen",
        "journeybook.tables:last_times",
        receipts_unseen,
    ),
    planted("rows_lost", "marking loses one row in ten", ".rows:_sound", on_some(some_lost)),
    planted("rows_doubled", "a join doubles one row in ten", ".rows:_sound", on_some(some_twice), data=("demo",)),
    planted("first_rule", "only the first broken rule is said", ".rows:_violations", first_rule, data=("files",)),
    planted("rows_half", "quarantine keeps half of the raw row", ".rows:whole_row", half_a_row, data=("files",)),
    Mutant(
        "lines_unread",
        "a line of each file is not read",
        "journeybook.tables:source_lines",
        lambda sound: lambda run: sound(run).assign(n_read=lambda t: t.n_read - 1),
    ),
    planted("left_out_lost", "rows that where left out are lost", ":row_places", not_left_out, data=("files",)),
    planted("text_cut", "e-mail addresses are cut to eight letters", ".rows:_accepted", cut_text),
    planted(
        "money_rounded", "amounts are rounded to whole units", ".rows:_accepted", shifted_money, data=("demo",)
    ),
    planted("first_decision", "the first decision counts, not the latest", ".consents:standings", first_decision),
    planted(
        "year_before",
        "sends are held against the ledger a year before",
        ".consents:unpermitted_sends",
        year_before,
    ),
    planted(
        "who_permits", "records of those who permit are kept as of who refuses", ":refusing_records", who_permits
    ),
    planted("all_go_on", "rows of those who withdrew go on", ":goes_on", lambda _: lambda accepted, _c: accepted),
    planted("no_end", "grants never end", ".consents:consent_history", no_end),
    planted(
        "late_refusal", "a refusal counts a year after it was made", ".consents:consent_history", late_refusal
    ),
    planted("any_name", "events of no name, from a broken release, are accepted", ".rows:impossible", any_name),
    planted(
        "no_dates_far", "rows of 1970 and 2038 are accepted", ".rows:near_dates", no_dates_far, data=("demo",)
    ),
    planted("sources_split", "records of one source count as two", ":shares_by_group", records_not_ids),
    planted("renewed_late", "renewals are due a month later than they are", ":renewals_due", a_month_at_most),
    planted("accepted_alone", "rates of failure are of accepted events", ":track", accepted_alone),
    planted(
        "own_code_alone",
        "columns that shared code reads are called unread",
        ".catalogue:_words_of",
        lambda sound: lambda page: sound(page) - {"session_id", "occurred_at"},
    ),
    planted("ended_grants", "evidence is counted of grants that have ended", ".evidence:said", no_end),
    planted(
        "any_value", "a property that is there may have any value", ".plan:_judged", any_value, data=("demo",)
    ),
    planted(
        "any_order", "half of the events out of order go unnoticed", ":out_of_order", any_order, data=("demo",)
    ),
    planted("none_late", "late deliveries go unnoticed", ".rows:late_rows", none_late, data=("demo",)),
    planted(
        "refusals_as_grants", "some refusals are read as grants", ".consents:consent_history", refusals_as_grants
    ),
]
