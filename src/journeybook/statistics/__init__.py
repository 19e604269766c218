"""Estimators and intervals that are no page's own. Each module stands alone; most are imported by name.

| module | holds |
|---|---|
| streams | random streams by name |
| intervals | Wilson's interval of a proportion |
| ranks | the chance that one sample exceeds another |
| rates | shares by group, with intervals that count clusters |
| chains | absorbing Markov chains, solved exactly |
| contrasts | arm means and ratios compared from sufficient statistics: Welch, CUPED, delta method, Fieller |
| two_samples | two arms within strata |
| exact | exact tests and intervals for arms of few units |
| resampling | the bootstrap of clusters and of quantiles |
| survival | Kaplan and Meier's restricted mean |
| corrections | many tests: Holm's adjusted p values |
| sequential | intervals that hold at every look; group sequential boundaries |
| bayes | the chance to be best, and what a wrong choice costs |
| non_inferiority | showing that nothing was lost beyond a margin |
| power | how large an experiment must be, and what it can detect |
| clusters | errors of means whose rows belong together |
| labels | names of groups from the values of a column |
| quality | how good probabilities are: ROC AUC, log loss, calibration error, gain |
| recalibration | the line that maps probabilities to what came, with errors that count clusters |
| simultaneous | intervals that hold for the largest of many estimates |
| imputation | missing numbers filled in by a rule a column |
| multiple | donors within a class; multiple imputation, pooled by Rubin's rules |
| log_odds | rates of cells drawn to each other: a logistic mixed model |
| fairness | groups beside each other under one threshold, equal selection, equal true positives |
"""

from journeybook.statistics.corrections import holm
from journeybook.statistics.intervals import Interval, proportion_interval
from journeybook.statistics.resampling import cluster_weights
from journeybook.statistics.streams import stream
