"""Python's own format, which is only used where `type: pickle` says so: to read one is to run the code in it."""

import pickle
from typing import Any

from berth.annotations import StandIn, Wanted
from berth.types.table import Schema, Type, UnfitValue

_warned = False


def _load(path: Any, wish: Wanted) -> Any:
    global _warned
    if not _warned:
        from berth.logs import log

        _warned = True
        log.warning("a pickle is read, which runs whatever code is in it: keep to those that your own steps wrote")
    try:
        with path.open("rb") as file:
            value = pickle.load(file)
    except ModuleNotFoundError as error:
        raise UnfitValue(f"it holds objects of {error.name!r}, which is not installed in this environment") from error
    except pickle.UnpicklingError as error:
        raise ValueError(error) from error
    is_known = isinstance(wish.cls, type) and not issubclass(wish.cls, StandIn)
    if is_known and not (value is None and wish.optional) and not isinstance(value, wish.cls):
        raise UnfitValue(f"expected {wish.shown}, and the pickle holds {type(value).__name__}")
    return value


def _save(path: Any, value: Any) -> Schema:
    try:
        with path.open("wb") as file:
            pickle.dump(value, file, protocol=4)
    except pickle.PicklingError as error:
        raise ValueError(error) from error
    return {"class": f"{type(value).__module__}.{type(value).__qualname__}"}


PICKLE = Type(_load, _save, kinds=None, format="pickle")
