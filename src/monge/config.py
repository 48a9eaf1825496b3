"""The base of every configuration: frozen, and closed to unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A pydantic model that refuses unknown keys and cannot be changed after it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)
