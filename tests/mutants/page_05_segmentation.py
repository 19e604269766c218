"""Errors planted in page 05, segments and movement."""

from dataclasses import replace

import numpy as np

from mutants.planted import Mutant

PARAMETERS = {"max_segments": 4, "n_references": 5, "n_splits": 3}
PACKAGE = "journeybook.segmentation"


def _unscaled(prepare):
    def wrong(features, *, columns):
        made = prepare(features, columns=columns)
        ones = np.ones_like(made.scale)
        return replace(made, scale=ones, centre=0 * ones, logged=np.zeros_like(made.logged))

    return wrong


def _a_log_missing(prepare):
    def wrong(features, *, columns):
        made = prepare(features, columns=columns)
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


def _without_covariance(structureless):
    def wrong(values, *, rng, **how):
        return structureless(rng.permuted(values, axis=0), rng=rng, **how)

    return wrong


MUTANTS = [
    Mutant("unscaled", "Features are clustered in their own units.", f"{PACKAGE}:prepare", _unscaled),
    Mutant("a_log_missing", "One skewed feature is not taken on a log scale.", f"{PACKAGE}:prepare",
           _a_log_missing),
    Mutant("rfm_three", "Everybody has an RFM score of 3.", f"{PACKAGE}.segments:_quantile_score",
           lambda _: lambda values, n: np.full(len(values), 3)),
    Mutant("rfm_reversed", "The best fifth has the worst score.", f"{PACKAGE}.segments:_quantile_score",
           _reversed),
    Mutant("permuted", "Targets of the steps are permuted.", f"{PACKAGE}.movement:_steps", _permuted),
    Mutant("transposed", "Steps run backwards.", f"{PACKAGE}.movement:_steps", _transposed),
    Mutant("half_as_wide", "The interval of staying has half its width.", f"{PACKAGE}:movement", _half_as_wide),
    Mutant("shuffled", "Segments are handed to other people.", f"{PACKAGE}:segment", _shuffled),
    Mutant("renumbered", "Every second snapshot numbers its segments the other way round.", f"{PACKAGE}:segment",
           _renumbered),
    Mutant("means_of_all", "The profile shows means of all people.", f"{PACKAGE}:segment", _means_of_all),
    Mutant("always_most", "The greatest number of segments tried is always made.", f"{PACKAGE}:count_groups",
           _always_most),
    Mutant("hindsight", "Segments of past dates come from the last model.", f"{PACKAGE}:segments_of_each_date",
           _hindsight),
    Mutant("without_covariance", "Clouds without groups lack the data's covariance.", f"{PACKAGE}:structureless",
           _without_covariance),
    Mutant("blind", "Every valley is taken for a slice.", f"{PACKAGE}.groups:valley",
           lambda _: lambda values, *, centres: 1.0),
]  # fmt: skip
