"""What is shown and played in a study: made once, for all participants, and of the right clips."""

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hydra import initialize_config_dir

from auscult.explain.show.audible import loudness
from auscult.mistake import Mistake
from auscult.program.conf import CONF
from auscult.study.materials import MANIFEST, Materials, manifest_of
from auscult.study.plan import Comparison
from auscult.study.stimuli import chosen
from tests.study.pilot import CLIPS, CONDITIONS, PRIMARY, TRAINING, make, make_here


def test_materials_are_made_once_and_kept(materials, trained, cache_dir):
    assert len(materials.clips) == TRAINING + CLIPS and len({clip.path for clip in materials.clips}) == len(
        materials.clips
    )
    files = sorted(materials.folder.glob("materials/*"))
    assert len(files) == len(materials.clips) * (1 + 2 * 2)  # the clip; a picture and a sound by both attributions
    before = [file.stat().st_mtime_ns for file in files]
    again = make(materials.folder, [trained("audionet", "sex")], cache_dir)
    assert again == materials and [file.stat().st_mtime_ns for file in files] == before
    assert manifest_of(materials.folder)["primary"] == [Comparison(**row) for row in PRIMARY]
    for changed in (
        {"primary": []},
        {"conditions": CONDITIONS[:2]},
        {"clips": 4},
        {"seed": 1},
        {"attention": 2},
        {"training": 1},
        {"smoothing": 0.0},
    ):
        with pytest.raises(Mistake, match=f"holds a study with other {next(iter(changed))}; choose another study.name"):
            make(materials.folder, [trained("audionet", "sex")], cache_dir, **changed)


def test_a_study_that_has_begun_without_a_primary_comparison_goes_on_without(
    materials, trained, cache_dir, tmp_path, caplog
):
    folder = tmp_path / "pilot"
    shutil.copytree(materials.folder, folder)
    held = json.loads((folder / MANIFEST).read_text())
    del held["asked"]["primary"], held["asked"]["smoothing"]
    (folder / MANIFEST).write_text(before := json.dumps(held))
    assert make(folder, [trained("audionet", "sex")], cache_dir).clips == materials.clips
    assert "names no primary comparison: all results are exploratory." in caplog.text
    assert (folder / MANIFEST).read_text() == before and manifest_of(folder)["primary"] == []


def test_what_is_heard_of_a_clip_is_equally_loud_under_all_conditions(materials):
    for clip in range(len(materials.clips)):
        signal, rate = soundfile.read(materials.signal(clip))
        for attribution in ("gradient_x_input", "random"):
            sound, _ = soundfile.read(materials.sound(clip, attribution))
            assert loudness(sound, rate) == pytest.approx(loudness(signal, rate), rel=0.02)
            start, stop = materials.clips[clip].time_axes[attribution]
            assert 0 < start < stop < 1


@pytest.mark.slow
def test_materials_whose_making_was_killed_are_made_anew(materials, trained, cache_dir, tmp_path):
    (tmp_path / "materials").mkdir()
    (tmp_path / "materials/000.wav").write_bytes(b"half")
    again = make(tmp_path, [trained("audionet", "sex")], cache_dir)
    assert again.clips == materials.clips and (tmp_path / MANIFEST).exists()
    for clip in range(len(again.clips)):
        assert again.signal(clip).read_bytes() == materials.signal(clip).read_bytes()


def test_half_of_the_clips_are_wrong_or_as_many_as_there_are():
    labels, free = np.zeros(40, int), np.ones(40, bool)
    for wrong, expected in ((20, 5), (3, 3), (0, 0)):
        predicted = np.where(np.arange(40) < wrong, 1, 0)
        rows = chosen(labels, predicted, 10, 0, free)
        assert len(set(rows)) == 10 and sum(predicted[row] for row in rows) == expected
        assert predicted[rows[0]] == 0 and (expected == 0 or predicted[rows[1]] == 1)  # the practice has both
    assert chosen(labels, predicted, 10, 0, free) != chosen(labels, predicted, 10, 1, free)
    assert set(chosen(labels, predicted, 10, 0, np.arange(40) > 30)) == set(range(31, 40))
    few_right = chosen(np.zeros(24), np.arange(24) < 16, 19, 0, np.ones(24, bool))  # wrong ones take their places
    assert len(set(few_right)) == 19 and sum(row >= 16 for row in few_right) == 8


@pytest.mark.slow
def test_two_networks_bring_clips_by_turns_and_none_twice(trained, cache_dir, tmp_path):
    both = [trained("audionet", "sex"), trained("alexnet", "sex")]
    shared = make(tmp_path, both, cache_dir, conditions=CONDITIONS[:1], clips=9, training=3)
    assert [clip.checkpoint for clip in shared.clips] == [str(both[number % 2]) for number in range(12)]
    assert len({clip.path for clip in shared.clips}) == 12
    for number, clip in enumerate(shared.clips):
        assert shared.picture(number, "gradient_x_input").exists() and shared.signal(number).exists()
        assert clip.label in shared.classes and clip.prediction in shared.classes
    assert max(Counter(clip.checkpoint for clip in shared.clips[3:]).values()) <= 5


@pytest.mark.slow
def test_two_servers_that_begin_a_study_show_the_same(trained, cache_dir, tmp_path):
    checkpoint = trained("audionet", "sex")

    def begin(seed: int) -> Materials | str:
        try:
            return make_here(tmp_path, [checkpoint], cache_dir, conditions=CONDITIONS[:1], attention=0, seed=seed)
        except Mistake as mistake:
            return str(mistake)

    with initialize_config_dir(str(CONF), version_base="1.3"), ThreadPoolExecutor(2) as pool:
        told = list(pool.map(begin, (0, 1)))
    [shown] = [each for each in told if not isinstance(each, str)]
    [refusal] = [each for each in told if isinstance(each, str)]
    assert "holds a study with other seed" in refusal
    held = json.loads((tmp_path / MANIFEST).read_text())["chosen"]
    assert [clip.path for clip in shown.clips] == [clip["path"] for clip in held]


@pytest.mark.slow
def test_what_a_study_lacks_is_said(trained, cache_dir, tmp_path, caplog):
    checkpoint = [trained("audionet", "sex")]
    few = make(tmp_path / "few", checkpoint, cache_dir, conditions=CONDITIONS[3:], clips=1000)
    clips = len(few.clips)
    assert f"study.clips=1000 is more than there are: all {clips} clips are in the study" in caplog.text
    assert f"of which {clips - TRAINING} are judged" in caplog.text
    right = sum(clip.is_right for clip in few.clips)
    wrong = len(few.clips) - right
    if wrong < len(few.clips) // 2:
        assert f"Of {right + wrong} clips, the network got {wrong} wrong: there are no more" in caplog.text
    with pytest.raises(Mistake, match=r"study\.training=1000 leaves nothing to judge: there are"):
        make(tmp_path / "none", checkpoint, cache_dir, conditions=CONDITIONS[3:], training=1000)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"asked": {}, "classes": 1, "chosen": []}'])
def test_a_damaged_study_ends_in_a_sentence(trained, cache_dir, tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(Mistake, match=r"study\.json is damaged .*; restore it, or choose another study.name"):
        make(tmp_path, [trained("audionet", "sex")], cache_dir)
    assert (tmp_path / MANIFEST).read_text() == content


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_is_named(trained, cache_dir, tmp_path):
    (tmp_path / "notes").write_text("mine")
    for place in (tmp_path / "notes", tmp_path / "notes/pilot", Path("/proc/nowhere/pilot")):
        with pytest.raises(Mistake, match=r"study\.root: .* cannot be written to"):
            make(place, [trained("audionet", "sex")], cache_dir)


def test_links_of_participants_are_for_nobody_elses_eyes(materials):
    assert materials.folder.stat().st_mode & 0o77 == 0
