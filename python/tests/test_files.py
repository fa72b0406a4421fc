"""Files into files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import statedict as sd


def test_converting_casts_and_says_what_is_left_out() -> None:
    result = sd.convert("lenet.pth", "half.safetensors", dtype="bfloat16")
    assert result.counts["cast"] == 10
    assert result.output == "half.safetensors"
    assert Path("half.safetensors").stat().st_size == result.bytes


def test_types_are_given_by_pattern() -> None:
    result = sd.convert("lenet.pth", "half.safetensors", dtype={"conv1.*": "float16"})
    assert result.counts["cast"] == 2


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = sd.rename_file("lenet.pth", "add:module")
    assert (result.renamed, result.output) == (10, None)
    assert sorted(folder.iterdir()) == before


def test_a_file_is_renamed_in_its_place() -> None:
    assert sd.rename_file("lenet.pth", "add:module", in_place=True).renamed == 10
    assert sd.rename_file("lenet.pth", "strip:module").renamed == 10


def test_rules_given_together_see_the_original_keys() -> None:
    swap = ["conv1.{r..} -> conv2.{r..}", "conv2.{r..} -> conv1.{r..}"]
    assert sd.rename_file("lenet.pth", swap).renamed == 4
    assert sd.rename_file("lenet.pth", *swap).renamed == 4


def test_a_plan_is_saved_and_leads_back() -> None:
    sd.rename_file("lenet.pth", "add:module", output="a.pth", save_plan="plan.json")
    assert json.loads(Path("plan.json").read_text())
    result = sd.apply("plan.json", "a.pth", "b.pth", inverse=True)
    assert result.renamed == 10


def test_a_recipe_of_the_library_is_known_by_its_name() -> None:
    with pytest.raises(sd.CheckpointError, match="neither a file nor a recipe") as caught:
        sd.apply("hf-to-meta:lama", "lenet.pth", "b.pth")
    assert caught.value.hint is not None and "hf-to-meta:llama" in caught.value.hint


def test_progress_is_told_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    sd.convert("lenet.pth", "a.safetensors", progress=lambda *it: seen.append(it))
    assert seen and seen[-1][0] == seen[-1][1] > 0


def test_an_error_of_a_callback_stops_the_work(folder: Path) -> None:
    def fails(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sd.convert("lenet.pth", "a.safetensors", progress=fails)


def test_a_sound_file_is_safe() -> None:
    result = sd.check("lenet.pth")
    assert (result.verdict, result.findings) == ("safe", [])
    result.raise_for_verdict()


def test_a_file_that_runs_something_is_dangerous(folder: Path) -> None:
    # os.system("true"), as protocol 0 spells it.
    Path("evil.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    result = sd.check("evil.pkl")
    assert result.verdict == "dangerous"
    assert "system" in result.findings[0].what
    with pytest.raises(sd.UnsafeError, match="evil.pkl: dangerous"):
        result.raise_for_verdict()
    assert sd.check(folder).verdict == "dangerous"


@pytest.mark.parametrize("size", ["5XB", "", "-1", "0", 0])
def test_a_bad_size_is_an_error(size: str) -> None:
    with pytest.raises(ValueError, match="cannot parse size"):
        sd.convert("lenet.pth", "out", max_shard_size=size)


def test_shards_are_written_with_an_index() -> None:
    sd.convert("lenet.pth", "shards", max_shard_size="100KB")
    names = {path.name for path in Path("shards").iterdir()}
    assert "model.safetensors.index.json" in names and len(names) > 2
