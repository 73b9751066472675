"""The folder of a run: whole or not there, one run, its own files."""

import os
from pathlib import Path

import pytest
import torch

from distaff.model._run_folder import RunFolder

RUN = {"arguments": {"seed": 3}, "data": {"counts": "0" * 64}}


def write(path, number, run=RUN):
    folder = RunFolder(path)
    folder.check(run)
    folder.write({"epoch": number, "values": torch.tensor([number])}, {"weight": torch.full((2,), number)})


def read(path):
    state, weights = RunFolder(path).known
    return state["epoch"], int(state["values"]), weights["weight"].tolist()


def test_what_was_written_last_is_read(tmp_path):
    path = tmp_path / "new" / "folder"
    assert RunFolder(path).known is None
    for number in (1, 2):
        write(path, number)
        assert read(path) == (number, number, [number, number])
        assert len(list(path.iterdir())) == 2
    assert RunFolder(path).run == RUN


def test_an_interruption_at_any_step_leaves_one_state(tmp_path, monkeypatch):
    """What Ctrl-C does; a kill is tested with processes."""
    write(tmp_path, 1)
    found = []
    for step in range(1, 100):
        left = [step]

        def counting(call, left=left):
            def counted(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
                return call(*args, **kwargs)

            return counted

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", counting(os.fsync))
            for name in ("open", "replace", "unlink"):
                patch.setattr(Path, name, counting(getattr(Path, name)))
            try:
                write(tmp_path, 2)
                done = True
            except KeyboardInterrupt:
                done = False
        found.append(read(tmp_path)[0])
        if done:
            break
    assert set(found) == {1, 2}
    assert found == sorted(found)
    write(tmp_path, 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_files_are_left_alone(tmp_path):
    for name in ("notes.txt", "model.safetensors", ".run.json"):
        (tmp_path / name).write_text("mine")
    write(tmp_path, 1)
    write(tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 5


def test_another_run_is_refused_and_kept(tmp_path):
    write(tmp_path, 1)
    with pytest.raises(
        ValueError, match=r"the same seed, got one with seed=3 \(now 4\)\. .*pass its arguments"
    ):
        write(tmp_path, 2, {**RUN, "arguments": {"seed": 4}})
    with pytest.raises(ValueError, match=r"the same counts, got other counts\. .*load its data"):
        write(tmp_path, 2, {**RUN, "data": {"counts": "1" * 64}})
    assert read(tmp_path) == (1, 1, [1, 1])


def test_a_file_that_was_changed_is_refused(tmp_path):
    write(tmp_path, 1)
    document = tmp_path / "run.json"
    document.write_text(document.read_text().replace('"epoch":1', '"epoch":2'))
    with pytest.raises(ValueError, match="must be as it was saved, got a corrupt file"):
        RunFolder(tmp_path)
