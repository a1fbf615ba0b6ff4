import io
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from auscult.datamodules import recording
from auscult.datamodules.audio import audio_file
from auscult.datamodules.audio.filters import highpass
from auscult.datamodules.clips import MISSING, Clip, Corpus
from auscult.datamodules.recording import BadRecording, ClipSettings, load, prepare, read_whole
from auscult.mistake import Mistake

PLAIN = ClipSettings(highpass_hz=None, trim_db=None)


class Files(Corpus):
    def __init__(self, root: Path) -> None:
        self.root = root

    def clips(self) -> list[Clip]:
        return []


def word(rate: int, before: float = 0.3, length: float = 0.4, after: float = 0.5, hz: float = 440) -> np.ndarray:
    """A tone with soft edges between silences, (frames,) float64."""
    time = np.arange(round(length * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * hz * time) * signal.windows.tukey(len(time), 0.1)
    return np.concatenate([np.zeros(round(before * rate)), tone, np.zeros(round(after * rate))])


def reason_of(path: Path) -> str:
    with pytest.raises(BadRecording) as caught:
        load(Files(path.parent), Clip(path.name, "01"), ClipSettings())
    return str(caught.value)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize(
    ("ending", "subtype"),
    [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("wav", "PCM_U8"), ("flac", "PCM_24"), ("ogg", "VORBIS")],
)
def test_every_format_and_rate_gives_the_same_clip(tmp_path: Path, rate: int, ending: str, subtype: str) -> None:
    soundfile.write(tmp_path / f"a.{ending}", np.stack([word(rate)] * 2, axis=1), rate, subtype=subtype)
    clip = load(Files(tmp_path), Clip(f"a.{ending}", "01"), PLAIN).samples[0].astype(float)
    assert len(clip) == 8000  # of 9600
    # The tone lies somewhere in the clip; compare its spectrum, which no rounding of the cut can move.
    spectrum, wanted = (np.abs(np.fft.rfft(x, 8000)) for x in (clip, word(8000) * 32768))
    assert np.argmax(spectrum) == 440
    assert spectrum[440] == pytest.approx(wanted[440], rel=0.02)


def test_resampling_agrees_with_scipy() -> None:
    rate = 16000
    samples = word(rate)
    ours = prepare(samples[:, None], rate, ClipSettings(seconds=5, highpass_hz=None, trim_db=None)).samples[0]
    scipys = signal.resample_poly(samples - samples.mean(), 1, 2)
    assert np.abs(ours / 32768 - scipys).max() < 2e-3


def test_stereo_is_averaged() -> None:
    left, right = word(8000), 0.5 * word(8000, hz=700)
    settings_ = ClipSettings(seconds=5, highpass_hz=None, trim_db=None)
    both = prepare(np.stack([left, right], axis=1), 8000, settings_).samples[0]
    mixed = prepare(((left + right) / 2)[:, None], 8000, settings_).samples[0]
    assert np.array_equal(both, mixed)


def test_offset_is_removed_and_the_level_kept() -> None:
    clip = prepare((word(8000) * 0.5 - 0.09)[:, None], 8000, PLAIN).samples[0]
    assert abs(clip.mean()) < 20
    assert np.abs(clip).max() == pytest.approx(0.25 * 32768, rel=0.02)


def test_offset_does_not_hinder_trimming() -> None:
    clip = prepare((word(8000) - 0.09)[:, None], 8000, ClipSettings(highpass_hz=None))
    assert clip.start / 8000 == pytest.approx(0.3, abs=0.03)
    assert len(clip.samples[0]) / 8000 == pytest.approx(0.4, abs=0.05)


def test_trimming_agrees_with_librosa() -> None:
    noise = np.random.default_rng(0).standard_normal(12000) * 1e-4
    samples = word(8000)[:9600]
    samples = samples - samples.mean() + noise[: len(samples)]
    ours = prepare(samples[:, None], 8000, ClipSettings(seconds=2, highpass_hz=None, trim_db=25))
    energies = librosa.feature.rms(y=samples - samples.mean(), frame_length=200, hop_length=80, center=False)[0]
    loud = np.flatnonzero(librosa.amplitude_to_db(energies, ref=np.max, top_db=None) > -25)
    assert (ours.start, ours.start + len(ours.samples[0])) == (loud[0] * 80, loud[-1] * 80 + 200)


def test_nothing_is_trimmed_without_trim_db() -> None:
    assert len(prepare(word(8000)[:, None], 8000, ClipSettings(seconds=5, trim_db=None)).samples[0]) == 9600


def test_highpass_agrees_with_its_analogue_response() -> None:
    time = np.arange(16000) / 8000
    for hz in (15, 60, 120, 300):
        filtered = highpass(np.cos(2 * np.pi * hz * time), 8000, 60)[8000:]
        assert np.abs(filtered).max() == pytest.approx(1 / (1 + (60 / hz) ** 4), rel=0.01)


def test_highpass_starts_without_a_click() -> None:
    assert np.abs(highpass(np.full(100, 0.5), 8000, 60)).max() < 1e-12


def test_cut_takes_the_loudest_window() -> None:
    random = np.random.default_rng(0)
    samples = random.standard_normal(24000) * np.where(
        (np.arange(24000) > 9000) & (np.arange(24000) < 17000), 0.2, 0.02
    )
    clip = prepare(samples[:, None], 8000, PLAIN)
    centred = samples - samples.mean()
    energies = [np.sum(centred[i : i + 8000] ** 2) for i in range(16001)]
    assert clip.cut
    assert clip.start == np.argmax(energies)
    assert len(clip.samples[0]) == 8000


def test_cut_counts_from_the_recordings_start_after_trimming() -> None:
    noise = np.random.default_rng(0).standard_normal(20000)
    noise -= noise.mean()
    samples = np.concatenate([np.zeros(4000), 0.05 * noise[:8000], 0.2 * noise[8000:], np.zeros(3000)])
    samples -= samples.mean()
    clip = prepare(samples[:, None], 8000, ClipSettings(highpass_hz=None, trim_db=25))
    energies = [np.sum(samples[i : i + 8000] ** 2) for i in range(len(samples) - 8000 + 1)]
    assert clip.cut and clip.start == np.argmax(energies) > 12000 - 100
    assert np.abs(clip.samples[0] - samples[clip.start : clip.start + 8000] * 32768).max() < 0.51


def test_too_loud_recordings_are_scaled_rather_than_clipped() -> None:
    samples = 3 * word(8000)
    clip = prepare(samples[:, None], 8000, ClipSettings(seconds=5, highpass_hz=None, trim_db=None)).samples[0]
    centred = samples - samples.mean()
    assert np.abs(clip).max() == 32767
    assert np.allclose(clip / 32767, centred / np.abs(centred).max(), atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(0, 3000),
    channels=st.integers(1, 3),
    rate=st.sampled_from([4000, 8000, 11025, 44100]),
    gain=st.sampled_from([0.0, 1e-7, 1e-3, 1.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_recording_becomes_a_clip_or_is_bad(length: int, channels: int, rate: int, gain: float, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-gain, gain, (length, channels)).astype(np.float32)
    options = ClipSettings(seconds=0.2)
    try:
        clip = prepare(samples, rate, options)
    except BadRecording as bad:
        assert str(bad).split(":")[0] in ("empty", "silent", "too short")
        return
    at_target = length * 8000 / rate
    assert clip.samples[0].dtype == np.int16
    assert 0.05 * 8000 <= len(clip.samples[0]) <= 1600
    assert 0 <= clip.start <= at_target - len(clip.samples[0]) + 1
    assert not clip.cut or len(clip.samples[0]) == 1600


def test_short_clips_are_repeated_until_full_and_cut_there() -> None:
    settings_ = ClipSettings(seconds=0.001, min_seconds=0, highpass_hz=None, trim_db=None, short="repeat")  # 8 samples
    short = np.array([0.5, -0.25, -0.25])[:, None]
    clip = prepare(short, 8000, settings_)
    assert clip.samples[0].tolist() == [16384, -8192, -8192, 16384, -8192, -8192, 16384, -8192]
    assert clip.samples[0].dtype == np.int16 and (clip.start, clip.cut) == (0, False)
    full = np.array([1, -1, 2, -2, 3, -3, 4, -4])[:, None] / 16
    assert prepare(full, 8000, settings_).samples[0].tolist() == [2048, -2048, 4096, -4096, 6144, -6144, 8192, -8192]
    assert prepare(np.concatenate([full, full / 8]), 8000, settings_).samples[0].tolist() == [
        2048, -2048, 4096, -4096, 6144, -6144, 8192, -8192,
    ]  # fmt: skip
    padded = ClipSettings(seconds=0.001, min_seconds=0, highpass_hz=None, trim_db=None)
    assert prepare(short, 8000, padded).samples[0].tolist() == [16384, -8192, -8192]


def test_half_a_sample_too_few_is_not_too_short() -> None:
    settings_ = ClipSettings(22050, highpass_hz=None, trim_db=None, min_seconds=0.05)  # 1102.5 samples
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1102, 1))
    assert len(prepare(samples, 22050, settings_).samples[0]) == 1102
    with pytest.raises(BadRecording, match="too short"):
        prepare(samples[1:], 22050, settings_)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("target", [8000, 16000, 22050, 32000, 44100])
def test_what_lasts_just_min_seconds_is_kept(rate: int, target: int) -> None:
    settings_ = ClipSettings(target, highpass_hz=None, trim_db=None, min_seconds=0.05)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (-(-rate // 20), 1))
    assert len(prepare(samples, rate, settings_).samples[0]) == pytest.approx(0.05 * target, abs=target / rate + 1)
    with pytest.raises(BadRecording, match=r"too short: under 0\.05 s"):
        prepare(samples[: -rate // 500], rate, settings_)


def test_bad_samples() -> None:
    def reason(samples: np.ndarray) -> str:
        with pytest.raises(BadRecording) as caught:
            prepare(samples, 8000, ClipSettings())
        return str(caught.value)

    assert reason(np.zeros((0, 1))).startswith("empty")
    assert reason(np.zeros((8000, 1))) == "silent"
    assert reason(np.full((8000, 1), 0.3, np.float32)) == "silent"
    assert reason(np.random.default_rng(0).normal(0, 2.0**-28, (8000, 1))) == "silent"
    for wrong in (np.nan, np.inf):
        samples = word(8000)[:, None]
        samples[100] = wrong
        assert reason(samples).startswith("not finite")
    click = np.zeros((8000, 1))
    click[4000] = 1
    assert reason(click).startswith("too short")


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("other", [-1.0, -0.9, 0.0])
def test_channels_that_cancel_each_other_leave_the_louder_one(dtype: type, other: float) -> None:
    voice = word(8000) if dtype == np.float32 else np.rint(word(8000) * 32767)
    both = np.stack([voice * other + 0.1, voice], axis=1).astype(dtype)
    kept = prepare(both, 8000, ClipSettings()).samples[0]
    alone = prepare(voice[:, None].astype(dtype), 8000, ClipSettings()).samples[0]
    share = 0.5 if other == 0 else 1  # a channel without sound only makes the average softer
    assert min(np.abs(kept - sign * share * alone).max() for sign in (-1, 1)) <= 1


def test_channels_of_different_sounds_are_averaged() -> None:
    random = np.random.default_rng(0)
    many = random.normal(0, 0.1, (8000, 16)).astype(np.float32)
    settings = ClipSettings(highpass_hz=None, trim_db=None)
    average = many.mean(axis=1, keepdims=True)
    assert np.abs(prepare(many, 8000, settings).samples[0] - prepare(average, 8000, settings).samples[0]).max() <= 1


@pytest.mark.parametrize("level", [-20, -47, -49, -75, -100, -130])
def test_soft_recordings_keep_their_resolution(level: float) -> None:
    gain = 10 ** (level / 20) / np.abs(word(8000)).max()
    soft, loud = (prepare((word(8000) * g)[:, None], 8000, ClipSettings()).samples[0] for g in (gain, 1.0))
    assert len(soft) == len(loud)
    scale = np.dot(soft.astype(float), loud) / np.dot(loud.astype(float), loud)
    noise = np.square(soft - scale * loud).mean() / np.square(soft.astype(float)).mean()
    assert 10 * np.log10(noise) < -45  # dB; at -48 dB of full scale, a step is 48 dB under the peak
    if level < -48:
        assert 0.4 < np.abs(soft).max() / 32768 <= 1
    else:
        assert np.abs(soft).max() / 32768 == pytest.approx(10 ** (level / 20), rel=0.02)  # levels are kept


@pytest.mark.parametrize(("ending", "kept"), [("wav", 0.5), ("wav", 0.97), ("aiff", 0.5), ("flac", 0.5), ("mp3", 0.5)])
def test_truncated_files(tmp_path: Path, ending: str, kept: float) -> None:
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, word(8000, length=2), 8000)
    load(Files(tmp_path), Clip(path.name, "01"), ClipSettings())  # whole, it is good
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert reason_of(path).startswith("truncated")


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF - 44])
def test_streamed_wav_files_that_do_not_know_their_length_are_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, word(8000), 8000)
    content = bytearray(path.read_bytes())
    position = content.index(b"data") + 4
    content[position : position + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    load(Files(tmp_path), Clip(path.name, "01"), ClipSettings())


def samples_in(format_: str, subtype: str, path: Path) -> None:
    """Writes two seconds, or skips the test where libsndfile only reads the format."""
    try:
        soundfile.write(path, np.tile(word(8000), 2)[:16000], 8000, format=format_, subtype=subtype)
    except soundfile.LibsndfileError:
        pytest.skip("is read, but not written")


NO_LENGTH = {"IRCAM", "PAF", "PVF", "SD2", "XI"}  # headers that do not say it, or, in XI, that it is 0
FORMATS = [(f, s) for f in soundfile.available_formats() if f != "RAW" for s in soundfile.available_subtypes(f)]


@pytest.mark.parametrize(("format_", "subtype"), FORMATS)
def test_whole_and_half_files_of_every_format(tmp_path: Path, format_: str, subtype: str) -> None:
    path = tmp_path / f"a.{format_.lower()}"
    samples_in(format_, subtype, path)
    if (format_, subtype) == ("AIFF", "DWVW_12"):
        pytest.skip("libsndfile does not read what it writes")
    assert len(load(Files(tmp_path), Clip(path.name, "01"), ClipSettings(seconds=9)).samples[0]) > 2000  # XI: 44.1 kHz
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if format_ in NO_LENGTH:
        return
    # HTK's header has no sign of its own, and is known by its length
    assert reason_of(path).startswith("not audio" if format_ == "HTK" else "truncated")


@pytest.mark.parametrize(
    ("format_", "place", "unknown"),
    [("AU", 8, b"\xff" * 4), ("W64", 16, b"\xff" * 7 + b"\x7f"), ("RF64", 28, b"\xff" * 7 + b"\x7f")],
)
def test_headers_of_recorders_that_stream_promise_nothing(
    tmp_path: Path, format_: str, place: int, unknown: bytes
) -> None:
    path = tmp_path / f"a.{format_.lower()}"
    soundfile.write(path, word(8000), 8000, format=format_, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[place : place + len(unknown)] = unknown
    path.write_bytes(content)
    load(Files(tmp_path), Clip(path.name, "01"), ClipSettings())


@pytest.mark.parametrize(
    ("promised", "reason"), [(0, ""), (9600, ""), (9601, "truncated"), (2**33, "truncated"), (2**36 - 1, "truncated")]
)
def test_flac_files_are_read_to_their_end_whatever_they_promise(tmp_path: Path, promised: int, reason: str) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, word(8000), 8000)
    whole = load(Files(tmp_path), Clip(path.name, "01"), PLAIN).samples[0]
    content = bytearray(path.read_bytes())
    bits = int.from_bytes(content[18:26], "big") >> 36 << 36 | promised  # 36 bits of STREAMINFO
    content[18:26] = bits.to_bytes(8, "big")
    path.write_bytes(content)
    if reason:
        assert reason_of(path).startswith(reason)
    else:
        assert np.array_equal(load(Files(tmp_path), Clip(path.name, "01"), PLAIN).samples[0], whole)


@pytest.mark.parametrize(
    ("ending", "subtype"), [("wav", "GSM610"), ("wav", "G721_32"), ("au", "G721_32"), ("xi", "DPCM_16")]
)
def test_formats_in_which_nothing_can_be_looked_up(tmp_path: Path, ending: str, subtype: str) -> None:
    soundfile.write(tmp_path / f"a.{ending}", word(8000), 8000, subtype=subtype, format=ending.upper())
    assert len(load(Files(tmp_path), Clip(f"a.{ending}", "01"), PLAIN).samples[0]) > 1500


@pytest.mark.parametrize("rate", [0, 1, 2, 99, 10**9, 2**31 - 1, 2**32 - 1])
def test_rates_that_nobody_records_at(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, word(8000), 8000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    assert reason_of(path).startswith(("not audio: a sample rate of", "truncated or damaged"))


@pytest.mark.parametrize("fork", ["._{}", ".AppleDouble/{}"])
@pytest.mark.parametrize(("name", "reason"), [("x.sd2", "unreadable: "), ("x.wav", "not audio: it is text")])
def test_nor_is_a_resource_fork_that_is_none(tmp_path: Path, fork: str, name: str, reason: str) -> None:
    """Only SD2 has a part in its fork, which libsndfile would wait for."""
    (tmp_path / name).write_text("no audio, for which libsndfile looks there")
    fork = tmp_path / fork.format(name)
    fork.parent.mkdir(exist_ok=True)
    os.mkfifo(fork)
    assert reason_of(tmp_path / name).startswith(reason)


def test_damage_does_not_fill_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    soundfile.write(content := io.BytesIO(), word(8000), 8000, format="MP3")
    pieces = [content.getvalue()[start : start + 180] for start in range(0, len(content.getvalue()), 180)]
    random = np.random.default_rng(0)
    (tmp_path / "torn.mp3").write_bytes(b"".join(piece + random.bytes(40) for piece in pieces))
    (tmp_path / "tags.mp3").write_bytes((b"ID3\4" + bytes(6)) * 1000)

    def read(path: Path) -> None:
        with suppress(BadRecording):
            read_whole(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, 10 * sorted(tmp_path.iterdir())))
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.wav"))
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nothing")
    (tmp_path / "circle.wav").symlink_to("circle.wav")
    (tmp_path / "folder.wav").mkdir()
    for path in tmp_path.iterdir():
        assert reason_of(path).startswith("unreadable")
        assert Files(tmp_path).stamp(Clip(path.name, "01")) == MISSING  # and so it is not tried again


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_tried_again(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", word(8000), 8000)
    (tmp_path / "a.wav").chmod(0)
    assert reason_of(tmp_path / "a.wav") == "unreadable: Permission denied"


def test_a_system_error_of_the_decoder_is_one_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise soundfile.LibsndfileError(2)

    soundfile.write(tmp_path / "a.wav", word(8000), 8000)
    monkeypatch.setattr(soundfile.SoundFile, "_open", fails)
    assert reason_of(tmp_path / "a.wav").startswith("unreadable: ")


@pytest.mark.parametrize("block", [777, 4096])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"seconds": 0.1}, {"highpass_hz": None, "trim_db": None}, {"sample_rate": 16000, "short": "repeat"},
        {"trim_db": None, "seconds": 0.5},
    ],
)  # fmt: skip
def test_a_recording_in_blocks_gives_the_same_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, options: dict[str, Any]
) -> None:
    random = np.random.default_rng(0)
    loudness = np.repeat(random.uniform(0, 0.3, 20), 3000)
    samples = np.stack([word(44100), 0.9 * word(44100)], 1)[:52920]
    samples = np.concatenate([samples, (loudness * random.standard_normal(60000))[:, None] * [0.5, 0.4]])
    for ending, subtype in (("wav", "PCM_16"), ("wav", "FLOAT"), ("ogg", "VORBIS"), ("flac", "PCM_24")):
        soundfile.write(tmp_path / f"a.{ending}", samples + 0.01, 44100, subtype=subtype)
        clip, settings_ = Clip(f"a.{ending}", "01"), ClipSettings(**options)
        whole = load(Files(tmp_path), clip, settings_)
        with monkeypatch.context() as patch:
            patch.setattr(audio_file, "BLOCK", block)
            patch.setattr(recording, "BLOCK", block)
            parts = load(Files(tmp_path), clip, settings_)
        assert (parts.start, parts.cut, len(parts.samples[0])) == (whole.start, whole.cut, len(whole.samples[0]))
        assert np.abs(parts.samples[0].astype(int) - whole.samples[0]).max() <= 1


def most_megabytes() -> int:
    """The most memory that this process has held; what `resource` says is its parent's, where that had more."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


MEASURE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from auscult.datamodules.clips import Clip
from auscult.datamodules.recording import ClipSettings, load
from tests.datamodules.test_recording import Files, most_megabytes

before = most_megabytes()
with ThreadPoolExecutor(2) as pool:
    for clip in pool.map(lambda _: load(Files(Path(sys.argv[1])), Clip("a.flac", ""), ClipSettings()), range(2)):
        print(clip.start, len(clip.samples[0]))
print(most_megabytes() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_hours_of_sound_take_little_memory(tmp_path: Path) -> None:
    minute, tone = np.zeros(16000 * 60, np.int16), (8000 * word(16000)).astype(np.int16)
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 16000, 1) as file:
        for number in range(4 * 60):
            file.write(tone if number == 100 else minute)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    first, second, megabytes = done.stdout.splitlines()
    assert first == second
    start, length = map(int, first.split())
    assert abs(start - (100 * 60 + 0.3) * 8000) < 400 and length < 4000
    assert int(megabytes) < 500  # two of them at a time; as one array, 4 hours are 0.9 GB and more


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "text.wav").write_text("Dear diary, " * 100)
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 8000, subtype="FLOAT")
    assert reason_of(tmp_path / "nothing.wav") == "empty: no bytes"
    assert reason_of(tmp_path / "header.wav") == "empty: no samples"
    assert reason_of(tmp_path / "text.wav").startswith("not audio")
    for ending in ("mp3", "ogg", "m4a", "wav"):
        (tmp_path / f"page.{ending}").write_text("<!DOCTYPE html>\n<html>Nicht gefunden: Töne</html>\n", "utf-8")
        assert reason_of(tmp_path / f"page.{ending}").startswith("not audio: it is text and no recording")
    (tmp_path / "noise.au").write_bytes(
        np.random.default_rng(0).bytes(5000)
    )  # libsndfile would take it for a telephone's
    assert reason_of(tmp_path / "noise.au") == "not audio: it has no header"
    assert reason_of(tmp_path / "nan.wav").startswith("not finite")
    assert reason_of(tmp_path / "gone.wav") == "unreadable: no such file"
    assert reason_of(tmp_path / "folder.wav").startswith("unreadable")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sample_rate", 8), ("seconds", 0), ("min_seconds", 2), ("highpass_hz", 4000), ("highpass_hz", 0),
        ("trim_db", 0), ("short", "loop"), ("short", None),
    ],
)  # fmt: skip
def test_impossible_settings(option: str, value: float | str | None) -> None:
    with pytest.raises(Mistake, match=f"data.clip.{option}"):
        ClipSettings(**{option: value})


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize(
    ("level", "offset"), [(0.3, 0.0), (0.3, 0.4), (0.002, -0.05), (3e-5, 0.0), (0.98, 0.0), (1.7, 0.3)]
)
def test_untouched_recordings_keep_levels_and_offsets(dtype: str, level: float, offset: float) -> None:
    settings = ClipSettings(highpass_hz=None, trim_db=None, preparation="untouched")
    samples = (offset + level * np.random.default_rng(0).uniform(-1, 1, (8000, 1))).astype(np.float32)
    if dtype == "int16":
        if level > 1:
            return
        samples = (samples * 32767).clip(-32768, 32767).round().astype(np.int16)
    clip = prepare(samples, 8000, settings)
    assert clip.samples.dtype == np.float32
    np.testing.assert_array_equal(clip.waveform, samples.T / np.float32(32768 if dtype == "int16" else 1))


def test_untouched_recordings_are_neither_filtered_nor_trimmed() -> None:
    with pytest.raises(Mistake, match=r"data\.clip\.preparation=untouched neither filters nor trims"):
        ClipSettings(preparation="untouched")
