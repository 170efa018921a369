"""Files that vendors prepare: a ZIP archive of one CSV file, read row by row so that memory never holds it whole."""

import csv
import zlib
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from zipfile import BadZipFile, ZipFile

from leadloom.errors import Unreadable

type Row = dict[str, str]
"""Values as text by the file's own column names; an empty text is nothing."""

_SPOILT = (BadZipFile, zlib.error, IndexError, EOFError, OSError, RuntimeError, NotImplementedError)
"""What the library raises for archives that are none, cut, encrypted or packed in a way it does not know."""


def zipped_rows(body: bytes, vendor: str) -> Iterator[Row]:
    """The rows of the archive's first file.

    Raises Unreadable where it is no such archive, cut or spoilt, at the row where that shows: rows before it are good.
    """
    try:
        with ZipFile(BytesIO(body)) as archive, archive.open(archive.infolist()[0]) as packed:
            rows = csv.reader(TextIOWrapper(packed, "utf-8-sig", errors="replace", newline=""), strict=True)
            names = next(rows, [])
            for values in rows:
                if len(values) != len(names):
                    raise csv.Error(f"{len(values)} values for {len(names)} columns")
                yield dict(zip(names, values, strict=True))
    except (*_SPOILT, csv.Error) as error:
        raise Unreadable(
            f"{vendor} sent a file that is not readable. We ask for it again.",
            detail=f"{len(body)} bytes, {type(error).__name__}",
        ) from error
