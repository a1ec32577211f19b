"""The results store: a folder with one Parquet file per finished cell, named by the cell's hash."""

import json
import os
from pathlib import Path

from tabular_rl.models.atomic import replacing

METADATA = b"tabular_rl"


class Store:
    """Finished cells in the folder ``path``, which is made if missing.

    A file appears whole or not at all, so that an interrupted experiment leaves a store that resumes. Files with other names are
    never touched.

    Raises
    ------
    OSError
        When the folder cannot be made or written: at once, not after the first run.
    """

    def __init__(self, path):
        self.path = Path(os.fspath(path))
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / "probe") as temporary:
            temporary.touch()
        (self.path / "probe").unlink()

    def file(self, cell):
        """Where the cell is, or would be."""
        return self.path / f"{cell.key}.parquet"

    def save(self, cell, trace):
        """Write a finished cell."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(trace.to_frame(), preserve_index=False)
        record = {"cell": cell.description, "parameters": {name: str(value) for name, value in trace.parameters.items()}}
        table = table.replace_schema_metadata({**table.schema.metadata, METADATA: json.dumps(record, sort_keys=True).encode()})
        with replacing(self.file(cell)) as temporary:
            pq.write_table(table, temporary)

    def load(self, cell):
        """The cell's frame, or None when it is not there. A file that is not this cell's: ValueError that names it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.file(cell)
        if not path.exists():
            return None
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path} is damaged or not a Parquet file; delete it to run this cell again: {error}") from None
        record = json.loads((table.schema.metadata or {}).get(METADATA, b"{}"))
        if record.get("cell") != json.loads(json.dumps(cell.description)):
            raise ValueError(f"{path} holds something else than the cell it is named after; move it away to run this cell again")
        return table.to_pandas()
