"""Privacy: what can be published, at what privacy cost (page 10).

| module | holds |
|---|---|
| releases | counts and sums that a mechanism has noised, and what they cost |
| guarantees | whether the release keeps its promise: audit, each person left out, error, composition, checks |
| attacks | what an outsider can tell where bounds come from the data |
| anonymity | without noise: rows coarsened and left out until each hides among k; what linking still finds |
| utility | what budget makes a decision come out right, from the mechanism alone |
| asking | publishing for good: the plan of releases, every bound declared in it |
| bounding | what one person adds at most, before anything is grouped |
| mechanisms | OpenDP's noise on whole numbers, its cost, its reach, figures that add up |
| ledger, composing | what was granted and spent, signed and in a chain; what charges cost together |
| publishing, card | charged, then written into a folder of its own, with a card |
| scanning | numbers in such a folder that agree with an exact figure |
| findings | titles, sentences, and what a manager should know |
"""

from journeybook.privacy.anonymity import (
    anonymise,
    anonymity_holds,
    known_of_people,
    linkage_attack,
    outside_table,
)
from journeybook.privacy.attacks import membership_attack
from journeybook.privacy.findings import find, say_anonymity, say_decisions, say_releases
from journeybook.privacy.guarantees import (
    audit_release,
    composition,
    error_curve,
    largest_change,
    methods_hold,
    release_holds,
)
from journeybook.privacy.releases import (
    NOT_PRIVATE,
    PrivateReleases,
    check_mode,
    group_people,
    people_at_end,
    release_figures,
    seed_name,
)
from journeybook.privacy.utility import budgets_of_page, decisions_hold
