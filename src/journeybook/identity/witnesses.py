"""What page 03 is held against: its steps once more by another road, copies of known truth, the planted truth.

The functions return one row a comparison: name, value, reference, tolerance, source, kind.
"""

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import Resolution, expected_precision
from journeybook.identity.model import LinkageModel
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality
from journeybook.identity.trial import LinkageTrial

_COLUMNS = ["name", "value", "reference", "tolerance", "source", "kind"]
# Standard errors allowed where a share is compared with another.
_ERRORS = 4
# Matches from which on a model can be asked how many there are.
_ENOUGH = 100


def rows_hold(
    records: ibis.Table,
    people: pd.DataFrame,
    profiles: pd.DataFrame,
    *,
    found: Resolution,
    model: LinkageModel,
    linked: pd.DataFrame,
) -> pd.DataFrame:
    """Follow records, links and people once more; `linked` are the pairs from the threshold on."""
    frame = records.order_by("row").to_pandas()
    n_ids_off = (
        len(set(frame["customer_id"]) ^ set(people["customer_id"])) + people["customer_id"].duplicated().sum()
    )
    rows = [
        ("customer ids lost, invented or in two people", n_ids_off, 0, "customer records read", "conservation"),
        ("golden profiles that differ", _profiles_off(frame, people, profiles), 0,
         "plain Python, record by record", "witness"),
        ("probability of a link, greatest difference", _probability_error(model), 1e-6,
         "Bayes' rule on the weights shown", "witness"),
        ("links whose probability the model does not give", _unknown_links(model, linked, found), 1e-6,
         "the patterns compared", "witness"),
        ("people that following the links does not give", _by_following(found), 0, "link after link", "witness"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source", "kind"]).assign(reference=0)


def refusals_hold(refusing: ibis.Table, codes: ibis.Table, carried: CarriedRefusals) -> pd.DataFrame:
    """Recognise those who refuse once more, code by code."""
    theirs, ours = refusing.to_pandas(), codes.to_pandas()
    apart = set(ours["customer_id"][ours["code"].isin(theirs["code"])])
    known = set(theirs["customer_id"][theirs["code"].isin(ours["code"])])
    n_unlike = abs(len(known) - carried.n_recognised) + len(apart - set(carried.set_apart))
    n_unlike += len(known - set(carried.links["customer_id"]))
    row = ("refusals recognised otherwise", n_unlike, 0, 0, "plain pandas, code by code", "witness")
    return pd.DataFrame([row], columns=_COLUMNS)


def copies_hold(
    trial: LinkageTrial, quality: PairQuality | None, *, linked: pd.DataFrame, n_overruled: int
) -> pd.DataFrame:
    """Hold copies of known truth against what the model expects, the planted truth (if any) against the copies."""
    copies, source = trial.quality, "copies of known truth, four standard errors"
    rows = [
        ("people permitted despite a refusal", n_overruled, 0, 0, "the ledger", "witness"),
        ("copies: pairs rightly linked", copies.precision, expected_precision(linked),
         _ERRORS * _error(copies.precision, copies.n_found), source, "witness"),
    ]  # fmt: skip
    n, name = copies.n_true, "copies: matches the model expects, per true one"
    if n >= _ENOUGH:
        rows.append((name, trial.expected_matches / n, 1, min(_ERRORS / n**0.5, 0.05), source, "witness"))
    if quality is None:
        return pd.DataFrame(rows, columns=_COLUMNS)
    rows += [
        (f"planted truth: {name}", ours, foretold, _ERRORS * float(np.hypot(_error(ours, n), _error(foretold, m))),
         source, "witness")
        for name, ours, n, foretold, m in (
            ("precision", quality.precision, quality.n_found, copies.precision, copies.n_found),
            ("recall", quality.recall, quality.n_true, copies.recall, copies.n_true),
        )
    ]  # fmt: skip
    wrong = quality.n_found - quality.n_right
    expected, source = float((1 - linked["probability"]).sum()), "wrong links in truth; two errors of a count"
    rows.append(("wrong links the model expects", expected, wrong, 2 * max(wrong, 1) ** 0.5, source, "known_miss"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _error(share: float, n: int) -> float:
    """Standard error of a share, one success and one failure added so that it is never 0."""
    p = (share * n + 1) / (n + 2)
    return float((p * (1 - p) / (n + 2)) ** 0.5)


def _profiles_off(frame: pd.DataFrame, people: pd.DataFrame, profiles: pd.DataFrame) -> int:
    """Number of profiles that differ from those put together record by record, the latest value last."""
    person = dict(zip(people["customer_id"], people["person_id"], strict=True))
    kept: dict[str, dict] = {}
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    for record in sorted(records, key=lambda r: (r.get("updated_at") or pd.Timestamp.min, r["row"])):
        own = kept.setdefault(person.get(record["customer_id"], record["customer_id"]), {"n_records": 0})
        own["n_records"] += 1
        if (born := record.get("birth_date")) is not None:
            own["birth_decade"] = int(str(born)[:3]) * 10
        own |= {name: record[name] for name in ("postcode", "updated_at") if record.get(name) is not None}
    told = profiles.drop(columns=["row", "n_sources", "n_customer_ids"]).astype(object)
    told = told.where(told.notna(), None).set_index("person_id").to_dict("index")
    return sum(
        who not in told or any(value != kept.get(who, {}).get(name) for name, value in told[who].items())
        for who in {*kept, *told}
    )


def _probability_error(model: LinkageModel) -> float:
    """Greatest difference of a pattern's probability from Bayes' rule on the shares and priors of the model."""
    fields = list(dict.fromkeys(model.weights["field"]))
    if model.patterns.empty or not fields:
        return 0.0
    names = ["m_probability", "household_probability", "u_probability"]
    shares = model.weights.set_index(["field", "level"])[names]
    prior = np.array([model.prior, model.household_prior, 1 - model.prior - model.household_prior])
    worst = 0.0
    for row in model.patterns.to_dict("records"):
        odds = prior.copy()
        for field in fields:
            if row[field] >= 0:
                odds *= shares.loc[(field, row[field])].to_numpy()
        worst = max(worst, abs(row["probability"] - odds[0] / odds.sum()))
    return worst


def _unknown_links(model: LinkageModel, linked: pd.DataFrame, found: Resolution) -> float:
    """How far links and their probabilities are from the patterns above the threshold, and links from below it."""
    due = model.patterns[model.patterns["probability"] >= found.threshold]
    apart = abs(len(linked) - due["n"].sum()) + abs(linked["probability"].sum() - due["n"] @ due["probability"])
    return float(apart + (found.links["probability"] < found.threshold).sum())


def _by_following(found: Resolution) -> int:
    """Number of records whose person is not that of the first record which kept links lead to."""
    rows, clusters = found.records["row"].to_numpy(), found.records["cluster"].to_numpy()
    ends = np.searchsorted(rows, found.links.loc[found.links["kept"], ["left", "right"]].to_numpy(dtype="int64"))
    first, before = np.arange(len(rows)), np.full(len(rows), -1)
    while (first != before).any():
        before = first.copy()
        for one, other in (ends.T, ends.T[::-1]):
            np.minimum.at(first, one, before[other])
    return int((clusters != clusters[first]).sum()) + abs(len(np.unique(first)) - found.n_people)
