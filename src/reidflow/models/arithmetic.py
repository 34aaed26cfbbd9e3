"""The settings of torch on which the bits of a result depend."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Within the block torch uses deterministic algorithms, full fp32 products and `threads` CPU threads.

    The settings of the caller come back afterwards. On CUDA enter it before the first cuBLAS call of the process:
    the workspace setting is read once.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.benchmark,
        cudnn.allow_tf32,
        matmul.allow_tf32,
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = False, False, False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=before[2])
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before[3:]
