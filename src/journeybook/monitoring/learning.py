"""Learning as weeks go by, honestly forward: frozen, a little each week, anew, on a schedule, or when told."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy
from scipy.stats import norm

from journeybook.errors import TooLittle
from journeybook.monitoring.acting import Scored, gained
from journeybook.statistics.recalibration import recalibrated

STRATEGIES = ("frozen", "a little each week", "anew each week", "on schedule", "when told")
"""Never trained again; `partial_fit` on each week's outcomes; fitted again on all that is known each week, every
so many weeks, or when its calibration no longer holds."""

FEWEST_WEEKS = 6

_TOLD = 0.01  # p value of the calibration line below which a model is trained anew
_RATE = 0.001  # step of the gradient, kept constant so that old weeks are forgotten in time
_STEPS, _EPOCHS = 60_000, 3  # contacts that a fit passes at least, in so many rounds at least


@dataclass(frozen=True, eq=False)
class Walk:
    """Strategies of learning, each week's contacts judged by what was known when the week began.

    Attributes:
        weeks: One row a week: `starts_at`, `n_rows`, `n_learned` (contacts whose outcome was known by then), and
            the log loss of each of `STRATEGIES`, in nats.
        strategies: One row a strategy: `n_fits` after the first, `log_loss`, and `gain`, by how much it is below
            that of the frozen model, with 95 % ends, clustered by person.
        probabilities: Of each contact in the weeks, by strategy, shape (n, 5); `rows` has their places.
        rows: Place of each in the contacts, shape (n,).
        settings: What each model was asked to be; `seeds` has the order of rows of each week's.
    """

    weeks: pd.DataFrame
    strategies: pd.DataFrame
    probabilities: np.ndarray
    rows: np.ndarray
    settings: dict[str, object]
    seeds: np.ndarray


def walk_forward(scored: Scored, *, first_share: float, every_weeks: int, rng: np.random.Generator) -> Walk:
    """Train a linear model by stochastic gradient (scikit-learn's SGDClassifier) as time goes by.

    The first model learns from the outcomes known when the first share of the days is over. Each strategy then
    says what each later week's contacts will do, and learns only from outcomes known when the week begins.
    `when told` trains anew where the calibration line of its own probabilities since then is off (p < 0.01).

    Args:
        scored: Contacts in the order of time.
        first_share: Share of the days that the first model learns from, above 0, below 1.
        every_weeks: Weeks from one training to the next on schedule, from 1.
        rng: Order of the rows in each pass.

    Raises:
        TooLittle: Fewer than six weeks follow, or the first model would know only one outcome.
        ValueError: A number is out of range.
    """
    from sklearn.linear_model import SGDClassifier

    if not 0 < first_share < 1 or every_weeks < 1:
        raise ValueError(
            f"first_share must be between 0 and 1 and every_weeks at least 1, got {first_share}, {every_weeks}."
        )
    sent, known = scored.rows["occurred_at"], scored.rows["known_at"].to_numpy()
    y, person = scored.rows["responded"].to_numpy(), scored.rows["person"].to_numpy()
    first = sent.min() + first_share * (sent.max() - sent.min())
    starts = pd.date_range(first.normalize(), sent.max(), freq="7D").to_numpy()
    if len(starts) < FEWEST_WEEKS:
        raise TooLittle(f"{len(starts)} weeks follow the first model; {FEWEST_WEEKS} are needed.")
    week = np.searchsorted(starts, sent.to_numpy(), side="right") - 1
    settings: dict[str, object] = {
        "loss": "log_loss",
        "alpha": 1e-4,
        "learning_rate": "constant",
        "eta0": _RATE,
        "tol": None,
    }
    settings["max_iter"] = max(_EPOCHS, -(-_STEPS // max(1, int((known <= starts[0]).sum()))))
    seeds = rng.integers(2**31, size=len(starts))
    if len(np.unique(y[known <= starts[0]])) < 2:
        raise TooLittle("The first weeks hold only one outcome: a model needs both.")
    fitted: list[np.ndarray] = []
    stepped: list[np.ndarray] = []
    for k, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
        learned = known <= start
        anew = SGDClassifier(**settings, random_state=int(seed)).fit(scored.x[learned], y[learned])
        fitted.append(np.append(anew.coef_[0], anew.intercept_[0]))
        if k == 0:
            growing = anew
        elif (fresh := learned & (known > starts[k - 1])).any():
            growing.partial_fit(scored.x[fresh], y[fresh])
        stepped.append(np.append(growing.coef_[0], growing.intercept_[0]))
    refitted, grown = np.array(fitted), np.array(stepped)
    x = np.column_stack([scored.x, np.ones(len(y))])
    schedule = [k - k % every_weeks for k in range(len(starts))]
    told = _told(x, y, person, known, week, starts, refitted)
    each = range(len(starts))
    uses = {
        "frozen": refitted[[0] * len(starts)],
        "a little each week": grown,
        "anew each week": refitted[[*each]],
    }
    uses |= {"on schedule": refitted[schedule], "when told": refitted[told]}
    rows = np.flatnonzero(week >= 0)
    said = np.column_stack([expit((x[rows] * uses[name][week[rows]]).sum(axis=1)) for name in STRATEGIES])
    hit = y[rows, None]
    lost = -xlogy(hit, said) - xlogy(1 - hit, 1 - said)
    gain, error = gained(-lost, -lost[:, 0], person[rows])
    fits = [0, len(starts) - 1, len(starts) - 1, len(set(schedule)) - 1, len(set(told)) - 1]
    table = pd.DataFrame({"strategy": STRATEGIES, "n_fits": fits, "log_loss": lost.mean(axis=0), "gain": gain})
    weekly = pd.DataFrame(lost, columns=STRATEGIES).groupby(week[rows]).mean()
    counts = {"starts_at": starts, "n_rows": np.bincount(week[rows], minlength=len(starts))}
    counts["n_learned"] = [(known <= start).sum() for start in starts]
    half = norm.ppf(0.975) * error
    table = table.assign(gain_low=gain - half, gain_high=gain + half)
    return Walk(pd.DataFrame(counts).join(weekly), table, said, rows, settings, seeds)


def _told(
    x: np.ndarray, y: np.ndarray, person: np.ndarray, known: np.ndarray, week: np.ndarray, starts: np.ndarray,
    refitted: np.ndarray,
) -> list[int]:  # fmt: skip
    """Which week's model each week uses, where one is trained anew once its calibration no longer holds."""
    used = [0]
    for k in range(1, len(starts)):
        seen = (week >= used[-1]) & (week >= 0) & (known <= starts[k])
        hits = y[seen].sum()
        off = False
        if min(hits, seen.sum() - hits) >= 50:
            said = expit(x[seen] @ refitted[used[-1]])
            off = recalibrated(said, y[seen], pd.factorize(person[seen])[0]).p_value < _TOLD
        used.append(k if off else used[-1])
    return used
