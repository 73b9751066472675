"""Scores of disentanglement: arrays in, results out, no AnnData."""

from distaff.metrics._score import Score
from distaff.metrics.active_units import ActiveUnits, active_units
from distaff.metrics.cluster_agreement import ClusterAgreement, cluster_agreement
from distaff.metrics.lms import lms
from distaff.metrics.max_spearman import max_spearman
from distaff.metrics.mig import mig
from distaff.metrics.single_dimension_accuracy import single_dimension_accuracy
from distaff.metrics.smi import smi

__all__ = [
    "ActiveUnits",
    "ClusterAgreement",
    "Score",
    "active_units",
    "cluster_agreement",
    "lms",
    "max_spearman",
    "mig",
    "single_dimension_accuracy",
    "smi",
]
