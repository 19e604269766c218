"""The search for settings: a stated budget of fits, cross-validated inside the contacts that models learn from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import (
    BASES,
    RESAMPLINGS,
    corrected,
    fit_together,
    prior_shift,
    response_pipelines,
    row_losses,
    said_together,
)
from journeybook.channel_response.splits import Split, place_in_line
from journeybook.statistics.imputation import Imputer

SPACE: dict[str, tuple[dict[str, float], ...]] = {
    "logistic": tuple({"C": c} for c in (1.0, 0.01, 0.1, 0.001)),
    "forest": tuple({"min_samples_leaf": n} for n in (50, 15, 150, 5)),
    "xgboost": tuple({"max_depth": n} for n in (3, 5, 2, 7)),
}
"""Settings of each method, the likeliest to serve first; a search takes as many as it is allowed."""


@dataclass(frozen=True, eq=False)
class Search:
    """What was tried, and what was chosen.

    Attributes:
        trials: One row a method, resampling and setting: `method`, `resampling`, `setting` (as "name=value"),
            `n_trees` (of XGBoost, where it stopped on average; else null), `log_loss` (mean of the folds, of
            probabilities corrected for the shift in prior), `log_loss_sd` (between folds), `chosen`.
        settings: The chosen settings, by method and resampling.
        places: Positions in `ContactFrame.rows` of the contacts searched on, all from `Split.fit`.
        said: Probabilities of these contacts under the chosen settings, as fitted, by method and resampling; each
            contact's is of the fold that did not learn from it.
        n_fits: Models fitted.
    """

    trials: pd.DataFrame
    settings: Mapping[tuple[str, str], Mapping[str, float]]
    places: np.ndarray
    said: Mapping[tuple[str, str], np.ndarray]
    n_fits: int


def search_settings(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    n_settings: int,
    n_folds: int,
    n_trees: int,
    max_rows: int,
    rng: np.random.Generator,
) -> Search:
    """Choose the settings of every method with every resampling, each with the same budget on the same folds.

    Folds hold whole people, so that what is learned of a person is not tested on them. Only `split.fit` is looked
    at, and of it about `max_rows` contacts, whole people drawn. Each method tries `n_settings`, 1 to 4; boosted
    trees stop at `n_trees`, or earlier where held-out contacts say so.

    Raises:
        ValueError: A number is out of range, no feature is left, or a fold lacks responses.
    """
    most = min(len(space) for space in SPACE.values())
    if not gate.features:
        raise ValueError("no feature is left to predict with; the leak gate's table says why each was set aside.")
    if not 1 <= n_settings <= most or n_folds < 2 or n_trees < 1:
        raise ValueError(
            f"n_settings must lie in 1 to {most}, n_folds be at least 2 and n_trees at least 1; got {n_settings}, "
            f"{n_folds} and {n_trees}."
        )
    places, fold = search_folds(contacts, split, n_folds=n_folds, max_rows=max_rows, rng=rng)
    rows = contacts.rows.iloc[places][[*gate.features, "responded"]].reset_index(drop=True)
    responded = rows["responded"].to_numpy()
    for k in range(n_folds):
        inside, outside = (int(responded[part].sum()) for part in (fold == k, fold != k))
        if inside < 1 or outside < 2 or inside == (fold == k).sum():
            raise ValueError(
                f"fold {k + 1} of the search holds {inside} of {inside + outside} responses; both outcomes are "
                f"needed inside and outside of it: lower n_folds, now {n_folds}, or search on more contacts."
            )
    tried = [(method, setting) for method in BASES for setting in SPACE[method][:n_settings]]
    # The dearest first, so that no core waits at the end.
    tasks = [(kind, k) for kind in ("smote", "none", "class_weights", "undersample") for k in range(n_folds)]
    results = Parallel(n_jobs=-1, prefer="threads")(
        delayed(_one_fold)(
            rows[fold != k], rows[fold == k], tried, kind, n_trees, imputer=contacts.imputer, rng=own
        )
        for (kind, k), own in zip(tasks, rng.spawn(len(tasks)), strict=True)
    )
    found = dict(zip(tasks, results, strict=True))
    records, settings, said = [], {}, {}
    for resampling in RESAMPLINGS:
        parts = [found[resampling, k] for k in range(n_folds)]
        losses = np.array([part.losses for part in parts])
        stopped = np.array([part.n_trees for part in parts]).mean(axis=0)
        for method in BASES:
            mine = [i for i, (name, _) in enumerate(tried) if name == method]
            best = min(mine, key=lambda i: losses[:, i].mean())
            grown = {"n_estimators": max(1, round(stopped[best]))} if method == "xgboost" else {}
            settings[method, resampling] = {**tried[best][1], **grown}
            said[method, resampling] = np.empty(len(rows))
            for k, part in enumerate(parts):
                said[method, resampling][fold == k] = part.said[best]
            for i in mine:
                record: dict[str, object] = {"method": method, "resampling": resampling}
                record["setting"] = ", ".join(f"{name}={value:g}" for name, value in tried[i][1].items())
                record["n_trees"] = round(stopped[i]) if method == "xgboost" else np.nan
                record |= {"log_loss": losses[:, i].mean(), "log_loss_sd": losses[:, i].std(ddof=1)}
                records.append({**record, "chosen": i == best})
    return Search(pd.DataFrame(records), settings, places, said, n_fits=len(tasks) * len(tried))


@dataclass(frozen=True, eq=False)
class _Fold:
    """What each setting said of one fold: its log loss, its trees (0 where it has none), its probabilities."""

    losses: list[float]
    n_trees: list[float]
    said: list[np.ndarray]


def _one_fold(
    fit: pd.DataFrame,
    judge: pd.DataFrame,
    tried: list[tuple[str, dict[str, float]]],
    resampling: str,
    n_trees: int,
    *,
    imputer: Imputer,
    rng: np.random.Generator,
) -> _Fold:
    grown = [(name, {**s, "n_estimators": n_trees} if name == "xgboost" else s) for name, s in tried]
    pipelines = response_pipelines(fit, grown, resampling=resampling, imputer=imputer, rng=rng)
    shift = prior_shift(resampling, rate=fit["responded"].mean())
    fit_together(pipelines, fit, stop_on=judge, shift=shift)
    said, responded = said_together(pipelines, judge), judge["responded"].to_numpy()
    return _Fold(
        losses=[row_losses(corrected(p, shift=shift), responded).mean() for p in said],
        n_trees=[getattr(pipeline[-1], "best_iteration", -1) + 1 for pipeline in pipelines],
        said=said,
    )


def search_folds(
    contacts: ContactFrame, split: Split, *, n_folds: int, max_rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the contacts to search on, and put each into a fold: whole people, or without people by outcome.

    Returns:
        Positions in `ContactFrame.rows`, shape (n,), and the fold of each, 0 to `n_folds` - 1.
    """
    part = contacts.rows.iloc[split.fit]
    strata = np.zeros(len(part), dtype=int) if contacts.has_people else part["responded"].to_numpy()
    place = place_in_line(part["person"].to_numpy(), strata, rng=rng)
    share = min(1.0, max_rows / len(part))
    drawn = place < share
    return split.fit[drawn], np.minimum((place[drawn] / share * n_folds).astype(int), n_folds - 1)
