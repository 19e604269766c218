#!/usr/bin/env bash
# imbalanced-learn 0.14.2 with scikit-learn 1.7.2 and pandas 3.1.1.
# One would guess: SMOTE draws between neighbours, so the synthetic rows have the mean of the rare class.
# Seen: values are cast back to the column's type. Whole numbers are cut toward zero (a mean of 1.50 becomes 1.14), and
# a boolean is true wherever one of the two neighbours is (a share of .33 becomes .51). As floats both keep their mean.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    imbalanced-learn==0.14.2 scikit-learn==1.7.2 numpy==2.4.6 pandas==3.1.1 2>"$folder/pip.err" ||
    { cat "$folder/pip.err"; exit 1; }

cat > "$folder/smote.py" <<'PYTHON'
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE

rng = np.random.default_rng(1)
n = 4000
responded = (rng.random(n) < 0.05).astype(int)
contacts = pd.DataFrame({"n_opens": rng.poisson(1.4, n), "has_app": rng.random(n) < 0.3})
contacts["spend"] = rng.gamma(2, 20, n)
rare = contacts[responded == 1].mean()
for name, frame in (("own types", contacts), ("floats", contacts.astype(float))):
    filled, _ = SMOTE(random_state=0).fit_resample(frame, responded)
    synthetic = filled.iloc[n:].mean()
    print(f"{name}: " + ", ".join(f"{c} {rare[c]:.2f} became {synthetic[c]:.2f}" for c in ("n_opens", "has_app")))
    far = (abs(synthetic - rare) / rare)[["n_opens", "has_app"]]
    assert (far > 0.2).all() if name == "own types" else (far < 0.1).all()
PYTHON
"$folder/venv/bin/python" "$folder/smote.py"
