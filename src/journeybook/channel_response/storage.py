"""A fitted model as files: what is applied, and a contract of the rows it knows. No pickle, no person."""

import copy
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import skops.io
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBClassifier

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.encoding import RARE_LEVEL
from journeybook.channel_response.models import ResponseModel
from journeybook.channel_response.splits import Split

TRUSTED = (
    # Looked through by hand: each rebuilds numbers and runs nothing that the file brings. scikit-learn's own
    # estimators are on the list of skops.
    "numpy.clip",  # the one function a FunctionTransformer may hold
    "numpy.dtype",
    "sklearn.tree._tree.Tree",  # arrays of a tree's nodes
    "sklearn.utils._bunch.Bunch",  # a dictionary
    "xgboost.core.Booster",  # trees in XGBoost's own format
    "xgboost.sklearn.XGBClassifier",
)
"""Types that a saved model may hold besides those that skops trusts; anything else is not opened."""

RARE = "rare level"
"""What stands for every level with fewer than `RARE_LEVEL` rows: their names are not kept."""

FORMAT = 1

_LIBRARIES = ("scikit-learn", "xgboost", "numpy")


@dataclass(frozen=True)
class TrainedColumn:
    """What is known of one column; a row that breaks it is not scored.

    Attributes:
        name: Name of the column.
        kind: "number" or "level".
        low: Least value, rounded outwards so that it is nobody's; None for levels, or if all were missing.
        high: Greatest value, likewise.
        levels: Levels of at least 20 rows, sorted; "missing" stands for no value.
        others: Whether there were rarer levels, which were pooled: then any other level counts as one of them.
        missing: Whether a number was missing.
    """

    name: str
    kind: str
    low: float | None
    high: float | None
    levels: tuple[str, ...]
    others: bool
    missing: bool


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model that was read back, and what it was trained on.

    Attributes:
        model: It reads `columns`, in their order.
        columns: The training contract.
    """

    model: ResponseModel
    columns: tuple[TrainedColumn, ...]


def training_contract(contacts: ContactFrame, split: Split, model: ResponseModel) -> tuple[TrainedColumn, ...]:
    """Return what the contacts held that taught, calibrated or judged the model, column by column of the model.

    Beyond them nobody knows how good it is, so that a row outside is refused.
    """
    rows = contacts.rows.iloc[np.concatenate([split.training, split.test])]
    columns = []
    for name in model.features:
        column = rows[name]
        if pd.api.types.is_float_dtype(column):
            known = column.dropna()
            low, high = _outwards(known.min(), known.max()) if len(known) else (None, None)
            columns.append(TrainedColumn(name, "number", low, high, (), False, bool(column.isna().any())))
        else:
            counts = column.value_counts()
            kept = tuple(sorted(counts.index[counts >= RARE_LEVEL]))
            columns.append(TrainedColumn(name, "level", None, None, kept, len(kept) < len(counts), False))
    return tuple(columns)


def pack_model(model: ResponseModel, columns: tuple[TrainedColumn, ...], *, card: str) -> dict[str, bytes]:
    """Return the files of a model by name, `model.skops`, `card.md`, `contract.json`: the same bytes each time.

    Only what is applied is kept: the resampler stays behind, which remembers rows, and so do the names of rare
    levels, which may belong to one person.

    Args:
        model: Fitted and calibrated.
        columns: As made by `training_contract`.
        card: The model card, in Markdown.

    Raises:
        ValueError: The model holds a type that is not in `TRUSTED`.
    """
    levels = {column.name: column.levels for column in columns if column.kind == "level"}
    content = _same_bytes(skops.io.dumps(_applied(model.pipeline, levels)))
    if strange := sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)):
        raise ValueError(f"the model holds {', '.join(strange)}, which is not on the list of trusted types.")
    contract = {
        "format": FORMAT,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "method": model.method,
        "resampling": model.resampling,
        "slope": model.slope,
        "intercept": model.intercept,
        "is_calibrated": model.is_calibrated,
        "columns": [asdict(column) for column in columns],
    }
    return {
        "model.skops": content,
        "card.md": card.encode(),
        "contract.json": (json.dumps(contract, indent=1) + "\n").encode(),
    }


def unpack_model(files: Mapping[str, bytes]) -> SavedModel:
    """Read a model back from its files.

    Args:
        files: `model.skops` and `contract.json`.

    Raises:
        ValueError: A file is damaged, does not belong to the other, holds a type that is not trusted, or was
            written with another version of a library.
    """
    content = files["model.skops"]
    try:
        contract = json.loads(files["contract.json"])
        kept = {name: contract[name] for name in ("method", "resampling", "slope", "intercept", "is_calibrated")}
        columns = tuple(TrainedColumn(**{**c, "levels": tuple(c["levels"])}) for c in contract["columns"])
        stamp, libraries, form = contract["model_sha256"], contract["libraries"], contract["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"contract.json cannot be read as a training contract ({error}).") from None
    if form != FORMAT:
        raise ValueError(f"contract.json is of format {form}, but {FORMAT} is needed.")
    if hashlib.sha256(content).hexdigest() != stamp:
        raise ValueError("model.skops is not the file that contract.json was written for.")
    for name in _LIBRARIES:
        if _series(libraries.get(name, "none")) != _series(version(name)):
            raise ValueError(
                f"the model was saved with {name} {libraries.get(name, 'none')}, but {version(name)} is installed."
            )
    try:
        pipeline = skops.io.loads(content, trusted=list(TRUSTED))
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise ValueError(f"model.skops is not opened: {' '.join(str(error).split())}") from None
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"model.skops cannot be read ({type(error).__name__}).") from None
    features = tuple(column.name for column in columns)
    return SavedModel(ResponseModel(features=features, pipeline=pipeline, **kept), columns)


def reading_back(files: Mapping[str, bytes], model: ResponseModel, contacts: ContactFrame, split: Split) -> float:
    """Return the largest difference between a model's probabilities and its files', on the test contacts."""
    rows = contacts.rows.iloc[split.test][list(model.features)]
    saved = unpack_model(files)
    known = {column.name: column.levels for column in saved.columns if column.kind == "level"}
    read = rows.assign(**{name: rows[name].where(rows[name].isin(levels), RARE) for name, levels in known.items()})
    apart = saved.model.probability(read, calibrated=True) - model.probability(rows, calibrated=True)
    return float(np.abs(apart).max())


def _outwards(low: float, high: float) -> tuple[float, float]:
    """Round a range outwards, to two digits of its width.

    >>> _outwards(0.0, 1237.6)
    (0.0, 1300.0)
    """
    width = float(high - low) or abs(float(high)) or 1.0
    step = 10.0 ** (np.floor(np.log10(width)) - 1)
    digits = int(max(0, -np.log10(step).round()))
    return round(float(np.floor(low / step) * step), digits), round(float(np.ceil(high / step) * step), digits)


def _applied(fitted: BaseEstimator, levels: Mapping[str, tuple[str, ...]]) -> BaseEstimator:
    """Copy a fitted pipeline or stack without what served only to fit it."""
    fitted = copy.deepcopy(fitted)
    if isinstance(fitted, StackingClassifier):
        parts = {
            name: _applied(part, levels) for name, part in zip(_names(fitted), fitted.estimators_, strict=True)
        }
        fitted.estimators, fitted.estimators_ = list(parts.items()), list(parts.values())
        fitted.named_estimators_.update(parts)
        return fitted
    for _, step in fitted.steps:
        if isinstance(step, ColumnTransformer):
            _forget_rare_levels(step, levels)
        if isinstance(step, XGBClassifier):
            step.set_params(eval_metric=None, early_stopping_rounds=None)
    return Pipeline([(name, step) for name, step in fitted.steps if name != "resample"])


def _names(stack: StackingClassifier) -> list[str]:
    return [name for name, _ in stack.estimators]


def _forget_rare_levels(encoder: ColumnTransformer, levels: Mapping[str, tuple[str, ...]]) -> None:
    """Take the names of rare levels out of a fitted encoder, in place; pooled ones keep their code as `RARE`."""
    for _, part, names in encoder.transformers_:
        steps = [step for _, step in part.steps] if isinstance(part, Pipeline) else [part]
        for step in steps:
            if not isinstance(step, OrdinalEncoder):
                continue
            for i, name in enumerate(names):
                kept = np.isin(step.categories_[i], levels[name])
                places = np.cumsum(~kept)
                pooled = [RARE if at == 1 else f"{RARE} {at}" for at in places[~kept]]
                step.categories_[i] = step.categories_[i].astype(object)
                step.categories_[i][~kept] = pooled


def _same_bytes(saved: bytes) -> bytes:
    """Number the objects and files of a skops archive from 1, and drop its clock and what fills gaps in arrays.

    They are memory addresses, random names, the time, and whatever the memory held before.
    """
    with ZipFile(io.BytesIO(saved)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    numbers: dict[str, str] = {}
    schema = re.sub(
        r'("__id__": |"file": ")([\w-]+)',
        lambda found: found[1] + numbers.setdefault(found[2], str(len(numbers) + 1)),
        parts.pop("schema.json").decode(),
    )
    renamed = {}
    for name, part in parts.items():
        stem, _, ending = name.partition(".")
        renamed[f"{numbers[stem]}.{ending}"] = _without_gaps(part) if ending == "npy" else part
    written = io.BytesIO()
    with ZipFile(written, "w") as archive:
        for name, part in [*sorted(renamed.items()), ("schema.json", schema.encode())]:
            archive.writestr(ZipInfo(name), part, compress_type=ZIP_DEFLATED)
    return written.getvalue()


def _without_gaps(saved: bytes) -> bytes:
    """Write an array of records again with zeros between the fields; any other array is returned as it is."""
    array = np.load(io.BytesIO(saved), allow_pickle=False)
    if array.dtype.names is None:
        return saved
    clean = np.zeros(array.shape, dtype=array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    written = io.BytesIO()
    np.save(written, clean, allow_pickle=False)
    return written.getvalue()


def _series(release: str) -> str:
    """The part of a version in which a saved model may be opened: 1.7 of 1.7.2."""
    return ".".join(release.split(".")[:2])
