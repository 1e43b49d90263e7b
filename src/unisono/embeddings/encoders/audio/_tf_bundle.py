"""Reading the variables of a TensorFlow checkpoint (a "tensor bundle") without TensorFlow.

A bundle is two files: the index, a LevelDB table of uncompressed blocks that maps a variable's name to a
`BundleEntryProto` (dtype, shape, offset, size), and the data, the raw little-endian values.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError

FOOTER_BYTES = 48
TABLE_MAGIC = 0xDB4775248B80FB57
DATA_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
}
"""The `DataType` numbers of TensorFlow that occur in models."""


def read_bundle(index: bytes, data: bytes) -> dict[str, NDArray[Any]]:
    """Read all variables of a checkpoint.

    Raises:
        DataError: the index is not a table of uncompressed blocks, or the data is shorter than the index says.
    """
    variables = {}
    for name, entry in _table(index):
        if not name:
            continue  # the bundle's header
        fields = _message(entry)
        dtype, offset, size = fields.get(1, 0), fields.get(4, 0), fields.get(5, 0)
        shape = [_message(dim).get(1, 0) for dim in _repeated(fields.get(2, b""), 2)]
        if dtype not in DATA_TYPES or offset + size > len(data):
            raise DataError(f"Cannot read the variable {name!r}: data type {dtype}, bytes {offset} to {offset + size}.")
        variables[name] = np.frombuffer(data[offset : offset + size], DATA_TYPES[dtype]).reshape(shape)
    return variables


def _table(table: bytes) -> Iterator[tuple[str, bytes]]:
    footer = table[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != TABLE_MAGIC:
        raise DataError("Not the index of a TensorFlow checkpoint.")
    position = 0
    for _ in range(2):  # the handle of the meta index, which is not needed
        _, position = _varint(footer, position)
    for _, handle in _block(table, *_handle(footer, position)):
        for key, value in _block(table, *_handle(handle, 0)):
            yield key.decode(), value


def _handle(content: bytes, position: int) -> tuple[int, int]:
    offset, position = _varint(content, position)
    size, _ = _varint(content, position)
    return offset, size


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key is stored as its length in common with the previous key, and the rest."""
    if table[offset + size] != 0:
        raise DataError("The index of the TensorFlow checkpoint holds compressed blocks, which are not supported.")
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _message(message: bytes) -> dict[int, Any]:
    return dict(_fields(message))


def _repeated(message: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(message) if found == number and isinstance(value, bytes)]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protocol buffer message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
        else:
            length, position = {1: (8, position), 5: (4, position)}.get(wire_type) or _varint(message, position)
            yield number, message[position : position + length]
            position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
