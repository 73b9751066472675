from __future__ import annotations

import threading

import pytest

from distaff._atomic import locked, partial_files, sync_folder, write_synced


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
