"""NumPy's own formats: one array (npy), or arrays by name (npz). Tensors of torch are read and written through them."""

import zipfile
from typing import Any, Dict, Optional

from berth.annotations import Wanted
from berth.types.frames import missing_library
from berth.types.table import Schema, Type

_OBJECTS = "it holds objects of Python, which only a pickle can: declare type: pickle where all readers may run this step's code"
# More arrays than that are told by their number.
_DESCRIBED_MAX = 200


def _numpy() -> Any:
    try:
        import numpy
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise missing_library("npy and npz", "numpy") from error
    return numpy


def _load_array(path: Any, wish: Wanted) -> Any:
    numpy = _numpy()
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("it is no array of NumPy")
        file.seek(0)
        found = _without_objects(lambda: numpy.load(file, allow_pickle=False))
    return _as_tensor(found) if wish.kind == "torch" else found


def _load_arrays(path: Any, wish: Wanted) -> Dict[str, Any]:
    numpy = _numpy()
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no archive of arrays")
    with numpy.load(path, allow_pickle=False) as archive:
        found = {name: _without_objects(lambda name=name: archive[name]) for name in archive.files}
    as_tensors = wish.item is not None and wish.item.kind == "torch"
    return {name: _as_tensor(array) for name, array in found.items()} if as_tensors else found


def _without_objects(read: Any) -> Any:
    try:
        return read()
    except ValueError as error:
        raise ValueError(_OBJECTS if "allow_pickle" in str(error) else str(error)) from error


def _as_tensor(array: Any) -> Any:
    import torch

    # Not read-only, which torch warns of.
    return torch.from_numpy(array.copy())


def _save_array(path: Any, value: Any) -> Schema:
    numpy = _numpy()
    array = _array(numpy, value)
    with path.open("wb") as file:
        numpy.lib.format.write_array(file, array, allow_pickle=False)
    return _described(array)


def _save_arrays(path: Any, value: Any) -> Schema:
    numpy = _numpy()
    if not hasattr(value, "items"):
        raise TypeError(f"expected a dictionary of arrays, got {type(value).__name__}")
    arrays = {str(name): _array(numpy, item, str(name)) for name, item in value.items()}
    # Not numpy.savez, to which some names are arguments of its own. Times in it are fixed, so equal arrays are equal files.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                numpy.lib.format.write_array(file, array, allow_pickle=False)
    shown = {name: _described(array) for name, array in list(arrays.items())[:_DESCRIBED_MAX]}
    return {"arrays": shown} if len(shown) == len(arrays) else {"arrays": shown, "arrayCount": len(arrays)}


def _array(numpy: Any, value: Any, name: Optional[str] = None) -> Any:
    where = "" if name is None else f"{name}: "
    if hasattr(value, "detach"):  # torch, on whatever device
        try:
            value = value.detach().cpu().numpy()
        except TypeError as error:
            raise TypeError(f"{where}{error} (NumPy lacks bfloat16: convert by .float() before)") from error
    if value is None or isinstance(value, (str, bytes, dict, set)):
        raise TypeError(f"{where}expected an array, got {type(value).__name__}")
    array = numpy.asanyarray(value)
    if array.dtype.hasobject:
        raise ValueError(where + _OBJECTS)
    return array


def _described(array: Any) -> Dict[str, Any]:
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


NPY = Type(_load_array, _save_array, kinds=frozenset({"numpy", "torch"}), format="npy")
NPZ = Type(_load_arrays, _save_arrays, kinds=frozenset({"dict"}), format="npz")
