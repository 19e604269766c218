"""Estimators and intervals that are no page's own.

| module | holds |
|---|---|
| streams | random streams by name |
| intervals | Wilson's interval of a proportion |
| resampling | the clustered bootstrap |
| corrections | corrections for many tests |
| clusters | errors of means whose rows belong together |
| labels | names of groups from the values of a column |
| quality | how good probabilities are: ROC AUC, log loss, calibration error, gain |
| log_odds | rates of cells drawn to each other: a logistic mixed model |
| fairness | groups beside each other under one threshold, equal selection, equal true positives |
"""

from journeybook.statistics.corrections import holm
from journeybook.statistics.intervals import Interval, proportion_interval
from journeybook.statistics.resampling import cluster_bootstrap, cluster_weights
from journeybook.statistics.streams import stream

__all__ = ["Interval", "cluster_bootstrap", "cluster_weights", "holm", "proportion_interval", "stream"]
