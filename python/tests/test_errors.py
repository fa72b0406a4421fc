"""What goes wrong is an exception of the right class, with what is known of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import statedict as sd


def test_a_missing_file_is_the_systems_error() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        sd.convert("nowhere.pth", "out.pth")
    assert caught.value.filename == "nowhere.pth"
    with pytest.raises(FileNotFoundError):
        sd.check("nowhere.pth")


def test_a_folder_in_the_way_is_the_systems_error(folder: Path) -> None:
    Path("out.pth").mkdir()
    with pytest.raises(OSError):
        sd.convert("lenet.pth", "out.pth", overwrite=True)


def test_a_file_that_is_there_is_not_replaced() -> None:
    for write in (
        lambda: sd.convert("lenet.pth", "dataparallel.pth"),
        lambda: sd.rename_file("lenet.pth", "add:x", output="dataparallel.pth"),
        lambda: sd.save_file(sd.load_file("lenet.pth"), "dataparallel.pth"),
    ):
        with pytest.raises(FileExistsError) as caught:
            write()
        assert caught.value.filename == "dataparallel.pth"
        assert "overwrite=True" in caught.value.hint  # type: ignore[attr-defined]


def test_a_truncated_file_is_malformed() -> None:
    whole = Path("lenet.pth").read_bytes()
    Path("cut.pth").write_bytes(whole[:-30])
    with pytest.raises(sd.MalformedError) as caught:
        sd.rename_file("cut.pth", "unwrap")
    assert caught.value.kind == "malformed"
    assert caught.value.path == "cut.pth"
    assert str(caught.value).startswith("cannot read 'cut.pth': ")


def test_a_text_is_no_checkpoint() -> None:
    Path("text.pth").write_text("hello, this is text\n" * 10)
    with pytest.raises(sd.CheckpointError) as caught:
        sd.convert("text.pth", "out.pth")
    assert caught.value.kind == "unknown-format"


def test_keys_that_meet_are_named() -> None:
    with pytest.raises(sd.CollisionError) as caught:
        sd.rename_file("lenet.pth", "conv{i}.{r..} -> conv.{r..}")
    name, keys = caught.value.collisions[0]
    assert (name, keys) == ("conv.weight", ["conv1.weight", "conv2.weight"])


def test_a_rule_that_matches_nothing_is_refused() -> None:
    with pytest.raises(sd.CheckpointError, match="no key matches") as caught:
        sd.rename_file("lenet.pth", "strip:module")
    assert caught.value.kind == "refused"
    assert sd.rename_file("lenet.pth", "strip:module", allow_unchanged=True).renamed == 0


@pytest.mark.parametrize("rule", ["nonsense", "a -> {b}", "strip:", "keep:", "re:( -> x"])
def test_a_bad_rule_is_an_error(rule: str) -> None:
    with pytest.raises(sd.CheckpointError):
        sd.rename_file("lenet.pth", rule)


def test_errors_survive_pickling() -> None:
    with pytest.raises(sd.CollisionError) as caught:
        sd.rename_file("lenet.pth", "conv{i}.{r..} -> conv.{r..}")
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is sd.CollisionError
    assert (str(error), error.kind) == (str(caught.value), "collision")
    assert error.collisions == caught.value.collisions


def test_errors_are_value_errors() -> None:
    assert issubclass(sd.CheckpointError, ValueError)
    for error in (sd.MalformedError, sd.CollisionError, sd.UnsafeError):
        assert issubclass(error, sd.CheckpointError)
