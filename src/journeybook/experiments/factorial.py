"""Factorial designs: 2x2, 2^k and regular fractions of them, from the names of the variants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.statistics.contrasts import ArmMoments, contrast
from journeybook.statistics.corrections import holm

MAX_FACTORS = 8


@dataclass(frozen=True, eq=False)
class Design:
    """A factorial design, read from variants named x, a, b and a+b.

    Attributes:
        factors: The changes, sorted.
        cells: The variants, the one without any change first.
        terms: The effects that the design separates: each a tuple of factors, main effects first.
        weights: Weights of the cells' means in each effect, shape (terms, cells). The effect of m changes
            together is the m-fold difference: what they do together beyond what fewer of them do.
        aliases: For each term, the terms that these cells cannot tell from it.
    """

    factors: list[str]
    cells: list[str]
    terms: list[tuple[str, ...]]
    weights: np.ndarray
    aliases: list[list[tuple[str, ...]]]


def design(variants: Sequence[str]) -> Design | None:
    """The factorial design that the variants' names spell, or None where they spell none.

    A variant is named for the changes it holds, joined by `+`; one has none of them. There must be four cells
    or more, and any two effects must have the same, the opposite or orthogonal weights (Box & Hunter 1961): a
    full design or a regular fraction. Effects with the same weights are aliased: the shortest is named, the
    others stand beside it.

    >>> design(["control", "banner", "gift", "banner+gift"]).terms
    [('banner',), ('gift',), ('banner', 'gift')]
    >>> half = design(["control", "a+b", "a+c", "b+c"])
    >>> half.terms[0], half.aliases[0]
    (('a',), [('b', 'c')])
    """
    held = {name: [part.strip() for part in str(name).split("+")] for name in sorted(set(variants))}
    factors = sorted({part for parts in held.values() if len(parts) > 1 for part in parts})
    without = [name for name, parts in held.items() if not set(parts) & set(factors)]
    known = all(set(parts) <= set(factors) for name, parts in held.items() if name not in without)
    unique = all(len(set(parts)) == len(parts) for parts in held.values())
    if len(held) < 4 or len(without) != 1 or not 2 <= len(factors) <= MAX_FACTORS or not (known and unique):
        return None
    cells = [*without, *(name for name in held if name not in without)]
    cells.sort(key=lambda name: (name not in without, len(held[name]), name))
    sets = [set() if name in without else set(held[name]) for name in cells]
    terms: list[tuple[str, ...]] = []
    signs: list[np.ndarray] = []
    aliases: list[list[tuple[str, ...]]] = []
    for order in range(1, len(factors) + 1):
        for term in combinations(factors, order):
            sign = np.array([(-1.0) ** (order - len(cell & set(term))) for cell in sets])
            same = [i for i, other in enumerate(signs) if abs(sign @ other) == len(cells)]
            if same:
                aliases[same[0]].append(term)
            elif sign.sum() == 0 and all(sign @ other == 0 for other in signs):
                terms.append(term)
                signs.append(sign)
                aliases.append([])
            elif abs(sign.sum()) != len(cells):
                return None
    if len(terms) != len(cells) - 1:
        return None
    scale = np.array([2.0 ** len(term) / len(cells) for term in terms])
    return Design(factors, cells, terms, np.array(signs) * scale[:, None], aliases)


def factorial_effects(
    arms: Mapping[str, ArmMoments],
    *,
    names: Sequence[str],
    alpha: float,
    power: float,
    minimum_effects: Mapping[str, float],
) -> pd.DataFrame:
    """Main effects and interactions of each metric, with what they could detect and what they are aliased with.

    A main effect averages a change's effect over the presence and absence of the others, and so uses every
    unit; an interaction of m changes has 2^(m-1) times its standard error. `detectable_effect` is found with
    probability `power`; the column `power` is that of the metric's smallest effect worth having.

    Returns:
        One row a metric and term, `p_adjusted` by Holm over all of them; no rows where the names spell no design.
    """
    found = design(names)
    rows: list[dict] = []
    if found is None:
        return pd.DataFrame(columns=["metric", "term", "order", "p_value"])
    for metric, moments in arms.items():
        cells = moments.pick(range(moments.mean.shape[-1]), arms=[names.index(cell) for cell in found.cells])
        method = "welch" if moments.mean.shape[-1] == 1 else "cuped"
        for term, weights, alias in zip(found.terms, found.weights, found.aliases, strict=True):
            effect = contrast(cells, weights=weights)
            value, margin = float(effect.effect), float(effect.margin(alpha=alpha))
            error, df = float(effect.standard_error), float(effect.df)
            critical = stats.t.isf(alpha / 2, df)
            away = minimum_effects.get(metric, np.nan) / error
            rows.append(
                {
                    "metric": metric,
                    "term": _named(term),
                    "order": len(term),
                    "effect": value,
                    "effect_low": value - margin,
                    "effect_high": value + margin,
                    "standard_error": error,
                    "df": df,
                    "p_value": float(effect.p_value),
                    "detectable_effect": float((critical + stats.t.isf(1 - power, df)) * error),
                    "power": float(stats.nct.sf(critical, df, away) + stats.nct.cdf(-critical, df, away)),
                    "aliased_with": ", ".join(_named(other) for other in alias),
                    "method": method,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(p_adjusted=holm(table["p_value"].to_numpy(dtype=float)))


def _named(term: tuple[str, ...]) -> str:
    return term[0] if len(term) == 1 else f"interaction {'+'.join(term)}"
