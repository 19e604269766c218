#!/usr/bin/env bash
# tea-tasting 1.14.0 with pandas 3.1.1.
# One would guess: a metric that is missing for some users (a basket value, where there was no order) is compared among
# those who have one, as in Welch's test without the missing rows.
# Seen: the means leave the missing rows out, but n counts them: the interval is too narrow by the root of the share that
# is there. Rows without the metric must be dropped before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tea-tasting==1.14.0 pandas==3.1.1 2>"$folder/pip.err" || { cat "$folder/pip.err"; exit 1; }

cat > "$folder/compare.py" <<'PYTHON'
import numpy as np
import pandas as pd
import tea_tasting
from scipy.stats import ttest_ind

rng = np.random.default_rng(3)
n = 4000
users = pd.DataFrame({"variant": rng.integers(0, 2, n), "basket": rng.normal(10, 3, n)})
users.loc[rng.random(n) < 0.6, "basket"] = np.nan
comparison = tea_tasting.Experiment({"basket": tea_tasting.Mean("basket")})
widths = {}
for name, frame in (("all rows", users), ("rows that have a value", users.dropna())):
    found = comparison.analyze(frame)["basket"]
    widths[name] = found.effect_size_ci_upper - found.effect_size_ci_lower
    print(f"{name}: p = {found.pvalue:.4f}, interval {widths[name]:.3f} wide")
there = users.dropna()
welch = ttest_ind(*(there.basket[there.variant == v] for v in (1, 0)), equal_var=False)
print(f"Welch's test of SciPy without the missing rows: p = {welch.pvalue:.4f}")
assert abs(found.pvalue - welch.pvalue) < 1e-6
assert abs(widths["all rows"] / widths["rows that have a value"] - (len(there) / n) ** 0.5) < 0.01
PYTHON
"$folder/venv/bin/python" "$folder/compare.py"
