"""Page 13: what is read, judged and used; lists that keep their promises; somebody's own files."""

import json
import re
from dataclasses import replace

import ibis
import leavers
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from recommendation_toys import END, OFFER, read, receipts, whole_way

from journeybook import recommendation as rec
from journeybook.cli import main
from journeybook.errors import TooLittle
from journeybook.recommendation import methods as ways
from journeybook.recommendation.hybrid import feature
from journeybook.recommendation.purchases import histories_of
from journeybook.recommendation.use import unpack_model


@pytest.fixture(scope="module")
def shop():
    return whole_way()


def test_a_purchase_is_a_day_with_revenue_and_returns_are_kept_apart():
    frame = receipts()
    first = frame.iloc[0]
    again = frame.iloc[[0]].assign(revenue=1.5, row=9_001)
    back = frame.iloc[[0]].assign(revenue=-2.5, row=9_002, occurred_at=END - pd.Timedelta(days=1))
    nothing = frame.iloc[[1]].assign(revenue=0.0, row=9_003, product_id="free")
    guest = frame.iloc[[1]].assign(person_id=None, row=9_004)
    found = read(pd.concat([frame, again, back, nothing, guest]))
    assert len(found.lines) == len(frame.drop_duplicates(["person_id", "product_id", "occurred_at"]))
    assert "free" not in found.products and None not in found.people
    assert found.people[0] == first.person_id
    assert [(found.people[p], found.products[q]) for p, q in found.returned] == [
        (first.person_id, first.product_id)
    ]
    assert found.lines.spent.sum() == pytest.approx(frame.revenue.sum() + 1.5)
    assert (found.end - found.split, found.split - found.window) == (28, 28)


def test_order_and_ids_of_people_play_no_part():
    frame = receipts()
    other = frame.assign(
        person_id=frame.person_id.map({c: f"z{hash(c) % 997:03d}{c}" for c in frame.person_id.unique()})
    )
    assert read(frame).lines.equals(read(other.sample(frac=1, random_state=1)).lines)


def test_too_little_is_said_in_one_sentence():
    with pytest.raises(TooLittle, match="has no column product_id"):
        read(receipts().drop(columns="product_id"))
    with pytest.raises(TooLittle, match=r"^1, 1, \d people bought .* 30 are needed in each\.$"):
        one = receipts()
        read(one[one.person_id == one.person_id.iloc[0]])
    with pytest.raises(ValueError, match="test_weeks is 0: it must be 1 or more"):
        read(receipts(), test_weeks=0)


def test_what_is_barred_or_rare_or_sold_no_more_is_not_offered(shop):
    purchases, products, *_ = shop
    barred = products.assign(in_stock=products.product_id != "p03", age_limited=products.product_id == "p17")
    sold = rec.known_before(purchases, barred, None, before=purchases.end, half_life_days=30.0, **OFFER).catalogue
    ids = set(purchases.products[sold.products])
    assert not ids & {"p03", "p17"} and len(ids) == 28
    assert sold.left_out["not in stock"] == sold.left_out["limited by age"] == 1
    rare = {"n_products": 5, "least_buyers": 3}
    few = rec.known_before(purchases, None, None, before=purchases.end, half_life_days=30.0, **rare).catalogue
    counts = purchases.lines.groupby("product").person.nunique()
    assert sorted(counts[few.products], reverse=True) == list(counts[few.products]) == list(few.popularity)
    assert few.left_out["beyond the most bought"] == 25
    with pytest.raises(TooLittle, match="two are needed"):
        rec.catalogue_of(purchases, None, before=purchases.end, n_products=9, least_buyers=1_000)


def test_histories_halve_with_every_half_life(shop):
    purchases, known = shop[0], shop[3]
    h = histories_of(purchases, known.catalogue, before=purchases.split, half_life_days=10.0)
    line = purchases.lines[purchases.lines.day < purchases.split].iloc[0]
    at = int(np.flatnonzero(known.catalogue.products == line["product"])[0])
    own = purchases.lines.query(
        "person == @line.person and product == @line['product'] and day < @purchases.split"
    )
    assert h.days[int(line.person), at] == len(own)
    expected = (0.5 ** ((purchases.split - 1 - own.day) / 10)).sum()
    assert h.recent[int(line.person), at] == pytest.approx(expected, rel=1e-6)


def test_planted_habits_and_groups_are_found(shop):
    judged = shop[4]
    table = judged.table.set_index(["task", "method"])["ndcg"]
    assert table[rec.ANY, ways.REPEAT] > table[rec.ANY, ways.POPULAR] + 0.05
    assert table[rec.NEW, ways.SIMILAR] > table[rec.NEW, ways.POPULAR] + 0.05
    assert (rec.NEW, ways.REPEAT) not in table.index


def test_pairs_are_paired_and_corrected(shop):
    judged = shop[4]
    n = sum(len(people.columns) * (len(people.columns) - 1) // 2 for people in judged.people.values())
    assert len(judged.pairs) == n
    assert (judged.pairs.p_adjusted >= judged.pairs.p_value).all()
    row = judged.pairs.iloc[0]
    gap = judged.people[row.task][row.method] - judged.people[row.task][row.other]
    assert row.difference == pytest.approx(gap.mean())
    assert row.error == pytest.approx(gap.std(ddof=1) / np.sqrt(len(gap)), rel=0.25)


def test_lists_of_new_products_hold_nothing_bought_before(shop):
    _, _, _, known, judged, _ = shop
    owned = known.histories.days.toarray() > 0
    for (task, name), places in judged.lists.items():
        person, rank = np.nonzero(places >= 0)
        if task == rec.NEW:
            assert not owned[person, places[person, rank]].any(), name
        assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in places)


def test_hybrid_features_keep_the_order_of_a_method():
    scores = np.array([[0.0, 2.0, 4.0, -1.0]], dtype=np.float32)
    assert_allclose(feature(ways.SIMILAR, scores), np.sqrt([[0, 0.5, 1, 0]]))
    assert_allclose(feature(ways.REPEAT, scores), np.log1p([[0, 2, 4, 0]]))


def test_every_check_of_the_page_holds_on_the_toy(shop):
    purchases, _, chosen, known, judged, _ = shop
    checks = pd.concat(
        [
            rec.recount(ibis.memtable(receipts()), purchases, known, judged),
            rec.measures_hold(known, judged),
            rec.methods_hold(purchases, known, chosen, least_buyers=OFFER["least_buyers"]),
        ]
    )
    off = checks[(checks.value - checks.reference).abs() > checks.tolerance]
    assert off.empty, off


@pytest.mark.parametrize("task", [rec.ANY, rec.NEW])
def test_lists_say_why_and_the_saved_model_says_the_same(shop, task):
    purchases, _, chosen, _, judged, now = shop
    model = rec.fit_model(purchases, now, chosen, way=rec.way_for(judged, task=task), task=task)
    table = rec.recommend(purchases, now, model, task=task, k=4)
    assert list(table) == ["person_id", "rank", "product_id", "score", "method", "reason"]
    assert table.reason.str.fullmatch(
        r"again after \d+ days?|bought with thing p\d\d|bought by many of late"
    ).all()
    files = rec.pack_model(model)
    assert files == rec.pack_model(model)
    checks = rec.lists_hold(purchases, now, table, files, task=task, k=4)
    assert (checks.value == 0).all(), checks
    again = table.reason.str.startswith("again")
    assert again.any() == (task == rec.ANY)


def test_newcomers_get_what_is_popular_of_late_and_the_table_says_so(shop):
    purchases, _, chosen, _, judged, now = shop
    model = rec.fit_model(purchases, now, chosen, way=rec.way_for(judged, task=rec.ANY), task=rec.ANY)
    bought = pd.DataFrame({"person": ["x", "y"], "product_id": ["not known", "p04"], "days_ago": [1, 1]})
    found = rec.recommend_newcomers(rec.pack_model(model), bought, task=rec.ANY, k=3)
    assert found[found.person == "x"].method.unique().tolist() == [ways.RECENT]
    top = np.argsort(-now.catalogue.recent, kind="stable")[:3]
    assert set(now.catalogue.recent[top]) == {
        now.catalogue.recent[list(model.products).index(p)] for p in found[found.person == "x"].product_id
    }
    assert found[found.person == "y"].reason.iloc[0] == "again after 1 day"


def test_a_damaged_model_is_refused(shop):
    purchases, _, chosen, _, _, now = shop
    files = rec.pack_model(rec.fit_model(purchases, now, chosen, way=ways.REPEAT, task=rec.ANY))
    assert not any(b"pickle" in content for content in files.values())
    assert unpack_model(files).way == ways.REPEAT
    with pytest.raises(ValueError, match=r"is not the file that contract\.json was written for"):
        unpack_model(files | {"model.npz": files["model.npz"][:-1] + b"x"})


def test_returned_products_are_not_offered_to_who_returned_them(shop):
    purchases, products, chosen, *_ = shop
    back = replace(purchases, returned=np.array([[0, q] for q in range(len(purchases.products) - 2)]))
    now = rec.known_before(back, products, None, before=back.end, half_life_days=30.0, **OFFER)
    model = rec.fit_model(back, now, chosen, way=ways.REPEAT, task=rec.ANY)
    table = rec.recommend(back, now, model, task=rec.ANY, k=4)
    assert set(table[table.person_id == back.people[0]].product_id) <= set(back.products[-2:])


def test_a_baseline_is_used_where_nothing_clearly_beats_it(shop):
    judged = shop[4]
    unclear = replace(judged, pairs=judged.pairs.assign(p_adjusted=1.0))
    assert rec.way_for(unclear, task=rec.ANY) == judged.best[rec.ANY][1]
    assert rec.way_for(unclear, task=rec.NEW) in (ways.RECENT, ways.POPULAR)


PAGES = ("01_collection", "02_cleaning", "13_recommendation")


def own(folder, frame, capsys) -> str:
    """What `journeybook check` says of page 13."""
    frame.to_csv(folder / "f.csv", index=False)
    columns = ", ".join(f"{name}: {name}" for name in frame)
    (folder / "own.yaml").write_text(
        f"dataset: files\nfiles: {{transactions: {{path: f.csv, columns: {{{columns}}}}}}}\n"
        f"pages: {{13_recommendation: {leavers.QUICK['13_recommendation']}}}\n",
        encoding="utf-8",
    )
    assert main(["check", "--params", str(folder / "own.yaml")]) == 0
    return re.search(r"^13_recommendation +(.*)$", capsys.readouterr().out, re.MULTILINE).group(1)


def test_receipts_alone_are_enough(tmp_path, capsys):
    frame = receipts().drop(columns="row").rename(columns={"person_id": "customer_id"})
    frame["occurred_at"] += pd.Timedelta(hours=9)
    assert own(tmp_path, frame, capsys) == "will run"
    made = [leavers.run_files({"transactions": frame}, tmp_path / name, pages=PAGES) for name in ("a", "b")]
    assert made[0].keys() >= {"recommendations.parquet", "models/13_recommendation/model.npz"}
    assert leavers.unlike(*made) == set()
    results = json.loads(made[0]["13_recommendation.json"])
    assert [c["name"] for c in results["checks"] if not c["passed"]] == []
    assert not re.search(r"\bc\d+\b", json.dumps(results["tables"])), "a customer stands in the results"


@pytest.mark.parametrize(
    ("strange", "sentence"),
    [
        (lambda t: t.drop(columns="product_id"), "transactions has no column product_id"),
        (lambda t: t[t.customer_id == "c1"], r"people bought a named product .* 30 are needed in each\."),
        (
            lambda t: t.assign(product_id="one"),
            r"people bought a product that was new to them .* are needed in each\.",
        ),
    ],
)
def test_too_little_is_foreseen_by_check(strange, sentence, tmp_path, capsys):
    frame = strange(receipts().drop(columns="row").rename(columns={"person_id": "customer_id"}))
    foreseen = own(tmp_path, frame, capsys)
    assert foreseen.startswith("not possible: ") and re.search(sentence, foreseen)
    with pytest.raises(TooLittle, match=re.escape(foreseen.removeprefix("not possible: "))):
        leavers.run_files({"transactions": frame}, tmp_path / "run", pages=PAGES)
