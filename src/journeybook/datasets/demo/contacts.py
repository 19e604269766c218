"""Decisions to write to a household by e-mail, SMS or push, or not to, and what came of them.

Every eighth or ninth day from 1 March to 30 November 2017 the shop decides for each household that has bought
before and permits analytics, personalisation and at least one channel. A logging policy that looks at recent
behaviour draws among the permitted channels and `none`, each with at least `FLOOR`; the probability of what was
drawn is `propensity`. Nothing is sent that the ledger does not permit at that moment, by the date of the
decision and by the date of its record, on every record of the household.

`responded` is a simulated visit to the shop's site within 7 days; the windows of one household do not overlap.
Its probability is logistic in the household's REAL receipts before the contact: days since the last, number and
spend in the 28 days before. A message adds an effect that depends on channel and customer type (each type has
a favourite), on hour and weekday (each type has a peak), less for those who come anyway, less after recent
messages. So response is not effect: frequent shoppers visit when nobody writes to them.

Every size is drawn from the seed and kept in `truth/parameters`; `truth/contacts` has the probability of a
response under every channel and the probability with which each would have been chosen.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets.demo.households import CUSTOMER_TYPES
from journeybook.statistics import stream

FIRST_DAY = np.datetime64("2017-03-01", "D")
N_DAYS = 275
# Turns of each household; 275 / 32 days apart, so that windows of 7 days do not overlap.
N_ROUNDS = 32
# Hours at which messages are sent, and how often: by day and in the evening, less often early and late.
HOURS = np.arange(8, 22)
_HOUR_WEIGHTS = np.array([2, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4, 4, 3, 2])

CHANNELS = ("email", "sms", "push", "none")
MESSAGES = CHANNELS[:3]
FLOOR = 0.06
FATIGUE_DAYS = 28

# Share of messages opened and clicked, by channel: of those who respond, of those who do not. A click needs an
# opening, but a text message does not tell whether it was read; people also respond without a click.
OPEN_RATES = {"email": (0.72, 0.21), "push": (0.55, 0.07)}
CLICK_RATES = {"email": (0.80, 0.06), "sms": (0.62, 0.02), "push": (0.80, 0.06)}

# What is known from the receipts strictly before each decision (sums are exact decimals), and what is permitted:
# a purpose is where the latest decision of every account of the household is a grant that has been recorded and
# has not ended. An account not yet opened has no say; the loyalty card must have one.
_KNOWN = """
WITH behaviour AS (
    SELECT planned.decision,
           epoch(any_value(planned.occurred_at)) - epoch(max(baskets.occurred_at)) AS seconds,
           count(*) FILTER (baskets.occurred_at >= planned.occurred_at - INTERVAL 28 DAY) AS n_baskets,
           sum(baskets.revenue) FILTER (baskets.occurred_at >= planned.occurred_at - INTERVAL 28 DAY) AS spend,
           sum(baskets.revenue)::DOUBLE / count(*) AS mean_basket
    FROM planned JOIN baskets
      ON baskets.customer_id = planned.customer_id AND baskets.occurred_at < planned.occurred_at
    GROUP BY planned.decision
), asked AS (
    SELECT planned.decision, planned.occurred_at, accounts.customer_id, purposes.purpose,
           accounts.customer_id = planned.customer_id AS is_card
    FROM planned JOIN accounts ON accounts.household_id = planned.customer_id
    CROSS JOIN (SELECT DISTINCT purpose FROM ledger) AS purposes
), answered AS (
    SELECT asked.decision, asked.purpose, asked.is_card,
           ledger.granted AND ledger.recorded_at < asked.occurred_at
           AND coalesce(ledger.expires_at > asked.occurred_at, true) AS permits
    FROM asked ASOF JOIN ledger
      ON ledger.customer_id = asked.customer_id AND ledger.purpose = asked.purpose
     AND asked.occurred_at > ledger.occurred_at
), permitted AS (
    SELECT decision, purpose FROM answered
    GROUP BY decision, purpose HAVING bool_and(permits) AND bool_or(is_card)
), permissions AS (
    SELECT decision, bool_or(purpose = 'marketing_email') AS email, bool_or(purpose = 'marketing_sms') AS sms,
           bool_or(purpose = 'marketing_push') AS push
    FROM permitted GROUP BY decision
    HAVING bool_or(purpose = 'analytics') AND bool_or(purpose = 'personalisation')
       AND bool_or(purpose LIKE 'marketing_%')
)
SELECT decision, seconds / 86400 AS days, n_baskets, coalesce(spend, 0)::DOUBLE AS spend, mean_basket,
       email, sms, push
FROM behaviour JOIN permissions USING (decision) ORDER BY decision
"""


@dataclass(frozen=True, eq=False)
class DemoContacts:
    """Contacts and the truth behind them.

    Attributes:
        contacts: `contacts`, in the order of time.
        truth: One row a contact: contact_id, customer_type, probability (of a response under the channel
            chosen), probability_<channel>, propensity_<channel> (0 where it is not permitted).
        parameters: What was planted: name to value, that of behaviour per scaled unit (see `_scaled`).
    """

    contacts: pd.DataFrame
    truth: pd.DataFrame
    parameters: dict[str, float]


def simulate_contacts(
    connection: Backend, households: pd.DataFrame, *, accounts: pd.DataFrame, ledger: pd.DataFrame, seed: int
) -> DemoContacts:
    """Draw the decisions, the channels and the responses.

    The connection holds the table `baskets` (see `describe_households`); households are customer_id and
    customer_type, accounts customer_id and household_id.
    """
    effects = _draw_effects(stream(seed, "demo contact effects"))
    planned = _turns(households, stream(seed, "demo contact times"))
    connection.con.register("planned", planned[["decision", "customer_id", "occurred_at"]])
    connection.con.register("accounts", accounts[["customer_id", "household_id"]])
    connection.con.register("ledger", ledger)
    # Without a receipt before it, or without a channel permitted, there is no decision.
    plan = planned.merge(connection.con.execute(_KNOWN).df(), on="decision", how="inner")
    propensity = _propensities(plan, stream(seed, "demo logging policy"))
    each = np.arange(len(plan))
    lot = stream(seed, "demo channels").random((len(plan), 1))
    chosen = (lot >= np.cumsum(propensity, axis=1)[:, :-1]).sum(axis=1)
    logit = _logits(plan, effects, sent=chosen != CHANNELS.index("none"))
    intercept = _intercept(logit[each, chosen], effects["response_rate"])
    probability = np.round(1 / (1 + np.exp(-(intercept + logit))), 12)
    logged = _as_logged(plan, chosen, probability[each, chosen], stream(seed, "demo responses"))
    logged["propensity"] = propensity[each, chosen]
    logged["customer_type"] = np.array(CUSTOMER_TYPES)[plan["customer_type"]]
    logged["probability"] = probability[each, chosen]
    logged |= {f"probability_{name}": probability[:, k] for k, name in enumerate(CHANNELS)}
    logged |= {f"propensity_{name}": propensity[:, k] for k, name in enumerate(CHANNELS)}
    # In the order of time; of two at one second the first household's comes first.
    order = np.lexsort((plan["household"].to_numpy(), plan["occurred_at"].to_numpy()))
    rows = pd.DataFrame(logged).iloc[order].reset_index(drop=True)
    rows.insert(0, "contact_id", [f"K{k:06d}" for k in range(1, len(rows) + 1)])
    columns = ["contact_id", "customer_id", "occurred_at", "channel", "propensity", "opened", "clicked"]
    columns += ["responded", "value"]
    truth = rows[["contact_id", *rows.columns[rows.columns.get_loc("customer_type") :]]]
    return DemoContacts(rows[columns], truth, _parameters(effects, intercept))


def _turns(households: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return when each household's turn comes: a day in each round, an hour of that day."""
    n, step = len(households), N_DAYS / N_ROUNDS
    day = np.floor(step * (rng.random((n, 1)) + np.arange(N_ROUNDS))).astype("timedelta64[D]")
    hour = rng.choice(HOURS, size=(n, N_ROUNDS), p=_HOUR_WEIGHTS / _HOUR_WEIGHTS.sum())
    second = (3600 * hour + rng.integers(3600, size=(n, N_ROUNDS))).astype("timedelta64[s]")
    kind = pd.Categorical(households["customer_type"], categories=CUSTOMER_TYPES).codes
    return pd.DataFrame(
        {
            "decision": np.arange(n * N_ROUNDS),
            "household": np.arange(n).repeat(N_ROUNDS),
            "customer_id": households["customer_id"].to_numpy().repeat(N_ROUNDS),
            "customer_type": kind.repeat(N_ROUNDS),
            "occurred_at": (FIRST_DAY + day + second).astype("datetime64[us]").ravel(),
        }
    )


def _draw_effects(rng: np.random.Generator) -> dict:
    """Return what makes people respond, on the logit scale; arrays by customer type, `effect` by message too."""
    n = len(CUSTOMER_TYPES)
    effect = rng.uniform(0.20, 0.75, (n, len(MESSAGES)))
    effect[np.arange(n), rng.permutation(len(MESSAGES))] += rng.uniform(0.6, 0.9, n)
    return {
        "frequency": rng.uniform(0.40, 0.65),
        "recency": -rng.uniform(0.20, 0.40),
        "spend": rng.uniform(0.10, 0.30),
        "sure_visitor": -rng.uniform(0.20, 0.40),
        "fatigue_per_message": -rng.uniform(0.12, 0.22),
        "effect": effect,
        "peak_hour": rng.permutation([9.5, 13.5, 19.0]) + rng.uniform(-1, 1, n),
        "peak_height": rng.uniform(0.8, 1.2, n),
        "weekend": rng.permutation([-0.35, 0.0, 0.35]) + rng.uniform(-0.1, 0.1, n),
        "response_rate": rng.uniform(0.108, 0.122),
    }


def _scaled(plan: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frequency, recency and spend on scales that do not depend on who was drawn."""
    frequency = (np.log1p(plan["n_baskets"].to_numpy()) - 1.5) / 0.8
    recency = np.log1p(plan["days"].to_numpy()) - 1.8
    spend = (np.log1p(np.maximum(plan["spend"].to_numpy(), 0)) - 4.2) / 1.8
    return frequency, recency, spend


def _propensities(plan: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Draw the policy; return the probability of each channel, shape (n, 4); rows add up to 1, to nine digits."""
    frequency, recency, _ = _scaled(plan)
    allowed = np.column_stack([plan[list(MESSAGES)].to_numpy(dtype=bool), np.ones(len(plan), dtype=bool)])
    level = np.array([0.3, 0.1, 0.1, -0.1]) + rng.uniform(-0.2, 0.2, len(CHANNELS))
    slopes = rng.uniform(-0.4, 0.4, len(CHANNELS)), rng.uniform(-0.3, 0.3, len(CHANNELS))
    score = level + np.outer(frequency, slopes[0]) + np.outer(recency, slopes[1])
    weight = np.where(allowed, np.exp(score), 0.0)
    share = weight / weight.sum(axis=1, keepdims=True)
    spare = 1 - FLOOR * allowed.sum(axis=1, keepdims=True)
    propensity = np.where(allowed, np.round(FLOOR + spare * share, 9), 0.0)
    propensity[:, -1] = np.round(1 - propensity[:, :-1].sum(axis=1), 9)
    return propensity


def _logits(plan: pd.DataFrame, effects: dict, *, sent: np.ndarray) -> np.ndarray:
    """Return the logit of responding under each channel, but for the intercept, shape (n, 4)."""
    frequency, recency, spend = _scaled(plan)
    # Messages that the household was sent in the 28 days before; rows come household by household.
    household, when, recent = plan["household"].to_numpy(), plan["occurred_at"].to_numpy(), np.zeros(len(plan))
    for back in range(1, 5):
        near = when[back:] - when[:-back] <= np.timedelta64(FATIGUE_DAYS, "D")
        recent[back:] += sent[:-back] & near & (household[back:] == household[:-back])
    kind, at = plan["customer_type"].to_numpy(), pd.DatetimeIndex(plan["occurred_at"])
    hour = (at.hour + at.minute / 60).to_numpy()
    nearness = np.exp(4 * (np.cos(2 * np.pi * (hour - effects["peak_hour"][kind]) / 24) - 1))
    moment = effects["peak_height"][kind] * (nearness - 0.4) + effects["weekend"][kind] * (at.day_of_week >= 5)
    unasked = effects["frequency"] * frequency + effects["recency"] * recency + effects["spend"] * spend
    message = effects["sure_visitor"] * frequency + effects["fatigue_per_message"] * recent + moment
    return np.column_stack([(unasked + message)[:, None] + effects["effect"][kind], unasked])


def _intercept(logit: np.ndarray, rate: float) -> float:
    """Return the intercept, to nine digits, at which the mean probability is the rate; by bisection."""
    low, high = -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        below = np.mean(1 / (1 + np.exp(-(middle + logit)))) < rate
        low, high = (middle, high) if below else (low, middle)
    return round((low + high) / 2, 9)


def _as_logged(
    plan: pd.DataFrame, chosen: np.ndarray, probability: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray | pd.Series]:
    """Return who was contacted when and how, and what came of it."""
    n, channel = len(plan), np.array(CHANNELS)[chosen]
    responded = rng.random(n) < probability
    happened = {}
    for name, rates in (("opened", OPEN_RATES), ("clicked", CLICK_RATES)):
        rate, lot = np.zeros(n), rng.random(n)
        for one, (if_so, if_not) in rates.items():
            rate[channel == one] = np.where(responded, if_so, if_not)[channel == one]
        can = np.isin(channel, list(rates))
        happened[name] = pd.Series(lot < rate, dtype="boolean").mask(~can)
    happened["clicked"] = happened["clicked"] & happened["opened"].fillna(True)
    # The mean of the factor is 1, so that a visit is worth the household's mean basket.
    basket = np.maximum(plan["mean_basket"].to_numpy(), 5.0) * rng.lognormal(-0.125, 0.5, n)
    known = {"customer_id": plan["customer_id"], "occurred_at": plan["occurred_at"], "channel": channel}
    return known | happened | {"responded": responded, "value": np.where(responded, np.round(basket, 2), 0.0)}


def _parameters(effects: dict, intercept: float) -> dict[str, float]:
    """Return every planted size by name."""
    named = {"intercept": intercept} | {name: value for name, value in effects.items() if not np.ndim(value)}
    for i, kind in enumerate(CUSTOMER_TYPES):
        named |= {f"effect_{name}_{kind}": effects["effect"][i, k] for k, name in enumerate(MESSAGES)}
        named |= {f"{name}_{kind}": effects[name][i] for name in ("peak_hour", "peak_height", "weekend")}
    return {f"contacts_{name}": float(value) for name, value in named.items()}
