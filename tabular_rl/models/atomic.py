"""Files that are written whole or not at all."""

import contextlib
import os
import threading


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
