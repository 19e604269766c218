"""What the page found beside the known answer of simulated contacts: probabilities, hours, planted peaks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.windows import (
    ANY_DAY,
    WEEKDAYS,
    ResponseWindows,
    response_windows,
    window_name,
)
from journeybook.statistics.quality import quality


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """The page beside the known answer; None and no checks where nothing was planted.

    Attributes:
        ceiling: The chosen model beside the true probabilities.
        windows: Rates by hour and peaks beside the true ones; None also without peaks.
        checks: Rows as `results.checks_of` takes them.
    """

    ceiling: "Ceiling | None"
    windows: "WindowsTruth | None"
    checks: pd.DataFrame


def known_answers(
    contacts: ContactFrame,
    split: Split,
    comparison: MethodComparison,
    windows: ResponseWindows,
    types: np.ndarray,
    *,
    truth: pd.DataFrame | None,
    planted: pd.DataFrame | None,
    rng: np.random.Generator,
) -> KnownAnswers:
    """Hold the chosen model and the hours against what was planted.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        windows: As made by `response_windows`.
        types: The types it was made for, shape (n,).
        truth: `contact_id`, `probability` and, where types were planted, `customer_type`; None without truth.
        planted: `name` and `value`, among them `contacts_peak_hour_<type>`.
        rng: Draws the windows of the planted types.
    """
    columns = ["name", "value", "rule", "reference", "tolerance", "source", "kind"]
    if truth is None:
        return KnownAnswers(None, None, pd.DataFrame(columns=columns))
    best, hours = ceiling(contacts, split, comparison, truth), None
    found: list[tuple] = [
        ("ROC AUC below that of the true probabilities, upper end", best.shortfall_high, "at least", 0.0, 0.0,
         "true probabilities; a leak would exceed them", "witness")
    ]  # fmt: skip
    if len(windows.peaks):
        hours = windows_against_truth(windows, contacts, split, types, truth)
        held = hours.kinds["inside_share"].iloc[0]
        found.append(("true response rates that their intervals hold", held, "at least", 0.95, 0.0,
                      "true probabilities", "known_miss"))  # fmt: skip
    if len(windows.peaks) and planted is not None and "customer_type" in truth:
        peaks = planted[planted["name"].str.startswith("contacts_peak_hour_")].set_index("name")["value"]
        own = (
            contacts.rows["contact_id"].map(truth.set_index("contact_id")["customer_type"]).to_numpy(dtype=object)
        )
        told = response_windows(contacts, split, own, window_hours=windows.window_hours, rng=rng)
        apart = planted_peaks(told, {n.removeprefix("contacts_peak_hour_"): hour for n, hour in peaks.items()})
        found.append(("hours from a planted peak to the window found, types known, largest",
                      apart["distance_hours"].max(), "at most", 1.0, 0.0, "planted hours of the simulation",
                      "witness"))  # fmt: skip
    return KnownAnswers(best, hours, pd.DataFrame(found, columns=columns))


@dataclass(frozen=True)
class Ceiling:
    """The chosen model beside the probabilities that the responses were drawn from.

    Attributes:
        roc_auc: ROC AUC of the true probabilities on the test contacts; no model can beat it but by chance.
        roc_auc_low: Lower end of its 95 % interval.
        roc_auc_high: Upper end.
        shortfall_high: Upper end of the paired 95 % interval of `roc_auc` less the model's.
        reached_share: (model - 0.5) / (ceiling - 0.5).
        mean_absolute_error: Mean distance of the model's calibrated probabilities from the true ones.
    """

    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    shortfall_high: float
    reached_share: float
    mean_absolute_error: float


def ceiling(contacts: ContactFrame, split: Split, comparison: MethodComparison, truth: pd.DataFrame) -> Ceiling:
    """Hold the chosen model against the true probabilities of a simulated data set.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        truth: `contact_id` and `probability`, one row a contact.

    Raises:
        ValueError: A test contact has no true probability.
    """
    known = truth.set_index("contact_id")["probability"]
    true = contacts.rows["contact_id"].iloc[split.test].map(known).to_numpy(dtype=float)
    if np.isnan(true).any():
        raise ValueError(f"{int(np.isnan(true).sum())} of {len(true)} test contacts have no true probability.")
    best = quality(true, comparison.responded, comparison.weights)
    ours = quality(comparison.probability, comparison.responded, comparison.weights)
    interval = best.interval()
    return Ceiling(
        roc_auc=float(best.estimate[0]),
        roc_auc_low=float(interval.low[0]),
        roc_auc_high=float(interval.high[0]),
        shortfall_high=float(np.quantile(best.draws[:, 0] - ours.draws[:, 0], 0.975)),
        reached_share=float((ours.estimate[0] - 0.5) / (best.estimate[0] - 0.5)),
        mean_absolute_error=float(np.abs(comparison.probability - true).mean()),
    )


@dataclass(frozen=True, eq=False)
class WindowsTruth:
    """Estimated windows beside true ones.

    The true rate of a cell is the mean true probability of the contacts counted in it.

    Attributes:
        kinds: One row a kind of rate (hour, weekday, hour of a weekday): `kind`, `n_rates`, `inside_share` (of the
            intervals that hold the true rate), `error` (root mean square, of the estimates) and `error_observed`
            (of the observed rates).
        peaks: One row a row of `ResponseWindows.peaks`: `person_type`, `kind`, `window`, `true_rate` of it,
            `inside` (its interval holds that), `best_window` and `best_rate` by the truth, and `among` (the
            best is one of those that could be).
    """

    kinds: pd.DataFrame
    peaks: pd.DataFrame


def windows_against_truth(
    windows: ResponseWindows, contacts: ContactFrame, split: Split, types: np.ndarray, truth: pd.DataFrame
) -> WindowsTruth:
    """Hold rates and peaks against the probabilities that responses were drawn from.

    Args:
        windows: As made by `response_windows`.
        contacts: The contacts it was made of.
        split: Their split.
        types: The types it was made for, shape (n,).
        truth: `contact_id` and `probability`, one row a contact.
    """
    sent = contacts.rows["occurred_at"].dt
    rows = pd.DataFrame(
        {
            "person_type": types,
            "weekday": np.array(WEEKDAYS)[sent.day_of_week],
            "hour": sent.hour.astype(float),
            "true": contacts.rows["contact_id"].map(truth.set_index("contact_id")["probability"]).astype(float),
        }
    ).iloc[split.training]
    rows = rows[(contacts.rows["channel"].iloc[split.training] != NO_CONTACT).to_numpy()]
    cells = windows.cells[windows.cells["contacted"] & (windows.cells["n_rows"] > 0)]
    any_day, any_hour = cells["weekday"] == ANY_DAY, cells["hour"].isna()
    kinds, known = [], {}
    for kind, chosen, by in (
        ("hour", any_day, ["hour"]),
        ("weekday", any_hour, ["weekday"]),
        ("hour of a weekday", ~any_day & ~any_hour, ["weekday", "hour"]),
    ):
        true = rows.groupby(["person_type", *by])["true"].mean().rename("true").reset_index()
        part = known[kind] = cells[chosen].merge(true, on=["person_type", *by], how="left")
        if len(part):
            inside = part["true"].between(part["response_rate_low"], part["response_rate_high"])
            kinds.append(
                {
                    "kind": kind,
                    "n_rates": len(part),
                    "inside_share": inside.mean(),
                    "error": _size(part["response_rate"] - part["true"]),
                    "error_observed": _size(part["observed_rate"] - part["true"]),
                }
            )
    peaks = [_peak(row, known, windows.window_hours) for row in windows.peaks.to_dict("records")]
    return WindowsTruth(kinds=pd.DataFrame(kinds), peaks=pd.DataFrame(peaks))


def planted_peaks(windows: ResponseWindows, hours: Mapping[str, float]) -> pd.DataFrame:
    """Return how far the peak windows of hours are from planted ones.

    Args:
        windows: As made by `response_windows`, for the types that were planted.
        hours: Planted peak, in hours from midnight, by type.

    Returns:
        One row a type: `person_type`, `planted_hour`, `window`, `distance_hours` (from the hour to the nearer end
        of the window, around the clock; 0 inside it).
    """
    found = windows.peaks[(windows.peaks["kind"] == "hours") & windows.peaks["person_type"].isin(list(hours))]
    planted = found["person_type"].map(dict(hours)).astype(float)
    middle = found["first"] + windows.window_hours / 2
    apart = ((planted - middle + 12) % 24 - 12).abs()
    return pd.DataFrame(
        {
            "person_type": found["person_type"],
            "planted_hour": planted,
            "window": found["window"],
            "distance_hours": (apart - windows.window_hours / 2).clip(lower=0),
        }
    ).reset_index(drop=True)


def _peak(row: dict, known: Mapping[str, pd.DataFrame], window_hours: int) -> dict:
    """The best window by the truth, beside the one found."""
    by, length = ("hour", window_hours) if row["kind"] == "hours" else ("weekday", 1)
    part = known[by][known[by]["person_type"] == row["person_type"]]
    at = part["hour"].astype(int) if by == "hour" else part["weekday"].map(WEEKDAYS.index)
    true = dict(zip(at, part["true"], strict=True))
    runs = {first: [(first + i) % 24 if by == "hour" else first for i in range(length)] for first in true}
    rates = {f: float(np.mean([true[v] for v in run])) for f, run in runs.items() if all(v in true for v in run)}
    best = max(rates, key=lambda first: rates[first])
    best_window = window_name(best, by, length)
    return {
        "person_type": row["person_type"],
        "kind": row["kind"],
        "window": row["window"],
        "true_rate": rates[row["first"]],
        "inside": row["response_rate_low"] <= rates[row["first"]] <= row["response_rate_high"],
        "best_window": best_window,
        "best_rate": rates[best],
        "among": best_window in row["could_be_best"].split(", "),
    }


def _size(errors: pd.Series) -> float:
    return float(np.sqrt(np.mean(errors**2)))
