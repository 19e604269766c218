"""Who answers which channel and when, how far the probabilities can be trusted, and whether it is worth sending.

contacts            contacts with the latest feature snapshot strictly before each was sent
splits              which contacts teach and which judge: by time with purging, by person, or by draw
leaks               what could not be known when the contact was decided
encoding            from features to numbers; the resamplers
models              logistic regression, forest, XGBoost and their stack, resampled inside the fit, calibrated
search              their settings, within a stated budget, by cross-validation inside the contacts that teach
quality             ROC AUC, PR AUC, log loss, Brier, calibration error, gain, with intervals clustered on people
study               every method with every resampling, judged on the same test
channels            a model a channel beside one for all
explanation         what the trees go by: TreeSHAP, importance of groups of features, partial dependence
groups              the type and the group of each contact's person
windows             when each type of person answers, with shrinkage; windows_truth knows the planted hours
fairness            groups of people beside each other, and what equalising would cost
decisions           contacts as decisions: what was allowed, what was drawn, with which probability
policy              whom to write to, if anyone, and what that would have brought
off_policy          the value of a policy, read off contacts whose channel chance chose
uplift              whom a message moves, beside who responds
scores              the probability of a response per person and permitted channel
model_card          what the saved model is for, and how good it is
storage             the saved model and its training contract; scoring applies it to new rows
witnesses           the planted truth, labels that mean nothing, SMOTE in the wrong place
findings            what a page found, for whoever decides
sentences           what the page says of all this; also sentences_reading and sentences_deciding
"""

from journeybook.channel_response.by_hand import groups_off, recount
from journeybook.channel_response.channels import ChannelModels, channel_models
from journeybook.channel_response.contacts import ContactFrame, contact_frame
from journeybook.channel_response.decisions import permitted_channels
from journeybook.channel_response.explanation import (
    Explanation,
    Importance,
    explain_trees,
    partial_dependences,
    permutation_importance,
)
from journeybook.channel_response.fairness import Fairness, fairness
from journeybook.channel_response.findings import find
from journeybook.channel_response.groups import person_groups, person_types
from journeybook.channel_response.leaks import LeakGate, always_or_never, leak_gate, single_column_auc
from journeybook.channel_response.model_card import model_card
from journeybook.channel_response.models import (
    METHODS,
    RESAMPLINGS,
    ResponseModel,
    fit_together,
    response_pipelines,
)
from journeybook.channel_response.policy import Deciding, decide, true_values
from journeybook.channel_response.quality import Quality, quality
from journeybook.channel_response.scores import granted_channels, latest_snapshot, response_scores
from journeybook.channel_response.scoring import score_file, score_rows
from journeybook.channel_response.search import Search, search_settings
from journeybook.channel_response.sentences import (
    describe_calibration,
    describe_ceiling,
    describe_channel_models,
    describe_channels,
    describe_choice,
    describe_contacts,
    describe_file_order,
    describe_gate,
    describe_people,
    describe_pitfall,
    describe_scores,
    describe_search,
    describe_split,
    headline_figures,
)
from journeybook.channel_response.sentences_deciding import (
    deciding_figures,
    describe_deciding,
    describe_true_uplift,
    describe_true_values,
    describe_unpermitted,
    describe_uplift,
)
from journeybook.channel_response.sentences_reading import (
    describe_explanation,
    describe_fairness,
    describe_importance,
    describe_windows,
    describe_windows_truth,
    reading_figures,
)
from journeybook.channel_response.splits import Split, split_contacts
from journeybook.channel_response.storage import pack_model, reading_back, training_contract, unpack_model
from journeybook.channel_response.study import MethodComparison, compare_methods, resampling_verdict
from journeybook.channel_response.uplift import Uplift, true_uplift, uplift_study
from journeybook.channel_response.windows import ResponseWindows, response_windows
from journeybook.channel_response.windows_truth import WindowsTruth, planted_peaks, windows_against_truth
from journeybook.channel_response.witnesses import (
    Ceiling,
    NoiseTrial,
    OversamplingPitfall,
    auc_in_file_order,
    ceiling,
    noise_trial,
    refitted_alone,
    smote_before_split,
)

__all__ = [
    "Ceiling",
    "ChannelModels",
    "ContactFrame",
    "Deciding",
    "Explanation",
    "Fairness",
    "Importance",
    "LeakGate",
    "METHODS",
    "MethodComparison",
    "NoiseTrial",
    "OversamplingPitfall",
    "Quality",
    "RESAMPLINGS",
    "ResponseModel",
    "ResponseWindows",
    "Search",
    "Split",
    "Uplift",
    "WindowsTruth",
    "always_or_never",
    "auc_in_file_order",
    "ceiling",
    "channel_models",
    "compare_methods",
    "contact_frame",
    "decide",
    "deciding_figures",
    "describe_calibration",
    "describe_ceiling",
    "describe_channel_models",
    "describe_channels",
    "describe_choice",
    "describe_contacts",
    "describe_deciding",
    "describe_explanation",
    "describe_fairness",
    "describe_file_order",
    "describe_gate",
    "describe_importance",
    "describe_people",
    "describe_pitfall",
    "describe_scores",
    "describe_search",
    "describe_split",
    "describe_true_uplift",
    "describe_true_values",
    "describe_unpermitted",
    "describe_uplift",
    "describe_windows",
    "describe_windows_truth",
    "explain_trees",
    "fairness",
    "find",
    "fit_together",
    "granted_channels",
    "groups_off",
    "headline_figures",
    "latest_snapshot",
    "leak_gate",
    "model_card",
    "noise_trial",
    "pack_model",
    "partial_dependences",
    "permitted_channels",
    "permutation_importance",
    "person_groups",
    "person_types",
    "planted_peaks",
    "quality",
    "reading_back",
    "recount",
    "reading_figures",
    "refitted_alone",
    "resampling_verdict",
    "response_pipelines",
    "response_scores",
    "response_windows",
    "score_file",
    "score_rows",
    "search_settings",
    "single_column_auc",
    "smote_before_split",
    "split_contacts",
    "training_contract",
    "true_uplift",
    "true_values",
    "unpack_model",
    "uplift_study",
    "windows_against_truth",
]
