import pytest
from killing import TIMEOUT, start
from training_cases import small_data, small_spec, stored_bytes

from reidflow.training.loop import train

RUN = {"epochs": 9, "scheduler": {"name": "cosine", "warmup": 0.2}, "loss": "proxy_anchor"}


def trained(folder, watch=None, key="key", **changes) -> tuple[dict[str, bytes], object]:
    spec = small_spec(**(RUN | changes))
    made = train(
        spec,
        small_data(),
        folder / "work",
        folder / "out",
        "cpu",
        key=key,
        checkpoint_seconds=0.0,
        watch=watch,
    )
    return stored_bytes(folder / "out"), made


def ending(at: int, calls: list[int]):
    def watch(epoch: int, val_id_map: float) -> bool:
        calls.append(epoch)
        return epoch == at

    return watch


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_a_training_that_is_ended_by_its_watcher_is_the_run_with_that_stop_to_the_byte(tmp_path, checkpoint):
    calls = []
    ended, made = trained(tmp_path / "watched", ending(5, calls), checkpoint=checkpoint)
    direct, _ = trained(tmp_path / "direct", stop=5, checkpoint=checkpoint)
    assert ended == direct and made == small_spec(**RUN, stop=5, checkpoint=checkpoint) and calls == [1, 2, 3, 4, 5]


def test_a_stopped_run_is_the_beginning_of_the_whole_one(tmp_path):
    import io

    import polars as pl

    stopped, _ = trained(tmp_path / "stopped", stop=4)
    whole, made = trained(tmp_path / "whole", ending(0, calls := []))
    histories = [pl.read_parquet(io.BytesIO(files["history.parquet"])) for files in (stopped, whole)]
    assert histories[0].equals(histories[1][:5]) and len(histories[1]) == 10
    assert made.stop is None and calls == list(range(1, 9))


@pytest.mark.parametrize("at", [3, 4, 6])
def test_a_watched_training_that_was_killed_ends_where_it_would_have(tmp_path, at):
    """The checkpoint is one of an unwatched training, after epoch 4: the end lies before, on or behind it."""
    process = start(tmp_path / "killed", RUN, die=("checkpoint", 5))
    process.join(TIMEOUT)
    assert (tmp_path / "killed" / "work" / "checkpoint.pt").exists()
    resumed, _ = trained(tmp_path / "killed", ending(at, calls := []))
    direct, _ = trained(tmp_path / "direct", stop=at)
    assert resumed == direct and calls == list(range(1, at + 1))
