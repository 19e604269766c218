"""Audits by the hundred, through the release's own road: right noise passes, half of it is caught."""

import math

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.privacy import mechanisms
from journeybook.privacy.asking import make_plan
from journeybook.privacy.bounding import bounded_cells
from journeybook.privacy.mechanisms import _gaussian, _laplace, draw, noise_of

N_GROUPS = 300
REPEATS = 1000
FALSE_ALARM = 0.01
GROUPS = [f"g{i:03d}" for i in range(N_GROUPS)]
BASE = {"table": "sends", "by": ["channel"], "values": {"channel": GROUPS}}
# What one unit may add to one group; it is in all of them, so that each draw of a release is one of the mechanism.
KINDS = {
    "people": {"kind": "people", "most": {"rows": N_GROUPS, "groups": N_GROUPS}},
    "sum": {"kind": "sum", "of": "revenue", "most": {"rows": N_GROUPS, "groups": N_GROUPS, "amount": 5}},
}
CLAIM = 1.0
"""Epsilon of one group alone: what a unit's presence there may tell."""


def _cells(kind: str):
    """The release of two tables, one of which has one unit more, with all it may add to every group."""
    # A tenth of the budget is for the units that were cut.
    one = make_plan(
        {"unit": "person", "releases": {kind: BASE | KINDS[kind] | {"epsilon": N_GROUPS * CLAIM / 0.9}}}
    )
    more = pd.DataFrame({"unit": "new", "channel": GROUPS, "revenue": 5.0})
    base = pd.DataFrame({"unit": [f"u{i}" for i in range(N_GROUPS)], "channel": GROUPS, "revenue": 3.0})
    with_, without = (bounded_cells(ibis.memtable(t), one.releases[0]) for t in (pd.concat([base, more]), base))
    return with_, without, noise_of(one.releases[0])


def _alarms(kind: str, n: int) -> int:
    """How many of n audits say that a unit tells more than `CLAIM`, each erring with `FALSE_ALARM` at most.

    One audit draws each table once, in N_GROUPS groups. It counts how often a figure passes the exact one with
    the unit, the event that tells most of Laplace noise, and asks by exact intervals (Clopper & Pearson 1934),
    each end wrong half as often, whether that is more than exp(claim) times as often with the unit as without.
    """
    with_, without, noises = _cells(kind)
    figure = noises[0].figure
    at = with_.counted[figure]
    assert (at - without.counted[figure] == noises[0].most).all(), "the unit adds all it may"
    alarms = 0
    for _ in range(n):
        seen = [int((draw(cells, noises)[1][figure] >= at).sum()) for cells in (with_, without)]
        alarms += int(_tells_more(*seen))
    return alarms


def _tells_more(with_, without):
    low = np.nan_to_num(stats.beta.ppf(FALSE_ALARM / 2, with_, N_GROUPS - with_ + 1), nan=0.0)
    high = np.nan_to_num(stats.beta.ppf(1 - FALSE_ALARM / 2, without + 1, N_GROUPS - without), nan=1.0)
    return low > math.exp(CLAIM) * high


def _power(epsilon: float) -> float:
    """How often an audit sees Laplace noise of an epsilon, by all that can be counted; whole counts tell more."""
    seen = np.arange(N_GROUPS + 1)
    often = [stats.binom.pmf(seen, N_GROUPS, share) for share in (0.5, 0.5 * math.exp(-epsilon))]
    return float((np.outer(*often) * _tells_more(seen[:, None], seen[None, :])).sum())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_right_noise_passes_a_thousand_audits_as_often_as_is_stated(kind):
    alarms = _alarms(kind, REPEATS)
    # More alarms than the stated rate has once in a thousand test runs.
    assert alarms <= stats.binom.ppf(0.999, REPEATS, FALSE_ALARM)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_half_the_noise_is_caught(kind, monkeypatch):
    monkeypatch.setattr(mechanisms, "_laplace", lambda scale: _laplace(scale / 2))
    # Fewer alarms than so often has once in a thousand test runs.
    assert _alarms(kind, 100) >= stats.binom.ppf(0.001, 100, _power(2 * CLAIM)) > 80


@pytest.mark.slow
def test_gaussian_noise_passes_and_half_of_it_is_caught(monkeypatch):
    """What Gaussian noise of rho gives away by one threshold is that of two normal variables."""
    about = {"rho": N_GROUPS * 0.5 / 0.9}
    plan = make_plan({"unit": "person", "releases": {"people": BASE | KINDS["people"] | about}}).releases[0]
    base = pd.DataFrame({"unit": [f"u{i}" for i in range(N_GROUPS)], "channel": GROUPS})
    more = pd.DataFrame({"unit": "new", "channel": GROUPS})
    with_, without = (bounded_cells(ibis.memtable(t), plan) for t in (pd.concat([base, more]), base))
    noises = noise_of(plan)
    at = with_.counted["people"]

    def alarms(n):
        found = 0
        for _ in range(n):
            seen = [int((draw(cells, noises)[1]["people"] >= at).sum()) for cells in (with_, without)]
            low = stats.beta.ppf(FALSE_ALARM / 2, seen[0], N_GROUPS - seen[0] + 1) if seen[0] else 0.0
            high = stats.beta.ppf(1 - FALSE_ALARM / 2, seen[1] + 1, N_GROUPS - seen[1])
            # rho = 0.5 is a shift of one deviation: power and error are at most so far apart (Dong et al. 2022).
            found += stats.norm.ppf(low) - stats.norm.ppf(high) > 1.0 + _DISCRETE
        return found

    assert alarms(REPEATS) <= stats.binom.ppf(0.999, REPEATS, FALSE_ALARM)
    monkeypatch.setattr(mechanisms, "_gaussian", lambda scale: _gaussian(scale / 2))
    assert alarms(100) >= 95


_DISCRETE = 0.1
"""Discrete noise of deviation 1 tells a little more at one threshold than continuous noise."""
