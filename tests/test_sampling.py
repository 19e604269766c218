"""One person's leaving changes nobody else's place in a sample."""

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.errors import JourneybookError
from journeybook.tables import in_sample, pseudonym, sample_share

PEOPLE = ibis.memtable(pd.DataFrame({"row": range(1, 2470), "id": [f"C{i}" for i in range(2469)]})).mutate(
    person_id=lambda t: pseudonym(t.id, key="k")
)


def drawn(people: ibis.Table, *, at_most: int, name: str = "people") -> set[str]:
    share = sample_share(int(people.count().execute()), at_most=at_most)
    return set(people.filter(in_sample(people.person_id, people.row, share=share, name=name)).id.to_pandas())


def test_everybody_else_stays_where_one_leaves():
    chosen = drawn(PEOPLE, at_most=1000)
    for left in ("C0", "C1200", min(chosen)):
        # The rows are numbered anew, as page 01 does.
        fewer = PEOPLE.filter(PEOPLE.id != left)
        fewer = fewer.mutate(row=ibis.row_number().over(order_by=fewer.row) + 1)
        assert drawn(fewer, at_most=1000) == chosen - {left}


def test_the_sample_is_about_as_large_as_asked_and_its_members_are_random():
    share = sample_share(2469, at_most=1000)
    chosen = drawn(PEOPLE, at_most=1000)
    # Four standard deviations of a binomial.
    assert abs(len(chosen) - share * 2469) < 4 * np.sqrt(2469 * share * (1 - share))
    other = drawn(PEOPLE, at_most=1000, name="other")
    assert abs(len(chosen & other) - share**2 * 2469) < 4 * np.sqrt(2469 * share**2 * (1 - share**2))


@pytest.mark.parametrize("n", [11, 100, 999, 12_345, 10_000_000])
def test_the_share_is_never_above_what_was_asked_and_loses_less_than_an_eighth(n):
    share = sample_share(n, at_most=10)
    assert 10 / n * 7 / 8 < share <= 10 / n


def test_the_share_moves_at_eight_sizes_in_a_doubling_only():
    assert len({sample_share(n, at_most=1000) for n in range(2000, 4001)}) == 9


def test_rows_without_a_person_are_drawn_by_number():
    guests = ibis.memtable(pd.DataFrame({"row": range(1, 4001)})).mutate(person_id=ibis.null("string"))
    kept = guests.filter(in_sample(guests.person_id, guests.row, share=0.25, name="contacts"))
    assert abs(kept.count().execute() - 1000) < 4 * np.sqrt(4000 * 0.25 * 0.75)


def test_a_sample_of_nobody_is_an_error():
    with pytest.raises(JourneybookError, match="at least 1"):
        sample_share(10, at_most=0)
