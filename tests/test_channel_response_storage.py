"""Page 07, saved models: read back to the last digit, no pickle, nobody in it; and rows that are refused."""

import hashlib
import io
import json
import pickle
import zipfile

import ibis
import numpy as np
import pandas as pd
import pytest
import skops.io
from channel_response_toys import imputer_of
from sklearn.preprocessing import FunctionTransformer

from journeybook.channel_response import contact_frame, split_contacts
from journeybook.channel_response.models import (
    ResponseModel,
    calibrated_model,
    fit_together,
    response_pipelines,
    stacked,
)
from journeybook.channel_response.scoring import score_file, score_rows
from journeybook.channel_response.storage import TRUSTED, pack_model, training_contract, unpack_model
from journeybook.channel_response.witnesses import reading_back
from journeybook.cli import main
from journeybook.errors import JourneybookError
from journeybook.statistics import stream
from journeybook.tables import open_run, write_files

METHODS = {
    "logistic": {"C": 1.0},
    "forest": {"min_samples_leaf": 20},
    "xgboost": {"max_depth": 3, "n_estimators": 30},
}


@pytest.fixture(scope="module")
def learned():
    """Contacts with numbers, missing numbers, levels and rare levels, and a model of each method."""
    rng = np.random.default_rng(21)
    n = 3000
    region = rng.choice(["north", "south", "west"], n).astype(object)
    region[:6] = [f"only-of-person-{i}" for i in range(6)]
    visits = np.round(rng.gamma(2, 3, n), 2)
    rate = 1 / (1 + np.exp(2 - 0.1 * visits))
    table = pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "person_id": [f"secret{i % 600:05d}" for i in range(n)],
            "channel": rng.choice(["email", "sms"], n),
            "responded": rng.random(n) < rate,
            "visits": visits,
            "age_days": np.where(rng.random(n) < 0.1, np.nan, rng.uniform(3.3, 987.6, n)),
            "region": region,
        }
    )
    contacts = contact_frame(ibis.memtable(table), None, max_rows=10_000)
    shares = {"test_share": 0.3, "calibration_share": 0.3, "response_window_days": 0}
    split = split_contacts(contacts, **shares, rng=stream(1, "split"))
    rows = contacts.rows[[*contacts.features, "responded"]]
    fit, calibrate = rows.iloc[split.fit], rows.iloc[split.calibrate]
    pipelines = response_pipelines(
        fit,
        list(METHODS.items()),
        resampling="smote",
        rng=stream(1, "models"),
        imputer=imputer_of(fit, {"age_days": "model"}),
    )
    fit_together(pipelines, fit, stop_on=calibrate)
    parts = dict(zip(METHODS, pipelines, strict=True))
    said = {name: part.predict_proba(calibrate)[:, 1] for name, part in parts.items()}
    parts["stack"] = stacked(dict(parts), calibrate, said=said)
    models = {
        name: calibrated_model(p, calibrate, method=name, resampling="smote", shift=0.0)
        for name, p in parts.items()
    }
    return contacts, split, models


@pytest.fixture(scope="module")
def files(learned) -> dict[str, bytes]:
    contacts, _, models = learned
    return packed(models["xgboost"], contacts)


def packed(model: ResponseModel, contacts) -> dict[str, bytes]:
    return pack_model(model, training_contract(contacts, model), card="# A card\n")


@pytest.mark.parametrize("method", [*METHODS, "stack"])
def test_every_method_is_read_back_to_the_last_digit(learned, method):
    contacts, split, models = learned
    first = packed(models[method], contacts)
    assert reading_back(first, models[method], contacts, split) == 0
    assert packed(models[method], contacts) == first, "the same model, the same bytes"
    # Packing leaves the model in memory as it was: its resampler is still there.
    pipeline = models[method].pipeline
    assert "resample" in (pipeline.estimators_[0] if method == "stack" else pipeline).named_steps


def test_nothing_in_the_files_is_of_one_person(learned):
    contacts, _, models = learned
    rarest = contacts.rows.loc[contacts.rows["age_days"].idxmax(), "age_days"]
    for model in models.values():
        content = packed(model, contacts)
        with zipfile.ZipFile(io.BytesIO(content["model.skops"])) as archive:
            text = b"".join(archive.read(name) for name in archive.namelist()) + content["contract.json"]
        for secret in (b"only-of-person", b"secret0", repr(float(rarest)).encode(), b"SMOTE", b"pickle"):
            assert secret not in text, (model.method, secret)
        assert b"north" in text, "the search would find a name that is there"


def test_only_listed_types_are_saved_and_opened(learned, files, tmp_path):
    contacts, _, models = learned
    for model in models.values():
        content = packed(model, contacts)["model.skops"]
        assert set(skops.io.get_untrusted_types(data=content)) <= set(TRUSTED)
    evil = skops.io.dumps(FunctionTransformer(func=pd.read_pickle))
    contract = json.loads(files["contract.json"]) | {"model_sha256": hashlib.sha256(evil).hexdigest()}
    with pytest.raises(ValueError, match=r"is not opened: .*read_pickle"):
        unpack_model({"model.skops": evil, "contract.json": json.dumps(contract).encode()})
    strange = models["logistic"].pipeline.named_steps["one_hot"]
    kept = strange.transformers_
    strange.transformers_ = [("numbers", FunctionTransformer(np.loadtxt), [0])]
    try:
        with pytest.raises(ValueError, match=r"holds numpy.*loadtxt, which is not on the list"):
            packed(models["logistic"], contacts)
    finally:
        strange.transformers_ = kept


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda c, m: (b"{", m), "cannot be read as a training contract"),
        (lambda c, m: (b"[]", m), "cannot be read as a training contract"),
        (
            lambda c, m: (json.dumps({k: v for k, v in json.loads(c).items() if k != "slope"}).encode(), m),
            "'slope'",
        ),
        (lambda c, m: (c, m[:-40]), "not the file that contract.json was written for"),
        (lambda c, m: (c.replace(b'"format": 1', b'"format": 2'), m), "of format 2, but 1 is needed"),
        (
            lambda c, m: (relabelled(c, libraries={"scikit-learn": "1.2.0"}), m),
            "saved with scikit-learn 1.2.0, but",
        ),
        (lambda c, m: stamped(c, b"no zip at all"), "model.skops cannot be read (BadZipFile)"),
        (lambda c, m: stamped(c, pickle.dumps(1)), "model.skops cannot be read (BadZipFile)"),
    ],
)
def test_damaged_files_are_one_sentence(files, damage, sentence):
    contract, model = damage(files["contract.json"], files["model.skops"])
    with pytest.raises(ValueError) as stopped:
        unpack_model({"contract.json": contract, "model.skops": model})
    assert sentence in str(stopped.value)
    assert "\n" not in str(stopped.value)


def relabelled(contract: bytes, **changed) -> bytes:
    return json.dumps(json.loads(contract) | changed).encode()


def stamped(contract: bytes, model: bytes) -> tuple[bytes, bytes]:
    return relabelled(contract, model_sha256=hashlib.sha256(model).hexdigest()), model


def test_the_contract_is_what_the_contacts_held(learned):
    contacts, _, models = learned
    columns = {c.name: c for c in training_contract(contacts, models["xgboost"])}
    assert set(columns) == {"visits", "age_days", "region", "channel"}
    assert columns["region"].levels == ("north", "south", "west")
    assert columns["region"].others
    assert columns["channel"].levels == ("email", "sms")
    assert not columns["channel"].others
    assert columns["age_days"].missing
    assert not columns["visits"].missing
    # 3.3 to 987.6: two digits of the width are tens.
    assert (columns["age_days"].low, columns["age_days"].high) == (0.0, 990.0)
    assert columns["visits"].high >= contacts.rows["visits"].max()


# --- journeybook score -------------------------------------------------------------------------------------------


@pytest.fixture
def saved(files, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def rows_of(contacts, n: int = 5) -> pd.DataFrame:
    return contacts.rows.iloc[10 : 10 + n][["person_id", "visits", "age_days", "region", "channel"]].reset_index(
        drop=True
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_scores_are_the_models_probabilities(learned, saved, tmp_path, ending, capsys):
    contacts, _, models = learned
    rows = rows_of(contacts)
    wanted = models["xgboost"].probability(rows, calibrated=True)
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    rows.to_csv(source, index=False) if ending == "csv" else rows.to_parquet(source)
    assert main(["score", "--model", str(saved), "--input", str(source), "--output", str(target)]) == 0
    assert capsys.readouterr().out == f"Written: {target}\n"
    found = pd.read_csv(target) if ending == "csv" else pd.read_parquet(target)
    assert found["person_id"].tolist() == rows["person_id"].tolist()
    assert found["probability"].to_numpy() == pytest.approx(wanted, rel=1e-12)
    assert list(found) == ["person_id", "probability"]
    assert main(["score", "--model", str(saved), "--input", str(source)]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert printed["probability"].to_numpy() == pytest.approx(wanted, rel=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["model", source.name, target.name])


def test_rows_without_ids_are_numbered_and_rare_levels_are_pooled(learned, files):
    contacts, _, models = learned
    rows = (
        rows_of(contacts)
        .drop(columns="person_id")
        .assign(region=["north", "never met", "only-of-person-3", "", "west"])
    )
    found = score_rows(unpack_model(files), rows)
    assert found["row"].tolist() == [1, 2, 3, 4, 5]
    pooled = models["xgboost"].probability(rows.assign(region="rare level"), calibrated=True)
    assert found["probability"].iloc[1:4].tolist() == pooled[1:4].tolist()


def csv(rows: pd.DataFrame, **changed) -> str:
    for name, value in changed.items():
        rows[name] = rows[name].astype("object")
        rows.loc[2, name] = value
    return rows.to_csv(index=False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lambda r: csv(r, visits="abc"), "visits in row 3 is 'abc': a number is needed."),
        (lambda r: csv(r, visits="-0.5"), "visits in row 3 is '-0.5': the model knows 0 to "),
        (lambda r: csv(r, visits="inf"), "visits in row 3 is 'inf': the model knows 0 to "),
        (lambda r: csv(r, visits=None), "visits in row 3 is 'missing': the model never met that."),
        (lambda r: csv(r, age_days="99999"), "age_days in row 3 is '99999': the model knows 0 to 990."),
        (lambda r: csv(r, channel="pigeon"), "channel in row 3 is 'pigeon': the model knows email, sms."),
        (lambda r: csv(r.assign(channel="fax")), "channel in row 1 is 'fax' and in 4 rows more: the model knows"),
        (
            lambda r: csv(r.drop(columns=["visits", "region"])),
            "no column visits, region; the model needs visits, age",
        ),
        (lambda r: csv(r).replace(",", ";"), "no column visits, age_days, region, channel"),
        (lambda r: csv(r.iloc[:0]), "there are no rows to score."),
        (lambda r: "", "no column visits, age_days, region, channel; the model needs"),
        (lambda r: csv(r) + "x,1,2\n", "it cannot be read: row 6 has 3 fields, the header 5."),
        (lambda r: csv(r) + "x,1,2,north,sms,7\n", "it cannot be read: row 6 has 6 fields, the header 5."),
        (lambda r: csv(r).replace("age_days", "visits", 1), "two columns are named 'visits'"),
    ],
)
def test_rows_that_break_the_contract_are_refused_whole(learned, saved, tmp_path, capsys, text, sentence):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text(rows_of(learned[0])))
    target.write_text("kept")
    assert main(["score", "--model", str(saved), "--input", str(source), "--output", str(target)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("journeybook: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert target.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "model", "out.csv"]


def test_files_that_are_not_there_or_cannot_be_read(learned, saved, tmp_path):
    good = tmp_path / "in.csv"
    rows_of(learned[0]).to_csv(good, index=False)
    with pytest.raises(
        JourneybookError, match=r"there is no model.skops and no contract.json; page 07 writes them"
    ):
        score_file(tmp_path, good, None)
    with pytest.raises(JourneybookError, match=r"none.csv: there is no such file"):
        score_file(saved, tmp_path / "none.csv", None)
    with pytest.raises(JourneybookError, match="there is no such file"):
        score_file(saved, tmp_path, None)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(JourneybookError, match=r"bad.parquet: it cannot be read"):
        score_file(saved, tmp_path / "bad.parquet", None)
    (tmp_path / "bad.csv").write_bytes(b"visits,region\n\xff\xfe\x00,1\n")
    with pytest.raises(JourneybookError, match=r"bad.csv: it cannot be read"):
        score_file(saved, tmp_path / "bad.csv", None)
    with pytest.raises(JourneybookError, match="it is the input, which is not overwritten"):
        score_file(saved, good, good)
    with pytest.raises(JourneybookError, match="it cannot be written: Cannot save file"):
        score_file(saved, good, tmp_path / "no folder" / "out.csv")
    (saved / "model.skops").write_bytes(b"other")
    with pytest.raises(JourneybookError, match=r"--model .*model.skops is not the file"):
        score_file(saved, good, None)


def test_a_run_keeps_the_files_beside_its_tables(tmp_path):
    described = {
        "dataset": "files",
        "seed": 1,
        "scale": 1.0,
        "timezone": "UTC",
        "as_of": None,
        "ledger_as_of": None,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described | {"tables": {}, "dataset": "journey_demo"}))
    name, model = "07_channel_response", "models/07_channel_response"
    for page, folder in ((name, model), (f"{name}.other", f"variants/other/{model}")):
        write_files(open_run(tmp_path, page=page), model, {"a.json": b"1", "b.bin": b"2"})
        kept = tmp_path / folder
        assert sorted(path.name for path in kept.iterdir()) == ["a.json", "b.bin"]
        assert (kept / "a.json").read_bytes() == b"1"
        assert (kept / "a.json").stat().st_mode & 0o777 == 0o600
