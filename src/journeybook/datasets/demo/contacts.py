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

from journeybook.datasets.demo.contact_plan import plan_contacts
from journeybook.datasets.demo.households import CUSTOMER_TYPES
from journeybook.statistics import stream

CHANNELS = ("email", "sms", "push", "none")
MESSAGES = CHANNELS[:3]
FLOOR = 0.06
FATIGUE_DAYS = 28

# Share of messages opened and clicked, by channel: of those who respond, of those who do not. A click needs an
# opening, but a text message does not tell whether it was read; people also respond without a click.
OPEN_RATES = {"email": (0.72, 0.21), "push": (0.55, 0.07)}
CLICK_RATES = {"email": (0.80, 0.06), "sms": (0.62, 0.02), "push": (0.80, 0.06)}


@dataclass(frozen=True, eq=False)
class DemoContacts:
    """Contacts and the truth behind them.

    Attributes:
        contacts: `contacts`, in the order of time.
        truth: One row a contact: contact_id, customer_type, probability (of a response under the channel
            chosen), probability_<channel>, propensity_<channel> (0 where it is not permitted).
        parameters: What was planted: name to value.
    """

    contacts: pd.DataFrame
    truth: pd.DataFrame
    parameters: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Effects:
    """What makes people respond, on the logit scale; arrays are by customer type, `taste` by message too."""

    frequency: float
    recency: float
    spend: float
    sure_visitor: float
    fatigue: float
    taste: np.ndarray
    peak_hour: np.ndarray
    peak_height: np.ndarray
    weekend: np.ndarray
    response_rate: float


@dataclass(frozen=True, eq=False)
class _Policy:
    """Scores of the channels in the logging policy: level, and slopes in frequency and recency."""

    level: np.ndarray
    frequency: np.ndarray
    recency: np.ndarray


def simulate_contacts(
    connection: Backend, households: pd.DataFrame, *, accounts: pd.DataFrame, ledger: pd.DataFrame, seed: int
) -> DemoContacts:
    """Draw the decisions, the channels and the responses.

    Args:
        connection: DuckDB with the table `baskets` (see `describe_households`).
        households: One row a household: customer_id, customer_type.
        accounts: One row a customer_id: customer_id, household_id.
        ledger: The consents.
        seed: Seed of the data set.
    """
    effects = _draw_effects(stream(seed, "demo contact effects"))
    policy = _draw_policy(stream(seed, "demo logging policy"))
    plan = plan_contacts(connection, households, accounts=accounts, ledger=ledger, seed=seed)
    propensity = _propensities(plan, policy)
    lot = stream(seed, "demo channels").random((len(plan), 1))
    chosen = (lot >= np.cumsum(propensity, axis=1)[:, :-1]).sum(axis=1)
    recent = _recent_messages(plan, chosen != CHANNELS.index("none"))
    logit = _logits(plan, effects, recent)
    intercept = _intercept(logit[np.arange(len(plan)), chosen], effects.response_rate)
    probability = np.round(1 / (1 + np.exp(-(intercept + logit))), 12)
    contacts = _as_logged(plan, propensity, chosen, probability, stream(seed, "demo responses"))
    truth = _truth(contacts["contact_id"], plan, propensity, chosen, probability)
    return DemoContacts(contacts=contacts, truth=truth, parameters=_parameters(effects, intercept))


def _draw_effects(rng: np.random.Generator) -> _Effects:
    n = len(CUSTOMER_TYPES)
    taste = rng.uniform(0.20, 0.75, (n, len(MESSAGES)))
    taste[np.arange(n), rng.permutation(len(MESSAGES))] += rng.uniform(0.6, 0.9, n)
    return _Effects(
        frequency=rng.uniform(0.40, 0.65),
        recency=-rng.uniform(0.20, 0.40),
        spend=rng.uniform(0.10, 0.30),
        sure_visitor=-rng.uniform(0.20, 0.40),
        fatigue=-rng.uniform(0.12, 0.22),
        taste=taste,
        peak_hour=rng.permutation([9.5, 13.5, 19.0]) + rng.uniform(-1, 1, n),
        peak_height=rng.uniform(0.8, 1.2, n),
        weekend=rng.permutation([-0.35, 0.0, 0.35]) + rng.uniform(-0.1, 0.1, n),
        response_rate=rng.uniform(0.108, 0.122),
    )


def _draw_policy(rng: np.random.Generator) -> _Policy:
    level = np.array([0.3, 0.1, 0.1, -0.1]) + rng.uniform(-0.2, 0.2, len(CHANNELS))
    return _Policy(level, rng.uniform(-0.4, 0.4, len(CHANNELS)), rng.uniform(-0.3, 0.3, len(CHANNELS)))


def _scaled(plan: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frequency, recency and spend on scales that do not depend on who was drawn."""
    frequency = (np.log1p(plan["n_baskets"].to_numpy()) - 1.5) / 0.8
    recency = np.log1p(plan["days"].to_numpy()) - 1.8
    spend = (np.log1p(np.maximum(plan["spend"].to_numpy(), 0)) - 4.2) / 1.8
    return frequency, recency, spend


def _propensities(plan: pd.DataFrame, policy: _Policy) -> np.ndarray:
    """Return the probability of choosing each channel, shape (n, 4); rows add up to 1, to nine digits."""
    frequency, recency, _ = _scaled(plan)
    allowed = np.column_stack([plan[list(MESSAGES)].to_numpy(dtype=bool), np.ones(len(plan), dtype=bool)])
    score = policy.level + np.outer(frequency, policy.frequency) + np.outer(recency, policy.recency)
    weight = np.where(allowed, np.exp(score), 0.0)
    share = weight / weight.sum(axis=1, keepdims=True)
    spare = 1 - FLOOR * allowed.sum(axis=1, keepdims=True)
    propensity = np.where(allowed, np.round(FLOOR + spare * share, 9), 0.0)
    propensity[:, -1] = np.round(1 - propensity[:, :-1].sum(axis=1), 9)
    return propensity


def _recent_messages(plan: pd.DataFrame, sent: np.ndarray) -> np.ndarray:
    """Return how many messages the household was sent in the 28 days before; rows come household by household."""
    household, at = plan["household"].to_numpy(), plan["occurred_at"].to_numpy()
    count = np.zeros(len(plan))
    for back in range(1, 5):
        near = at[back:] - at[:-back] <= np.timedelta64(FATIGUE_DAYS, "D")
        count[back:] += sent[:-back] & near & (household[back:] == household[:-back])
    return count


def _logits(plan: pd.DataFrame, effects: _Effects, recent: np.ndarray) -> np.ndarray:
    """Return the logit of responding under each channel, but for the intercept, shape (n, 4)."""
    frequency, recency, spend = _scaled(plan)
    kind, at = plan["customer_type"].to_numpy(), pd.DatetimeIndex(plan["occurred_at"])
    hour = (at.hour + at.minute / 60).to_numpy()
    nearness = np.exp(4 * (np.cos(2 * np.pi * (hour - effects.peak_hour[kind]) / 24) - 1))
    when = effects.peak_height[kind] * (nearness - 0.4) + effects.weekend[kind] * (at.day_of_week >= 5)
    unasked = effects.frequency * frequency + effects.recency * recency + effects.spend * spend
    message = effects.sure_visitor * frequency + effects.fatigue * recent + when
    return np.column_stack([(unasked + message)[:, None] + effects.taste[kind], unasked])


def _intercept(logit: np.ndarray, rate: float) -> float:
    """Return the intercept, to nine digits, at which the mean probability is the rate; by bisection."""
    low, high = -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(1 / (1 + np.exp(-(middle + logit)))) < rate:
            low = middle
        else:
            high = middle
    return round((low + high) / 2, 9)


def _in_time(plan: pd.DataFrame) -> np.ndarray:
    """Return the order of the decisions in time; of two at one second the first household's comes first."""
    return np.lexsort((plan["household"].to_numpy(), plan["occurred_at"].to_numpy()))


def _as_logged(
    plan: pd.DataFrame,
    propensity: np.ndarray,
    chosen: np.ndarray,
    probability: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the rows as they were logged, in the order of time."""
    n = len(plan)
    responded = rng.random(n) < probability[np.arange(n), chosen]
    channel = np.array(CHANNELS)[chosen]
    opened, clicked = (_happens(rates, channel, responded, rng.random(n)) for rates in (OPEN_RATES, CLICK_RATES))
    can_open, can_click = np.isin(channel, list(OPEN_RATES)), np.isin(channel, list(CLICK_RATES))
    clicked &= opened | ~can_open
    # The mean of the factor is 1, so that a visit is worth the household's mean basket.
    basket = np.maximum(plan["mean_basket"].to_numpy(), 5.0) * rng.lognormal(-0.125, 0.5, n)
    contacts = pd.DataFrame(
        {
            "customer_id": plan["customer_id"],
            "occurred_at": plan["occurred_at"],
            "channel": channel,
            "propensity": propensity[np.arange(n), chosen],
            "opened": pd.Series(opened, dtype="boolean").mask(~can_open),
            "clicked": pd.Series(clicked, dtype="boolean").mask(~can_click),
            "responded": responded,
            "value": np.where(responded, np.round(basket, 2), 0.0),
        }
    )
    contacts = contacts.iloc[_in_time(plan)].reset_index(drop=True)
    contacts.insert(0, "contact_id", [f"K{k:06d}" for k in range(1, n + 1)])
    return contacts


def _happens(
    rates: dict[str, tuple[float, float]], channel: np.ndarray, responded: np.ndarray, lot: np.ndarray
) -> np.ndarray:
    """Return whether a thing happens that those who respond do more often, 0 where the channel has it not."""
    rate = np.zeros(len(channel))
    for name, (if_so, if_not) in rates.items():
        rate[channel == name] = np.where(responded, if_so, if_not)[channel == name]
    return lot < rate


def _truth(
    contact_id: pd.Series, plan: pd.DataFrame, propensity: np.ndarray, chosen: np.ndarray, probability: np.ndarray
) -> pd.DataFrame:
    order = _in_time(plan)
    truth = {
        "contact_id": contact_id,
        "customer_type": np.array(CUSTOMER_TYPES)[plan["customer_type"]][order],
        "probability": probability[np.arange(len(plan)), chosen][order],
    }
    truth |= {f"probability_{name}": probability[order, k] for k, name in enumerate(CHANNELS)}
    truth |= {f"propensity_{name}": propensity[order, k] for k, name in enumerate(CHANNELS)}
    return pd.DataFrame(truth)


def _parameters(effects: _Effects, intercept: float) -> dict[str, float]:
    """Return every planted size by name, those of behaviour per scaled unit (see `_scaled`)."""
    named = {
        "contacts_intercept": intercept,
        "contacts_frequency": effects.frequency,
        "contacts_recency": effects.recency,
        "contacts_spend": effects.spend,
        "contacts_sure_visitor": effects.sure_visitor,
        "contacts_fatigue_per_message": effects.fatigue,
        "contacts_response_rate": effects.response_rate,
    }
    for i, kind in enumerate(CUSTOMER_TYPES):
        named |= {f"contacts_effect_{name}_{kind}": effects.taste[i, k] for k, name in enumerate(MESSAGES)}
        named[f"contacts_peak_hour_{kind}"] = effects.peak_hour[i]
        named[f"contacts_peak_height_{kind}"] = effects.peak_height[i]
        named[f"contacts_weekend_{kind}"] = effects.weekend[i]
    return {name: float(value) for name, value in named.items()}
