"""How much each agreement tells: the model of Fellegi and Sunter, fitted by EM."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from journeybook.identity.comparison import LEVEL_LABELS, N_EQUAL, TOP_LEVEL, ComparedPairs
from journeybook.identity.records import Field

# EM stops when no probability changes by more than this.
TOLERANCE = 1e-6
# Relatives who share what is personal, as a child named after a parent or twins, are a share known beforehand as
# if it had been seen in so many pairs; the others agree by chance.
NAMESAKE_SHARE, N_KIN_BEFORE = 0.1, 20


@dataclass(frozen=True, eq=False)
class LinkageModel:
    """What agreement and disagreement on each field says about two records being one person.

    Attributes:
        weights: One row a field and level: `field`, `level`, `label`, `m_probability`, `u_probability` and
            `household_probability` (shares of matches, strangers, households), `weight_bits` (log2 of m / u).
        passes: One row a blocking rule: `rule`, `n_pairs`, `n_matches` and `n_household` (expected),
            `n_iterations`, `converged`.
        prior: Probability that two records drawn at random are one person.
        household_prior: Probability that they are two people of one household.
        patterns: The compared patterns: `pattern`, `n`, a level a field, `weight_bits` (log2 of the odds of a
            match, prior included), `probability` of a match.
        n_matches: Expected number of matches among the pairs compared.
        converged: Whether every pass of EM met its tolerance before its limit.
    """

    weights: pd.DataFrame
    passes: pd.DataFrame
    prior: float
    household_prior: float
    patterns: pd.DataFrame
    n_matches: float
    converged: bool


def fit_linkage(pairs: ComparedPairs, *, max_iterations: int) -> LinkageModel:
    """Estimate how much each field's agreement tells, without labels.

    A pair is a match, two people of one household, or two strangers (three latent classes, Winkler 1993:
    with two, relatives who share name, address and phone pass for matches). What strangers share by chance,
    u, comes from random pairs, less the matches among them. What matches share, m, and what households share
    come from EM (Winkler 1988), run once for each blocking rule on the fields outside that rule, because the
    rule's own fields agree in all its pairs; the passes are averaged by their expected numbers. On fields
    marked personal, people of one household agree hardly more than by chance: what is known beforehand
    (`NAMESAKE_SHARE`) and what the pairs tell are pooled. A missing value tells nothing.

    Within a class, fields count as independent, but those beside each other (address and postcode). Relatives of
    one name, of whom a record lacks the birth date, stay too alike for the probabilities to be quite right.

    A pass of EM that reaches `max_iterations` is reported as not converged.

    Raises:
        ValueError: `max_iterations` is below 1.
    """
    if max_iterations < 1:
        raise ValueError(f"max_iterations is {max_iterations}: needed is 1 or more.")
    at_random = {field.name: _shares_at_random(pairs, field) for field in pairs.fields}
    n_random = max(int(pairs.random_patterns.n.sum()), 1)
    priors = np.zeros(2)
    levels = {name: np.zeros((3, len(shares))) for name, shares in at_random.items()}
    for _ in range(3):  # u needs the matches among random pairs, which need m, which needs u.
        chance = {f: _by_chance(shares, levels[f][:2], priors, n_random) for f, shares in at_random.items()}
        passes, levels = _all_passes(pairs, chance, max_iterations)
        priors = _priors(passes, levels, pairs)
    patterns = _scored(pairs, levels, priors)
    # There are at least as many matches as were found.
    priors[0] = max(priors[0], (patterns.n * patterns.probability).sum() / max(pairs.n_possible, 1))
    patterns = _scored(pairs, levels, priors)
    return LinkageModel(
        weights=_weight_rows(pairs.fields, levels),
        passes=passes.assign(rule=[" + ".join(rule) for rule in passes.rule]),
        prior=float(priors[0]),
        household_prior=float(priors[1]),
        patterns=patterns,
        n_matches=float((patterns.n * patterns.probability).sum()),
        converged=bool(passes.converged.astype(bool).all()),
    )


def apply_linkage(model: LinkageModel, pairs: ComparedPairs) -> LinkageModel:
    """Return a model fitted before with the patterns of other pairs, so that all are weighed alike."""
    names = ["m_probability", "household_probability", "u_probability"]
    levels = {name: of_field[names].to_numpy(dtype=float).T for name, of_field in model.weights.groupby("field")}
    patterns = _scored(pairs, levels, np.array([model.prior, model.household_prior]))
    return replace(model, patterns=patterns, n_matches=float((patterns.n * patterns.probability).sum()))


def _shares_at_random(pairs: ComparedPairs, field: Field) -> np.ndarray:
    """Return the share of each level: of all pairs where values are equal, of random ones where they are not."""
    known = pairs.random_patterns[pairs.random_patterns[field.name] >= 0]
    counts = np.bincount(known[field.name], weights=known.n, minlength=TOP_LEVEL[field.kind] + 1)
    if field.name not in pairs.equal_shares:
        return counts / max(counts.sum(), 1.0)
    equal = pairs.equal_shares[field.name]
    unlike = counts[: -len(equal)]
    return np.append(unlike / max(unlike.sum(), 1.0) * (1 - equal.sum()), equal)


def _by_chance(share: np.ndarray, related: np.ndarray, priors: np.ndarray, n_random: int) -> np.ndarray:
    """Return the share of levels among strangers: of all pairs, less matches and households."""
    share = (share - priors @ related) / (1 - priors.sum())
    share = np.maximum(share, 0.5 / n_random)
    return share / share.sum()


def _all_passes(
    pairs: ComparedPairs, chance: dict[str, np.ndarray], max_iterations: int
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    rows, learnt = [], {name: np.zeros((2, len(values))) for name, values in chance.items()}
    for position, rule in enumerate(pairs.blocking):
        mine = pairs.patterns[(pairs.patterns.rules.to_numpy() >> position) & 1 == 1]
        free = [field for field in pairs.fields if field.column not in rule]
        if mine.empty or not free:
            continue
        shares, levels, n_iterations, converged = _em(mine, free, chance, max_iterations)
        expected = shares[:2] * mine.n.sum()
        rows.append((rule, int(mine.n.sum()), *expected, n_iterations, converged))
        for field in free:
            learnt[field.name] += expected[:, None] * levels[field.name][:2]
    columns = ["rule", "n_pairs", "n_matches", "n_household", "n_iterations", "converged"]
    levels = {}
    for field in pairs.fields:
        match, kin = learnt[field.name]
        kin = _among_kin(kin, chance[field.name], field.kind) if field.personal else _shares(kin, field.kind)
        levels[field.name] = np.stack([_shares(match, field.kind), kin, chance[field.name]])
    return pd.DataFrame(rows, columns=columns), levels


def _em(
    patterns: pd.DataFrame, fields: Sequence[Field], chance: dict[str, np.ndarray], max_iterations: int
) -> tuple[np.ndarray, dict[str, np.ndarray], int, bool]:
    """Return the shares of the classes, of the levels by class, the iterations, and whether it converged."""
    n = patterns.n.to_numpy(dtype=float)
    seen = {field.name: patterns[field.name].to_numpy() for field in fields}
    levels = {}
    for field in fields:
        by_chance = chance[field.name]
        # A start on the right side: matches mostly agree, on all but where a record comes from.
        agrees = by_chance if field.kind == "source" else _agreeing(field.kind)
        kin = _among_kin(np.zeros(len(by_chance)), by_chance, field.kind) if field.personal else agrees
        levels[field.name] = np.stack([agrees, kin, by_chance])
    shares = np.array([0.4, 0.2, 0.4])
    converged, iteration = False, 0
    while iteration < max_iterations and not converged:
        iteration += 1
        expected = n * _posterior(seen, levels, shares)
        renewed = expected.sum(axis=1) / n.sum()
        change = float(np.abs(renewed - shares).max())
        shares = renewed
        for field in fields:
            known = seen[field.name] >= 0
            for position in (0, 1):
                of_level, size = seen[field.name][known], levels[field.name].shape[1]
                counts = np.bincount(of_level, weights=expected[position, known], minlength=size)
                updated = _shares(counts, field.kind)
                if field.personal and position:
                    updated = _among_kin(counts, chance[field.name], field.kind)
                change = max(change, float(np.abs(updated - levels[field.name][position]).max()))
                levels[field.name][position] = updated
        converged = change <= TOLERANCE
    return shares, levels, iteration, converged


def _posterior(seen: dict[str, np.ndarray], levels: dict[str, np.ndarray], shares: np.ndarray) -> np.ndarray:
    """Return the probability of each class for each pattern, shape (3, patterns)."""
    log_odds = np.log(np.maximum(shares, 1e-300))[:, None] + np.zeros(len(next(iter(seen.values()))))
    for name, level in seen.items():
        log_odds += np.where(level >= 0, np.log(levels[name])[:, level], 0.0)
    log_odds -= log_odds.max(axis=0)
    odds = np.exp(log_odds)
    return odds / odds.sum(axis=0)


def _agreeing(kind: str) -> np.ndarray:
    n_equal, n_unlike = N_EQUAL[kind], TOP_LEVEL[kind] + 1 - N_EQUAL[kind]
    return np.append(np.full(n_unlike, 0.1 / n_unlike), np.full(n_equal, 0.9 / n_equal))


def _shares(counts: np.ndarray, kind: str) -> np.ndarray:
    """Return shares; half a pair is added to each level, so that no level has probability 0."""
    if counts.sum() == 0:
        return _agreeing(kind)
    return (counts + 0.5) / (counts + 0.5).sum()


def _among_kin(counts: np.ndarray, chance: np.ndarray, kind: str) -> np.ndarray:
    n_equal = N_EQUAL[kind]
    alike = np.append(np.zeros(len(chance) - n_equal), chance[-n_equal:] / chance[-n_equal:].sum())
    before = (1 - NAMESAKE_SHARE) * chance + NAMESAKE_SHARE * alike
    return (counts + N_KIN_BEFORE * before) / (counts.sum() + N_KIN_BEFORE)


def _priors(passes: pd.DataFrame, levels: dict[str, np.ndarray], pairs: ComparedPairs) -> np.ndarray:
    """Return the shares of matches and of household pairs among all possible pairs.

    A rule that finds a share of the matches (that on which its fields agree) tells how many there are; the
    middle of the rules' answers is taken.
    """
    personal = {field.name for field in pairs.fields if field.personal}
    n_equal = {field.name: N_EQUAL[field.kind] for field in pairs.fields}
    totals: list[list[float]] = [[], []]
    for rule, *expected in passes[["rule", "n_matches", "n_household"]].itertuples(index=False):
        for position, n_found in enumerate(expected):
            caught = np.prod([levels[name][position, -n_equal[name] :].sum() for name in rule if name in levels])
            if position == 0 or not personal & set(rule):
                totals[position].append(n_found / max(caught, 0.01))
    middles = np.array([np.median(found) if found else 0.0 for found in totals])
    return np.clip(middles, [1.0, 0.0], 0.25 * max(pairs.n_possible, 4)) / max(pairs.n_possible, 4)


def _scored(pairs: ComparedPairs, levels: dict[str, np.ndarray], priors: np.ndarray) -> pd.DataFrame:
    names = [field.name for field in pairs.fields]
    whole = pairs.patterns.groupby("pattern").agg({"n": "sum"} | dict.fromkeys(names, "first")).reset_index()
    if not names or whole.empty:
        return whole.assign(weight_bits=np.zeros(len(whole)), probability=np.zeros(len(whole)))
    posterior = _posterior(
        {name: whole[name].to_numpy() for name in names}, levels, np.append(priors, 1 - priors.sum())
    )
    others = np.maximum(posterior[1:].sum(axis=0), 1e-300)
    odds = np.maximum(posterior[0], 1e-300) / others
    return whole.assign(weight_bits=np.log2(odds), probability=posterior[0])


def _weight_rows(fields: Sequence[Field], levels: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [
        (field.name, level, label, m, u, household, float(np.log2(m / u)))
        for field in fields
        for level, (label, m, household, u) in enumerate(
            zip(LEVEL_LABELS[field.kind], *levels[field.name].tolist(), strict=True)
        )
    ]
    names = ["field", "level", "label", "m_probability", "u_probability", "household_probability", "weight_bits"]
    return pd.DataFrame(rows, columns=names)
