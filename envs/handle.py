"""A file that one object holds open by its descriptor until it is closed."""

import os
from typing import Self


class Handle:
    """Holds the descriptor ``_file``, closed once, at the latest at the end of a ``with`` block."""

    _file = -1

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
