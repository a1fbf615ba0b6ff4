"""A data set's relevance in one HDF5 file, `relevance.h5`, filled row by row, a row per clip.

    relevance     (N, *shape)               float32   of the network's input, or of the coefficients of a domain;
                                                      also linked as `attribution`, ViRelAy's name for it
    apart         (N,)                      float32   relevance of silence, which no coefficient of the domain has
    biases        (N,)                      float32   relevance of the network's biases, which are no part of the input;
                                                      NaN if the attribution does not separate it (not in early files)
    unshared      (N,)                      float32   relevance that nothing could get, because nothing contributed
                                                      where it was to be shared out; likewise
    prediction    (N, C)                    float32   logits, in the order of the attribute `classes`
    label         (N,)                      int64     class of the clip; -1 if it is not known
    target        (N,)                      int64     class whose logit is explained
    logit         (N,)                      float32   that logit, the sum of relevance, apart, biases and unshared
    path, speaker (N,)                      strings in UTF-8, all of the longest one's length
    done          (N,)                      uint8     1 for rows that are filled

Groups have the other values per clip: curves and measures. The attributes of the file are the configuration of the run,
as YAML, and the class names.

All rows are laid out when the file is made. From then on only values change, without HDF5. So the file of a killed run
can be read and continued, and several processes can fill it at the same time.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from auscult.mistake import Mistake
from auscult.plain_data import shown

DONE = "done"
MOST_NAMES_IN_HEADER = 1000
MOST_GROUPS = 1000  # groups that contain each other never end


def check_own(path: Path) -> None:
    """Checks that a relevance file contains all its data itself. HDF5 can link to other files and keep arrays in them.

    Raises:
        Mistake: it is no relevance file, or it leads to other files.
    """
    try:
        with h5py.File(path, "r") as file:
            groups: list[Any] = [file]
            for group in groups:
                for name in group:
                    link = group.get(name, getlink=True)
                    if isinstance(link, h5py.SoftLink):
                        continue  # it leads to an item of this file, which is checked on its own
                    item = group[name] if isinstance(link, h5py.HardLink) else None
                    if item is None or (isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)):
                        raise Mistake(f"{path} leads to other files, which no program of ours writes; remove it.")
                    if isinstance(item, h5py.Dataset) and item.dtype.hasobject:  # an object may be very large
                        raise Mistake(f"{path} is of an earlier version of Auscult; remove it to explain anew.")
                    if isinstance(item, h5py.Dataset) and (item.chunks or item.nbytes > path.stat().st_size):
                        raise Mistake(f"{path} holds more than its size, which no program of ours writes; remove it.")
                    if isinstance(item, h5py.Group):
                        groups.append(item)
                        if len(groups) > MOST_GROUPS:
                            raise Mistake(f"{path} holds groups without end; remove it to explain anew.")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise Mistake(f"{path} cannot be read ({shown(error)}); remove it to explain anew.") from error


class RelevanceFile:
    """An open relevance file whose rows are filled.

    Args:
        path: path of a file that `create` made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]] = {}  # offset in the file, type, shape
        with h5py.File(path, "r") as file:
            file.visititems(self._note_column)
            self.done = file[DONE][:].astype(bool)  # (N,)
        self.descriptor = os.open(path, os.O_RDWR)

    @classmethod
    def create(
        cls,
        path: Path,
        columns: Mapping[str, np.dtype[Any]],
        known: Mapping[str, Any],
        attributes: Mapping[str, Any],
    ) -> None:
        """Makes a file with room for all rows. If it fails, there is no file.

        Args:
            path: path of the file.
            columns: the type of a row for each column to fill, such as `np.dtype((np.float32, (1, 8000)))`.
            known: columns that are known, (N, ...) arrays or lists of N strings; N is at least 1.
            attributes: attributes of the file.

        Raises:
            OSError: the file cannot be written, or the disk has no room for all rows.
        """
        unfinished = path.with_name(path.name + ".new")
        rows = len(next(iter(known.values())))
        try:
            # the header holds 64 KB of attributes, about four thousand names; newer formats hold more
            newer = len(attributes.get("classes", ())) > MOST_NAMES_IN_HEADER
            with h5py.File(unfinished, "w", libver="latest" if newer else None) as file:
                for name, values in known.items():
                    if isinstance(values[0], str):
                        encoded = [value.encode(errors="surrogateescape") for value in values]
                        length = max(1, *map(len, encoded))
                        file.create_dataset(name, data=encoded, dtype=h5py.string_dtype(length=length))
                    else:
                        file.create_dataset(name, data=values)
                for name, row in {**columns, DONE: np.dtype(np.uint8)}.items():
                    _lay_out(file, name, (rows, *row.shape), row.base)
                if "relevance" in columns:
                    file["attribution"] = h5py.SoftLink("/relevance")
                file.attrs.update(attributes)
            unfinished.replace(path)
        except RuntimeError as error:  # h5py raises it on close if the disk is full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def fill(self, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Fills rows and marks them as done. No other process may fill the same rows.

        Args:
            rows: (B,) numbers of the rows.
            values: (B, ...) for each column.
        """
        for name, column in {**values, DONE: np.ones(len(rows))}.items():
            offset, dtype, shape = self.columns[name]
            if column.shape[1:] != shape:
                raise ValueError(f"a row of {name} has the shape {shape}, not {column.shape[1:]}")
            for row, value in zip(rows, np.asarray(column, dtype), strict=True):
                os.pwrite(self.descriptor, value.tobytes(), offset + int(row) * value.nbytes)

    def close(self) -> None:
        """Closes the file."""
        os.close(self.descriptor)

    def _note_column(self, name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks is None and item.dtype.kind in "fiu":
            self.columns[name] = (item.id.get_offset(), item.dtype, item.shape[1:])


def _lay_out(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Makes a column and writes its zeros to the disk, so that a full disk shows at once, not after hours."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    file.create_dataset(name, shape, dtype, dcpl=properties, fillvalue=0)
