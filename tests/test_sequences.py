"""Files that hold one session a line, MSNBC's among them."""

import os
from pathlib import Path

import ibis
import numpy as np
import pytest

from journeybook.clickstream.counts import count_steps
from journeybook.datasets.files import build_files
from journeybook.datasets.sequences import session_rows
from journeybook.errors import JourneybookError
from journeybook.journeys.sessions import EXIT, START

HEAD = "% Different categories found in input file:\n\nfrontpage news tech\n\n\n% Sequences:\n\n"
MSNBC = Path(os.environ.get("JOURNEYBOOK_DATA", ".")) / "msnbc" / "msnbc990928.seq"


def read_sessions(path: Path) -> ibis.Table:
    """The events of a file that holds one session a line."""
    connection = ibis.duckdb.connect()
    rows = "SELECT row_number() OVER () AS row, session_id, event, CAST(position AS BIGINT) AS position"
    connection.raw_sql(f"CREATE TEMP TABLE sessions AS {rows} FROM {session_rows(connection.con, path)}")
    return connection.table("sessions")


def written(folder: Path, text: str) -> Path:
    path = folder / "visits.seq"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_stand_for_the_names_of_the_head(tmp_path):
    found = read_sessions(written(tmp_path, HEAD + "1 1 \n2 \n3 2  1\n")).order_by("row").to_pandas()
    assert found["session_id"].tolist() == ["1", "1", "2", "3", "3", "3"]
    assert found["position"].tolist() == [1, 2, 1, 1, 2, 3]
    assert found["event"].tolist() == ["frontpage", "frontpage", "news", "tech", "news", "frontpage"]
    assert found["row"].tolist() == [1, 2, 3, 4, 5, 6]


def test_without_a_head_events_are_what_is_written(tmp_path):
    found = read_sessions(written(tmp_path, "home item\n\n7 home\n")).order_by("row").to_pandas()
    assert found["event"].tolist() == ["home", "item", "7", "home"]
    assert found["session_id"].tolist() == ["1", "1", "2", "2"]


def test_a_file_without_sessions_is_named(tmp_path):
    with pytest.raises(JourneybookError, match=r"visits\.seq' holds no session"):
        read_sessions(written(tmp_path, HEAD))


def test_such_a_file_can_be_the_users_events(tmp_path):
    written(tmp_path, HEAD + "1 1 \n2 \n3 2 1\n")
    block = {"path": "visits.seq", "options": {"layout": "sessions"},
             "columns": {"session_id": "session_id", "position": "position", "event": "event"}}  # fmt: skip
    connection = ibis.duckdb.connect()
    build_files(connection, tmp_path / "tables", files={"events": block}, timezone="UTC", base=tmp_path)
    found = connection.read_parquet(tmp_path / "tables/raw/events.parquet").order_by("row").to_pandas()
    assert found["event"].tolist() == ["frontpage", "frontpage", "news", "tech", "news", "frontpage"]
    assert found["position"].tolist() == [1, 2, 1, 1, 2, 3]


def test_another_layout_is_refused(tmp_path):
    written(tmp_path, "a b\n")
    block = {"path": "visits.seq", "options": {"layout": "matrix"}, "columns": {"event": "event"}}
    with pytest.raises(JourneybookError, match="layout is 'matrix': it can only be sessions"):
        build_files(ibis.duckdb.connect(), tmp_path, files={"events": block}, timezone="UTC", base=tmp_path)


# fmt: off
# Steps from the category of the row to that of the column in MSNBC's file, counted line by line in plain Python.
STEPS = np.array("""
418764 73820 23795 27130 8604 30579 28117 8095 3257 18870 27260 41211 1628 35992 5739 1049 5038
45476 222340 10842 11173 3019 9541 6320 6565 2450 7708 3492 10062 427 8528 5872 182 696
16517 7939 71988 3622 1411 2846 741 1256 4817 2505 2988 4192 727 2716 2676 26 655
21565 11305 3630 224891 1488 5017 21496 4028 7293 2556 2490 3228 2218 4245 901 61 264
5787 2739 851 800 118987 2228 327 892 1346 535 771 640 164 631 1763 247 75
18177 10718 5930 7075 2776 143982 36783 4434 7672 6445 2814 4064 2813 3430 11516 371 202
25214 3269 812 33018 303 29210 177517 1021 7399 2074 454 955 7984 2719 930 28 126
6241 8173 1477 3351 944 3225 2583 329235 3100 1005 987 1320 1857 2372 302 29 81
10065 4204 5304 9981 2807 3786 9541 4718 80559 1090 2046 4049 5071 672 44 8 14
11944 7191 2830 1826 835 4608 2030 729 1172 67908 1540 2209 154 1141 2249 34 239
19014 3992 1816 2368 1505 2977 643 677 1231 1619 30540 1445 318 1762 1471 21 2933
27158 8577 5681 3362 1023 2937 1566 1391 5536 2414 1765 129836 947 5329 1252 68 279
2898 191 601 1801 99 1501 8438 2443 3748 106 312 623 119008 18090 16 12 2
26361 4829 2557 3353 567 2180 3342 1497 1470 955 1300 2865 9731 252592 828 511 245
3514 4953 2408 1043 2487 6575 2037 429 201 2850 2154 1130 65 1355 13450 29 156
691 225 32 46 141 287 27 16 19 49 18 50 9 405 45 22145 2
3707 784 371 337 187 372 550 144 66 281 1611 278 18 262 145 2 4456
""".split(), dtype=int).reshape(17, 17)  # noqa: SIM905
# fmt: on


@pytest.fixture(scope="module")
def msnbc():
    """The file's events."""
    if "JOURNEYBOOK_DATA" not in os.environ:
        pytest.skip("1 witness needs msnbc/msnbc990928.seq under JOURNEYBOOK_DATA")
    assert MSNBC.is_file(), f"JOURNEYBOOK_DATA is set, but {MSNBC} is not there"
    return read_sessions(MSNBC)


@pytest.mark.slow
def test_msnbc_has_the_published_totals(msnbc):
    sizes = msnbc.group_by("session_id").aggregate(n=msnbc.count())
    found = sizes.aggregate(n=sizes.count(), views=sizes.n.sum(), one=(sizes.n == 1).sum(), most=sizes.n.max())
    assert tuple(found.to_pandas().iloc[0]) == (989_818, 4_698_794, 365_435, 14_795)


@pytest.mark.slow
def test_msnbc_counts_of_steps(msnbc):
    names = MSNBC.read_text().splitlines()[2].split()
    counts = count_steps(msnbc, conversion=None, session_gap_minutes=30)
    assert (counts.n_events, counts.n_sessions) == (4_698_794, 989_818)
    total = counts.counts.groupby(["source", "target"])["n"].sum().unstack(fill_value=0)
    np.testing.assert_array_equal(total.loc[names, names].to_numpy(), STEPS)
    assert STEPS.sum() == 4_698_794 - 989_818
    assert total.loc[names, EXIT].sum() == total.loc[START].sum() == 989_818
