"""Segmentation against planted groups, structureless data, counts by hand and scikit-learn."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from journeybook import segmentation
from journeybook.enrichment.filling import feature_imputers
from journeybook.segmentation.groups import GroupCount, has_groups, seek_groups, valley, valleys_alone
from journeybook.segmentation.movement import Movement
from journeybook.segmentation.names import name_segments
from journeybook.segmentation.preparation import weigh
from journeybook.segmentation.references import clouds
from journeybook.segmentation.segments import Segmentation
from journeybook.statistics import stream

# What page 04 says of these columns.
KINDS = pd.DataFrame(
    {
        "feature": ["n_baskets", "revenue", "tenure_days", "income", "density", "recency_days"],
        "kind": ["total", "total", "total", "attribute", "area", "state"],
    }
)
MONTHS = pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"])


def grouped(n: int = 600, *, n_months: int = 5, moving_share: float = 0.0, seed: int = 1):
    """Snapshots of three kinds of people, `kind` the truth; a share of the people is drawn anew each month."""
    rng = stream(seed, "people")
    share, means = [0.5, 0.3, 0.2], np.array([[5.0, 20.0, 10.0], [20.0, 60.0, 14.0], [60.0, 5.0, 40.0]])
    kind = rng.choice(3, n, p=share)
    frames = []
    for month, as_of in enumerate(MONTHS[:n_months]):
        moved = rng.random(n) < moving_share
        kind = np.where(moved, rng.choice(3, n, p=share), kind)
        values = means[kind] * (1 + 0.08 * rng.standard_normal((n, 3)))
        frames.append(
            pd.DataFrame(
                {
                    "person_id": [f"p{i}" for i in range(n)],
                    "as_of": as_of,
                    "recency_days": values[:, 0],
                    "revenue_28d": values[:, 1],
                    "mean_basket": values[:, 2],
                    "n_baskets": np.arange(n) % 7 + 3.0 * (month + 1),
                    "revenue": (np.arange(n) % 50) + values[:, 1] * (month + 1),
                    "tenure_days": 31.0 * (month + 1),
                    "kind": [f"kind {k}" for k in kind],
                }
            )
        )
    features = pd.concat(frames, ignore_index=True)
    features.insert(0, "row", np.arange(1, len(features) + 1))
    return features


def handed(features: pd.DataFrame, *, rules: dict[str, str] | None) -> pd.DataFrame:
    """What page 04 hands on to fill in missing features."""
    return feature_imputers(ibis.memtable(features), rules=rules)


def segmented(features: pd.DataFrame, *, n_segments: int = 3, seed: int = 1) -> Segmentation:
    told = ["recency_days", "revenue_28d", "mean_basket"]
    prepared = segmentation.prepare(
        features, columns=told if set(told) <= set(features) else None, dictionary=None
    )
    return segmentation.segment(
        features, preparation=prepared, n_segments=n_segments, rng=stream(seed, "segments")
    )


def counted(values: np.ndarray, *, max_segments: int = 5, seed: int = 1) -> GroupCount:
    return segmentation.count_groups(values, max_segments=max_segments, n_splits=3, rng=stream(seed, "count"))


# --- which features ---------------------------------------------------------------------------------------


def test_features_are_chosen_by_what_can_be_compared():
    features = grouped().assign(
        city="x",
        loyal=lambda d: np.where(d["row"] % 2, 1.0, 0.0),
        rare=lambda d: np.where(d["row"] % 10 < 6, 0.0, d["row"]),
        income=lambda d: 1_000 * (d["row"] % 60) + 50 * (d["as_of"] >= MONTHS[2]),
        unknown=lambda d: np.where(d["row"] % 3, np.nan, d["row"]),
    )
    roles = segmentation.prepare(features, columns=None, dictionary=KINDS).roles.set_index("column")
    assert roles.query("role == 'used'").index.tolist() == ["recency_days", "revenue_28d", "mean_basket"]
    assert roles.loc["city", "reason"] == "not a quantity"
    assert roles.loc["loyal", "reason"] == "only 2 values"
    assert roles.loc["rare", "reason"] == "one value for 60% of the people"
    assert roles.loc["unknown", "reason"] == "67% missing"
    assert roles.loc["income", "reason"].startswith("an attribute")
    assert roles.loc["revenue", "reason"] == "a running total, which grows with time alone"


def test_a_role_is_read_from_the_dictionary_and_never_guessed_from_how_a_column_moves():
    features = grouped().assign(density=lambda d: d["mean_basket"], never_falls=lambda d: d["revenue"])
    roles = segmentation.prepare(features, columns=None, dictionary=KINDS).roles.set_index("column")
    assert roles.loc["density", "reason"] == "an attribute of the area, not of the person"
    assert roles.loc["never_falls", "role"] == "used" and roles.loc["revenue", "role"] == "left out"
    untold = segmentation.prepare(features, columns=None, dictionary=None)
    assert {"revenue", "n_baskets", "density"} <= set(untold.columns)


def test_recency_frequency_and_money_stay_where_little_else_can_be_compared():
    features = grouped().drop(columns=["revenue_28d", "mean_basket"])
    prepared = segmentation.prepare(features, columns=None, dictionary=KINDS)
    assert prepared.columns == ["recency_days", "n_baskets", "revenue"]
    assert segmented(features).ordered_by == "revenue"


def test_the_last_snapshot_has_mean_0_and_sd_1_as_scikit_learn_makes_it():
    features = grouped()
    prepared = segmentation.prepare(features, columns=["mean_basket", "recency_days"], dictionary=KINDS)
    last = segmentation.last_snapshot(features)
    values = segmentation.matrix(last, preparation=prepared)
    by_hand = last[prepared.columns].to_numpy()
    by_hand = StandardScaler().fit_transform(np.where(prepared.logged, np.log1p(by_hand), by_hand))
    assert values == pytest.approx(by_hand * prepared.weights)


def test_a_column_is_filled_in_by_its_rule_on_past_dates_too():
    features = grouped()
    features["gap"] = 3 * features["revenue_28d"]
    features.loc[::9, "gap"] = np.nan
    asked = {"columns": ["gap", "revenue_28d", "recency_days"], "dictionary": None}
    prepared = segmentation.prepare(features, **asked, handed=handed(features, rules={"gap": "model"}))
    missing = features["gap"].isna().to_numpy()
    assert prepared.columns == ["recency_days", "revenue_28d", "gap"]
    values = segmentation.matrix(features, preparation=prepared)
    # What the others let expect goes with the column it is three times of, and the median does not.
    assert np.corrcoef(values[missing][:, 1:].T)[0, 1] > 0.95
    found = segmentation.segment(features, preparation=prepared, n_segments=3, rng=stream(1, "segments"))
    held = segmentation.past_holds(
        features,
        found=found,
        dated=segmentation.segments_of_each_date(
            features, columns=asked["columns"], dictionary=None, found=found, seed=1
        ),
        columns=asked["columns"],
        dictionary=None,
        seed=1,
    )
    assert (held["value"] == 0).all()


def test_a_missing_value_counts_as_the_median_and_an_outlier_as_four_sd():
    features = grouped(n_months=1)
    features.loc[0, "recency_days"], features.loc[1, "recency_days"] = np.nan, 1e9
    asked = {"columns": ["recency_days"], "dictionary": KINDS}
    with pytest.raises(ValueError, match="'recency_days': values are missing, and no page has learned"):
        segmentation.prepare(features, **asked)
    prepared = segmentation.prepare(features, **asked, handed=handed(features, rules=None))
    values = segmentation.matrix(features, preparation=prepared)[:, 0]
    middle = (
        np.log1p(features["recency_days"].median()) if prepared.logged[0] else features["recency_days"].median()
    )
    assert values[0] == pytest.approx((middle - prepared.centre[0]) / prepared.scale[0])
    assert values[1] == 4


def test_a_feature_weighs_by_what_it_tells_and_shares_its_weight_with_its_likes():
    rng = stream(5, "weights")
    once, other, told = rng.standard_normal((3, 4_000))
    alike = weigh(np.column_stack([once, once, other]), telling=np.zeros(3))
    assert alike == pytest.approx([1 / np.sqrt(2), 1 / np.sqrt(2), 1], abs=0.01)
    frames = [
        {"as_of": MONTHS[0], "revenue": 100.0, "tells": np.exp(told), "other": other},
        {"as_of": MONTHS[4], "revenue": 100 + np.exp(told), "tells": np.exp(told), "other": other},
    ]
    people = {"person_id": [f"p{i}" for i in range(4_000)]}
    features = pd.concat([pd.DataFrame(people | frame) for frame in frames]).assign(row=range(1, 8_001))
    weights = segmentation.prepare(features, columns=["tells", "other"], dictionary=None).weights
    related = abs(np.corrcoef(other, np.log1p(np.exp(told)))[0, 1])
    assert weights == pytest.approx([1, (0.3 + related) / 1.3], abs=0.005)


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({}, ["revenue_9d"], "'revenue_9d' is not a feature; there are recency_days"),
        ({}, ["as_of"], "'as_of' is not a feature"),
        ({}, ["kind"], "'kind' cannot be clustered on: not a quantity"),
        ({"mean_basket": 1.0}, ["mean_basket"], "the same for everyone"),
        ({"mean_basket": np.inf}, ["mean_basket"], "infinite values"),
    ],
)
def test_bad_features_are_one_clear_sentence(change, columns, message):
    with pytest.raises(ValueError, match=message) as problem:
        segmentation.prepare(grouped(60).assign(**change), columns=columns, dictionary=KINDS)
    assert str(problem.value).count(". ") == 0


def test_no_rows_and_no_number_are_errors():
    features = grouped(60)
    with pytest.raises(ValueError, match="have no row"):
        segmentation.prepare(features.head(0), columns=None, dictionary=KINDS)
    with pytest.raises(ValueError, match="No feature is left"):
        segmentation.prepare(features[["row", "person_id", "as_of", "kind"]], columns=None, dictionary=KINDS)


# --- how many groups ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_groups", [2, 3, 4])
def test_planted_groups_are_counted(n_groups):
    rng = stream(n_groups, "planted")
    truth = rng.choice(n_groups, 500)
    found = counted(np.eye(n_groups, 5)[truth] * 6 + rng.standard_normal((500, 5)))
    assert found.n_groups == n_groups
    assert found.evidence["k"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_one_cloud_is_one_group_however_stable_its_slices(shape, correlation):
    rng = stream(1, shape)
    draw = rng.standard_normal((800, 4)) if shape == "normal" else rng.uniform(-1.7, 1.7, (800, 4))
    cloud = np.sqrt(correlation) * draw[:, :1] + np.sqrt(1 - correlation) * draw
    assert counted(cloud).n_groups == 1


def test_a_long_cloud_has_stable_slices_and_no_groups():
    """What stability alone would have taken for two groups."""
    rng = stream(2, "long")
    found = counted(rng.standard_normal((3_000, 2)) * [5, 1])
    two = found.evidence.set_index("k").loc[2]
    assert two["stability"] > 0.8
    assert two["valley"] > 0.9
    assert found.n_groups == 1 and found.n_slices >= 2


def test_the_count_does_not_depend_on_where_people_stand():
    rng = stream(3, "order")
    values = np.eye(3, 4)[rng.choice(3, 400)] * 6 + rng.standard_normal((400, 4))
    assert counted(values).n_groups == counted(values[::-1]).n_groups == counted(values + 100).n_groups == 3


def test_a_valley_by_hand():
    values = np.array([[0.0]] * 4 + [[5.0]] + [[10.0]] * 2)
    # One person midway, two at the thinner centre: P(at most 1 of 3 heads) is 4/8.
    assert valley(values, centres=np.array([[0.0], [10.0]])) == (1 / 2, pytest.approx(4 / 8))
    assert valley(values[values[:, 0] != 5], centres=np.array([[0.0], [10.0]])) == (0, pytest.approx(1 / 4))


def test_valleys_in_single_features():
    rng = stream(9, "alone")
    one, two = rng.standard_normal(2_000), rng.standard_normal(2_000) + 6 * (np.arange(2_000) % 5 < 2)
    counts, none_at_all = rng.poisson(2.0, 2_000).astype(float), np.where(rng.random(2_000) < 0.3, 0.0, one + 9)
    found = valleys_alone(np.column_stack([one, two, counts, none_at_all, np.ones(2_000)]), n_tried=5)
    deep = (found["valley"] <= 0.5) & (found["p_value"] < 1e-6)
    assert deep.tolist() == [False, True, False, False, False]


def planted(n: int, n_features: int, distance: float, rng: np.random.Generator) -> np.ndarray:
    values = rng.standard_normal((n, n_features))
    values[rng.random(n) < 0.4, 0] += distance
    return StandardScaler().fit_transform(values)


def test_groups_in_one_feature_of_fifteen_are_counted_and_the_feature_is_named():
    found = counted(planted(1_000, 15, 5.0, stream(1, "fifteen")))
    assert found.n_groups == 2 and found.seen_in.tolist() == [True, *[False] * 14]
    power = segmentation.detection(np.ones((5, 2)), weights=np.ones(2), n_repeats=5, rng=stream(1, "planted"))
    said = segmentation.say_count(found, power, columns=[f"x{i}" for i in range(15)])
    assert said.startswith("The groups are seen in x0 alone, where 0.")


def test_clouds_of_groups_in_one_feature_have_none():
    """What is held against the groups found must not hold them itself, or no group in one feature is ever told."""
    rng = stream(14, "one feature")
    power = segmentation.detection(planted(1_000, 4, 6.0, rng), weights=np.ones(4), n_repeats=10, rng=rng)
    assert power.iloc[-1].n_found <= 2 and power.iloc[0].distance <= 5


@pytest.mark.slow
def test_two_groups_5_sd_apart_in_one_of_fifteen_features_are_found():
    """Found in 100 of 100 sets of 1,000 people, at 4.5 sd as well; at 3 sd in none, for want of depth."""
    rng = stream(11, "power")
    found = {
        far: sum(has_groups(planted(1_000, 15, far, rng), rng=rng) for _ in range(100)) for far in (5.0, 4.5, 3.0)
    }
    assert found[5.0] >= 90 and found[4.5] >= 80 and found[3.0] <= 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["skewed", "counts", "half at none", "correlated"])
def test_groups_are_claimed_in_at_most_one_null_set_in_twenty(kind):
    """Gaussian copulas with the marginals and rank correlations of data without groups: 0 of 200 of each kind."""
    rng = stream(12, kind)
    mixed = rng.standard_normal((1_000, 8)) @ rng.standard_normal((8, 8))
    data = {
        "skewed": np.log1p(np.exp(mixed)),
        "counts": np.log1p(np.floor(np.exp(mixed / 2))),
        "half at none": np.maximum(mixed, 0),
        "correlated": mixed,
    }[kind]
    draw = clouds(StandardScaler().fit_transform(data))
    claimed = sum(seek_groups(draw(rng), max_segments=4, rng=rng).n_groups > 1 for _ in range(200))
    assert claimed <= 10


def test_a_cloud_without_groups_keeps_the_marginals_and_the_correlations():
    rng = stream(13, "copula")
    data = np.exp(rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=3_000))
    drawn = clouds(data)(rng)
    assert np.isin(drawn, data).all()
    assert np.quantile(drawn, [0.1, 0.5, 0.9], axis=0) == pytest.approx(
        np.quantile(data, [0.1, 0.5, 0.9], axis=0), rel=0.12
    )
    assert spearmanr(*drawn.T)[0] == pytest.approx(spearmanr(*data.T)[0], abs=0.05)


@pytest.mark.slow
def test_groups_are_claimed_in_hardly_any_cloud():
    rng = stream(7, "clouds")
    claimed = 0
    for _ in range(60):
        n_features = int(rng.integers(1, 8))
        mixing = rng.standard_normal((n_features, n_features))
        draw = rng.choice(["standard_normal", "standard_exponential", "random"])
        claimed += counted(getattr(rng, draw)((400, n_features)) @ mixing, max_segments=4).n_groups > 1
    assert claimed <= 3


def test_as_many_groups_are_tried_as_the_people_allow():
    assert counted(stream(1, "few").standard_normal((30, 2))).evidence["k"].tolist() == [1, 2, 3]
    for few in (stream(1, "few").standard_normal((19, 2)), np.zeros((100, 2)), np.zeros((1, 2))):
        found = counted(few)
        assert (found.n_groups, found.n_slices, found.evidence["k"].tolist()) == (1, 1, [1])
        assert detected(2, n_people=20).empty
        power = segmentation.detection(few, weights=np.ones(2), n_repeats=5, rng=stream(1, "planted"))
        assert "too few different people" in segmentation.say_count(found, power, columns=["a", "b"])
    with pytest.raises(ValueError, match="max_segments: found 1, needed 2 or more"):
        counted(np.zeros((100, 2)), max_segments=1)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_people_who_are_all_alike_are_one_segment(n):
    features = grouped(n).assign(recency_days=5.0, n_baskets=2, revenue=10.0, revenue_28d=1.0, mean_basket=5.0)
    found = segmented(features.drop(columns=["revenue_28d", "mean_basket", "tenure_days"]), n_segments=1)
    assert found.names == ["1 average"] and found.explained_share == 0
    assert found.preparation.columns == ["recency_days", "n_baskets", "revenue"]


# --- segments -----------------------------------------------------------------------------------------------


def test_segments_are_the_planted_kinds_in_every_snapshot():
    features = grouped()
    found = segmented(features)
    assert adjusted_rand_score(features["kind"], found.assignments["segment"]) > 0.99
    assert found.names == ["1 high-spending", "2 recent", "3 lapsing"]
    assert found.profile["revenue_28d"].is_monotonic_decreasing
    assert found.profile["n_people"].sum() == 600


def test_segments_are_what_scikit_learn_finds():
    features = grouped(n_months=1)
    found = segmented(features)
    values = segmentation.matrix(features, preparation=found.preparation)
    model = KMeans(3, n_init=20, random_state=0).fit(values)
    assert adjusted_rand_score(model.labels_, found.assignments["segment"]) == 1
    total = ((values - values.mean(axis=0)) ** 2).sum()
    assert found.explained_share == pytest.approx(1 - model.inertia_ / total, abs=1e-6)


def test_segment_keeps_the_callers_frame_and_the_promised_columns():
    features = grouped(100)
    before = features.copy(deep=True)
    found = segmented(features)
    pd.testing.assert_frame_equal(features, before)
    assert found.assignments.columns.tolist() == ["person_id", "as_of", "segment", "row"]
    assert len(found.assignments) == len(features)
    assert segmented(features, n_segments=1).names == ["1 average"]
    with pytest.raises(ValueError, match="n_segments: found 0"):
        segmented(features, n_segments=0)


@pytest.mark.parametrize(
    ("far", "names"),
    [
        (
            {"n_baskets_91d": [0.9, -0.2, -1.4], "recency_days": [-0.7, 0, 1.4]},
            ["1 frequent", "2 average", "3 lapsing"],
        ),
        # What a preferred word says is said nearly as strongly; two that lapse share no word.
        (
            {"revenue": [1.0, -1.5, -1.0], "recency_days": [-0.6, 1.3, 1.2]},
            ["1 high-spending", "2 lapsing", "3 low-spending"],
        ),
        # Few baskets and long gaps speak together, 0.9 on average, and give way to 1.0.
        ({"n_baskets": [-1.4], "gap_days_mean": [0.4], "mean_basket": [1.0]}, ["1 big-basket"]),
        ({"share_drug_gm": [2.0, -2.0], "n_stores": [0.1, 0]}, ["1 drug-gm-heavy", "2 drug-gm-light"]),
        ({"income": [0.6] * 10}, ["01 high-income", *(f"{n:02} average" for n in range(2, 11))]),
        ({"income": [0.0]}, ["1 average"]),
    ],
)
def test_a_segment_is_called_by_what_sets_it_most_apart(far, names):
    assert name_segments(pd.DataFrame(far)) == names == sorted(names)


def test_rfm_scores_by_hand():
    features = pd.DataFrame(
        {
            "row": range(1, 11),
            "person_id": list("abcdefghij"),
            "as_of": MONTHS[0],
            "recency_days": [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            "n_baskets": [9, 9, 8, 7, 6, 5, 4, 3, 2, 1],
            "revenue": np.arange(10, 0, -1) * 10.0,
        }
    )
    found = segmentation.rfm_scores(features, found=segmented(features, n_segments=2), n_quantiles=5)
    scores = found.scores
    assert found.thresholds.query("measure == 'revenue'")[["low", "high"]].to_numpy().tolist()[-1] == [90, 100]
    assert found.cells["n_people"].sum() == 10 and found.cells.iloc[-1].tolist() == [5, 5, 5, 2]
    assert scores["recency"].tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert scores["monetary"].tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert scores["frequency"].iloc[0] == scores["frequency"].iloc[1] == 5


# --- movement -----------------------------------------------------------------------------------------------


def moved(assignments: pd.DataFrame, *, seed: int = 1) -> Movement:
    since = assignments["as_of"].min()
    return segmentation.movement(assignments, since=since, n_draws=400, level=0.95, rng=stream(seed, "m"))


def test_steps_by_hand():
    assignments = pd.DataFrame(
        [
            ("a", MONTHS[0], "S1"), ("b", MONTHS[0], "S1"), ("c", MONTHS[0], "S2"), ("d", MONTHS[0], "S1"),
            ("a", MONTHS[1], "S1"), ("b", MONTHS[1], "S2"), ("c", MONTHS[1], "S2"),
            ("a", MONTHS[2], "S2"), ("b", MONTHS[2], "S2"), ("d", MONTHS[2], "S2"),
        ],
        columns=["person_id", "as_of", "segment"],
    )  # fmt: skip
    found = moved(assignments.assign(row=range(1, 11)))
    # d is missing in the second month: no step of d counts.
    assert found.n_steps == 5
    assert found.transitions["n"].tolist() == [1, 2, 0, 2]
    assert found.transitions["share"].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 1])
    assert found.stay_share == pytest.approx(3 / 5)
    shares = found.sizes.set_index(["as_of", "segment"])["share"]
    assert shares[MONTHS[0], "S1"] == 3 / 4 and shares[MONTHS[2], "S2"] == 1


def test_one_snapshot_has_no_movement():
    found = moved(segmented(grouped(n_months=1)).assignments)
    assert found.n_steps == 0 and np.isnan(found.stay_share) and found.transitions.empty
    with pytest.raises(ValueError, match="n_draws: found 0"):
        segmentation.movement(found.sizes, since=MONTHS[0], n_draws=0, level=0.95, rng=stream(1, "m"))
    assert "the data are too short" in segmentation.title_movement(found)


def test_intervals_of_movement_hold_the_truth_where_people_differ():
    """People who move often and people who stay: steps are alike within a person."""
    rng = stream(4, "coverage")
    hits, n_simulations = 0, 60
    for _ in range(n_simulations):
        n = 150
        leaves = rng.beta(0.5, 0.5, n)
        state = np.cumsum(rng.random((5, n)) < leaves, axis=0) % 2
        frame = pd.DataFrame({"segment": np.where(state.ravel(), "S2", "S1"), "as_of": np.repeat(MONTHS, n)})
        frame["person_id"], frame["row"] = np.tile(np.arange(n), 5), np.arange(5 * n)
        found = segmentation.movement(frame, since=MONTHS[0], n_draws=100, level=0.95, rng=rng)
        hits += found.stay_low <= 0.5 <= found.stay_high
    # 95 % less three Monte Carlo errors.
    assert hits / n_simulations > 0.95 - 3 * np.sqrt(0.95 * 0.05 / n_simulations)


def test_refitting_makes_movement_up():
    features = grouped()
    found = segmented(features)
    since = segmentation.first_full_snapshot(features, preparation=found.preparation)
    again = segmentation.refit_each_snapshot(features, found=found, since=since, rng=stream(1, "refit"))
    assert again.matched == moved(found.assignments).stay_share == 1
    assert again.refitted < 0.8


def test_true_movement_is_found():
    features = grouped(2_000, moving_share=0.3)
    found = moved(segmented(features).assignments)
    truth = moved(features.rename(columns={"kind": "segment"})[["person_id", "as_of", "segment", "row"]])
    assert found.stay_share == pytest.approx(truth.stay_share, abs=0.002)
    # Moving three times in ten to a kind drawn anew: 0.7 + 0.3 (0.25 + 0.09 + 0.04).
    assert truth.stay_share == pytest.approx(0.7 + 0.3 * 0.38, abs=4 * np.sqrt(0.814 * 0.186 / 8_000))


def test_snapshots_whose_windows_are_not_full_are_left_out():
    features = grouped().rename(columns={"revenue_28d": "revenue_91d"})
    prepared = segmentation.prepare(features, columns=None, dictionary=KINDS)
    assert segmentation.first_full_snapshot(features, preparation=prepared) == MONTHS[2]
    short = features[features["as_of"] <= MONTHS[1]]
    assert segmentation.first_full_snapshot(short, preparation=prepared) == MONTHS[1]


# --- references and words -------------------------------------------------------------------------------------


def test_k_means_finds_as_much_in_nothing():
    rng = stream(5, "nothing")
    values = rng.multivariate_normal([0, 0, 0], [[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]], size=1_500)
    nothing = segmentation.structureless(values, n_clusters=3, n_clouds=8, rng=stream(1, "clouds"))
    within = KMeans(3, n_init=5, random_state=0).fit(values).inertia_
    assert nothing.mean() == pytest.approx(1 - within / ((values - values.mean(axis=0)) ** 2).sum(), abs=0.02)


def detected(n_features: int, *, n_people: int = 300) -> pd.DataFrame:
    values = stream(6, "cloud").standard_normal((n_people, n_features))
    return segmentation.detection(values, weights=np.ones(n_features), n_repeats=5, rng=stream(1, "planted"))


@pytest.mark.parametrize("n_groups", [1, 2])
def test_the_short_way_finds_what_the_count_finds(n_groups):
    rng = stream(8, "short")
    values = np.eye(2, 4)[rng.choice(n_groups, 300)] * 6 + rng.standard_normal((300, 4))
    found = has_groups(values, rng=rng)
    assert found == (counted(values, max_segments=3).n_groups > 1) == (n_groups > 1)


def test_the_smallest_distance_is_found_with_one_feature_and_with_all():
    found = detected(6, n_people=800).set_index(["n_features"])
    one, three, everywhere = (found.loc[n] for n in (1, 3, 6))
    assert 3 <= one["distance"] <= 5 and one["n_found"] >= 4
    # Six features 2 sd apart are nearly 5 sd apart together.
    assert everywhere["distance"].iloc[0] <= 2.5 < three["distance"] + 1
    assert everywhere[["distance", "n_found"]].iloc[1].tolist() == [0, 0]
    alone = detected(1, n_people=800)
    assert alone["n_features"].tolist() == [1, 1] and alone["distance"].iloc[0] <= 5


def test_the_verdict_says_what_it_could_not_have_seen():
    few = pd.DataFrame(
        {"n_features": [1, 9, 9], "distance": [np.inf, 2.0, 0.0], "n_found": [0, 10, 0],
         "n_repeats": [10, 10, 20]}
    )  # fmt: skip
    evidence = pd.DataFrame({"k": [1, 2], "valley": [np.nan, 0.9]})
    count = GroupCount(evidence, pd.DataFrame(), 1, 2, np.ones(9, dtype=bool))
    said = segmentation.say_count(count, few, columns=list("abcdefghi"))
    assert "found never in 1 of 9 measures, from 2 sd apart in every measure" in said
    assert "some were claimed 0 times of 20" in said and "2 clusters stand 0.90 people" in said
    assert segmentation.title_count(count, n_segments=2) == "One cloud, no groups: cut into 2 slices"


# --- segments of past dates and witnesses ----------------------------------------------------------------------


def dated(features: pd.DataFrame) -> pd.DataFrame:
    told = ["recency_days", "revenue_28d", "mean_basket"]
    return segmentation.segments_of_each_date(
        features, columns=told, dictionary=None, found=segmented(features), seed=1
    )


def test_segments_of_a_past_date_are_the_same_without_what_came_later():
    features = grouped(moving_share=0.2)
    drifting = features["recency_days"] * (1 + 0.2 * (features["as_of"] > MONTHS[2]))
    features = features.assign(recency_days=drifting)
    whole, cut = dated(features), dated(features[features["as_of"] <= MONTHS[2]])
    assert whole.columns.tolist() == ["person_id", "as_of", "segment", "fitted_as_of", "retrospective", "row"]
    assert whole["row"].tolist() == features["row"].tolist()
    early = whole[whole["as_of"] <= MONTHS[2]].reset_index(drop=True)
    assert adjusted_rand_score(early["segment"], cut["segment"]) == 1
    pd.testing.assert_frame_equal(early.drop(columns="segment"), cut.drop(columns="segment"))
    assert (whole["fitted_as_of"] == whole["as_of"]).all() and not whole["retrospective"].any()
    last, at_end = segmented(features), (whole["as_of"] == MONTHS[4]).to_numpy()
    assert (whole["segment"][at_end] == last.at_end).all() and set(whole["segment"]) == set(last.names)


def test_a_date_with_too_few_people_takes_a_later_model_and_says_so():
    features = grouped(100)
    features = features[(features["as_of"] > MONTHS[0]) | features["person_id"].isin(["p0", "p1"])]
    found = dated(features)
    assert found["retrospective"].sum() == 2 and found["fitted_as_of"].iloc[0] == MONTHS[4]


@pytest.mark.parametrize("n_quantiles", [2, 5, 7])
def test_scores_of_whole_numbers_are_those_of_ranks(n_quantiles):
    from journeybook.segmentation.segments import _quantile_score
    from journeybook.segmentation.witnesses import _scored

    values = pd.Series(stream(1, "ties").integers(0, 12, 83).astype(float)).where(lambda v: v != 5)
    for turned in (False, True):
        ranked = _quantile_score(-values.to_numpy() if turned else values.to_numpy(), n_quantiles)
        assert ranked.tolist() == _scored(values, n_quantiles, turned)


def test_the_sentences_follow_the_figures():
    features = grouped()
    found = segmented(features)
    values = segmentation.matrix(segmentation.last_snapshot(features), preparation=found.preparation)
    count = counted(values)
    assert segmentation.title_count(count, n_segments=3) == "3 groups"
    nothing = segmentation.structureless(values, n_clusters=3, n_clouds=3, rng=stream(1, "n"))
    moves = moved(found.assignments)
    again = segmentation.refit_each_snapshot(features, found=found, since=MONTHS[0], rng=stream(1, "refit"))
    uses = pd.DataFrame({"target": ["spend"], "predictor": ["segments"], "explained": [0.4]})
    figures = segmentation.headline_figures(count, found, nothing, moves, again, uses=uses)
    assert figures["spend_explained_by_segments"] == 0.4
    assert figures["n_groups_supported"] == 3 and figures["stay_share"] == 1
    assert segmentation.title_movement(moves) == "100% stay in their segment from one snapshot to the next"
    assert segmentation.title_profile(found).startswith("High-spending customers, ")
    assert all(np.isfinite(value) for value in figures.values())
