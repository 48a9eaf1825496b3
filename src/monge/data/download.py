"""Downloads that resume, try several mirrors, and are believed only when the sha256 agrees."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from monge.errors import MongeError, nearest

from .catalog import data_root
from .sets.cifar import CIFARS, wanted
from .sets.idx import REMOTES, Remote

_CHUNK = 1 << 16


def get(name: str, root: str | Path | None = None, remote: Remote | None = None) -> Path:
    """Download a data set; files that are there and whole are left alone. Returns its folder."""
    if remote is None:
        if name in CIFARS:
            raise MongeError(f"'{name}' has no download: {wanted(name, data_root(root))}")
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
        found = sha256(part)
        if found == digest:
            part.replace(path)
            return
        failures.append(f"{mirror}: sha256 is {found[:12]}…, expected {digest[:12]}…")
        part.unlink()
    raise MongeError(
        f"could not get {file}; tried {'; '.join(failures)}: place it at {path} by hand or try "
        "again later"
    )


def _resume(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch; the checksum decides
            return
        raise
    with response:
        resumed = response.status == 206
        total = int(response.headers.get("Content-Length", 0)) + (have if resumed else 0)
        with (
            part.open("ab" if resumed else "wb") as sink,
            tqdm(
                total=total,
                initial=have if resumed else 0,
                unit="B",
                unit_scale=True,
                desc=part.stem,
            ) as bar,
        ):
            while chunk := response.read(_CHUNK):
                sink.write(chunk)
                bar.update(len(chunk))
        if total and part.stat().st_size < total:
            raise OSError(f"the connection closed at {part.stat().st_size} of {total} bytes")
