"""Contacts as decisions: what was done, what else was permitted, what each choice would bring."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.models import ResponseModel
from journeybook.channel_response.splits import Split
from journeybook.tables import PURPOSES, Run, permitted_at, permitted_people

PRICE_SHARES = (0.0, 0.01, 0.03, 0.1)
"""Prices of a message, as shares of the value of a response, that are shown where no costs are given."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """Some contacts, each as a choice among messages and none.

    Attributes:
        actions: Names of the choices, the messages by number of contacts and `none` last, k of them.
        taken: Which was chosen, shape (n,), place in `actions`.
        propensity: Probability with which it was chosen, shape (n,); NaN where it is not known.
        responded: 0 or 1, shape (n,).
        allowed: What may be chosen: consent at that moment and the frequency cap; shape (n, k). None always may.
        probability: The model's probability of a response under each choice, shape (n, k).
        answered: The channel of the message that the person answered last before, shape (n,), place in
            `actions`; `none` where there is no such message.
        person: Whose contact it is, shape (n,).
    """

    actions: tuple[str, ...]
    taken: np.ndarray
    propensity: np.ndarray
    responded: np.ndarray
    allowed: np.ndarray
    probability: np.ndarray
    answered: np.ndarray
    person: np.ndarray

    @property
    def nothing(self) -> int:
        """The place of `none` in `actions`."""
        return len(self.actions) - 1

    def best_message(self, costs: np.ndarray, *, value_per_response: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the message of highest expected profit, and that profit less the profit of sending nothing.

        Args:
            costs: Cost of each choice, shape (k,).
            value_per_response: Value of one response, in the unit of the costs.

        Returns:
            Place of the message, shape (n,), and the gain, shape (n,): -infinity where no message is allowed.
        """
        profit = np.where(self.allowed, value_per_response * self.probability - costs, -np.inf)
        best = profit[:, : self.nothing].argmax(axis=1)
        return best, profit[np.arange(len(best)), best] - profit[:, self.nothing]


def decisions(
    model: ResponseModel,
    contacts: ContactFrame,
    positions: np.ndarray,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    max_messages_28d: int,
    response_window_days: float,
) -> Decisions:
    """Lay out some contacts as decisions.

    Args:
        model: Gives the probabilities; `channel` must be among its features.
        contacts: As made by `contact_frame`, with the channel `none` among others.
        positions: Which of its rows.
        permitted: For each channel whether it may be used, one value a row of `contacts`; None permits all.
        max_messages_28d: Messages that a person may be sent in 28 days, at least 1. It binds where contacts name
            people and have times.
        response_window_days: Days after a message in which a response counts; only then it is known.

    Raises:
        ValueError: The cap is below 1.
    """
    if max_messages_28d < 1:
        raise ValueError(f"max_messages_28d must be at least 1, got {max_messages_28d}.")
    actions = (*(name for name in contacts.channels if name != NO_CONTACT), NO_CONTACT)
    rows = contacts.rows.iloc[positions]
    places = pd.Index(actions)
    allowed = np.ones((len(rows), len(actions)), dtype=bool)
    if permitted is not None:
        allowed[:, :-1] = np.column_stack([permitted[name][positions] for name in actions[:-1]])
    if "n_contacts_28d" in rows:
        allowed[:, :-1] &= (rows["n_contacts_28d"] < max_messages_28d).to_numpy()[:, None]
    features = rows[list(model.features)]
    known = rows["propensity"] if "propensity" in rows else pd.Series(np.nan, index=rows.index)
    return Decisions(
        actions=actions,
        taken=places.get_indexer(pd.Index(rows["channel"])),
        propensity=known.to_numpy(dtype=float, na_value=np.nan),
        responded=rows["responded"].to_numpy(dtype=float),
        allowed=allowed,
        probability=np.column_stack(
            [model.probability(features.assign(channel=name), calibrated=True) for name in actions]
        ),
        answered=places.get_indexer(pd.Index(_answered_last(contacts, response_window_days)))[positions],
        person=rows["person"].to_numpy(),
    )


def permitted_channels(run: Run, contacts: ContactFrame) -> dict[str, np.ndarray] | None:
    """Return whether each contact's person permitted each channel at the moment of the contact.

    Args:
        run: The run whose ledger counts.
        contacts: Without times the whole ledger counts; a contact that names nobody has no permission.

    Returns:
        For each channel but `none`, one value a contact; a channel that the ledger has no purpose for is not
        permitted. None where the data set has no ledger.
    """
    if not run.has_ledger:
        return None
    rows = contacts.rows
    people = rows["person_id"] if contacts.has_people else pd.Series(None, index=rows.index, dtype="str")
    asked = pd.DataFrame({"person_id": people.astype("str"), "occurred_at": rows.get("occurred_at")})

    def permitted(purpose: str) -> np.ndarray:
        if contacts.has_times:
            return permitted_at(run, asked.astype({"occurred_at": "datetime64[us]"}), purpose=purpose)
        return people.isin(permitted_people(run, purpose=purpose).person_id.to_pandas()).to_numpy()

    return {
        name: permitted(f"marketing_{name}")
        if f"marketing_{name}" in PURPOSES
        else np.zeros(len(rows), dtype=bool)
        for name in contacts.channels
        if name != NO_CONTACT
    }


def sent_unpermitted(contacts: ContactFrame, permitted: Mapping[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """Return how many messages went out and how many unpermitted, by channel that the ledger has a purpose for.

    Args:
        contacts: As made by `contact_frame`.
        permitted: As `permitted_channels` returns it.
    """
    channel = contacts.rows["channel"].to_numpy()
    asked = {name: may for name, may in permitted.items() if f"marketing_{name}" in PURPOSES}
    sent = {name: channel == name for name in asked}
    return {name: (int(sent[name].sum()), int((sent[name] & ~may).sum())) for name, may in asked.items()}


def fatigue_loss(model: ResponseModel, contacts: ContactFrame, split: Split) -> float:
    """Return how many later responses each message costs a policy that sends at every decision.

    It is the fall in the model's probability of a response when one more message came in the 28 days before, times
    the decisions that follow within 28 days (on average as many as precede). A policy that sends at a share of its
    decisions loses that share of it. 0 where contacts do not name people and times, or the model sees no fall.

    Args:
        model: Its feature `n_contacts_28d` tells of fatigue.
        contacts: As made by `contact_frame`.
        split: Its calibration contacts are used.
    """
    rows = contacts.rows.iloc[split.calibrate]
    sent = rows[rows["channel"] != NO_CONTACT]
    if "n_contacts_28d" not in model.features or sent.empty:
        return 0.0
    features = sent[list(model.features)]
    one_more = features.assign(n_contacts_28d=features["n_contacts_28d"] + 1)
    fall = model.probability(features, calibrated=True) - model.probability(one_more, calibrated=True)
    following = sent["n_contacts_28d"].mean() / (len(sent) / len(rows))
    return max(0.0, float(fall.mean() * following))


def value_of_a_response(contacts: ContactFrame, split: Split, *, value_per_response: float | None) -> float | None:
    """Return the value given, else the mean `value` of the training responses, else None.

    Raises:
        ValueError: The value given is not above 0.
    """
    if value_per_response is not None:
        if not 0 < value_per_response < np.inf:
            raise ValueError(f"value_per_response must be above 0, got {value_per_response}.")
        return float(value_per_response)
    rows = contacts.rows.iloc[split.training]
    mean = rows.loc[rows["responded"] == 1, "value"].mean() if "value" in rows else np.nan
    return float(mean) if mean > 0 else None


def price_list(
    costs: Mapping[str, float] | None, messages: tuple[str, ...], *, value_per_response: float
) -> dict[str, dict[str, float]]:
    """Return the cost of a message by channel, for each set of costs that is to be decided with.

    Args:
        costs: Cost of one message by channel, in the unit of the value; None shows the prices `PRICE_SHARES`, the
            same for every channel.
        messages: The channels that need a cost.
        value_per_response: Value of one response.

    Raises:
        ValueError: A channel has no cost, is unknown, or costs less than 0.
    """
    if costs is None:
        return {
            f"{100 * share:g} % of a response": dict.fromkeys(messages, share * value_per_response)
            for share in PRICE_SHARES
        }
    for name, cost in costs.items():
        if name not in messages:
            near = difflib.get_close_matches(name, messages, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the messages are {', '.join(messages)}."
            raise ValueError(f"costs names {name!r}, which is no message of these contacts: {hint}")
        if not 0 <= cost < np.inf:
            raise ValueError(f"costs has {cost} for {name!r}; a cost of at least 0 is needed.")
    if missing := [name for name in messages if name not in costs]:
        raise ValueError(f"costs has no cost for {', '.join(missing)}; each of {', '.join(messages)} needs one.")
    return {"as given": {name: float(costs[name]) for name in messages}}


def true_probabilities(
    contacts: ContactFrame, split: Split, truth: pd.DataFrame, *, actions: tuple[str, ...]
) -> np.ndarray:
    """Return the true probability of a response of each test contact under each choice, shape (test, k).

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        truth: `contact_id` and `probability_<channel>` for every channel, one row a contact.
        actions: Names of the choices.
    """
    ids = contacts.rows["contact_id"].iloc[split.test]
    return truth.set_index("contact_id").loc[ids, [f"probability_{name}" for name in actions]].to_numpy()


def _answered_last(contacts: ContactFrame, response_window_days: float) -> pd.Series:
    """Return for each contact the channel of the person's last message whose answer was known by then."""
    rows = contacts.rows
    if not (contacts.has_times and contacts.has_people):
        return pd.Series(NO_CONTACT, index=rows.index)
    answered = rows[(rows["responded"] == 1) & (rows["channel"] != NO_CONTACT)]
    known = answered[["person", "channel"]].assign(
        at=answered["occurred_at"] + pd.Timedelta(days=response_window_days)
    )
    asked = rows[["person"]].assign(at=rows["occurred_at"], place=np.arange(len(rows)))
    found = pd.merge_asof(
        asked.sort_values(["at", "place"]), known.sort_values("at", kind="stable"), on="at", by="person"
    )
    return found.sort_values("place")["channel"].fillna(NO_CONTACT).set_axis(rows.index)
