"""What the page says of its results: sentences that stay true for other data and parameters."""

import pandas as pd

from journeybook.channel_response.channels import ChannelModels
from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import BASES
from journeybook.channel_response.search import Search
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.witnesses import Ceiling, OversamplingPitfall

METHOD_NAMES = {
    "logistic": "Logistic regression",
    "forest": "Random forest",
    "xgboost": "XGBoost",
    "stack": "The stack of all three",
}

_RESAMPLED = {
    "none": "without resampling",
    "class_weights": "with class weights",
    "smote": "with SMOTE",
    "undersample": "with undersampling",
}


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
            f"Left out: {contacts.n_cut_off:,} of {contacts.n_read:,} whose outcome the data end too early for."
        )
    if contacts.n_unknown:
        said.append(f"Left out: {contacts.n_unknown:,} whose outcome is missing.")
    if contacts.n_sampled_out:
        said.append(f"Left out by a hash sample: {contacts.n_sampled_out:,}.")
    if contacts.n_with_snapshot:
        said.append(f"{contacts.n_with_snapshot / len(rows):.1%} have features from before they were sent.")
    else:
        said.append("No feature snapshots are joined: the table's own columns are the features.")
    if contacts.n_identical:
        said.append(
            f"{contacts.n_identical:,} rows equal an earlier row. Without ids nobody can say whether they are the "
            "same contact, so they stay."
        )
    return " ".join(said)


def describe_split(contacts: ContactFrame, split: Split) -> str:
    """Say how the contacts were split, and what that split can show."""
    responded = contacts.rows["responded"].to_numpy()
    parts = (("learn", split.fit), ("calibrate", split.calibrate), ("judge", split.test))
    sizes = ", ".join(f"{len(part):,} {verb} ({responded[part].mean():.1%} responded)" for verb, part in parts)
    if split.cut_at is None:
        how = "Split by person: nobody is on both sides." if split.how == "person" else f"**{split.warning}**"
        return f"{how} Of the contacts {sizes}."
    said = f"Split by time: the test begins on {split.cut_at:%d %B %Y}. Of the contacts {sizes}; "
    said += f"{len(split.purged):,} are purged, because their response window reaches into the test."
    if contacts.has_people:
        said += f" {split.seen_share:.1%} of the test contacts are of people met in training."
    return said


def describe_gate(gate: LeakGate, *, max_single_auc: float) -> str:
    """Say what the leak gate set aside, and which kept column came nearest to it."""
    kept = gate.aucs[~gate.aucs["caught"]]
    caught = ", ".join(f"`{name}`" for name in dict.fromkeys(gate.leaks["column"]))
    said = f"**What we see.** Set aside: {caught}." if caught else "**What we see.** Nothing was set aside."
    if not kept.empty:
        nearest = kept.iloc[0]
        said += f" Of the columns kept, `{nearest['column']}` ranks best alone, with AUC {nearest['auc']:.3f}."
    return (
        f"{said} **What it does not show.** A leak under an unusual name passes while its AUC stays below "
        f"{max_single_auc:g} and no large range of it goes always or never with a response. **What to do.** Ask "
        "of each strong column when it was written, and list it in `known_after_contact` or in "
        "`known_before_contact`."
    )


def describe_search(search: Search, split: Split) -> str:
    """Say what the search cost, and how much there was to choose between settings."""
    table = search.trials
    by_method = table.groupby(["method", "resampling"])["log_loss"]
    apart = (by_method.max() - by_method.min()).groupby("method").median()
    said = ", ".join(f"{apart[name]:.4f} for {_plain(name)}" for name in BASES)
    return (
        f"**What we see.** {search.n_fits} fits on {len(search.places):,} of the {len(split.fit):,} contacts "
        f"that teach, in {search.n_folds} folds; every resampling had the same budget. Between "
        f"the best and the worst setting lies a log loss of {said} (the median over resamplings); between folds "
        f"it varies by {table['log_loss_sd'].median():.4f}. **What it does not show.** The best settings there "
        "are: more budget may find better ones. **What to do.** Raise `n_settings` where the settings lie "
        "further apart than the methods."
    )


def describe_channel_models(found: ChannelModels) -> str:
    """Say whether a model a channel beats one for all."""
    table = found.differences
    if table.empty:
        return "There are not two channels with contacts enough for a model each."
    pooled = table[(table["channel"] == "all") & (table["measure"] == "log_loss")].set_index("method")
    said = [
        f"{_plain(name)} {row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
        for name, row in pooled.iterrows()
    ]
    better, worse = pooled["difference_high"] < 0, pooled["difference_low"] > 0
    advice = "Keep one model for all channels: it has more to learn from, and is no worse."
    if better.any():
        advice = (
            f"A model a channel is worth having for {' and '.join(_plain(name) for name in pooled.index[better])}."
        )
    elif worse.any():
        advice = "Keep one model for all channels: what they share is worth more than what sets them apart."
    left = f" Too few contacts for a model of their own: {', '.join(found.left_out)}." if found.left_out else ""
    return (
        f"**What we see.** A model a channel changes the log loss by {'; '.join(said)} (above 0 is worse; 95 %, "
        f"paired).{left} **What it does not show.** What more contacts a channel would do. **What to do.** "
        f"{advice}"
    )


def describe_choice(comparison: MethodComparison) -> str:
    """Say which model was chosen, how, and how it did."""
    row, chosen = comparison.row(calibrated=True), comparison.chosen
    by_lot = row["n_responses"] / row["n_rows"]
    why = (
        "the least log loss of those without resampling on the calibration contacts, where none with it is better"
    )
    if chosen.resampling != "none":
        why = "a log loss on the calibration contacts below that of the best without resampling"
    return (
        f"The page goes on with {_plain(chosen.method)} {_RESAMPLED[chosen.resampling]}: it has {why} beyond "
        f"chance. On the test its ROC AUC is {_with_interval(row, 'roc_auc')} and its PR AUC "
        f"{_with_interval(row, 'pr_auc')}, where a draw by lot has {by_lot:.3f}."
    )


def describe_calibration(comparison: MethodComparison) -> str:
    """Say how far probabilities were off, after correcting for the prior, and after calibration."""
    table, row = comparison.corrections, comparison.row(calibrated=True)
    moved = table[(table["resampling"] != "none") & (table["method"] != "stack")]
    by_chance = "chance may be all of it" if row["ece_low"] < 0.0005 else "chance does not explain all of it"
    return (
        f"**What we see.** As fitted, the expected calibration error of the {len(table)} models is "
        f"{_ends(table['ece_as_fitted'])}; calibrated, {_ends(table['ece_calibrated'])}. Of those that were "
        f"resampled, correcting for the shift in prior alone takes it from {_ends(moved['ece_as_fitted'])} to "
        f"{_ends(moved['ece_corrected'])}. A stack needs none: it weighs its parts on contacts that were not "
        f"resampled. {_applied(comparison)} The chosen model's is {_with_interval(row, 'ece')}. True "
        "probabilities would show "
        f"{row['ece_floor']:.3f}, so {by_chance}. **What it does not show.** How calibration ages: when the "
        "response rate moves after the contacts it was fitted on, every method is off by as much. **What to "
        "do.** Calibrate again with each new campaign."
    )


def _applied(comparison: MethodComparison) -> str:
    """Say to how many models calibration was applied, and what it did to the chosen one on the test."""
    models = comparison.models
    n_helped = sum(model.is_calibrated for model in models)
    said = (
        f"On contacts apart from those it was fitted on, calibration helped {n_helped} of {len(models)} models "
        "beyond chance; it is applied to no other."
    )
    if not comparison.chosen.is_calibrated:
        return f"{said} The chosen model is not among them, and is used as fitted."
    before, after = (comparison.row(calibrated=stage)["ece"] for stage in (False, True))
    if after > before:
        return f"{said} The chosen model is among them, yet on the test its error rose from {before:.3f}."
    return said


def describe_channels(comparison: MethodComparison) -> str:
    """Say what the calibration error of a channel means, which has fewer contacts than all together."""
    rows = comparison.by_channel()
    if len(rows) < 2:
        return ""
    beyond = rows.loc[rows["ece_low"] >= 0.0005, "channel"].tolist()
    said = f"more than chance on {', '.join(beyond)}" if beyond else "what chance alone may show on each"
    return (
        f"By channel the calibration error of the chosen model is {_ends(rows['ece'])} on "
        f"{rows['n_rows'].min():,} to {rows['n_rows'].max():,} contacts, where true probabilities would show "
        f"{_ends(rows['ece_floor'])} (`ece_floor`): {said}."
    )


def describe_people(comparison: MethodComparison) -> str:
    """Say what the ranking finds, and how it does on people never met."""
    chosen, gain = comparison.chosen, comparison.gain
    mine = gain[(gain["method"] == chosen.method) & (gain["resampling"] == chosen.resampling)]
    half, tenth = (mine[mine["contacted_share"] == share].iloc[0] for share in (0.5, 0.1))
    said = (
        "**What we see.** The likelier half of the contacts holds "
        f"{_with_interval(half, 'found_share', percent=True)} of the responses; the likeliest tenth responds "
        f"{_with_interval(tenth, 'lift')} times as often as all."
    )
    groups = {str(row["people"]): row for _, row in comparison.people.iterrows()}
    if "new" in groups:
        said += (
            f" On the {groups['new']['n_rows']:,.0f} contacts of people never met in training the AUC is "
            f"{_with_interval(groups['new'], 'roc_auc')}, beside {groups['all']['roc_auc']:.3f} on all."
        )
    elif len(groups) > 1:
        said += " Too few test contacts are of new people to say how the model does on them."
    return f"{said} **What it does not show.** Who would have come without a contact: response is not effect."


def describe_scores(scores: pd.DataFrame, contacts: ContactFrame, *, has_ledger: bool) -> str:
    """Say who was scored for what, or why nobody was."""
    if not contacts.has_people:
        return "The contacts name nobody, so there is nobody to score."
    if scores.empty:
        channels = ", ".join(name for name in contacts.channels if name != NO_CONTACT)
        return f"Nobody is scored: the ledger has no marketing purpose for {channels}, or nobody permits it."
    counts = scores.groupby("channel")["person_id"].nunique()
    said = ", ".join(f"{n:,} for {name}" for name, n in counts.items())
    rule = "People are scored for the channels they permit" if has_ledger else "Without a ledger all are scored"
    return f"{rule}: {said}."


def describe_file_order(stratified: float, in_order: float) -> str:
    """Say what the order of the rows would have told, were they in the order of time."""
    return (
        "The same settings taught on the first rows of the table and judged on the last have ROC AUC "
        f"{in_order:.3f}, beside {stratified:.3f} on a random draw. If the rows are in the order of time, expect "
        "the former of the next campaign."
    )


def describe_ceiling(truth: Ceiling) -> str:
    """Say how near the chosen model comes to the true probabilities."""
    ceiling, low, high = (f"{value:.3f}" for value in (truth.roc_auc, truth.roc_auc_low, truth.roc_auc_high))
    rest = f"{truth.shortfall:.3f} [{truth.shortfall_low:.3f}, {truth.shortfall_high:.3f}]"
    return (
        f"Ranking by the true probabilities has ROC AUC {ceiling} [{low}, {high}]. The chosen model has "
        f"{truth.model_roc_auc:.3f}, {truth.reached_share:.0%} of the way there from 0.5; the rest, {rest}, is "
        f"what the features do not tell it. Its probabilities are {truth.mean_absolute_error:.3f} from the true "
        f"ones on average, with correlation {truth.correlation:.2f}."
    )


def describe_pitfall(pitfall: OversamplingPitfall) -> str:
    """Say how large the error of SMOTE before the split is."""
    noise, own = (
        [f"{pitfall.roc_auc(labels, place):.3f}" for place in ("before the split", "inside each fold")]
        for labels in ("noise", "own")
    )
    return (
        "**What we see.** On shuffled responses, where nothing can be found, SMOTE before the split reports an "
        f"AUC of {noise[0]}; inside the folds it is {noise[1]}. On the true responses the two are {own[0]} and "
        f"{own[1]}. **What to do.** Resample inside the pipeline, or not at all. An AUC that jumps when balancing "
        "is switched on is a sign of this mistake."
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
    raw = comparison.methods[(comparison.methods["channel"] == "all") & ~comparison.methods["calibrated"]]
    figures["ece_uncalibrated_max"] = raw["ece"].max()
    if contacts.has_people:
        figures["test_contacts_of_people_met_share"] = split.seen_share
    new = comparison.people.loc[comparison.people["people"] == "new", "roc_auc"]
    if len(new):
        figures["roc_auc_new_people"] = new.item()
    for labels in ("noise", "own"):
        figures[f"pitfall_roc_auc_{labels}_smote_before_split"] = pitfall.roc_auc(labels, "before the split")
        figures[f"pitfall_roc_auc_{labels}_smote_inside_folds"] = pitfall.roc_auc(labels, "inside each fold")
    return figures


def _with_interval(row: pd.Series, name: str, *, percent: bool = False) -> str:
    form = "{:.0%}" if percent else "{:.3f}"
    value, low, high = (form.format(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def _ends(values: pd.Series) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low}-{high}"


def _plain(method: str) -> str:
    """A method's name inside a sentence."""
    return METHOD_NAMES[method] if method == "xgboost" else METHOD_NAMES[method].lower()
