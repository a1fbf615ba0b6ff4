"""Looks through the bytes of a checkpoint before PyTorch reads them.

PyTorch's own reader (`weights_only=True`) runs no code, but it makes what a file asks for: gigabytes out of a
compressed record, a `bytearray` of any size, tuples that take hours to hash. `train.py` writes none of this, so a
file with anything that `train.py` does not write is refused.
"""

import io
import os
import pickletools
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

PICKLE = b"\x80"  # how a pickle begins that is not in an archive, as PyTorch wrote them before 2020
LARGEST_PICKLE = 64 * 2**20  # bytes; that of a network with 10 000 weights has about 2 MB
MOST_OPCODES = 2_000_000  # of a pickle; that of a corpus of 300 000 recordings has half as many
MOST_RECORDS = 100_000  # of an archive: one for each tensor
LARGEST_HOLE = 2**28  # bytes of a file that are not on the disk
LONGEST_INT = 8  # bytes
WIDEST_TUPLE = 64  # values in it, with those of the tuples in it: sizes, strides, a tensor's arguments
# what a checkpoint of ours is made of, beside plain containers
NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch device",
    "torch Size",
}
STORAGES = (
    "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat",
    "ComplexDouble",
)  # fmt: skip
NAMES |= {f"torch {name}Storage" for name in STORAGES}
# how many values each opcode takes from the stack; -1: all down to the last MARK
TAKES = {
    "PROTO": 0, "STOP": 1, "MARK": 0, "BINPUT": 0, "LONG_BINPUT": 0, "BINGET": 0, "LONG_BINGET": 0, "BINUNICODE": 0,
    "NONE": 0, "NEWTRUE": 0, "NEWFALSE": 0, "BININT": 0, "BININT1": 0, "BININT2": 0, "LONG1": 0, "BINFLOAT": 0,
    "GLOBAL": 0, "EMPTY_DICT": 0, "EMPTY_LIST": 0, "EMPTY_TUPLE": 0,
    "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": -1, "SETITEM": 2, "SETITEMS": -1,
    "APPEND": 1, "APPENDS": -1, "REDUCE": 2, "BUILD": 1, "BINPERSID": 1,
}  # fmt: skip
GIVES_NOTHING = (
    "PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "SETITEM", "SETITEMS", "APPEND", "APPENDS", "BUILD",
)  # fmt: skip


class Damaged(Exception):
    """The file is not whole."""


class Foreign(Exception):
    """The file is whole, but holds something that `train.py` never writes; the message says what."""


def look_through(path: Path) -> None:
    """Checks that a file is a whole checkpoint of plain containers and tensors, as `torch.save` writes it.

    Takes time and memory in proportion to the size of the file, whatever the file claims.

    Raises:
        Damaged: it is truncated, or a byte of it has changed since it was written.
        Foreign: it is another kind of file, or holds other things.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if not is_zipfile(file):
            file.seek(0)
            raise Foreign("another program's objects") if file.read(1) == PICKLE else Damaged
        size = file.seek(0, io.SEEK_END)
        if size > LARGEST_HOLE and size > 16 * 512 * getattr(os.fstat(file.fileno()), "st_blocks", size):
            raise Foreign("nothing, nearly everywhere")  # a sparse file, which takes hours to read
        look_for_one_directory(file, size)
        try:
            with ZipFile(file) as archive:
                look_through_archive(archive, size)
                pickles = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
                if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
                    raise Foreign("another program's objects")
                look_through_pickle(archive.read(pickles[0]))
        except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, IndexError, KeyError) as error:
            raise Damaged from error


def look_for_one_directory(file: BinaryIO, size: int) -> None:
    """Raises Damaged unless an archive's directory lies where its end says: another reader could see other records.

    The end (APPNOTE 4.3.16) is the last 22 bytes; where numbers do not fit into it, those of ZIP64 lie before it.
    """
    file.seek(max(0, size - 98))
    tail = file.read()
    start = size - 22
    if tail[-22:-18] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise Damaged
    length, offset = struct.unpack("<LL", tail[-10:-2])
    if tail[-42:-38] == b"PK\6\7":  # the locator of ZIP64
        start = size - 98
        if struct.unpack("<Q", tail[-34:-26])[0] != start or tail[:4] != b"PK\6\6":
            raise Damaged
        length, offset = struct.unpack("<QQ", tail[40:56])
    if offset + length != start:
        raise Damaged


def look_through_archive(archive: ZipFile, size: int) -> None:
    """Checks that all bytes in it are as they were written, and that no more come out than are in it."""
    entries = archive.infolist()
    if len(entries) > MOST_RECORDS:
        raise Foreign("more records than any network has weights")
    if any(entry.compress_type != ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise Foreign("compressed records")
    if sum(entry.file_size for entry in entries) > size or archive.comment:
        raise Foreign("more than its size")
    if archive.testzip() is not None:
        raise Damaged


def look_through_pickle(content: bytes) -> None:
    """Checks that a pickle names nothing but `NAMES`, and can be read in a time in proportion to its length."""
    stack: list[Any] = []  # the weight of each value: 1, and for a tuple also the weights of its values
    marks: list[int] = []
    memo: dict[int, int] = {}
    argument: Any
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        name = opcode.name
        if number == MOST_OPCODES:
            raise Foreign("more values than any checkpoint has")
        if name not in TAKES:
            raise Foreign("another program's objects")
        if name == "GLOBAL" and argument not in NAMES:
            raise Foreign(f"code or another program's objects ({str(argument)[:80]!r})")
        if name == "LONG1" and argument.bit_length() > 8 * LONGEST_INT:
            raise Foreign("numbers without end")
        if name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MARK":
            marks.append(len(stack))
        takes = TAKES[name]
        kept = len(stack) - takes if takes >= 0 else marks.pop()
        if kept < 0:
            raise Damaged
        taken = stack[kept:]
        del stack[kept:]
        if name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name.startswith("TUPLE"):
            stack.append(1 + sum(taken))
            if stack[-1] > WIDEST_TUPLE:
                raise Foreign("tuples of tuples")
        elif name not in GIVES_NOTHING:
            stack.append(1)
