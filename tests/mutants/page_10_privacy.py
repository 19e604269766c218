"""Errors planted in page 10."""

import re
from dataclasses import replace

import numpy as np

from journeybook.privacy.releases import exact_figures
from journeybook.privacy.utility import Compared
from mutants.planted import Mutant

PARAMETERS = {"n_draws": 16000, "epsilons": [0.1, 1.0]}
DEMO = ("demo",)
# Low enough that clamping takes more than a hundredth of all revenue.
LOW_BOUND = {"band_edges": [250.0, 1000.0], "max_revenue": 2500.0}


def _without_noise(_sound):
    class Exact:
        def __init__(self, **_settings):
            pass

        def randomise(self, value):
            return value

    return Exact


def _settings(**changes):
    """A mechanism made with other settings than it was asked for."""
    return lambda sound: lambda **asked: sound(**asked | {k: f(asked[k]) for k, f in changes.items()})


def _one_noise_for_all(sound):
    def wrong(revenue, groups, **settings):
        released = sound(revenue, groups, **settings)
        rows = released.figures.release == "revenue"
        exact = exact_figures(revenue, groups)[1]
        noise = (released.figures.value[rows].iloc[0] - exact[0]) / groups.max_revenue[0]
        moved = np.zeros(len(released.figures))
        moved[rows] = exact + noise * groups.max_revenue - released.figures.value[rows]
        shown = {c: released.figures[c] + moved for c in ("value", "value_low", "value_high")}
        return replace(released, figures=released.figures.assign(**shown))

    return wrong


def _means_of_exact_figures(sound):
    def wrong(revenue, groups, **settings):
        released = sound(revenue, groups, **settings)
        people, sums = exact_figures(revenue, groups)
        value = released.figures.value.copy()
        value[released.figures.release == "mean revenue"] = sums / np.maximum(people, 1)
        return replace(released, figures=released.figures.assign(value=value))

    return wrong


def _spent_twice(sound):
    def wrong(revenue, groups, *, epsilon, **settings):
        return replace(sound(revenue, groups, epsilon=2 * epsilon, **settings), epsilon=epsilon)

    return wrong


def _half_spent(sound):
    def wrong(revenue, groups, *, epsilon, **settings):
        return replace(sound(revenue, groups, epsilon=epsilon / 3, **settings), epsilon=epsilon)

    return wrong


def _bands_from_the_data(sound):
    def wrong(people, **declared):
        edges = people.revenue.quantile([0.2, 0.4, 0.6, 0.8]).round(2).tolist()
        return sound(people, **declared | {"band_edges": edges})

    return wrong


def _bound_from_the_data(sound):
    return lambda people, **declared: sound(people, **declared | {"max_revenue": float(people.revenue.max())})


def _everybody_twice(sound):
    def wrong(run, name, **asked):
        table = sound(run, name, **asked)
        return table.union(table) if name == "features" else table

    return wrong


def _never_below_zero_forgotten(_sound):
    def wrong(revenue, groups):
        amounts = np.minimum(revenue.to_numpy(dtype=float), groups.max_revenue[groups.codes])
        return np.bincount(groups.codes, weights=amounts, minlength=len(groups.names))

    return wrong


def _raw_sums(_sound):
    return lambda revenue, groups: np.bincount(groups.codes, weights=revenue, minlength=len(groups.names))


def _composition_by_the_root(sound):
    def wrong(*, epsilon, n_releases, slack):
        costs = sound(epsilon=epsilon, n_releases=n_releases, slack=slack)
        return costs.assign(epsilon_advanced=epsilon * np.sqrt(costs.n_releases))

    return wrong


def _sums_not_counted(sound):
    class Forgetful(sound):
        def spend(self, epsilon, delta):
            return super().spend(epsilon, delta) if not self.spent_budget else self

    return Forgetful


def _laplace_by_its_deviation(sound):
    def wrong(epsilons, **settings):
        errors = sound(epsilons, **settings)
        return errors.assign(laplace=np.sqrt(2) * errors.laplace)

    return wrong


def _widths_ignored(sound):
    def wrong(values, **settings):
        attack = sound(values, **settings)
        return attack.assign(from_data=attack.declared)

    return wrong


def _slack_twice(sound):
    return lambda *, epsilon, n_releases, slack: sound(epsilon=epsilon, n_releases=n_releases, slack=2 * slack)


def _first_snapshot(sound):
    def wrong(features, segments, **asked):
        return sound(features.filter(features.as_of == features.as_of.min()), segments, **asked)

    return wrong


def _shown(**changes):
    """A table of the page with a column made otherwise."""
    return lambda sound: lambda *given, **asked: sound(*given, **asked).assign(**changes)


RELEASES = "journeybook.privacy.releases"


def _of_other_releases(**changes):
    """The sentence on noise and clamping is of figures with a column made otherwise."""

    def planted_in(sound):
        def wrong(released, people, groups):
            return sound(replace(released, figures=released.figures.assign(**changes)), people, groups)

        return wrong

    return planted_in


def _bias_of_people(sound):
    def wrong(released, people, groups):
        clamped = (people.revenue.to_numpy() > groups.max_revenue[groups.codes]).mean()
        said = sound(released, people, groups)
        return re.sub("clamping takes .*% off", f"clamping takes {clamped:.0%} off", said)

    return wrong


def _claims_of_one(sound):
    def wrong(*given, **asked):
        found = sound(*given, **asked)
        return replace(found, proven=found.proven.assign(epsilon=lambda t: t.epsilon / t.n_people_more))

    return wrong


def _asked_otherwise(**changes):
    return lambda sound: lambda known, **asked: sound(known, **asked | changes)


def _nobody_left_out(sound):
    def wrong(known, **asked):
        found = sound(known, **asked)
        return replace(found, rows=found.rows.assign(kept=True))

    return wrong


def _all_left_out_columns(sound):
    def wrong(known, *, steps, **asked):
        return sound(known, steps={column: listed[-1:] for column, listed in steps.items()}, **asked)

    return wrong


def _half_is_lost(sound):
    def wrong(known, **asked):
        found = sound(known, **asked)
        return replace(found, suppressed_share=found.suppressed_share / 2)

    return wrong


def _share_of_the_budget_forgotten(_sound):
    def wrong(of, _epsilon):
        return Compared(of.value.to_numpy(dtype=float), of.sensitivity.to_numpy(dtype=float))

    return wrong


MUTANTS = [
    Mutant("claims_of_one", "claims of several people are shown as those of one",
           "journeybook.privacy:audit_release", _claims_of_one),
    Mutant("exact_sums", "sums are published without noise", f"{RELEASES}:Laplace", _without_noise),
    Mutant("exact_counts", "counts are published without noise", f"{RELEASES}:Geometric", _without_noise),
    Mutant(
        "sensitivity_one", "noise of the sums as if a person spent 1", f"{RELEASES}:Laplace",
        _settings(sensitivity=lambda _: 1.0), data=("demo",)),
    Mutant("half_noise_sums", "half the noise on sums", f"{RELEASES}:Laplace", _settings(epsilon=lambda e: 2 * e)),
    Mutant(
        "half_noise_counts", "half the noise on counts", f"{RELEASES}:Geometric",
        _settings(epsilon=lambda e: 2 * e), data=("demo",)),
    Mutant("raw_sums", "revenue is added up without clamping", f"{RELEASES}:clamped_sums", _raw_sums),
    Mutant(
        "below_zero", "refunds are not clamped at 0", f"{RELEASES}:clamped_sums",
        _never_below_zero_forgotten, data=("demo",)),
    Mutant("same_seed", "every draw has one seed", f"{RELEASES}:_seed", lambda _: lambda _rng: 7),
    Mutant(
        "one_noise", "one draw of noise for all groups", "journeybook.privacy:release_figures", _one_noise_for_all
    ),
    Mutant(
        "exact_means", "means are made of exact figures", "journeybook.privacy:release_figures",
        _means_of_exact_figures,
    ),
    Mutant(
        "spent_twice", "counts and sums spend the whole budget each", "journeybook.privacy:release_figures",
        _spent_twice,
    ),
    Mutant(
        "bands_from_data", "bands are fifths of the data", "journeybook.privacy:group_people", _bands_from_the_data
    ),
    Mutant(
        "bound_from_data", "the bound is the greatest revenue", "journeybook.privacy:group_people",
        _bound_from_the_data,
    ),
    Mutant("twice", "every person stands twice in the table", "journeybook.tables:read", _everybody_twice),
    Mutant(
        "root_composition", "repeated releases add up by the root", "journeybook.privacy:composition",
        _composition_by_the_root, DEMO,
    ),
    Mutant("uncounted", "sums are not charged", f"{RELEASES}:BudgetAccountant", _sums_not_counted, DEMO),
    Mutant(
        "deviation", "mean error of Laplace noise is its deviation", "journeybook.privacy:error_curve",
        _laplace_by_its_deviation, DEMO,
    ),
    Mutant(
        "widths", "the guesser is not told how wide noise is", "journeybook.privacy:membership_attack",
        _widths_ignored,
    ),
    Mutant("slack", "slack is spent twice", "journeybook.privacy:composition", _slack_twice, DEMO),
    Mutant(
        "seed_alone", "noise hangs on the seed alone", "journeybook.privacy:seed_name",
        lambda _: lambda _people: "",
    ),
    Mutant("last_week", "the first snapshot is published", "journeybook.privacy:people_at_end", _first_snapshot),
    Mutant("twice_the_noise", "a third of the budget is used", "journeybook.privacy:release_figures",
           _half_spent, data=("demo",)),
    Mutant("reach_of_half", "intervals of people are half as wide", f"{RELEASES}:geometric_reach",
           lambda sound: lambda epsilon: sound(epsilon) // 2, data=("demo",)),
    Mutant("counts_share", "counts take another share of the budget", "journeybook.privacy:release_figures",
           lambda sound: lambda *given, **asked: sound(*given, **asked | {"count_share": 0.8})),
    Mutant("geometric_size", "geometric noise is drawn too small", "journeybook.privacy:error_curve",
           _shown(geometric=lambda t: 0.5 / t.epsilon)),
    Mutant("ceiling", "the attacker's ceiling is certainty", "journeybook.privacy:membership_attack",
           _shown(ceiling=1.0)),
    Mutant("nobody_left_out", "the largest change leaves nobody out", "journeybook.privacy:largest_change",
           lambda _: lambda _people, **_asked: 0.0),
    Mutant("no_bias_said", "the bias that is told is of sums without clamping",
           "journeybook.privacy.findings:clamped_sums", _raw_sums, parameters=LOW_BOUND),
    Mutant("bias_of_people", "the bias that is told is of people, not of their revenue",
           "journeybook.privacy:say_releases", _bias_of_people, parameters=LOW_BOUND),
    Mutant("noise_of_counts", "the noise that is told is that of one person more",
           "journeybook.privacy:say_releases", _of_other_releases(sensitivity=1.0)),
    Mutant("sum_by_root", "epsilons are added by the root", "journeybook.privacy:composition",
           _shown(epsilon_sum=lambda t: t.epsilon * np.sqrt(t.n_releases)), DEMO),
    Mutant("k_of_two", "a coarsened row is shared by two people only", "journeybook.privacy:anonymise",
           _asked_otherwise(k=2)),
    Mutant("l_of_one", "a coarsened row may tell the group", "journeybook.privacy:anonymise",
           _asked_otherwise(l_diversity=1), DEMO, {"k": 2, "l_diversity": 4}),
    Mutant("kept_all", "who stands out stays in the coarsened table", "journeybook.privacy:anonymise",
           _nobody_left_out, DEMO),
    Mutant("too_coarse", "every column is left out whole", "journeybook.privacy:anonymise", _all_left_out_columns),
    Mutant("half_lost", "half of those left out are told", "journeybook.privacy:anonymise", _half_is_lost, DEMO),
    Mutant("class_of_fewer", "one column is forgotten where people alike are counted",
           "journeybook.privacy.anonymity:_classes", lambda sound: lambda codes: sound(codes[1:] or codes)),
    Mutant("half_linked", "half of the right links are shown", "journeybook.privacy:linkage_attack",
           _shown(reidentified_share=lambda t: t.reidentified_share / 2)),
    Mutant("chance_of_links", "the chance to be linked is that of the rows", "journeybook.privacy:linkage_attack",
           _shown(expected_share=lambda t: 1 / t.n_published.clip(lower=1))),
    Mutant("half_enough", "half the budget is told to be enough", "journeybook.privacy:budgets_of_page",
           _shown(budget=lambda t: t.budget / 2)),
    Mutant("whole_budget", "each figure is taken to have the whole budget",
           "journeybook.privacy.utility:_of_page", _share_of_the_budget_forgotten),
    Mutant("within_mean", "what errors stay within is their mean", "journeybook.privacy:error_curve",
           _shown(laplace_within=lambda t: t.laplace)),
    Mutant("within_less", "what errors of counts stay within is one too little", "journeybook.privacy:error_curve",
           _shown(geometric_within=lambda t: t.geometric_within - 1)),
]  # fmt: skip
