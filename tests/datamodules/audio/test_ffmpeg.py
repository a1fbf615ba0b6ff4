"""Formats of telephones and dictaphones, against what was written into them."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from auscult.datamodules.audio import ffmpeg
from auscult.datamodules.audio.audio_file import UNREADABLE, AudioFile, BadRecording, read_whole
from auscult.datamodules.clips import Clip
from auscult.datamodules.folder import Folder
from auscult.datamodules.recording import ClipSettings, load, prepare

RATE = 48000
FORMATS = {  # name: encoder, its rate, its container
    "voice.m4a": ("aac", 44100, "ipod"),
    "lossless.m4a": ("alac", RATE, "ipod"),
    "voice.aac": ("aac", 44100, "adts"),
    "voice.wma": ("wmav2", 44100, "asf"),
    "voice.webm": ("libopus", RATE, "webm"),
    "voice.mka": ("libopus", RATE, "matroska"),
    "opus.mp4": ("libopus", RATE, "mp4"),
    "voice.amr": ("libopencore_amrnb", 8000, "amr"),
    "voice.3gp": ("libopencore_amrnb", 8000, "3gp"),
    "voice.ac3": ("ac3", RATE, "ac3"),
    "voice.wv": ("wavpack", RATE, "wv"),
    "flac.ogg": ("flac", 16000, "ogg"),  # which libsndfile stumbles over
}


def sound(rate: int) -> np.ndarray:
    """A second of two sliding tones, (N,) float32, after and before a quarter of silence."""
    seconds = np.arange(rate) / rate
    tones = 0.3 * np.sin(2 * np.pi * (300 * seconds + 200 * seconds**2)) * np.hanning(rate)
    return np.pad(tones, rate // 4).astype(np.float32)


def written(path: Path, samples: np.ndarray, codec: str, rate: int, container: str) -> Path:
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 12200 if codec == "libopencore_amrnb" else 96000
        format_ = stream.codec_context.codec.audio_formats[0]
        stream.codec_context.format = format_
        stream.codec_context.open()
        resampler = av.AudioResampler(format_, "mono", rate, frame_size=stream.codec_context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for plain in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(plain))
    return path


@pytest.fixture(params=FORMATS)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    codec, rate, container = FORMATS[request.param]
    return written(tmp_path / request.param, sound(rate), codec, rate, container), rate


def appledouble() -> bytes:
    """What macOS puts beside each file on a disk that is not its own: Finder info, and an empty resource fork."""
    head = bytes.fromhex("0005160700020000") + b"Mac OS X        " + struct.pack(">H", 2)
    entries = struct.pack(">III", 9, 0x32, 0xEB0) + struct.pack(">III", 2, 0xEE2, 0x11E)
    fork = struct.pack(">IIII", 0x100, 0x100, 0, 0x1E) + b"This resource fork intentionally left blank   "
    fork = fork.ljust(0x100, b"\0") + struct.pack(">IIII", 0x100, 0x100, 0, 0x1E)
    fork += bytes.fromhex("0000000000000000001c001effff")
    return (head + entries).ljust(0xEE2, b"\0") + fork


def assert_unchanged_by(fork: str, path: Path) -> None:
    """A recording has the same samples (N, C) and rate when its fork lies beside it."""
    samples, rate = read_whole(path)
    beside = path.parent / fork.format(path.name)
    beside.parent.mkdir(exist_ok=True)
    beside.write_bytes(appledouble())
    again, its_rate = read_whole(path)
    assert its_rate == rate
    np.testing.assert_array_equal(again, samples)


@pytest.mark.parametrize("fork", ["._{}", ".AppleDouble/{}"])
@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG", "AIFF", "NIST", "CAF", "AU"])
def test_what_macos_lays_beside_other_recordings_changes_nothing_either(format, fork, tmp_path):
    path = tmp_path / f"voice.{format.lower()}"
    soundfile.write(path, sound(16000), 16000, format=format)
    assert_unchanged_by(fork, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if format in ("WAV", "FLAC", "NIST"):
        with pytest.raises(BadRecording, match="truncated"):
            read_whole(path)


@pytest.mark.parametrize("fork", ["._{}", ".AppleDouble/{}"])
def test_what_macos_lays_beside_a_recording_changes_nothing(recording, fork):
    """libsndfile takes such a file for the header of an SD2 recording, and then calls the recording damaged."""
    path, _ = recording
    assert_unchanged_by(fork, path)


def test_it_is_the_sound_that_was_written(recording: tuple[Path, int]) -> None:
    path, rate = recording
    samples, found_rate = read_whole(path)
    assert (found_rate, samples.shape[1]) == (rate, 1)
    wanted = sound(rate)
    assert len(samples) == pytest.approx(len(wanted), abs=0.07 * rate)  # encoders work in blocks
    size = 2 * len(wanted)
    agreement = np.fft.irfft(np.fft.rfft(samples[:, 0], size) * np.fft.rfft(wanted, size).conj())
    place = int(np.argmax(agreement))
    assert min(place, size - place) < 0.05 * rate
    assert agreement[place] / np.linalg.norm(wanted) / np.linalg.norm(samples) > 0.98


def test_its_clip_is_that_of_the_sound(recording: tuple[Path, int]) -> None:
    path, rate = recording
    clip = load(Folder(path.parent, pattern="(?P<kind>.)"), Clip(path.name, "1"), ClipSettings()).samples[0]
    wanted = prepare(sound(rate)[:, None], rate, ClipSettings()).samples[0]
    assert len(clip) == pytest.approx(len(wanted), abs=500)  # AMR begins with 20 ms of its own
    assert np.abs(clip).max() == pytest.approx(np.abs(wanted).max(), rel=0.15)  # nor is it exact


def test_in_blocks_as_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.m4a", sound(44100), "aac", 44100, "ipod")
    whole, _ = read_whole(path)
    monkeypatch.setattr("auscult.datamodules.audio.audio_file.BLOCK", 5000)
    blocks = list(AudioFile(path).blocks())
    assert len(blocks) > 10
    assert np.array_equal(np.concatenate(blocks), whole)


def test_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.m4a", sound(44100), "aac", 44100, "ipod")
    whole, _ = read_whole(path)
    assert np.array_equal(read_whole(path.rename(tmp_path / "a.wav"))[0], whole)


@pytest.mark.parametrize("name", ["voice.m4a", "lossless.m4a", "voice.wma", "voice.webm", "opus.mp4"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_part_of_a_file_is_not_taken_for_the_whole(tmp_path: Path, name: str, share: float) -> None:
    codec, rate, container = FORMATS[name]
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 4 * rate).astype(np.float32)
    path = written(tmp_path / name, noise, codec, rate, container)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BadRecording, match="truncated"):
        read_whole(path)


@pytest.mark.parametrize("name", ["voice.webm", "voice.mka"])  # FFmpeg corrects the length of WMA
def test_half_a_second_is_not_taken_for_the_whole(tmp_path: Path, name: str) -> None:
    codec, rate, container = FORMATS[name]
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, rate * 9 // 10).astype(np.float32)
    path = written(tmp_path / name, noise, codec, rate, container)
    read_whole(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadRecording, match="truncated"):
        read_whole(path)


@pytest.mark.parametrize(
    ("codec", "rate", "container"),
    [("libmp3lame", 8000, "matroska"), ("libmp3lame", 44100, "matroska"), ("aac", 8000, "ipod"), ("aac", 8000, "mp4"),
     ("libopus", RATE, "webm"), ("wmav2", 44100, "asf"), ("libopencore_amrnb", 8000, "3gp")],
)  # fmt: skip
@pytest.mark.parametrize("seconds", [0.2, 0.9, 3])
def test_what_encoders_add_is_not_missed(tmp_path: Path, codec: str, rate: int, container: str, seconds: float) -> None:
    path = written(tmp_path / "it", sound(rate)[: round(seconds * rate)], codec, rate, container)
    frame = 2048 if codec == "wmav2" else 0  # FFmpeg writes one frame less of it
    assert len(read_whole(path)[0]) >= round(min(seconds, 1.5) * rate) - frame


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh", b"\x00" * 10000, np.random.default_rng(0).bytes(10000)])
@pytest.mark.parametrize("name", ["a.m4a", "a.wma", "a.wav", "a.amr"])
def test_what_is_no_sound(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecording):
        read_whole(tmp_path / name)


def test_a_film_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        file.mux(stream.encode(None))
    with pytest.raises(BadRecording, match="no sound"):
        read_whole(tmp_path / "a.mp4")


@pytest.mark.parametrize("ending", ["m4a", "aac", "wav"])
def test_a_list_of_files_leads_nowhere(tmp_path: Path, ending: str) -> None:
    secret = written(tmp_path / "secret.aac", sound(44100), "aac", 44100, "adts")
    lists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n",
    }
    for content in lists.values():
        path = tmp_path / f"list.{ending}"
        path.write_text(content)
        with pytest.raises(BadRecording):
            read_whole(path)


def test_the_reason_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.m4a", sound(44100), "aac", 44100, "ipod")
    (tmp_path / "a.wav").write_text("hello")
    monkeypatch.setattr(ffmpeg, "av", None)
    with pytest.raises(BadRecording, match=r'\.m4a needs FFmpeg.*pip install "av') as caught:
        read_whole(path)
    assert str(caught.value).startswith(UNREADABLE)  # it is tried again
    with pytest.raises(BadRecording, match="not audio") as caught:
        read_whole(tmp_path / "a.wav")
    assert "FFmpeg" not in str(caught.value)


def test_both_channels(tmp_path: Path) -> None:
    stereo = np.rint(32767 * np.stack([sound(RATE), 0.5 * sound(RATE)])).astype(np.int16)
    with av.open(str(tmp_path / "a.wv"), "w", format="wv") as file:
        stream = file.add_stream("wavpack", rate=RATE, layout="stereo")
        stream.codec_context.format = "s16p"
        frame = av.AudioFrame.from_ndarray(stereo, format="s16p", layout="stereo")
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    samples, _ = read_whole(tmp_path / "a.wv")
    np.testing.assert_array_equal(samples.T * 32768, stereo)
