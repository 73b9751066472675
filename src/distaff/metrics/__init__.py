"""Scores of disentanglement: arrays in, results out, no AnnData."""

from distaff.metrics._score import Score
from distaff.metrics.active_units import ActiveUnits, active_units
from distaff.metrics.assess import Assessment, assess
from distaff.metrics.beta_vae_score import beta_vae_score
from distaff.metrics.cluster_agreement import ClusterAgreement, cluster_agreement
from distaff.metrics.compare_runs import compare_runs
from distaff.metrics.dci import dci
from distaff.metrics.explicitness import explicitness
from distaff.metrics.factor_correlation import FactorCorrelation, factor_correlation
from distaff.metrics.factor_dependence import factor_dependence
from distaff.metrics.factor_vae_score import factor_vae_score
from distaff.metrics.infomec import infomec
from distaff.metrics.irs import irs
from distaff.metrics.lms import lms
from distaff.metrics.max_spearman import max_spearman
from distaff.metrics.mig import mig
from distaff.metrics.modularity import modularity
from distaff.metrics.msas import msas
from distaff.metrics.msgs import msgs
from distaff.metrics.sap import sap
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
    "beta_vae_score",
    "cluster_agreement",
    "compare_runs",
    "dci",
    "explicitness",
    "factor_correlation",
    "factor_dependence",
    "factor_vae_score",
    "infomec",
    "irs",
    "lms",
    "max_spearman",
    "mig",
    "modularity",
    "msas",
    "msgs",
    "sap",
    "single_dimension_accuracy",
    "smi",
    "spn",
    "total_correlation",
    "variance_explained",
]
