"""What page 03 is held against: its steps once more by another road, copies of known truth, the planted truth.

The functions return one row a comparison: name, value, reference, tolerance, source, kind.
"""

from collections import deque
from collections.abc import Iterable

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import EXACT_RULES, Resolution, expected_precision
from journeybook.identity.model import LinkageModel
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality
from journeybook.identity.records import normalise
from journeybook.identity.trial import LinkageTrial
from journeybook.tables import REFUSAL_RULES

_COLUMNS = ["name", "value", "reference", "tolerance", "source", "kind"]
_ERRORS = 4
"""Standard errors allowed where a share is compared with another."""


def rows_hold(
    records: ibis.Table,
    people: pd.DataFrame,
    profiles: pd.DataFrame,
    *,
    found: Resolution,
    model: LinkageModel,
    linked: pd.DataFrame,
    max_diameter: int,
) -> pd.DataFrame:
    """Follow records, links and people once more: by hand, loop and Bayes' rule.

    Args:
        records: Customer records as read.
        people: Which person each customer id belongs to, refusals carried.
        profiles: The golden profiles.
        found: The page's resolution.
        model: The page's model.
        linked: Pairs from the threshold on.
        max_diameter: As in `resolve`.
    """
    frame = records.order_by("row").to_pandas()
    ids, every = frame["customer_id"], "customer records read"
    n_ids_off = len(set(ids) ^ set(people["customer_id"])) + people["customer_id"].duplicated().sum()
    broken, far = _by_walking(found, max_diameter)
    loop = "plain Python, record by record"
    rows = [
        ("records in profiles", profiles["n_records"].sum(), len(frame), 0, every, "conservation"),
        ("customer ids lost, invented or in two people", n_ids_off, 0, 0, every, "conservation"),
        ("golden profiles that differ", _profiles_off(frame, people, profiles), 0, 0, loop, "witness"),
        ("probability of a link, greatest difference", _probability_error(model), 0, 1e-6,
         "Bayes' rule on the weights shown", "witness"),
        ("links whose probability the model does not give", _unknown_links(model, linked, found), 0, 0,
         "the patterns compared", "witness"),
        ("people that walking along the links does not give", broken, 0, 0, "breadth-first walks", "witness"),
        ("people with two records too far apart", far, 0, 0, "breadth-first walks", "witness"),
        ("exact keys whose records are not together", _split_keys(records, found), 0, found.n_cut,
         "plain pandas; chains that were cut", "witness"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def refusals_hold(
    refusing: ibis.Table, codes: ibis.Table, records: ibis.Table, carried: CarriedRefusals
) -> pd.DataFrame:
    """Recognise those who refuse once more, code by code, and count the codes of the records by their fields."""
    theirs, ours = refusing.to_pandas(), codes.to_pandas()
    both = theirs[theirs["code"].isin(ours["code"])]
    apart = set(ours["customer_id"][ours["code"].isin(theirs["code"])])
    known = set(both["customer_id"])
    n_unlike = abs(len(known) - carried.n_recognised) + len(apart - set(carried.set_apart))
    n_unlike += len(known - set(carried.links["customer_id"]))
    spelled = normalise(records).to_pandas()
    rules = [rule.split(" + ") for rule in REFUSAL_RULES]
    held = [spelled[rule].dropna() for rule in rules if set(rule) <= set(spelled)]
    n_codes, n_values = sum(map(len, held)), sum(len(one.drop_duplicates()) for one in held)
    fields = "the fields themselves"
    rows = [
        ("refusals recognised otherwise", n_unlike, 0, 0, "plain pandas, code by code", "witness"),
        ("match codes of records", len(ours), n_codes, 0, fields, "witness"),
        ("match codes that differ", ours["code"].nunique(), n_values, 0, fields, "witness"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def copies_hold(
    trial: LinkageTrial, quality: PairQuality | None, *, linked: pd.DataFrame, n_overruled: int
) -> pd.DataFrame:
    """Hold copies of known truth against what the model expects, the planted truth against the copies.

    Args:
        trial: The linkage of copies.
        quality: Pairs of customer ids against the planted truth; None where nothing is planted.
        linked: Pairs from the threshold on, with their `probability`.
        n_overruled: As `count_overruled` counts them.
    """
    copies, source = trial.quality, "copies of known truth, four standard errors"
    n = max(copies.n_true, 1)
    rows = [
        ("people permitted despite a refusal", n_overruled, 0, 0, "the ledger", "witness"),
        ("copies: pairs rightly linked", copies.precision, expected_precision(linked),
         _ERRORS * _error(copies.precision, copies.n_found), source, "witness"),
        ("copies: matches the model expects, per true one", trial.expected_matches / n, 1,
         min(_ERRORS / n**0.5, 0.05), source, "witness"),
    ]  # fmt: skip
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
        own = kept.setdefault(
            person.get(record["customer_id"], record["customer_id"]), {"n_records": 0, "sources": set()}
        )
        own["n_records"] += 1
        own["sources"].add(record["source"])
        born = record.get("birth_date")
        found = {"postcode": record.get("postcode"), "updated_at": record.get("updated_at")}
        found["birth_decade"] = None if born is None else int(str(born)[:3]) * 10
        own |= {name: value for name, value in found.items() if value is not None}
    told = profiles.astype(object).where(profiles.notna(), None).to_dict("records")
    off = sum(
        any(profile[name] != kept[profile["person_id"]].get(name) for name in _compared(profile))
        or profile["n_sources"] != len(kept[profile["person_id"]]["sources"])
        for profile in told
        if profile["person_id"] in kept
    )
    return off + len(set(profiles["person_id"]) ^ set(kept))


def _compared(profile: dict) -> Iterable[str]:
    return (name for name in ("n_records", "postcode", "birth_decade", "updated_at") if name in profile)


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


def _unknown_links(model: LinkageModel, linked: pd.DataFrame, found: Resolution) -> int:
    """Number of links below the threshold, not followed, or more of one probability than there are pairs."""
    likely = linked["probability"].round(12)
    able = model.patterns.groupby(model.patterns["probability"].round(12))["n"].sum()
    told = likely.value_counts()
    too_many = int((told > able.reindex(told.index, fill_value=0)).sum())
    keys = ["left", "right"]
    likely_links = found.links.loc[found.links["via"] == "probability", keys]
    others = found.links.loc[found.links["via"] != "probability", keys]
    followed = pd.MultiIndex.from_frame(likely_links)
    asked = pd.MultiIndex.from_frame(linked[keys]).difference(pd.MultiIndex.from_frame(others))
    return (
        too_many + int((linked["probability"] < found.threshold).sum()) + len(followed.symmetric_difference(asked))
    )


def _split_keys(records: ibis.Table, found: Resolution) -> int:
    """Number of exact keys whose records are in several people."""
    frame = normalise(records).to_pandas().merge(found.records[["row", "cluster"]], on="row")
    split = 0
    for rule in EXACT_RULES:
        columns = [column.strip() for column in rule.split("+")]
        if set(columns) <= set(frame.columns):
            split += int((frame.dropna(subset=columns).groupby(columns)["cluster"].nunique() > 1).sum())
    return split


def _by_walking(found: Resolution, max_diameter: int) -> tuple[int, int]:
    """Number of people that walks along the kept links do not give, and of those wider than allowed."""
    near: dict[int, list[int]] = {row: [] for row in found.records["row"]}
    for link in found.links[found.links["kept"]].itertuples():
        near[link.left].append(link.right)
        near[link.right].append(link.left)
    cluster = dict(zip(found.records["row"], found.records["cluster"], strict=True))
    sizes, broken, far = found.records["cluster"].value_counts(), set(), set()
    for row in near:
        steps, waiting = {row: 0}, deque([row])
        while waiting:
            here = waiting.popleft()
            for other in near[here]:
                if other not in steps:
                    steps[other] = steps[here] + 1
                    waiting.append(other)
        if len(steps) != sizes[cluster[row]] or any(cluster[other] != cluster[row] for other in steps):
            broken.add(cluster[row])
        if max(steps.values()) > max_diameter:
            far.add(cluster[row])
    return len(broken), len(far)
