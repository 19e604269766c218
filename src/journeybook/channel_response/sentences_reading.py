"""What the page says of its model's reasons, of hours and of groups; true for other data and parameters."""

import pandas as pd

from journeybook.channel_response.explanation import Explanation, Importance
from journeybook.channel_response.fairness import RULES, Fairness
from journeybook.channel_response.models import ResponseModel
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.windows import ResponseWindows
from journeybook.channel_response.windows_truth import WindowsTruth


def describe_explanation(explanation: Explanation, model: ResponseModel, comparison: MethodComparison) -> str:
    """Say whose explanation it is, and what weighs most in it."""
    chosen = comparison.chosen
    if (chosen.method, chosen.resampling) == (model.method, model.resampling):
        whose = "Explained is the model that the page goes on with"
    else:
        row, best = (
            comparison.row(calibrated=True, method=m.method, resampling=m.resampling) for m in (model, chosen)
        )
        whose = (
            f"Explained are the boosted trees without resampling (ROC AUC on the test {row['roc_auc']:.3f}), not "
            "the "
            f"model that the page goes on with ({best['roc_auc']:.3f})"
        )
    top = explanation.features.head(3)
    shares = zip(top["feature"], top["share"], strict=True)
    named = _listed([f"`{name}` ({share:.0%})" for name, share in shares])
    return (
        f"**What we see.** {whose}, on {len(explanation.rows):,} test contacts. Of all that moves its log odds, "
        "most "
        f"comes from {named}. **What it does not show.** Causes: a feature may stand for what it goes along "
        "with, and "
        "among correlated features the split depends on which one the trees happened to cut. **What to do.** "
        "Tell a person why by the largest parts only, and never as advice on what to change."
    )


def describe_importance(importance: Importance, *, max_correlation: float) -> str:
    """Say which groups of features the model cannot do without."""
    groups = importance.groups
    sure = groups[groups["log_loss_increase_low"] > 0]
    first = groups.iloc[0]
    n_joined = int((groups["n_features"] > 1).sum())
    joined = (
        f"{n_joined} {'hold' if n_joined > 1 else 'holds'} more than one"
        if n_joined
        else "no two are correlated so far"
    )
    said = (
        f"**What we see.** Joined above a correlation of {max_correlation:g}, the features make {len(groups)} "
        "groups; "
        f"{joined}. "
    )
    if sure.empty:
        said += "Shuffling none of them raises the log loss beyond chance. "
    else:
        said += (
            f"Shuffling {_shortened(first['group'])} costs most, {first['roc_auc_drop']:.3f} of ROC AUC; the log "
            "loss "
            f"rises beyond chance (95 %) for {len(sure)} of the groups, each taken alone. "
        )
    return said + (
        "**What it does not show.** What a model fitted without the group would lose: others would fill in. "
        "Shuffled "
        "rows, like the curves of one feature, also hold people that cannot exist. **What to do.** Drop a costly "
        "source of data only after a fit without it."
    )


def describe_windows(windows: ResponseWindows) -> str:
    """Say when each type of person answers most, and how sure that is."""
    if windows.peaks.empty:
        return "The contacts do not tell when they were sent, or have too few responses to compare hours."
    said = []
    for row in windows.peaks.to_dict("records"):
        might = len(row["could_be_best"].split(", "))
        more = f"{row['lift'] - 1:+.0%} [{row['lift_low'] - 1:+.0%}, {row['lift_high'] - 1:+.0%}]"
        when = f"{row['window']} ({more} against the mean of {'hours' if row['kind'] == 'hours' else 'weekdays'}"
        sure = "" if row["lift_low"] > 1 else ", which may be chance"
        said.append((row["person_type"], f"{when}; {might} could be best{sure})"))
    by_type = pd.DataFrame(said, columns=["type", "said"]).groupby("type", sort=False)["said"].agg(" and ".join)
    peaks = "; ".join(f"{name}: {text}" for name, text in by_type.items())
    left = f" Left out, with too few responses: {', '.join(windows.left_out)}." if windows.left_out else ""
    return (
        f"**What we see.** Contacts are answered most at {peaks}.{left} **What it does not show.** That the hour "
        "makes "
        "the answer, unless hours were chosen without regard to the person: compare with those not contacted. "
        "**What to do.** Send in a window that is apart from the mean; where several could be best, spread the "
        "sending "
        "over them and count again."
    )


def describe_windows_truth(truth: WindowsTruth) -> str:
    """Say how near the windows come to the rates that responses were drawn from."""
    kinds = [
        f"{row['inside_share']:.0%} of {row['n_rates']} {row['kind']} rates (error {row['error']:.3f}, unshrunken "
        f"{row['error_observed']:.3f})"
        for row in truth.kinds.to_dict("records")
    ]
    peaks = truth.peaks
    given_up = 1 - (peaks["true_rate"] / peaks["best_rate"]).min()
    return (
        f"The 95 % intervals hold the true value of {_listed(kinds)}. Rates of one type share the error of its "
        "level, so "
        "that they are in or out together. The truly best window is among those named as possible for "
        f"{peaks['among'].sum()} of {len(peaks)} peaks, and the window found has at most {given_up:.0%} less "
        "than the "
        "best."
    )


def describe_fairness(fair: Fairness | None) -> str:
    """Say whether groups are chosen alike, whether probabilities hold in each, and the price of equality."""
    if fair is None:
        return "No group of people is named: `fairness_by` names a column to compare by."
    if fair.groups.empty:
        return "There are not two groups large enough to be compared."
    small = (
        f" {fair.n_small_groups} smaller groups ({fair.n_small:,} contacts) are not shown." if fair.n_small else ""
    )
    spread = fair.spread.set_index(["rule", "measure"])
    words = {
        "selection_rate": "the share chosen goes",
        "true_positive_rate": "the share of responders found",
        "calibration_gap": "the response rate less the mean probability",
    }
    said = [
        f"{word} from {_ends(fair, measure)} ({_p(spread.loc[(RULES[0], measure), 'p_value'])})"
        for measure, word in words.items()
    ]
    costs = fair.costs.set_index("rule").loc[list(RULES[1:])]
    prices = [
        f"{rule}: {row['expected_lost_share']:.1%} by the probabilities, {row['responses_lost_share']:.1%} "
        f"[{row['responses_lost_share_low']:.1%}, {row['responses_lost_share_high']:.1%}] as it came"
        for rule, row in costs.iterrows()
    ]
    return (
        f"**What we see.** With the likeliest {fair.selected_share:.0%} chosen, over the groups {_listed(said)}. "
        f"Choosing as many by another rule loses of the responses found: {'; '.join(prices)}.{small} **What it "
        "does "
        "not show.** Whether a message is a favour or a burden to a group, and groups that no column names. Equal "
        "shares, equal true positives and equal calibration cannot all hold where groups differ in their response "
        "rate. **What to do.** Decide which of them matters before looking at its price."
    )


def reading_figures(
    explanation: Explanation, importance: Importance, windows: ResponseWindows, fair: Fairness | None
) -> dict[str, float]:
    """The headline figures of explanation, windows and fairness by name, numbers only."""
    figures = {
        "shapley_top_share": explanation.features["share"].iloc[0],
        "shapley_additivity_error": explanation.additivity_error,
        "importance_top_log_loss_increase": importance.groups["log_loss_increase"].iloc[0],
        "n_feature_groups": len(importance.groups),
    }
    if len(windows.peaks):
        figures["peak_lift_max"] = windows.peaks["lift"].max()
        figures["n_peaks_beyond_chance"] = int((windows.peaks["lift_low"] > 1).sum())
    if fair is not None and len(fair.groups):
        first = fair.spread[fair.spread["rule"] == RULES[0]].set_index("measure")["difference"]
        figures |= {f"fairness_{name}_difference": value for name, value in first.items()}
        lost = fair.costs.set_index("rule")["expected_lost_share"]
        figures |= {f"fairness_{rule.replace(' ', '_')}_expected_lost_share": lost[rule] for rule in RULES[1:]}
    return {name: float(value) for name, value in figures.items()}


def _ends(fair: Fairness, measure: str) -> str:
    part = fair.groups[fair.groups["rule"] == RULES[0]].sort_values(measure, kind="stable")
    low, high = part.iloc[0], part.iloc[-1]
    return f"{low[measure]:.1%} ({low['group']}) to {high[measure]:.1%} ({high['group']})"


def _p(p_value: float) -> str:
    return f"all equal: p = {p_value:.2g}" if p_value >= 0.001 else "all equal: p < 0.001"


def _shortened(group: str, most: int = 3) -> str:
    names = group.split(", ")
    more = f" and {len(names) - most} more like them" if len(names) > most else ""
    return f"{', '.join(f'`{name}`' for name in names[:most])}{more}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
