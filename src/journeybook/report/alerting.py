"""What a finished run has to tell goes out: alarms, failed checks, failed pages; once, and with nobody's name."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

from journeybook.errors import JourneybookError, nearest
from journeybook.report.delivering import Delivery, Message, Undelivered, deliver, delivery_of
from journeybook.report.outcomes import alarms_of
from journeybook.report.params import KEYS
from journeybook.report.reading import read_document
from journeybook.report.storing import locked, read_json, results_path, write_json
from journeybook.results import Check, say_figure, say_rule

REGISTER = "alerts_sent.json"
"""File in the run's folder: for each run that was told of, the places that have it."""

MOST = 20
"""Alarms, checks and pages that a message lists of each; the others are counted."""

ALL = "(all)"
"""What stands for all sources together in an alarm."""

_DATES = re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\b(?:19|20)\d\d-(?:19|20)\d\d\b")
_FIGURES = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+(?:e[+-]?\d+)?)(?![\w.])")
_LIKE = {
    "an e-mail address": re.compile(r"[^\s@]+@[^\s@]+\.\w"),
    "a pseudonym": re.compile(r"(?<![0-9a-z])[0-9a-f]{24}(?![0-9a-z])", re.IGNORECASE),
    "a telephone number": re.compile(r"\+?\(?\d(?:[ ().\-/]{0,2}\d){6,}"),
}


@dataclass(frozen=True)
class Told:
    """What came of it: a sentence for each place that has the message, and one for each that does not."""

    said: tuple[str, ...]
    failed: tuple[str, ...] = ()


def read_delivery(file: Path) -> Delivery:
    """Return where the block `alerts:` of a YAML file sends: a parameters file, or one with this block alone.

    Raises:
        JourneybookError: The file cannot be read, or asks for what is not there; one sentence.
    """
    document = read_document(file)
    for key in document:
        if key not in KEYS:
            raise JourneybookError(f"{file.name}: unknown key {key}; {nearest(key, KEYS)}")
    base = file.resolve().parent
    return delivery_of(document.get("alerts"), where=file.name, base=base, environment=environ)


def alert(out: Path, how: Delivery) -> Told:
    """Send what a finished run has to tell to each place that does not have it yet.

    A run is known by its results: one that is done again with the same results is told of once.

    Args:
        out: Folder of the report.
        how: Where to, as `read_delivery` returns it.

    Raises:
        JourneybookError: There is no finished run, another one is writing there, or the message holds what looks
            like an e-mail address, a telephone number or a pseudonym; then nothing is sent.
    """
    message = message_of(out)
    if message is None:
        return Told(("Nothing to tell: no alarm, no failed check, no failed page. Nothing was sent.",))
    for place, kind in identifying(message):
        raise JourneybookError(f"Nothing was sent: the message holds what looks like {kind}, at {place}.")
    said, failed = [], []
    with locked(out):
        sent = read_json(out / REGISTER)
        _register(out, sent)
        for target in how.targets:
            if target.key in sent.get(message.run, ()):
                said.append(f"{target.said}: has it already; nothing was sent again.")
                continue
            try:
                deliver(message, target, how)
            except Undelivered as error:
                failed.append(str(error))
                continue
            sent.setdefault(message.run, []).append(target.key)
            _register(out, sent)
            said.append(f"{target.said}: sent: {message.subject}.")
    return Told(tuple(said), tuple(failed))


def message_of(out: Path) -> Message | None:
    """Return what a finished run has to tell, or None where there is nothing.

    Raises:
        JourneybookError: The folder holds no finished run, or a results file that cannot be read.
    """
    manifest = _read(out / "manifest.json")
    if not manifest:
        raise JourneybookError(f"{out} holds no finished run: there is no manifest.json.")
    statuses = {name: page["status"] for name, page in manifest["pages"].items()}
    results = {name: _read(results_path(out, name)) for name in statuses if statuses[name] == "done"}
    alarms = [row for name, found in results.items() for row in alarms_of(name, found)]
    # A check that depends on no data is one, however many variants of its page show it.
    wrong = {
        (name.partition(".")[0] if row["kind"] == "constant" else name, row["name"]): Check(**row)
        for name, found in results.items()
        for row in found.get("checks", [])
        if not row["passed"] and row["kind"] != "known_miss"
    }
    stopped = [name for name, status in statuses.items() if status == "failed"]
    if not (alarms or wrong or stopped):
        return None
    run = hashlib.sha256(json.dumps([statuses, results], sort_keys=True).encode()).hexdigest()[:12]
    lists = {
        "alarm": [_say_alarm(row) for row in alarms],
        "failed check": [
            f"{n}: {c.name}: {say_figure(c.value)}, must be {say_rule(c)}" for (n, _), c in wrong.items()
        ],
        "failed page": stopped,
    }
    counts = [f"{len(rows)} {name}{'s' * (len(rows) != 1)}" for name, rows in lists.items() if rows]
    dataset = manifest["parameters"]["dataset"]
    subject = f"journeybook: {', '.join(counts)} ({dataset})"
    lines = [f"Run {run} of {dataset}, ended {manifest['ended_at']}."]
    for name, rows in lists.items():
        more = [f"and {len(rows) - MOST} more; the report lists them"] * (len(rows) > MOST)
        lines += ["", f"{name.capitalize()}s:", *(f"* {row}" for row in [*rows[:MOST], *more])] if rows else []
    content = {
        "run": run,
        "dataset": dataset,
        "ended_at": manifest["ended_at"],
        "counts": {f"{name.replace(' ', '_')}s": len(rows) for name, rows in lists.items()},
        "alarms": alarms[:MOST],
        "failed_checks": [{"page": n} | vars(c) for (n, _), c in wrong.items()][:MOST],
        "failed_pages": stopped[:MOST],
        "text": "\n".join([subject, *lines]),
    }
    return Message(run, subject, "\n".join(lines) + "\n", content)


def identifying(message: Message) -> Iterator[tuple[str, str]]:
    """Yield where a message holds what looks like a person's, and what it looks like; never the value itself."""
    for place, text in _strings({**message.content, "subject": message.subject, "body": message.text}):
        # The id of the run is this message's own, and a date or an amount is no number to call.
        left = _FIGURES.sub("#", _DATES.sub("#", text.replace(message.run, "#")))
        for kind, pattern in _LIKE.items():
            # Seven or eight digits in one are as likely a date or a seed.
            if any(
                kind != "a telephone number" or not re.fullmatch(r"\d{7,8}", one) for one in pattern.findall(left)
            ):
                yield place, kind


def _strings(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _strings(one, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, one in enumerate(value, start=1):
            yield from _strings(one, f"{place}[{i}]")


def _say_alarm(row: Mapping[str, Any]) -> str:
    """One alarm in words, its figures in four digits, whatever it leaves unsaid."""
    seen, expected, effect, low, high = (
        "none" if row.get(name) is None else say_figure(float(f"{row[name]:.4g}"))
        for name in ("seen", "expected", "effect", "low", "high")
    )
    of = f" of {row['column']}" if row.get("column") else ""
    source = f" from {row['source']}" if row.get("source") not in (None, "", ALL) else ""
    when = f"{str(row['since'])[:10]} to {str(row['until'])[:10] if row.get('until') else 'now'}"
    what = f"{row['table']}{source}: {row['measure']}{of}, {when}"
    return f"{what}: {seen} seen, {expected} expected, effect {effect} ({low} to {high})"


def _read(path: Path) -> dict:
    try:
        return read_json(path)
    except (OSError, ValueError):
        raise JourneybookError(f"{path} cannot be read as JSON: run the report again.") from None


def _register(out: Path, sent: dict) -> None:
    """Write down who has what; before the first is sent, so that nothing goes out that cannot be remembered."""
    try:
        write_json(out / REGISTER, sent)
    except OSError as error:
        raise JourneybookError(f"{out / REGISTER} cannot be written: {error.strerror or error}.") from None
