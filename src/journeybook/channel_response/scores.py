"""Probabilities that other pages read: per person and permitted channel, and per contact and choice."""

from collections.abc import Iterable, Mapping, Sequence, Set

import ibis
import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import MISSING, RARE, ContactFrame
from journeybook.channel_response.models import ResponseModel
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.sends import NO_CONTACT
from journeybook.tables import PURPOSES, Run, permitted_people

_COLUMNS = {"row": "int64", "person_id": "str", "as_of": "datetime64[us]", "channel": "str", "score": "float64"}


def response_scores(
    model: ResponseModel,
    contacts: ContactFrame,
    split: Split,
    snapshot: pd.DataFrame | None,
    *,
    permitted: Mapping[str, Set[str]] | None,
    n_occasions: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Score every person for every channel that they permit.

    What belongs to the person comes from their latest snapshot. What belongs to the occasion (hour, weekday, the
    offer, contacts before) is averaged over occasions on which that channel was used in training. Without
    snapshots a person is scored on their own latest contact.

    `permitted` says for each channel who may be contacted through it; a channel that is not named is not scored.
    Where it is None, as without a ledger, everyone is scored for every channel.

    Returns:
        `row` (1..n, people in the order of the snapshot or of first contact), `person_id`, `as_of` (null without
        snapshots), `channel`, `score`. Empty where contacts name nobody. "none" is not a channel to score.

    Raises:
        ValueError: `n_occasions` is below 1.
    """
    if n_occasions < 1:
        raise ValueError(f"n_occasions must be at least 1, got {n_occasions}.")
    parts = [pd.DataFrame(columns=["place", *_COLUMNS])]
    training = contacts.rows.iloc[split.training]
    people = people_of(contacts, snapshot) if contacts.has_people else training[:0].assign(place=0)
    fixed = set(contacts.contact_features) if snapshot is not None else {"channel"}
    fixed &= set(model.features)
    kinds = {name: "float64" if contacts.rows[name].dtype == "float64" else "object" for name in fixed}
    own = as_read(people, [name for name in model.features if name not in fixed], contacts)
    for channel in contacts.channels if contacts.has_people else ():
        if channel == NO_CONTACT or (permitted is not None and channel not in permitted):
            continue
        asked = people if permitted is None else people[people["person_id"].isin(permitted[channel])]
        used = training[training["channel"] == channel]
        if asked.empty or used.empty:
            continue
        each = []
        for place in rng.integers(len(used), size=n_occasions if snapshot is not None else 1):
            now = {n: np.full(len(asked), used[n].iloc[place], dtype=kind) for n, kind in kinds.items()}
            each.append(own.loc[asked.index].assign(**now)[list(model.features)])
        said = model.probability(pd.concat(each, ignore_index=True), calibrated=True)
        score = said.reshape(len(each), -1).mean(axis=0)
        parts.append(asked[["place", "person_id", "as_of"]].assign(channel=channel, score=score))
    scores = pd.concat(parts[1:] or parts).sort_values(["place", "channel"], ignore_index=True)
    return scores.assign(row=np.arange(1, len(scores) + 1))[list(_COLUMNS)].astype(_COLUMNS)


def people_of(contacts: ContactFrame, snapshot: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row a person, with their features and a place in an order that no id decides."""
    if snapshot is not None:
        own = [name for name in snapshot if f"snapshot_{name}" in contacts.features and name != "as_of"]
        people = snapshot.rename(columns={name: f"snapshot_{name}" for name in own})
    else:
        rows = contacts.rows[contacts.rows["person_id"].notna()]
        by = "occurred_at" if contacts.has_times else "row"
        people = rows.sort_values([by, "row"]).groupby("person", sort=True).tail(1).sort_values("person")
        people = people.assign(as_of=pd.Series(pd.NaT, index=people.index))
    return people.assign(place=np.arange(len(people)))


def as_read(people: pd.DataFrame, names: Sequence[str], contacts: ContactFrame) -> pd.DataFrame:
    """Return features of people as the model reads them: numbers as float64, text with unknown levels pooled."""
    rows = {}
    for name in names:
        if contacts.rows[name].dtype == "float64":
            rows[name] = pd.to_numeric(people[name]).astype("float64").replace([np.inf, -np.inf], np.nan)
        else:
            words = people[name].astype("object").where(people[name].notna(), MISSING).astype(str)
            rows[name] = words.where(words.isin(contacts.rows[name].unique()), RARE).astype("object")
    return pd.DataFrame(rows, index=people.index)


def contact_probabilities(
    comparison: MethodComparison, contacts: ContactFrame, split: Split, *, response_window_days: float
) -> pd.DataFrame:
    """Return what the page knows of each contact, for page 14 to decide with.

    In a linear model a channel moves everyone alike; so XGBoost without resampling says what each choice brings.

    Returns:
        One row a contact: its `row`, `person_id` and `channel`; `part` (fit, calibrate, test, purged); `known_at`,
        when its outcome is known; `n_contacts_28d`; of calibration and test contacts `probability` (calibrated, of
        the chosen model), `probability_<channel>` for each choice and `probability_one_more` (its own channel, had
        one more message come in the 28 days before), both of XGBoost. Missing where it is not known.
    """
    rows, trees = contacts.rows, comparison.model("xgboost", "none")
    part = np.full(len(rows), "purged", dtype=object)
    for name in ("fit", "calibrate", "test"):
        part[getattr(split, name)] = name
    judged = rows[np.isin(part, ["calibrate", "test"])]
    days = pd.Timedelta(days=response_window_days)
    chosen = comparison.chosen.probability(judged, calibrated=True)
    said = pd.DataFrame({"probability": chosen, "probability_one_more": np.nan}, index=judged.index)
    features = judged[list(trees.features)]
    if "channel" in features:
        asked = {f"probability_{name}": features.assign(channel=name) for name in contacts.channels}
        said = said.assign(**{name: trees.probability(each, calibrated=True) for name, each in asked.items()})
    if "n_contacts_28d" in features:
        one_more = features.assign(n_contacts_28d=features["n_contacts_28d"] + 1)
        said["probability_one_more"] = trees.probability(one_more, calibrated=True)
    told = {"row": rows["row"]}
    told["person_id"] = rows["person_id"] if contacts.has_people else pd.Series(None, rows.index, dtype="str")
    told |= {"channel": rows["channel"], "part": part.astype(str)}
    told["known_at"] = (rows["occurred_at"] + days).astype("datetime64[us]") if contacts.has_times else pd.NaT
    told["n_contacts_28d"] = rows.get("n_contacts_28d", pd.Series(np.nan, index=rows.index))
    order = [*told, "probability", *(name for name in said if name not in ("probability", "probability_one_more"))]
    return pd.DataFrame(told).join(said)[[*order, "probability_one_more"]]


def granted_channels(run: Run, channels: Iterable[str]) -> dict[str, set[str]] | None:
    """Return who permits each channel, as `person_id`s, for the channels that the ledger knows a purpose for.

    `email` is permitted by the purpose `marketing_email`, and so on, as of the ledger's last decision. None where
    the data set has no ledger.
    """
    if not run.has_ledger:
        return None
    known = [name for name in sorted(channels) if f"marketing_{name}" in PURPOSES]
    people = {name: permitted_people(run, purpose=f"marketing_{name}").to_pandas() for name in known}
    return {name: set(frame["person_id"]) for name, frame in people.items()}


def latest_snapshot(features: ibis.Table | None) -> pd.DataFrame | None:
    """Return the newest snapshot of the features, one row a person, in the order of `row`; None without any."""
    if features is None:
        return None
    newest = features.filter(features.as_of == features.as_of.max())
    decimals = {name: newest[name].cast("float64") for name in newest.columns if newest[name].type().is_decimal()}
    return newest.mutate(**decimals).order_by("row").to_pandas()
