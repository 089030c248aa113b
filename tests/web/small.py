"""Small models, and a client that has come in by the door."""

from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from longhold.data.tokenizers import CharTokenizer
from longhold.models.language_model import LanguageModelConfig
from longhold.text import TextModel
from longhold.web.app import application
from longhold.web.guard import Bucket, Keys
from longhold.web.model_session import ModelSession
from longhold.web.trainer import Trainer

HOST = "127.0.0.1:8765"
OWN = {"origin": f"http://{HOST}"}
TEXT = 'He said (to us): "no".\n  其眼閃爍。 '


def text_model(cell: str = "lstm", **values: Any) -> TextModel:
    tokenizer = CharTokenizer.train(TEXT + "abcdefghijklmnopqrstuvwxyz")
    torch.manual_seed(3)
    config = LanguageModelConfig(
        **{"cell": cell, "hidden_size": 8, "num_layers": 2, "vocab_size": tokenizer.vocab_size, **values}
    )
    return TextModel(config.build(), tokenizer)


def client_of(
    *models: TextModel,
    opened: bool = True,
    port: int = 8765,
    folder: Path | None = None,
    uploads: Bucket | None = None,
) -> TestClient:
    keys = Keys(port)
    session = ModelSession([(f"model {index}", model) for index, model in enumerate(models or (text_model(),))])
    trainer = Trainer(session, folder)
    often = Bucket(rate=1e6, burst=1e6)
    app = application(session, trainer, (HOST, "localhost:8765"), keys, often, uploads or often)
    client = TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=True)
    client.keys = keys  # type: ignore[attr-defined]
    client.trainer = trainer  # type: ignore[attr-defined]
    if opened:
        assert client.get("/", params={"token": keys.token}, follow_redirects=False).status_code == 303
    return client


def ask(client: TestClient, name: str, **asked: Any) -> Any:
    """The answer to a question that must be answered."""
    answer = client.post(f"/api/{name}", json=asked, headers=OWN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, name: str, **asked: Any) -> str:
    """The line with which a question is refused."""
    answer = client.post(f"/api/{name}", json=asked, headers=OWN)
    assert answer.status_code == 422, answer.text
    ((key, line),) = answer.json().items()
    assert key == "error"
    assert "\n" not in line
    return str(line)


def assert_accessible(page: Any, part: str = "body") -> None:
    """axe finds nothing to complain of in a part of the page.

    It takes milliseconds for the contrast of each cell of a table, so of the rows that look alike a few stay.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    page.evaluate("document.querySelectorAll('.scroll tbody tr:nth-child(n + 4)').forEach((row) => row.remove())")
    found = axe.Axe().run(page, part, {"runOnly": rules, "resultTypes": ["violations"]})
    assert found.response["violations"] == [], found.generate_report()
