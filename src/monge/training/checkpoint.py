"""Checkpoints that survive kill -9, a full disk and a flipped bit.

A file contains the bytes of `torch.save`, followed by their sha256. It is written under another
name, synced, and renamed. The last two are kept; if a file does not match its digest, the previous
one is used.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monge.errors import MongeError

_KEEP = 2
_DIGEST = hashlib.sha256().digest_size


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees either the old or the new content, never a part of it."""
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MongeError(
            f"the disk is full: {len(content) / 2**20:.1f} MiB for {path} did not fit; free some "
            "space and run the same command again"
        ) from error


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of a step and delete all but the last two."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    write_atomically(path, content + hashlib.sha256(content).digest())
    for old in _files(folder)[:-_KEEP]:
        old.unlink()
    return path


def load_latest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest valid checkpoint, or None, and a message for each file that is invalid."""
    messages: list[str] = []
    for path in reversed(_files(folder)):
        content = path.read_bytes()
        body, digest = content[:-_DIGEST], content[-_DIGEST:]
        if hashlib.sha256(body).digest() == digest:
            return torch.load(io.BytesIO(body), map_location="cpu", weights_only=True), messages
        messages.append(f"checkpoint {path} is truncated or corrupt: using the previous one")
    return None, messages


def fingerprint(tensors: Iterable[Tensor], settings: Mapping[str, Any]) -> str:
    """Return a digest of tensors and of settings that can be written as JSON.

    >>> fingerprint([torch.zeros(2)], {"seed": 0}) == fingerprint([torch.zeros(2)], {"seed": 1})
    False
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.pt"))
