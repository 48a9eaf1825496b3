"""The base of every configuration: frozen, closed to unknown keys, and composed of parts.

A comment behind a field, or where it is long a docstring below, is what ``--help`` prints of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Batch: TypeAlias = Annotated[int, Field(ge=2, description="Global batch, over all processes.")]
Decay: TypeAlias = Annotated[
    float,
    Field(
        ge=0, lt=1, description="Decay of the averaged weights that sample and map; 0: no average."
    ),
]
Tolerance: TypeAlias = Annotated[
    float, Field(gt=0, lt=1, description="L1 marginal error of the plans.")
]
Former: TypeAlias = Mapping[str, str | tuple[str, ...]]


class Frozen(BaseModel):
    """A pydantic model that refuses unknown keys and cannot be changed after it is made.

    A field whose default is another `Frozen` is a part. Where only some keys of a part are given,
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
        return {
            **values,
            **{name: parts[name].model_dump() | dict(part) for name, part in given.items()},
        }


def renamed(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """Return where a key of version 0.1.0 is found now: in a part of ``model`` that has a field of
    that name, or had one.

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
            new = part.model_fields.keys() - part.FORMER.values()
            inner = _former(part, key) or ((key,) if key in new else ())
            if inner:
                return tuple(f"{name}.{one}" for one in inner)
    return ()


def _former(model: type[BaseModel], key: str) -> tuple[str, ...]:
    found = getattr(model, "FORMER", {}).get(key, ())
    return (found,) if isinstance(found, str) else found
