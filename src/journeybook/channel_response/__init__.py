"""Who answers which channel, and how far the probabilities can be trusted.

contacts    contacts with the latest feature snapshot strictly before each was sent
splits      which contacts teach and which judge: by time with purging, by person, or by draw
leaks       what could not be known when the contact was decided
models      logistic regression and XGBoost, resampled inside the fit, calibrated on untouched contacts
quality     ROC AUC, PR AUC, log loss, Brier and calibration error, with intervals clustered on people
study       every method with every resampling, judged on the same test
timing      the response rate by hour of sending
scores      the probability of a response per person and permitted channel
witnesses   the planted truth, labels that mean nothing, SMOTE in the wrong place
sentences   what the page says of all this
"""

from journeybook.channel_response.contacts import ContactFrame, contact_frame
from journeybook.channel_response.leaks import LeakGate, leak_gate, single_column_auc
from journeybook.channel_response.models import ResponseModel, fit_response_model, response_pipeline
from journeybook.channel_response.quality import Quality, quality
from journeybook.channel_response.scores import granted_channels, latest_snapshot, response_scores
from journeybook.channel_response.sentences import (
    describe_calibration,
    describe_ceiling,
    describe_choice,
    describe_contacts,
    describe_gate,
    describe_hours,
    describe_people,
    describe_pitfall,
    describe_scores,
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
    ceiling,
    noise_trial,
    smote_before_split,
)

__all__ = [
    "Ceiling",
    "ContactFrame",
    "LeakGate",
    "MethodComparison",
    "NoiseTrial",
    "OversamplingPitfall",
    "Quality",
    "ResponseModel",
    "Split",
    "ceiling",
    "compare_methods",
    "contact_frame",
    "describe_calibration",
    "describe_ceiling",
    "describe_choice",
    "describe_contacts",
    "describe_gate",
    "describe_hours",
    "describe_people",
    "describe_pitfall",
    "describe_scores",
    "describe_split",
    "fit_response_model",
    "granted_channels",
    "headline_figures",
    "latest_snapshot",
    "leak_gate",
    "noise_trial",
    "quality",
    "resampling_verdict",
    "response_by_hour",
    "response_pipeline",
    "response_scores",
    "single_column_auc",
    "smote_before_split",
    "split_contacts",
    "summary",
]
