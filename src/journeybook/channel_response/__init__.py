"""Who answers which channel, and how far the probabilities can be trusted.

contacts    contacts with the latest feature snapshot strictly before each was sent
splits      which contacts teach and which judge: by time with purging, by person, or by draw
leaks       what could not be known when the contact was decided
models      logistic regression and XGBoost, resampled inside the fit, calibrated on untouched contacts
quality     ROC AUC, PR AUC, log loss, Brier and calibration error, with intervals clustered on people
study       every method with every resampling, judged on the same test
"""

from journeybook.channel_response.contacts import ContactFrame, contact_frame
from journeybook.channel_response.leaks import LeakGate, leak_gate, single_column_auc
from journeybook.channel_response.models import ResponseModel, fit_response_model, response_pipeline
from journeybook.channel_response.quality import Quality, quality
from journeybook.channel_response.splits import Split, split_contacts
from journeybook.channel_response.study import MethodComparison, compare_methods, resampling_verdict

__all__ = [
    "ContactFrame",
    "LeakGate",
    "MethodComparison",
    "Quality",
    "ResponseModel",
    "Split",
    "compare_methods",
    "contact_frame",
    "fit_response_model",
    "leak_gate",
    "quality",
    "resampling_verdict",
    "response_pipeline",
    "single_column_auc",
    "split_contacts",
]
