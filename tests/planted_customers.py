"""Customers of known parameters, simulated from a model's story alone."""

from dataclasses import replace

import numpy as np

from journeybook.lifetime_value.bg_bb import occasions
from journeybook.lifetime_value.contracts import renewals
from journeybook.lifetime_value.family import Histories, histories
from journeybook.lifetime_value.fitting import Array
from journeybook.lifetime_value.models import BG_BB, MBG_NBD, PARETO_NBD, SBG


def planted(name: str, theta: Array, each: Histories, *, rng: np.random.Generator) -> Histories:
    """Simulate as many customers again, known for as long, from the model's story alone."""
    n = len(each.x)
    if name == SBG.name:
        window = np.maximum(renewals(each), np.floor(each.T / each.step))
        stops = rng.geometric(np.maximum(rng.beta(theta[0], theta[1], n), 1e-12))
        left = stops <= window
        return replace(each, periods=np.where(left, stops, window + 0.5), left=left.astype(float))
    if name == BG_BB.name:
        known, buys, leaves = occasions(each)[1], rng.beta(theta[0], theta[1], n), rng.beta(theta[2], theta[3], n)
        x, last, here = np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
        for at in range(1, int(known.max()) + 1):
            here &= rng.random(n) >= leaves
            bought = here & (at <= known) & (rng.random(n) < buys)
            x, last = x + bought, np.where(bought, at, last)
        return histories(x, last * each.step, each.T, step=each.step)
    return histories(*planted_customers(name, theta, each.T, rng=rng))


def planted_customers(
    name: str, theta: Array, T: Array, *, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Simulate customers purchase by purchase, from the model's story alone: x, t_x, T."""
    r, alpha = theta[:2]
    rate, n = rng.gamma(r, 1 / alpha, len(T)), len(T)
    if name == PARETO_NBD.name:
        leaves, stops = np.minimum(rng.exponential(1 / rng.gamma(theta[2], 1 / theta[3], n)), T), np.zeros(n)
    else:
        leaves, stops = T, np.maximum(rng.beta(theta[2], theta[3], n), 1e-12)
    x, t_x, here = np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
    if name == MBG_NBD.name:
        here &= rng.random(n) >= stops
    at = np.zeros(n)
    while here.any():
        at = at + np.where(here, rng.exponential(1 / np.maximum(rate, 1e-300)), 0)
        here &= at < leaves
        x, t_x = x + here, np.where(here, at, t_x)
        here &= rng.random(n) >= stops
    return x, t_x, T
