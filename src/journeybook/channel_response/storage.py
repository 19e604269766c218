"""A fitted model as files: what is applied, a contract of the rows it knows, a card. No pickle, no person."""

import copy
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import skops.io
from sklearn.base import BaseEstimator
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from xgboost import XGBClassifier

from journeybook.channel_response.contacts import RARE, RARE_LEVEL, ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import ResponseModel
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison

TRUSTED = (
    # Looked through by hand: each rebuilds numbers and runs nothing that the file brings. scikit-learn's own
    # estimators are on the list of skops.
    "journeybook.channel_response.models.FillIn",  # arithmetic on an Imputer
    "journeybook.statistics.imputation.Imputer",  # arrays of constants and weights
    "numpy.clip",  # the one function a FunctionTransformer may hold
    "numpy.dtype",
    "sklearn.tree._tree.Tree",  # arrays of a tree's nodes
    "sklearn.utils._bunch.Bunch",  # a dictionary
    "xgboost.core.Booster",  # trees in XGBoost's own format
    "xgboost.sklearn.XGBClassifier",
)
"""Types that a saved model may hold besides those that skops trusts; anything else is not opened."""

FORMAT = 1

_LIBRARIES = ("scikit-learn", "xgboost", "numpy")
_KEPT = ("method", "resampling", "slope", "intercept", "is_calibrated")
_JUDGED_ON = {"time": "later contacts", "person": "contacts of other people", "draw": "contacts drawn at random"}
_MEASURES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss (nats)",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


@dataclass(frozen=True)
class TrainedColumn:
    """What is known of one column; a row that breaks it is not scored.

    Attributes:
        name: Name of the column.
        kind: "number" or "level".
        low: Least value, rounded outwards so that it is nobody's; None for levels, or if all were missing.
        high: Greatest value, likewise.
        levels: Levels of at least 20 contacts, sorted; "missing" stands for no value.
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
    """A model that was read back, which reads `columns` in their order, and the training contract of these."""

    model: ResponseModel
    columns: tuple[TrainedColumn, ...]


def training_contract(contacts: ContactFrame, model: ResponseModel) -> tuple[TrainedColumn, ...]:
    """Return what the contacts held, column by column of the model.

    Beyond them nobody knows how good it is, so that a row outside is refused.
    """
    columns = []
    for name in model.features:
        column = contacts.rows[name]
        if pd.api.types.is_float_dtype(column):
            known = column.dropna()
            low, high = _outwards(known.min(), known.max()) if len(known) else (None, None)
            columns.append(TrainedColumn(name, "number", low, high, (), False, bool(column.isna().any())))
        else:
            levels = sorted(set(column))
            kept = tuple(level for level in levels if level != RARE)
            columns.append(TrainedColumn(name, "level", None, None, kept, RARE in levels, False))
    return tuple(columns)


def pack_model(model: ResponseModel, columns: tuple[TrainedColumn, ...], *, card: str) -> dict[str, bytes]:
    """Return the files of a model by name, `model.skops`, `card.md`, `contract.json`: the same bytes each time.

    Only what is applied is kept: the resampler stays behind, which remembers rows.

    Raises:
        ValueError: The model holds a type that is not in `TRUSTED`.
    """
    content = _same_bytes(skops.io.dumps(_applied(model.pipeline)))
    if strange := sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)):
        raise ValueError(f"the model holds {', '.join(strange)}, which is not on the list of trusted types.")
    contract = {
        "format": FORMAT,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        **{name: getattr(model, name) for name in _KEPT},
        "columns": [asdict(column) for column in columns],
    }
    text = json.dumps(contract, indent=1) + "\n"
    return {"model.skops": content, "card.md": card.encode(), "contract.json": text.encode()}


def unpack_model(files: Mapping[str, bytes]) -> SavedModel:
    """Read a model back from `model.skops` and `contract.json`.

    Raises:
        ValueError: A file is damaged, does not belong to the other, holds a type that is not trusted, or was
            written with another version of a library.
    """
    content = files["model.skops"]
    try:
        contract = json.loads(files["contract.json"])
        kept = {name: contract[name] for name in _KEPT}
        columns = tuple(TrainedColumn(**{**c, "levels": tuple(c["levels"])}) for c in contract["columns"])
        stamp, libraries, form = contract["model_sha256"], contract["libraries"], contract["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"contract.json cannot be read as a training contract ({error}).") from None
    if form != FORMAT:
        raise ValueError(f"contract.json is of format {form}, but {FORMAT} is needed.")
    if hashlib.sha256(content).hexdigest() != stamp:
        raise ValueError("model.skops is not the file that contract.json was written for.")
    for name in _LIBRARIES:
        then, now = libraries.get(name, "none"), version(name)
        if then.split(".")[:2] != now.split(".")[:2]:
            raise ValueError(f"the model was saved with {name} {then}, but {now} is installed.")
    try:
        pipeline = skops.io.loads(content, trusted=list(TRUSTED))
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise ValueError(f"model.skops is not opened: {' '.join(str(error).split())}") from None
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"model.skops cannot be read ({type(error).__name__}).") from None
    features = tuple(column.name for column in columns)
    return SavedModel(ResponseModel(features=features, pipeline=pipeline, **kept), columns)


def _outwards(low: float, high: float) -> tuple[float, float]:
    """Round a range outwards, to two digits of its width.

    >>> _outwards(0.0, 1237.6)
    (0.0, 1300.0)
    """
    width = float(high - low) or abs(float(high)) or 1.0
    step = 10.0 ** (np.floor(np.log10(width)) - 1)
    digits = int(max(0, -np.log10(step).round()))
    return round(float(np.floor(low / step) * step), digits), round(float(np.ceil(high / step) * step), digits)


def _applied(fitted: BaseEstimator) -> BaseEstimator:
    """Copy a fitted pipeline or stack without what served only to fit it."""
    fitted = copy.deepcopy(fitted)
    if isinstance(fitted, StackingClassifier):
        # Its parts stand there three times, and each would be written out.
        fitted.estimators_ = [_applied(part) for part in fitted.estimators_]
        fitted.estimators, fitted.named_estimators_ = [], Bunch()
        return fitted
    for _, step in fitted.steps:
        if isinstance(step, XGBClassifier):
            step.set_params(eval_metric=None, early_stopping_rounds=None)
    return Pipeline([(name, step) for name, step in fitted.steps if name != "resample"])


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


def model_card(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    comparison: MethodComparison,
    columns: tuple[TrainedColumn, ...],
    *,
    data_is: str,
) -> str:
    """Return the card of the chosen model in Markdown, after Mitchell et al. (2019); no figure is of one person.

    `data_is` is REAL, SIMULATED, MIXED or YOURS.
    """
    model, warning = comparison.chosen, split.warning
    numbers, levels = (_listed(c.name for c in columns if c.kind == kind) for kind in ("number", "level"))
    learned, calibrated, judged = (_part(contacts, part) for part in (split.fit, split.calibrate, split.test))
    met = f", {split.seen_share:.0%} of people met in training" if contacts.has_people else ""
    rows = ["| measure | channel | value | 95% interval |", "|---|---|---|---|"]
    for _, row in comparison.of_chosen(comparison.methods).query("calibrated").iterrows():
        for name in _MEASURES if row["channel"] == "all" else ("roc_auc", "ece"):
            ends = f"{row[name]:.3f} | {row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f}"
            rows.append(f"| {_MEASURES[name]} | {row['channel']} | {ends} |")
    table = "\n".join(rows)
    helped, not_so = "calibrated by Platt's method", "not calibrated, for that did not help on contacts apart"
    calibrated = helped if model.is_calibrated else not_so
    return f"""# Model card: who answers a contact

## Model

* Method `{model.method}`, resampling `{model.resampling}`; {calibrated}.
* It reads as numbers {numbers}; as levels {levels}.
* Kept out, for they may tell the outcome: {_listed(dict.fromkeys(gate.leaks["column"]))}.
* Nothing in it is of one person: no row is kept, a level of fewer than {RARE_LEVEL} rows has no name, ranges are
  rounded outwards.

## Intended use

* The probability that a contact is answered within the response window.
* Not for whom a contact moves: response is not effect (page 14).
* Not for credit, work, housing or insurance, nor for people who have not permitted it.
* A row outside the ranges and levels of `contract.json` is refused, not guessed at.

## Training data

* Data: {data_is}. Channels: {_listed(contacts.channels)}.
* Fitted on {learned}; calibrated on {calibrated}.

## Evaluation

* Judged on {judged}: {_JUDGED_ON[split.how]}{met}.
* Intervals are 95%, clustered by person; they hold the model fixed.

{table}

## Limits

* {warning or "A later campaign, or one of another kind, may be answered otherwise."}
* Who was contacted was chosen by someone; the model knows people like those.
* It may serve groups of people unequally; page 14 shows by how much.
* Columns that grow with time leave their range; fit and calibrate again with new campaigns.
"""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _part(contacts: ContactFrame, positions: np.ndarray) -> str:
    rows = contacts.rows.iloc[positions]
    when = ""
    if contacts.has_times:
        when = f", {rows['occurred_at'].min():%d %B %Y} to {rows['occurred_at'].max():%d %B %Y}"
    return f"{len(rows):,} contacts ({rows['responded'].mean():.1%} responded{when})"
