"""Gene sets of simulated programs: the rates of their errors, and the report, which is that of pp.gene_sets."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distaff import pp
from distaff.datasets._annotation import annotate, coverage_report

NAMES = [f"gene_{i}" for i in range(1, 2001)]


def members(n_programs=4, size=200):
    truth = np.zeros((2000, n_programs), dtype=bool)
    for k in range(n_programs):
        truth[k * size : (k + 1) * size, k] = True
    return pd.DataFrame(truth, index=NAMES, columns=[f"program_{k + 1}" for k in range(n_programs)])


def make(seed=0, truth=None, **options):
    defaults = {"false_positive_rate": 0.0, "false_negative_rate": 0.0, "n_decoys": 0}
    truth = members() if truth is None else truth
    return annotate(np.random.default_rng(seed), truth, **(defaults | options))


def test_without_errors_it_is_the_truth():
    mask = make()
    assert (mask.dtypes == np.float32).all()
    pd.testing.assert_frame_equal(mask > 0, members())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rates(seed):
    mask = make(seed, false_positive_rate=0.05, false_negative_rate=0.3).to_numpy() > 0
    truth = members().to_numpy()
    assert stats.binomtest(int(mask[~truth].sum()), int((~truth).sum()), 0.05).pvalue > 1e-4
    assert stats.binomtest(int((~mask[truth]).sum()), int(truth.sum()), 0.3).pvalue > 1e-4


def test_all_wrong():
    mask = make(false_positive_rate=1.0, false_negative_rate=1.0)
    assert ((mask > 0) != members()).all(axis=None)


def test_decoys_are_random_genes():
    mask = make(n_decoys=6, false_negative_rate=0.5)
    decoys = mask.filter(like="decoy")
    assert list(decoys) == [f"decoy_{i}" for i in range(1, 7)]
    sizes = mask.sum().to_numpy()
    np.testing.assert_array_equal(sizes[4:], sizes[[0, 1, 2, 3, 0, 1]])
    for name in decoys:
        shared = (decoys[name].to_numpy() @ members().to_numpy()).astype(int)
        for n in shared:  # as many of each program as chance gives
            assert 1e-4 < stats.hypergeom(2000, 200, int(decoys[name].sum())).cdf(n) < 1 - 1e-4


def test_empty_set():
    with pytest.raises(ValueError, match="Every gene set must have genes, got none in 'program_1'"):
        make(false_negative_rate=1.0)


@pytest.mark.parametrize("options", [{}, {"false_positive_rate": 0.02, "n_decoys": 3}])
def test_report_is_that_of_pp_gene_sets(options):
    truth = members()
    truth["same"] = truth["program_2"]
    truth["part"] = truth["program_3"] & (np.arange(2000) % 2 == 0)
    truth["part of part"] = truth["part"] & (np.arange(2000) % 4 == 0)
    mask = make(truth=truth, **options)
    sets = {name: mask.index[column > 0].to_list() for name, column in mask.items()}
    adata = anndata.AnnData(np.ones((1, 2000), dtype=np.float32), var=pd.DataFrame(index=NAMES))
    pp.gene_sets(adata, sets, min_genes=1)
    pd.testing.assert_frame_equal(adata.varm["gene_sets"], mask)
    theirs, ours = adata.uns["gene_sets"], coverage_report(mask, "dict")
    pd.testing.assert_frame_equal(theirs.pop("coverage"), ours.pop("coverage"), check_dtype=False)
    assert theirs == ours
