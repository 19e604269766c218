"""Contacts as choices: what was done, what else was permitted, what each choice would bring."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.errors import nearest
from journeybook.sends import NO_CONTACT, channels_of

CERTAIN = "certain"
"""Part of the contacts whose choice was certain; see `set_aside`."""

JUDGED = ("calibrate", "test")
"""Parts that a policy is chosen and valued on."""

PRICE_SHARES = (0.0, 0.01, 0.03, 0.1)
"""Prices of a message, as shares of the value of a response, that are shown where no costs are given."""

_MOST_VALUES = 12  # of a column by whose values contacts may be told apart


@dataclass(frozen=True, eq=False)
class Choices:
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
        """Return the place of the message of highest expected profit, and its gain over sending nothing.

        Both have shape (n,); the gain is -infinity where no message is allowed. `costs` has one a choice.
        """
        profit = np.where(self.allowed, value_per_response * self.probability - costs, -np.inf)
        best = profit[:, : self.nothing].argmax(axis=1)
        return best, profit[np.arange(len(best)), best] - profit[:, self.nothing]


def known_contacts(asked: ibis.Table, told: ibis.Table) -> pd.DataFrame:
    """Join contacts with what page 07 wrote of each (`response_probabilities`), in the order of `row`.

    Returns:
        One row a contact that page 07 took: the columns of both, those of page 07 before others of their name,
        `responded` as 0 or 1, and `person`, an integer code by first appearance; a contact that names nobody is a
        person.

    Raises:
        ValueError: What page 07 wrote is of other contacts.
    """
    asked = asked.rename(channel_asked="channel") if "channel" in asked.columns else asked
    twice = [name for name in told.columns if name != "row" and name in asked.columns]
    both = asked.drop(*twice).inner_join(told, "row")
    decimals = {name: both[name].cast("float64") for name in both.columns if both[name].type().is_decimal()}
    rows = both.mutate(**decimals).order_by("row").to_pandas()
    own = rows.pop("channel_asked") if "channel_asked" in rows else rows.get("channel")
    if len(rows) != told.count().to_pandas() or (
        own is not None and (own.fillna(rows["channel"]) != rows["channel"]).any()
    ):
        raise ValueError("response_probabilities are of other contacts: run page 07 on the same table.")
    code, known = pd.factorize(rows["person_id"])
    person = np.where(code < 0, len(known) + np.cumsum(code < 0) - 1, code)
    return rows.assign(person=person, responded=rows["responded"].astype(int))


def set_aside(sent: pd.DataFrame, permitted: Mapping[str, np.ndarray] | None) -> pd.DataFrame:
    """Mark as part `certain` the judged contacts whose choice chance had no say in, though there was another.

    Their propensity is 1, or 0: nothing tells what another choice would have brought, so that they count in no
    value of a policy. Where consent leaves only `none`, nothing else could have been chosen, and they stay.
    """
    if "propensity" not in sent:
        return sent
    used = sent["propensity"].to_numpy(dtype=float, na_value=np.nan)
    messages = [name for name in channels_of(sent) if name != NO_CONTACT]
    free = np.ones(len(sent), dtype=bool)
    if permitted is not None:
        free = np.any([permitted[name] for name in messages], axis=0) if messages else ~free
    certain = (used == 0) | ((used == 1) & (free | (sent["channel"] != NO_CONTACT).to_numpy()))
    return sent.assign(part=sent["part"].mask(certain & sent["part"].isin(JUDGED), CERTAIN))


def who_was_certain(sent: pd.DataFrame) -> str:
    """Say who the contacts are that `set_aside` marked: the value of a column they share."""
    sent = sent[sent["part"].isin([*JUDGED, CERTAIN])]
    certain, known = (sent["part"] == CERTAIN).to_numpy(), []
    told = ("part", "row", "person", "propensity", "responded", "value", "opened", "clicked")
    for name in (name for name in sent if name not in told and not name.startswith("probability")):
        values = sent[name].astype("str").where(sent[name].notna())
        if values.nunique() <= _MOST_VALUES:
            counts = pd.DataFrame({"in": values[certain].value_counts(), "all": values.value_counts()}).fillna(0)
            alike = counts["in"] / (counts["all"] + certain.sum() - counts["in"])
            known += [(alike.max(), f"{name} is {alike.idxmax()}")] if len(alike) else []
    best = max(known, key=lambda each: each[0], default=(0.0, ""))
    return best[1] if best[0] > 0.5 else "nothing sets them apart"


def choices(
    sent: pd.DataFrame, part: str, *, permitted: Mapping[str, np.ndarray] | None, max_messages_28d: int
) -> Choices:
    """Lay out the contacts of one part, `calibrate` or `test`, as choices.

    `permitted` says for each channel whether it may be used, one value a row of `sent`; None permits all. The cap
    on messages binds where contacts name people and have times.

    Raises:
        ValueError: The cap is below 1.
    """
    if max_messages_28d < 1:
        raise ValueError(f"max_messages_28d must be at least 1, got {max_messages_28d}.")
    actions = (*(name for name in channels_of(sent) if name != NO_CONTACT), NO_CONTACT)
    inside = (sent["part"] == part).to_numpy()
    rows, places = sent[inside], pd.Index(actions)
    allowed = np.ones((len(rows), len(actions)), dtype=bool)
    if permitted is not None:
        allowed[:, :-1] = np.column_stack([permitted[name][inside] for name in actions[:-1]])
    full = (rows["n_contacts_28d"] >= max_messages_28d).to_numpy(dtype=bool, na_value=False)
    allowed[full, :-1] = False
    known = rows["propensity"] if "propensity" in rows else pd.Series(np.nan, index=rows.index)
    return Choices(
        actions=actions,
        taken=places.get_indexer(pd.Index(rows["channel"])),
        propensity=known.to_numpy(dtype=float, na_value=np.nan),
        responded=rows["responded"].to_numpy(dtype=float),
        allowed=allowed,
        probability=rows[[f"probability_{name}" for name in actions]].to_numpy(dtype=float),
        answered=places.get_indexer(pd.Index(_answered_last(sent)))[inside],
        person=rows["person"].to_numpy(),
    )


def fatigue_loss(sent: pd.DataFrame) -> float:
    """Return how many later responses each message costs a policy that sends at every decision.

    It is the fall in the model's probability of a response when one more message came in the 28 days before, times
    the decisions that follow within 28 days (on average as many as precede), on the calibration contacts. A policy
    that sends at a share of its decisions loses that share of it. 0 where the model knows no such number, or sees
    no fall.
    """
    rows = sent[sent["part"] == "calibrate"]
    reached = rows[rows["channel"] != NO_CONTACT]
    if reached.empty or reached["probability_one_more"].isna().any():
        return 0.0
    said = np.select(
        [reached["channel"] == name for name in reached["channel"].unique()],
        [reached[f"probability_{name}"] for name in reached["channel"].unique()],
    )
    following = reached["n_contacts_28d"].mean() / (len(reached) / len(rows))
    return max(0.0, float((said - reached["probability_one_more"]).mean() * following))


def value_of_a_response(sent: pd.DataFrame, *, value_per_response: float | None) -> float | None:
    """Return the value given, else the mean `value` of the training responses, else None.

    Raises:
        ValueError: The value given is not above 0.
    """
    if value_per_response is not None:
        if not 0 < value_per_response < np.inf:
            raise ValueError(f"value_per_response must be above 0, got {value_per_response}.")
        return float(value_per_response)
    came = sent["part"].isin(["fit", "calibrate"]) & (sent["responded"] == 1)
    mean = sent.loc[came, "value"].mean() if "value" in sent else np.nan
    return float(mean) if mean > 0 else None


def price_list(
    costs: Mapping[str, float] | None, messages: tuple[str, ...], *, value_per_response: float
) -> dict[str, dict[str, float]]:
    """Return the cost of a message by channel, for each set of costs that is to be decided with.

    Where no costs are given, the prices `PRICE_SHARES` are shown, the same for every channel.

    Raises:
        ValueError: A channel has no cost, is unknown, or costs less than 0.
    """
    if costs is None:
        return {
            f"{100 * share:g}% of a response": dict.fromkeys(messages, share * value_per_response)
            for share in PRICE_SHARES
        }
    for name, cost in costs.items():
        if name not in messages:
            raise ValueError(
                f"costs names {name!r}, which is no message of these contacts; {nearest(name, messages)}"
            )
        if not 0 <= cost < np.inf:
            raise ValueError(f"costs has {cost} for {name!r}; a cost of at least 0 is needed.")
    if missing := [name for name in messages if name not in costs]:
        raise ValueError(f"costs has no cost for {', '.join(missing)}; each of {', '.join(messages)} needs one.")
    return {"as given": {name: float(costs[name]) for name in messages}}


def true_probabilities(sent: pd.DataFrame, truth: pd.DataFrame, *, actions: tuple[str, ...]) -> np.ndarray:
    """Return the true probability of a response of each test contact under each choice, shape (test, k)."""
    ids = sent.loc[sent["part"] == "test", "contact_id"]
    return truth.set_index("contact_id").loc[ids, [f"probability_{name}" for name in actions]].to_numpy()


def _answered_last(sent: pd.DataFrame) -> pd.Series:
    """Return for each contact the channel of the person's last message whose answer was known by then."""
    if sent["known_at"].isna().any() or sent["person_id"].isna().all():
        return pd.Series(NO_CONTACT, index=sent.index)
    answered = sent[(sent["responded"] == 1) & (sent["channel"] != NO_CONTACT)]
    known = answered[["person", "channel"]].assign(at=answered["known_at"])
    asked = sent[["person"]].assign(at=sent["occurred_at"], place=np.arange(len(sent)))
    found = pd.merge_asof(
        asked.astype({"at": "datetime64[us]"}).sort_values(["at", "place"]),
        known.astype({"at": "datetime64[us]"}).sort_values("at", kind="stable"),
        on="at",
        by="person",
    )
    return found.sort_values("place")["channel"].fillna(NO_CONTACT).set_axis(sent.index)
