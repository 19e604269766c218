"""The page's search for settings beside a plain GridSearchCV over an imbalanced-learn pipeline.

Run after `journeybook run`, on cores that do nothing else:

    python tests/benchmarks/channel_response_search.py [FOLDER OF THE RUN'S TABLES]

Both fit the same settings of logistic regression, random forest and XGBoost with the same four resamplings on
the same contacts and the same folds, on all cores. GridSearchCV encodes and resamples anew for each setting, and
grows every tree: it has no held-out contacts to stop on. The page encodes and resamples once a fold and stops
early.
"""

import sys
import time

from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from journeybook import channel_response as cr
from journeybook.channel_response.models import BASES, RESAMPLINGS, response_pipelines
from journeybook.channel_response.search import SPACE, search_folds
from journeybook.statistics import stream
from journeybook.tables import owners_view, read

N_SETTINGS, N_FOLDS, N_TREES, MAX_ROWS = 2, 2, 300, 5000


def main() -> None:
    """Time both on the contacts of a run, and print a row a resampling and a total."""
    run = owners_view(sys.argv[1] if len(sys.argv) > 1 else "data/processed")
    tables = [read(run, name, purpose="personalisation") for name in ("clean/contacts", "features")]
    contacts = cr.contact_frame(*tables, max_rows=200_000)
    parts = {"test_share": 0.3, "calibration_share": 0.2, "response_window_days": 7}
    split = cr.split_contacts(contacts, **parts, rng=stream(1, "split"))
    gate = cr.leak_gate(contacts, split, known_after_contact=[], known_before_contact=[], max_single_auc=0.8)

    began = time.perf_counter()
    found = cr.search_settings(
        contacts, split, gate, n_settings=N_SETTINGS, n_folds=N_FOLDS, n_trees=N_TREES, max_rows=MAX_ROWS,
        rng=stream(1, "search"),
    )  # fmt: skip
    ours = time.perf_counter() - began

    places, fold = search_folds(contacts, split, n_folds=N_FOLDS, max_rows=MAX_ROWS, rng=stream(1, "search"))
    rows = contacts.rows.iloc[places][[*gate.features, "responded"]].reset_index(drop=True)
    features, responded = rows.drop(columns="responded"), rows["responded"]
    print(f"{found.n_fits} fits on {len(rows):,} contacts")
    print(f"{'resampling':<16}{'method':<12}{'grid search, s':>15}{'its log loss':>14}{'ours':>10}")
    total = 0.0
    for resampling in RESAMPLINGS:
        for method in BASES:
            first = {"n_estimators": N_TREES} if method == "xgboost" else {}
            (pipeline,) = response_pipelines(rows, [(method, first)], resampling=resampling, rng=stream(1, "grid"))
            values = {f"classify__{name}": [each[name] for each in SPACE[method][:N_SETTINGS]]
                      for name in SPACE[method][0]}  # fmt: skip
            search = GridSearchCV(
                pipeline, values, scoring="neg_log_loss", cv=PredefinedSplit(fold), n_jobs=-1, refit=False
            )
            began = time.perf_counter()
            with parallel_config(backend="threading"):  # as the page does; processes would first have to start
                search.fit(features, responded)
            took = time.perf_counter() - began
            total += took
            mine = found.trials.query("method == @method and resampling == @resampling")["log_loss"].min()
            print(f"{resampling:<16}{method:<12}{took:>15.1f}{-search.best_score_:>14.4f}{mine:>10.4f}")
    print(
        "log loss: the grid search's is of probabilities as fitted, ours of probabilities corrected for the prior"
    )
    print(f"page {ours:.1f} s, grid search {total:.1f} s, ratio {total / ours:.1f}")


if __name__ == "__main__":
    main()
