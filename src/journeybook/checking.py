"""`journeybook check`: what was understood of the data, and what pages would refuse of it, before anything runs.

Ranges of parameters are held when these are read (`report.ranges`). What needs the data is asked of the pages' own
functions, so that nothing is judged here by another rule than there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import ibis
import pandas as pd

from journeybook.datasets.files import TableCheck, open_checked
from journeybook.errors import JourneybookError, TooLittle
from journeybook.report.listing import indented
from journeybook.report.params import RunParameters
from journeybook.report.planning import Step, plan
from journeybook.statistics import stream
from journeybook.tables import kept_in_engine, sample_share

WILL_RUN = "will run"
# Pages that ask how customers buy; of a large file this many customers are asked first, all their rows of each.
_OF_CUSTOMERS = ("06_lifetime_value", "13_recommendation")
_SOME = 20_000
Values = dict[str, Any]
Tables = Mapping[str, ibis.Table]


def check_lines(parameters: RunParameters) -> Iterator[str]:
    """What a run would do, and what was understood of each table; nothing is executed, nothing is left.

    Raises:
        JourneybookError: What the data are read by, or what a page does, cannot be done; one sentence each.
    """
    if parameters.dataset != "files":
        yield f"{parameters.dataset} comes with journeybook: nothing of yours to check."
        yield "Parameters and data can be used."
        return
    source, refusals = parameters.source, []
    asked = {name: source[name] for name in ("files", "base", "timezone")}
    with open_checked(**asked) as found:
        tables = {check.table: _usable(check, rows) for check, rows in found}
        far = _far_rows([check for check, _ in found], tables, parameters)
        for check, _ in found:
            yield from _table_lines(check, n_far=far.get(check.table, 0))
            yield from _broken_rules(check, tables[check.table])
        barred: set[str] = set()
        ends = [check.period[1] for check, _ in found if check.period]
        last = min(max(map(datetime.fromisoformat, ends), default=datetime.min), datetime(9999, 12, 30))
        end = last.replace(hour=0, minute=0) + timedelta(days=1)
        some = dict(drawn for check, rows in found for drawn in _of_some(check, rows))
        for step in plan(parameters.pages, raw=list(tables)):
            said = _page(step, tables, barred, some=some, end=end)
            barred |= set() if said.startswith(WILL_RUN) else {step.name}
            if step.run.page.name == "04_enrichment" and said == WILL_RUN:
                tables |= {"features": features_by_name(step.run.values, tables)}
            yield f"{step.name:<32} {said}"
            refusals += [f"{step.name}: {said.removeprefix('REFUSED: ')}"] if said.startswith("REFUSED") else []
    if refusals:
        raise JourneybookError("\n".join(refusals))
    yield "Parameters and data can be used."


def _usable(check: TableCheck, rows: ibis.Table) -> ibis.Table:
    """The rows that do not go to quarantine, numbered also where they were read in no order."""
    rows = rows.filter(rows.unconverted.isnull()).drop("unconverted")
    return rows if check.n_tried == check.n_rows else rows.mutate(row=ibis.row_number())


def _of_some(check: TableCheck, rows: ibis.Table) -> Iterator[tuple[str, ibis.Table]]:
    """All rows of some customers, drawn by a hash of their id, where a table is too large to be asked whole."""
    n = check.n_ids.get("customer_id", 0)
    if check.table == "transactions" and check.n_tried < check.n_rows and n > _SOME:
        drawn = (ibis.literal("check: ") + rows.customer_id).hash().abs() % 2**20
        some = rows.filter(drawn < sample_share(n, at_most=_SOME) * 2**20)
        # Held: rows of a large file are read and converted each time that they are asked for.
        yield check.table, kept_in_engine(_usable(check, some))


def _far_rows(found: Sequence[TableCheck], tables: Tables, parameters: RunParameters) -> dict[str, int]:
    """For each table the rows that page 01 will set aside for their dates; read once more where days lie apart."""
    from journeybook.collection.far import LONG, is_far, near_dates

    if max(check.longest_gap for check in found) <= LONG:
        return {}
    values = next(run.values for run in parameters.pages if run.name == "01_collection")
    near = near_dates(tables, **{f"{end}_given": values[f"{end}_day"] is not None for end in ("first", "last")})
    return {
        name: int(tables[name].filter(is_far(tables[name], column, span)).count().execute())
        for (name, column), span in near.items()
        if any(span) and column == "occurred_at"
    }


def _broken_rules(found: TableCheck, rows: ibis.Table) -> Iterator[str]:
    """The rows that page 01 will put into quarantine by the table's own rules; of a large file it alone tells."""
    from journeybook import collection

    if found.n_tried == found.n_rows:
        seen = collection.collect({found.table: rows}, first_day="1000-01-01", last_day="9998-12-31")
        for one in seen.problems.itertuples():
            said = f"{one.n_rows:,} row{'s' if one.n_rows > 1 else ''} for quarantine: {one.column} {one.problem}."
            yield indented(said, by=4)


def _table_lines(found: TableCheck, *, n_far: int) -> Iterator[str]:
    """What was understood of one table; values are shown by their shape alone."""
    files = f"{found.n_files} file{'s' if found.n_files != 1 else ''}"
    tried = "them" if found.n_tried == found.n_rows else f"the first {found.n_tried:,}"
    told = [f"{found.n_rows:,} rows in {files}", f"{found.n_unconverted:,} of {tried} for quarantine"]
    told += [" to ".join(found.period)] if found.period else []
    told += [f"about {min(n, found.n_rows):,} {name}" for name, n in found.n_ids.items()]
    told += [f"amounts in {' and '.join(found.currencies)}"] if found.currencies else []
    yield indented(f"{found.table}: {'; '.join(told)}.", by=0)
    for name, before, after, lost in found.examples:
        said = f"{before} -> {after}" if before else "no value in any row read"
        said += "    (the same in every row)" if name in found.alike else ""
        yield f"    {name:<16} {said}" + (f"    ({lost:.1%} does not convert)" if lost else "")
    yield from (indented(note, by=4) for note in found.notes)
    if n_far:
        said = f"{n_far:,} row{'s' if n_far > 1 else ''} dated far from all others, also for quarantine; "
        yield indented(f"{said}first_day and last_day of 01_collection override this.", by=4)


def _page(step: Step, tables: Tables, barred: set[str], *, some: Tables, end: datetime) -> str:
    """What would become of a page, as far as its parameters and the raw tables tell.

    Customers of whom some are enough are enough; what is too little of some is asked of all. Functions are given
    a page's parameters and `end`, the first midnight after the last row.
    """
    if step.missing:
        return f"not possible: it needs {step.missing}"
    if lacking := sorted(barred & set(step.needs)):
        return f"not possible: it needs {lacking[0]}"
    asked, values = _ASKED.get(step.run.page.name), step.run.values | {"end": end}
    if asked and some and step.run.page.name in _OF_CUSTOMERS:
        with suppress(ValueError, TooLittle):
            asked(values, {**tables, **some})
            return f"{WILL_RUN}, as all rows of about {_SOME:,} customers say"
    try:
        if asked:
            asked(values, tables)
    except TooLittle as reason:
        return f"not possible: {reason}"
    except ValueError as reason:
        return f"REFUSED: {reason}"
    return WILL_RUN


# --- what the pages' functions would refuse -----------------------------------------------------------


def _cleaning(values: Values, tables: Tables) -> None:
    from journeybook.cleaning.transactions import check_key

    if "transactions" in tables:
        check_key(values["unique_key"], tables["transactions"].columns)


def _identity(values: Values, tables: Tables) -> None:
    from journeybook.identity.comparison import blocking_rules

    blocking_rules(values["blocking"], columns=tables["customer_records"].columns)


def _enrichment(values: Values, tables: Tables) -> None:
    from journeybook import enrichment

    if values["as_of"] is not None:
        last = enrichment.last_date(values["end"], as_of=values["as_of"])
        enrichment.snapshot_dates(enrichment.first_receipt(tables["transactions"]), last=last, max_snapshots=1)


def features_by_name(values: Values, tables: Tables) -> ibis.Table:
    """Return the features that page 04 makes of the raw tables, without a row: their names are what counts.

    Shares of all groups are among them, for which groups are the largest depends on the clean rows, and all that
    events and contacts may tell.
    """
    from journeybook import enrichment

    lines, products, some = _of_people(tables["transactions"]), tables.get("products"), datetime.max
    n_groups = 10**9 if values["n_groups"] else 0
    groups = enrichment.largest_groups(lines, products, before=some, n_groups=n_groups)
    none = lines.limit(0)
    made = enrichment.feature_snapshots(none, as_of_dates=[some], products=products, groups=groups, hours=True)
    made = enrichment.add_habits(made, none, as_of_dates=[some], products=products)
    told = {
        name
        for name, (*_, source, _) in enrichment.FEATURES.items()
        if source in {"events", "contacts"} & {*tables}
    }
    made = made.mutate(**{name: ibis.null("float64") for name in sorted(told)})
    third_party = _of_people(tables["third_party"]) if "third_party" in tables else None
    return enrichment.join_third_party(made, third_party, places=None).limit(0)


def _segments(values: Values, tables: Tables) -> None:
    from journeybook.segmentation import check_columns

    check_columns(values["columns"], tables["features"].columns)


def _privacy(values: Values, tables: Tables) -> None:
    from journeybook.privacy.anonymity import check_anonymity

    asked = {name: values[name] for name in ("k", "l_diversity", "max_suppressed")}
    check_anonymity(values["known_outside"], **asked)


def _lifetime_value(values: Values, tables: Tables) -> None:
    from journeybook import lifetime_value

    lines, end = _of_people(tables["transactions"]), values["end"]
    first = lines.occurred_at.min().to_pyarrow().as_py()
    split = lifetime_value.split_of(first, end=end, holdout_weeks=values["holdout_weeks"])
    days, window = kept_in_engine(lifetime_value.purchase_days(lines)), end - split
    found = [lifetime_value.customer_summary(days, split=at, end=at + window) for at in (split, split - window)]
    lifetime_value.check_customers(*found)


def _contacts(values: Values, tables: Tables) -> None:
    from journeybook import channel_response

    rows = _of_people(tables[values["contacts"]])
    sent = channel_response.contact_frame(rows, tables.get("features"), max_rows=values["max_contacts"])
    split = channel_response.split_contacts(
        sent,
        **{name: values[name] for name in ("test_share", "calibration_share", "response_window_days")},
        rng=stream(0, "split"),
    )
    declared = {name: values[name] for name in ("known_after_contact", "known_before_contact")}
    if "features" in tables:
        channel_response.check_declared(sent, **declared)
    else:
        channel_response.leak_gate(sent, split, **declared, max_single_auc=values["max_single_auc"])
    channel_response.person_types(sent, None, column=values["person_type"])


def _events(values: Values, tables: Tables) -> None:
    from journeybook.clickstream.funnels import check_stages
    from journeybook.clickstream.groups import check_groupings
    from journeybook.journeys.links import check_ends
    from journeybook.journeys.sessions import check_labels

    if "events" not in tables:
        check_ends(values["conversion"])
        return
    labels = sorted(tables["events"].event.cast("string").topk(100_000).event.to_pandas().dropna())
    check_labels(labels)
    if values.get("funnel") is not None:
        check_stages(values["funnel"], set(labels))
    steps = tables["events"].mutate(session=1, known=True)
    check_groupings(steps, values.get("group_by") or (), segments=tables.get("transactions"))


def _experiment(values: Values, tables: Tables) -> None:
    from journeybook import experiments
    from journeybook.collection.validity import NO_NAMES
    from journeybook.experiments.health import sample_ratio

    table = values["experiment"]
    source = next(kind for kind in (table, f"{table}_values", f"{table}_arms") if kind in tables)
    rows = _of_people(tables[source])
    acted = _of_people(tables[values["outcomes"]]) if values["outcomes"] in tables else None
    how = {name: values[name] for name in ("aggregates", "window_days", "pre_days")}
    named = rows.variant.notnull() & rows.variant.strip().lower().notin(NO_NAMES)
    made = experiments.units_from_rows(rows.filter(named), acted, **how)
    everybody = made.units.order_by("row").to_pandas()
    everybody = experiments.with_zeros(everybody, columns=values["empty_is_zero"])
    everybody = experiments.summed_arms(everybody) if source.endswith("_arms") else everybody
    units, _ = experiments.units_in_arms(everybody, units_in_two_arms=values["units_in_two_arms"])
    declared = experiments.measures(units, metrics=values["metrics"], covariates=values["covariates"])
    units = experiments.ripe_units(units, measured=declared).units
    levels = {"alpha": values["alpha"], "power": values["power"]}
    planned = experiments.read_plan(values["plan"], measured=declared, units=units, **levels)
    experiments.is_over(planned, units)
    analysed = experiments.by_cluster(units, measured=declared, control=values["control"])
    given = {"measured": analysed.measured, "control": values["control"]}
    experiments.lower_is_better(analysed.measured, plan=planned, given=values["higher_is_better"])
    sample_ratio(analysed.units["variant"].astype(str).value_counts().to_dict(), shares=values["shares"])
    experiments.compare(analysed.units, **given, alpha=planned.alpha, rng=stream(0, "quantiles"))


def _design(values: Values, tables: Tables) -> None:
    from journeybook import experiment_design

    units = experiment_design.last_units(tables.get(values["experiment"]))
    given = {name: values[name] for name in ("metrics", "covariates", "baseline")}
    experiment_design.spread(units, **given)


def _recommendation(values: Values, tables: Tables) -> None:
    from journeybook import recommendation

    lines, end = _of_people(tables["transactions"]), values["end"]
    found = recommendation.read_purchases(lines, end=end, test_weeks=values["test_weeks"])
    products = tables["products"].to_pandas() if "products" in tables else None
    offer = {name: values[name] for name in ("n_products", "least_buyers")}
    recommendation.catalogue_of(found, products, before=found.window, **offer)


def _costs(values: Values, tables: Tables) -> None:
    from journeybook.decisions import check_group
    from journeybook.decisions.choices import NO_CONTACT, price_list
    from journeybook.decisions.rules import read_rules
    from journeybook.identity import golden_profiles, golden_values

    rows = tables[values["contacts"]]
    known = rows.channel.fill_null("unknown") if "channel" in rows.columns else ibis.literal("all")
    channels = rows.select(channel=known).distinct().to_pandas()["channel"]
    messages = tuple(sorted(name for name in channels if name != NO_CONTACT))
    price_list(values["costs"], messages, value_per_response=1.0)
    there = [rows.columns, *(tables[name].columns for name in ("features",) if name in tables)]
    if "customer_records" in tables:
        nobody = pd.DataFrame({"customer_id": [], "person_id": []}, dtype="str")
        records = tables["customer_records"].limit(0)
        there.append(golden_profiles(records, nobody, golden_values(records, nobody)).columns)
    check_group(values["fairness_by"], there)
    for path in (values["rules"], values["rules_before"]):
        read_rules(path, dataset="files", as_of=datetime.min)


def _goals(values: Values, _tables: Tables) -> None:
    from journeybook.impact import read_goals

    read_goals(values["goals"], dataset="files")


def _of_people(rows: ibis.Table) -> ibis.Table:
    """Rows under the names that pages after 02 know."""
    return rows.rename(person_id="customer_id") if "customer_id" in rows.columns else rows


_ASKED: dict[str, Callable[[Values, Tables], None]] = {
    "02_cleaning": _cleaning,
    "03_identity": _identity,
    "04_enrichment": _enrichment,
    "05_segmentation": _segments,
    "06_lifetime_value": _lifetime_value,
    "07_channel_response": _contacts,
    "08_clickstream": _events,
    "09_attribution": _events,
    "10_privacy": _privacy,
    "11_experiments": _experiment,
    "12_experiment_design": _design,
    "13_recommendation": _recommendation,
    "14_decisions": _costs,
    "16_impact": _goals,
}
