"""Windows held against simulated data: the rates that responses were drawn from, the hours that were planted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.channel_response.windows import ANY_DAY, WEEKDAYS, ResponseWindows, window_name


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
