"""Tables in files of every format, for tests of reading them."""

import gzip
import json

import duckdb
import pyarrow as pa

from hierjax.counts import Counts

ROWS = [("c", 2, 19, "x", 1.0), ("a", 0, 20, "y", 0.5), ("b", 5, 18, "x", 2.0)]
NAMES = ("lab", "tumors", "rats", "kind", "weight")
EXPECTED = Counts([2, 0, 5], [19, 20, 18], ["c", "a", "b"], ["x", "y", "x"], [1, 0.5, 2])
FIELDS = {
    "successes": "tumors",
    "trials": "rats",
    "label": "lab",
    "group": "kind",
    "weight": "weight",
}


def write(path, rows=ROWS, names=NAMES):
    """A table in the format that the file's name says."""
    if ".parquet" in path.name:
        table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
        with duckdb.connect() as database:
            database.from_arrow(table).write_parquet(str(path))
        return path
    records = [dict(zip(names, row, strict=True)) for row in rows]
    if ".jsonl" in path.name:
        text = "".join(json.dumps(record) + "\n" for record in records)
    elif ".json" in path.name:
        text = json.dumps(records)
    else:
        mark = "\t" if ".tsv" in path.name else ","
        text = "".join(mark.join(map(str, row)) + "\n" for row in (names, *rows))
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.write(text)
    return path
