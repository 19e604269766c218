"""What each page needs of the data, what it is made from, and so whether it holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from journeybook.report import imports, planning
from journeybook.report.pages import discover
from journeybook.report.params import PageRun, read_parameters


def page(template, name: str, reads: list[str], writes: list[str], **values) -> PageRun:
    base = name.partition(".")[0]
    return PageRun(name, replace(template, name=base, reads=tuple(reads), writes=tuple(writes)), values)


@pytest.fixture
def journey(toy_pages):
    """The pages of the design, by what they read and write."""
    new = toy_pages[0]
    return [
        page(new, "01_collection", ["raw/*"], ["accepted/*", "quarantine", "consents"]),
        page(new, "02_cleaning", ["accepted/*"], ["clean/*"]),
        page(new, "03_identity", ["clean/customer_records"], ["people", "profiles"]),
        page(new, "04_enrichment", ["clean/transactions", "clean/products?", "people?"], ["features"]),
        page(new, "05_segmentation", ["features"], ["segments"]),
        page(new, "07_channel", ["clean/{contacts}", "features?"], ["response_scores"], contacts="contacts"),
        page(
            new, "07_channel.coupons", ["clean/{contacts}", "features?"], ["response_scores"], contacts="coupons"
        ),
        page(new, "08_clickstream", ["clean/events|clean/paths"], ["transitions"]),
        page(new, "09_attribution", ["clean/events|clean/paths"], []),
        page(new, "10_privacy", ["features", "segments?"], ["private_releases"]),
        page(new, "11_experiments", ["clean/{experiment}"], ["comparisons"], experiment="experiment"),
    ]


@pytest.mark.parametrize(
    ("raw", "possible"),
    [
        (["transactions"], {"04_enrichment", "05_segmentation", "10_privacy"}),
        (["contacts"], {"07_channel"}),
        (["coupons"], {"07_channel.coupons"}),
        (["events"], {"08_clickstream", "09_attribution"}),
        (["paths"], {"08_clickstream", "09_attribution"}),
        (["experiment"], {"11_experiments"}),
        (["customer_records", "consents"], {"03_identity"}),
    ],
)
def test_least_data_of_each_page(journey, raw: list[str], possible: set[str]) -> None:
    steps = planning.plan(journey, raw=raw)
    assert {s.name for s in steps if not s.missing} == {"01_collection", "02_cleaning"} | possible


def test_plan_names_the_table_that_is_missing_at_the_root(journey) -> None:
    missing = {s.name: s.missing for s in planning.plan(journey, raw=["contacts"])}
    assert missing["05_segmentation"] == "the table transactions"
    assert missing["10_privacy"] == "the table transactions"
    assert missing["08_clickstream"] == "the table events or the table paths"
    assert missing["07_channel.coupons"] == "the table coupons"


def test_plan_knows_what_each_page_needs(journey) -> None:
    steps = planning.plan(journey, raw=["transactions", "customer_records", "contacts"])
    by_name = {s.name: s for s in steps}
    assert by_name["04_enrichment"].needs == ("02_cleaning",)
    assert by_name["04_enrichment"].uses == ("01_collection", "02_cleaning", "03_identity")
    assert by_name["07_channel"].needs == ("02_cleaning",)
    everybody = ("01_collection", "02_cleaning", "03_identity", "04_enrichment")
    assert by_name["07_channel"].uses == everybody, "the door looks up whose rows they are"
    asked, needed = planning.chosen(steps, ["05_segmentation"])
    assert asked == {"05_segmentation"}
    assert needed == {"01_collection", "02_cleaning", "03_identity", "04_enrichment"}


def test_no_page_reads_the_tables_of_a_variant(journey) -> None:
    steps = planning.plan(journey, raw=["coupons"])
    assert all("07_channel.coupons" not in s.uses for s in steps)
    assert planning.written_files(steps[6], Path("nowhere")) == []


def test_fingerprints_follow_what_a_page_is_made_from(journey, toy_pages, tmp_path: Path) -> None:
    parameters = read_parameters(pages=toy_pages, defaults=tmp_path / "none.yaml")
    steps = planning.plan(journey, raw=["transactions", "contacts"])
    first = planning.page_fingerprints(steps, parameters=parameters, raw=["contacts"], key="k")
    assert first == planning.page_fingerprints(steps, parameters=parameters, raw=["contacts"], key="k")
    for other in ({"raw": ["contacts", "events"], "key": "k"}, {"raw": ["contacts"], "key": "l"}):
        found = planning.page_fingerprints(steps, parameters=parameters, **other)
        assert all(found[name] != first[name] for name in first)
    journey[3] = replace(journey[3], values={"as_of": "2017-06-01"})
    steps = planning.plan(journey, raw=["transactions", "contacts"])
    found = planning.page_fingerprints(steps, parameters=parameters, raw=["contacts"], key="k")
    assert {name for name in first if found[name] != first[name]} == {"04_enrichment"}


def test_a_page_depends_on_the_bytes_of_the_tables_that_it_may_read(journey, tmp_path: Path) -> None:
    steps = {s.name: s for s in planning.plan(journey, raw=["transactions", "contacts", "coupons"])}
    own = "variants/coupons/response_scores"
    files = ["raw/transactions", "clean/contacts", "clean/coupons", "consents", "features", "segments", own]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.parquet").write_text(name, encoding="utf-8")
    (tmp_path / "dataset.json").write_text("lines and notices", encoding="utf-8")

    def prints() -> dict[str, str]:
        return {name: planning.with_inputs("made by", step, tmp_path) for name, step in steps.items()}

    first, changed = prints(), {}
    for path in [*(tmp_path / f"{name}.parquet" for name in files), tmp_path / "dataset.json"]:
        sound = path.read_bytes()
        path.write_bytes(sound[:-1] + b"!")
        name = path.relative_to(tmp_path).with_suffix("").as_posix()
        changed[name] = {page for page, found in prints().items() if found != first[page]}
        path.write_bytes(sound)
    responses = {"07_channel", "07_channel.coupons"}
    assert changed == {
        "raw/transactions": {"01_collection"},
        "dataset": {"01_collection"},
        "clean/contacts": {"07_channel"},
        "clean/coupons": {"07_channel.coupons"},
        "consents": set(steps) - {"01_collection"},
        "features": {"05_segmentation", "10_privacy", *responses},
        "segments": {"10_privacy"},
        own: set(),
    }
    assert prints() == first


def test_a_page_is_made_by_the_modules_it_imports(journey) -> None:
    edges: dict[Path, set[Path]] = {}
    files = {
        page.name: {p.relative_to(imports.PACKAGE).as_posix() for p in imports.reached(page.path, edges=edges)}
        for page in discover()
    }
    assert "privacy/__init__.py" in files["10_privacy"]
    assert {"__init__.py", "tables/door.py", "tables/consent.py", "results.py"} <= files["10_privacy"]
    assert not any(name.startswith(("report/", "experiments/", "cli")) for name in files["10_privacy"])
    whole = {p.relative_to(imports.PACKAGE).as_posix() for p in imports.PACKAGE.glob("*/*.py")}
    # `journeybook score`, `map` and `release` need no page.
    release = ("asking", "bounding", "card", "composing", "ledger", "mechanisms", "publishing", "scanning")
    apart = ("report/", "datasets/", "proposing/", "channel_response/scoring", *(f"privacy/{n}" for n in release))
    rest = {name for name in whole if not name.startswith(apart)}
    assert rest <= set().union(*files.values()), "every module is some page's"


def test_a_changed_file_of_the_user_is_other_data(toy_pages, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n", encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text("{dataset: files, files: {transactions: {path: '*.csv'}}}", encoding="utf-8")
    parameters = read_parameters(own, pages=toy_pages, defaults=tmp_path / "none.yaml")
    before = planning.data_fingerprint(parameters)
    assert planning.data_fingerprint(parameters) == before
    (tmp_path / "b.csv").write_text("x\n1\n2\n", encoding="utf-8")
    assert planning.data_fingerprint(parameters) != before
