"""ONNX networks on the CPU, one image and one thread at a time: a mask depends on neither other images nor the machine's load."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.ingest.sources._sniff import what_is
from reidflow.spec.errors import ReidflowError, first_line
from reidflow.spec.extras import install

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the colours that most networks are trained with."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class Session:
    """A network of one image input, read from an ONNX file; several threads may use it at once.

    `size`: height and width of its input, None where it takes images of any size. `channels_last`: whether images enter
    as (1, H, W, 3), as in TensorFlow, and not as (1, 3, H, W). `bytes`: whether colours enter as they are, uint8.
    """

    def __init__(self, file: str) -> None:
        """Raises ReidflowError where onnxruntime is missing or the file is no such network."""
        try:
            import onnxruntime
        except ImportError as error:
            raise ReidflowError(
                f"masks are computed with onnxruntime, which is not installed. Install it: {install('masks')}"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        self.file = file
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of a dozen classes, by what is wrong with the file
            with Path(file).open("rb") as opened:
                head = opened.read(512)
            what = "perhaps a network of PyTorch: export it to ONNX" if head.startswith(b"PK") else what_is(head)
            kind = f"It is {what}" if what else f"{first_line(error)}. Export it to ONNX, or copy the file again"
            raise ReidflowError(f"{file}: not an ONNX network that can be read. {kind}.") from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{one.name} {one.shape} of {one.type}" for one in inputs) or "none"
            raise ReidflowError(
                f"{file}: needs one input, images of four dimensions, and has {found}. Choose a network that segments images."
            )
        count, channels = shape[0], shape[3 if shape[3] == 3 else 1]
        if (isinstance(count, int) and count != 1) or (isinstance(channels, int) and channels != 3):
            raise ReidflowError(
                f"{file}: takes {shape}, and needs one image of 3 channels at a time. Export it with a batch of 1, or of any size, "
                "and for RGB images."
            )
        self.name, self._type = inputs[0].name, _TYPES[inputs[0].type]
        self.bytes = self._type is np.uint8
        self.channels_last = shape[3] == 3 and shape[1] != 3
        sides = shape[1:3] if self.channels_last else shape[2:4]
        self.size = (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None
        self.outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, image: np.ndarray, output: str | None = None) -> np.ndarray:
        """Return an output of the network, the first by default, for an image (H, W, 3), without its axis of images."""
        given = image if self.channels_last else image.transpose(2, 0, 1)
        given = np.ascontiguousarray(given[None]).astype(self._type)
        try:
            found = self._session.run([output or self.outputs[0]], {self.name: given})[0]
        except Exception as error:
            raise ReidflowError(f"{self.file}: cannot compute a mask ({first_line(error)}).") from error
        return found[0] if found.ndim > 2 and found.shape[0] == 1 else found


def resized(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return an RGB image stretched to height and width, float64 (H, W, 3) of 0 to 255."""
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS), np.float64)


def standardised(values: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return colours (H, W, 3) with `mean` subtracted and divided by `std`."""
    return (values - np.asarray(mean)) / np.asarray(std)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the logistic function; computed by tanh, which does not overflow."""
    return 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))
