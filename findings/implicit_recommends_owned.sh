#!/usr/bin/env bash
# implicit 0.7.3.
# One would guess: `recommend(..., filter_already_liked_items=True)` never returns what the customer has: with two items
# left and six asked for, the list has two.
# Seen: it has six. Both models fill it up with items already bought: the factor model gives them the lowest number of
# the type as their score, the cosine model 0. Cut the list to the items that are left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    implicit==0.7.3 numpy==2.4.6 scipy==1.17.1 2>"$folder/pip.err" || { cat "$folder/pip.err"; exit 1; }

cat > "$folder/recommend.py" <<'PYTHON'
import warnings

import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
bought = (rng.random((30, 12)) < 0.4).astype(np.float32)
bought[0] = [1] * 10 + [0] * 2
bought = sparse.csr_matrix(bought)
for model in (AlternatingLeastSquares(factors=4, random_state=0, num_threads=1), CosineRecommender(num_threads=1)):
    model.fit(bought, show_progress=False)
    items, scores = model.recommend(0, bought[0], N=6, filter_already_liked_items=True)
    owned = items < 10
    print(f"{type(model).__name__}: {owned.sum()} of {len(items)} recommended were bought, scores {set(scores[owned].tolist())}")
    assert len(items) == 6 and owned.sum() == 4
PYTHON
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/recommend.py"
