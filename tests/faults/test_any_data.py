"""Whatever the data: a clear error at setup, or a latent that is finite."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from distaff.model import BetaVAE

FORMATS = {
    "dense": np.asarray,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "Fortran order": np.asfortranarray,
}
TYPES = ["float32", "float64", "int64", "int32", "uint8", "uint16", "bool", "float16", "complex64", ">i4"]
ODD_VALUES = [np.nan, np.inf, -1.0, 0.5, 1e12, 0.0]


@st.composite
def data(draw):
    """Counts of up to 12 cells and 6 genes, with something odd now and then, and batches of any kind."""
    n_cells, n_genes = draw(st.integers(0, 12)), draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    X = rng.poisson(draw(st.sampled_from([0.3, 3.0, 300.0])), (n_cells, n_genes)).astype(float)
    if n_genes and draw(st.booleans()):
        X[:, 0] += 1  # no empty cell
    if X.size and draw(st.integers(0, 3)) == 0:
        X[rng.integers(n_cells), rng.integers(n_genes)] = draw(st.sampled_from(ODD_VALUES))
    with warnings.catch_warnings():  # casts that overflow, or drop what is not real
        warnings.simplefilter("ignore")
        X = X.astype(draw(st.sampled_from(TYPES[:5] * 3 + TYPES)))
    form = draw(st.sampled_from(["dense"] if X.dtype in ("float16", ">i4") else list(FORMATS)))
    batches = [*draw(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=4)), "a", "b"]
    obs = pd.DataFrame(
        {"batch": np.resize(np.array(batches, dtype=object), n_cells)},
        index=[f"c{i}" for i in range(n_cells)],
    )
    var = pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])
    return anndata.AnnData(FORMATS[form](X), obs=obs, var=var), draw(st.sampled_from([None, "batch"]))


seen = {"refused": 0, "trained": 0}


@given(data())
@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@pytest.mark.filterwarnings(
    "ignore:Category .* in adata.obs", "ignore:adata.X holds counts up to", "ignore:Training will be faster"
)
def test_an_error_or_a_finite_latent(drawn):
    adata, batch_key = drawn
    refusal = ""
    try:
        BetaVAE.setup_anndata(adata, batch_key=batch_key)
    except (TypeError, ValueError) as reason:
        refusal = str(reason)
    if refusal:
        assert " must " in refusal
        assert ", got " in refusal
        seen["refused"] += 1
        return
    model = BetaVAE(adata, n_latent=2, n_hidden=4)
    model.train(1, seed=0, batch_size=4, train_size=1.0, accelerator="cpu", enable_progress_bar=False)
    assert np.isfinite(model.get_latent_representation()).all()
    seen["trained"] += 1


def test_both_were_seen():
    """The data above are neither all good nor all bad."""
    if sum(seen.values()) == 0:
        test_an_error_or_a_finite_latent()
    assert min(seen.values()) >= 8
