import base64
import hashlib
import re
from collections import Counter
from itertools import pairwise

import pytest

from longhold.study.report import render_markdown, render_page, study_document
from tests.study.columns import row_of
from tests.study.report.pages import Page, markdown_page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


@pytest.fixture(scope="module")
def text(document) -> str:
    return render_page(document)


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_ids_are_there_once_and_what_refers_to_them_finds_them(page):
    ids = [values["id"] for _, values in page.elements if "id" in values]
    assert len(ids) == len(set(ids)) > 20
    for _, values in page.elements:
        for name in ("aria-labelledby", "for"):
            assert values.get(name, ids[0]) in ids


def test_rows_of_a_table_are_as_long_as_its_head(page):
    assert len(page.tables) > 20
    for table in page.tables:
        assert {len(row) for row in table} == {len(table[0])}


def test_headings_leave_no_level_out(page):
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_loads_nothing_and_runs_nothing(text, page):
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"} & set(page.tags)
    names = {name for _, values in page.elements for name in values}
    assert not {"src", "href", "style", "srcset", "action", "xlink:href"} & names
    assert not any(name.startswith("on") for name in names)
    assert "://" not in text
    assert not re.search(r"@import|url\(", text)


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(text, page):
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [v["content"] for _, v in page.elements if v.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_the_page_is_small(text):
    assert len(text.encode()) < 2_000_000


def test_every_text_is_there_in_both_languages_or_in_neither(text):
    pairs = re.findall(r'<span lang="en">([^<]*)</span><span lang="zh-Hans">([^<]*)</span>', text)
    assert len(pairs) == text.count('<span lang="en">') == text.count('<span lang="zh-Hans">') > 200
    assert all(re.search("[\u4e00-\u9fff]", chinese) or re.search("[。；，（]", chinese) or "/" in chinese
               for _, chinese in pairs), "a Chinese text without Chinese"  # fmt: skip
    assert not any(re.search("[\u4e00-\u9fff]", english) for english, _ in pairs)


def test_languages_are_switched_without_a_script(text, page):
    radios = [values for tag, values in page.elements if tag == "input"]
    assert [(values["type"], values["id"]) for values in radios] == [("radio", "in-english"), ("radio", "in-chinese")]
    assert 'body:has(#in-chinese:checked) span[lang="en"] { display: none; }' in text


def test_each_run_has_its_own_sign(page, rows):
    expected = Counter(sign for row in rows if row.spec.stage == "result" for sign in signs_of(row))
    assert Counter(title for title in page.titles if not title.endswith("not run")) == expected


def signs_of(row):
    places = {"mixed lags": ("lag", (4, 16, 64, 256)), "read the state": ("lag", (1, 2, 4, 8, 16)),
              "agreement": ("attractors", (0, 1, 2, 3, 4))}  # fmt: skip
    if row.spec.experiment in places:
        name, lags = places[row.spec.experiment]
        values = [test.recall for test in row.by_lag] or [None] * len(lags)
        ats = [f" · {name} = {lag}" for lag in lags]
    else:
        values, ats = [row.recall], ["" if row.spec.level is None else f" · {row.spec.vary} = {row.spec.level}"]
    told = ["failed" if value is None else f"{round(value, 2) + 0.0:.2f}" for value in values]
    return [
        f"{row.spec.arm}{at} · seed = {row.spec.seed} · recall = {value}" for at, value in zip(ats, told, strict=True)
    ]


def test_architectures_differ_by_shape_and_not_by_colour_alone(text):
    shapes = dict(re.findall(r'<path class="mark (\w+) solved" d="([^"]+)"', text))
    assert {"rnn", "gru", "lstm", "other0"} <= set(shapes)
    assert len({shapes[name] for name in ("rnn", "gru", "lstm", "other0")}) == 4


def test_a_table_that_scrolls_can_be_reached_by_keyboard(page):
    wide = [values for tag, values in page.elements if values.get("class") == "wide"]
    assert wide
    assert all(values["tabindex"] == "0" and values["role"] == "group" for values in wide)


def hostile(rows):
    found = []
    for number, row in enumerate(rows):
        values = row.to_json()
        found.append(
            {**values, "arm": HOSTILE + values["arm"], "cell": HOSTILE, "experiment": HOSTILE, "machine": HOSTILE,
             "task": {**values["task"], "name": HOSTILE}, "vary": HOSTILE, "versions": {HOSTILE: HOSTILE},
             "plan": HOSTILE, "error": HOSTILE if number == 0 else values["error"]}
        )  # fmt: skip
    return found


def test_hostile_names_do_no_harm(few_rows):
    made = study_document(map(row_of, hostile(few_rows)), None, HOSTILE)
    page, written = Page(render_page(made)), markdown_page(render_markdown(made))
    for known in (page, written):
        assert not {"script", "img"} & set(known.tags)
        assert not any(name.startswith("on") for _, values in known.elements for name in values)
        assert known.words().count("alert(1)") > 10
        assert "{{ 7*7 }}" in known.words()


def test_control_characters_become_visible(few_rows):
    values = [{**row.to_json(), "arm": "a\x00b \x1b[31mc\u202ed"} for row in few_rows if row.spec.arm == "lstm uniform"]
    text = render_page(study_document(map(row_of, values), None, ""))
    assert not set("\x00\x1b\u202e") & set(text)
    assert r"a\x00b \x1b[31mc\u202ed" in text


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_as_wcag_asks_in_light_and_in_dark(text):
    """4.5 for letters, 3 for signs and lines, against the page and against a card."""
    shades = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    ]
    light, dark = {**shades[0], **shades[3]}, {**shades[1], **shades[4]}
    assert light["paper"] != dark["paper"]
    for mode in (light, dark):
        for name in ("ink", "soft", "accent", "yes", "no"):
            assert min(contrast(mode[name], mode["paper"]), contrast(mode[name], mode["card"])) >= 4.5, name
        for name in ("rnn", "gru", "lstm", *(f"other{n}" for n in range(6))):
            assert contrast(mode[name], mode["card"]) >= 3, name
