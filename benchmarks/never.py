"""What benchmarks hand to a training whose steps alone they measure."""


class Never:
    """No checkpoints and no progress file."""

    def due(self) -> bool:
        """Return that no checkpoint is due."""
        return False

    def note(self, *values: object) -> None:
        """Note nothing."""
