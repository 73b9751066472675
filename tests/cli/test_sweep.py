"""``distaff sweep`` with tiny models."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pandas as pd
import pytest

from distaff.cli import main, sweep
from distaff.papers import Trial

TINY = ["--max-epochs", "2", "--accelerator", "cpu", "--n-latent", "3"]
SIMULATED = ["--n-cells", "80", "--n-genes", "300"]


@pytest.fixture
def call(tmp_path):
    return lambda *options: main(["sweep", *options, *TINY, "--output", str(tmp_path / "out")])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Folder, stdout and stderr of a grid of two betas and two seeds, in two processes."""
    output = tmp_path_factory.mktemp("sweep") / "out"
    grid = ["--beta", "1,10", "--capacity", "5", "--seeds", "2", "--jobs", "2"]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert main(["sweep", "--model", "beta", *grid, *SIMULATED, *TINY, "--output", str(output)]) == 0
    return output, out.getvalue(), err.getvalue()


def test_one_row_a_run(simulated):
    folder, _, err = simulated
    runs = pd.read_csv(folder / "scores.csv")
    assert len(runs) == 4
    assert set(map(tuple, runs[["beta", "capacity", "seed"]].to_numpy())) == {
        (beta, capacity, seed) for beta in (1, 10) for capacity in (5,) for seed in (0, 1)
    }
    assert runs["max_spearman"].between(0, 1).all()
    assert runs["ari"].notna().all()
    assert "trial 4 of 4" in err
    factors = pd.read_csv(folder / "scores_by_factor.csv")
    assert {"program_usage: activity_1", "activity_1"} & set(factors["factor"])


def test_means_and_figures(simulated):
    folder, out, _ = simulated
    runs = pd.read_csv(folder / "scores.csv")
    rows = json.loads((folder / "tables.json").read_text())["tables"]["means"]["rows"]
    first = next(row for row in rows if (row["beta"], row["capacity"]) == (10, 5))
    mean = runs[(runs["beta"] == 10) & (runs["capacity"] == 5)]["mig"].mean()
    assert first["mig"] == pytest.approx(mean)
    assert first["runs"] == 2
    assert "dropout_rate" not in first
    assert "beta=10 capacity=5" in out
    for name in ("scores", "tradeoff"):
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_processes_find_what_one_process_finds(simulated, call, tmp_path):
    assert call("--model", "beta", *SIMULATED, "--beta", "10", "--capacity", "5", "--seeds", "1") == 0
    alone = pd.read_csv(tmp_path / "out/scores.csv").iloc[0]
    runs = pd.read_csv(simulated[0] / "scores.csv")
    same = runs[(runs["beta"] == 10) & (runs["capacity"] == 5) & (runs["seed"] == 0)].iloc[0]
    pd.testing.assert_series_equal(alone, same, check_names=False)


def test_a_file_goes_on_with_a_larger_grid_and_not_with_other_cells(write, call, tmp_path, capsys):
    options = ["--model", "linear", "--factors", "condition,cell_type", "--beta", "1"]
    assert call(write(), *options, "--seeds", "1") == 0
    assert call(write(), *options, "--seeds", "2") == 0
    assert "1 of 2 trials are done already" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "out/scores.csv")) == 2

    def fewer(adata):
        adata.X[:5] *= 2

    assert call(write(fewer), *options, "--seeds", "2") == 0
    assert "done already" not in capsys.readouterr().err


def test_a_model_without_capacity(write, call, tmp_path):
    options = ["--factors", "condition", "--beta", "1,2", "--seeds", "1"]
    assert call(write(), "--model", "sparse", *options) == 0
    assert list(pd.read_csv(tmp_path / "out/scores.csv")["beta"]) == [1, 2]


def test_failed_trials_are_named_and_tried_again(write, call, tmp_path, capsys):
    options = [write(), "--model", "beta", "--factors", "condition", "--beta", "1", "--seeds", "1"]
    for _ in range(2):
        assert call(*options, "--lr", "1e30") == 1
        out, err = capsys.readouterr()
        assert "Written to" in out
        assert "trial 1 of 1" in err
        assert "error: 1 trials failed, the first beta model, beta 1, seed 0 (DivergenceError" in err
        assert "| beta model, beta 1, seed 0 | DivergenceError" in (tmp_path / "out/tables.md").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "beta"], "--factors must name what to score the latents on"),
        (["--model", "beta", "--factors", "mood"], "mood"),
        (["--model", "sparse", "--factors", "condition", "--capacity", "1"], "got --capacity"),
        (["--model", "linear", "--factors", "condition", "--gene-sets", "a.gmt"], "--gene-sets"),
        (["--model", "beta", "--factors", "condition", "--init", "pca"], "got --init"),
    ],
)
def test_bad_input(options, words, write, call, tmp_path, capsys):
    assert call(write(), *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--beta", "1,x"], ["--beta", "-1"], ["--jobs", "0"], ["--seeds", "0"]])
def test_bad_arguments(options, call, capsys):
    with pytest.raises(SystemExit) as end:
        call("--model", "beta", *options)
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err


def test_all_that_decides_a_result_tells_trials_apart(write, tmp_path):
    def stem(*options):
        args = _parsed(["sweep", "--model", "beta", "--factors", "condition", *options])
        (trial, *_) = sweep._trials(args, {"file": "x"})
        assert isinstance(trial, Trial)
        return trial.stem

    changes = [[], ["--max-epochs", "9"], ["--n-latent", "9"], ["--n-top-genes", "9"], ["--lr", "0.1"]]
    changes += [["--batch-key", "batch"], ["--seed", "1"], ["--likelihood", "zinb"], ["--beta", "9"]]
    assert len({stem(*change) for change in changes}) == len(changes)


def _parsed(argv):
    from distaff.cli._main import _parser

    return _parser().parse_args(argv)
