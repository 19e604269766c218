"""Who answers which channel, when, and how far the probabilities can be trusted (page 07).

| module | holds |
|---|---|
| contacts | contacts with the latest feature snapshot strictly before each was sent |
| splits | training, calibration and test set: by time with purging, by person, or at random |
| leaks | what could not be known when the contact was decided |
| encoding | from features to numbers; the resamplers |
| models | logistic regression, forest, XGBoost and their stack, resampled inside the fit, calibrated |
| search | their settings, within a stated budget, by cross-validation |
| study | every method with every resampling, judged on the same test set |
| channels | a model a channel beside one for all |
| explanation | what the trees go by: TreeSHAP, importance of groups of features, partial dependence |
| groups, windows | the type of each contact's person; when each type answers, with shrinkage |
| scores | probabilities that other pages read |
| model_card, storage, scoring | the saved model, its card and contract; applying it to new rows |
| truth, witnesses, pitfall | the known answer; each step made again; SMOTE in the wrong place |
| findings, words | what a manager should know; the sentences of the page |
"""

from journeybook.channel_response.channels import channel_models
from journeybook.channel_response.contacts import contact_frame
from journeybook.channel_response.explanation import explain_trees, partial_dependences, permutation_importance
from journeybook.channel_response.findings import find
from journeybook.channel_response.groups import person_types
from journeybook.channel_response.leaks import leak_gate
from journeybook.channel_response.model_card import model_card
from journeybook.channel_response.pitfall import smote_before_split
from journeybook.channel_response.scores import (
    contact_probabilities,
    granted_channels,
    latest_snapshot,
    response_scores,
)
from journeybook.channel_response.search import search_settings
from journeybook.channel_response.splits import split_contacts
from journeybook.channel_response.storage import pack_model, training_contract
from journeybook.channel_response.study import compare_methods
from journeybook.channel_response.truth import known_answers
from journeybook.channel_response.windows import response_windows
from journeybook.channel_response.witnesses import auc_in_file_order, handed_on, noise_trial, recount
from journeybook.channel_response.words import (
    headline_figures,
    reading_figures,
    say_calibration,
    say_choice,
    say_contacts,
    say_explanation,
    say_file_order,
    say_known_answers,
    say_people,
    say_pitfall,
    say_resampling,
    say_scores,
    say_search,
    say_split,
    say_windows,
)

__all__ = [
    "auc_in_file_order",
    "channel_models",
    "compare_methods",
    "contact_frame",
    "contact_probabilities",
    "explain_trees",
    "find",
    "granted_channels",
    "handed_on",
    "headline_figures",
    "known_answers",
    "latest_snapshot",
    "leak_gate",
    "model_card",
    "noise_trial",
    "pack_model",
    "partial_dependences",
    "permutation_importance",
    "person_types",
    "reading_figures",
    "recount",
    "response_scores",
    "response_windows",
    "say_calibration",
    "say_choice",
    "say_contacts",
    "say_explanation",
    "say_file_order",
    "say_known_answers",
    "say_people",
    "say_pitfall",
    "say_resampling",
    "say_scores",
    "say_search",
    "say_split",
    "say_windows",
    "search_settings",
    "smote_before_split",
    "split_contacts",
    "training_contract",
]
