"""What the models of configs and run specs share: strict fields, and components as fields."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError


class Strict(BaseModel):
    """A frozen model in which an unknown key is an error, a number in quotes is a string, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def component(kind: str) -> Any:
    """Return the pydantic type of a component of `kind`: its name or `{name, parameters}`, resolved with defaults."""

    def fit(value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError(f"a {kind} is its name or {{name: ..., parameters}}")
        try:
            return resolve(kind, value)
        except ReidflowError as error:
            raise ValueError(str(error)) from error

    return Annotated[
        dict[str, Any],
        BeforeValidator(fit, json_schema_input_type=str | dict[str, Any]),
        Field(json_schema_extra={"component": kind}),
    ]


def _power_of_nothing(value: float) -> float:
    if value <= 0:
        raise ValueError("must be greater than 0")
    return value


Positive = Annotated[float, AfterValidator(_power_of_nothing)]
