"""t-SNE of a latent, for the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from distaff._checks import check_flag, check_int, check_number, check_seed, error
from distaff._keys import DEFAULT_KEY, Slots
from distaff.tl._representation import representation

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["tsne"]

N_COMPONENTS = (2, 3)
SMALLEST, LARGEST = 1e-12, 1e12
MIN_CELLS = 5
LEARNING_RATE = 1 / 48  # a cell: scikit-learn counts rates in quarters of those of the literature
MIN_LEARNING_RATE = 10.0  # scikit-learn's own floor of 50 lets small data fly apart in 3-D
NEIGHBOURS = 3  # times the perplexity: cells whose similarity counts


def tsne(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    use_rep: str | None = None,
    n_components: int = 2,
    perplexity: float = 30.0,
    random_state: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """t-SNE of the latent in two or three dimensions, beside any other embedding that ``adata`` holds.

    Starts from the principal components, with a learning rate of a twelfth of the number of cells
    :cite:p:`Kobak19`, and ends in scikit-learn's tree approximation of the gradient. This is for figures: the
    embedding keeps neighbours, while distances between groups and the sizes of groups mean little.

    Parameters
    ----------
    adata
        Annotated data with the latent.
    key
        Prefix of the slots.
    use_rep
        Slot of ``obsm`` to embed; None for ``X_{key}``.
    n_components
        Dimensions of the embedding, 2 or 3.
    perplexity
        Neighbours that a cell tries to keep, about; lowered to a third of the cells where there are few.
    random_state
        Seed.
    copy
        Return a changed copy and leave ``adata`` alone.

    Returns
    -------
    None, or the copy. Writes ``obsm["X_{key}_tsne"]``, (cells, ``n_components``) float32.

    Raises
    ------
    KeyError
        If the representation is missing.
    ValueError
        If the representation is not finite, is constant, or has fewer dimensions than the embedding, or if
        there are fewer than five cells.

    References
    ----------
    van der Maaten and Hinton (2008), :cite:p:`vanderMaaten08`.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import distaff as ds
    >>> adata = anndata.AnnData(np.zeros((50, 1)))
    >>> adata.obsm["X_distaff"] = np.random.default_rng(0).normal(size=(50, 4))
    >>> ds.tl.tsne(adata, n_components=3)
    >>> adata.obsm["X_distaff_tsne"].shape
    (50, 3)
    """
    check_flag("copy", copy)
    n_components = check_int("n_components", n_components)
    if n_components not in N_COMPONENTS:
        raise error("n_components must be 2 or 3", got=n_components)
    perplexity = check_number("perplexity", perplexity, minimum=1)
    check_seed("random_state", random_state)
    table, rep = representation(adata, key=key, use_rep=use_rep)
    Z = table.to_numpy()
    _check(Z, rep, n_components)
    spread = np.ptp(Z, axis=0).max()
    if not SMALLEST < spread < LARGEST:  # of the scale nothing depends, but squares of floats end somewhere
        Z = Z / spread
    adata = adata.copy() if copy else adata
    adata.obsm[Slots(key).tsne] = TSNE(
        n_components,
        perplexity=min(perplexity, (len(Z) - 1) / NEIGHBOURS),
        init="pca",
        learning_rate=max(len(Z) * LEARNING_RATE, MIN_LEARNING_RATE),
        random_state=random_state,
    ).fit_transform(Z)
    return adata if copy else None


def _check(Z: NDArray[np.float64], rep: str, n_components: int) -> None:
    """What scikit-learn would end on with words of its own, or with NaN."""
    if len(Z) < MIN_CELLS:
        raise error(f"t-SNE needs at least {MIN_CELLS} cells", got=len(Z))
    if Z.shape[1] < n_components:
        raise error(
            f"adata.obsm[{rep!r}] must have at least {n_components} dimensions",
            got=Z.shape[1],
            fix="Pass n_components=2." if Z.shape[1] == 2 else "Draw the dimension itself.",
        )
    if not np.ptp(Z, axis=0).any():
        raise error(f"adata.obsm[{rep!r}] must vary over the cells", got="the same values for all")
