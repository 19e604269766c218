"""Who answers which channel, when, and how far the probabilities can be trusted (page 07).

| module | holds |
|---|---|
| contacts | contacts with the latest feature snapshot strictly before each was sent |
| splits | training, calibration and test set: by time with purging, by person, or at random |
| leaks | what could not be known when the contact was decided |
| models | encoding; logistic regression, forest, XGBoost and their stack, resampled inside the fit, calibrated |
| search | their settings, within a stated budget, by cross-validation |
| study | every method with every resampling on one test |
| explanation | what the trees go by: TreeSHAP |
| windows | when each type of person answers, with shrinkage |
| scores | probabilities that other pages read |
| storage, scoring | the saved model, its card and contract; applying it to new rows |
| truth, witnesses | the known answer; each step made again |
| pitfall | SMOTE in the wrong place |
| findings, words | what a manager should know; the sentences of the page |
"""

from journeybook.channel_response import words
from journeybook.channel_response.contacts import contact_frame, filled_by
from journeybook.channel_response.explanation import explain_trees
from journeybook.channel_response.findings import find
from journeybook.channel_response.leaks import check_declared, leak_gate
from journeybook.channel_response.pitfall import smote_before_split
from journeybook.channel_response.scores import (
    contact_probabilities,
    granted_channels,
    latest_snapshot,
    response_scores,
)
from journeybook.channel_response.search import search_settings
from journeybook.channel_response.splits import split_contacts
from journeybook.channel_response.storage import model_card, pack_model, training_contract
from journeybook.channel_response.study import compare_methods
from journeybook.channel_response.truth import known_answers
from journeybook.channel_response.windows import person_types, response_windows
from journeybook.channel_response.witnesses import handed_on, noise_trial, recount, windows_hold
