"""13 Recommendation: which product next, for whom, and is that better than showing what everybody buys.

purchases.py  who bought what and when; what may be offered; what was known before a day
methods.py    popularity, repeat purchases, item similarity, EASE, ALS, BPR, content
hybrid.py     methods put together by weights learned in a window
lists.py      lists of what scores highest, and how good they are
judging.py    one split by time; settings chosen before it, every two methods compared after it
groups.py     whom lists serve, and which products and brands they show
online.py     a simulated shop: replay, interleaving and A/B, with the truth known
pitfalls.py   four ways to be flattered
use.py        a list of each person with reasons; the saved model
findings.py   what a manager should know
witnesses.py  what the page is held against
words.py      titles, sentences and headline figures
"""

from journeybook.recommendation.findings import find
from journeybook.recommendation.groups import by_brand, by_group, by_product_age
from journeybook.recommendation.judging import Judged, choose, judge, known_before
from journeybook.recommendation.lists import ANY, NEW
from journeybook.recommendation.methods import ease_coefficients
from journeybook.recommendation.online import Online, simulate_online
from journeybook.recommendation.pitfalls import find_pitfalls
from journeybook.recommendation.purchases import catalogue_of, read_purchases
from journeybook.recommendation.use import fit_model, made_up, pack_model, recommend, recommend_newcomers, way_for
from journeybook.recommendation.witnesses import (
    groups_hold,
    lists_hold,
    measures_hold,
    methods_hold,
    online_holds,
    recount,
    worlds_hold,
)
from journeybook.recommendation.words import (
    headline,
    say_chosen,
    say_online,
    say_product_age,
    say_purchases,
    say_ways,
    title_groups,
    title_online,
    title_pitfalls,
    title_ways,
)
