"""Whom to contact, by what, at what cost, and what it would have earned (page 14).

| module | holds |
|---|---|
| choices | contacts as choices: what was permitted, drawn, said by the model of page 07; costs and fatigue |
| off_policy | the value of a policy, read off contacts whose channel chance chose |
| policy | whom to write to, if anyone, and what that would have brought |
| uplift | whom a message moves, beside who responds |
| groups | groups of people beside each other, and what equalising would cost |
| truth | policies and rankings beside the known answer |
| rules | rules of a user's file, read strictly and bound to columns |
| people | what rules may read of each person, now and at a past contact |
| slots | rules carried out: one action a person and slot, each with its reason |
| gains | effect times worth less cost; who is written to within capacity and budget |
| release | rules looked through, beside the version before, and valued on logged contacts |
| carrying | all of that from file to table |
| rules_hold | what rules decided, decided again row by row |
| witnesses | each result made again by another road |
| findings | what a manager should know |
| words | the sentences of the page |
"""

from journeybook.decisions import words
from journeybook.decisions.carrying import KNOWN, carry_out
from journeybook.decisions.choices import known_contacts, set_aside
from journeybook.decisions.findings import find
from journeybook.decisions.groups import check_group, compare_groups, person_groups
from journeybook.decisions.policy import decide
from journeybook.decisions.release import value_of_rules
from journeybook.decisions.rules_hold import rules_hold
from journeybook.decisions.truth import known_answers
from journeybook.decisions.uplift import uplift_study, weigh_by_value
from journeybook.decisions.witnesses import consent_holds, groups_hold, recount, values_hold
