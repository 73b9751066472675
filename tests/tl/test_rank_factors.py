"""tl.rank_factors: calibration, what it writes, real data, and what it says of bad input."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import stats
from sklearn.decomposition import NMF

from distaff import tl


def donors_data(seed=0, *, n_donors=8, n_cells=30, shift=0.0, crossed=False, n_factors=5):
    """Cells of donors that differ by chance; factor 2 is ``shift`` higher in the treated ones."""
    rng = np.random.default_rng(seed)
    donor = np.repeat(np.arange(n_donors), n_cells)
    arm = np.tile([0, 1], len(donor) // 2) if crossed else donor % 2
    own = rng.normal(size=(n_donors, 2, n_factors)) * (0.5 if crossed else 0)
    own = own + rng.normal(size=(n_donors, 1, n_factors))
    Z = rng.normal(size=(len(donor), n_factors)) + own[donor, arm]
    Z[:, 1] += shift * arm
    obs = pd.DataFrame(index=[f"c{i}" for i in range(len(donor))])
    obs["donor"] = pd.Categorical([f"d{d}" for d in donor])
    obs["condition"] = pd.Categorical(np.array(["control", "treated"])[arm])
    adata = anndata.AnnData(np.ones((len(donor), 2), dtype=np.float32), obs=obs)
    adata.obsm["X_distaff"] = Z.astype(np.float32)
    return adata


def table_of(adata, key="distaff") -> pd.DataFrame:
    return adata.uns[key]["rank_factors"]["table"]


def false_discoveries(n, *, crossed, sample_key) -> float:
    """Share of data sets without any difference in which one is found."""
    found = 0
    for seed in range(n):
        adata = donors_data(seed, crossed=crossed)
        tl.rank_factors(adata, "condition", reference="control", sample_key=sample_key)
        found += (table_of(adata)["q_value"] < 0.05).any()
    return found / n


@pytest.mark.slow
@pytest.mark.parametrize("crossed", [False, True])
def test_samples_are_calibrated(crossed) -> None:
    rate = false_discoveries(300, crossed=crossed, sample_key="donor")
    assert rate <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("crossed", [False, True])
def test_cells_are_not_calibrated(crossed) -> None:
    assert false_discoveries(20, crossed=crossed, sample_key=None) > 0.5


@pytest.mark.slow
def test_permuted_labels_of_donors() -> None:
    rng = np.random.default_rng(0)
    adata = donors_data(shift=2.0)
    by_donor = adata.obs.groupby("donor", observed=True)["condition"].first()
    rates = []
    for _ in range(200):
        permuted = pd.Series(rng.permutation(by_donor.astype(str)), index=by_donor.index.astype(str))
        if permuted.equals(by_donor.astype(str).set_axis(permuted.index)):
            continue
        adata.obs["condition"] = adata.obs["donor"].astype(str).map(permuted)
        tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
        rates.append((table_of(adata)["q_value"] < 0.05).mean())
    assert np.mean(rates) <= 0.05


def test_finds_the_difference_with_its_size() -> None:
    adata = donors_data(shift=3.0, crossed=True, n_cells=200)
    tl.rank_factors(adata, "condition", sample_key="donor")
    table = table_of(adata)
    for name, sign in (("control", -1), ("treated", 1)):
        first = table[table["group"] == name].iloc[0]
        assert first["factor"] == "Factor 2"
        assert first["q_value"] < 0.01
        assert first["lower"] < first["effect"] < first["upper"]
        assert sign * first["effect"] > 1
        assert sign * first["log_bayes_factor"] > 1
    # the same test twice, with the other sign, and the q-value of one of them
    sides = [table[table["group"] == name].set_index("factor") for name in ("control", "treated")]
    pd.testing.assert_series_equal(sides[0]["effect"], -sides[1].loc[sides[0].index, "effect"])
    expected = stats.false_discovery_control(sides[0]["p_value"])
    np.testing.assert_allclose(sides[0]["q_value"], expected)


def test_effect_is_in_standard_deviations_of_cells() -> None:
    rng = np.random.default_rng(1)
    adata = anndata.AnnData(obs={"g": np.repeat(["a", "b"], [4000, 2000])})
    adata.obsm["X_distaff"] = rng.normal(size=(6000, 1)) * 3
    adata.obsm["X_distaff"][:4000] += 6
    tl.rank_factors(adata, "g", reference="b")
    row = table_of(adata).iloc[0]
    assert row["effect"] == pytest.approx(2, abs=0.1)
    assert row["log_bayes_factor"] == pytest.approx(
        stats.norm.logcdf(2**0.5) - stats.norm.logsf(2**0.5), abs=0.2
    )
    Z = adata.obsm["X_distaff"][:, 0]
    assert row["p_value"] == pytest.approx(stats.ttest_ind(Z[:4000], Z[4000:], equal_var=False).pvalue)
    assert row["positive"] == (Z[:4000] > 0).mean()
    assert row["mean_reference"] == pytest.approx(Z[4000:].mean())


def test_bayes_factor_knows_the_number_of_cells() -> None:
    adata = anndata.AnnData(obs={"g": np.repeat(["a", "b"], [10, 90])})
    adata.obsm["X_distaff"] = np.arange(100.0)[::-1, None].copy()
    tl.rank_factors(adata, "g", reference="b")
    assert table_of(adata)["log_bayes_factor"].iloc[0] == pytest.approx(np.log(19))


def without(adata, *parts):
    """Leave out the cells of some donors in one condition each."""
    gone = np.zeros(adata.n_obs, dtype=bool)
    for donor, condition in parts:
        gone |= ((adata.obs["donor"] == donor) & (adata.obs["condition"] == condition)).to_numpy()
    return adata[~gone].copy()


def test_a_sample_on_one_side_does_not_undo_the_pairs() -> None:
    adata = without(donors_data(crossed=True), ("d0", "treated"))
    tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
    groups = adata.uns["distaff"]["rank_factors"]["groups"]
    counts = groups.loc["treated", ["n_samples", "n_samples_reference", "n_pairs", "test"]]
    assert counts.tolist() == [7, 8, 7, "paired"]
    pairs = without(adata, ("d0", "control"))
    tl.rank_factors(pairs, "condition", reference="control", sample_key="donor")
    columns = ["factor", "statistic", "p_value"]
    pd.testing.assert_frame_equal(table_of(adata)[columns], table_of(pairs)[columns])


PARTLY = [("d0", "treated"), ("d1", "treated"), ("d2", "control"), ("d3", "control"), ("d4", "control")]


@pytest.mark.slow
def test_pairs_and_single_samples_are_calibrated_together() -> None:
    found, tests = 0, set()
    for seed in range(300):
        adata = without(donors_data(seed, crossed=True), *PARTLY)
        tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
        tests.add(adata.uns["distaff"]["rank_factors"]["groups"].loc["treated", "test"])
        found += (table_of(adata)["q_value"] < 0.05).any()
    assert tests == {"mixed"}
    assert found / 300 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.slow
def test_permuted_labels_of_pairs_and_single_samples() -> None:
    """Labels change sides within a donor that has both, and between donors that have one."""
    rng = np.random.default_rng(0)
    adata = without(donors_data(shift=0.0, crossed=True, n_donors=10), *PARTLY)
    label = adata.obs["condition"].astype(str).to_numpy()
    donor = adata.obs["donor"].astype(str).to_numpy()
    single = ["d0", "d1", "d2", "d3", "d4"]
    other = {"control": "treated", "treated": "control"}
    p_values = []
    for _ in range(200):
        permuted = label.copy()
        for name in set(donor) - set(single):
            if rng.random() < 0.5:
                permuted[donor == name] = [other[x] for x in label[donor == name]]
        sides = dict(zip(single, rng.permutation([c == "treated" for _, c in PARTLY]), strict=True))
        for name, control in sides.items():
            permuted[donor == name] = "control" if control else "treated"
        adata.obs["condition"] = permuted
        tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
        p_values.append(table_of(adata)["p_value"])
    p_values = np.concatenate(p_values)
    assert (p_values < 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(p_values))
    assert (p_values < 0.5).mean() == pytest.approx(0.5, abs=0.1)


def test_too_few_samples_are_said() -> None:
    adata = donors_data(n_donors=3)
    with pytest.warns(UserWarning, match="two samples of 10 cells or more.*'treated'"):
        tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
    table = table_of(adata)
    assert table[["effect", "p_value", "q_value"]].isna().all(axis=None)
    assert table["log_bayes_factor"].notna().all()


def test_the_floor_of_a_factor_is_not_positive() -> None:
    adata = donors_data()
    Z, treated = adata.obsm["X_distaff"], (adata.obs["condition"] == "treated").to_numpy()
    Z[:, 0] = np.maximum(Z[:, 0], 0.3)
    Z[:, 1] = np.maximum(Z[:, 1], 0.0)
    tl.rank_factors(adata, "condition", reference="control")
    table = table_of(adata).set_index("factor").sort_index()
    for column, cells in (("positive", treated), ("positive_reference", ~treated)):
        expected = (Z[cells] > np.float32([0.3, 0, 0, 0, 0])).mean(axis=0)
        np.testing.assert_allclose(table[column], expected)


def test_samples_of_few_cells_are_no_replicates() -> None:
    adata = donors_data(crossed=True)
    rare = np.isin(adata.obs["donor"], ["d0", "d1"]) & (adata.obs["condition"] == "treated")
    adata.obs["type"] = np.where(rare & ~adata.obs.duplicated(["donor", "condition"]), "rare", "other")
    with pytest.warns(UserWarning, match="two samples of 10 cells or more.*'rare'"):
        tl.rank_factors(adata, "type", sample_key="donor")
    entry = adata.uns["distaff"]["rank_factors"]
    groups = entry["groups"]
    assert groups.loc["rare", ["n_cells", "n_samples", "n_pairs"]].tolist() == [2, 0, 0]
    rare = table_of(adata).query("group == 'rare'")
    assert rare[["p_value", "effect", "mean"]].isna().all(axis=None)
    assert rare["log_bayes_factor"].notna().all()
    assert entry["params"]["min_cells"] == 10
    tl.rank_factors(adata, "type", sample_key="donor", min_cells=1)
    assert adata.uns["distaff"]["rank_factors"]["groups"].loc["rare", "n_pairs"] == 2


def test_a_group_of_one_cell() -> None:
    adata = donors_data()
    adata.obs["condition"] = ["alone", *adata.obs["condition"][1:]]
    with pytest.warns(UserWarning, match="two cells or more.*'alone'"):
        tl.rank_factors(adata, "condition")
    table = table_of(adata).set_index("group")
    assert table.loc["alone", "p_value"].isna().all()
    assert (table.loc["alone", "log_bayes_factor"] == 0).all()  # one cell says nothing
    assert table.loc[["control", "treated"], "q_value"].notna().all()


def test_constant_and_inactive_factors_are_not_tested() -> None:
    adata = donors_data(shift=1.0)
    adata.obsm["X_distaff"][:, 0] = 0.3
    active = [True, True, False, True, True]
    adata.uns["distaff"] = {"factors": pd.DataFrame({"active": active}, index=list("abcde"))}
    tl.rank_factors(adata, "condition", reference="control", sample_key="donor")
    table = table_of(adata).set_index("factor")
    assert table.loc[["a", "c"], "q_value"].isna().all()
    assert table.loc[["a", "c"], "log_bayes_factor"].isna().all()
    assert sorted(table.index[-2:]) == ["a", "c"]
    expected = stats.false_discovery_control(table["p_value"].iloc[:3])
    np.testing.assert_allclose(table["q_value"].iloc[:3], expected)


def test_cells_without_label_or_sample_are_left_out() -> None:
    adata = donors_data(shift=1.0)
    keep = np.ones(adata.n_obs, dtype=bool)
    keep[[0, 40, 100]] = False
    adata.obs["condition"] = adata.obs["condition"].where(np.arange(adata.n_obs) != 0)
    adata.obs["donor"] = adata.obs["donor"].where(~np.isin(np.arange(adata.n_obs), [40, 100]))
    part = adata[keep].copy()
    for data in (adata, part):
        tl.rank_factors(data, "condition", sample_key="donor")
    pd.testing.assert_frame_equal(table_of(adata), table_of(part))
    assert adata.uns["distaff"]["rank_factors"]["params"]["n_missing"] == 3


def test_other_representation_and_copy() -> None:
    adata = donors_data(shift=1.0)
    adata.obsm["other"] = pd.DataFrame(adata.obsm["X_distaff"], index=adata.obs_names, columns=list("vwxyz"))
    before = adata.uns.copy()
    other = tl.rank_factors(adata, "condition", use_rep="other", key="mine", copy=True)
    assert set(table_of(other, "mine")["factor"]) == set("vwxyz")
    assert dict(adata.uns) == dict(before)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_round_trip(tmp_path, kind) -> None:
    adata = donors_data(shift=1.0)
    tl.rank_factors(adata, "condition", sample_key="donor")
    path = tmp_path / f"a.{kind}"
    getattr(adata, f"write_{kind}")(path)
    back = getattr(anndata, f"read_{kind}")(path).uns["distaff"]["rank_factors"]
    result = adata.uns["distaff"]["rank_factors"]
    for name in ("table", "groups"):
        pd.testing.assert_frame_equal(
            back[name], result[name], check_dtype=False, check_index_type=False, check_categorical=False
        )
    assert back["params"] == result["params"]


@pytest.mark.parametrize(
    ("groupby", "options", "kind", "message"),
    [
        ("nope", {}, KeyError, "groupby must name a column.*'nope'"),
        ("condition", {"sample_key": "nope"}, KeyError, "sample_key must name a column.*'nope'"),
        ("condition", {"use_rep": "X_pca"}, KeyError, "'X_pca'.*'X_distaff'"),
        ("condition", {"reference": "none"}, ValueError, "reference must be one of 'rest', 'control'"),
        ("one", {}, ValueError, "two groups or more, got 'a'"),
        ("score", {}, ValueError, "groupby must name a column with groups.*bins"),
        ("rest", {}, ValueError, "may be called 'rest'"),
        ("condition", {"min_cells": 0}, ValueError, "min_cells must be >= 1, got 0"),
    ],
)
def test_bad_input(groupby, options, kind, message) -> None:
    adata = donors_data()
    adata.obs["one"] = "a"
    adata.obs["score"] = np.linspace(0, 1, adata.n_obs)
    adata.obs["rest"] = np.tile(["rest", "b"], adata.n_obs // 2)
    with pytest.raises(kind, match=message):
        tl.rank_factors(adata, groupby, **options)


def test_interferon_comes_first_in_stimulated_cells(data_dir) -> None:
    adata = anndata.read_h5ad(data_dir / "kang_pbmc_2k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=1000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    nmf = NMF(10, init="nndsvd", random_state=0, tol=1e-3)
    adata.obsm["X_distaff"] = nmf.fit_transform(adata.X)
    tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    first = table_of(adata).iloc[0]
    factor = int(first["factor"].split()[-1]) - 1
    top = adata.var_names[np.argsort(-nmf.components_[factor])[:20]]
    assert {"ISG15", "ISG20", "RSAD2", "IFITM3"} <= set(top)  # induced by interferon
    assert first["q_value"] < 1e-4
    assert first["lower"] > 0
    assert adata.uns["distaff"]["rank_factors"]["groups"].loc["stim", "test"] == "paired"


@pytest.mark.slow
def test_exchanged_conditions_of_real_donors(data_dir) -> None:
    adata = anndata.read_h5ad(data_dir / "kang_pbmc_2k.h5ad")
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=1000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    adata.obsm["X_distaff"] = NMF(10, init="nndsvd", random_state=0, tol=1e-3).fit_transform(adata.X)
    true, donor = adata.obs["condition"].astype(str), adata.obs["donor"].astype(str)
    other = true.map({"ctrl": "stim", "stim": "ctrl"})
    rates = []
    for choice in range(1, 2**7):  # the eighth donor keeps its own: the other half are mirror images
        flipped = [name for i, name in enumerate(donor.unique()[:7]) if choice >> i & 1]
        adata.obs["condition"] = true.where(~donor.isin(flipped), other)
        tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
        rates.append((table_of(adata)["q_value"] < 0.05).mean())
    assert np.mean(rates) <= 0.05
