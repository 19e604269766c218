"""Page 16: goals and their refusals, what was added and counted once, simulated cases, returns, luck, findings."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from finding_rules import told
from scipy import stats

from journeybook import impact
from journeybook.impact import increments, words
from journeybook.impact.cases import CASES, headline, simulate
from journeybook.impact.goals import Goal
from journeybook.impact.increments import NOBODY, WITHIN, crossed
from journeybook.impact.winners import shrunk
from journeybook.plots import impact as figures
from journeybook.statistics import stream

NOTHING = pd.DataFrame()
PRICES = dict.fromkeys(("cost_per_contact", "discount_per_response", "hours_spent", "cost_per_hour", "margin"))
GOAL = {
    "metric": "spend",
    "definition": "Spend",
    "baseline": 5,
    "target": 6,
    "owner": "shop",
    "date": "2024-12-31",
}
LIFTS = dict.fromkeys(CASES, 0.2)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def contacts(n: int = 6000, *, effect: float = 0.1, seed: int = 1) -> pd.DataFrame:
    """Decisions logged by a policy that writes to whoever would come anyway; writing adds an `effect`."""
    rng = stream(seed, "contacts")
    person = rng.integers(0, n // 6, n)
    eager = np.isin(person, np.arange(0, n // 6, 3))
    chance = np.where(eager, 0.9, 0.5)
    sent = rng.random(n) < chance
    came = rng.random(n) < np.where(eager, 0.4, 0.1) + effect * sent
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 120, n), unit="D")
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "person_id": [f"p{one}" for one in person],
            "occurred_at": days,
            "channel": np.where(sent, "email", "none"),
            "propensity": np.where(sent, chance, 1 - chance),
            "responded": came,
            "value": came * 20.0,
        }
    )


def units(n: int = 8000, *, means: dict[str, float], seed: int = 2) -> pd.DataFrame:
    rng = stream(seed, "units")
    variant = rng.choice([*means], n)
    return pd.DataFrame({"variant": variant, "spend": rng.normal(pd.Series(variant).map(means), 2.0)})


BOTH = {"control": 5.0, "a": 6.0, "b": 5.5, "a+b": 6.2}


def comparison(**changed) -> pd.DataFrame:
    row = {"metric": "spend", "variant": "new", "effect": 1.0, "effect_low": 0.6, "effect_high": 1.4}
    return pd.DataFrame([row | {"n_control": 100, "n_treatment": 200} | changed])


# --- goals ------------------------------------------------------------------------------------------------


def test_the_demos_goals_are_a_tree_and_other_data_have_none():
    goals = {goal.name: goal for goal in impact.read_goals(None, dataset="journey_demo")}
    assert goals["visits by messages"].part_of == "revenue of messages"
    assert goals["orders on the site"].wanted == pytest.approx(0.03)
    assert goals["orders on the site"].guardrail == "spend"
    assert impact.read_goals(None, dataset="files") == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"owner": None}, "at goals.more: 'owner' is a required property."),
        ({"target": "high"}, "at goals.more.target: 'high' is not of type 'number'."),
        ({"targets": 7}, "at goals.more: Additional properties are not allowed ('targets' was unexpected)."),
        ({"date": "soon"}, "at goals.more.date: 'soon' does not match"),
        ({"target": 5}, "more.target is its baseline: nothing is to be reached."),
        ({"guardrail": {"metric": "visits"}}, "at goals.more.guardrail: 'least' is a required property."),
        ({"part_of": "mor"}, "more.part_of names 'mor'; did you mean more?"),
        ({"part_of": "more"}, "more.part_of leads back to 'more': a tree has a top."),
        ({"part_of": "top", "worth": 1}, "more.worth would count again what top.worth counts."),
    ],
)
def test_a_bad_goal_is_refused_in_one_sentence_that_names_its_key(tmp_path, changed, sentence):
    block = {key: value for key, value in (GOAL | changed).items() if value is not None}
    (tmp_path / "g.yaml").write_text(yaml.safe_dump({"goals": {"top": GOAL | {"worth": 2.0}, "more": block}}))
    with pytest.raises(ValueError) as problem:
        impact.read_goals(str(tmp_path / "g.yaml"), dataset="files")
    said = str(problem.value)
    assert said.startswith("goals g.yaml") and sentence in said and "\n" not in said and said[-1] in ".?"


@pytest.mark.parametrize(("text", "sentence"), [("goals: {", "YAML: "), ("[1]", "at the file"), ("goals: {}", "")])
def test_what_is_no_goals_file_is_refused(tmp_path, text, sentence):
    (tmp_path / "g.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"^goals g.yaml is no .*{sentence}.*[.]$"):
        impact.read_goals(str(tmp_path / "g.yaml"), dataset="files")
    with pytest.raises(ValueError, match=r"goals is none\.yaml: there is no such file\."):
        impact.read_goals("none.yaml", dataset="files")


# --- what was added ---------------------------------------------------------------------------------------


def test_a_hold_out_finds_what_was_planted_where_the_plain_difference_does_not():
    rows = contacts(60_000, seed=3)
    (found,) = impact.held_out(impact.decisions_of(rows), "responded")
    true = 0.1 * (rows["channel"] == "email").mean()
    assert found["low"] < true < found["high"] and found["high"] - found["low"] < 0.03
    plain = rows.groupby("channel")["responded"].mean()
    sent = rows["channel"] == "email"
    assert (plain["email"] - plain["none"]) * sent.mean() > found["high"], "the eager are written to more"


@pytest.mark.slow
def test_intervals_of_a_hold_out_cover_at_their_level():
    covered = []
    for seed in range(300):
        rows = contacts(3000, seed=seed)
        (found,) = impact.held_out(impact.decisions_of(rows), "responded")
        eager = np.isin(rows["person_id"].str[1:].astype(int), np.arange(0, 500, 3))
        true = 0.1 * np.where(eager, 0.9, 0.5).mean()
        covered.append(found["low"] <= true <= found["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 300) ** 0.5)


def test_messages_that_were_certain_are_nobodys():
    rows = contacts()
    certain = rows["channel"].eq("email") & (np.arange(len(rows)) % 5 == 0)
    decisions = impact.decisions_of(rows.assign(propensity=rows["propensity"].mask(certain, 1.0)))
    effects = impact.measure(["responded"], decisions, NOTHING, NOTHING, name="none")
    assert effects["n"].item() == len(rows) - certain.sum()
    table = impact.impact_table([Goal("visits", "responded", 0.1, 0.2)], effects, decisions)
    assert table["source"].tolist() == ["contacts", f"contacts: {certain.sum():,} messages"]
    assert table["status"].iloc[1] == NOBODY and np.isnan(table["effect"].iloc[1])
    unknown = impact.decisions_of(rows.drop(columns="propensity"))
    assert impact.held_out(unknown, "responded") == []
    assert "To say more, the page would need contacts left alone" in words.say_sources(unknown, NOTHING, NOTHING)


def test_tests_on_the_same_units_are_counted_once():
    found = pd.DataFrame(crossed(units(40_000, means=BOTH), "spend", name="tests")).set_index("source")
    ways = ["tests: a", "tests: b", "tests: added up", "tests: together", "tests: counted twice"]
    assert found.index.tolist() == ways
    for way, true in zip(ways, (1.0, 0.5, 1.5, 1.2, 0.3), strict=True):
        assert found.loc[way, "low"] < true < found.loc[way, "high"]
    means = units(40_000, means=BOTH).groupby("variant")["spend"].mean()
    assert found.loc[ways[-1], "effect"] == pytest.approx(
        means["a"] + means["b"] - means["a+b"] - means["control"]
    )
    goal = Goal("spend", "spend", 5.0, 6.0, worth=2.0)
    table = impact.impact_table([goal], found.reset_index(), impact.decisions_of(NOTHING))
    assert table["status"].tolist() == [WITHIN, WITHIN, WITHIN, "target reached", WITHIN]
    assert np.nansum(table["value"]) == pytest.approx(
        2 * found.loc[ways[3], "effect"] * found.loc[ways[3], "reached"]
    )


def test_page_11_on_the_same_tests_is_not_counted_again():
    compared, nobody = comparison(variant="a+b"), impact.decisions_of(NOTHING)
    both = impact.measure(["spend"], nobody, compared, units(means=BOTH), name="tests")
    assert both["source"].str.startswith("tests: ").all() and len(both) == 5
    assert len(impact.measure(["spend"], nobody, compared, NOTHING, name="tests")) == 1


def test_three_changes_at_once_have_a_sum_and_a_whole():
    means = {"none": 5.0, "a": 6.0, "b": 6.0, "c": 6.0, "a+b+c": 6.5}
    found = pd.DataFrame(crossed(units(40_000, means=means), "spend", name="t")).set_index("source")["effect"]
    assert found["t: added up"] == pytest.approx(3, abs=0.2) and found["t: together"] == pytest.approx(
        1.5, abs=0.1
    )


@pytest.mark.parametrize(
    "named", [["control", "new"], ["a", "b", "a+b"], ["control", "a", "a+b"], ["x", "y", "a", "b", "a+b"]]
)
def test_variants_that_name_no_such_tests_tell_nothing(named):
    assert crossed(units(means=dict.fromkeys(named, 1.0)), "spend", name="t") == []
    assert crossed(NOTHING, "spend", name="t") == []


def test_messages_that_change_a_test_are_seen_on_people_in_both():
    sent = contacts(30_000)
    last = sent.drop_duplicates("person_id", keep="last")
    rng, written = stream(5, "arms"), last["channel"].eq("email").to_numpy()
    arm = rng.choice(["control", "new"], len(last))
    spend = 1.0 + (arm == "new") * (1.0 + 2.0 * written) + rng.normal(0, 0.5, len(last))
    entered = last["occurred_at"] + pd.Timedelta("1h")
    own = pd.DataFrame({"row": range(len(last)), "person_id": last["person_id"], "occurred_at": entered})
    own = own.assign(variant=arm, spend=spend)
    decisions = impact.decisions_of(last)
    found = impact.same_people(own, decisions, "spend").iloc[0]
    assert found["low"] < 2.0 * written.mean() < found["high"] and found["low"] > 0
    assert "so that the two must not be added" in words.say_same_people(found.to_frame().T, currency=None)
    away = own.assign(occurred_at=entered + pd.Timedelta("30D"))
    assert impact.same_people(away, decisions, "spend").empty


def test_a_status_follows_target_direction_and_guardrail():
    def status(goal: Goal, *others: pd.DataFrame, **changed) -> str:
        rows = pd.concat([comparison(**changed), *others])
        effects = pd.DataFrame(
            [one for metric in rows["metric"].unique() for one in increments.tested(rows, metric)]
        )
        return impact.impact_table([goal], effects, impact.decisions_of(NOTHING))["status"].iloc[0]

    assert status(Goal("g", "spend", 5.0, 5.5)) == "target reached"
    assert status(Goal("g", "spend", 5.0, 6.0)) == "cannot be told"
    assert status(Goal("g", "spend", 5.0, 8.0)) == "target missed"
    assert status(Goal("g", "spend", 5.0, 4.5)) == "target missed", "it rose where it was to fall"
    less = {"effect": -1.0, "effect_low": -1.4, "effect_high": -0.6}
    assert status(Goal("g", "spend", 5.0, 4.5), **less) == "target reached"
    rail = comparison(metric="orders", effect=-0.5, effect_low=-0.7, effect_high=-0.3)
    assert status(Goal("g", "spend", 5.0, 5.5, guardrail="orders", least=-0.2), rail) == "guardrail broken"
    assert status(Goal("g", "spend", 5.0, 5.5, guardrail="orders", least=-0.4), rail) == "target reached"
    assert status(Goal("g", "visits", 5.0, 5.5)) == NOBODY


# --- simulated cases --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_static_campaign_as_good_comes_out_as_such():
    """Of 4,000 null worlds a case 5 % are called different and 2.5 % better, within four Monte Carlo errors."""
    null = impact.null_worlds(n_worlds=4000, n=1000, rng=stream(1, "null"))
    assert null["case"].tolist() == [*CASES]
    for column, level in (("called", 0.05), ("better", 0.025)):
        assert null[column].to_numpy() == pytest.approx(level, abs=4 * (level * (1 - level) / 4000) ** 0.5)


@pytest.mark.slow
def test_the_people_asked_for_find_the_planted_gain_as_often_as_promised():
    lift = {"style and peak window": 0.3}
    needed = impact.measure_cases(lift, n=40_000, power=0.8, rng=stream(1, "n"))["needed"].iloc[0]
    rng, n = stream(2, "n"), int(needed) // 2 * 2
    found = [impact.measure_cases(lift, n=n, power=0.8, rng=rng)["low"].iloc[0] > 0 for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * (0.16 / 400) ** 0.5)


def test_planted_gains_lie_in_the_intervals_and_no_lift_is_no_gain():
    found = impact.measure_cases(LIFTS, n=200_000, power=0.8, rng=stream(1, "cases"))
    error = (found["high"] - found["low"]) / 2 / 1.96
    assert ((found["gain"] - found["planted"]).abs() < 4 * error).all() and (found["planted"] > 0).all()
    none = impact.measure_cases(dict.fromkeys(CASES, 0.0), n=2000, power=0.8, rng=stream(1, "cases"))
    assert (none["planted"] == 0).all() and np.isinf(none["needed"]).all()
    assert headline(none)["case"].tolist() == [*CASES]
    world = simulate(CASES["segmented e-mail"], n=1001, lift=0.2, rng=stream(1, "odd"))
    assert abs((world.arm == 1).sum() - (world.arm == 0).sum()) == 1
    assert (world.done["clicked"] <= world.done["opened"]).all()
    with pytest.raises(ValueError, match=r"planted_lifts names 'retail segment'; did you mean retail segments\?"):
        impact.measure_cases({"retail segment": 0.1}, n=1000, power=0.8, rng=stream(1, "cases"))


# --- returns and luck -------------------------------------------------------------------------------------


def test_at_the_break_even_price_nothing_is_left():
    decisions = impact.decisions_of(contacts())
    effects = impact.measure(["value"], decisions, NOTHING, NOTHING, name="none")
    free = impact.balance(decisions, effects, prices=PRICES | {"margin": 0.5})
    assert free.gained[0] == pytest.approx(0.5 * effects["effect"].iloc[0] * len(decisions))
    assert free.missing == tuple(PRICES)[:4] and np.isnan(free.returned).all()
    given = {"discount_per_response": 0.1, "hours_spent": 10.0, "cost_per_hour": 5.0, "margin": 0.5}
    given["cost_per_contact"] = impact.balance(decisions, effects, prices=PRICES | given).per_message[0]
    paid = impact.balance(decisions, effects, prices=PRICES | given)
    assert paid.returned[0] == pytest.approx(0, abs=1e-9) and paid.returned[1] < 0 < paid.returned[2]
    assert "return on what was spent" in words.say_balance(paid, currency="EUR")
    assert "Not given: `cost_per_contact`" in words.say_balance(free, currency="EUR")
    assert "cannot be told" in words.say_balance(
        impact.balance(decisions, effects[:0], prices=PRICES), currency=None
    )


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_luck_is_what_the_truncated_normal_says_and_shrinking_takes_it_out(spread):
    found = impact.programme(n_tests=200, spread=spread, n_programmes=2000, rng=stream(1, "p")).set_index("way")
    sd = (1 + spread**2) ** 0.5
    reported = 200 * sd * stats.norm.pdf(1.96 / sd)
    assert found.loc["reported", "total"] == pytest.approx(reported, rel=0.03)
    assert found.loc["reported", "truth"] == pytest.approx(reported * spread**2 / sd**2, rel=0.03)
    assert found.loc["shrunk", "total"] == pytest.approx(found.loc["shrunk", "truth"], rel=0.1)
    assert found.loc["holdback", "total"] == pytest.approx(found.loc["holdback", "truth"], rel=0.05)


def test_estimates_are_drawn_to_their_mean_by_their_noise():
    effect, error = np.array([0.0, 4.0, 10.0, -2.0]), np.array([1.0, 1.0, 4.0, 1.0])
    found = shrunk(effect, error)
    pulled = np.abs(found - effect)
    assert pulled[2] == pulled.max() and np.ptp(found) < np.ptp(effect)
    assert shrunk(np.array([1.0, 1.1, 0.9]), np.ones(3)) == pytest.approx([1.0] * 3)


def test_months_are_short_tests_of_the_whole():
    decisions = impact.decisions_of(contacts(20_000))
    months = impact.monthly(decisions, "responded")
    assert months["month"].tolist() == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert np.ptp(months["shrunk"]) < np.ptp(months["effect"])
    assert impact.monthly(decisions.drop(columns="occurred_at"), "responded").empty


# --- the page ---------------------------------------------------------------------------------------------


def found_by(rows: pd.DataFrame, compared: pd.DataFrame, both: pd.DataFrame, goals: list[Goal]) -> dict:
    """What the page's cells find, in their order."""
    decisions = impact.decisions_of(rows)
    metrics = impact.measured_by(goals, decisions, compared)
    effects = impact.measure(metrics, decisions, compared, both, name="tests")
    table = impact.impact_table(goals, effects, decisions)
    cases = impact.measure_cases(LIFTS, n=4000, power=0.8, rng=stream(1, "cases"))
    programmes = impact.programme(n_tests=40, spread=1.0, n_programmes=400, rng=stream(1, "programmes"))
    paid = impact.balance(decisions, effects, prices=PRICES)
    checks = [
        impact.increments_hold(effects, rows, compared, both, {}),
        impact.impact_holds(table, effects, goals),
    ]
    checks += [impact.returns_hold(paid, rows, prices=PRICES)]
    for made in checks:
        assert made.empty or ((made["value"] - made["reference"]).abs() <= made["tolerance"]).all()
    return {"effects": effects, "table": table, "cases": cases, "paid": paid, "programmes": programmes}


@pytest.mark.parametrize("which", ["contacts", "comparisons", "tests", "nothing"])
def test_any_source_alone_is_enough_and_none_is_no_error(which):
    found = found_by(
        contacts() if which == "contacts" else NOTHING,
        comparison() if which in ("comparisons", "tests") else NOTHING,
        units(means=BOTH) if which == "tests" else NOTHING,
        [],
    )
    assert found["table"]["status"].isin(["no target", WITHIN]).all()
    sources = {"contacts": ["contacts"] * 2, "comparisons": ["comparisons: new"], "nothing": []}
    assert which == "tests" or found["table"]["source"].tolist() == sources[which]
    assert "No file of goals" in words.say_impact(found["table"], [])
    assert figures.plot_impact(found["table"], []) is None
    assert (figures.plot_crossed(found["effects"], currency=None) is None) is (which != "tests")
    assert told(impact.find(*found.values(), pd.DataFrame({"held": []}), planted={}, currency=None), "16_impact")


def test_findings_say_how_sure_they_are():
    goals = [
        Goal("spend", "spend", 5.0, 6.0, guardrail="responded", least=0.5),
        Goal("visits", "responded", 0.1, 0.2),
    ]
    found = found_by(contacts(30_000), comparison(), units(40_000, means=BOTH), goals)
    scored = pd.DataFrame({"held": [True] * 37 + [False] * 3})
    planted = {("contacts", "responded"): 0.1 * 0.63, ("tests: counted twice", "spend"): 0.3}
    lines = told(impact.find(*found.values(), scored, planted=planted, currency="EUR"), "16_impact")
    assert lines[0].startswith("2 known answer recovered: Messages added +")
    assert any(
        "Tests on the same units add up to 1." in line and "known answer recovered" in line for line in lines
    )
    assert any(line.startswith("2 counted: Of 40 claims at 95%, 37 held") for line in lines)
    wrong = {("contacts", "responded"): 0.3}
    assert (
        told(impact.find(*found.values(), scored, planted=wrong, currency="EUR"), "16_impact")[0][:14]
        == "2 contradicted"
    )
    broken = found["table"].assign(status="guardrail broken")
    lines = told(
        impact.find(*(found | {"table": broken}).values(), scored, planted={}, currency=None), "16_impact"
    )
    assert any("costs more of its guardrail" in line for line in lines)


def test_figures_say_what_is_seen():
    goals = [Goal("visits", "responded", 0.1, 0.12), Goal("spend", "spend", 5.0, 6.0)]
    found = found_by(contacts(30_000), comparison(), units(40_000, means=BOTH), goals)
    drawn = figures.plot_impact(found["table"], goals)
    assert drawn.figure.get_suptitle().startswith("2 of 3 sources surely reach their target, 0")
    assert (
        figures.plot_crossed(found["effects"], currency="EUR").figure.get_suptitle().startswith("Separate reports")
    )
    assert "planted gains be seen" in figures.plot_cases(found["cases"]).figure.get_suptitle()
    decisions = impact.decisions_of(contacts(30_000))
    months, whole = impact.monthly(decisions, "responded"), found["effects"].iloc[:1]
    assert (
        figures.plot_months(months, whole, "responded").figure.get_suptitle().startswith("The best month claims")
    )
    assert figures.plot_months(months[:0], whole, "responded") is None
