"""Errors planted in publishing for good, one at a time; each breaks one promise, and is noticed by it alone."""

from dataclasses import replace
from pathlib import Path

import ibis
import pandas as pd
import pytest
from test_privacy_release import asked, ledger, plan_of, publish, run, sends, sign

from journeybook.privacy import mechanisms, publishing
from journeybook.privacy.bounding import bounded_cells
from journeybook.privacy.ledger import read_ledger
from journeybook.privacy.mechanisms import noise_of

__all__ = ["ledger", "run"]


class Killed(BaseException):
    """The process is gone."""


def _noise_is_shared(run, ledger, folder) -> bool:
    """Two releases whose bounds differ where nobody comes near differ by noise alone."""
    values = []
    for rows in (900, 901):
        plan = plan_of("rows", epsilon=0.01, most={"rows": rows, "groups": 2})
        publish(run, plan, ledger, folder / f"shared {rows}")
        figures = pd.read_csv(folder / f"shared {rows}" / "figures.csv")
        values.append(figures.high[figures.group.isin(["email", "sms"])].tolist())
    # Noise of scale 100,000 and 100,111, and as much between the ends: both alike but once in 10,000.
    return all(abs(a - b) <= 2 + a / 400 for a, b in zip(*values, strict=True))


def _is_uncharged_after_a_kill(run, ledger, folder, monkeypatch) -> bool:
    """A process is killed as soon as its folder is there."""
    sound, n = Path.replace, len(read_ledger(ledger, sign=sign))

    def killed(self, target):
        moved = sound(self, target)
        if Path(target) == folder / "killed":
            raise Killed
        return moved

    with monkeypatch.context() as killing:
        killing.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            publish(run, plan_of("sum", epsilon=0.125), ledger, folder / "killed")
    return (folder / "killed").exists() and len(read_ledger(ledger, sign=sign)) == n


def _moves_too_much() -> list[str]:
    """Of each table, the unit with most rows leaves, and the figures may move by the stated sensitivity."""
    found = []
    for name in ("people", "rows", "sum", "rate"):
        one, rows = asked(name), sends(3)
        with_, without = (publishing.bounded_cells(ibis.memtable(t), one) for t in (rows, rows[rows.unit != "a"]))
        for noise in noise_of(one)[:-1]:
            moved = abs(with_.counted[noise.figure] - without.counted[noise.figure]).sum()
            found += [name] if moved > noise.sensitivity else []
    return found


def _lists_one_persons_group() -> bool:
    rows = pd.DataFrame({"unit": [f"u{i}" for i in range(500)], "channel": ["email"] * 499 + ["secret"]})
    one = asked("found")
    cells, noises = bounded_cells(ibis.memtable(rows), one), noise_of(one)
    return any(("secret",) in mechanisms.draw(cells, noises)[0] for _ in range(100))


def broken(run, ledger, folder, monkeypatch) -> set[str]:
    """The promises that do not hold."""
    folder.mkdir(exist_ok=True)
    return {
        name
        for name, is_broken in {
            "noise": _noise_is_shared(run, ledger, folder),
            "charge": _is_uncharged_after_a_kill(run, ledger, folder, monkeypatch),
            "bound": bool(_moves_too_much()),
            "threshold": _lists_one_persons_group(),
        }.items()
        if is_broken
    }


def _one_noise_for_all(monkeypatch):
    """Noise is drawn once for each number of groups, and used again."""
    kept: dict[int, list[float]] = {}

    def remembered(scale):
        def add(exact):
            unit = kept.setdefault(len(exact), [n / scale for n in sound(scale)([0] * len(exact))])
            return [round(n + u * scale) for n, u in zip(exact, unit, strict=True)]

        add.map = sound(scale).map
        return add

    sound = mechanisms._laplace
    monkeypatch.setattr(mechanisms, "_laplace", remembered)


def _charged_at_the_end(monkeypatch):
    """Charges are kept in memory, and written once the folder is."""
    waiting, written, wrote = [], publishing.append, publishing.write_folder

    def later(path, entries, new, *, sign):
        waiting.append((path, entries, new, sign))
        about = {"entry": len(entries) + 1, "signature": ""}
        return [*entries, *(dict(one) | about for one in new)]

    def first(target, files):
        wrote(target, files)
        while waiting:
            path, entries, new, by = waiting.pop()
            written(path, entries, new, sign=by)

    monkeypatch.setattr(publishing, "append", later)
    monkeypatch.setattr(publishing, "write_folder", first)


def _one_table_unbounded(monkeypatch):
    """The bounds are not applied where rows are counted."""

    def wrong(rows, one):
        return bounded_cells(rows, replace(one, rows=2**31, groups=2**31) if one.kind == "rows" else one)

    monkeypatch.setattr(publishing, "bounded_cells", wrong)


@pytest.mark.parametrize(
    ("plant", "noticed"),
    [
        (None, set()),
        (_one_noise_for_all, {"noise"}),
        (_charged_at_the_end, {"charge"}),
        (_one_table_unbounded, {"bound"}),
    ],
    ids=["sound", "noise reused", "not charged after a kill", "bound ignored for one table"],
)
def test_each_planted_error_breaks_the_promise_it_should(run, ledger, tmp_path, monkeypatch, plant, noticed):
    if plant is not None:
        plant(monkeypatch)
    assert broken(run, ledger, tmp_path / "made", monkeypatch) == noticed


def test_a_threshold_of_one_person_is_noticed(monkeypatch):
    assert not _lists_one_persons_group()
    one = asked("found")
    noises = [replace(noise, threshold=1) if noise.threshold else noise for noise in noise_of(one)]
    monkeypatch.setattr(f"{__name__}.noise_of", lambda _: noises)
    assert _lists_one_persons_group()
