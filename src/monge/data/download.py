"""Downloads that resume, try several mirrors, and are checked by sha256."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from tqdm import tqdm

from monge.errors import MongeError, nearest

from .catalog import data_root
from .sets.cifar import CIFARS, instructions
from .sets.idx import REMOTES, Remote

_CHUNK = 1 << 16


def get(name: str, root: str | Path | None = None, remote: Remote | None = None) -> Path:
    """Download a data set and return its folder; complete files are not downloaded again."""
    if remote is None:
        if name in CIFARS:
            raise MongeError(f"'{name}' has no download: {instructions(name, data_root(root))}")
        if name not in REMOTES:
            raise MongeError(f"no data set to download is called '{name}'{nearest(name, REMOTES)}")
        remote = REMOTES[name]
    folder = data_root(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, digest in remote.files.items():
        path = folder / file
        if not (path.is_file() and sha256(path) == digest):
            _from_mirrors(file, digest, remote.mirrors, path)
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _from_mirrors(file: str, digest: str, mirrors: tuple[str, ...], path: Path) -> None:
    part, failures = path.with_name(path.name + ".part"), []
    for mirror in mirrors:
        try:
            _resume(mirror + file, part)
        except (urllib.error.URLError, OSError) as error:
            failures.append(f"{mirror}: {error}")
            continue
        received = sha256(part)
        if received == digest:
            part.replace(path)
            return
        failures.append(f"{mirror}: sha256 is {received[:12]}…, expected {digest[:12]}…")
        part.unlink()
    raise MongeError(
        f"could not get {file}; tried {'; '.join(failures)}: place it at {path} by hand or try "
        "again later"
    )


def _resume(url: str, part: Path) -> None:
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the file is complete already; its checksum is tested by the caller
            return
        raise
    with response:
        resumed = response.status == 206
        first = done if resumed else 0
        total = int(response.headers.get("Content-Length", 0)) + first
        bar_of = partial(tqdm, unit="B", unit_scale=True, desc=part.stem)
        with (
            part.open("ab" if resumed else "wb") as sink,
            bar_of(total=total, initial=first) as bar,
        ):
            while chunk := response.read(_CHUNK):
                sink.write(chunk)
                bar.update(len(chunk))
        if total and part.stat().st_size < total:
            raise OSError(f"the connection closed at {part.stat().st_size} of {total} bytes")
