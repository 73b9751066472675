"""Scores of disentanglement: arrays in, results out, no AnnData."""

from distaff.metrics._score import Score
from distaff.metrics.active_units import ActiveUnits, active_units
from distaff.metrics.assess import Assessment, assess
from distaff.metrics.cluster_agreement import ClusterAgreement, cluster_agreement
from distaff.metrics.compare_runs import compare_runs
from distaff.metrics.factor_correlation import FactorCorrelation, factor_correlation
from distaff.metrics.lms import lms
from distaff.metrics.max_spearman import max_spearman
from distaff.metrics.mig import mig
from distaff.metrics.msas import msas
from distaff.metrics.msgs import msgs
from distaff.metrics.single_dimension_accuracy import single_dimension_accuracy
from distaff.metrics.smi import smi
from distaff.metrics.spn import spn
from distaff.metrics.total_correlation import TotalCorrelation, total_correlation
from distaff.metrics.variance_explained import VarianceExplained, variance_explained

__all__ = [
    "ActiveUnits",
    "Assessment",
    "ClusterAgreement",
    "FactorCorrelation",
    "Score",
    "TotalCorrelation",
    "VarianceExplained",
    "active_units",
    "assess",
    "cluster_agreement",
    "compare_runs",
    "factor_correlation",
    "lms",
    "max_spearman",
    "mig",
    "msas",
    "msgs",
    "single_dimension_accuracy",
    "smi",
    "spn",
    "total_correlation",
    "variance_explained",
]
