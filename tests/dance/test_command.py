"""Tests of the command `monge dance`."""

from __future__ import annotations

from pathlib import Path

import pytest

from monge.cli.main import main
from monge.dance import dancer
from tests.helpers.dancers import SwayingDancer, write_run
from tests.helpers.songs import write_song

pytest.importorskip("soundfile", reason="soundfile is not installed: pip install 'monge[audio]'")


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A song in the working directory; the dancer needs no run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dancer.Dancer, "load", lambda _: SwayingDancer())
    return write_song(Path("my song.flac"), seconds=6, bpm=100, rate=22050, channels=1)


def call(*args: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["dance", *map(str, args)])
    return int(stop.value.code or 0)


def test_default_output_is_a_page(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(song) == 0
    assert Path("my song-dance.html").is_file()
    out = capsys.readouterr().out
    assert out.startswith("my song-dance.html: 6.0 s of dance, tempo 100.")
    assert "beat alignment" in out
    assert "(retimed), in " in out
    assert call(song, "--no-beat-warp", "--seconds", 2) == 0
    out = capsys.readouterr().out
    assert "retimed" not in out
    assert "2.0 s of dance" in out


def test_several_files_and_song_after_options(
    song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(song, "-o", "a.bvh", "b/c.glb", "-o", "d.html", "-o", "a.bvh") == 0
    assert all(Path(name).is_file() for name in ("a.bvh", "b/c.glb", "d.html"))
    assert capsys.readouterr().out.startswith("a.bvh, b/c.glb, d.html: ")
    assert call("-o", "e.bvh", song) == 0
    assert Path("e.bvh").is_file()
    assert call("-o", "f.bvh") == 2
    assert "song" in capsys.readouterr().err


def test_missing_ffmpeg_warns_and_succeeds(
    song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert call(song, "-o", "a.mp4", "a.html") == 0
    out, err = capsys.readouterr()
    assert "warning: .mp4 needs ffmpeg, which is not installed: wrote a.html instead" in err
    assert out.startswith("a.html: ")


def test_silent_song_prints_notes(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    soundfile.write("quiet.wav", [0.0] * 22050 * 5, 22050)
    assert call("quiet.wav", "-o", "a.bvh", "--style", 2, "--seed", 4) == 0
    out = capsys.readouterr().out
    assert "note: the song is silent" in out
    assert "no beat found" in out
    assert song.is_file()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["missing.mp3"], "song 'missing.mp3' does not exist"),
        (["SONG", "-o", "a.avi"], "written as .html, .gif, .mp4, .bvh or .glb, got 'a.avi'"),
        (["SONG", "--seed", "-1"], "seed must be at least 0"),
        (["SONG", "--seconds", "-1"], "seconds must be at least"),
        (["SONG", "-o", "x/../same.gif"], "would overwrite the song"),
    ],
)
def test_errors_are_one_line(
    song: Path, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "would overwrite" in words:
        song = song.rename("same.gif")
        Path("x").mkdir()
    assert call(*[str(song) if arg == "SONG" else arg for arg in args]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_missing_run_raises_and_run_option_selects_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    song = write_song(Path("song.wav"), seconds=4, rate=22050)
    assert call(song) == 1
    message = "no trained run at 'runs/mdot-dance-melody': make one with 'monge train mdot-dance-"
    assert f"{message}melody' (" in capsys.readouterr().err
    run = write_run(tmp_path / "own", {"name": "mdot", "width": 8})
    assert call(song, "--run", run, "-o", "a.html") == 0
    assert "4.0 s of dance" in capsys.readouterr().out
