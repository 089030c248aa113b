"""What is read from a request: numbers are numbers, texts are texts, and all else is refused in one line."""

import json
import math
from typing import Any

import pytest
from starlette.testclient import TestClient

from longhold.web.answers import RequestBody
from longhold.web.app import Place, Text, Trace, Unit, UnitAtPlace, Writing
from longhold.web.training import ForecastBody, TrainBody
from tests.web.small import OWN, client_of, refused

REQUESTS: dict[str, tuple[type[RequestBody], dict[str, Any]]] = {
    "trace": (Text, {"model": 0, "text": "a"}),
    "units": (Text, {"model": 0, "text": "a"}),
    "step": (Place, {"trace": "x", "place": 0}),
    "lag": (Place, {"trace": "x", "place": 0}),
    "unit": (Unit, {"trace": "x", "layer": 0, "unit": 0, "quantity": "h"}),
    "constants": (Trace, {"trace": "x"}),
    "equations": (UnitAtPlace, {"trace": "x", "place": 0, "layer": 0, "unit": 0}),
    "write": (Writing, {"model": 0, "text": "a", "length": 3, "temperature": 0.5}),
    "forecast": (ForecastBody, {"text": "x", "cell": "gru", "seconds": 5}),
    "train": (TrainBody, {"text": "x", "cell": "gru", "seconds": 5, "title": "t"}),
}
WRONG: dict[type, tuple[Any, ...]] = {
    int: ("0", "true", True, False, 0.0, 1.5, None, [], [0], {}, -1, 2**31 + 1, 1e308),
    float: ("1", "", True, [], [1.0], {}, -1, 1e308),
    str: (0, 1.5, True, None, [], ["a"], {}),
}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


def cases() -> list[tuple[str, str, Any]]:
    found = []
    for name, (_, given) in REQUESTS.items():
        for field, value in given.items():
            kind = float if field in ("temperature", "seconds") else type(value)
            found += [(name, field, wrong) for wrong in WRONG[kind]]
    return found


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_of_every_request_is_tried(name: str) -> None:
    kind, given = REQUESTS[name]
    assert set(kind.model_fields) == set(given)
    kind(**given)


def test_nothing_is_read_out_of_another_type(client: TestClient) -> None:
    for name, field, wrong in cases():
        asked = {**REQUESTS[name][1], field: wrong}
        line = refused(client, name, **asked)
        assert line.startswith(f"{field}="), (name, asked, line)


def test_whole_numbers_stand_for_themselves_where_any_number_may_stand() -> None:
    assert Writing(model=0, temperature=1).temperature == 1.0
    assert ForecastBody(text="x", seconds=None).seconds is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"model": NaN, "text": "a"}', "model=nan"),
        (b'{"model": 0, "text": "a", "temperature": Infinity}', "temperature=inf"),
        (b'{"model": 0, "temperature": 1e999}', "temperature=inf"),
        (b'{"model": 0, "model": 1}', "has 'model' twice"),
        (b'{"model": 0, "text": "a", "more": 1}', "unknown option 'more'"),
        (b'{"text": "a"}', "model is missing"),
        (b"[0]", "not a JSON object"),
        (b'{"model": ' + b"9" * 9999 + b"}", "not JSON"),
        (b"[" * 99999, "not JSON"),
    ],
)
def test_what_is_no_object_of_json_is_refused(client: TestClient, body: bytes, said: str) -> None:
    answer = client.post("/api/write", content=body, headers={**OWN, "content-type": "application/json"})
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_what_is_sent_as_python_writes_it_is_refused_too(client: TestClient) -> None:
    body = json.dumps({"model": 0, "temperature": math.nan}).encode()
    assert (
        client.post("/api/write", content=body, headers={**OWN, "content-type": "application/json"}).status_code == 422
    )
