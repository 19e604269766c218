"""Events against their tracking plan: SQL against jsonschema, order against a walk, rates against counts."""

import json
from itertools import product

import ibis
import numpy as np
import pandas as pd
import pytest
import yaml

from journeybook import collection
from journeybook.collection.findings import find
from journeybook.collection.plan import TrackingPlan, read_plan
from journeybook.collection.tracking import out_of_order
from journeybook.collection.witnesses import _breaks_plan, check_rules

PLAN = {
    "home": {"owner": "shop", "version": 1},
    "basket": {
        "required": ["product_id", "n.units"],
        "properties": {
            "product_id": {"type": "string", "enum": ["p", 'é"q']},
            "n.units": {"type": "integer", "minimum": 1, "maximum": 9},
            "gift": {"type": "boolean"},
            "price": {"type": "number", "minimum": 0.5},
        },
    },
    "pay": {"after": ["basket", "home"]},
    "purchase": {"after": ["pay"], "required": ["gift"]},
}
ODD = [None, "p", 'é"q', "p ", "", 1, 0, 9, 10, 2.0, 2.5, -1, 0.5, 1e300, 12345678901234567890123, True, False,
       "true", "5", [], {}, [1], {"a": 1}]  # fmt: skip


def plan(events: dict | None = None) -> TrackingPlan:
    return TrackingPlan("a test", PLAN if events is None else events, {})


def sent(rows: list[dict]) -> ibis.Table:
    filled = [
        {"session_id": "s", "event": "home", "position": k + 1, "properties": None} | row
        for k, row in enumerate(rows)
    ]
    return ibis.memtable(pd.DataFrame(filled).assign(row=range(1, len(rows) + 1)))


def broken(events: ibis.Table, asked: TrackingPlan) -> set[tuple]:
    told = collection.collect({"events": events}, plan=asked).quarantine.select("row", "column").to_pandas()
    return set(told.itertuples(index=False, name=None))


def test_every_odd_value_is_judged_as_by_jsonschema():
    names = ["product_id", "n.units", "gift", "price"]
    said = [{"product_id": "p", "n.units": 1} | {name: value} for name, value in product(names, ODD)]
    said += [
        {"product_id": "p"},
        {"n.units": 3},
        {},
        {"product_id": 3, "n.units": "x", "gift": "no", "price": "0"},
    ]
    texts = [*map(json.dumps, said), *(json.dumps(one, ensure_ascii=False) for one in said)]
    texts += [None, "", "[]", "7", '"text"', "{", '{"product_id": ', " {} ", "null"]
    rows = [
        {"event": event, "properties": text}
        for event, text in product(["basket", "home", "lost", "undefined"], texts)
    ]
    events = sent(rows)
    by_hand = {
        (row, column)
        for row, one in enumerate(events.order_by("row").to_pandas().astype(object).to_dict("records"), start=1)
        for column in _breaks_plan({k: v if isinstance(v, str) else None for k, v in one.items()}, plan())
    }
    found = broken(events, plan())
    assert {(row, column) for row, column in found if rows[row - 1]["event"] != "undefined"} == by_hand
    assert {column for _, column in by_hand} == {"event", "properties", *names}
    assert len(by_hand) > 200


def test_a_mapped_column_stands_before_properties():
    held = sent([{"event": "basket", "properties": json.dumps({"product_id": "x", "n.units": 3})}] * 3)
    mapped = held.mutate(
        product_id=ibis.cases((held.row == 1, "p"), (held.row == 2, "z"), else_=ibis.null("string"))
    )
    assert broken(mapped, plan()) == {(2, "product_id"), (3, "product_id")}
    numbered = mapped.drop("properties").mutate(**{"n.units": ibis.literal(12).cast("decimal(18, 4)")})
    assert broken(numbered, plan()) == {
        (1, "n.units"),
        (2, "n.units"),
        (2, "product_id"),
        (3, "n.units"),
        (3, "product_id"),
    }


def test_what_fails_is_kept_whole_with_each_reason_and_comes_back_with_a_mended_plan():
    events = sent([{"event": "basket", "properties": '{"product_id": "me@shop.org", "n.units": 0}'}, {}])
    found = collection.collect({"events": events}, plan=plan())
    told = found.quarantine.order_by("column", "problem").to_pandas()
    assert told[["column", "problem", "value"]].to_numpy().tolist() == [
        ["n.units", "is below 1", "0"],
        ["product_id", "is not an allowed value", '"•••@•••'],
    ]
    assert json.loads(told.record[0])["properties"] == '{"product_id": "me@shop.org", "n.units": 0}'
    loose = plan(PLAN | {"basket": {}})
    assert collection.collect({"events": events}, plan=loose).accepted["events"].count().execute() == 2
    assert collection.collect({"events": events}).accepted["events"].count().execute() == 2


def walk(*steps: str, by: str = "position") -> pd.DataFrame:
    """Events named `session event moment`, and the rows out of order."""
    rows = [dict(zip(("session_id", "event", "at"), step.split(), strict=True)) for step in steps]
    frame = pd.DataFrame(rows).assign(row=range(1, len(rows) + 1))
    at = frame["at"].astype(int)
    frame = frame.assign(
        **{by: at if by == "position" else pd.Timestamp(2020, 1, 1) + pd.to_timedelta(at, unit="s")}
    )
    return ibis.memtable(frame.drop(columns="at"))


def test_order_is_that_of_the_session_and_equal_times_are_no_error():
    steps = ["a home 1", "a pay 2", "a purchase 3", "b pay 1", "b purchase 2", "c purchase 1", "c pay 2",
             "d pay 5", "d basket 5", "undefined purchase 1", "e purchase 9", "e pay 8", "e home 7"]  # fmt: skip
    assert out_of_order(walk(*steps), plan()).row.tolist() == [4, 6, 7, 8]
    assert out_of_order(walk(*steps, by="occurred_at"), plan()).row.tolist() == [4, 6, 7]
    assert out_of_order(walk(*steps).drop("session_id"), plan()).empty


@pytest.mark.parametrize("by", ["position", "occurred_at"])
def test_order_is_found_as_by_a_walk(by):
    rng = np.random.default_rng(5)
    steps = [f"s{rng.integers(60)} {rng.choice([*PLAN])} {rng.integers(9)}" for _ in range(400)]
    wrong, seen = set(), {}
    for step, row in sorted(zip(steps, range(1, 401), strict=True), key=lambda one: int(one[0].split()[2])):
        session, event, at = step.split()
        came = [e for e, moment in seen.get(session, []) if moment < at or by == "occurred_at"]
        came += [one.split()[1] for one in steps if one.split()[::2] == [session, at] and by == "occurred_at"]
        if "after" in PLAN[event] and not set(PLAN[event]["after"]) & set(came):
            wrong.add(row)
        seen.setdefault(session, []).append((event, at))
    assert set(out_of_order(walk(*steps, by=by), plan()).row) == wrong
    assert 20 < len(wrong) < 380


def test_rates_count_each_event_once_by_day_device_and_release():
    rows = [{"event": "basket", "device": "app", "release": "2"},
            {"event": "lost", "device": "app", "release": "2"},
            {"event": "purchase", "device": "web", "release": "1"}, {"device": "web", "release": "1"},
            {"event": "undefined", "device": "web", "release": None}]  # fmt: skip
    days = pd.to_datetime(["2020-01-01", "2020-01-01", "2020-01-02", "2020-01-02", "2020-01-02"])
    events = sent([row | {"occurred_at": day} for row, day in zip(rows, days, strict=True)])
    found = collection.collect({"events": events}, plan=plan())
    counted = collection.track(events, found, out_of_order(events, plan()))
    rates = counted.set_index(["by", "value"])[["n_events", "n_failed", "n_unplanned", "n_disordered"]]
    assert rates.loc[("device", "app")].tolist() == [2, 2, 1, 0]
    assert rates.loc[("day", "2020-01-02")].tolist() == [3, 2, 0, 1]
    assert rates.loc[("release", "1")].tolist() == [2, 1, 0, 1]
    assert (rates.loc["event"].sum() == [5, 4, 1, 1]).all()
    places = pd.DataFrame(
        {"table": ["events"], "n_lines": [5], "n_quarantined": [4], "n_kept": [1], "n_unparsed": 0}
    )
    texts = [one.text for one in find(found, places, collection.who_permits(found.accepted), counted)]
    assert "100% of events of release 2 fail, 50.0% of all others." in texts
    assert "**4 of 5 events are set aside**, 1 of them" in collection.say_tracking(counted, plan())
    assert "no `tracking_plan`" in collection.say_tracking(counted, None)
    assert collection.say_tracking(collection.track(None, found, out_of_order(None, plan())), plan()) == ""


def test_the_rules_are_asked_again_of_rows_from_all_of_the_quarantine():
    events = sent([{"event": "basket"}] * 40)
    found = collection.collect({"events": events}, plan=plan())
    assert check_rules({"events": events}, found, max_rows=5, plan=plan()).value.tolist() == [0, 0]
    assert check_rules({"events": events}, found, max_rows=5, plan=plan(PLAN | {"basket": {}})).value[0] == 13


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("events: {a: {after: [b]}}", "events.a says 'b'"),
        ("events: {a: {properties: {x: {type: object}}}}", "events.a says 'object'"),
        ("events: {a: {properties: {x: {type: text}}}}", "'text' is not valid"),
        ("events: {a: {owners: me}}", "events.a says 'owners'"),
        ("{events: {}, tables: {t: {party: third, price: 3}}}", "tables.t says 'price'"),
        ("events: [a]", "events: {name: {...}} is needed"),
        ("7", "events: {name: {...}} is needed"),
        ("events: {", "events: {name: {...}} is needed"),
    ],
)
def test_a_plan_that_is_none_is_refused_in_one_sentence(tmp_path, text, said):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"^tracking_plan plan\.yaml") as problem:
        read_plan(str(tmp_path / "plan.yaml"), dataset="files")
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_plan_is_known_by_its_name_and_content(tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({"events": PLAN}))
    found = read_plan(str(tmp_path / "plan.yaml"), dataset="files")
    assert found.events == PLAN
    assert found.source.startswith("plan.yaml ")
    assert read_plan(None, dataset="files") is None
    with pytest.raises(ValueError, match="there is no such file"):
        read_plan("elsewhere.yaml", dataset="files")
