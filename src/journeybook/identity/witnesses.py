"""What page 03 is held against: its steps once more by another road, copies of known truth, the planted truth.

The functions return one row a comparison: name, value, reference, tolerance, source, kind.
"""

from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from journeybook.identity.clusters import Resolution, expected_precision
from journeybook.identity.model import LinkageModel
from journeybook.identity.people import HELD_BACK, CarriedRefusals
from journeybook.identity.quality import PairQuality
from journeybook.identity.sessions import JoinedSessions
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
    values: pd.DataFrame,
    *,
    found: Resolution,
    model: LinkageModel,
    linked: pd.DataFrame,
    conflicts: pd.DataFrame,
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
        ("golden values without the record they name", _values_off(frame, people, values, conflicts), 0,
         "plain Python, record by record", "witness"),
        ("probability of a link, greatest difference", _probability_error(model), 1e-6,
         "Bayes' rule on the weights shown", "witness"),
        ("links whose probability the model does not give", _unknown_links(model, linked, found), 1e-6,
         "the patterns compared", "witness"),
        ("people that following the links does not give", _by_following(found), 0, "link after link", "witness"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "value", "tolerance", "source", "kind"]).assign(reference=0)


def refusals_hold(
    refusing: ibis.Table, codes: ibis.Table, carried: CarriedRefusals, *, found: Resolution, names: pd.Series
) -> pd.DataFrame:
    """Recognise those who refuse once more, code by code, and carry it; `names` are the pseudonyms by id."""
    theirs, ours = refusing.to_pandas(), codes.to_pandas()
    apart = set(ours["customer_id"][ours["code"].isin(theirs["code"])])
    known = set(theirs["customer_id"][theirs["code"].isin(ours["code"])])
    n_unlike = abs(len(known) - carried.n_recognised) + len(apart - set(carried.set_apart))
    cluster = found.records.drop_duplicates("customer_id").set_index("customer_id")["cluster"]
    voices: dict[int, set[str]] = {}
    for voice, own in theirs.merge(ours, on="code")[["customer_id_x", "customer_id_y"]].to_numpy():
        voices.setdefault(cluster[own], set()).add(voice)
    people = {of: set(cluster.index[cluster == of]) for of in voices}
    due = {(v, names[i]) for of, ids in people.items() for i in ids for v in voices[of] | ids if v != i}
    n_unlike += len(due ^ set(carried.links[["customer_id", "person_id"]].itertuples(index=False, name=None)))
    row = ("refusals recognised otherwise", n_unlike, 0, 0, "plain pandas, code by code", "witness")
    return pd.DataFrame([row], columns=_COLUMNS)


def copies_hold(
    trial: LinkageTrial, quality: PairQuality | None, bins: pd.DataFrame, *, linked: pd.DataFrame,
    n_overruled: int,
) -> pd.DataFrame:  # fmt: skip
    """Hold copies of known truth against what the model expects, the planted truth (if any) against the copies.

    `bins` is the calibration against the planted truth.
    """
    copies, source = trial.quality, "copies of known truth, four standard errors"
    rows = [
        ("people permitted despite a refusal", n_overruled, 0, 0, "the ledger", "witness"),
        ("copies: records that day two alone links otherwise", trial.n_off_day_two, 0, 0, "both days at once",
         "witness"),
        ("copies: pairs rightly linked", copies.precision, expected_precision(linked),
         _ERRORS * _error(copies.precision, copies.n_found), source, "witness"),
    ]  # fmt: skip
    n, name = copies.n_true, "copies: matches the model expects, per true one"
    if n >= _ENOUGH:
        rows.append((name, trial.expected_matches / n, 1, min(_ERRORS / n**0.5, 0.05), source, "witness"))
    if quality is None or bins.empty:
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
    rows.append(("wrong links the model expects", expected, wrong, 2 * max(wrong, 1) ** 0.5, source, "witness"))
    # All pairs together: what is lost in one bin may not be won in another.
    n, source = bins.n_pairs.sum(), "pairs of one person in truth; two standard errors"
    right, foretold = bins.n_pairs @ bins.right_share / n, bins.n_pairs @ bins.expected_share / n
    rows.append(
        ("planted truth: mean probability of a pair", foretold, right, 2 * _error(right, n), source, "witness")
    )
    least = bins.probability_from == bins.probability_from.max()
    n, right, foretold = bins[least][["n_pairs", "right_share", "expected_share"]].iloc[0]
    rows.append(("planted truth: surest pairs", foretold, right, 2 * _error(right, n), source, "witness"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def tables_hold(
    records: ibis.Table,
    people: pd.DataFrame,
    links: pd.DataFrame,
    history: pd.DataFrame,
    *,
    data_end: datetime | None,
    refused: dict[str, pd.Series],
    reach: pd.DataFrame,
) -> pd.DataFrame:
    """Make what other pages and the reader are told of people once more: values by date, and reach of refusals."""
    person = dict(zip(people["customer_id"], people["person_id"], strict=True))
    due: dict[tuple[str, str], dict] = {}
    for record in records.order_by("row").to_pandas().to_dict("records"):
        if record["customer_id"] in person:
            decade = str(record.get("birth_date"))[:3] + "0" if pd.notna(record.get("birth_date")) else None
            for field in [f for f in (*HELD_BACK, "postcode", "birth_decade") if f in {*record, "birth_decade"}]:
                if pd.notna(value := record.get(field, decade)):
                    key = (person[record["customer_id"]], field)
                    due.setdefault(key, {})[record.get("updated_at")] = value
    placed: set[tuple] = set()
    for (one, field), values in due.items():
        dated = sorted(((at, value) for at, value in values.items() if pd.notna(at)), key=lambda pair: pair[0])
        undated = [(data_end - timedelta(days=1), [*values.values()][-1])] if data_end else []
        before = None
        for at, value in dated or undated:
            shown = None if field in HELD_BACK else value
            placed.add((one, field, shown, at, before is not None and value != before))
            before = value
    known = history[["person_id", "field", "value", "known_from", "is_change"]].astype({"value": object})
    told = known.assign(value=known["value"].where(known["value"].notna(), None)).itertuples(
        index=False, name=None
    )
    own, any_of = (
        {one: set(ids) for one, ids in voices.groupby("person_id").customer_id}
        for voices in (people, pd.concat([people, links]))
    )
    n_off = 0
    for row in reach.to_dict("records"):
        ids = set(refused[row["purpose"]])
        reached = [one for one in own if any_of[one] & ids]
        counts = {"n_refusing_ids": len(ids & set().union(*any_of.values())), "n_refusing_people": len(reached)}
        counts["n_carried_ids"] = sum(len(own[one] - ids) for one in reached)
        counts["n_by_link"] = sum(not own[one] & ids for one in reached)
        n_off += sum(row[name] != n for name, n in counts.items())
    rows = [
        ("values of another person or date", len(placed ^ set(told)), 0, 0, "record by record", "witness"),
        ("reach of refusals counted otherwise", n_off, 0, 0, "sets of ids, person by person", "witness"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def sessions_hold(
    events: ibis.Table, people: pd.DataFrame, joined: JoinedSessions, *, window_days: float
) -> pd.DataFrame:
    """Join sessions to people once more in pandas, and count those that come out otherwise."""
    columns = [column for column in ("device_id", "occurred_at") if column in events.columns]
    frame = events.select("session_id", "customer_id", *columns).to_pandas().dropna(subset="session_id")
    frame["who"] = frame["customer_id"].map(people.set_index("customer_id")["person_id"])
    by = frame.groupby("session_id")
    each = by[columns].min().join(by["who"].agg(["nunique", "min"]))
    due = each["min"].where(each["nunique"] == 1)
    via = each["nunique"].clip(upper=2).map({0: "anonymous", 1: "signed in", 2: "several people"})
    if len(columns) == 2:
        none = each[each["nunique"] == 0].reset_index().dropna(subset="device_id")
        near = none.merge(each[each["nunique"] == 1], on="device_id", suffixes=("", "_known"))
        near = near[(near["occurred_at"] - near["occurred_at_known"]).abs() <= pd.Timedelta(days=window_days)]
        beside = near.groupby("session_id")["min_known"].agg(["nunique", "first"])
        due.update(beside["first"][beside["nunique"] == 1])
        via.update(beside["nunique"].clip(upper=2).map({1: "same device", 2: "several people"}))
    told = joined.sessions.to_pandas().set_index("session_id")["person_id"]
    n_off = abs(len(told) - len(due)) + int((told.reindex(due.index).fillna("") != due.fillna("")).sum())
    counts = joined.counts.groupby("via")["n_sessions"].sum()
    n_off += int(counts.sub(via.value_counts(), fill_value=0).abs().sum())
    row = ("sessions joined or counted otherwise", n_off, 0, 0, "session by session, in pandas", "witness")
    return pd.DataFrame([row], columns=_COLUMNS)


def keys_hold(keys: pd.DataFrame, records: ibis.Table, who: pd.Series) -> pd.DataFrame:
    """Follow equal keys from id to id by SciPy, and count pairs once more."""
    frame = records.to_pandas()
    ids, names = pd.factorize(frame.customer_id)
    known = pd.Series(names).map(who).dropna()
    n_off = 0
    for row in keys.to_dict("records"):
        fields = row["key"].split(" + ")
        key = frame.groupby(fields).ngroup().fillna(-1).to_numpy(dtype=int)
        there = key >= 0
        size = len(names) + key.max() + 1
        graph = coo_array((np.ones(there.sum()), (ids[there], len(names) + key[there])), shape=(size, size))
        group = connected_components(graph)[1][known.index]
        both = pd.DataFrame({"found": group, "true": known.to_numpy()})
        sizes = (both.value_counts(by) for by in ("found", "true", ["found", "true"]))
        found, true, right = ((n * (n - 1) // 2).sum() for n in sizes)
        n_off += abs(row["n_pairs"] - found) + abs(row["n_wrong"] - found + right)
        n_off += abs(row["missed_share"] - (1 - right / true if true else 0)) > 1e-9
        n_off += abs(row["wrong_share"] - (1 - right / found if found else 0)) > 1e-9
    row = ("pairs of one key alone counted otherwise", n_off, 0, 0, "connected components by SciPy", "witness")
    return pd.DataFrame([row], columns=_COLUMNS)


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
        for name, one in (("n_sources", record["source"]), ("n_customer_ids", record["customer_id"])):
            own.setdefault(name, set()).update({one} - {None})
        if (born := record.get("birth_date")) is not None:
            own["birth_decade"] = int(str(born)[:3]) * 10
        own |= {name: record[name] for name in ("postcode", "updated_at") if record.get(name) is not None}
    for own in kept.values():
        own |= {name: len(own[name]) for name in ("n_sources", "n_customer_ids")}
    told = profiles.drop(columns="row").astype(object)
    told = told.where(told.notna(), None).set_index("person_id").to_dict("index")
    return sum(
        who not in told or any(value != kept.get(who, {}).get(name) for name, value in told[who].items())
        for who in {*kept, *told}
    )


def _values_off(frame: pd.DataFrame, people: pd.DataFrame, values: pd.DataFrame, conflicts: pd.DataFrame) -> int:
    """Number of values that the record they name does not hold, or with another count of values or conflicts."""
    person = dict(zip(people["customer_id"], people["person_id"], strict=True))
    held: dict[tuple, dict] = {}
    for record in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        if (born := record.get("birth_date")) is not None:
            record["birth_decade"] = f"{str(born)[:3]}0"
        where = (record["source"], record.get("updated_at"))
        for field in [*HELD_BACK, "postcode", "birth_decade"]:
            if record.get(field) is not None:
                theirs = held.setdefault((person.get(record["customer_id"]), field), {})
                theirs.setdefault(record[field], set()).add(where)
    n_off = len(held.keys() ^ set(zip(values["person_id"], values["field"], strict=True)))
    for one in values.astype(object).where(values.notna(), None).to_dict("records"):
        theirs = held.get((one["person_id"], one["field"]), {})
        shown = theirs if one["value"] is None else [one["value"]]
        from_there = any((one["source"], one["updated_at"]) in theirs.get(value, ()) for value in shown)
        n_off += not from_there or len(theirs) != one["n_values"]
    for one in conflicts.to_dict("records"):
        sizes = [len(theirs) for (_, field), theirs in held.items() if field == one["field"]]
        n_off += one["n_people"] != len(sizes) or one["n_conflicts"] != sum(size > 1 for size in sizes)
    return n_off


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
