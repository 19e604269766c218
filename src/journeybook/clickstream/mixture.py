"""Types of visitor: a mixture of Markov chains, fitted by EM to what each person, or each session, did."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

from journeybook.journeys.links import first_ranks, hashed, links
from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.statistics.chains import transition_model

# People to fit to: with fewer, sessions are taken.
_FEWEST_PEOPLE = 100
# People and sessions fitted to, at most; of more, some are drawn by a hash of the order of first appearance.
MOST_PEOPLE, MOST_SESSIONS = 20_000, 5_000
# A type's row of the chain leans on everybody's as if this many links more had been seen there.
_LEAN = 1.0
# EM stops when an iteration gains less than this, in nats a unit, or after so many iterations.
_GAIN, _MOST_ITERATIONS = 1e-6, 500

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TypeMixture:
    """Types of visitor and how they move.

    Attributes:
        choice: One row a number of types: `n_types`, `n_parameters`, `log_likelihood`, `bic`, `converged` (whether
            EM came to rest from the best start) and `chosen` (least BIC).
        profile: One row a type, the largest first: `type`, `share` (of the units), `conversion_probability` and
            `pages` (expected, of a session, before its end), and what it does most unlike everybody: `source`,
            `target`, `probability` and `probability_overall`.
        transitions: Chain of each type: `type`, `source`, `target`, `probability`, `probability_overall` and
            `evidence` (nats by which the link tells the type from everybody).
        members: One row a unit: `person_id` (or `session`), `type`, `certainty` (probability of that type).
        counts: Links of each unit: `person_id` (or `session`), `source`, `target`, `n`.
        unit: What was grouped, people or sessions.
        certainty: Mean probability of the type a unit is given.
        note: Why nothing can be grouped; None where something can.
    """

    choice: pd.DataFrame
    profile: pd.DataFrame
    transitions: pd.DataFrame
    members: pd.DataFrame
    counts: pd.DataFrame
    unit: str
    certainty: float
    note: str | None


def fit_types(steps: ibis.Table, *, max_types: int, n_starts: int, rng: np.random.Generator) -> TypeMixture:
    """Fit mixtures of 1 to `max_types` chains and keep the one of the least BIC.

    Every unit belongs to one type and walks by its chain (Cadez et al. 2003). A unit is a person with all
    sessions where at least 100 are known, for one session says little of who walks; otherwise a session. BIC
    counts units, not links, and once it has risen twice no more types are tried. A start takes the chains of units
    drawn at random, those of many links rather; the best start is reported.

    Args:
        steps: What `session_steps` returns; of aggregated paths nothing can be grouped.
        max_types: Most types tried, 1 to 12.
        n_starts: Starts of EM for each number of types, 1 or more.
        rng: Random numbers of the starts.

    Raises:
        ValueError: A number is out of range.
    """
    if not 1 <= max_types <= 12:
        raise ValueError(f"max_types is {max_types}: it must be from 1 to 12.")
    if n_starts < 1:
        raise ValueError(f"n_starts is {n_starts}: at least 1 is needed.")
    if "session" not in steps.columns:
        return _nothing("nobody can be grouped: aggregated paths do not say what one visitor did")
    by_person = bool(steps.filter(steps.known).cluster.nunique().execute() >= _FEWEST_PEOPLE)
    counts = _unit_counts(steps, by_person=by_person)
    walked = _walked(counts)
    fits, rows = [], []
    for n_types in range(1, min(max_types, len(walked.units)) + 1):
        fits.append(_fit(walked, n_types, n_starts, rng))
        rows.append(_choice_row(fits[-1], walked))
        if n_types > 2 and rows[-1]["bic"] > rows[-2]["bic"] > rows[-3]["bic"]:
            break
    choice = pd.DataFrame(rows)
    choice["chosen"] = choice.index == choice["bic"].argmin()
    best = fits[int(choice["bic"].argmin())]
    transitions = _transitions(best, walked)
    members = pd.DataFrame({walked.unit: walked.units, "type": best.members.argmax(axis=1) + 1})
    members["certainty"] = best.members.max(axis=1)
    return TypeMixture(
        choice=choice,
        profile=_profile(transitions, best.shares),
        transitions=transitions,
        members=members,
        counts=counts,
        unit="people" if by_person else "sessions",
        certainty=float(members["certainty"].mean()),
        note=None,
    )


@dataclass(frozen=True, eq=False)
class _Walked:
    """What each unit walked.

    Attributes:
        unit: Name of the column of the units.
        units: Their names, shape (units,).
        cells: `source` and `target` of each link that is seen.
        row: Number of the cell's source, shape (cells,).
        counts: Links, sparse, shape (units, cells).
        overall: Chain of all together, shape (cells,).
    """

    unit: str
    units: pd.Index
    cells: pd.DataFrame
    row: NDArray[np.int64]
    counts: sparse.csr_array
    overall: Array

    def chains(self, counts: Array) -> Array:
        """Return counts of shape (chains, cells) as probabilities, leaning on everybody's."""
        leaning = counts + _LEAN * self.overall
        return leaning / np.add.reduceat(leaning, np.unique(self.row, return_index=True)[1], axis=1)[:, self.row]


@dataclass(frozen=True, eq=False)
class _Fit:
    """A mixture: shares (types,), chains (types, cells), members (units, types), and how EM went."""

    shares: Array
    chains: Array
    members: Array
    log_likelihood: float
    objective: float
    converged: bool


def _unit_counts(steps: ibis.Table, *, by_person: bool) -> pd.DataFrame:
    """Count the links of each person or session, of so many at most."""
    steps = steps.filter(steps.known) if by_person else steps.mutate(cluster=steps.session)
    ranks, most = first_ranks(steps), MOST_PEOPLE if by_person else MOST_SESSIONS
    ranks = ranks.order_by(hashed(ranks["rank"], n_digits=16), "rank").limit(most)
    found = links(steps, "cluster").join(ranks, "cluster")
    counts = found.group_by("rank", "cluster", "source", "target").aggregate(n=found.n.sum())
    frame = counts.order_by("rank", "source", "target").to_pandas().drop(columns="rank")
    if by_person:
        frame["cluster"] = frame["cluster"].str.removeprefix("p ")
    return frame.rename(columns={"cluster": "person_id" if by_person else "session"})


def _walked(counts: pd.DataFrame) -> _Walked:
    unit = counts.columns[0]
    number, units = pd.factorize(counts[unit])
    cell, cells = pd.MultiIndex.from_frame(counts[["source", "target"]]).factorize(sort=True)
    frame = cells.to_frame(index=False, name=["source", "target"])
    row = pd.factorize(frame["source"])[0]
    table = sparse.csr_array((counts["n"].to_numpy(dtype=float), (number, cell)), shape=(len(units), len(cells)))
    total = table.sum(axis=0)
    return _Walked(unit, units, frame, row, table, total / np.bincount(row, weights=total)[row])


def _fit(walked: _Walked, n_types: int, n_starts: int, rng: np.random.Generator) -> _Fit:
    """Return the best of several starts of EM."""
    fits, links_each = [], walked.counts.sum(axis=1)
    for _ in range(n_starts if n_types > 1 else 1):
        drawn = rng.choice(len(links_each), size=n_types, replace=False, p=links_each / links_each.sum())
        fits.append(_em(walked, walked.chains(walked.counts[drawn].toarray())))
    return max(fits, key=lambda fit: fit.objective)


def _em(walked: _Walked, chains: Array) -> _Fit:
    """Run EM until an iteration gains nothing worth having."""
    n_types, n_units = len(chains), len(walked.units)
    shares, before, converged = np.full(n_types, 1 / n_types), -np.inf, False
    n_iterations = 0
    while not converged and n_iterations < _MOST_ITERATIONS:
        n_iterations += 1
        joint = walked.counts @ np.log(chains).T + np.log(shares)
        by_unit = logsumexp(joint, axis=1)
        members = np.exp(joint - by_unit[:, None])
        objective = float(by_unit.sum() + _LEAN * (np.log(chains) @ walked.overall).sum())
        converged, before = objective - before < _GAIN * n_units, objective
        if not converged and n_iterations < _MOST_ITERATIONS:
            chains = walked.chains((walked.counts.T @ members).T)
            shares = np.maximum(members.mean(axis=0), np.finfo(float).tiny)
    order = np.argsort(-shares, kind="stable")
    return _Fit(
        shares=shares[order],
        chains=chains[order],
        members=members[:, order],
        log_likelihood=float(by_unit.sum()),
        objective=objective,
        converged=converged,
    )


def _choice_row(fit: _Fit, walked: _Walked) -> dict[str, float]:
    free = len(walked.cells) - (walked.row.max() + 1)
    n_parameters = len(fit.shares) * free + len(fit.shares) - 1
    return {
        "n_types": len(fit.shares),
        "n_parameters": n_parameters,
        "log_likelihood": fit.log_likelihood,
        "bic": n_parameters * np.log(len(walked.units)) - 2 * fit.log_likelihood,
        "converged": fit.converged,
    }


def _transitions(fit: _Fit, walked: _Walked) -> pd.DataFrame:
    """Return the chain of each type beside everybody's, and how much each link tells the type apart."""
    links_seen = (walked.counts.T @ fit.members).T
    frames = []
    for k, (chain, seen) in enumerate(zip(fit.chains, links_seen, strict=True), start=1):
        both = {"probability": chain, "probability_overall": walked.overall}
        evidence = seen * np.log(chain / walked.overall)
        frames.append(walked.cells.assign(type=k, **both, evidence=evidence))
    columns = ["type", "source", "target", "probability", "probability_overall", "evidence"]
    return pd.concat(frames, ignore_index=True)[columns]


def _profile(transitions: pd.DataFrame, shares: Array) -> pd.DataFrame:
    rows = []
    for k, share in enumerate(shares, start=1):
        own = transitions[transitions["type"] == k]
        model = transition_model(own.rename(columns={"probability": "n"}), conversion=CONVERSION, exit=EXIT)
        start, most = model.at(START), own.loc[own["evidence"].idxmax()]
        ends = {
            "conversion_probability": model.conversion_probability[start],
            "pages": model.expected_steps[start] - 1,
        }
        tells = most[["source", "target", "probability", "probability_overall"]]
        rows.append({"type": k, "share": share, **ends, **tells})
    return pd.DataFrame(rows)


def _nothing(note: str) -> TypeMixture:
    empty = pd.DataFrame()
    return TypeMixture(
        choice=empty, profile=empty, transitions=empty, members=empty, counts=empty, unit="people",
        certainty=np.nan, note=note,
    )  # fmt: skip
