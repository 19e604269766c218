"""Errors planted in page 05, segments and movement."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd

from mutants.planted import Mutant

PARAMETERS = {"max_segments": 4, "n_planted": 5, "n_splits": 3}
PACKAGE = "journeybook.segmentation"


def _unscaled(prepare):
    def wrong(features, **how):
        made = prepare(features, **how)
        ones = np.ones_like(made.scale)
        return replace(made, scale=ones, centre=0 * ones, logged=np.zeros_like(made.logged))

    return wrong


def _a_log_missing(prepare):
    def wrong(features, **how):
        made = prepare(features, **how)
        first = np.arange(len(made.logged)) == np.flatnonzero(made.logged)[0]
        return replace(made, logged=made.logged & ~first)

    return wrong


def _reversed(score):
    return lambda values, n_quantiles: score(-values, n_quantiles)


def _permuted(steps):
    def wrong(assignments, names):
        made = steps(assignments, names)
        return made.assign(target=np.random.default_rng(0).permutation(made["target"].to_numpy()))

    return wrong


def _transposed(steps):
    return lambda assignments, names: steps(assignments, names).rename(
        columns={"source": "target", "target": "source"}
    )


def _shuffled(segment):
    def wrong(features, **how):
        made = segment(features, **how)
        labels = np.random.default_rng(0).permutation(made.assignments["segment"].to_numpy())
        return replace(made, assignments=made.assignments.assign(segment=labels))

    return wrong


def _renumbered(segment):
    def wrong(features, **how):
        made = segment(features, **how)
        rows = made.assignments
        odd = rows["as_of"].rank(method="dense").to_numpy() % 2 == 1
        turned = rows["segment"].map(dict(zip(made.names, made.names[::-1], strict=True)))
        return replace(made, assignments=rows.assign(segment=rows["segment"].where(~odd, turned)))

    return wrong


def _means_of_all(segment):
    def wrong(features, **how):
        made = segment(features, **how)
        last = features[features["as_of"] == features["as_of"].max()]
        means = last[made.preparation.columns].astype("Float64").mean().astype(float)
        return replace(made, profile=made.profile.assign(**means.to_dict()))

    return wrong


def _always_most(count):
    def wrong(values, **how):
        return replace(count(values, **how), n_groups=1, n_slices=how["max_segments"])

    return wrong


def _hindsight(_dated):
    def wrong(features, *, found, **_how):
        rows = found.assignments
        return rows.assign(fitted_as_of=rows["as_of"], retrospective=False)

    return wrong


def _half_as_wide(movement):
    def wrong(assignments, **how):
        made = movement(assignments, **how)
        half = (made.stay_high - made.stay_low) / 4
        return replace(made, stay_low=made.stay_share - half, stay_high=made.stay_share + half)

    return wrong


def _unsteady(move_on):
    return lambda rows, *, found, before, border: move_on(rows, found=found, before=before, border=0.0)


def _own_numbers(_same):
    return lambda before, now, *, n: np.arange(n)[::-1]


def _one_day_late(declare):
    def wrong(features, *, lapsed_days, **how):
        return declare(features, lapsed_days=lapsed_days + 1, **how)

    return wrong


def _flattered(usefulness):
    def wrong(features, dated, **how):
        made = usefulness(features, dated, **how)
        return made.assign(explained=made["explained"] + 0.1)

    return wrong


def _an_hour_late(find):
    def wrong(bought, people, *, left_hours, **how):
        return find(bought, people, left_hours=left_hours + 1, **how)

    return wrong


def _any_gap(find):
    def wrong(bought, people, *, lapsed_days, **how):
        return find(bought, people, lapsed_days=lapsed_days - 1, **how)

    return wrong


def _evenly(weigh):
    return lambda values, *, telling: np.ones(values.shape[1])


def _steps_half_as_wide(movement):
    def wrong(assignments, **how):
        made = movement(assignments, **how)
        table = made.transitions
        ends = {end: (table[end] + table["share"]) / 2 for end in ("low", "high")}
        return replace(made, transitions=table.assign(**ends))

    return wrong


def _uses_narrow(usefulness):
    def wrong(features, dated, **how):
        made = usefulness(features, dated, **how)
        return made.assign(**{end: (made[end] + made["explained"]) / 2 for end in ("low", "high")})

    return wrong


def _sizes_slipped(movement):
    def wrong(assignments, **how):
        made = movement(assignments, **how)
        return replace(made, sizes=made.sizes.assign(share=np.roll(made.sizes["share"], 1)))

    return wrong


def _without_covariance(structureless):
    def wrong(values, *, rng, **how):
        return structureless(rng.permuted(values, axis=0), rng=rng, **how)

    return wrong


def _one_later(first):
    return lambda features, **how: features.query("as_of > @since", local_dict={"since": first(features, **how)})[
        "as_of"
    ].min()


def _slipped_scores(score):
    def wrong(*given, **how):
        found = score(*given, **how)
        return replace(
            found, by_segment=found.by_segment.assign(monetary=np.roll(found.by_segment["monetary"], 1))
        )

    return wrong


def _turned(refit):
    def wrong(*given, **how):
        found = refit(*given, **how)
        return replace(found, refitted=found.matched, matched=found.refitted)

    return wrong


def _not_followed(precision):
    """Moments that cannot be followed to the end count as well."""

    def wrong(triggers, bought, people, **how):
        later = bought if bought is None else bought.assign(occurred_at=bought["occurred_at"])
        if later is not None:
            end = later.iloc[[-1]].assign(
                occurred_at=later["occurred_at"].max() + timedelta(days=28), person_id=""
            )
            later = pd.concat([later, end], ignore_index=True)
        return precision(triggers, later, people, **how)

    return wrong


def _a_week_before(came):
    def wrong(asked, *more):
        return came(asked.assign(occurred_at=asked["occurred_at"] - timedelta(days=7)), *more)

    return wrong


def _of_others(proxies):
    def wrong(last, *, found, profiles):
        turned = None if profiles is None else profiles.assign(birth_decade=np.roll(profiles["birth_decade"], 1))
        return proxies(last, found=found, profiles=turned)

    return wrong


def _newcomers_left_out(segments):
    def wrong(features, **how):
        made = segments(features, **how)
        return made[~((made["as_of"] == made["as_of"].max()) & (np.arange(len(made)) % 10 == 0))]

    return wrong


MUTANTS = [
    Mutant("not_followed", "Moments count that cannot be followed for 28 days.", f"{PACKAGE}:precision",
           _not_followed),
    Mutant("same_day", "What was bought in the week before the moment counts as what followed.",
           f"{PACKAGE}.triggers:_came_true", _a_week_before),
    Mutant("of_others", "Ages are those of the person before.", f"{PACKAGE}:proxies", _of_others, data=("demo",)),
    Mutant("newcomers_left_out", "One in ten of the last date has no segment.",
           f"{PACKAGE}:segments_of_each_date", _newcomers_left_out),
    Mutant("too_late", "Movement leaves out the first snapshot whose windows are full.",
           f"{PACKAGE}:first_full_snapshot",
           _one_later),
    Mutant("slipped_scores", "Mean scores slip to the next segment.", f"{PACKAGE}:rfm_scores", _slipped_scores),
    Mutant("turned", "What is kept by renaming is taken for what is kept without.",
           f"{PACKAGE}:refit_each_snapshot", _turned),
    Mutant("unscaled", "Features are clustered in their own units.", f"{PACKAGE}:prepare", _unscaled),
    Mutant("a_log_missing", "One skewed feature is not taken on a log scale.", f"{PACKAGE}:prepare",
           _a_log_missing, data=("demo",)),
    Mutant("rfm_three", "Everybody has an RFM score of 3.", f"{PACKAGE}.segments:_quantile_score",
           lambda _: lambda values, n: np.full(len(values), 3)),
    Mutant("rfm_reversed", "The best fifth has the worst score.", f"{PACKAGE}.segments:_quantile_score",
           _reversed, data=("demo",)),
    Mutant("permuted", "Targets of the steps are permuted.", f"{PACKAGE}.movement:_steps", _permuted),
    Mutant("transposed", "Steps run backwards.", f"{PACKAGE}.movement:_steps", _transposed),
    Mutant("half_as_wide", "The interval of staying has half its width.", f"{PACKAGE}:movement", _half_as_wide),
    Mutant("steps_half_as_wide", "Intervals of steps have half their width.", f"{PACKAGE}:movement",
           _steps_half_as_wide),
    Mutant("sizes_slipped", "Sizes of segments slip to the next date.", f"{PACKAGE}:movement", _sizes_slipped),
    Mutant("shuffled", "Segments are handed to other people.", f"{PACKAGE}:segment", _shuffled),
    Mutant("renumbered", "Every second snapshot numbers its segments the other way round.", f"{PACKAGE}:segment",
           _renumbered, data=("demo",)),
    Mutant("means_of_all", "The profile shows means of all people.", f"{PACKAGE}:segment", _means_of_all),
    Mutant("always_most", "The greatest number of segments tried is always made.", f"{PACKAGE}:count_groups",
           _always_most),
    Mutant("hindsight", "Segments of past dates come from the last model.", f"{PACKAGE}:segments_of_each_date",
           _hindsight),
    Mutant("without_covariance", "Clouds without groups lack the data's covariance.", f"{PACKAGE}:structureless",
           _without_covariance),
    Mutant("blind", "Every valley between clusters is taken for a slice.", f"{PACKAGE}.groups:valley",
           lambda _: lambda values, *, centres: (1.0, 1.0)),
    Mutant("blind_alone", "Single features are not asked for valleys.", f"{PACKAGE}.groups:valleys_alone",
           lambda alone: lambda values, **asked: alone(values, **asked).assign(valley=1.0), data=("demo",)),
    Mutant("sees_groups", "A valley counts from any depth, proven or not.", f"{PACKAGE}.groups:proven",
           lambda _: lambda rows: rows["valley"] <= 2.5, data=("demo",)),
    Mutant("evenly", "All features weigh the same.", f"{PACKAGE}.preparation:weigh", _evenly, data=("demo",)),
    Mutant("unsteady", "Who stands near a border moves to and fro.", f"{PACKAGE}.movement:move_on", _unsteady),
    Mutant("own_numbers", "Each date numbers its segments as it likes.", f"{PACKAGE}.segments:same_numbers",
           _own_numbers, data=("demo",)),
    Mutant("one_day_late", "A buyer lapses a day late.", f"{PACKAGE}:declare", _one_day_late),
    Mutant("flattered", "What segments explain is told too high by ten points.", f"{PACKAGE}:usefulness",
           _flattered),
    Mutant("an_hour_late", "A basket counts as left an hour late.", f"{PACKAGE}:find_triggers", _an_hour_late,
           data=("demo",)),
    Mutant("may_all", "Triggers may be written to whoever they are of.", f"{PACKAGE}:with_consent",
           lambda mark: lambda run, moments: mark(run, moments).assign(may_email=True)),
    Mutant("uses_narrow", "Intervals of what is explained are half as wide.", f"{PACKAGE}:usefulness",
           _uses_narrow),
    Mutant("flows", "Whoever enters late counts as having left.", f"{PACKAGE}.movement:_flows",
           lambda make: lambda *given: make(*given).assign(n_entered=lambda t: t["n_left"] + 1)),
    Mutant("any_gap", "A buyer is back a day before having lapsed.", f"{PACKAGE}:find_triggers", _any_gap),
]  # fmt: skip
