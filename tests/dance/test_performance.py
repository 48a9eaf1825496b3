"""Tests of performances: dances to songs, the files written, and errors.

`SwayingDancer` replaces the trained dancer.
"""

from __future__ import annotations

import base64
import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from monge.dance import Dancer
from monge.dance import performance as dance
from monge.dance.motion import MELODY, SMPL, read_bvh
from monge.dance.song import embedded
from monge.dance.video import find_ffmpeg, write_video
from monge.errors import MongeError
from tests.helpers.dancers import SwayingDancer, write_run
from tests.helpers.songs import write_song

soundfile = pytest.importorskip(
    "soundfile", reason="soundfile is not installed: pip install 'monge[audio]'"
)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "a song.wav"
    return write_song(path, seconds=8, bpm=120, rate=22050, channels=1)


@pytest.fixture(scope="module")
def swaying(song: Path) -> dance.Performance:
    return dance.perform(SwayingDancer(), song)


def sound_of(page: Path) -> tuple[str, bytes]:
    """Return the media type and the content of the sound in a page."""
    match = re.search(r'<audio [^>]*src="data:([^;]+);base64,([^"]+)"', page.read_text())
    assert match
    return match[1], base64.b64decode(match[2])


@pytest.mark.parametrize(
    ("name", "rate", "channels"), [("a.mp3", 44100, 2), ("a.wav", 48000, 2), ("a.flac", 44100, 1)]
)
def test_dance_to_any_format_is_retimed_to_the_beat(
    tmp_path: Path, name: str, rate: int, channels: int
) -> None:
    song = write_song(tmp_path / name, seconds=8, bpm=120, rate=rate, channels=channels)
    dancer = SwayingDancer()
    performed = dance.perform(dancer, song, seed=3, style=5)
    assert dancer.received == (3, 5)
    assert performed.seconds == pytest.approx(8, abs=0.2)  # mp3 has some silence at its ends
    assert performed.tempo == pytest.approx(120, abs=1.5)
    assert performed.retimed
    assert not performed.notes
    original = dance.perform(dancer, song, retime=False)
    assert not original.retimed
    assert performed.alignment is not None
    assert original.alignment is not None
    assert performed.alignment > original.alignment + 0.1
    assert "bpm, beat alignment" in performed.summary()
    page, notes = dance.write(performed, tmp_path / "out.html")
    assert not notes
    assert sound_of(page)[1] == song.read_bytes()


def test_page_of_the_beginning_embeds_its_sound(tmp_path: Path, song: Path) -> None:
    performed = dance.perform(SwayingDancer(), song, seconds=3)
    assert len(performed.positions) == 75
    assert performed.cut
    page, _ = dance.write(performed, tmp_path / "out.html")
    kind, content = sound_of(page)
    assert kind == "audio/mpeg"
    assert len(content) < song.stat().st_size / 3
    assert soundfile.info(io.BytesIO(content)).duration == pytest.approx(3, abs=0.2)
    assert not dance.perform(SwayingDancer(), song, seconds=100).cut


@pytest.mark.parametrize(
    ("name", "rate", "channels", "kind"),
    [
        ("a.aiff", 22050, 1, "audio/mpeg"),
        ("a.wav", 22050, 5, "audio/mpeg"),
        ("a.w64", 96000, 1, "audio/ogg"),
    ],
)
def test_formats_unsupported_by_browsers_are_encoded_again(
    tmp_path: Path, name: str, rate: int, channels: int, kind: str
) -> None:
    song = write_song(tmp_path / name, seconds=2, rate=rate, channels=channels)
    media_type, content = embedded(song)
    assert media_type == kind
    info = soundfile.info(io.BytesIO(content))
    assert info.duration == pytest.approx(2, abs=0.1)
    assert info.channels == min(channels, 2)


def test_large_lossless_songs_are_compressed(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embedded(song) == ("audio/wav", song.read_bytes())
    monkeypatch.setattr("monge.dance.song._LARGE", 1000)
    kind, content = embedded(song)
    assert kind == "audio/mpeg"
    assert len(content) < song.stat().st_size / 2


def test_silent_and_short_songs_have_notes(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, [0.0] * 22050 * 5, 22050)
    performed = dance.perform(SwayingDancer(), quiet)
    assert len(performed.positions) == 125
    assert performed.tempo is None
    assert performed.alignment is None
    assert not performed.retimed
    assert performed.notes == ("the song is silent", "no beat was found: the dance keeps none")
    assert performed.summary() == "5.0 s of dance, no beat found"
    assert dance.write(performed, tmp_path / "out.html")[0].is_file()
    scrap = dance.perform(SwayingDancer(), write_song(tmp_path / "scrap.wav", seconds=0.2))
    assert "shorter than the 3.8 s" in scrap.notes[-1]
    assert dance.write(scrap, tmp_path / "scrap.gif")[0].is_file()


def test_motion_files_contain_the_dance(tmp_path: Path, swaying: dance.Performance) -> None:
    bvh, _ = dance.write(swaying, tmp_path / "new" / "folder" / "out.bvh")
    clip = read_bvh(bvh)
    assert clip.rate == pytest.approx(25, abs=1e-3)
    torch.testing.assert_close(clip.on(MELODY).float(), swaying.positions, atol=2e-4, rtol=0)
    glb, _ = dance.write(swaying, tmp_path / "OUT.GLB")
    assert glb.read_bytes()[:4] == b"glTF"


def test_gif_has_limited_length_by_default(
    tmp_path: Path, swaying: dance.Performance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dance, "GIF_SECONDS", 1.0)
    path, notes = dance.write(swaying, tmp_path / "out.gif")
    with Image.open(path) as image:
        assert image.n_frames <= 13
        assert image.info["duration"] == 80
    assert notes == [f"{path} shows the first 1 s: set `seconds` for more"]
    beginning = swaying.first(2)
    assert (len(beginning.positions), beginning.cut) == (50, True)
    assert 2 < len(beginning.beats) < len(swaying.beats)
    assert beginning.beats.max() < 50
    assert not dance.write(beginning, path, seconds=2.0)[1]


def test_missing_ffmpeg_writes_a_page_in_place_of_a_video(
    tmp_path: Path, swaying: dance.Performance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path, notes = dance.write(swaying, tmp_path / "out.mp4")
    assert path == tmp_path / "out.html"
    assert path.is_file()
    assert notes == [f".mp4 needs ffmpeg, which is not installed: wrote {path} instead"]
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(MongeError, match=r"needs ffmpeg, which is not installed.*\.html"):
        write_video(tmp_path / "out.mp4", [], (8, 8), 25, swaying.song, 1)


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake ffmpeg, which writes the number of bytes received and its arguments.

    It fails if the name of the song contains ``broken``.
    """
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "if any('broken' in argument for argument in sys.argv):\n"
        "    print('first', 'the song is odd', sep='\\n', file=sys.stderr)\n"
        "    sys.exit(3)\n"
        "count = len(sys.stdin.buffer.read())\n"
        "open(sys.argv[-1], 'w').write(' '.join([str(count), *sys.argv]))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.mark.usefixtures("ffmpeg")
def test_ffmpeg_receives_all_pictures_and_the_song(
    tmp_path: Path, swaying: dance.Performance
) -> None:
    path, notes = dance.write(swaying.first(0.4), tmp_path / "out.mp4")
    assert not notes
    count, command = path.read_text().split(" ", 1)
    assert int(count) == 10 * 640 * 720 * 3
    assert "-s 640x720 -r 25 " in command
    assert f"-i {swaying.song}" in command
    assert "-t 0.400" in command
    assert [p.name for p in tmp_path.glob("out*")] == ["out.mp4"]


@pytest.mark.usefixtures("ffmpeg")
def test_ffmpeg_failure_raises_and_leaves_no_file(
    tmp_path: Path, swaying: dance.Performance
) -> None:
    broken = replace(swaying.first(2), song=tmp_path / "broken.wav")
    with pytest.raises(MongeError, match=r"ffmpeg failed on .*the song is odd"):
        dance.write(broken, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))

    def interrupted() -> Path:
        raise KeyboardInterrupt

    pictures = (interrupted() for _ in range(1))
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "out.mp4", pictures, (8, 8), 25, swaying.song, 1)
    assert not list(tmp_path.glob("out*"))


def test_installed_ffmpeg_writes_a_video(tmp_path: Path, swaying: dance.Performance) -> None:
    if find_ffmpeg() is None:
        pytest.skip("ffmpeg is not on this machine: no video was written")
    path, _ = dance.write(swaying.first(0.4), tmp_path / "out.mp4")
    description = subprocess.run(["ffmpeg", "-i", path], capture_output=True, text=True).stderr
    assert "640x720" in description
    assert "Audio" in description


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp5"])
def test_unknown_suffixes_and_folders_raise(
    tmp_path: Path, swaying: dance.Performance, name: str
) -> None:
    with pytest.raises(MongeError, match=r"\.html, \.gif, \.mp4, \.bvh or \.glb") as refused:
        dance.write(swaying, tmp_path / name)
    assert ("'.mp4'?" in str(refused.value)) == (name == "out.mp5")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(MongeError, match="is a folder"):
        dance.write(swaying, tmp_path / "folder.gif")


class ConstantDancer:
    """A dancer that keeps one pose."""

    def __init__(self, positions: Tensor) -> None:
        self.positions = positions

    def dance(self, music: Tensor, /, *, seed: int = 0, style: int | None = None) -> Tensor:
        del seed, style
        return self.positions.expand(len(music), *self.positions.shape)


def test_skeleton_is_chosen_by_number_of_joints(song: Path) -> None:
    assert dance.perform(SwayingDancer(SMPL), song, seconds=2).skeleton is SMPL
    with pytest.raises(MongeError, match=r"melody \(23\), smpl \(24\)"):
        dance.perform(ConstantDancer(torch.zeros(17, 3)), song)
    with pytest.raises(MongeError, match="not finite"):
        dance.perform(ConstantDancer(torch.full((23, 3), math.nan)), song)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"style": -2}, {"seconds": 0.0}, {"seconds": math.nan}, {"seconds": math.inf}],
)
def test_numbers_out_of_range_raise(song: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(MongeError, match=f"{next(iter(wrong))} must be at least"):
        dance.perform(SwayingDancer(), song, **wrong)  # type: ignore[arg-type]


def test_unreadable_songs_and_missing_soundfile_raise(
    tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.mp3").write_text("these are words")
    for name in ("words.mp3", "missing.wav"):
        with pytest.raises(MongeError, match=name):
            dance.perform(SwayingDancer(), tmp_path / name)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MongeError, match=r'pip install "monge\[audio\]"'):
        dance.perform(SwayingDancer(), song)


def test_run_dances_without_its_data(
    tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGE_DATA", str(tmp_path / "nowhere"))
    dancer = Dancer.load(write_run(tmp_path / "run", {"name": "mdot", "width": 8}))
    first, second, other = (dance.perform(dancer, song, seed=seed).positions for seed in (1, 1, 2))
    assert first.shape == (200, 23, 3)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_missing_foreign_and_corrupt_runs_raise(tmp_path: Path) -> None:
    message = r"no trained run at .*'monge train mdot-dance-melody' \(.*minutes\)"
    with pytest.raises(MongeError, match=message):
        Dancer.load(tmp_path / "nothing")
    with pytest.raises(MongeError, match="is of gan, which cannot dance"):
        Dancer.load(write_run(tmp_path / "gan", {"name": "gan"}))
    run = write_run(tmp_path / "run", {"name": "mdot", "width": 8})
    weights = (run / "model.safetensors").read_bytes()
    for content in (weights[: len(weights) // 2], b""):
        (run / "model.safetensors").write_bytes(content)
        with pytest.raises(MongeError, match="train again"):
            Dancer.load(run)
    (run / "model.safetensors").unlink()
    with pytest.raises(MongeError, match=r"no model\.safetensors"):
        Dancer.load(run)
