"""MP3 files are read to their end, whatever their header says of it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules.audio.audio_file import BadRecording, read_whole
from auscult.datamodules.audio.mp3 import Mp3
from tests.conftest import SHARED

RATE = 44100
FRAME = 1152  # samples of a frame, MPEG 1 layer III: ISO 11172-3, 2.4.2.1


@pytest.fixture
def announced(tmp_path: Path) -> Path:
    """An MP3 file of 3 s with the header that LAME writes."""
    path = tmp_path / "announced.mp3"
    seconds = np.arange(3 * RATE) / RATE
    bursts = 0.5 * np.sin(2 * np.pi * 440 * seconds) * (seconds % 1 < 0.3)
    bursts[: RATE // 2] += 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)  # so that the bit rate varies
    soundfile.write(path, bursts, RATE, bitrate_mode="VARIABLE", compression_level=0.1)
    assert Mp3(path).announces_length
    return path


@pytest.fixture
def plain(announced: Path) -> Path:
    """The same frames without a header."""
    content = announced.read_bytes()
    path = announced.with_name("plain.mp3")
    path.write_bytes(content[second_frame(content) :])
    assert not Mp3(path).announces_length
    return path


def second_frame(content: bytes) -> int:
    """Where the frame behind the header begins: it has the same eleven set bits, version and layer as the first."""
    return content.index(content[:2], 4)


def seconds_of(path: Path) -> float:
    samples, rate = read_whole(path)
    return len(samples) / rate


def test_without_a_header_it_is_read_to_its_end(announced: Path, plain: Path) -> None:
    whole, _ = read_whole(announced)
    guessed = soundfile.info(plain).frames
    samples, _ = read_whole(plain)
    assert 0 <= len(samples) - len(whole) < 3 * FRAME  # what encoders put at the ends is not left out
    assert abs(guessed - len(whole)) > RATE / 2  # or this file says nothing of the matter
    # the same sound, but for its beginning, which the header says to leave out
    delay = np.argmax(np.correlate(samples[: RATE // 2, 0], whole[: RATE // 4, 0], "valid"))
    np.testing.assert_allclose(samples[delay : delay + len(whole), 0][:RATE], whole[:RATE, 0], atol=1e-3)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + bytes(24)])
def test_a_tag_at_the_end_is_no_sound(plain: Path, tag: bytes) -> None:
    before = seconds_of(plain)
    plain.write_bytes(plain.read_bytes() + tag)
    assert seconds_of(plain) == before


def test_a_tag_at_the_beginning(plain: Path) -> None:
    before = seconds_of(plain)
    size = 5000
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, size >> 7, size & 127]) + b"Info" + bytes(size - 4)  # no header's name
    plain.write_bytes(tag + plain.read_bytes())
    assert not Mp3(plain).announces_length
    assert seconds_of(plain) == before


def test_two_files_in_one_are_both_read(announced: Path, plain: Path) -> None:
    both = announced.with_name("both.mp3")
    for second in (announced, plain):
        both.write_bytes(announced.read_bytes() + second.read_bytes())
        assert seconds_of(both) == pytest.approx(seconds_of(announced) + seconds_of(second), abs=5 * FRAME / RATE)


@pytest.mark.parametrize("lacking", range(1, 420, 31))
def test_a_last_frame_need_not_be_whole(plain: Path, lacking: int) -> None:
    before = seconds_of(plain)
    plain.write_bytes(plain.read_bytes()[:-lacking])
    assert before - 5 * FRAME / RATE < seconds_of(plain) <= before


def test_a_header_that_promises_more_is_believed(announced: Path) -> None:
    content = announced.read_bytes()
    announced.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadRecording, match="truncated"):
        read_whole(announced)


@pytest.mark.real
@pytest.mark.parametrize("name", ["constant", "variable"])
def test_recordings_of_the_case(name: str) -> None:
    path = SHARED / "cases/03-mp3-without-info-header" / f"{name}.mp3"
    if not path.exists():
        pytest.skip("needs the cases in $AUSCULT_SHARED")
    assert seconds_of(path) == pytest.approx(3, abs=0.05)
