"""What every configuration in longhold is: frozen, checked, and wrong in one line."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from longhold.errors import InputError

_MOST_NAMED = 8
_LONGEST_MESSAGE = 500


class Config(BaseModel):
    """A frozen pydantic model that raises `InputError` with one line for whatever is wrong with its values.

    Names that it does not have are errors, and so are numbers that are not finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    if not TYPE_CHECKING:  # the checker knows the fields of each subclass, and this signature would hide them

        def __init__(self, /, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise InputError(validation_line(error)) from None


def validation_line(error: ValidationError) -> str:
    """What pydantic found, in one line: each field, the value given and what was expected; of many the first few."""
    entries = _causes([dict(entry) for entry in error.errors(include_url=False)])
    more = [f"and {len(entries) - _MOST_NAMED} more"] if len(entries) > _MOST_NAMED else []
    return "; ".join([*(_complaint(entry) for entry in entries[:_MOST_NAMED]), *more])


def _causes(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without tuples that are too short only because what was in them is wrong, which pydantic reports besides."""
    places = [entry["loc"] for entry in entries]

    def follows(entry: dict[str, Any]) -> bool:
        own = entry["loc"]
        return entry["type"] == "too_short" and any(len(at) > len(own) and at[: len(own)] == own for at in places)

    return [entry for entry in entries if not follows(entry)]


def _complaint(entry: dict[str, Any]) -> str:
    field = ".".join(map(str, entry["loc"]))
    message = _cut(" ".join(str(entry["msg"]).removeprefix("Value error, ").split()))
    if entry["type"] == "missing":
        return f"{field} is missing"
    if entry["type"] == "extra_forbidden":
        return f"unknown option {field!r:.80}"
    if not field:
        return message
    if isinstance(entry.get("ctx", {}).get("error"), InputError):  # of a configuration inside this one
        return f"{field}: {message}"
    message = message.removeprefix("Input ")
    return f"{field}={entry['input']!r:.60}: {message}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."
