import numpy as np

from reidflow.spec.shards import numbers, rows_of, shards


def test_shards_share_out_all_rows():
    assert shards(100, 100) == shards(0, 100) == []
    rows = [rows_of(numbers(shard), 100) for shard in shards(97, 15)]
    assert np.concatenate([np.arange(100)[part] for part in rows]).tolist() == list(range(100))
    assert {part.stop - part.start for part in rows} == {14, 15} and len(rows) == 7
