import contextlib
import gzip
import hashlib
import time
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distaff.pp import gene_sets

GENES = [f"G{i}" for i in range(30)]


def make(genes=GENES, n_cells=3):
    counts = np.ones((n_cells, len(genes)), dtype=np.float32)
    return anndata.AnnData(counts, var=pd.DataFrame(index=list(genes)))


def write(folder, text, name="sets.gmt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def coverage(adata, key="gene_sets"):
    return adata.uns[key]["coverage"]


# --- sources ----------------------------------------------------------------------------------------


def test_gmt(tmp_path):
    text = "first set\thttp://G5\tG0\tG1\tnot there\nB" + "x" * 60 + "\tna\tG2\tG0\tG2\tG2\n"
    path = write(tmp_path, text)
    adata = make()
    assert gene_sets(adata, path, min_genes=1) is None
    mask = adata.varm["gene_sets"]
    assert mask.columns.tolist() == ["first set", "B" + "x" * 60]
    assert (mask.to_numpy().dtype, mask.shape) == (np.float32, (30, 2))
    assert mask.index.equals(adata.var_names)
    assert mask.index[mask["first set"] == 1].tolist() == ["G0", "G1"]
    assert mask.to_numpy().sum() == 4
    report = adata.uns["gene_sets"]
    assert report["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (report["source"], report["n_sets"], report["n_kept"]) == (str(path), 2, 2)
    assert report["n_duplicated_genes"] == 2
    assert report["parameters"] == {"min_genes": 1, "min_coverage": 0.0, "ignore_case": False}
    assert coverage(adata)["n_genes_total"].tolist() == [3, 2]
    assert coverage(adata)["n_genes_matched"].tolist() == [2, 2]
    assert coverage(adata)["coverage"].tolist() == [2 / 3, 1.0]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfA\tu\tG0\tG1\nB\tu\tG2\n",
        b"A\tu\tG0\tG1\r\nB\tu\tG2\r\n",
        b"A\tu\tG0\tG1\rB\tu\tG2",
        b"\n\nA\tu\tG0\tG1\t\t\t\n \t \nB\tu\tG2",
        b"A\tu\t G0\t\tG1 \nB\t\tG2\n",
        gzip.compress(b"A\tu\tG0\tG1\nB\tu\tG2\n", mtime=0),
    ],
    ids=["byte-order mark", "CRLF", "CR", "empty lines and trailing tabs", "spaces and gaps", "gzip"],
)
def test_gmt_variants(tmp_path, text):
    adata = make()
    gene_sets(adata, str(write(tmp_path, text)), min_genes=1)
    mask = adata.varm["gene_sets"]
    assert {name: mask.index[mask[name] > 0].tolist() for name in mask} == {"A": ["G0", "G1"], "B": ["G2"]}


def test_all_sources_agree(tmp_path):
    sets = {"A": ["G0", "G1", "G1"], "B": ["G2", "other"]}
    net = pd.DataFrame([(name, gene) for name, genes in sets.items() for gene in genes])
    net.columns = ["source", "target"]
    gmt = "".join(f"{name}\tu\t" + "\t".join(genes) + "\n" for name, genes in sets.items())
    weights = {name: dict.fromkeys(genes, 1) for name, genes in sets.items()}
    iterators = {name: iter(genes) for name, genes in sets.items()}
    results = []
    for source in (sets, iterators, weights, net, net.assign(weight=1.0).astype({"source": "category"}), gmt):
        adata = make()
        gene_sets(adata, write(tmp_path, source) if source is gmt else source, min_genes=1)
        results.append(adata)
    for adata in results[1:]:
        pd.testing.assert_frame_equal(adata.varm["gene_sets"], results[0].varm["gene_sets"])
        pd.testing.assert_frame_equal(coverage(adata), coverage(results[0]))
    assert len({adata.uns["gene_sets"]["sha256"] for adata in results[:-1]}) == 1
    assert [adata.uns["gene_sets"]["source"] for adata in results[:4]] == ["dict", "dict", "dict", "net"]


def test_signed_weights_are_kept():
    net = pd.DataFrame({"source": "TF", "target": ["G0", "G3", "G5"], "weight": [1, -0.5, 2.25]})
    for source in (net, {"TF": {"G0": 1.0, "G3": -0.5, "G5": 2.25}}):
        adata = make()
        gene_sets(adata, source, min_genes=3)
        column = adata.varm["gene_sets"]["TF"]
        assert column[column != 0].to_dict() == {"G0": 1.0, "G3": -0.5, "G5": 2.25}


# --- rules ------------------------------------------------------------------------------------------


def test_limits_and_reasons():
    sets = {
        "small": GENES[:4],
        "fits": GENES[:5],
        "large": GENES[:11],
        "rare": [*GENES[:6], *(f"other{i}" for i in range(7))],
    }
    adata = make()
    gene_sets(adata, sets, min_genes=5, max_genes=10, min_coverage=0.5, set_key="mine")
    assert coverage(adata, "mine")["reason"].to_dict() == {
        "small": "fewer than min_genes",
        "fits": "kept",
        "large": "more than max_genes",
        "rare": "coverage below min_coverage",
    }
    assert coverage(adata, "mine")["kept"].tolist() == [True, False, False, False]
    assert coverage(adata, "mine")["column"].tolist() == ["fits", "", "", ""]
    assert adata.varm["mine"].columns.tolist() == ["fits"]
    assert adata.uns["mine"]["parameters"]["max_genes"] == 10


def test_identical_and_nested_sets():
    sets = {
        "whole": GENES[:10],
        "half": GENES[:5],
        "gone": GENES[:1],
        "same": [*GENES[:5], "other"],
        "apart": GENES[20:25],
        "also": GENES[:5][::-1],
        "wider": GENES[:12],
    }
    adata = make()
    with pytest.warns(
        UserWarning, match=r"2 of 6 gene sets hold the same genes .*'same = half', 'also = half'"
    ):
        gene_sets(adata, sets, min_genes=2)
    assert adata.varm["gene_sets"].shape[1] == 6
    assert adata.uns["gene_sets"]["n_same"] == 2
    assert coverage(adata).index.tolist() == ["whole", "half", "same", "apart", "also", "wider", "gone"]
    assert coverage(adata)["same_as"].tolist() == ["", "", "half", "", "half", "", ""]
    assert coverage(adata)["nested_in"].tolist() == ["wider", "whole", "whole", "", "whole", "", ""]


def test_a_column_that_has_the_names_is_pointed_at():
    adata = make([f"ENSG{i:011d}" for i in range(40)])
    adata.var["biotype"] = "protein_coding"
    adata.var["symbol"] = pd.Categorical([*GENES, *"abcdefghij"])
    adata.var["length"] = 1000
    message = r"adata.var\['symbol'\] has 10 of them: before setup_anndata, set adata.var_names = "
    with pytest.raises(ValueError, match=message):
        gene_sets(adata, {"A": GENES[:10]}, min_genes=5)


def test_few_identical_sets_are_counted_without_a_warning():
    sets = {f"s{i}": GENES[i : i + 3] for i in range(8)} | {"again": GENES[:3]}
    adata = make()
    gene_sets(adata, sets, min_genes=2)  # a warning is an error here
    assert adata.uns["gene_sets"]["n_same"] == 1
    assert coverage(adata).loc["again", "same_as"] == "s0"


def test_overlaps_agree_with_pairs_of_sets():
    rng = np.random.default_rng(0)
    sets = {f"s{i}": rng.choice(GENES[:6], rng.integers(1, 5), replace=False) for i in range(600)}
    adata = make()
    with pytest.warns(UserWarning, match="hold the same genes"):
        gene_sets(adata, sets, min_genes=1)
    members = {name: frozenset(genes) for name, genes in sets.items()}
    first = {}
    for name, genes in members.items():
        first.setdefault(genes, name)
    for name, row in coverage(adata).iterrows():
        genes = members[name]
        assert row["same_as"] == ("" if first[genes] == name else first[genes])
        larger = [other for other in members if members[other] > genes]
        assert row["nested_in"] == (min(larger, key=lambda other: len(members[other])) if larger else "")


def test_case_is_folded_on_request_only():
    adata = make(["Cd3d", "CD8A", "Actb"])
    sets = {"T": ["CD3D", "Cd8a", "cd8a"], "other": ["ACTB"]}
    with pytest.raises(ValueError, match="3 names differ in upper and lower case only"):
        gene_sets(adata, sets, min_genes=1)
    gene_sets(adata, sets, min_genes=1, ignore_case=True)
    assert adata.varm["gene_sets"].to_numpy().tolist() == [[1, 0], [1, 0], [0, 1]]
    assert coverage(adata).loc["T", "n_genes_total"] == 2
    assert adata.uns["gene_sets"]["n_duplicated_genes"] == 1
    with pytest.raises(ValueError, match="differ in more than upper and lower case, got 'Tec' and 'TEC'"):
        gene_sets(make(["Tec", "TEC"]), sets, ignore_case=True)


def test_copy_and_overwriting():
    adata = make()
    gene_sets(adata, {"A": GENES}, min_genes=1)
    other = gene_sets(adata[:, :20], {"B": GENES[:3]}, min_genes=1, copy=True)
    assert adata.varm["gene_sets"].columns.tolist() == ["A"]
    assert other.varm["gene_sets"].columns.tolist() == ["B"]
    assert not other.is_view
    gene_sets(adata, {"B": GENES}, min_genes=1)
    assert adata.varm["gene_sets"].columns.tolist() == ["B"]
    assert coverage(adata).index.tolist() == ["B"]


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "source must hold gene sets, got the empty file"),
        (" \n\t\n", "source must hold gene sets, got the empty file"),
        ("A\tu\tG0\nB G1 G2\n", r"gmt:2 must hold .* got a line without tabs, 'B G1 G2'. Spaces do not"),
        ("A\tu\tG0\n\nB\tu\n", r"gmt:3 must hold a name, a description and genes, .* got no genes in 'B"),
        ("A\tu\t\t \n", "gmt:1 must hold .* got no genes"),
        ("\tu\tG0\n", "gmt:1 must hold .* got no name"),
        ("A\tu\tG0\nB\tu\tG0\nA\tu\tG1", "gmt:3 must have a name of its own, got 'A', as in line 1"),
        (b"A\tu\tG0\nB\tu\t\xff\n", "gmt:2 must be UTF-8 text, got the byte 0xff"),
        ("A\tu\tG0\n".encode("utf-16"), "gmt:1 must be UTF-8 text"),
        (b"A\tu\tG0\nB\0\tu\tG0\n", "gmt:2 must be UTF-8 text, got a zero byte"),
        (gzip.compress(b"A\tu\tG0\n", mtime=0)[:-9], "must be a whole gzip file"),
    ],
)
def test_bad_files(tmp_path, text, message):
    adata = make()
    with pytest.raises(ValueError, match=message):
        gene_sets(adata, write(tmp_path, text), min_genes=1)
    assert not adata.uns
    assert not adata.varm


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ({}, ValueError, "source must hold gene sets, got an empty dict"),
        ({"A": []}, ValueError, "gene set 'A' must have genes, got none"),
        ({"A": "G0"}, TypeError, "gene set 'A' must be a list of genes, or a dict of weights, got 'G0'"),
        ({"A": 3}, TypeError, "gene set 'A' must be a list of genes"),
        ({"A": ["G0", 5]}, TypeError, r"Genes of gene set 'A' must be strings, got 5 \(int\)"),
        ({"A": ["G0", np.nan]}, TypeError, "must be strings, got nan"),
        ({"A": ["G0", ""]}, ValueError, "Genes of gene set 'A' must have names"),
        ({1: ["G0"]}, TypeError, "Names of gene sets must be strings, got 1"),
        ({" ": ["G0"]}, ValueError, "Names of gene sets must be text, got ' '"),
        (
            {"A": {"G0": 0.0}},
            ValueError,
            "weight of gene 'G0' in gene set 'A' must be a float32 other than 0, got 0",
        ),
        ({"A": {"G0": 1e300}}, ValueError, "must be a float32 other than 0"),
        ({"A": {"G0": np.nan}}, ValueError, "weight of gene 'G0' in gene set 'A' must be finite"),
        ({"A": {"G0": "1"}}, TypeError, "weight of gene 'G0' in gene set 'A' must be a number"),
        (["G0"], TypeError, "source must be the path of a GMT file, a dict or a decoupler net"),
        (pd.DataFrame({"tf": ["A"], "target": ["G0"]}), ValueError, "must have the columns 'source' and"),
        (pd.DataFrame({"source": [], "target": []}), ValueError, "got an empty net"),
        (
            pd.DataFrame({"source": "A", "target": ["G0", "G0"], "weight": [1, -1]}),
            ValueError,
            "A gene of gene set 'A' must have one weight, got 1 and -1 for gene 'G0'",
        ),
        (pd.DataFrame({"source": ["A", None], "target": "G0"}), TypeError, "Names of gene sets must be str"),
    ],
)
def test_bad_sources(source, kind, message):
    adata = make()
    with pytest.raises(kind, match=message):
        gene_sets(adata, source, min_genes=1)
    assert not adata.uns
    assert not adata.varm


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        gene_sets(make(), tmp_path / "none.gmt")
    with pytest.raises(FileNotFoundError, match="a folder"):
        gene_sets(make(), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_genes": 0}, "min_genes must be >= 1, got 0"),
        ({"min_genes": 5, "max_genes": 4}, "max_genes must be >= 5, got 4"),
        ({"min_coverage": 1.5}, "min_coverage must be <= 1"),
        ({"set_key": "a/b"}, "set_key must be a string without '/'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        gene_sets(make(), {"A": GENES}, **arguments)


def test_bad_data():
    with pytest.raises(ValueError, match="adata must not be a view"):
        gene_sets(make()[:, :5], {"A": GENES}, min_genes=1)
    adata = make(["a", "b", "c"])
    adata.var_names = ["a", "b", "a"]
    with pytest.raises(ValueError, match="adata.var_names must be unique, got 1 repeated gene names: 'a'"):
        gene_sets(adata, {"A": ["a"]}, min_genes=1)


def test_nothing_left_says_why():
    with pytest.raises(
        ValueError, match=r"min_genes=12.*got 2 gene sets: 2 with fewer.*'B' matches most, 3 of"
    ):
        gene_sets(make(), {"A": GENES[:2], "B": GENES[:3]})
    ensembl = make([f"ENSG{i:011d}" for i in range(30)])
    with pytest.raises(
        ValueError, match="adata.var_names look like Ensembl ids, those of the gene sets do not"
    ):
        gene_sets(ensembl, {"A": GENES})
    with pytest.raises(
        ValueError, match="names of the gene sets look like Ensembl ids, adata.var_names do not"
    ):
        gene_sets(make(), {"A": list(ensembl.var_names)})
    with pytest.raises(ValueError, match="Ensembl ids differ in their versions"):
        gene_sets(ensembl, {"A": [f"{name}.7" for name in ensembl.var_names]})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80) | st.text("AB\tG01 \n\r\0é", max_size=60).map(str.encode))
def test_any_file_is_read_or_refused_with_a_message(tmp_path, data):
    adata = make()
    path = write(tmp_path, data)
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore", UserWarning)
        gene_sets(adata, path, min_genes=1)
    if adata.uns:
        assert (adata.varm["gene_sets"].sum() > 0).all()
        return
    assert not adata.varm
    with pytest.raises(ValueError, match=" must "):
        gene_sets(adata, path, min_genes=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sets=st.dictionaries(
        st.text("abc/ é.", min_size=1, max_size=5).filter(lambda name: name.strip() == name),
        st.lists(st.sampled_from([*GENES, "x", "y z"]), min_size=1, max_size=8),
        min_size=1,
        max_size=6,
    ),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(tmp_path, sets, end):
    text = end.join("\t".join([name, "url", *genes]) for name, genes in sets.items())
    by_file, by_dict = make(), make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            gene_sets(by_dict, sets, min_genes=1)
        except ValueError:
            assert not {gene for genes in sets.values() for gene in genes} & set(GENES)
            return
        gene_sets(by_file, write(tmp_path, text), min_genes=1)
    pd.testing.assert_frame_equal(by_file.varm["gene_sets"], by_dict.varm["gene_sets"])
    for name, genes in sets.items():
        row = coverage(by_file).loc[name]
        if row["kept"]:
            column = by_file.varm["gene_sets"][row["column"]]
            assert set(column.index[column > 0]) == set(genes) & set(GENES)


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_written_and_read(tmp_path, suffix):
    names = ["plain", "a b", "TNF-alpha/NF-kB", "TNF-alpha_NF-kB", "/", "..", "_index", "é" * 40, "x" * 300]
    sets = {name: GENES[i : i + 5] for i, name in enumerate(names)} | {"unkept": GENES[:1]}
    adata = make()
    with pytest.warns(UserWarning, match="5 names of gene sets cannot be columns of a file"):
        gene_sets(adata, sets, min_genes=2)
    mask = adata.varm["gene_sets"]
    assert mask.columns.is_unique
    assert mask.columns[:5].tolist() == ["plain", "a b", "TNF-alpha_NF-kB_", "TNF-alpha_NF-kB", "_"]
    assert coverage(adata).index.tolist() == [*names, "unkept"]
    kept = coverage(adata)["kept"]
    assert coverage(adata)["column"][kept].tolist() == mask.columns.tolist()
    path = tmp_path / f"data.{suffix}"
    (adata.write_h5ad if suffix == "h5ad" else adata.write_zarr)(path)
    read = (anndata.read_h5ad if suffix == "h5ad" else anndata.read_zarr)(path)
    np.testing.assert_array_equal(read.varm["gene_sets"], mask)
    assert read.varm["gene_sets"].columns.tolist() == mask.columns.tolist()
    for column in coverage(adata):
        assert coverage(read)[column].tolist() == coverage(adata)[column].tolist()
    assert coverage(read).index.tolist() == coverage(adata).index.tolist()
    before, after = adata.uns["gene_sets"], read.uns["gene_sets"]
    assert {k: v for k, v in after.items() if k != "coverage"} == {
        k: v for k, v in before.items() if k != "coverage"
    }


def test_too_many_sets_for_an_h5ad_file():
    sets = {f"s{i}": [GENES[i % 30]] for i in range(4001)}
    adata = make()
    with (
        pytest.warns(UserWarning, match="4001 gene sets are more than the 4000 columns"),
        pytest.warns(UserWarning, match="hold the same genes"),
    ):
        gene_sets(adata, sets, min_genes=1)


# --- real data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "gmt", "at_least_12", "more_than_12"),
    [
        ("pbmc3k", "reactome_c2cp_v4.0", 486, 459),
        ("pbmc3k", "reactome_c2cp_v7.5.1", 960, 913),
        ("pbmc3k", "hallmark_v7.5.1", 50, 50),
        ("kang_pbmc_2k", "reactome_c2cp_v4.0", 424, 400),
        ("kang_pbmc_2k", "reactome_c2cp_v7.5.1", 848, 814),
        ("kang_pbmc_2k", "hallmark_v7.5.1", 50, 48),
    ],
)
def test_real_gene_sets(data_dir, data, gmt, at_least_12, more_than_12):
    adata = anndata.read_h5ad(data_dir / f"{data}.h5ad")
    path = data_dir / f"{gmt}.symbols.gmt"
    start = time.perf_counter()
    gene_sets(adata, path)
    assert time.perf_counter() - start < 5  # 0.2 s on an idle machine
    assert adata.varm["gene_sets"].shape == (adata.n_vars, at_least_12)
    mask = adata.varm["gene_sets"].to_numpy()
    assert np.isin(mask, (0, 1)).all()
    assert mask.sum(0).min() >= 12
    gene_sets(adata, path, min_genes=13)
    assert adata.uns["gene_sets"]["n_kept"] == more_than_12
