"""Texts of the world through every room: train, write, score, compress, export, info and the local page.

Each text is made up here: a script or an encoding that has broken such programs before.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from click.testing import Result
from typer.testing import CliRunner

import longhold
from longhold.cli.main import app
from longhold.data.tokenizers import Tokenizer
from longhold.export.html import export_html
from longhold.integer import IntegerModel, unpacked
from longhold.models import LanguageModel
from longhold.web.app import application
from longhold.web.guard import Keys
from longhold.web.model_session import ModelSession
from longhold.web.serve import bind, hosts, uvicorn_config
from longhold.web.trainer import Trainer
from tests.browsing import by_python, dial, opened, until

CHINESE = "滚滚长江东逝水，浪花淘尽英雄：青山依旧在，几度夕阳红。\n第{}回　话说天下大势，分久必合，合久必分。\n"
TRADITIONAL = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。\n第{}首　春眠不覺曉，處處聞啼鳥；夜來風雨聲。\n"
THAI = "ภาษาไทยเขียนติดกันโดยไม่เว้นวรรค น้ำแข็งละลายช้า ๆ บทที่ {} ผู้ใหญ่หาผ้าใหม่ให้สะใภ้ใช้คล้องคอ\n"
EMOJI = "👩‍👩‍👧‍👦 went to 🇨🇭🇹🇭 with 👍🏽 and ❤️‍🔥, {} times: 🏳️‍🌈 1️⃣ e\u0301 🧑🏿‍🚀!\n"
RIGHT_TO_LEFT = (
    "שָׁלוֹם עוֹלָם, פרק {} של הסֵפֶר (abc) 12.\nمرحباً بالعالم، الفصلُ {} من الكتاب — «لا إله» ١٢٣.\n\u202bمختلط left\u202c\n"
)
RARE = "𠮷野家的第{}個故事：龘、㐀、𪚥，與常見的的的一是不了人我在有他這。\n"
FRENCH = "Un café noir, s'il vous plaît : voilà le numéro {}, déjà vu à la fenêtre.\n"


@dataclass(frozen=True)
class Case:
    """A text as a file has it."""

    form: str
    """Lines with a place for a number."""
    encoding: str
    """Of the file."""
    tokenizer: str
    said: str | None = None
    """How `train` says that it was read; None: nothing, as it is UTF-8."""
    stray: bytes = b""
    """What stands in the middle, and is not of the encoding."""

    @property
    def raw(self) -> bytes:
        lines = [self.form.replace("{}", str(number)).encode(self.encoding) for number in range(8)]
        return b"".join([*lines[:4], self.stray, *lines[4:]])

    @property
    def text(self) -> str:
        return self.raw.decode(self.encoding, errors="replace")


CASES = {
    "Chinese": Case(CHINESE, "utf-8", "char"),
    "Chinese, byte pairs": Case(CHINESE, "utf-8", "bpe"),
    "Chinese beyond the first plane": Case(RARE, "utf-8", "char"),
    "GB18030": Case(CHINESE, "gb18030", "char", said="gb18030 (detected)"),
    "Big5": Case(TRADITIONAL, "big5", "char", said="big5 (detected)"),
    "Thai": Case(THAI, "utf-8", "char"),
    "emoji": Case(EMOJI, "utf-8", "char"),
    "emoji, bytes": Case(EMOJI, "utf-8", "byte"),
    "right to left": Case(RIGHT_TO_LEFT, "utf-8", "char"),
    "invalid UTF-8": Case(FRENCH, "utf-8", "char", said="utf-8 with 3 places that are not", stray=b"\xff\x80 \xe4\xbd"),
}


@dataclass(frozen=True)
class Trained:
    """A case and what `longhold train` made of it."""

    name: str
    case: Case
    file: Path
    model_file: Path
    said: str

    @property
    def model(self) -> longhold.TextModel:
        return longhold.load(self.model_file)

    @property
    def begin(self) -> str:
        """Whole characters to begin with, among them some beyond ASCII; the invalid text's are letters with accents."""
        return self.case.text[:9]


def run(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def all_trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    return {name: trained_on(name, tmp_path_factory.mktemp("language")) for name in CASES}


def trained_on(name: str, folder: Path) -> Trained:
    case = CASES[name]
    file, model_file = folder / "text.txt", folder / "model.safetensors"
    file.write_bytes(case.raw)
    small = ["--hidden-size", "8", "--set", "steps=4", "--set", "batch_size=2", "--set", "sequence_length=8"]
    vocabulary = ["--vocab-size", "300"] if case.tokenizer == "bpe" else []
    words = ["train", file, "-o", model_file, "--tokenizer", case.tokenizer, "--held-out", "0.3", "--cell", "gru"]
    done = run(*words, *vocabulary, *small)
    return Trained(name, case, file, model_file, done.stderr)


@pytest.fixture(params=CASES)
def trained(request: pytest.FixtureRequest, all_trained: dict[str, Trained]) -> Trained:
    return all_trained[request.param]


def test_it_is_read_as_it_was_meant_and_nothing_is_lost(trained: Trained) -> None:
    case, model = trained.case, trained.model
    assert model.tokenizer.decode(model.tokenizer.encode(case.text)) == case.text
    assert model.facts.characters == len(case.text) - round(0.3 * len(case.text))
    assert ("read as" in trained.said) == (case.said is not None)
    assert f"read as {case.said or ''}" in trained.said or case.said is None
    assert "bits per byte" in trained.said


def test_it_writes_from_a_beginning_in_whole_characters(trained: Trained) -> None:
    model, begin = trained.model, trained.begin
    done = run("write", trained.model_file, "--prime", begin, "--length", "120", "--seed", "3", "--raw")
    pieces = list(model.write(begin, length=120, seed=3))
    assert done.stdout == begin + "".join(pieces) + "\n"
    assert model.tokenizer.decode(model.tokenizer.encode("".join(pieces))) == "".join(pieces)
    assert "\ufffd" not in done.stdout or trained.case.stray  # which training read as U+FFFD
    shown = run("write", trained.model_file, "--prime", begin, "--length", "120", "--seed", "3", "--escape").stdout
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_its_score_is_the_models_loss(trained: Trained) -> None:
    found = json.loads(run("write", trained.model_file, "--score", trained.file, "--json").stdout)
    model, text = trained.model, trained.case.text
    ids = torch.from_numpy(model.tokenizer.encode("\n" + text))
    with torch.no_grad():
        outputs, _ = model.model(ids[:-1, None])
    log_p = outputs[:, 0].double().log_softmax(-1).gather(-1, ids[1:, None])
    assert found["characters"] == len(text)
    assert found["bits_per_character"] == pytest.approx(-log_p.sum().item() / math.log(2) / len(text), rel=1e-5)


def test_it_is_compressed_and_comes_back_bit_for_bit(trained: Trained, tmp_path: Path) -> None:
    archive, back = tmp_path / "text.lhtx", tmp_path / "back"
    cut = tmp_path / "cut"
    # ends inside a character, where the encoding has wide ones, and holds bytes that no text has
    cut.write_bytes(trained.case.raw[:71] + b"\xf8\x00\xff" + trained.case.raw[-50:-1])
    for file in (trained.file, cut):
        run("compress", file, "--model", trained.model_file, "-o", archive, "--force")
        run("decompress", archive, "--model", trained.model_file, "-o", back, "--force")
        assert back.read_bytes() == file.read_bytes()


def test_info_tells_of_it(trained: Trained) -> None:
    found = json.loads(run("info", trained.model_file, "--json").stdout)
    told = run("info", trained.model_file).stdout
    assert f"{trained.model.tokenizer.vocab_size:,}" in told
    assert str(trained.model.tokenizer.vocab_size) in json.dumps(found)


def test_onnx_and_torch_have_its_tokens_and_its_odds(trained: Trained, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model, text = trained.model, trained.case.text[:40]
    run("export", trained.model_file, "--to", "onnx", "-o", tmp_path / "model.onnx", "--yes")
    run("export", trained.model_file, "--to", "torch", "-o", tmp_path / "folder", "--yes")
    ids = model.tokenizer.encode(text)
    with torch.no_grad():
        outputs, _ = model.model(torch.from_numpy(ids)[:, None])
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    state = np.zeros((1, 1, 8), dtype=np.float32)
    logits = session.run(["logits"], {"ids": ids[:, None], "h_0": state})[0]
    torch.testing.assert_close(torch.from_numpy(logits), outputs, atol=1e-5, rtol=1e-5)
    specification = importlib.util.spec_from_file_location("written_by_export", tmp_path / "folder" / "write.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    network, tokenizer = script.load(tmp_path / "folder")
    assert tokenizer.encode(text) == ids.tolist()
    with torch.no_grad():
        again, _ = network(torch.from_numpy(ids)[:, None])
    torch.testing.assert_close(again, outputs, atol=1e-6, rtol=1e-6)


def in_the_page(file: Path) -> IntegerModel:
    """The model that an exported page holds."""
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', file.read_text(encoding="utf-8"))
    assert found is not None
    return unpacked(json.loads(found[1])).model


@pytest.mark.slow
def test_the_exported_page_writes_it_and_shows_its_gates(trained: Trained, browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    model, begin = trained.model, trained.begin
    assert isinstance(model.model, LanguageModel)
    export_html(model.model, model.tokenizer, page, trained.case.text)
    tokenizer = model.tokenizer
    with opened(browser, page) as tab:
        tab.fill("#prime", begin)
        tab.fill("#seed", "7")
        dial(tab, "speed", 8)
        tab.click("#run")
        until(tab, "longhold.page.writer.count >= 60")
        tab.click("#run")
        count = tab.evaluate("longhold.page.writer.count")
        written = tab.locator("#written").evaluate("(e) => e.textContent")
        primed = tab.locator("#primed").evaluate("(e) => e.textContent")
        temperature = tab.evaluate("longhold.page.temperature")
        tab.locator("summary").first.click()
        tab.wait_for_selector("details[open] td")
        shown = tab.locator("details").first.locator("td").all_inner_texts()
    ids = tokenizer.encode(begin).tolist()
    if trained.case.tokenizer == "bpe":  # the page reads it in the longest tokens that fit
        ids = longest_tokens(tokenizer, begin)
    expected, stepper = by_python(in_the_page(page), tokenizer, ids, count, temperature, 7)
    (view,) = stepper.gates()
    assert primed == begin
    assert written == expected
    columns = [*(view.gates[gate][0] for gate in "rzn"), view.h[0]]
    assert shown == [f"{value:.3f}" for unit in zip(*columns, strict=True) for value in unit]


def longest_tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of `text`, taking the longest token that fits at each place."""
    known = {tokenizer.token_bytes(token): token for token in range(tokenizer.vocab_size)}
    raw, ids = text.encode(), []
    while raw:
        length = max(size for size in range(1, len(raw) + 1) if raw[:size] in known)
        ids.append(known[raw[:length]])
        raw = raw[length:]
    return ids


@pytest.fixture(scope="module")
def served(all_trained: dict[str, Trained]) -> Iterator[str]:
    """The local page with every model; an address that opens it once."""
    session = ModelSession([(name, each.model) for name, each in all_trained.items()])
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        keys, names = Keys(port), hosts("127.0.0.1", port)
        server = uvicorn.Server(uvicorn_config(application(session, Trainer(session), names, keys)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield f"http://{names[0]}/?token={keys.token}"
        server.should_exit = True
        thread.join()


@pytest.mark.slow
def test_the_local_page_reads_all_of_them(browser: Any, served: str, all_trained: dict[str, Trained]) -> None:
    complaints: list[str] = []
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(120_000)
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(served)
    tab.wait_for_selector(".strip")
    tab.select_option("#beside", "")
    for index, trained in enumerate(all_trained.values()):
        text = trained.case.text[:80]
        tab.select_option("#model", str(index))
        tab.fill("#text", text)
        until(tab, "document.getElementById('readings').getAttribute('aria-busy') === 'false'")
        marks = tab.locator("#readings .mark").evaluate_all("(all) => all.map((mark) => mark.textContent)")
        assert re.sub("⟨202[BC]⟩|[↵\n]", "", "".join(marks)) == re.sub("[\u202b\u202c\n]", "", text), trained.name
        if trained.case.form is EMOJI:
            assert marks[0] == "👩‍👩‍👧‍👦"
            assert {"🇨🇭", "🇹🇭", "👍🏽", "1️⃣"} <= set(marks)
        tab.focus(".marks")
        tab.keyboard.press("End")
        until(tab, f"document.querySelector('.marks').getAttribute('aria-valuenow') === '{len(marks)}'")
        assert tab.locator(".strip").count() >= 2
    context.close()
    assert complaints == []
