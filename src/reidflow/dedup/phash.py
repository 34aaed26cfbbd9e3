"""The perceptual hash under its former address."""

from reidflow.dedup.hashes import phash

__all__ = ["phash"]
