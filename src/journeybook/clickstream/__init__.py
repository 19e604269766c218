"""Clickstream: how people move, where they leave, what was broken, what would help most (page 08).

| module | holds |
|---|---|
| counts | sessions to counts of steps, by group of people and by place in the session |
| elasticity | many chains at once; how much conversion grows when a step does |
| intervals | the chain again on resampled people; the tables of steps, states and bottlenecks |
| orders | how many steps back visitors remember |
| groups | do groups and periods differ, state by state |
| faults | a step that was broken for some days |
| funnels | the loose and the strict funnel |
| moments | when an offer changes most; sessions that are open |
| truth | what was planted, and how near the page comes to it |
| witnesses | the delta method, plain pandas from the events |
| findings | what a manager should know |
| words | titles and sentences of the page |
"""

from journeybook.clickstream.counts import walk_sessions
from journeybook.clickstream.faults import find_faults
from journeybook.clickstream.findings import find
from journeybook.clickstream.funnels import funnel
from journeybook.clickstream.groups import compare_groups
from journeybook.clickstream.intervals import (
    bottleneck_table,
    draw_chains,
    pool_rare,
    state_table,
    transition_table,
    without_exits,
)
from journeybook.clickstream.moments import best_moments, live_sessions
from journeybook.clickstream.orders import choose_order
from journeybook.clickstream.truth import hold_against_truth, known_truth
from journeybook.clickstream.witnesses import chain_holds, recount
from journeybook.clickstream.words import (
    first_order_mark,
    say_counts,
    say_if_none,
    say_note,
    say_orders,
    say_when,
    say_without_exits,
)
