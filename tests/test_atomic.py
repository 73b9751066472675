from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from distaff._atomic import (
    locked,
    partial_files,
    partial_folder,
    sync_folder,
    write_synced,
    write_whole,
)


def test_partial_files_lie_beside_their_target_and_vanish(tmp_path):
    target = tmp_path / "a.json"
    with partial_files() as partial:
        one, two = partial(target), partial(target)
        assert one != two
        assert one.parent == tmp_path
        write_synced(one, b"new")
        write_synced(two, b"left")
        one.replace(target)
    sync_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert target.read_bytes() == b"new"


def test_partial_files_vanish_after_an_error(tmp_path):
    def fail():
        with partial_files() as partial:
            write_synced(partial(tmp_path / "a"), b"half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_one_writer_waits_for_the_other(tmp_path):
    order, started = [], threading.Event()

    def second():
        started.set()
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


WRITER = """
import sys, time
from pathlib import Path
from distaff._atomic import partial_folder
with partial_folder(Path(sys.argv[1])) as folder:
    (folder / "a").write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX locks and signals")
def test_folder_of_a_killed_process_is_deleted_and_that_of_a_living_one_is_not(tmp_path):
    target = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, target], stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            assert writer.stdout.readline() == "ready\n"
            (living,) = tmp_path.iterdir()
            with partial_folder(target) as folder:
                folder.rename(tmp_path / "other")
            assert {path.name for path in tmp_path.iterdir()} == {living.name, "other"}
            assert (living / "out" / "a").read_text() == "half"
        finally:
            writer.kill()
    assert living.exists()
    with partial_folder(target) as folder:
        assert not living.exists()
        folder.rename(target)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "other"}


@pytest.mark.skipif(os.name == "nt", reason="there are no locks to tell by")
def test_whole_files_delete_what_was_left_of_them(tmp_path):
    path, other = tmp_path / "a.html", tmp_path / ".b.html.01234567.partial"
    for left in (tmp_path / ".a.html.01234567.partial", other):
        left.write_text("half")
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert {one.name for one in tmp_path.iterdir()} == {"a.html", other.name}
