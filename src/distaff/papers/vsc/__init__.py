"""The beta-VSC report: autoencoder, beta-VAE and beta-VSC, clustered on their t-SNE."""

from distaff.papers._study import Study
from distaff.papers.vsc._figures import draw
from distaff.papers.vsc._tables import tables
from distaff.papers.vsc._work import trials, work

__all__ = ["VSC"]

VSC = Study(
    name="vsc",
    paper="Variational autoencoders for single-cell transcriptomics data (beta-VSC report, okunator)",
    trials=trials,
    work=work,
    tables=tables,
    draw=draw,
)
