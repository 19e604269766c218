"""Errors planted in page 04, features as of a date."""

from dataclasses import replace
from datetime import timedelta

import ibis

from mutants.planted import Mutant

PARAMETERS = {"max_snapshots": 6}
PACKAGE = "journeybook.enrichment"
LONG_AGO = ibis.literal("2000-01-01").cast("timestamp(6)")


def _last_release(join):
    def wrong(features, third_party, *, places):
        last = third_party.filter(third_party.as_of == third_party.as_of.max())
        return join(features, last.mutate(as_of=LONG_AGO), places=places)

    return wrong


def _last_postcode(join):
    def wrong(features, third_party, *, places):
        newest = ibis.row_number().over(group_by=places.person_id, order_by=places.known_from.desc())
        last = places.mutate(newest=newest).filter(ibis._.newest == 0)
        return join(features, third_party, places=last.mutate(known_from=LONG_AGO))

    return wrong


def _known_only(join):
    def wrong(features, third_party, *, places):
        joined = join(features, third_party, places=places)
        return joined.filter(joined.third_party_known)

    return wrong


def _shares(make):
    def wrong(transactions, **how):
        features = make(transactions, **how)
        first, second = list(how["groups"])[:2]
        return features.mutate(**{first: features[second] / 2, second: features[first] / 2})

    return wrong


def _tomorrow(make):
    def wrong(transactions, *, as_of_dates, **how):
        later = make(transactions, as_of_dates=[date + timedelta(days=1) for date in as_of_dates], **how)
        return later.mutate(as_of=later.as_of - ibis.interval(days=1))

    return wrong


def _lines(make):
    def wrong(lines):
        return make(lines.mutate(basket_id=lines.row.cast("string")))

    return wrong


def _window(make):
    return lambda sums: make(sums.mutate(revenue_28d=sums.revenue_91d, n_baskets_28d=sums.n_baskets_91d))


def _recency(make):
    return lambda sums: make(sums.mutate(last_at=sums.first_at))


def _rounded(make):
    return lambda sums: make(sums.mutate(revenue=sums.revenue.round(0)))


def _from_the_end(make):
    def wrong(*given):
        examples = make(*given)
        return replace(examples, as_of=examples.later)

    return wrong


MUTANTS = [
    Mutant("last_release", "Every snapshot gets the last third-party release.", f"{PACKAGE}:join_third_party",
           _last_release),
    Mutant("last_postcode", "Every snapshot gets the postcode that was recorded last.",
           f"{PACKAGE}:join_third_party", _last_postcode),
    Mutant("known_only", "People of whom no third-party attribute is known are dropped by the join.",
           f"{PACKAGE}:join_third_party", _known_only),
    Mutant("shares", "Shares of two departments are halved and swapped.", f"{PACKAGE}:feature_snapshots", _shares),
    Mutant("tomorrow", "Features hold one day too much.", f"{PACKAGE}:feature_snapshots", _tomorrow),
    Mutant("lines", "Lines are counted as baskets.", f"{PACKAGE}.snapshots:_baskets", _lines),
    Mutant("leak_tomorrow", "Features of a question hold the day of the question itself.",
           f"{PACKAGE}.leak:feature_snapshots", _tomorrow),
    Mutant("leak_from_the_end", "The features of a question are those of the end.", f"{PACKAGE}.leak:_examples",
           _from_the_end),
    Mutant("window", "The window of 28 days holds 91.", f"{PACKAGE}.snapshots:_features", _window),
    Mutant("recency", "Recency counts from the first basket.", f"{PACKAGE}.snapshots:_features", _recency),
    Mutant("rounded", "Revenue is rounded to whole units.", f"{PACKAGE}.snapshots:_features", _rounded),
]  # fmt: skip
