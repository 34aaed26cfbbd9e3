"""Names of components for readers: short, and different where the components are."""

from collections.abc import Mapping
from typing import Any

from reidflow.tables.text import setting


def component_labels(components: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return key -> the component's name, with those of its parameters in which others of that name differ.

    components: key -> resolved component `{name, parameters}`.
    """
    labels = {}
    for key, component in components.items():
        alike = [other for other in components.values() if other["name"] == component["name"]]
        told = [
            f"{parameter} {setting(value)}"
            for parameter, value in component.items()
            if parameter != "name" and any(other.get(parameter) != value for other in alike)
        ]
        labels[key] = f"{component['name']} ({', '.join(told)})" if told else component["name"]
    return labels
