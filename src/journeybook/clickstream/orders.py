"""How many pages back a visitor remembers: chains of order 0 to 4 fitted to the same steps and compared."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.journeys.links import first_ranks, hashed, links

HIGHEST = 4


@dataclass(frozen=True, eq=False)
class OrderChoice:
    """Chains that remember 0, 1, 2 ... steps, on the same links.

    Attributes:
        table: One row an order: `order`, `n_parameters`, `log_likelihood` (nats), `bic`,
            `held_out_log_likelihood` (nats; each visitor's links by a chain fitted without them), `held_out_gain`
            over the order below with `held_out_gain_error`, its standard error, and `chosen` (least BIC).
        chosen: Order of the least BIC.
        held_out_chosen: Order of the greatest held-out likelihood; None where no visitor can be held out.
        people_known: Whether whole people are held out; otherwise sessions.
    """

    table: pd.DataFrame
    chosen: int
    held_out_chosen: int | None
    people_known: bool


def choose_order(steps: ibis.Table, *, max_order: int) -> OrderChoice:
    """Fit chains of order 0 to `max_order` and compare them.

    Before its first step a session is at `(start)` for as long back as is asked, so all orders predict the same
    links. An order adds, over the contexts below, (their extensions - 1) x (their targets - 1) parameters,
    extensions and targets that are seen (Anderson & Goodman 1957; Katz 1981 for BIC, with n the number of links).

    Different visitors who each remember one page look together as if they remembered two, for the page before last
    tells who it is; what memory is worth is seen on people held out. There, steps not seen in a context borrow
    from the context one shorter (Witten & Bell 1991).

    Raises:
        ValueError: `max_order` is out of range.
    """
    if not 1 <= max_order <= HIGHEST:
        raise ValueError(f"max_order is {max_order}: it must be from 1 to {HIGHEST}.")
    frame = _context_counts(steps, max_order)
    n, (contexts, cells) = frame["n"].to_numpy(), _numbered(frame, max_order)
    n_targets, (folds, fold) = frame["target"].nunique(), np.unique(frame["fold"], return_inverse=True)
    likelihood = np.array([_log_likelihood(c, k, n) for c, k in zip(contexts, cells, strict=True)])
    added = [n_targets - 1, *(_added(contexts, cells, order) for order in range(1, max_order + 1))]
    table = pd.DataFrame({"order": range(max_order + 1), "n_parameters": np.cumsum(added)})
    table["log_likelihood"] = likelihood
    table["bic"] = table["n_parameters"] * np.log(n.sum()) - 2 * likelihood
    by_fold = _held_out(contexts, cells, n, fold, n_targets)
    gain = np.diff(by_fold, axis=0, prepend=np.nan)
    table["held_out_log_likelihood"] = by_fold.sum(axis=1)
    table["held_out_gain"] = gain.sum(axis=1)
    table["held_out_gain_error"] = np.sqrt(by_fold.shape[1]) * gain.std(axis=1, ddof=1)
    table["chosen"] = table.index == table["bic"].argmin()
    return OrderChoice(
        table=table,
        chosen=int(table["bic"].argmin()),
        held_out_chosen=None if len(folds) < 2 else int(table["held_out_log_likelihood"].argmax()),
        people_known="known" in steps.columns and bool(steps.known.any().execute()),
    )


def _context_counts(steps: ibis.Table, max_order: int) -> pd.DataFrame:
    """Count the links by fold, the steps before and the target."""
    names = ["source", *[f"source_{k}" for k in range(2, max_order + 1)]]
    if "cluster" in steps.columns:
        found = links(steps, "cluster", memory=max_order).join(first_ranks(steps), "cluster")
        found = found.mutate(fold=hashed(found["rank"], n_digits=1))
    else:
        found = links(steps, memory=max_order).mutate(fold=ibis.literal("all"))
    keys = ["fold", *names, "target"]
    return found.group_by(keys).aggregate(n=found.n.sum()).order_by(keys).to_pandas().astype({"n": float})


def _numbered(frame: pd.DataFrame, max_order: int) -> tuple[list[NDArray], list[NDArray]]:
    """Return for each order the number of every row's context, and that of its context with its target."""
    names, codes = np.unique(frame["target"].to_numpy(dtype=str), return_inverse=True)
    context = np.zeros(len(frame), dtype=np.int64)
    contexts, cells = [context], [codes]
    for k in range(1, max_order + 1):
        back = pd.factorize(frame["source" if k == 1 else f"source_{k}"], sort=True)[0]
        context = np.unique(context * (back.max() + 1) + back, return_inverse=True)[1]
        contexts.append(context)
        cells.append(np.unique(context * len(names) + codes, return_inverse=True)[1])
    return contexts, cells


def _log_likelihood(contexts: NDArray, cells: NDArray, n: NDArray) -> float:
    """Return the log-likelihood of the shares counted, the sum of n log(n / its context's)."""
    in_cell, in_context = np.bincount(cells, weights=n), np.bincount(contexts, weights=n)
    return float(np.sum(in_cell * np.log(in_cell)) - np.sum(in_context * np.log(in_context)))


def _added(contexts: list[NDArray], cells: list[NDArray], order: int) -> int:
    """Return the parameters that an order has more than the order below."""
    below = contexts[order - 1]
    extensions, targets = (
        np.bincount(below[np.unique(numbers, return_index=True)[1]])
        for numbers in (contexts[order], cells[order - 1])
    )
    return int(((extensions - 1) * (targets - 1)).sum())


def _held_out(
    contexts: list[NDArray], cells: list[NDArray], n: NDArray, fold: NDArray, n_targets: int
) -> NDArray[np.float64]:
    """Return the log-likelihood of each fold by chains fitted to the others, shape (orders, folds)."""
    n_folds = int(fold.max()) + 1
    if n_folds < 2:
        return np.full((len(cells), 2), np.nan)
    chance = np.full(len(n), 1 / n_targets)
    found = []
    for context, cell in zip(contexts, cells, strict=True):
        here = _total(cell * n_folds + fold, n)
        cell_left = _total(cell, n) - here
        context_left = _total(context, n) - _total(context * n_folds + fold, n)
        # Targets the other folds have seen in the context; a row counts for its part of its cell and fold.
        all_targets = _total(context, n / _total(cell, n))
        targets_left = all_targets - _total(context * n_folds + fold, np.where(cell_left == 0, n / here, 0.0))
        targets_left = np.where(context_left > 0, np.round(targets_left), 1.0)
        chance = (cell_left + targets_left * chance) / (context_left + targets_left)
        found.append(np.bincount(fold, weights=n * np.log(chance), minlength=n_folds))
    return np.array(found)


def _total(keys: NDArray[np.int64], weights: NDArray) -> NDArray[np.float64]:
    """Return for each row the sum over the rows of its key."""
    inverse = np.unique(keys, return_inverse=True)[1]
    return np.bincount(inverse, weights=weights)[inverse].astype(float)
