"""Somebody's own files, written for a test and read as the data set `files` reads them."""

from pathlib import Path

import ibis
import pandas as pd
import pytest

from journeybook.datasets.files import TableCheck, build_files, open_checked
from journeybook.errors import JourneybookError

SHOP = """InvoiceNo,CustomerID,InvoiceDate,Quantity,UnitPrice,Country
536365,17850.0,2010-12-01 08:26:00,6,2.55,United Kingdom
536366,13047.0,2010-12-01 08:28:00,2,3.39,France
C536379,,2010-12-01 09:41:00,-1,27.50,United Kingdom
536367,13047.0,2010-12-02 10:03:00,3,1.25,France
"""
SHOP_COLUMNS = {"customer_id": "CustomerID", "occurred_at": "InvoiceDate", "revenue": "Quantity * UnitPrice"}


ENGINE = ibis.duckdb.connect()


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def block(path: str, columns: dict | None = None, **more) -> dict:
    return {"path": path, "columns": SHOP_COLUMNS if columns is None else columns, **more}


def build(folder: Path, files: dict, *, timezone: str = "Europe/London") -> dict[str, pd.DataFrame]:
    build_files(ENGINE, folder / "tables", files=files, timezone=timezone, base=folder)
    made = sorted((folder / "tables" / "raw").glob("*.parquet"))
    return {path.stem: ENGINE.read_parquet(path).order_by("row").to_pandas() for path in made}


def transactions(folder: Path, text: str | bytes = SHOP, *, name: str = "shop.csv", **more) -> pd.DataFrame:
    return build(folder, {"transactions": block(write(folder, name, text), **more)})["transactions"]


def check_files(files: dict, *, base: Path, timezone: str = "UTC") -> list[TableCheck]:
    with open_checked(files=files, base=base, timezone=timezone) as found:
        return [check for check, _ in found]


def refusal(folder: Path, files: dict) -> str:
    with pytest.raises(JourneybookError) as problem:
        build(folder, files)
    message = str(problem.value)
    assert message.endswith((".", "?")) and "\n" not in message
    assert list((folder / "tables").glob(".staged*")) == []
    return message


def buy(folder: Path, column: str, values, *, refused: bool = False, **more):
    """Transactions whose `column` has these values: the table, or the message that refuses them."""
    rows = {"customer_id": "c1", "occurred_at": "2024-05-06", "revenue": "1.50"}
    lines = ["\t".join(rows), *("\t".join(map(str, {**rows, column: v}.values())) for v in values)]
    files = {"transactions": block(write(folder, "t.csv", "\n".join(lines) + "\n"), {n: n for n in rows}, **more)}
    return refusal(folder, files) if refused else build(folder, files)["transactions"]
