"""Segmentation against planted groups, structureless data, counts by hand and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from journeybook import segmentation
from journeybook.segmentation.groups import GroupCount, has_groups, valley
from journeybook.segmentation.movement import Movement
from journeybook.segmentation.names import name_segments
from journeybook.segmentation.segments import Segmentation
from journeybook.statistics import stream

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


def segmented(features: pd.DataFrame, *, n_segments: int = 3, seed: int = 1) -> Segmentation:
    told = ["recency_days", "revenue_28d", "mean_basket"]
    prepared = segmentation.prepare(features, columns=told if set(told) <= set(features) else None)
    return segmentation.segment(
        features, preparation=prepared, n_segments=n_segments, rng=stream(seed, "segments")
    )


def counted(values: np.ndarray, *, max_segments: int = 5, seed: int = 1) -> GroupCount:
    return segmentation.count_groups(
        values, max_segments=max_segments, n_references=6, n_splits=3, rng=stream(seed, "count")
    )


# --- which features ---------------------------------------------------------------------------------------


def test_features_are_chosen_by_what_can_be_compared():
    features = grouped().assign(
        city="x",
        loyal=lambda d: np.where(d["row"] % 2, 1.0, 0.0),
        rare=lambda d: np.where(d["row"] % 10 < 6, 0.0, d["row"]),
        income=lambda d: 1_000 * (d["row"] % 60) + 50 * (d["as_of"] >= MONTHS[2]),
        unknown=lambda d: np.where(d["row"] % 3, np.nan, d["row"]),
    )
    roles = segmentation.prepare(features, columns=None).roles.set_index("column")
    assert roles.query("role == 'used'").index.tolist() == ["recency_days", "revenue_28d", "mean_basket"]
    assert roles.loc["city", "reason"] == "not a quantity"
    assert roles.loc["loyal", "reason"] == "only 2 values"
    assert roles.loc["rare", "reason"] == "one value for 60% of the people"
    assert roles.loc["unknown", "reason"] == "67% missing"
    assert roles.loc["income", "reason"].startswith("an attribute")
    assert roles.loc["revenue", "reason"] == "a running total, which grows with time alone"


def test_a_total_with_a_few_returns_is_still_a_running_total():
    features = grouped()
    features.loc[features["row"] == 2_995, "revenue"] -= 500
    roles = segmentation.prepare(features, columns=None).roles.set_index("column")
    assert roles.loc["revenue", "reason"].startswith("a running total")


def test_recency_frequency_and_money_stay_where_little_else_can_be_compared():
    features = grouped().drop(columns=["revenue_28d", "mean_basket"])
    prepared = segmentation.prepare(features, columns=None)
    assert prepared.columns == ["recency_days", "n_baskets", "revenue"]
    assert segmented(features).ordered_by == "revenue"


def test_the_last_snapshot_has_mean_0_and_sd_1_as_scikit_learn_makes_it():
    features = grouped()
    prepared = segmentation.prepare(features, columns=["mean_basket", "recency_days"])
    last = segmentation.last_snapshot(features)
    values = segmentation.matrix(last, preparation=prepared)
    by_hand = last[prepared.columns].to_numpy()
    by_hand = StandardScaler().fit_transform(np.where(prepared.logged, np.log1p(by_hand), by_hand))
    assert values == pytest.approx(by_hand)


def test_a_missing_value_counts_as_the_median_and_an_outlier_as_four_sd():
    features = grouped(n_months=1)
    features.loc[0, "recency_days"], features.loc[1, "recency_days"] = np.nan, 1e9
    prepared = segmentation.prepare(features, columns=["recency_days"])
    values = segmentation.matrix(features, preparation=prepared)[:, 0]
    assert values[0] == pytest.approx((prepared.filling[0] - prepared.centre[0]) / prepared.scale[0])
    assert values[1] == 4


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
        segmentation.prepare(grouped(60).assign(**change), columns=columns)
    assert str(problem.value).count(". ") == 0


def test_no_rows_and_no_number_are_errors():
    features = grouped(60)
    with pytest.raises(ValueError, match="have no row"):
        segmentation.prepare(features.head(0), columns=None)
    with pytest.raises(ValueError, match="No feature is left"):
        segmentation.prepare(features[["row", "person_id", "as_of", "kind"]], columns=None)


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
    """What prediction strength and stability alone would have taken for two groups."""
    rng = stream(2, "long")
    found = counted(rng.standard_normal((800, 2)) * [5, 1])
    two = found.evidence.set_index("k").loc[2]
    assert two["prediction_strength"] > 0.8 and two["stability"] > 0.8
    assert two["valley"] > 0.9
    assert found.n_groups == 1 and found.n_slices >= 2


def test_the_count_does_not_depend_on_where_people_stand():
    rng = stream(3, "order")
    values = np.eye(3, 4)[rng.choice(3, 400)] * 6 + rng.standard_normal((400, 4))
    assert counted(values).n_groups == counted(values[::-1]).n_groups == counted(values + 100).n_groups == 3


def test_prediction_strength_by_hand():
    from journeybook.segmentation.groups import _strength

    # Own cluster 0 has 4 people in pairs predicted 3 + 1: 3 of 6 pairs together; cluster 1 is kept whole.
    own, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    assert _strength(own, predicted, 2) == pytest.approx(3 / 6)
    assert _strength(own, own, 2) == 1


def test_a_valley_by_hand():
    values = np.array([[0.0]] * 4 + [[5.0]] + [[10.0]] * 2)
    # One person midway, two at the thinner centre.
    assert valley(values, centres=np.array([[0.0], [10.0]])) == 1 / 2
    assert valley(values[values[:, 0] != 5], centres=np.array([[0.0], [10.0]])) == 0


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
        power = segmentation.detection(few, n_references=5, n_splits=3, n_repeats=2, rng=stream(1, "planted"))
        assert "too few different people" in segmentation.say_count(found, power)
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
    scores = segmentation.rfm_scores(features, found=segmented(features, n_segments=2), n_quantiles=5).scores
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
    prepared = segmentation.prepare(features, columns=None)
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


def detected(n_features: int, *, n_repeats: int = 2, n_people: int = 300) -> pd.DataFrame:
    values = stream(6, "cloud").standard_normal((n_people, n_features))
    return segmentation.detection(
        values, n_references=5, n_splits=3, n_repeats=n_repeats, rng=stream(1, "planted")
    )


@pytest.mark.parametrize("n_groups", [1, 2])
def test_the_short_way_finds_what_the_count_finds(n_groups):
    rng = stream(8, "short")
    values = np.eye(2, 4)[rng.choice(n_groups, 300)] * 6 + rng.standard_normal((300, 4))
    found = has_groups(values, max_segments=3, n_references=5, n_splits=3, rng=rng)
    assert found == (counted(values, max_segments=3).n_groups > 1) == (n_groups > 1)


def test_planted_groups_are_found_with_one_feature():
    found = detected(1)
    assert found[["n_features", "distance", "n_found"]].to_numpy().tolist() == [[1, 6, 2], [1, 0, 0]]
    assert found["low"].iloc[0] < 1 == found["high"].iloc[0]


@pytest.mark.slow
def test_groups_in_one_of_fifteen_features_are_missed_and_those_in_all_are_found():
    """At least 16 of 20 in every feature, at most 4 of 20 in one: far from each other by any error."""
    found = detected(15, n_repeats=20, n_people=500).set_index(["n_features", "distance"])["n_found"]
    assert found[15, 6.0] >= 16 and found[1, 8.0] <= 4 and found[15, 0.0] <= 2


def test_the_verdict_says_what_it_could_not_have_seen():
    few = pd.DataFrame(
        {"n_features": [1, 9, 9], "distance": [8.0, 2.0, 0.0], "n_found": [0, 4, 0], "n_repeats": 4,
         "low": [0.0, 0.51, 0.0], "high": [0.49, 1.0, 0.49]}
    )  # fmt: skip
    evidence = pd.DataFrame({"k": [1, 2], "valley": [np.nan, 0.9]})
    count = GroupCount(evidence, n_groups=1, n_slices=2)
    said = segmentation.say_count(count, few)
    assert "0 times 8 sd apart in 1 of 9 measures, 4 times 2 sd apart in every measure; groups in few" in said
    assert "2 clusters stand 0.90 people" in said
    assert "ruled out" not in segmentation.say_count(count, few.assign(high=1.0))
    assert segmentation.title_count(count, n_segments=2) == "One cloud, no groups: cut into 2 slices"


# --- segments of past dates and witnesses ----------------------------------------------------------------------


def dated(features: pd.DataFrame) -> pd.DataFrame:
    told = ["recency_days", "revenue_28d", "mean_basket"]
    return segmentation.segments_of_each_date(features, columns=told, found=segmented(features), seed=1)


def test_segments_of_a_past_date_are_the_same_without_what_came_later():
    features = grouped(moving_share=0.2)
    drifting = features["recency_days"] * (1 + 0.2 * (features["as_of"] > MONTHS[2]))
    features = features.assign(recency_days=drifting)
    whole, cut = dated(features), dated(features[features["as_of"] <= MONTHS[2]])
    assert whole.columns.tolist() == ["person_id", "as_of", "segment", "fitted_as_of", "retrospective", "row"]
    assert whole["row"].tolist() == features["row"].tolist()
    early = whole[whole["as_of"] <= MONTHS[2]].reset_index(drop=True)
    numbers = [frame["segment"].str.split().str[0] for frame in (early, cut)]
    pd.testing.assert_frame_equal(early.assign(segment=numbers[0]), cut.assign(segment=numbers[1]))
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
    figures = segmentation.headline_figures(count, found, nothing, moves, again)
    assert figures["n_groups_supported"] == 3 and figures["stay_share"] == 1
    assert segmentation.title_movement(moves) == "100% stay in their segment from one snapshot to the next"
    assert segmentation.title_profile(found).startswith("High-spending customers, ")
    assert all(np.isfinite(value) for value in figures.values())
