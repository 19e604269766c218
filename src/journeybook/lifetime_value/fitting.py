"""Maximum likelihood, and a certificate that it is one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[np.float64]
# Parameters further than e**BORDER from the size of the data are on the border: nothing bounds them.
BORDER = 9.0
# Largest derivative of the mean log likelihood by the log of a parameter, at a maximum.
FLAT = 1e-6
# Where the search starts: the logs of all parameters. Log likelihoods that differ by less have met.
STARTS, MET = (0.0, 1.5, -1.0), 1e-3
# Rows on which the starts must meet; from there the search goes on with all rows.
FIRST_ROWS = 4_000

Likelihood = Callable[[Array, slice], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters at their maximum likelihood.

    Attributes:
        names: Names of the parameters.
        theta: Their values, in the unit of the data, all above 0.
        covariance: Covariance of their logs, from the Hessian; NaN where that is not definite.
        log_likelihood: In the unit of the data.
        gradient: Largest derivative of the mean log likelihood by the log of a parameter.
        trouble: Why this is no maximum to build on, in words; None where the certificate holds.
    """

    names: tuple[str, ...]
    theta: Array
    covariance: Array
    log_likelihood: float
    gradient: float
    trouble: str | None

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the parameters (delta method)."""
        return self.theta * np.sqrt(np.diag(self.covariance))


def maximise(
    likelihood: Likelihood, names: Sequence[str], *, weight: Array, sizes: Sequence[float], n_factors: int = 0
) -> Fit:
    """Maximise a likelihood of parameters above 0 from several starts, and certify the maximum.

    The certificate: the gradient is nought, the Hessian is negative definite, two starts or more have met, and no
    parameter is on the border.

    Args:
        likelihood: (parameters, rows) to the log likelihood of each of the rows and its derivatives.
        names: Parameters.
        weight: Customers of each row.
        sizes: A usual size of each parameter; where the search starts.
        n_factors: So many of the last parameters are factors, and each search starts at their sizes.
    """
    shift = np.log(np.asarray(sizes, dtype=float))
    free = np.arange(len(names)) < len(names) - n_factors

    def loss_of(rows: slice) -> Callable[[Array], tuple[float, Array]]:
        share = weight[rows] / weight[rows].sum()

        def loss(at: Array) -> tuple[float, Array]:
            value, by = likelihood(np.exp(at), rows)
            # Not BLAS: its threads wait for each other, and add up in another order on another machine.
            return -float(np.einsum("i,i", share, value)), -np.einsum("ij,j->i", by, share) * np.exp(at)

        return loss

    every, loss = -(-len(weight) // FIRST_ROWS), loss_of(slice(None))
    few = loss_of(slice(None, None, every))
    starts = [_minimum(few, start * free + shift, shift) for start in STARTS]
    nearest = min(starts, key=lambda one: one.fun)
    best, n = nearest if every == 1 else _refined(loss, few, nearest.x, shift), weight.sum()
    hessian = _hessian(loss, best.x)
    definite = bool(np.linalg.eigvalsh(hessian).min() > 0)
    bounded = np.abs(best.x - shift) < BORDER - 1e-3
    trouble, gradient = None, float(np.abs(best.jac).max())
    if not bounded.all():
        trouble = f"nothing in the data bounds {' and '.join(np.array(names)[~bounded])}"
    elif gradient > FLAT or not definite:
        trouble = "its likelihood has no single peak"
    elif sum((one.fun - nearest.fun) * n < MET for one in starts) < 2:
        trouble = "searches from several starts end at different parameters"
    covariance = np.linalg.inv(hessian) / n if definite else np.full_like(hessian, np.nan)
    return Fit(tuple(names), np.exp(best.x), covariance, -best.fun * n, gradient, trouble)


def _minimum(loss: Callable[[Array], tuple[float, Array]], start: Array, shift: Array) -> optimize.OptimizeResult:
    bounds = [(at - BORDER, at + BORDER) for at in shift]
    options = {"maxiter": 120, "ftol": 1e-15, "gtol": FLAT / 10}
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)


def _refined(
    loss: Callable[[Array], tuple[float, Array]],
    few: Callable[[Array], tuple[float, Array]],
    start: Array,
    shift: Array,
) -> optimize.OptimizeResult:
    """Go on with all rows from the minimum of a few, whose curvature tells how far the next one is."""
    hessian = _hessian(few, start)
    if np.linalg.eigvalsh(hessian).min() > 0:
        inverse = np.linalg.inv(hessian)
        options = {"hess_inv0": (inverse + inverse.T) / 2, "gtol": FLAT / 10, "maxiter": 30}
        found = optimize.minimize(loss, start, jac=True, method="BFGS", options=options)
        if np.abs(found.jac).max() <= FLAT and (np.abs(found.x - shift) < BORDER).all():
            return found
    return _minimum(loss, start, shift)


def _hessian(loss: Callable[[Array], tuple[float, Array]], at: Array, step: float = 1e-5) -> Array:
    """Return the second derivatives, by central differences of the exact first ones."""
    rows = np.array([(loss(at + step * e)[1] - loss(at - step * e)[1]) / (2 * step) for e in np.eye(len(at))])
    return (rows + rows.T) / 2
