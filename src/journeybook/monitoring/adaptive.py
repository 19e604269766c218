"""The replay for the page: tried, said, found, and made again by another road."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import TooLittle
from journeybook.findings import Finding, say_count, say_points, size, strength_of
from journeybook.monitoring.acting import Scored
from journeybook.monitoring.replay import Replay, fixed_choice, logged_choices, replay

SECTION = "Does an adaptive choice beat a fixed one?"
WIDTH, N_INPUTS = 0.5, 6
"""Standard errors by which the bandit hopes, and the principal components that it sees."""

_FIRST = 400  # contacts met that are chosen again by another road
_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


@dataclass(frozen=True, eq=False)
class Adaptive:
    """A replay, or in `why_not` why there is none."""

    why_not: str
    replay: Replay | None = None

    @property
    def policies(self) -> pd.DataFrame:
        """Its policies; empty where there is none."""
        return pd.DataFrame() if self.replay is None else self.replay.policies


def try_adaptive(
    scored: Scored | None,
    asked: ibis.Table | None,
    permitted: Mapping[str, np.ndarray] | None,
    *,
    rng: np.random.Generator,
) -> Adaptive:
    """Replay page 07's contacts for a bandit that learns from them (`logged_choices`, `replay`)."""
    if scored is None or asked is None:
        return Adaptive("There are no contacts with probabilities of page 07, so that nothing is replayed.")
    try:
        logged = logged_choices(scored, asked, permitted, n_inputs=N_INPUTS)
        return Adaptive("", replay(logged, width=WIDTH, rng=rng))
    except TooLittle as error:
        return Adaptive(str(error))


def say_adaptive(tried: Adaptive) -> str:
    """On how many contacts the bandit was met, and how it did."""
    if tried.replay is None:
        return tried.why_not
    found = tried.replay
    return (
        f"Of {say_count(len(found.logged.row))} contacts that left a choice the replay kept "
        f"{say_count(len(found.met))}, on which chance chose as the bandit did. {title_adaptive(found)}. "
        "A response is not an effect: page 14 says what a message adds."
    )


def title_adaptive(found: Replay) -> str:
    """Return what the replay found."""
    ends = f"{say_points(-found.high)} to {say_points(-found.low)}"
    if found.high < 0:
        return f"Choosing adaptively beats {found.best} by {say_points(-found.regret)} ({ends})"
    if found.low > 0:
        return f"Choosing adaptively loses {say_points(found.regret)} to {found.best} ({ends})"
    return f"Whether choosing adaptively beats {found.best} cannot be told ({ends})"


def find_adaptive(tried: Adaptive) -> list[Finding]:
    """Whether an adaptive choice beats the best fixed one."""
    if tried.replay is None:
        return []
    gain, low, high = -tried.replay.regret, -tried.replay.high, -tried.replay.low
    done = (
        "Try it live, on a share of contacts." if low > 0 else "Do not let a choice that learns go live on this."
    )
    return [
        Finding(
            text=f"A choice that learns would bring {say_points(gain)} of responses beside {tried.replay.best}.",
            action=done,
            strength=strength_of(low, high),
            worth=3,
            section=SECTION,
            **size(gain, low, high, "points"),
        )
    ]


def adaptive_holds(tried: Adaptive, asked: ibis.Table | None, truth: pd.DataFrame | None) -> pd.DataFrame:
    """Return how far choices, values and weights of the replay are off; one row a check, or none.

    `truth` has the probability of a response to each choice by `contact_id`, where the contacts are simulated.
    """
    if tried.replay is None or asked is None:
        return pd.DataFrame(columns=_COLUMNS)
    found, logged = tried.replay, tried.replay.logged
    table = found.policies.set_index("policy")
    fixed = {name: fixed_choice(logged, k) for k, name in enumerate(table.index[1:])}
    weights = {name: (logged.taken == chosen) / logged.propensity for name, chosen in fixed.items()}
    values = {name: np.average(logged.reward, weights=w) for name, w in weights.items()}
    apart = max(abs(values[name] - table["value"][name]) for name in values)
    off = max(abs(w.mean() - 1) / (w.std() / np.sqrt(len(w))) for w in weights.values())
    by_hand = max(values.values()) - logged.reward[found.met].mean()
    rows: list[tuple] = [
        ("choices of the bandit that are otherwise", _otherwise(found), 0, 0, "ridge regression solved anew"),
        ("values of fixed policies, furthest off", apart, 0, 1e-9, "contact by contact"),
        ("mean weight of a fixed policy off 1, in standard errors", off, 0, 5, "Horvitz & Thompson 1952"),
        ("regret per contact", found.regret, by_hand, 1e-9, "by hand"),
    ]
    if truth is not None:
        ids = asked.select("row", "contact_id").to_pandas().set_index("row").loc[logged.row, "contact_id"]
        true = (
            truth.set_index("contact_id").loc[ids, [f"probability_{name}" for name in logged.actions]].to_numpy()
        )
        every = np.arange(len(true))
        means = {name: true[every, chosen].mean() for name, chosen in fixed.items()}
        # What the bandit met is a sample of its own choices, whose truth is known one by one.
        means["adaptive"] = true[found.met, logged.taken[found.met]].mean()
        for name, mean in means.items():
            error = (table["high"][name] - table["low"][name]) / 2 / 1.96
            gap = abs(table["value"][name] - mean) / error
            rows.append((f"value of {name} off the truth, in standard errors", gap, 0, 4, "truth of the contacts"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _otherwise(found: Replay) -> int:
    """How many of the first contacts met the bandit would choose otherwise, its regressions solved anew."""
    logged, wrong = found.logged, 0
    x = np.column_stack([np.ones(len(logged.row)), logged.x])
    for k, i in enumerate(found.met[:_FIRST]):
        before, hopes = found.met[:k], []
        for action in range(len(logged.actions)):
            own = before[logged.taken[before] == action]
            gram = np.eye(x.shape[1]) + x[own].T @ x[own]
            weight = np.linalg.solve(gram, x[own].T @ logged.reward[own])
            hopes.append(weight @ x[i] + WIDTH * np.sqrt(x[i] @ np.linalg.solve(gram, x[i])))
        best = max(hope for hope, may in zip(hopes, logged.allowed[i], strict=True) if may)
        wrong += hopes[logged.taken[i]] < best - 1e-9
    return int(wrong)
