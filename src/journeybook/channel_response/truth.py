"""What the page found beside the known answer of simulated contacts: probabilities, hours, peaks."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.windows import (
    ANY_DAY,
    WEEKDAYS,
    ResponseWindows,
    messages,
    window_name,
    windows_of,
)
from journeybook.statistics.quality import quality


@dataclass(frozen=True)
class Ceiling:
    """The chosen model beside the probabilities that the responses were drawn from.

    Attributes:
        roc_auc: ROC AUC of the true probabilities on the test contacts; no model can beat it but by chance.
        roc_auc_low: Lower end of its 95 % interval.
        roc_auc_high: Upper end.
        reached_share: (model - 0.5) / (ceiling - 0.5).
        mean_absolute_error: Mean distance of the model's calibrated probabilities from the true ones.
    """

    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    reached_share: float
    mean_absolute_error: float


@dataclass(frozen=True, eq=False)
class WindowsTruth:
    """Estimated windows beside true ones: the true rate of a cell is the mean true probability of its contacts.

    Attributes:
        kinds: One row a kind of rate (hour, weekday): `kind`, `n_rates`, `inside_share` (of the intervals that
            hold the true rate).
        peaks: One row a row of `ResponseWindows.peaks`: `true_rate` of it, `inside` (its interval holds that),
            `best_window` and `best_rate` by the truth, and `among` (the best is one of those that could be).
    """

    kinds: pd.DataFrame
    peaks: pd.DataFrame


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """The page beside the known answer; None and no checks where nothing was planted.

    Attributes:
        ceiling: The chosen model beside the true probabilities.
        windows: Rates by hour and peaks beside the true ones; None also without peaks.
        checks: Rows as `results.checks_of` takes them.
    """

    ceiling: Ceiling | None
    windows: WindowsTruth | None
    checks: pd.DataFrame


def known_answers(
    contacts: ContactFrame,
    split: Split,
    comparison: MethodComparison,
    windows: ResponseWindows,
    types: np.ndarray,
    *,
    truth: pd.DataFrame | None,
) -> KnownAnswers:
    """Hold the chosen model and the hours against the truth: `contact_id` and `probability`, one row a contact."""
    columns = ["name", "value", "rule", "reference", "tolerance", "source", "kind"]
    if truth is None:
        return KnownAnswers(None, None, pd.DataFrame(columns=columns))
    best, hours = ceiling(contacts, split, comparison, truth), None
    found: list[tuple] = []
    if len(windows.peaks):
        hours = windows_against_truth(windows, contacts, split, types, truth)
        name, held = "true response rates that their intervals hold", hours.kinds["inside_share"].iloc[0]
        found.append((name, held, "at least", 0.95, 0.0, "true probabilities", "known_miss"))
    return KnownAnswers(best, hours, pd.DataFrame(found, columns=columns))


def ceiling(contacts: ContactFrame, split: Split, comparison: MethodComparison, truth: pd.DataFrame) -> Ceiling:
    """Hold the chosen model against the true probabilities of a simulated data set.

    Raises:
        ValueError: A test contact has no true probability.
    """
    known = truth.set_index("contact_id")["probability"]
    true = contacts.rows["contact_id"].iloc[split.test].map(known).to_numpy(dtype=float)
    if np.isnan(true).any():
        raise ValueError(f"{int(np.isnan(true).sum())} of {len(true)} test contacts have no true probability.")
    best, ours = (quality(p, comparison.responded, comparison.weights) for p in (true, comparison.probability))
    interval = best.interval()
    return Ceiling(
        roc_auc=float(best.estimate[0]),
        roc_auc_low=float(interval.low[0]),
        roc_auc_high=float(interval.high[0]),
        reached_share=float((ours.estimate[0] - 0.5) / (best.estimate[0] - 0.5)),
        mean_absolute_error=float(np.abs(comparison.probability - true).mean()),
    )


def windows_against_truth(
    windows: ResponseWindows, contacts: ContactFrame, split: Split, types: np.ndarray, truth: pd.DataFrame
) -> WindowsTruth:
    """Hold rates and peaks against the probabilities that responses were drawn from; arguments as above."""
    true = contacts.rows["contact_id"].map(truth.set_index("contact_id")["probability"]).astype(float)
    rows, cells = messages(contacts, split, types).assign(true=true), windows.cells
    hourly = cells["weekday"] == ANY_DAY
    at = {"hour": cells["hour"], "weekday": cells["weekday"].map({day: i for i, day in enumerate(WEEKDAYS)})}
    kinds, known = [], {}
    for kind, chosen in (("hour", hourly), ("weekday", ~hourly)):
        means = rows.groupby(["person_type", kind])["true"].mean().rename("true").reset_index()
        part = known[kind] = (
            cells[chosen].assign(**{kind: at[kind][chosen]}).merge(means, on=["person_type", kind])
        )
        if len(part):
            inside = part["true"].between(part["response_rate_low"], part["response_rate_high"])
            kinds.append({"kind": kind, "n_rates": len(part), "inside_share": inside.mean()})
    peaks = [_peak(row, known, windows.window_hours) for row in windows.peaks.to_dict("records")]
    return WindowsTruth(kinds=pd.DataFrame(kinds), peaks=pd.DataFrame(peaks))


def _peak(row: dict, known: dict[str, pd.DataFrame], window_hours: int) -> dict:
    """The best window by the truth, beside the one found."""
    by = "hour" if row["kind"] == "hours" else "weekday"
    part = known[by][known[by]["person_type"] == row["person_type"]]
    true = part["true"].to_numpy()
    runs = windows_of(by, part[by].to_numpy(dtype=int), window_hours)
    rates = {first: float(true[inside].mean()) for first, inside in runs.items()}
    best = max(rates, key=lambda first: rates[first])
    name, own = window_name(best, by, window_hours), rates[row["first"]]
    inside = row["response_rate_low"] <= own <= row["response_rate_high"]
    among = name in row["could_be_best"].split(", ")
    return {"true_rate": own, "inside": inside, "best_window": name, "best_rate": rates[best], "among": among}
