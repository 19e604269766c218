"""Impact: what personalisation earned, and whether the claims may be believed (page 16).

| module | holds |
|---|---|
| goals | the goal tree, read from a checked file |
| increments | what hold-outs, experiments and tests on the same units add, nothing counted twice |
| cases | simulated case studies: personalised against static, where the truth is known |
| returns | what was earned against what was spent; where it breaks even |
| winners | effects that were reported because they were large, and what is left of them |
| claims | figures that went out, scored by later data |
| witnesses | the page's figures by another road |
| words, findings | what the page says |
"""

from journeybook.impact.cases import measure_cases, null_worlds
from journeybook.impact.claims import claims_of, score_claims, simulated_claims
from journeybook.impact.findings import find
from journeybook.impact.goals import read_goals
from journeybook.impact.increments import (
    decisions_of,
    held_out,
    impact_table,
    measure,
    measured_by,
    rows_of,
    same_people,
)
from journeybook.impact.returns import balance
from journeybook.impact.winners import monthly, programme
from journeybook.impact.witnesses import (
    cases_hold,
    claims_hold,
    impact_holds,
    increments_hold,
    planted_effects,
    returns_hold,
    winners_hold,
)
