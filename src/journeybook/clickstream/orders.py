"""How many pages back a visitor remembers: chains of order 0 to 4 fitted to the same steps and compared."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from journeybook.clickstream.mixture import TypeMixture
from journeybook.journeys.links import first_ranks, hashed, links, person_of

HIGHEST = 4
# Random tables behind the mean and the variance of the likelihood ratio where cells are sparse.
_TABLES = 200
# Fewer draws say too little; more cells than this are not drawn.
_FEWEST_TABLES, _MOST_CELLS = 20, 50_000_000
# Cells expected to hold fewer are sparse (Cochran 1954).
_SPARSE = 5.0


@dataclass(frozen=True, eq=False)
class OrderChoice:
    """Chains that remember 0, 1, 2 ... steps, on the same links.

    Attributes:
        table: One row an order: `order`, `n_parameters`, `log_likelihood` (nats), `bic`, `lr_statistic`, `lr_df`
            and `lr_p_value` (against the order below), `held_out_log_likelihood` (nats; each visitor's links by a
            chain fitted without them), `held_out_gain` and `held_out_gain_error` (over the order below, with its
            standard error) and `chosen` (least BIC).
        chosen: Order of the least BIC.
        held_out_chosen: Order of the greatest held-out likelihood; None where no visitor can be held out.
        n_links: Links every order is judged by.
        n_folds: Groups of visitors that are held out in turn; 1 where none can be.
        people_known: Whether whole people are held out; otherwise sessions.
    """

    table: pd.DataFrame
    chosen: int
    held_out_chosen: int | None
    n_links: int
    n_folds: int
    people_known: bool

    @property
    def disagree(self) -> bool:
        """Whether BIC and the people held out choose different orders."""
        return self.held_out_chosen is not None and self.held_out_chosen != self.chosen


def choose_order(steps: ibis.Table, *, max_order: int, rng: np.random.Generator) -> OrderChoice:
    """Fit chains of order 0 to `max_order` and compare them.

    Before its first step a session is at `(start)` for as long back as is asked, so all orders predict the same
    links. Probabilities are the shares counted. An order's parameters beyond those of the order below are the
    degrees of freedom of the likelihood ratio test between them: over the contexts below, (their extensions - 1)
    x (their targets - 1), extensions and targets that are seen (Anderson & Goodman 1957; Katz 1981 for BIC, with
    n the number of links). Where cells are sparse chi-square is no guide: the mean and the variance of the
    statistic come from random tables with the same margins, and a gamma of that mean and variance gives the p
    value; without sparse cells it is chi-square.

    A mixture of visitors who each remember one page looks as if it remembered two, for the page before last tells
    who it is. So the test may reject the first order though nobody remembers; what memory is worth is seen on
    people held out. There, steps not seen in a context borrow from the context one shorter (Witten & Bell 1991).

    Args:
        steps: What `session_steps` or `path_steps` returns.
        max_order: Highest order, 1 to 4.
        rng: Random numbers of the random tables.

    Raises:
        ValueError: `max_order` is out of range.
    """
    if not 1 <= max_order <= HIGHEST:
        raise ValueError(f"max_order is {max_order}: it must be from 1 to {HIGHEST}.")
    counted = _Counted(_context_counts(steps, max_order), max_order)
    rows = [_row(counted, order, rng) for order in range(max_order + 1)]
    table = pd.DataFrame(rows)
    table["n_parameters"] = table["lr_df"].cumsum()
    table["bic"] = table["n_parameters"] * np.log(counted.n_links) - 2 * table["log_likelihood"]
    by_fold = _held_out(counted)
    gain = np.diff(by_fold, axis=0, prepend=np.nan)
    table["held_out_log_likelihood"] = by_fold.sum(axis=1)
    table["held_out_gain"] = gain.sum(axis=1)
    table["held_out_gain_error"] = np.sqrt(by_fold.shape[1]) * gain.std(axis=1, ddof=1)
    table.loc[0, ["lr_statistic", "lr_df", "lr_p_value"]] = np.nan
    table["chosen"] = table.index == table["bic"].argmin()
    best = None if counted.n_folds < 2 else int(table["held_out_log_likelihood"].argmax())
    known = "known" in steps.columns and bool(steps.known.any().execute())
    return OrderChoice(
        table=table[[*_COLUMNS]],
        chosen=int(table["bic"].argmin()),
        held_out_chosen=best,
        n_links=counted.n_links,
        n_folds=counted.n_folds,
        people_known=known,
    )


def memory_within_types(steps: ibis.Table, types: TypeMixture, *, rng: np.random.Generator) -> pd.DataFrame:
    """Test the second order against the first among the people of each type, and among all of them together.

    Where the first order is refused for all and not within the types, the memory is the mix of types.

    Args:
        steps: What `session_steps` returns.
        types: Types of visitor.
        rng: Random numbers of the random tables.

    Returns:
        `type` ("all" first), `n_people`, `n_links`, `lr_statistic`, `lr_df` and `lr_p_value`. No
        rows where there are not several types of people.
    """
    if types.unit != "people" or len(types.profile) < 2:
        return pd.DataFrame()
    members = types.members
    known = steps.filter(steps.known)
    typed = known.mutate(person_id=person_of(known.cluster)).join(
        ibis.memtable(members[["person_id", "type"]]), "person_id"
    )
    counts, rows = _context_counts(typed, 2, "type"), []
    for kind in ["all", *sorted(members["type"].unique())]:
        counted = _Counted(counts if kind == "all" else counts[counts["type"] == kind], 2)
        test = [_row(counted, order, rng) for order in (1, 2)][-1]
        n_people = len(members) if kind == "all" else int((members["type"] == kind).sum())
        about = {"type": str(kind), "n_people": n_people, "n_links": counted.n_links}
        rows.append(about | {name: test[name] for name in ("lr_statistic", "lr_df", "lr_p_value")})
    return pd.DataFrame(rows)


_COLUMNS = (
    "order",
    "n_parameters",
    "log_likelihood",
    "bic",
    "lr_statistic",
    "lr_df",
    "lr_p_value",
    "held_out_log_likelihood",
    "held_out_gain",
    "held_out_gain_error",
    "chosen",
)


class _Counted:
    """Links by context and target, folds apart, with the numbers of contexts and cells of every order.

    A context of order k is a number; `contexts[k]` holds it for each row, `cells[k]` the number of the context
    together with the target.
    """

    def __init__(self, frame: pd.DataFrame, max_order: int) -> None:
        names, codes = np.unique(frame["target"].to_numpy(dtype=str), return_inverse=True)
        self.n_targets = len(names)
        self.n = frame["n"].to_numpy()
        self.n_links = int(self.n.sum())
        folds, self.fold = np.unique(frame["fold"].to_numpy(dtype=str), return_inverse=True)
        self.n_folds = len(folds)
        context = np.zeros(len(frame), dtype=np.int64)
        self.contexts, self.cells = [context], [codes]
        for k in range(1, max_order + 1):
            back = pd.factorize(frame["source" if k == 1 else f"source_{k}"], sort=True)[0]
            context = np.unique(context * (back.max() + 1) + back, return_inverse=True)[1]
            self.contexts.append(context)
            self.cells.append(np.unique(context * len(names) + codes, return_inverse=True)[1])


def _context_counts(steps: ibis.Table, max_order: int, *columns: str) -> pd.DataFrame:
    """Count the links by fold, the steps before and the target, and by other columns."""
    names = ["source", *[f"source_{k}" for k in range(2, max_order + 1)]]
    if "cluster" in steps.columns:
        found = links(steps, "cluster", *columns, memory=max_order).join(first_ranks(steps), "cluster")
        found = found.mutate(fold=hashed(found["rank"], n_digits=1))
    else:
        found = links(steps, memory=max_order).mutate(fold=ibis.literal("all"))
    keys = ["fold", *columns, *names, "target"]
    return found.group_by(keys).aggregate(n=found.n.sum()).order_by(keys).to_pandas()


def _row(counted: _Counted, order: int, rng: np.random.Generator) -> dict[str, float]:
    """Return an order's likelihood and its test against the order below."""
    likelihood = _log_likelihood(counted, order)
    if order == 0:
        return {"order": 0, "log_likelihood": likelihood, "lr_df": counted.n_targets - 1}
    statistic = 2 * (likelihood - _log_likelihood(counted, order - 1))
    tables = _margins(counted, order)
    df = sum((len(rows) - 1) * (len(columns) - 1) for rows, columns in tables)
    return {
        "order": order,
        "log_likelihood": likelihood,
        "lr_statistic": statistic,
        "lr_df": df,
        "lr_p_value": _p_value(statistic, tables, rng),
    }


def _log_likelihood(counted: _Counted, order: int) -> float:
    """Return the log-likelihood of the shares counted, the sum of n log(n / its context's)."""
    in_cell = np.bincount(counted.cells[order], weights=counted.n)
    in_context = np.bincount(counted.contexts[order], weights=counted.n)
    return float(np.sum(in_cell * np.log(in_cell)) - np.sum(in_context * np.log(in_context)))


def _margins(counted: _Counted, order: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for every context of the order below, the counts of its extensions and of its targets."""

    def by_parent(numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        _, first = np.unique(numbers, return_index=True)
        parent = counted.contexts[order - 1][first]
        totals = np.bincount(numbers, weights=counted.n).astype(np.int64)[np.argsort(parent, kind="stable")]
        return np.split(totals, np.cumsum(np.bincount(parent))[:-1])

    extensions, targets = by_parent(counted.contexts[order]), by_parent(counted.cells[order - 1])
    return [(r, c) for r, c in zip(extensions, targets, strict=True) if len(r) > 1 and len(c) > 1]


def _p_value(statistic: float, tables: list, rng: np.random.Generator) -> float:
    """Return the chance of so large a statistic; NaN where the tables are too large to draw."""
    sparse = [(r, c) for r, c in tables if r.min() * c.min() / r.sum() < _SPARSE]
    n_draws = min(_TABLES, _MOST_CELLS // max(sum(len(r) * len(c) for r, c in sparse), 1))
    if not tables or n_draws < _FEWEST_TABLES:
        return np.nan
    drawn = np.zeros(n_draws)
    for rows, columns in sparse:
        drawn += _random_statistics(rows, columns, n_draws, rng)
    dense = sum((len(r) - 1) * (len(c) - 1) for r, c in tables if r.min() * c.min() / r.sum() >= _SPARSE)
    mean = dense + drawn.mean()
    variance = 2 * dense + drawn.var(ddof=1)
    return float(stats.gamma.sf(statistic, a=mean**2 / variance, scale=variance / mean))


def _random_statistics(rows: NDArray[np.int64], columns: NDArray[np.int64], n_draws: int, rng) -> NDArray:
    """Return the likelihood ratio statistic of random tables with these margins, shape (n_draws,)."""
    tables = stats.random_table(rows, columns).rvs(n_draws, random_state=rng)
    constant = xlogy(rows, rows).sum() + xlogy(columns, columns).sum() - xlogy(rows.sum(), rows.sum())
    return 2 * (xlogy(tables, tables).sum(axis=(1, 2)) - constant)


def _held_out(counted: _Counted) -> NDArray[np.float64]:
    """Return the log-likelihood of each fold by chains fitted to the others, shape (orders, folds)."""
    n, fold, n_folds = counted.n, counted.fold, counted.n_folds
    if n_folds < 2:
        return np.full((len(counted.cells), 2), np.nan)
    chance = np.full(len(n), 1 / counted.n_targets)
    found = []
    for contexts, cells in zip(counted.contexts, counted.cells, strict=True):
        here = _total(cells * n_folds + fold, n)
        cell_left = _total(cells, n) - here
        context_left = _total(contexts, n) - _total(contexts * n_folds + fold, n)
        # Targets the other folds have seen in the context; a row counts for its part of its cell and fold.
        part = n / here
        all_targets = _total(contexts, n / _total(cells, n))
        targets_left = all_targets - _total(contexts * n_folds + fold, np.where(cell_left == 0, part, 0.0))
        targets_left = np.where(context_left > 0, np.round(targets_left), 1.0)
        chance = (cell_left + targets_left * chance) / (context_left + targets_left)
        found.append(np.bincount(fold, weights=n * np.log(chance), minlength=n_folds))
    return np.array(found)


def _total(keys: NDArray[np.int64], weights: NDArray) -> NDArray[np.float64]:
    """Return for each row the sum over the rows of its key."""
    inverse = np.unique(keys, return_inverse=True)[1]
    return np.bincount(inverse, weights=weights)[inverse].astype(float)
