"""What a report's checks amount to."""

from journeybook.report.trust import trust


def made(name, kind="witness", passed=True):
    return {"name": name, "kind": kind, "passed": passed}


def test_each_kind_is_counted_for_itself():
    found = trust(
        [
            ("11", made("a")),
            ("11", made("b", passed=False)),
            ("11", made("rows in, rows out", "conservation")),
            ("11", made("planted share", "known_miss", passed=False)),
        ]
    )
    assert (found.witnesses, found.witnesses_passed) == (2, 1)
    assert (found.conservation, found.conservation_passed) == (1, 1)
    assert (found.known_misses, found.failed) == (1, 1)


def test_a_check_without_data_counts_once_over_variants_and_fails_where_one_fails():
    sound, broken = made("published", "constant"), made("published", "constant", passed=False)
    assert trust([("11", sound), ("11.ongoing", sound)]).witnesses == 1
    assert trust([("11", broken), ("11.ongoing", sound)]).failed == 1
    assert trust([("11", made("a")), ("11.ongoing", made("a"))]).witnesses == 2


def test_a_known_miss_that_is_hit_is_a_witness():
    found = trust([("08", made("planted share", "known_miss"))])
    assert (found.witnesses, found.known_misses) == (1, 0)
