"""Who answers which channel, and how far the probabilities can be trusted.

contacts    contacts with the latest feature snapshot strictly before each was sent
splits      which contacts teach and which judge: by time with purging, by person, or by draw
leaks       what could not be known when the contact was decided
encoding    from features to numbers; the resamplers
models      logistic regression, random forest, XGBoost and their stack, resampled inside the fit, calibrated
search      the settings, within a stated budget, by cross-validation inside the contacts that teach
quality     ROC AUC, PR AUC, log loss, Brier, calibration error, gain, with intervals clustered on people
study       every method with every resampling, judged on the same test
channels    a model a channel beside one for all
timing      the response rate by hour of sending
scores      the probability of a response per person and permitted channel
witnesses   the planted truth, labels that mean nothing, SMOTE in the wrong place
sentences   what the page says of all this
"""

from journeybook.channel_response.channels import ChannelModels, channel_models
from journeybook.channel_response.contacts import ContactFrame, contact_frame
from journeybook.channel_response.leaks import LeakGate, always_or_never, leak_gate, single_column_auc
from journeybook.channel_response.models import ResponseModel, fit_together, response_pipelines
from journeybook.channel_response.quality import Quality, quality
from journeybook.channel_response.scores import granted_channels, latest_snapshot, response_scores
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
    summary,
)
from journeybook.channel_response.splits import Split, split_contacts
from journeybook.channel_response.study import MethodComparison, compare_methods, resampling_verdict
from journeybook.channel_response.timing import response_by_hour
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
    "LeakGate",
    "MethodComparison",
    "NoiseTrial",
    "OversamplingPitfall",
    "Quality",
    "ResponseModel",
    "Search",
    "Split",
    "always_or_never",
    "auc_in_file_order",
    "ceiling",
    "channel_models",
    "compare_methods",
    "contact_frame",
    "describe_calibration",
    "describe_ceiling",
    "describe_channel_models",
    "describe_channels",
    "describe_choice",
    "describe_contacts",
    "describe_file_order",
    "describe_gate",
    "describe_people",
    "describe_pitfall",
    "describe_scores",
    "describe_search",
    "describe_split",
    "fit_together",
    "granted_channels",
    "headline_figures",
    "latest_snapshot",
    "leak_gate",
    "noise_trial",
    "quality",
    "refitted_alone",
    "resampling_verdict",
    "response_by_hour",
    "response_pipelines",
    "response_scores",
    "search_settings",
    "single_column_auc",
    "smote_before_split",
    "split_contacts",
    "summary",
]
