"""Dances to songs: what is danced, what is written, what is refused.

A stand-in dances, so that nothing is trained.
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
from monge.dance import song as _dance_song
from monge.dance import video as _dance_video
from monge.dance.domains import DanceDomains
from monge.dance.motion import MELODY, SMPL, Skeleton, read_bvh, rest
from monge.errors import MongeError
from monge.methods import mdot
from monge.training import RunFolder, parse
from monge.training.checkpoint import write_atomically
from monge.training.recipe import to_yaml
from tests.dance.audio.songs import write_song

soundfile = pytest.importorskip(
    "soundfile", reason="soundfile is not installed: pip install 'monge[audio]'"
)

PERIOD = 0.55  # seconds of the stand-in's sway


class Swaying:
    """Dances without listening, at a beat of its own."""

    def __init__(self, skeleton: Skeleton = MELODY) -> None:
        self.skeleton, self.asked = skeleton, (-1, None)

    def dance(self, music: Tensor, /, *, seed: int = 0, style: int | None = None) -> Tensor:
        self.asked = (seed, style)
        time = torch.arange(len(music)) / dance.RATE
        positions = rest(self.skeleton).repeat(len(music), 1, 1)
        positions[:, :, 0] += 0.2 * torch.cos(math.pi * time / PERIOD)[:, None]
        return positions


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_song(
        tmp_path_factory.mktemp("songs") / "a song.wav", seconds=8, bpm=120, rate=22050, channels=1
    )


@pytest.fixture(scope="module")
def made(song: Path) -> dance.Performance:
    return dance.perform(Swaying(), song)


def sound_of(page: Path) -> tuple[str, bytes]:
    found = re.search(r'<audio [^>]*src="data:([^;]+);base64,([^"]+)"', page.read_text())
    assert found
    return found[1], base64.b64decode(found[2])


@pytest.mark.parametrize(
    ("name", "rate", "channels"), [("a.mp3", 44100, 2), ("a.wav", 48000, 2), ("a.flac", 44100, 1)]
)
def test_a_song_of_any_kind_is_danced_to_on_the_beat(
    tmp_path: Path, name: str, rate: int, channels: int
) -> None:
    song = write_song(tmp_path / name, seconds=8, bpm=120, rate=rate, channels=channels)
    dancer = Swaying()
    made = dance.perform(dancer, song, seed=3, style=5)
    assert dancer.asked == (3, 5)
    assert made.seconds == pytest.approx(8, abs=0.2)  # mp3 has some silence at its ends
    assert made.tempo == pytest.approx(120, abs=1.5)
    assert made.retimed
    assert not made.notes
    as_it_was = dance.perform(dancer, song, retime=False)
    assert not as_it_was.retimed
    assert made.alignment is not None
    assert as_it_was.alignment is not None
    assert made.alignment > as_it_was.alignment + 0.1
    assert "bpm, beat alignment" in made.summary()
    page, notes = dance.write(made, tmp_path / "out.html")
    assert not notes
    assert sound_of(page)[1] == song.read_bytes()


def test_the_beginning_of_a_song_carries_its_own_sound(tmp_path: Path, song: Path) -> None:
    made = dance.perform(Swaying(), song, seconds=3)
    assert len(made.positions) == 75
    assert made.cut
    page, _ = dance.write(made, tmp_path / "out.html")
    kind, content = sound_of(page)
    assert kind == "audio/mpeg"
    assert len(content) < song.stat().st_size / 3
    assert soundfile.info(io.BytesIO(content)).duration == pytest.approx(3, abs=0.2)
    assert not dance.perform(Swaying(), song, seconds=100).cut


@pytest.mark.parametrize(
    ("name", "rate", "channels", "kind"),
    [
        ("a.aiff", 22050, 1, "audio/mpeg"),
        ("a.wav", 22050, 5, "audio/mpeg"),
        ("a.w64", 96000, 1, "audio/ogg"),
    ],
)
def test_what_browsers_do_not_play_is_encoded_again(
    tmp_path: Path, name: str, rate: int, channels: int, kind: str
) -> None:
    song = write_song(tmp_path / name, seconds=2, rate=rate, channels=channels)
    found, content = _dance_song.embedded(song)
    assert found == kind
    info = soundfile.info(io.BytesIO(content))
    assert info.duration == pytest.approx(2, abs=0.1)
    assert info.channels == min(channels, 2)


def test_large_songs_without_loss_are_made_smaller(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _dance_song.embedded(song) == ("audio/wav", song.read_bytes())
    monkeypatch.setattr(_dance_song, "_LARGE", 1000)
    kind, content = _dance_song.embedded(song)
    assert kind == "audio/mpeg"
    assert len(content) < song.stat().st_size / 2


def test_silence_and_scraps_are_danced_to_and_remarked_on(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, [0.0] * 22050 * 5, 22050)
    made = dance.perform(Swaying(), quiet)
    assert len(made.positions) == 125
    assert made.tempo is None
    assert made.alignment is None
    assert not made.retimed
    assert made.notes == ("the song is silent", "no beat was found: the dance keeps none")
    assert made.summary() == "5.0 s of dance, no beat found"
    assert dance.write(made, tmp_path / "out.html")[0].is_file()
    scrap = dance.perform(Swaying(), write_song(tmp_path / "scrap.wav", seconds=0.2))
    assert "shorter than the 3.8 s" in scrap.notes[-1]
    assert dance.write(scrap, tmp_path / "scrap.gif")[0].is_file()


def test_motion_files_hold_the_dance(tmp_path: Path, made: dance.Performance) -> None:
    bvh, _ = dance.write(made, tmp_path / "new" / "folder" / "out.bvh")
    clip = read_bvh(bvh)
    assert clip.rate == pytest.approx(25, abs=1e-3)
    torch.testing.assert_close(clip.on(MELODY).float(), made.positions, atol=2e-4, rtol=0)
    glb, _ = dance.write(made, tmp_path / "OUT.GLB")
    assert glb.read_bytes()[:4] == b"glTF"


def test_a_gif_is_short_unless_asked(
    tmp_path: Path, made: dance.Performance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dance, "GIF_SECONDS", 1.0)
    path, notes = dance.write(made, tmp_path / "out.gif")
    with Image.open(path) as image:
        assert image.n_frames <= 13
        assert image.info["duration"] == 80
    assert notes == [f"{path} shows the first 1 s: --seconds asks for more"]
    beginning = made.first(2)
    assert (len(beginning.positions), beginning.cut) == (50, True)
    assert 2 < len(beginning.beats) < len(made.beats)
    assert beginning.beats.max() < 50
    assert not dance.write(beginning, path, seconds=2.0)[1]


def test_without_ffmpeg_a_page_is_written_in_place_of_a_video(
    tmp_path: Path, made: dance.Performance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path, notes = dance.write(made, tmp_path / "out.mp4")
    assert path == tmp_path / "out.html"
    assert path.is_file()
    assert notes == [f"there is no ffmpeg, which .mp4 needs: wrote {path} instead"]
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(MongeError, match=r"no ffmpeg.*\.html"):
        _dance_video.write_video(tmp_path / "out.mp4", [], (8, 8), 25, made.song, 1)


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that writes how many bytes it was fed, and what with; it fails where the song is
    called ``broken``.
    """
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if any('broken' in a for a in sys.argv): print('first', 'the song is odd', sep='\\n', "
        "file=sys.stderr); sys.exit(3)\n"
        "open(sys.argv[-1], 'w').write(' '.join([str(len(sys.stdin.buffer.read())), *sys.argv]))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.mark.usefixtures("ffmpeg")
def test_ffmpeg_is_given_every_picture_and_the_song(
    tmp_path: Path, made: dance.Performance
) -> None:
    path, notes = dance.write(made.first(0.4), tmp_path / "out.mp4")
    assert not notes
    count, *words = path.read_text().split(" ")
    assert int(count) == 10 * 640 * 720 * 3
    said = " ".join(words)
    assert "-s 640x720 -r 25 " in said
    assert f"-i {made.song}" in said
    assert "-t 0.400" in said
    assert [p.name for p in tmp_path.glob("out*")] == ["out.mp4"]


@pytest.mark.usefixtures("ffmpeg")
def test_what_ffmpeg_complains_of_is_passed_on(tmp_path: Path, made: dance.Performance) -> None:
    broken = replace(made.first(2), song=tmp_path / "broken.wav")
    with pytest.raises(MongeError, match=r"ffmpeg failed on .*\(the song is odd\)|the song is odd"):
        dance.write(broken, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))

    def interrupted() -> Path:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _dance_video.write_video(
            tmp_path / "out.mp4", (interrupted() for _ in range(1)), (8, 8), 25, made.song, 1
        )
    assert not list(tmp_path.glob("out*"))


def test_a_real_ffmpeg_writes_a_video(tmp_path: Path, made: dance.Performance) -> None:
    if _dance_video.find_ffmpeg() is None:
        pytest.skip("ffmpeg is not on this machine: no video was made")
    path, _ = dance.write(made.first(0.4), tmp_path / "out.mp4")
    found = subprocess.run(["ffmpeg", "-i", path], capture_output=True, text=True).stderr
    assert "640x720" in found
    assert "Audio" in found


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp5"])
def test_other_files_are_refused_with_the_five_that_can_be_written(
    tmp_path: Path, made: dance.Performance, name: str
) -> None:
    with pytest.raises(MongeError, match=r"\.html, \.gif, \.mp4, \.bvh or \.glb") as refused:
        dance.write(made, tmp_path / name)
    assert ("'.mp4'?" in str(refused.value)) == (name == "out.mp5")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(MongeError, match="is a folder"):
        dance.write(made, tmp_path / "folder.gif")


class Shaped:
    def __init__(self, positions: Tensor) -> None:
        self.positions = positions

    def dance(self, music: Tensor, /, *, seed: int = 0, style: int | None = None) -> Tensor:
        del seed, style
        return self.positions.expand(len(music), *self.positions.shape)


def test_skeletons_are_known_by_their_joints(song: Path) -> None:
    assert dance.perform(Swaying(SMPL), song, seconds=2).skeleton is SMPL
    with pytest.raises(MongeError, match=r"melody \(23\), smpl \(24\)"):
        dance.perform(Shaped(torch.zeros(17, 3)), song)
    with pytest.raises(MongeError, match="not finite"):
        dance.perform(Shaped(torch.full((23, 3), math.nan)), song)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"style": -2}, {"seconds": 0.0}, {"seconds": math.nan}, {"seconds": math.inf}],
)
def test_numbers_out_of_range_are_refused(song: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(MongeError, match=f"{next(iter(wrong))} must be at least"):
        dance.perform(Swaying(), song, **wrong)  # type: ignore[arg-type]


def test_bad_songs_are_refused(tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.mp3").write_text("these are words")
    for name in ("words.mp3", "missing.wav"):
        with pytest.raises(MongeError, match=name):
            dance.perform(Swaying(), tmp_path / name)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MongeError, match=r'pip install "monge\[audio\]"'):
        dance.perform(Swaying(), song)


def trained(folder: Path, method: dict[str, object]) -> Path:
    """A run folder whose weights are those that the method begins with."""
    recipe = parse({"data": {"name": "dance_melody"}, "method": method}, "test")
    folder.mkdir(parents=True)
    write_atomically(folder / "config.yaml", to_yaml(recipe).encode())
    if isinstance(recipe.method, mdot.Config):
        RunFolder(folder).save_weights(
            mdot.build(recipe.method, (96, 70), DanceDomains()).state_dict()
        )
    return folder


def test_a_run_dances_without_its_data(
    tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGE_DATA", str(tmp_path / "nowhere"))
    dancer = Dancer.load(trained(tmp_path / "run", {"name": "mdot", "width": 8}))
    first, second, other = (dance.perform(dancer, song, seed=seed).positions for seed in (1, 1, 2))
    assert first.shape == (200, 23, 3)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_runs_that_do_not_dance_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        MongeError, match=r"no trained run at .*'monge train mdot-dance-melody' \(.*minutes\)"
    ):
        Dancer.load(tmp_path / "nothing")
    with pytest.raises(MongeError, match="is of gan, which does not dance"):
        Dancer.load(trained(tmp_path / "gan", {"name": "gan"}))
    run = trained(tmp_path / "run", {"name": "mdot", "width": 8})
    weights = (run / "model.safetensors").read_bytes()
    for content in (weights[: len(weights) // 2], b""):
        (run / "model.safetensors").write_bytes(content)
        with pytest.raises(MongeError, match="train again"):
            Dancer.load(run)
    (run / "model.safetensors").unlink()
    with pytest.raises(MongeError, match=r"no model\.safetensors"):
        Dancer.load(run)
