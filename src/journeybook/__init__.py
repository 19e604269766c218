"""journeybook: a whole customer journey, from raw records to a decision and its measured effect.

tables            the canonical tables: columns, reading for a purpose, consent, writing
statistics        estimators that are no page's own: contrasts, bootstrap, corrections, looks, power, chains
journeys          what people did, one step after the other: sessions, paths, links
results           a page's figures, checks and results file
page              one page at work: parameters, tables, figures, checks, results
teaching          exercises: the student's and the teacher's notebooks, answers graded
datasets          where rows come from: complete_journey, demo (simulated around it), files (yours)
proposing         parameters proposed for files of yours, by names, types and values
collection        01: which rows are valid, and who permits what
cleaning          02: named rules, what is missing, what filling in would do
identity          03: which records are one person, whose refusals hold for whom
enrichment        04: what is known of each person as of a date
segmentation      05: groups, whether they are real, movement between them
channel_response  07: who answers which channel, when, and how far the probabilities can be trusted
clickstream       08: the site as an absorbing chain, drop-off, bottlenecks, broken steps
attribution       09: which channel deserves the credit
privacy           10: what can be published, at what cost
experiments       11: did the change work, for whom, may we look already
experiment_design 12: how large, how long, how to assign, fixed or adaptive
recommendation    13: which product next, for whom, and is that better than what everybody buys
decisions         14: whom to contact, by what, at what cost, and what it would have earned
monitoring        15: whether the data and the models are still what they were
impact            16: what personalisation earned, and whether the claims may be believed
planted           faults planted in simulated rows, against what pages 01 and 02 found
sends             messages, and who permitted which channel when it was used
showing           how tables look, from the names of their columns
plots             how figures look; one module a page, only drawing
report            parameters, running, rendering, comparing: all that knows papermill and HTML
checking          what of the data is understood, and what pages would refuse, before anything runs
cli               the command line
errors            the errors a user is meant to read
"""

__version__ = "0.1.0"
