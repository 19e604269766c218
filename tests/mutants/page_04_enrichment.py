"""Errors planted in page 04, features as of a date."""

from dataclasses import replace
from datetime import timedelta

import ibis
import numpy as np

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


def _a_day_early(make):
    return lambda rows, days: make(rows.mutate(at=rows["at"] - ibis.interval(days=1)), days)


def _known_at_once(make):
    return lambda *tables, **how: make(*tables, **(how | {"known_after_days": 0}))


def _swapped(make):
    def wrong(events, **how):
        made = make(events, **how)
        return made.mutate(has_basket=made.converts, converts=made.has_basket)

    return wrong


def _bare_count(rate):
    return lambda n, first_days: n * 28.0 / 91.0


def _everyone(make):
    return lambda features, *seen, **how: make(features.filter(ibis.literal(False)), *seen, **how)


def _all_totals(make):
    return lambda columns, **how: make(columns, **how).assign(kind="total")


def _fitted_on_all(folds):
    return lambda n: [(np.ones(n, dtype=bool), test) for _, test in folds(n)]


def _from_the_end(make):
    def wrong(*given):
        examples = make(*given)
        return replace(examples, as_of=examples.later)

    return wrong


def _left_out(make):
    def wrong(transactions, **how):
        lines = make(transactions, **how)
        return lines.filter((lines.person_id.hash() % 20 != 0).fill_null(True))

    return wrong


def _a_month_early(make):
    return lambda *given, **how: make(*given, **how).replace(day=1) - timedelta(days=31)


def _without_last(make):
    return lambda *given, **how: make(*given, **how)[:-1]


def _other_groups(make):
    def wrong(transactions, products, *, n_groups, **how):
        found = make(transactions, products, n_groups=n_groups + 1, **how)
        return {name: found[name] for name in [*found][1:]}

    return wrong


def _tenths(make):
    return lambda *given, **how: make(*given, **how).assign(revenue_low=lambda t: t.revenue_low * 0.9)


def _of_the_placed(make):
    return lambda *given, **how: make(*given, **how).assign(known_share=lambda t: t.n_known / t.n_with_postcode)


def _flattered(make):
    def wrong(*given, **how):
        found = make(*given, **how)
        return replace(found, figures=found.figures.assign(roc_auc=found.figures.roc_auc + 0.02))

    return wrong


def _end_unknown(make):
    def wrong(*given):
        examples = make(*given)
        return replace(examples, later=(examples.as_of + examples.later) / 2)

    return wrong


def _neighbours(join):
    def wrong(features, third_party, *, places):
        joined = join(features, third_party, places=places)
        new = [c for c in joined.columns if c not in features.columns]
        return joined.mutate(**{c: joined[c].lag().over(order_by=joined.row) for c in new})

    return wrong


def _some_registered(make):
    return lambda *given, **how: make(*given, **how).filter(ibis._.row % 20 != 0)


def _gained_by_others(make):
    def wrong(*given, **how):
        return make(*given, **how).assign(gain=lambda t: t.explained - t.gain)

    return wrong


def _half_as_sure(make):
    def wrong(*given, **how):
        return make(*given, **how).assign(gain_low=lambda t: (t.gain + t.gain_low) / 2)

    return wrong


def _taught_last(make):
    def wrong(*given, **how):
        made = make(*given, **how)
        last = made[made.as_of == made.as_of.max()].set_index("column").constant
        return made.assign(constant=made.column.map(last))

    return wrong


MUTANTS = [
    Mutant("taught_last", "People of the last date teach how earlier ones are filled in.",
           f"{PACKAGE}:feature_imputers", _taught_last),
    Mutant("opposite_tone", "Texts that praise count as those that blame.", f"{PACKAGE}:written",
           lambda make: lambda events: None if make(events) is None else make(events).mutate(tone=-ibis._.tone),
           data=("demo",)),
    Mutant("gained_by_others", "What a source adds is what the others explain.", f"{PACKAGE}:ablation",
           _gained_by_others),
    Mutant("half_as_sure", "Lower ends of what a source adds lie half as far off.", f"{PACKAGE}:ablation",
           _half_as_sure),
    Mutant("stages_of_customers", "Stages leave out who is only registered.", f"{PACKAGE}:people_by_stage",
           lambda make: lambda features, registered: make(features, registered.limit(0))),
    Mutant("left_out", "One person in twenty is left out, though all could be described.",
           f"{PACKAGE}:limit_people", _left_out),
    Mutant("a_month_early", "The last snapshot is a month early.", f"{PACKAGE}:last_date", _a_month_early),
    Mutant("without_last", "The last snapshot is not made.", f"{PACKAGE}:snapshot_dates", _without_last),
    Mutant("other_groups", "The department that sells most is passed over.", f"{PACKAGE}:largest_groups",
           _other_groups),
    Mutant("low_quartile", "The lower quartile of revenue is a tenth too low.", f"{PACKAGE}:features_by_date",
           _tenths),
    Mutant("of_the_placed", "The share known is of those with a postcode.", f"{PACKAGE}:coverage", _of_the_placed),
    Mutant("flattered", "Both ROC AUC are 0.02 too high.", f"{PACKAGE}:leak_trial", _flattered),
    Mutant("end_unknown", "The leaking features lie halfway to those of the end.", f"{PACKAGE}.leak:_examples",
           _end_unknown),
    Mutant("some_registered", "One registered person in twenty is left out.", f"{PACKAGE}:registered_people",
           _some_registered),
    Mutant("last_release", "Every snapshot gets the last third-party release.", f"{PACKAGE}:join_third_party",
           _last_release),
    Mutant("last_postcode", "Every snapshot gets the postcode that was recorded last.",
           f"{PACKAGE}:join_third_party", _last_postcode),
    Mutant("known_only", "People of whom no third-party attribute is known are dropped by the join.",
           f"{PACKAGE}:join_third_party", _known_only),
    Mutant("shares", "Shares of two departments are halved and swapped.", f"{PACKAGE}:feature_snapshots", _shares),
    Mutant("tomorrow", "Features hold one day too much.", f"{PACKAGE}:feature_snapshots", _tomorrow),
    Mutant("lines", "Lines are counted as baskets.", f"{PACKAGE}.snapshots:_baskets", _lines, data=("demo",)),
    Mutant("leak_tomorrow", "Features of a question hold the day of the question itself.",
           f"{PACKAGE}.leak:feature_snapshots", _tomorrow, data=("demo",)),
    Mutant("cut_off_asked", "Contacts whose outcome the end cuts off are asked of.",
           f"{PACKAGE}.leak:coupon_examples",
           lambda make: lambda lines, contacts, **when: make(lines, contacts.drop("cut_off"), **when)),
    Mutant("leak_from_the_end", "The features of a question are those of the end.", f"{PACKAGE}.leak:_examples",
           _from_the_end),
    Mutant("a_day_early", "Windows of visits and messages hold the date itself.",
           f"{PACKAGE}.behaviour:_in_window", _a_day_early),
    Mutant("known_at_once", "The outcome of a message counts before it can be known.", f"{PACKAGE}:add_behaviour",
           _known_at_once),
    Mutant("swapped", "Visits with a basket and with a purchase are exchanged.", f"{PACKAGE}:visits", _swapped),
    Mutant("bare_count", "Who was first seen inside a window counts as if there for all of it.",
           f"{PACKAGE}.habits:rate", _bare_count, parameters={"max_snapshots": 12}, data=("demo",)),
    Mutant("everyone_registered", "Customers are among those who have not bought.", f"{PACKAGE}:registered_people",
           _everyone),
    Mutant("untold", "A feature is missing in the dictionary.", f"{PACKAGE}:feature_dictionary",
           lambda make: lambda *given, **how: make(*given, **how).iloc[1:]),
    Mutant("neighbours", "Third-party attributes are those of the person before.", f"{PACKAGE}:join_third_party",
           _neighbours, data=("demo",)),
    Mutant("all_totals", "Every feature is called a running total.", f"{PACKAGE}:feature_dictionary", _all_totals),
    Mutant("fitted_on_all", "Sources are judged on people that the models have seen.",
           f"{PACKAGE}.ablation:_folds", _fitted_on_all),
    Mutant("mostly_answered", "Who answers less than half of the messages counts as answering none.",
           f"{PACKAGE}.ablation:xlogy", lambda xlogy: lambda y, p: xlogy(y.round(), p)),
    Mutant("window", "The window of 28 days holds 91.", f"{PACKAGE}.snapshots:_features", _window, data=("demo",)),
    Mutant("recency", "Recency counts from the first basket.", f"{PACKAGE}.snapshots:_features", _recency,
           data=("demo",)),
    Mutant("rounded", "Revenue is rounded to whole units.", f"{PACKAGE}.snapshots:_features", _rounded,
           data=("demo",)),
]  # fmt: skip
