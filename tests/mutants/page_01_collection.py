"""Errors planted in page 01."""

from collections.abc import Callable
from typing import Any

import ibis

from mutants.planted import Mutant

PARAMETERS = {"recount_rows": 300}


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


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.collection{target}", wrong, **more)


MUTANTS = [
    planted("rows_lost", "marking loses one row in ten", ".rows:_sound", on_some(some_lost)),
    planted("rows_doubled", "a join doubles one row in ten", ".rows:_sound", on_some(some_twice)),
    planted("first_rule", "only the first broken rule is said", ".rows:_violations", first_rule, data=("files",)),
    planted("rows_half", "quarantine keeps half of the raw row", ".rows:whole_row", half_a_row, data=("files",)),
    planted("left_out_lost", "rows that where left out are lost", ":row_places", not_left_out, data=("files",)),
    planted("text_cut", "e-mail addresses are cut to eight letters", ".rows:_accepted", cut_text),
    planted("money_rounded", "amounts are rounded to whole units", ".rows:_accepted", shifted_money),
    planted("first_decision", "the first decision counts, not the latest", ".consents:standings", first_decision),
    planted("no_end", "grants never end", ".consents:consent_history", no_end),
    planted(
        "late_refusal", "a refusal counts a year after it was made", ".consents:consent_history", late_refusal
    ),
    planted("any_name", "events of no name, from a broken release, are accepted", ".rows:impossible", any_name),
    planted(
        "no_dates_far", "rows of 1970 and 2038 are accepted", ".rows:near_dates", no_dates_far, data=("demo",)
    ),
    planted("none_late", "late deliveries go unnoticed", ".rows:late_rows", none_late, data=("demo",)),
    planted(
        "refusals_as_grants", "some refusals are read as grants", ".consents:consent_history", refusals_as_grants
    ),
]
