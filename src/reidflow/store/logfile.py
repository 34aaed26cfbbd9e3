"""A job's log that goes on on the screen where its file cannot be written."""

import io
import os
from pathlib import Path

SCREEN = 2  # the descriptor of standard error, whatever `sys.stderr` has become


class LogFile(io.RawIOBase):
    """Bytes for the log at `path`. `lost` once they go to standard error: a full disk must not silence a job."""

    def __init__(self, path: Path) -> None:
        self.path, self.lost = path, False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._file = os.dup(SCREEN)
            self._lose(error)

    def writable(self) -> bool:  # noqa: D102
        return True

    def fileno(self) -> int:  # noqa: D102
        return self._file

    def write(self, data: bytes) -> int:
        """Write some of the bytes and return how many."""
        if not self.lost:
            try:
                return os.write(self._file, data)
            except OSError as error:
                self._lose(error)
        self.on_screen(bytes(data))
        return len(data)

    def on_screen(self, text: str | bytes) -> None:
        """Write to standard error; where there is none either, nobody is left to be told."""
        try:
            os.write(SCREEN, text.encode(errors="replace") if isinstance(text, str) else text)
        except OSError:
            return

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            os.close(self._file)
        super().close()

    def _lose(self, error: OSError) -> None:
        self.lost = True
        self.on_screen(f"{self.path}: this log cannot be written ({error.strerror}); it goes on here.\n")
