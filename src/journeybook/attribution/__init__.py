"""Attribution: which channel deserves the credit, and can paths tell at all (page 09).

| module | holds |
|---|---|
| paths | in the engine: the channels of each person's sessions, one after the other |
| rules | rules of thumb: which share of a conversion each touch is given |
| methods | exact removal effects in chains of any order, and the rules beside them |
| findings | what a manager should know |
| witnesses | paths, credit and removal effects made again by another road; the planted shares |
| words | the sentences of the page |
"""

from journeybook.attribution.findings import find
from journeybook.attribution.methods import Attribution, attribute
from journeybook.attribution.paths import channel_paths
from journeybook.attribution.witnesses import (
    beside_planted,
    hold_against_truth,
    known_shares,
    recount,
    with_planted,
)
from journeybook.attribution.words import (
    say_credit,
    say_first,
    say_paths,
    say_removed,
    say_truth,
    short_name,
)
