"""Every AnnData slot that distaff reads or writes, named in one place."""

from __future__ import annotations

from dataclasses import dataclass

from distaff._checks import error

__all__ = [
    "ABUNDANCE",
    "DEFAULT_KEY",
    "GEP_SCORE",
    "MINIFIED",
    "SIMULATION",
    "SOURCE",
    "MinifiedSlots",
    "SimulationSlots",
    "Slots",
]

DEFAULT_KEY = "distaff"
SOURCE = "source"  # uns: files that public data were read from, and their checksums
ABUNDANCE = "da_log_probs"  # obsm: DataFrame (cells, samples), log densities; scvi-tools' name
GEP_SCORE = "gep_score"  # obsm: DataFrame (cells, gene sets); uns: what it was computed with


@dataclass(frozen=True)
class Slots:
    """Slots of one model in an AnnData; two models live side by side under two keys.

    Parameters
    ----------
    key
        Prefix of all slots.
    """

    key: str = DEFAULT_KEY

    def __post_init__(self) -> None:
        if not isinstance(self.key, str):
            raise error("key must be a text", got=repr(self.key), kind=TypeError)
        if not self.key or "/" in self.key:
            raise error('key must be a text without "/", which opens a folder in a file', got=repr(self.key))

    @property
    def latent(self) -> str:
        """``obsm``: (cells, factors) float32, latent representation."""
        return f"X_{self.key}"

    @property
    def inclusion(self) -> str:
        """``obsm``: (cells, factors) float32, probability that a factor is on; models with a gate."""
        return f"{self.key}_inclusion"

    @property
    def loadings(self) -> str:
        """``varm``: DataFrame (genes, factors), log-scale effect of one unit of the factor."""
        return f"{self.key}_loadings"

    @property
    def traversal(self) -> str:
        """``varm``: DataFrame (genes, factors), log fold change over the range of the factor."""
        return f"{self.key}_traversal"

    @property
    def genes(self) -> str:
        """``var``: bool, whether the model was trained on the gene; written by ``distaff fit``."""
        return f"{self.key}_genes"

    @property
    def umap(self) -> str:
        """``obsm``: (cells, 2) UMAP of the latent."""
        return f"X_{self.key}_umap"

    @property
    def tsne(self) -> str:
        """``obsm``: (cells, 2 or 3) t-SNE of the latent."""
        return f"X_{self.key}_tsne"

    @property
    def uns(self) -> str:
        """``uns``: dict that holds all that belongs to the model as a whole."""
        return self.key

    # entries of ``uns[key]``
    params = "params"
    factors = "factors"
    history = "history"
    kl_per_dimension = "kl_per_dimension"
    disentanglement = "disentanglement"
    cluster_agreement = "cluster_agreement"
    rank_factors = "rank_factors"
    enrich = "enrich"
    traversed = "traversal"
    model_names = "model_names"  # what the model calls its factors, whatever a user calls them
    consensus = "consensus"
    consensus_members = "consensus_members"
    consensus_correlation = "consensus_correlation"


@dataclass(frozen=True)
class MinifiedSlots:
    """Slots in which a model keeps the posterior of each cell in place of its counts."""

    mean: str = "_scvi_latent_qzm"  # obsm: (cells, dimensions), mean of u; scvi-tools looks for this name
    variance: str = "_scvi_latent_qzv"  # obsm: (cells, dimensions), variance of u; this one too
    gate_logits: str = "_distaff_gate_logits"  # obsm: (cells, dimensions), logit of the inclusion probability
    library: str = "_scvi_observed_lib_size"  # obs: total count


MINIFIED = MinifiedSlots()


@dataclass(frozen=True)
class SimulationSlots:
    """Slots in which the simulators store the truth; each says in its docstring which ones it writes."""

    group: str = "cell_type"  # obs: identity of each cell
    splat_group: str = "group"  # obs: the same under Splatter's name
    batch: str = "batch"  # obs: batch of each cell
    library: str = "library_size"  # obs: expected total count of each cell
    usage: str = "program_usage"  # obsm: DataFrame (cells, programs), how much a cell uses of each program
    effects: str = "program_effects"  # varm: DataFrame (genes, programs), fold change, 1 outside the program
    loadings: str = "program_loadings"  # varm: DataFrame (genes, programs), log effect of one unit of usage
    members: str = "program_genes"  # varm: DataFrame (genes, programs) bool, whether a gene is in the program
    group_factors: str = "de_factors"  # varm: DataFrame (genes, groups), fold change, 1 without
    batch_factors: str = "batch_factors"  # varm: DataFrame (genes, batches), fold change, 1 without
    base_mean: str = "base_mean"  # var: mean of each gene without any program, any unit
    outlier: str = "is_outlier"  # var: whether the base mean is that of a highly expressed outlier
    outlier_factor: str = "outlier_factor"  # var: an outlier's base mean over the median of all, 1 for others
    dispersion: str = "dispersion_factor"  # var: factor c_g of the gene's biological coefficient of variation
    overdispersion: str = "overdispersion"  # var: a_g of the variance m + a_g m^2
    true_counts: str = "true_counts"  # layers: counts before dropout
    gene_sets: str = "gene_sets"  # varm, uns: annotation of the programs, as pp.gene_sets writes it
    uns: str = "simulation"  # uns: simulator, parameters, seed, version


SIMULATION = SimulationSlots()
