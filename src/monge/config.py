"""Base class of configurations, which are frozen, refuse unknown keys, and consist of parts.

The help text of a field on the command line is a comment behind it, or ``#:`` comments above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Batch: TypeAlias = Annotated[int, Field(ge=2, description="Global batch, over all processes.")]
_DECAY = "Decay of the averaged weights, which are used to sample and map; 0: no averaging."
Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1, description=_DECAY)]
_TOLERANCE = "L1 marginal error of the plans."
Tolerance: TypeAlias = Annotated[float, Field(gt=0, lt=1, description=_TOLERANCE)]
Former: TypeAlias = Mapping[str, str | tuple[str, ...]]


class Frozen(BaseModel):
    """An immutable pydantic model that refuses unknown keys.

    A field with another `Frozen` as its default is a part. If only some keys of a part are given,
    the others keep the values of that default, not those of the part's class.

    >>> class Adam(Frozen):
    ...     lr: float = 1.0
    ...     beta: float = 0.9
    >>> class Config(Frozen):
    ...     adam: Adam = Adam(lr=0.1, beta=0.5)
    >>> Config(adam={"lr": 0.2}).adam
    Adam(lr=0.2, beta=0.5)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    FORMER: ClassVar[Former] = {}
    """Keys of version 0.1.0 under their new names, where `renamed` cannot derive these."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        parts = {
            name: part.default
            for name, part in cls.model_fields.items()
            if isinstance(part.default, Frozen)
        }
        given = {name: values[name] for name in parts if isinstance(values.get(name), Mapping)}
        completed = {name: parts[name].model_dump() | dict(part) for name, part in given.items()}
        return {**values, **completed}


def renamed(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """Return the names that a key of version 0.1.0 has now, or () if it is current or unknown.

    It may have moved to a part of ``model`` with a field of that name, or of that former name.

    >>> class Adam(Frozen):
    ...     lr: float = 1.0
    >>> class Config(Frozen):
    ...     adam: Adam = Adam()
    >>> renamed(Config, "lr"), renamed(Config, "loss")
    (('adam.lr',), ())
    """
    if key in model.model_fields:
        return ()
    known = _former(model, key)
    if known:
        return known
    for name, field in model.model_fields.items():
        if isinstance(field.default, Frozen):
            part = type(field.default)
            unchanged = part.model_fields.keys() - part.FORMER.values()
            inner = _former(part, key) or ((key,) if key in unchanged else ())
            if inner:
                return tuple(f"{name}.{path}" for path in inner)
    return ()


def _former(model: type[BaseModel], key: str) -> tuple[str, ...]:
    names = getattr(model, "FORMER", {}).get(key, ())
    return (names,) if isinstance(names, str) else names
