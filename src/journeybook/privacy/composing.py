"""What several releases cost together: sums of epsilon, or concentrated privacy where that is tighter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import opendp.prelude as dp


@dataclass(frozen=True)
class Spending:
    """What all charges of a budget cost together.

    Attributes:
        epsilon: Privacy loss that is passed with probability `delta` at most.
        delta: That probability.
        by: `sum` (of epsilons and what the rhos cost) or `zCDP` (all as concentrated privacy): the tighter.
    """

    epsilon: float
    delta: float
    by: str


def compose(charges: Iterable[Mapping[str, Any]], *, delta: float) -> Spending:
    """Return what charges cost together where they may fail with probability `delta`.

    A charge has `epsilon` (pure, or failing with its own `delta`) or `rho`. Epsilons and deltas add up (Dwork et
    al. 2006). A mechanism of epsilon is epsilon^2 / 2 of zCDP (Bun & Steinke 2016, proposition 1.4); rhos add up,
    and what they cost in epsilon at the delta that is left is OpenDP's conversion (Canonne, Kamath & Steinke
    2020), of all charges, or of those in rho beside the sum of the others. Groups of one release are no charges
    of their own: its sensitivity says how many a unit is in.

    >>> compose([{"epsilon": 0.5}, {"epsilon": 0.25}], delta=0.0)
    Spending(epsilon=0.75, delta=0.0, by='sum')
    """
    listed = list(charges)
    epsilons = [float(charge.get("epsilon") or 0) for charge in listed]
    rhos = [float(charge.get("rho") or 0) for charge in listed]
    used = sum(float(charge.get("delta") or 0) for charge in listed)
    left = delta - used

    def concentrated(rho: float) -> float:
        return rho_to_epsilon(rho, delta=left) if left > 0 else float("inf") if rho else 0.0

    summed = sum(epsilons) + concentrated(sum(rhos))
    together = concentrated(sum(rhos) + sum(epsilon**2 for epsilon in epsilons) / 2)
    if summed <= together or left <= 0:
        return Spending(summed, delta if any(rhos) else used, "sum")
    return Spending(together, delta, "zCDP")


def rho_to_epsilon(rho: float, *, delta: float) -> float:
    """Return the epsilon that rho of zCDP costs, passed with probability `delta` at most."""
    # A Gaussian of scale 1 spends d^2 / 2 on a distance of d.
    return float(_gaussian().map((2 * rho) ** 0.5).epsilon(delta)) if rho else 0.0


@cache
def _gaussian() -> dp.Measurement:
    dp.enable_features("contrib")
    space = dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float)
    return dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, scale=1.0))
