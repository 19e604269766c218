"""What the page says of its results: sentences that stay true for other data and parameters."""

import pandas as pd

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import METHODS
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison, resampling_verdict
from journeybook.channel_response.witnesses import Ceiling, OversamplingPitfall

METHOD_NAMES = {"logistic": "logistic regression", "xgboost": "XGBoost"}


def describe_contacts(contacts: ContactFrame) -> str:
    """Say how many contacts there are, what was left out and what could be joined."""
    rows = contacts.rows
    said = [f"{len(rows):,} contacts, of which {rows['responded'].mean():.1%} responded."]
    if contacts.has_people:
        said.append(f"They are of {rows['person'].nunique():,} people.")
    if len(contacts.channels) > 1:
        said.append(f"Channels: {', '.join(contacts.channels)}.")
    if contacts.n_cut_off:
        said.append(
            f"{contacts.n_cut_off:,} of the {contacts.n_read:,} contacts read are left out: the data end first."
        )
    if contacts.n_unknown:
        said.append(f"{contacts.n_unknown:,} are left out because their outcome is missing.")
    if contacts.n_sampled_out:
        said.append(f"{contacts.n_sampled_out:,} are left out by a hash sample.")
    if contacts.n_with_snapshot:
        said.append(
            f"{contacts.n_with_snapshot / len(rows):.1%} have a snapshot of features from before they were sent."
        )
    elif contacts.has_people and contacts.has_times:
        said.append("There are no feature snapshots: the table's own columns are the features.")
    if contacts.n_identical:
        said.append(
            f"{contacts.n_identical:,} rows equal an earlier row; without ids nobody can say whether they are the same "
            "contact, so they stay."
        )
    return " ".join(said)


def describe_split(contacts: ContactFrame, split: Split) -> str:
    """Say how the contacts were split, and what that split can show."""
    responded = contacts.rows["responded"].to_numpy()
    parts = (("learn", split.fit), ("calibrate", split.calibrate), ("judge", split.test))
    sizes = ", ".join(f"{len(part):,} {verb} ({responded[part].mean():.1%} responded)" for verb, part in parts)
    how = {
        "time": f"Split by time: the test begins on {split.cut_at:%d %B %Y}." if split.cut_at is not None else "",
        "person": "Split by person: nobody is on both sides.",
        "draw": f"**{split.warning}**",
    }[split.how]
    said = f"{how} {sizes}."
    if split.how == "time":
        said += f" {len(split.purged):,} are purged: their response window reaches into the test."
        if contacts.has_people:
            said += f" {split.seen_share:.1%} of the test contacts are of people met in training, as they will be in use."
    return said


def describe_gate(gate: LeakGate, *, max_single_auc: float) -> str:
    """Say what the leak gate set aside, and which kept column came nearest to it."""
    kept = gate.aucs[~gate.aucs["caught"]]
    caught = list(dict.fromkeys(gate.leaks["column"]))
    said = (
        f"**What we see.** Set aside: {', '.join(caught)}."
        if caught
        else "**What we see.** Nothing was set aside."
    )
    if not kept.empty:
        nearest = kept.iloc[0]
        said += f" Of the columns kept, `{nearest['column']}` alone ranks best, with AUC {nearest['auc']:.3f}."
    return (
        f"{said} **What it does not show.** A leak below the limit of {max_single_auc:g} under an unusual name passes. "
        "**What to do.** Ask of each strong column when it was written, and list it in `known_after_contact` or "
        "`known_before_contact`."
    )


def describe_choice(comparison: MethodComparison) -> str:
    """Say which model was chosen, how, and how it did."""
    row, chosen = comparison.row(calibrated=True), comparison.chosen
    resampled = (
        "without resampling" if chosen.resampling == "none" else f"with {chosen.resampling.replace('_', ' ')}"
    )
    return (
        f"The model used below is {METHOD_NAMES[chosen.method]} {resampled}, which has the least log loss on the "
        f"calibration contacts. On the test its ROC AUC is {_with_interval(row, 'roc_auc')} and its PR AUC "
        f"{_with_interval(row, 'pr_auc')}, where a draw by lot has {row['n_responses'] / row['n_rows']:.3f}."
    )


def describe_calibration(comparison: MethodComparison) -> str:
    """Say how far probabilities were off before and after calibration."""
    table = comparison.methods[comparison.methods["channel"] == "all"]
    before, after = (table.loc[table["calibrated"] == c, "ece"] for c in (False, True))
    row = comparison.row(calibrated=True)
    inside = row["ece_low"] == 0
    return (
        f"**What we see.** As fitted, the expected calibration error is {before.min():.3f} to {before.max():.3f}; "
        f"calibrated, {after.min():.3f} to {after.max():.3f}. The chosen model's is {_with_interval(row, 'ece')}; true "
        f"probabilities would show {row['ece_floor']:.3f} by chance, "
        + ("so nothing is found wrong with it. " if inside else "so chance does not explain all of it. ")
        + "**What it does not show.** Calibration holds for the contacts calibrated on: when the response rate moves "
        "between them and the test, every method is off by as much."
    )


def describe_people(comparison: MethodComparison) -> str:
    """Say what the ranking finds, and how it does on people never met."""
    half = comparison.gain[
        (comparison.gain["method"] == comparison.chosen.method) & (comparison.gain["contacted_share"] == 0.5)
    ]
    said = f"**What we see.** The likelier half of the contacts holds {half['found_share'].item():.0%} of the responses."
    groups = comparison.people.set_index("people")
    if "new" in groups.index:
        new, all_of_them = groups.loc["new"], groups.loc["all"]
        said += (
            f" On the {new['n_rows']:,.0f} contacts of people never met in training the AUC is "
            f"{_with_interval(new, 'roc_auc')}, beside {all_of_them['roc_auc']:.3f} on all."
        )
    elif "met in training" in groups.index:
        said += " Too few test contacts are of new people to say how it does on them."
    return f"{said} **What it does not show.** Who would have come without a contact: response is not effect."


def describe_hours(hours: pd.DataFrame) -> str:
    """Say when contacts were answered most, and whether the difference is more than chance."""
    part = hours[hours["contacted"]] if len(hours) else hours
    if len(part) < 2:
        return "The contacts do not tell the hour of sending."
    best, worst = part.loc[part["response_rate"].idxmax()], part.loc[part["response_rate"].idxmin()]
    apart = best["response_rate_low"] > worst["response_rate_high"]
    return (
        f"**What we see.** Contacts sent at {best['hour']:.0f} h are answered most ({_with_interval(best, 'response_rate')}"
        f"), those at {worst['hour']:.0f} h least ({_with_interval(worst, 'response_rate')}); "
        + ("the intervals do not meet. " if apart else "the intervals overlap, so the hour may not matter. ")
        + "**What it does not show.** The best and worst of many hours look further apart than they are."
    )


def describe_ceiling(truth: Ceiling) -> str:
    """Say how near the chosen model comes to the true probabilities."""
    return (
        f"Ranking by the true probabilities has ROC AUC {truth.roc_auc:.3f} [{truth.roc_auc_low:.3f}, "
        f"{truth.roc_auc_high:.3f}]; the chosen model has {truth.model_roc_auc:.3f}, {truth.reached_share:.0%} of the way "
        f"from chance. It falls short by {truth.shortfall:.3f} [{truth.shortfall_low:.3f}, {truth.shortfall_high:.3f}]. "
        f"Its probabilities are {truth.mean_absolute_error:.3f} from the true ones on average, with correlation "
        f"{truth.correlation:.2f}."
    )


def describe_pitfall(pitfall: OversamplingPitfall) -> str:
    """Say how large the error of SMOTE before the split is."""
    noise, own = (
        (pitfall.roc_auc(labels, "before the split"), pitfall.roc_auc(labels, "inside each fold"))
        for labels in ("noise", "own")
    )
    return (
        f"**What we see.** On shuffled responses, where nothing can be found, SMOTE before the split reports an AUC of "
        f"{noise[0]:.3f}; inside the folds it is {noise[1]:.3f}. On the true responses it reports {own[0]:.3f} instead of "
        f"{own[1]:.3f}. **What to do.** Resample inside the pipeline, or not at all; an AUC that jumps when balancing is "
        "switched on is a sign of this mistake."
    )


def summary(comparison: MethodComparison, pitfall: OversamplingPitfall, *, data_is: str) -> str:
    """The page in short, as three bullets."""
    row = comparison.row(calibrated=True)
    verdict = resampling_verdict(comparison).split("**")[1]
    return (
        f"**In short** (data: {data_is})\n\n"
        f"* {METHOD_NAMES[comparison.chosen.method]} ranks later contacts with ROC AUC {_with_interval(row, 'roc_auc')}; "
        f"once calibrated its probabilities are off by {row['ece']:.3f} on average.\n"
        f"* {verdict.rstrip('.')}, judged on the same contacts once calibrated; {len(METHODS)} models were tried.\n"
        f"* SMOTE before the split would have reported an AUC of {pitfall.roc_auc('own', 'before the split'):.3f}, and "
        f"{pitfall.roc_auc('noise', 'before the split'):.3f} on responses that mean nothing."
    )


def headline_figures(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    comparison: MethodComparison,
    pitfall: OversamplingPitfall,
) -> dict[str, float]:
    """The page's headline figures by name, numbers only."""
    row = comparison.row(calibrated=True)
    figures = {
        "n_contacts": len(contacts.rows),
        "n_contacts_cut_off": contacts.n_cut_off,
        "n_contacts_purged": len(split.purged),
        "n_contacts_test": len(split.test),
        "n_columns_set_aside": gate.leaks["column"].nunique(),
        "response_rate_test": row["n_responses"] / row["n_rows"],
    }
    for name in ("roc_auc", "pr_auc", "log_loss", "brier", "ece"):
        figures |= {end: row[end] for end in (name, f"{name}_low", f"{name}_high")}
    figures["ece_floor"] = row["ece_floor"]
    if contacts.has_people:
        figures["test_contacts_of_people_met_in_training_share"] = split.seen_share
    new = comparison.people.loc[comparison.people["people"] == "new", "roc_auc"]
    if len(new):
        figures["roc_auc_new_people"] = new.item()
    for labels in ("noise", "own"):
        figures[f"pitfall_roc_auc_{labels}_smote_before_split"] = pitfall.roc_auc(labels, "before the split")
        figures[f"pitfall_roc_auc_{labels}_smote_inside_folds"] = pitfall.roc_auc(labels, "inside each fold")
    return figures


def _with_interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
