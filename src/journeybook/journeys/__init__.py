"""What people did, one step after the other: shared by pages 08 and 09.

| module | holds |
|---|---|
| visitors | in the engine: whose event it is, groups of people for the bootstrap |
| sessions | what a session is, which count, where each is cut |
| links | steps of events or of paths with their numbers, and each with what came before it |
| by_hand | the same once more in plain pandas, for the checks of the pages |
"""

from journeybook.journeys.links import default_conversion, steps_of
from journeybook.journeys.sessions import CONVERSION, EXIT, START, clock, computed, said
