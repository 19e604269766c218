"""When people answer: the response rate by hour of sending."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.splits import Split

FEWEST_AN_HOUR = 30
"""Contacts an hour must have to be shown."""


def response_by_hour(contacts: ContactFrame, split: Split, *, level: float = 0.95) -> pd.DataFrame:
    """Return the response rate of training contacts by hour of sending, and of decisions not to contact.

    Args:
        contacts: As made by `contact_frame`.
        split: Its training contacts are counted.
        level: Probability that an interval holds the rate.

    Returns:
        One row an hour and kind: `contacted` (False for the channel "none"), `hour` (0 to 23, local time),
        `n_rows`, `response_rate`, `response_rate_low`, `response_rate_high`. The interval counts people and not
        contacts (linearised variance of a ratio, Cochran 1977, sec. 6.3, on the log-odds scale). Hours with fewer
        than 30 contacts are left out; empty where contacts have no times or all have one hour.
    """
    columns = ["contacted", "hour", "n_rows", "response_rate", "response_rate_low", "response_rate_high"]
    if not contacts.has_times or contacts.rows["occurred_at"].dt.hour.nunique() < 2:
        return pd.DataFrame(columns=columns)
    rows = contacts.rows.iloc[split.training]
    contacted, hour = rows["channel"] != NO_CONTACT, rows["occurred_at"].dt.hour
    records = []
    for kind in (False, True):
        for at in range(24):
            part = rows[(contacted == kind) & (hour == at)]
            if len(part) >= FEWEST_AN_HOUR:
                records.append((kind, at, *_rate(part, level)))
    return pd.DataFrame(records, columns=columns)


def _rate(rows: pd.DataFrame, level: float) -> tuple[int, float, float, float]:
    responded = rows["responded"].to_numpy(dtype=float)
    n, rate = len(rows), responded.mean()
    if rate in (0.0, 1.0):
        return n, rate, max(0.0, rate - 3 / n), min(1.0, rate + 3 / n)
    by_person = np.bincount(pd.factorize(rows["person"])[0], weights=responded - rate)
    error = np.sqrt((by_person**2).sum() * len(by_person) / max(len(by_person) - 1, 1)) / n
    half = norm.ppf((1 + level) / 2) * error / (rate * (1 - rate))
    return n, float(rate), float(expit(logit(rate) - half)), float(expit(logit(rate) + half))
