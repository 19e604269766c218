"""The leak gate: columns that could not be known when the contact was decided.

How often two rules raise a false alarm was simulated on 120 tables each of 500, 2,000 and 20,000 training rows at
response rates of 2, 10 and 40 %, of 20 columns known beforehand; half of them predict, with an odds ratio of 1.2
to 2.5 a standard deviation. "Always or never" set a column aside in none of the 1,080 tables. A single-column AUC
above 0.8 did so in 33 % of the tables with ten responses, in 0.8 % of those with 40, and in none of the 840 with
more or more frequent ones: it is to be doubted where responses are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.errors import nearest

PUBLISHED_NAMES = frozenset(
    {
        *("duration", "call_duration", "call_seconds", "talk_time", "handle_time"),
        *("delivered", "bounced", "opened", "clicked", "replied", "answered", "response", "unsubscribed"),
        *("complained", "visit", "visited", "converted", "conversion", "purchased", "redeemed", "redemption"),
        *("opened_at", "clicked_at", "replied_at", "response_at", "responded_at", "redeemed_at"),
        *("converted_at", "purchased_at", "spend_after", "revenue_after", "campaign_revenue", "order_id"),
    }
)
"""Names that contact tables use for what happens during or after the contact (lower case, the whole name)."""

FEWEST_PURE = 50
"""Rows in each half of training that a value or range must have before its response rate of 0 or 1 can count."""

MOST_ROWS = 10_000
"""Training rows, evenly over time, that two columns are looked at on together."""

SCREENED_ROWS = 4_000
"""Those of them on which all columns are first looked at, each two."""

_HONEST_ODDS = 5.0  # a value known beforehand may have the odds of a response this many times lower or higher
_FALSE_ALARMS = 0.01  # tables whose columns go no further than that, in which chance may raise the alarm
_BINS, _CELLS = 10, 11  # of a column that is looked at together with another; missing values have one more
_NEAR = 0.1  # so much below the limit of two columns they are looked at on all rows
_BEYOND = 0.05  # what two columns must have together beyond the AUC of two that know different things


@dataclass(frozen=True, eq=False)
class LeakGate:
    """What the gate set aside, and what it let pass.

    Attributes:
        leaks: One row a column and rule that caught it: `column`, `rule` (outcome, declared, published name,
            later than sending, always or never, single-column AUC, two columns together), `evidence` (a sentence).
        aucs: One row a candidate column: `column`, `auc` (0.5 to 1, on training rows), `caught`; highest first.
        features: The candidate features that passed, in their order.
    """

    leaks: pd.DataFrame
    aucs: pd.DataFrame
    features: tuple[str, ...]


def leak_gate(
    contacts: ContactFrame,
    split: Split,
    *,
    known_after_contact: Sequence[str],
    known_before_contact: Sequence[str],
    max_single_auc: float,
) -> LeakGate:
    """Set aside what could not be known before the contact, before any model sees it.

    Beside what the user declares, the outcomes by definition and the published names, three rules look at
    responses: a value or range that always or never goes with one (`always_or_never`), a single column that ranks
    responders better than anything honest does, and two columns that do so only together (`leaking_pairs`).

    Training rows give the evidence; the test is not looked at. No rule but that of outcomes sets aside a column of
    `known_before_contact`. `max_single_auc`, 0.5 to 1, is the limit of a column alone.

    Raises:
        ValueError: A declared column is not in the table, or is declared both ways.
    """
    if not 0.5 <= max_single_auc <= 1:
        raise ValueError(f"max_single_auc must lie between 0.5 and 1, got {max_single_auc}.")
    check_declared(contacts, known_after_contact=known_after_contact, known_before_contact=known_before_contact)
    candidates = [*contacts.outcomes, *contacts.features]
    rows = contacts.rows.iloc[split.training]
    if contacts.has_times:
        rows = rows.sort_values(["occurred_at", "row"])
    responded = rows["responded"].to_numpy()
    allowed = _FALSE_ALARMS / max(1, len(contacts.features))
    found: list[tuple[str, str, str]] = []
    aucs: dict[str, float] = {}
    for name in candidates:
        auc = aucs[name] = single_column_auc(rows[name], responded)
        alone = f"alone it ranks responders with AUC {auc:.3f}"
        if name in contacts.outcomes:
            found.append((name, "outcome", f"an outcome of the contact by the table's definition; {alone}"))
            continue
        if name in known_after_contact:
            found.append((name, "declared", f"listed in known_after_contact; {alone}"))
        if name in known_before_contact:
            continue
        if name in contacts.contact_features and name.lower() in PUBLISHED_NAMES:
            found.append((name, "published name", f"a usual name for what follows a contact; {alone}"))
        if name in contacts.times and (later := int((rows[name] < 0).sum())):
            found.append((name, "later than sending", f"{later} of {len(rows)} values are later than the contact"))
        if pure := always_or_never(rows[name], responded, false_alarms=allowed):
            found.append((name, "always or never", pure))
        if auc > max_single_auc:
            found.append((name, "single-column AUC", f"{alone}, above {max_single_auc:g}"))
    caught = {column for column, _, _ in found}
    asked = {name: aucs[name] for name in contacts.features if name not in caught | set(known_before_contact)}
    for one, other, auc in leaking_pairs(rows, responded, asked, max_auc=max_single_auc):
        for name, beside in ((one, other), (other, one)):
            told = f"with {beside} it ranks responders with AUC {auc:.3f}, alone with {aucs[name]:.3f}"
            found.append((name, "two columns together", told))
    caught = {column for column, _, _ in found}
    ranked = pd.DataFrame({"column": list(aucs), "auc": list(aucs.values())})
    ranked["caught"] = ranked["column"].isin(caught)
    return LeakGate(
        leaks=pd.DataFrame(found, columns=["column", "rule", "evidence"]),
        aucs=ranked.sort_values(["auc", "column"], ascending=[False, True], ignore_index=True),
        features=tuple(name for name in contacts.features if name not in caught),
    )


def single_column_auc(column: pd.Series, responded: np.ndarray) -> float:
    """Return how well one column alone ranks responders, 0.5 to 1, whichever way round.

    A number is ranked by value and, apart, by being missing. A category is ranked by the response rate of its
    level in the other half of the rows (odd against even), so that many levels alone earn nothing.

    >>> single_column_auc(pd.Series([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, 0, 0]))
    1.0
    """
    if _is_number(column):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        known = ~np.isnan(values)
        return max(_either_way(values[known], responded[known]), _either_way(known.astype(float), responded))
    return _cross_fitted_auc(pd.factorize(column, use_na_sentinel=False)[0], responded)


def leaking_pairs(
    rows: pd.DataFrame, responded: np.ndarray, aucs: dict[str, float], *, max_auc: float
) -> list[tuple[str, str, float]]:
    """Return the columns that rank responders too well only two together, as a balance before and one after do.

    Two numbers are looked at along the line that tells responders best (Fisher 1936), and any two columns by the
    response rate of their joint bins in the other half of the rows. Columns that know different things add up to
    Phi(sqrt(z1^2 + z2^2)), z of one being the normal quantile of its AUC: what goes beyond that and `max_auc` is
    no coincidence of honest columns. `aucs` holds each column's own.

    Returns:
        One column, the other, and their AUC, each pair once.
    """
    names, found = [*aucs], []
    step = -(-len(rows) // MOST_ROWS)
    rows, responded = rows.iloc[::step], responded[::step]
    z = {name: ndtri(min(auc, 1 - 1e-9)) for name, auc in aucs.items()}

    def beyond(one: str, other: str, auc: float) -> bool:
        return auc > max(max_auc, ndtr(np.hypot(z[one], z[other])) + _BEYOND)

    numbers = [name for name in names if _is_number(rows[name]) and rows[name].nunique() > 1]
    if len(numbers) > 1 and 1 < responded.sum() < len(rows) - 1:
        values = rows[numbers].to_numpy(dtype=float)
        # A missing number tells nothing along a line: it stands in the middle.
        values = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0))
        within = np.cov((values - np.stack([values[responded == k].mean(axis=0) for k in (0, 1)])[responded]).T)
        apart = values[responded == 1].mean(axis=0) - values[responded == 0].mean(axis=0)
        # Mahalanobis' distance of each two columns at once; those that say the same are as far as one of them.
        own, both = np.diag(within), np.outer(np.diag(within), np.diag(within)) - within**2
        far = apart**2 * own[:, None] + (apart**2 * own[:, None]).T - 2 * np.outer(apart, apart) * within
        far = np.where(both > 1e-9, far / np.maximum(both, 1e-9), 0)
        likely = ndtr(np.sqrt(np.maximum(far, 0) / 2)) + _BEYOND > max_auc
        for i, j in zip(*np.nonzero(np.triu(likely, 1)), strict=True):
            two = [i, j]
            line = np.linalg.pinv(within[np.ix_(two, two)], rcond=1e-9) @ apart[two]
            auc = _either_way(values[:, two] @ line, responded)
            if beyond(numbers[i], numbers[j], auc):
                found.append((numbers[i], numbers[j], auc))
    told = {frozenset(pair[:2]) for pair in found}
    codes = {name: _binned(rows[name]) for name in names}
    some = slice(None, None, -(-len(rows) // SCREENED_ROWS))
    screened = np.stack([codes[name][some] for name in names], axis=1) if names else np.zeros((0, 0), int)
    for i, j in _likely_pairs(screened, responded[some], least=max_auc - _NEAR):
        one, other = names[i], names[j]
        auc = _cross_fitted_auc(codes[one] * _CELLS + codes[other], responded)
        if beyond(one, other, auc) and frozenset((one, other)) not in told:
            found.append((one, other, auc))
    return found


def _likely_pairs(codes: np.ndarray, responded: np.ndarray, *, least: float) -> list[tuple[int, int]]:
    """Columns of bins (rows by columns) of which two together may rank responders with an AUC of `least` or more.

    Each half of the rows is scored by the response rates of the other. From the means and the spread of the scores
    the AUC follows as of two normal distributions (Green & Swets 1966): rough, and without sorting.
    """
    n, n_columns = codes.shape
    cells = np.zeros((n, n_columns * _CELLS), dtype="float32")
    np.put_along_axis(cells, codes + _CELLS * np.arange(n_columns), 1.0, axis=1)
    hits = responded.astype("float32")
    # Rows of each joint cell, and those of them that responded, in either half.
    gram = [[(cells[k::2] * w[k::2, None]).T @ cells[k::2] for w in (np.ones(n, "float32"), hits)] for k in (0, 1)]
    prior, found = responded.mean(), []
    for i in range(n_columns - 1):
        at, later = slice(_CELLS * i, _CELLS * (i + 1)), slice(_CELLS * (i + 1), None)
        counted = [[m[at, later].reshape(_CELLS, -1, _CELLS) for m in half] for half in gram]
        apart = []
        for (n_here, hit_here), (n_there, hit_there) in (counted, counted[::-1]):
            score = (hit_there + prior) / (n_there + 1)
            parts = (hit_here, n_here - hit_here, n_here)
            won, lost, all_ = ((score * m).sum(axis=(0, 2)) / max(m[:, 0].sum(), 1) for m in parts)
            spread = (score**2 * n_here).sum(axis=(0, 2)) / n_here[:, 0].sum() - all_**2
            apart.append(np.abs(won - lost) / np.sqrt(np.maximum(spread, 1e-12)))
        likely = ndtr(np.mean(apart, axis=0) / np.sqrt(2)) >= least
        found += [(i, i + 1 + j) for j in np.flatnonzero(likely).tolist()]
    return found


def _binned(column: pd.Series) -> np.ndarray:
    """Ten bins of a number, or its values if there are no more; nine levels of a category and the others."""
    if not _is_number(column):
        places = column.map({level: i for i, level in enumerate(column.value_counts().index)})
        return places.fillna(_BINS).clip(upper=_BINS - 1).to_numpy(dtype=int)
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    known = np.unique(values[~np.isnan(values)])
    if len(known) > _BINS:
        known = np.unique(np.nanquantile(values, np.arange(1, _BINS) / _BINS))
    return np.where(np.isnan(values), _BINS, np.minimum(np.searchsorted(known, values), _BINS - 1))


def _cross_fitted_auc(level: np.ndarray, responded: np.ndarray) -> float:
    """AUC of the response rate of each level in the other half of the rows, mean of the two halves."""
    n, prior = int(level.max()) + 1, responded.mean()
    half = np.arange(len(level)) % 2
    counts = np.bincount((half * n + level) * 2 + responded, minlength=4 * n).reshape(2, n, 2)
    found = []
    for here, there in (counts, counts[::-1]):
        rate = (there[:, 1] + prior) / (there.sum(axis=1) + 1)
        steps = np.unique(rate, return_inverse=True)[1]
        others, hits = (np.bincount(steps, weights=here[:, k]) for k in (0, 1))
        below = np.cumsum(others) - others / 2
        pairs = others.sum() * hits.sum()
        auc = (hits * below).sum() / pairs if pairs else 0.5
        found.append(max(auc, 1 - auc))
    return float(np.mean(found))


def always_or_never(column: pd.Series, responded: np.ndarray, *, false_alarms: float) -> str:
    """Say for which value or range of a column all or none responded, in both halves of the rows.

    At least 50 rows are needed in each half, and more where chance or an honest column could do the same: a value
    known beforehand may have a fifth or the fivefold of the average odds, and of all the values or ranges tried
    hardly one may then be pure over so many rows. Where 12 % respond, a value at which nobody does needs about 300
    rows, a range of a number about 600; a value at which everybody does needs 100.

    Returns the evidence, of the value or range with the most rows, in one sentence; empty where there is none. The
    first half of the rows is the earlier one; a missing number is a value of its own. `false_alarms` is the share
    of such honest columns in which chance may raise the alarm.
    """
    rate = responded.mean()
    if not 0 < rate < 1:
        return ""
    later = np.arange(len(column)) >= len(column) / 2
    if is_number := _is_number(column):
        values = column.to_numpy(dtype="float64", na_value=np.nan)
        levels, code = np.unique(values, return_inverse=True)
    else:
        code, levels = pd.factorize(column, use_na_sentinel=False)
    shown: np.ndarray | list[str] = levels
    n, hits, n_later = (np.bincount(code, weights=each) for each in (np.ones(len(code)), responded, later))
    kind = np.where(hits == 0, 0, np.where(hits == n, 1, 2))  # never, always, at times
    if is_number:  # values that follow one another and are of one kind are one range; a missing one stands alone
        begins = np.concatenate([[True], np.diff(kind) != 0]) | np.isnan(levels)
        start = np.flatnonzero(begins)
        n, n_later, kind = np.add.reduceat(n, start), np.add.reduceat(n_later, start), kind[start]
        ends = np.append(start[1:], len(levels)) - 1
        pairs = [(levels[a], levels[b]) for a, b in zip(start, ends, strict=True)]
        shown = [f"{a:g}" if a == b or a != a else f"{a:g} to {b:g}" for a, b in pairs]
    odds = rate / (1 - rate)
    found = []
    for outcome, factor, word in ((0, 1 / _HONEST_ODDS, "none"), (1, _HONEST_ODDS, "all")):
        honest = odds * factor / (1 + odds * factor)
        log_pure = np.log1p(-honest) if outcome == 0 else np.log(honest)
        needed = np.log(false_alarms / len(n)) / log_pure
        pure = (kind == outcome) & (n >= needed) & (np.minimum(n_later, n - n_later) >= FEWEST_PURE)
        found += [(n[i], shown[i], word) for i in np.flatnonzero(pure)]
    if not found:
        return ""
    rows, level, word = max(found, key=lambda each: each[0])
    return f"{word} of the {rows:,.0f} contacts at {level} responded, in both halves of training"


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _either_way(score: np.ndarray, responded: np.ndarray) -> float:
    """AUC of a score, or of its reverse if that is larger; 0.5 where there is nothing to rank."""
    n_hits = int(responded.sum())
    n_others = len(responded) - n_hits
    if n_hits == 0 or n_others == 0:
        return 0.5
    auc = (rankdata(score)[responded == 1].sum() - n_hits * (n_hits + 1) / 2) / (n_hits * n_others)
    return float(max(auc, 1 - auc))


def check_declared(
    contacts: ContactFrame, *, known_after_contact: Sequence[str], known_before_contact: Sequence[str]
) -> None:
    """Raise ValueError where a declared column is not in the table, or is declared both ways."""
    # A column that was set aside already may stay declared.
    columns = [*contacts.outcomes, *contacts.features, *contacts.undated]
    declared = {"known_after_contact": known_after_contact, "known_before_contact": known_before_contact}
    for what, names in declared.items():
        for name in names:
            if name not in columns:
                raise ValueError(
                    f"{what} names {name!r}, which is not a column of the contacts; {nearest(name, columns)}"
                )
    if both := sorted(set(known_after_contact) & set(known_before_contact)):
        raise ValueError(f"{', '.join(both)}: named in known_after_contact and in known_before_contact.")
