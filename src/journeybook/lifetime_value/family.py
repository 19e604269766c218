"""What a model of purchases and leaving is, and the histories it is fitted to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.lifetime_value.fitting import Array

# One number a parameter, or one for each history.
Theta = Array | Sequence[Array]


@dataclass(frozen=True)
class Histories:
    """Customers with equal histories put together.

    Attributes:
        x: Repeat purchases, shape (histories,), 0 or more.
        t_x: Time of the last purchase after the first, 0 where x is 0.
        T: Time from the first purchase to the end, at least t_x.
        weight: Customers with this history.
        place: History of each customer, shape (customers,).
        covariates: What is known of the customers and does not change, shape (covariates, histories).
        step: Time from one occasion to buy, or to renew a contract, to the next; 0 where any time is one.
        periods: Such steps since the contract began, until its end where it has ended; shape (histories,), or
            (0,) without contracts.
        left: Whether the contract has ended, of the same shape.
    """

    x: Array
    t_x: Array
    T: Array
    weight: Array
    place: NDArray[np.intp]
    covariates: Array = field(default_factory=lambda: np.empty((0, 0)))
    step: float = 0.0
    periods: Array = field(default_factory=lambda: np.empty(0))
    left: Array = field(default_factory=lambda: np.empty(0))

    def of(self, rows: slice | NDArray[np.intp]) -> "Histories":
        """Return some of the histories."""
        names = ("x", "t_x", "T", "weight", "periods", "left")
        parts = {name: part[rows] for name in names if len(part := getattr(self, name))}
        own = self.covariates[:, rows] if self.covariates.size else self.covariates
        return replace(self, **parts, covariates=own, place=np.arange(len(parts["x"])))

    @property
    def each(self) -> "Histories":
        """The customers, one history each."""
        return replace(self.of(self.place), weight=np.ones(len(self.place)))


@dataclass(frozen=True)
class Family:
    """A model of purchases and dropout.

    Attributes:
        name: As the literature calls it.
        parameters: Names of its parameters, all above 0.
        timed: Those that are in the unit of time.
        likelihood: (parameters, histories) to the log likelihood of each history and its derivatives by each
            parameter, shapes (histories,) and (parameters, histories).
        alive: (parameters, histories) to the chance that a customer is still one at T.
        expected: (parameters, histories, times) to the purchases expected within each time after T, shape
            (histories, times).
        simulated: (parameters, histories, time, rng) to a number of purchases drawn within the time after T.
        plain: The model without covariates; None where it takes none.
        scaling: Powers of a covariate's factor, first on buying, then on leaving, in each parameter.
    """

    name: str
    parameters: tuple[str, ...]
    timed: tuple[str, ...]
    likelihood: Callable[[Theta, Histories], tuple[Array, Array]]
    alive: Callable[[Theta, Histories], Array]
    expected: Callable[[Theta, Histories, Array], Array]
    simulated: Callable[[Theta, Histories, float, np.random.Generator], Array]
    plain: "Family | None" = None
    scaling: tuple[tuple[int, ...], ...] = ()

    def own(self, theta: Theta, h: Histories) -> tuple["Family", list[Array]]:
        """Return the model without covariates, and its parameters for each history: numbers, or arrays."""
        if self.plain is None:
            return self, list(theta)
        n, powers = len(self.plain.parameters), np.array(self.scaling)
        logs = powers.T @ (np.log(theta[n:]).reshape(2, -1) @ h.covariates)
        scaled = zip(theta[:n], logs, np.abs(powers).sum(axis=0), strict=True)
        return self.plain, [value * np.exp(log) if used else value for value, log, used in scaled]


def histories(
    x: Array,
    t_x: Array,
    T: Array,
    *,
    covariates: pd.DataFrame | None = None,
    step: float = 0.0,
    contract: tuple[Array, Array] | None = None,
) -> Histories:
    """Put customers with equal histories together.

    Args:
        x: Repeat purchases.
        t_x: Time of the last after the first.
        T: Time from the first to the end.
        covariates: Numbers known of each customer, one row a customer.
        step: As in `Histories`.
        contract: `periods` and `left` of each customer.

    Raises:
        ValueError: A value is missing or negative, x is no whole number, or t_x is not from 0 to T, above 0 where
            x is.
    """
    x, t_x, T = rows = [np.asarray(part, dtype=float) for part in (x, t_x, T)]
    if not all(np.isfinite(part).all() and (part >= 0).all() for part in rows) or (x % 1).any():
        raise ValueError("x, t_x and T must be numbers of 0 or more, x whole.")
    if (t_x > T).any() or ((x > 0) != (t_x > 0)).any():
        raise ValueError("t_x must be 0 where x is, and else above 0 and at most T.")
    further = [] if covariates is None else list(covariates.to_numpy(dtype=float).T)
    n_covariates = len(further)
    further += [np.asarray(part, dtype=float) for part in contract or ()]
    if not all(np.isfinite(part).all() for part in further):
        raise ValueError("covariates and contracts must be numbers, none missing.")
    # Hashing one column after the other is several times faster than sorting rows.
    parts = (pd.factorize(part)[0] for part in (*rows, *further))
    coded = reduce(lambda key, part: pd.factorize(key * (1 + part.max(initial=0)) + part)[0], parts)
    # Codes count up in the order of their first appearance.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(coded), prepend=-1))
    first = first[np.lexsort([part[first] for part in (*further[::-1], T, t_x, x)])]
    number = np.empty(len(first), dtype=np.intp)
    number[coded[first]] = np.arange(len(first))
    place = number[coded]
    weight = np.bincount(place, minlength=len(first)).astype(float)
    own = [part[first] for part in further]
    known = np.array(own[:n_covariates]).reshape(n_covariates, len(first))
    return Histories(x[first], t_x[first], T[first], weight, place, known, step, *own[n_covariates:])


def scaled(family: Family, scaling: tuple[tuple[int, ...], ...]) -> Family:
    """Let covariates multiply how often customers buy and how soon they leave.

    The parameters that it returns take are the model's own, then the factor of each covariate on buying, then on
    leaving: one more of a covariate multiplies by it. Logs of factors are the coefficients of CLVTools.
    """

    def likelihood(theta: Theta, h: Histories) -> tuple[Array, Array]:
        given = result.own(theta, h)[1]
        value, by = family.likelihood(given, h)
        by_logs = np.stack([slope * parameter for slope, parameter in zip(by, given, strict=True)])
        of_factors = [side * part for side in np.array(scaling) @ by_logs for part in h.covariates]
        return value, np.concatenate([by_logs, of_factors]) / np.asarray(theta)[:, None]

    result = replace(
        family,
        name=f"{family.name} with covariates",
        likelihood=likelihood,
        alive=lambda theta, h: family.alive(result.own(theta, h)[1], h),
        expected=lambda theta, h, times: family.expected(result.own(theta, h)[1], h, times),
        simulated=lambda theta, h, time, rng: family.simulated(result.own(theta, h)[1], h, time, rng),
        plain=family,
        scaling=scaling,
    )
    return result
