"""Other versions of the evaluated images: what trained runs are tested on besides the images as they are."""

from typing import Annotated

from pydantic import Field

from reidflow.spec.errors import Problems
from reidflow.spec.run import ORIGINAL, Strict, component, scaled_side


class Version(Strict):
    """Another version of the evaluated images, which trained runs are also tested on."""

    background: component("background") = Field(
        ORIGINAL, description="a file of backgrounds/interventions/", validate_default=True
    )
    scale: Annotated[float, Field(gt=0, le=8)] = Field(
        1.0, description="side of the images as a multiple of `model.size`; query and gallery alike"
    )

    @property
    def resized(self) -> bool:
        """Whether the images have another size than the network is tested at otherwise."""
        return self.scale != 1.0

    @property
    def unchanged(self) -> bool:
        """Whether these are the images that the headline is measured on."""
        return self.background == ORIGINAL and not self.resized

    def size(self, full: int) -> int:
        """Return the side in pixels for a network whose `model.size` is `full`."""
        return scaled_side(self.scale, full)


class Probes(Strict):
    """Which versions measure the reliance on the background: keys of `tested_on`."""

    background: str = Field(description="the background without the animal")
    control: str = Field(description="an unrelated background in the same shape: it must score chance")
    foreground: str = Field(description="the animal without its background")
    silhouette: str = Field(description="the animal's outline alone")


def check_versions(tested_on: dict[str, Version], probes: Probes | None, where: str, problems: Problems) -> None:
    """Note what is wrong with the versions that runs are tested on, and with the probes among them."""
    altered = [label for label, version in tested_on.items() if version.background != ORIGINAL]
    if bool(altered) != bool(probes):
        problems.add(
            f"{where}, keys 'tested_on' and 'probes'",
            "versions with another background and probes are given without each other.",
            "Give both: the versions to test on, and which of them measure the reliance on the background.",
        )
    unchanged = [label for label, version in tested_on.items() if version.unchanged]
    if tested_on and len(unchanged) != 1:
        problems.add(
            f"{where}, key 'tested_on'",
            f"the images as they are stand there {len(unchanged)} times.",
            "Name them once: original: {background: original}.",
        )
    for label, version in tested_on.items():
        if version.resized and version.background != ORIGINAL:
            problems.add(
                f"{where}, key 'tested_on.{label}'",
                "changes background and size at once, so that no difference could be told from the other.",
                "Make two versions of it.",
            )
    for role, label in (probes.model_dump() if probes else {}).items():
        if label not in tested_on:
            problems.add(
                f"{where}, key 'probes.{role}'",
                f"'{label}' is not one of 'tested_on'.",
                f"Known: {', '.join(tested_on) or 'none'}.",
            )
