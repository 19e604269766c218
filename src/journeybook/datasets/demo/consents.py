"""The consent ledger: who granted what when, withdrew it, renewed it, or let it lapse.

Every customer id is asked for every purpose when its account is opened, in 2016 or 2017. Each answer can change
after that, and each change is a row:

    withdrawal   a household withdraws one purpose, all marketing, or everything; one with several records does
                 so twice as often, and in 70 % of cases on one of them only: the others go on saying yes
    renewal      grants of marketing by SMS and push end after 365 days, by e-mail and of third-party data
                 after 730; most are renewed in the 30 days before, some late, some never
    return       one in five grants again after a withdrawal, one in ten after refusing at first

A decision is recorded at once on the web, within hours by the call centre, within days from a paper form, and
never before an earlier one of the same customer id and purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.datasets.demo.records import SOURCES
from journeybook.statistics import stream
from journeybook.tables import PURPOSES

MARKETING = ("marketing_email", "marketing_sms", "marketing_push")

# By purpose: share that grants when first asked, share of households that withdraw in a year (of those
# with one record), days a grant lasts.
FIRST_GRANT = dict(zip(PURPOSES, (0.993, 0.993, 0.965, 0.84, 0.68, 0.58, 0.86), strict=True))
WITHDRAWAL = dict(zip(PURPOSES, (0.006, 0.006, 0.02, 0.06, 0.08, 0.08, 0.04), strict=True))
LASTS = dict(zip(PURPOSES, (np.inf, np.inf, np.inf, 730, 365, 365, 730), strict=True))
WITHDRAWS_MARKETING, WITHDRAWS_EVERYTHING = 0.04, 0.006
SAME_ANSWER = 0.93
SEVERAL_RECORDS_FACTOR = 2
ON_ONE_RECORD = 0.70
RENEWS, RENEWS_LATE = 0.88, 0.04
RETURNS, LATER_GRANT = 0.20, 0.10
# Of paper forms, those that are lost; of grants of e-mail on the web, those confirmed by a second click.
NO_PROOF, CONFIRMS = 0.02, 0.93

_DAY = 86_400
_LASTS = np.array(list(LASTS.values())) * _DAY
# Seconds until a decision is in the ledger, on average, in the order of SOURCES: loyalty, web, call centre.
_DELAY = np.array([1.2 * _DAY, 20, 7_200])
_START = np.datetime64("2016-01-01", "s")
_END = int((np.datetime64("2017-12-31T23:59:59", "s") - _START).astype(int))


@dataclass(frozen=True, eq=False)
class DemoConsents:
    """The ledger and what it comes to.

    Attributes:
        ledger: `consents`: customer_id, purpose, granted, occurred_at, recorded_at, expires_at, wording,
            version, channel, proof, confirmed_at.
        standing: Truth at the end of 2017: customer_id, purpose, permits (its last word is a grant that holds).
    """

    ledger: pd.DataFrame
    standing: pd.DataFrame


def simulate_consents(accounts: pd.DataFrame, *, seed: int) -> DemoConsents:
    """Draw the ledger of accounts: customer_id, household_id, source, joined_at."""
    rng = stream(seed, "demo consents")
    made, permits = _decide(accounts, rng)
    source = accounts["source"].map({name: k for k, name in enumerate(SOURCES)}).to_numpy()
    made["recorded"] = made["at"] + np.ceil(rng.exponential(_DELAY[source[made["who"]]]))
    made = made.sort_values(["who", "what", "at"], ignore_index=True)
    # In the order they were made; and what was decided by the end of 2017 is recorded by then.
    made["recorded"] = made.groupby(["who", "what"])["recorded"].cummax().clip(upper=_END)
    made["ends"] = np.where(made["grants"], made["at"] + _LASTS[made["what"]], np.inf)
    made = made.sort_values(["recorded", "who", "what", "at"], ignore_index=True)
    names = accounts["customer_id"].to_numpy()
    ledger = {
        "customer_id": names[made["who"]],
        "purpose": np.array(PURPOSES)[made["what"]],
        "granted": made["grants"].to_numpy(dtype=bool),
        "occurred_at": _moments(made["at"]),
        "recorded_at": _moments(made["recorded"]),
        "expires_at": _moments(made["ends"]),
    }
    ledger |= _evidence(ledger, source[made["who"]], stream(seed, "demo consents: evidence"))
    each = {"customer_id": names.repeat(len(PURPOSES)), "purpose": np.tile(np.array(PURPOSES), len(names))}
    return DemoConsents(ledger=pd.DataFrame(ledger), standing=pd.DataFrame(each | {"permits": permits.ravel()}))


def _evidence(
    ledger: Mapping[str, np.ndarray], source: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return how each decision was asked for: wording, version, channel, proof, confirmed_at."""
    n, at = len(source), ledger["occurred_at"]
    channel = np.array(["paper", "web", "phone"], dtype=object)[source]
    proof = np.array([f"{kind}/{k:07d}" for k, kind in enumerate(channel, start=1)], dtype=object)
    proof[(source == 0) & (rng.random(n) < NO_PROOF)] = None
    clicks = (source == 1) & ledger["granted"] & (ledger["purpose"] == "marketing_email")
    clicked = at + rng.exponential(1_800, n).astype("timedelta64[s]")
    never = np.datetime64("NaT", "us")
    confirmed = np.where(clicks & (rng.random(n) < CONFIRMS), clicked, never)
    version = np.where(at < np.datetime64("2017-05-01"), "1", "2")
    wording = np.array([f"agree-{purpose}" for purpose in ledger["purpose"]], dtype=object)
    told = {"wording": wording, "version": version, "channel": channel, "proof": proof}
    return told | {"confirmed_at": confirmed.astype("datetime64[us]")}


def _decide(accounts: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the decisions (`who`, `what`, `grants`, `at`), and what each account permits at last."""
    household = pd.factorize(accounts["household_id"])[0]
    shape = len(accounts), len(PURPOSES)
    # The records of a household mostly answer alike at first.
    alike = rng.random((household.max() + 1, shape[1]))[household]
    answer = np.where(rng.random(shape) < SAME_ANSWER, alike, rng.random(shape))
    at_first = answer < np.array(list(FIRST_GRANT.values()))
    withdrawn_at = _withdrawals(household, rng)

    joined = (accounts["joined_at"].to_numpy().astype("datetime64[s]") - _START).astype(float)
    now, granted = np.repeat(joined[:, None], shape[1], axis=1), at_first.copy()
    until, going = np.where(granted, now + _LASTS, np.inf), np.ones(shape, dtype=bool)
    made = [(*(index.ravel() for index in np.indices(shape)), granted.ravel(), now.ravel())]
    # At each turn every account and purpose takes its next decision, until none is left before the end.
    while going.any():
        lot = rng.random(shape)
        in_time = until - 30 * _DAY * rng.random(shape)
        too_late = until + _DAY * rng.uniform(5, 120, shape)
        renewal = np.where(lot < RENEWS, in_time, np.where(lot < RENEWS + RENEWS_LATE, too_late, np.inf))
        returns = lot < np.where(at_first, RETURNS, LATER_GRANT)
        comeback = np.where(returns, now + _DAY + rng.exponential(90 * _DAY, shape), np.inf)
        grant = np.where(granted, renewal, comeback)
        refusal = np.where(granted & (withdrawn_at > now), withdrawn_at, np.inf)
        then = np.floor(np.minimum(refusal, grant))
        going &= (then > now) & (then <= _END)
        now, granted = np.where(going, then, now), np.where(going, refusal >= grant, granted)
        until = np.where(going, np.where(granted, then + _LASTS, np.inf), until)
        who, what = np.nonzero(going)
        made.append((who, what, granted[who, what], now[who, what]))
    parts = dict(zip(("who", "what", "grants", "at"), map(np.concatenate, zip(*made, strict=True)), strict=True))
    return pd.DataFrame(parts), granted & (until > _END)


def _withdrawals(household: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return when each account withdraws each purpose, in seconds since 2016; infinite where it does not."""
    n = household.max() + 1
    # The ledger spans two years.
    years = 2 * np.where(np.bincount(household) > 1, SEVERAL_RECORDS_FACTOR, 1)
    single = rng.random((n, len(PURPOSES))) < np.outer(years, list(WITHDRAWAL.values()))
    at = np.where(single, rng.random(single.shape) * _END, np.inf)
    for yearly, purposes in ((WITHDRAWS_MARKETING, MARKETING), (WITHDRAWS_EVERYTHING, PURPOSES)):
        moment = np.where(rng.random(n) < years * yearly, rng.random(n) * _END, np.inf)
        at = np.where(np.isin(PURPOSES, purposes), np.minimum(at, moment[:, None]), at)
    # On one record of the household, always the same, or on all of them.
    on_one, lot = rng.random(n) < ON_ONE_RECORD, rng.random(len(household))
    greatest = np.zeros(n)
    np.maximum.at(greatest, household, lot)
    speaks = ~on_one[household] | (lot == greatest[household])
    return np.where(speaks[:, None], np.floor(at)[household], np.inf)


def _moments(seconds: pd.Series) -> np.ndarray:
    """Return seconds since 2016 as moments; infinite ones become missing."""
    finite = np.isfinite(seconds.to_numpy())
    moments = _START + np.where(finite, seconds, 0).astype("timedelta64[s]")
    return np.where(finite, moments, np.datetime64("NaT")).astype("datetime64[us]")
