"""Who is let in: host, token, cookie, origin, size, rate, methods, sockets, headers."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from longhold.web.app import ASSETS
from longhold.web.guard import HEADERS, LARGEST_BODY, LARGEST_UPLOAD, Bucket, Guard, Keys
from tests.web.small import HOST, OWN, client_of

SCRIPTS = [f"/{name}" for name in ASSETS]
ADDRESSES = ["/", "/app.js", "/style.css", "/api/about", "/api/job", "/api/file/0"]
QUESTIONS = ("trace", "step", "unit", "units", "constants", "lag", "equations", "write", "stop", "forecast", "train",
             "cancel", "watch")  # fmt: skip
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


def test_the_first_address_gives_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    client = client_of(opened=False)
    token = client.keys.token
    answer = client.get("/", params={"token": token}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert cookie == f"longhold_8765={client.keys.cookie}"
    assert token not in cookie
    assert client.get("/").status_code == 200


def test_a_token_opens_once_and_the_next_is_told() -> None:
    told: list[str] = []
    keys = Keys(1, told.append)
    first = keys.token
    assert keys.redeem(first)
    assert told == [keys.token]
    assert not keys.redeem(first)
    assert keys.redeem(told[0])
    client = client_of(opened=False)
    used = client.keys.token
    client.get("/", params={"token": used})
    again = client.get("/", params={"token": used}, follow_redirects=False)
    assert again.status_code == 303, "who has the cookie may use the old address"
    assert "set-cookie" not in again.headers
    client.cookies.clear()
    assert client.get("/", params={"token": used}).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 10_000])
def test_a_wrong_token_is_refused(token: str) -> None:
    answer = client_of(opened=False).get("/", params={"token": token}, follow_redirects=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "cookie", [None, "longhold_8765=", "longhold_8765=wrong", "longhold_8766={}", "={}", "\x01=;{}"]
)
def test_without_the_cookie_nothing_is_shown(address: str, cookie: str | None) -> None:
    client = client_of(opened=False)
    headers = {} if cookie is None else {"cookie": cookie.format(client.keys.cookie)}
    assert client.get(address, headers=headers).status_code == 403
    assert client.post("/api/trace", json={"model": 0, "text": "a"}, headers={**headers, **OWN}).status_code == 403
    assert client.post("/api/text", content=b"a", headers={**headers, **OWN, **BYTES}).status_code == 403


@pytest.mark.parametrize("address", SCRIPTS)
def test_every_asset_is_behind_the_guard_and_of_its_kind(client: TestClient, address: str) -> None:
    assert client_of(opened=False).get(address).status_code == 403
    assert client.get(address, headers={"host": "evil.example"}).status_code == 403
    answer = client.get(address)
    assert answer.status_code == 200
    ending = address.rpartition(".")[2]
    expected = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(ending, "text/html")
    assert answer.headers["content-type"].startswith(expected)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:8766", "127.0.0.1:8765.evil.example",
     "LOCALHOST:8765", "localhost:8765:", " 127.0.0.1:8765", "[::1]:8765", "0.0.0.0:8765", "2130706433:8765", ""],
)  # fmt: skip
def test_a_host_that_is_not_listed_to_the_letter_is_refused(client: TestClient, address: str, host: str) -> None:
    assert client.get(address, headers={"host": host}).status_code == 403
    own = {"host": host, "origin": f"http://{host}"}
    assert client.post("/api/stop", json={}, headers=own).status_code == 403
    assert client.post("/api/text", content=b"a", headers={**own, **BYTES}).status_code == 403


def test_a_wrong_host_does_not_use_up_the_token() -> None:
    client = client_of(opened=False)
    token = client.keys.token
    assert client.get("/", params={"token": token}, headers={"host": "evil.example"}).status_code == 403
    assert client.keys.token == token


def test_both_listed_hosts_are_answered(client: TestClient) -> None:
    for host in (HOST, "localhost:8765"):
        cookie = f"{client.keys.cookie_name}={client.keys.cookie}"
        own = {"host": host, "origin": f"http://{host}", "cookie": cookie}
        assert client.post("/api/stop", json={}, headers=own).status_code == 200


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize(
    "origin",
    [None, "", "null", "http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:3000", "http://127.0.0.1",
     "http://localhost:8765", "http://127.0.0.1:8765/", "http://127.0.0.1:8765.evil.example"],
)  # fmt: skip
def test_a_post_from_elsewhere_is_refused(client: TestClient, name: str, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = client.post(f"/api/{name}", json={}, headers=headers)
    assert answer.status_code == 403
    assert "Origin" in answer.json()["error"]
    assert client.post("/api/text", content=b"a", headers={**headers, **BYTES}).status_code == 403


def test_two_origins_are_refused(client: TestClient) -> None:
    twice = [("origin", f"http://{HOST}"), ("origin", "http://evil.example")]
    assert client.post("/api/stop", json={}, headers=twice).status_code == 403


def test_a_get_that_another_page_sent_is_refused_except_for_opening(client: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        assert client.get("/api/about", headers={"sec-fetch-site": site}).status_code == 403
        assert client.get("/app.js", headers={"sec-fetch-site": site}).status_code == 403
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200
    for site in ("same-origin", "none"):
        assert client.get("/api/about", headers={"sec-fetch-site": site}).status_code == 200
    assert client.get("/api/about", headers={"origin": "http://evil.example"}).status_code == 403


def test_an_event_stream_is_for_the_page_alone(client: TestClient) -> None:
    stream = {"accept": "text/event-stream"}
    assert client.get("/api/job", headers=stream).status_code == 403
    assert client.get("/api/job", headers={**stream, "origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/job", headers={**stream, **OWN}).status_code == 200
    assert client.get("/api/job", headers={**stream, "sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("headers", [{}, OWN, {"origin": "http://evil.example"}])
def test_sockets_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/job", headers=headers):
        raise AssertionError("it was accepted")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    assert client.request(method, "/api/stop", headers=OWN).status_code == 405


def test_questions_are_not_asked_by_get(client: TestClient) -> None:
    for name in (*QUESTIONS, "text"):
        assert client.get(f"/api/{name}").status_code == 405
    client.get("/api/job", params={"token": client.keys.token})
    assert client.get("/api/job").json() == {"state": "none"}


@pytest.mark.parametrize(
    "address",
    ["/../pyproject.toml", "/..%2f..%2fpyproject.toml", "/%2e%2e/guard.py", "/assets/app.js", "/app.js/",
     "/guard.py", "/etc/passwd", "/docs", "/openapi.json", "/index.html", "/app.js%00", "/?file=/etc/passwd/"],
)  # fmt: skip
def test_no_path_is_taken_from_the_page(client: TestClient, address: str) -> None:
    answer = client.get(address, follow_redirects=False)
    assert answer.status_code == (200 if address.startswith("/?") else 404)
    assert "root:" not in answer.text
    assert "[project]" not in answer.text


def test_every_answer_carries_the_headers_refusals_too(client: TestClient) -> None:
    answers = [client.get(address) for address in [*SCRIPTS, *ADDRESSES, "/nowhere"]]
    answers += [client.get("/", headers={"host": "evil.example"}), client.post("/api/stop", json={})]
    answers += [client.get("/", params={"token": "wrong"}), client.post("/api/trace", json={}, headers=OWN)]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_has_no_inline_script_or_style_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert "javascript:" not in page
    assert " on" not in page.replace(" on ", " ").replace(" one", " ").replace(" only", " ").replace(" once", " ")
    for name in ASSETS:
        content = client.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in content
        assert "https://" not in content
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way not in content, name


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_a_post_that_is_not_json_is_refused(client: TestClient, kind: str) -> None:
    answer = client.post("/api/stop", content=b"{}", headers={**OWN, "content-type": kind})
    assert answer.status_code == 415


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(client: TestClient) -> None:
    kind = {**OWN, "content-type": "application/json"}
    assert client.post("/api/trace", content=b"x" * (LARGEST_BODY + 1), headers=kind).status_code == 413
    assert client.post("/api/trace", content=(b"x" * 50_000 for _ in range(6)), headers=kind).status_code == 413
    for length in ("-1", "1e3", "9" * 5000):
        answer = client.post("/api/trace", content=b"{}", headers={**kind, "content-length": length})
        assert answer.status_code == 413
    just = json.dumps({"model": 0, "text": "a"}).encode().ljust(LARGEST_BODY)
    assert client.post("/api/trace", content=just, headers=kind).status_code == 200


def test_bytes_are_for_texts_alone_and_have_a_limit_of_their_own(client: TestClient) -> None:
    assert client.post("/api/stop", content=b"{}", headers={**OWN, **BYTES}).status_code == 415
    assert client.post("/api/text", json={}, headers=OWN).status_code == 415
    assert client.post("/api/text", content=b"a" * (LARGEST_BODY + 1), headers={**OWN, **BYTES}).status_code == 200
    for body in (b"a" * (LARGEST_UPLOAD + 1), (b"a" * 2**20 for _ in range(17))):
        answer = client.post("/api/text", content=body, headers={**OWN, **BYTES})
        assert answer.status_code == 413
        assert str(LARGEST_UPLOAD) in answer.json()["error"]


def test_texts_come_one_at_a_time_and_not_too_often() -> None:
    now = [0.0]
    client = client_of(uploads=Bucket(rate=1, burst=3, clock=lambda: now[0]))

    def status() -> int:
        return client.post("/api/text", content=b"some text", headers={**OWN, **BYTES}).status_code

    assert [status() for _ in range(5)] == [200, 200, 200, 429, 429]
    now[0] = 1.0
    assert [status() for _ in range(2)] == [200, 429]
    client.trainer.close()  # type: ignore[attr-defined]


def test_a_second_text_is_refused_while_one_arrives() -> None:
    keys, statuses = Keys(8765), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def main() -> None:
        arrives = asyncio.Event()
        guard = Guard(app, {HOST}, keys)

        async def receive() -> dict[str, Any]:
            await arrives.wait()
            return {"type": "http.request", "body": b"x", "more_body": False}

        scope = scope_of("/api/text", keys, **BYTES)
        first = asyncio.create_task(guard(scope, receive, send))
        await asyncio.sleep(0)
        await guard(scope, receive, send)
        arrives.set()
        await first
        await guard(scope, receive, send)

    with ThreadPoolExecutor(1) as pool:  # Playwright leaves a loop running in this thread
        pool.submit(lambda: asyncio.run(main())).result()
    assert statuses == [429, 200, 200]


def test_the_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    now = [0.0]
    bucket = Bucket(rate=2, burst=3, clock=lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 1000.0
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]


def test_too_many_requests_are_refused_and_later_ones_are_not() -> None:
    now = [0.0]
    keys = Keys(8765)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    client = TestClient(Guard(app, {HOST}, keys, Bucket(1, 4, lambda: now[0])), base_url=f"http://{HOST}")
    cookie = {"cookie": f"{keys.cookie_name}={keys.cookie}"}
    assert [client.get("/", headers=cookie).status_code for _ in range(6)] == [200] * 4 + [429] * 2
    now[0] = 1.5
    assert [client.get("/", headers=cookie).status_code for _ in range(2)] == [200, 429]


def scope_of(path: str, keys: Keys, **headers: str) -> dict[str, Any]:
    """A POST of the page itself, as a server hands it on."""
    names = {"host": HOST, "origin": f"http://{HOST}", "cookie": f"{keys.cookie_name}={keys.cookie}", **headers}
    return {"type": "http", "method": "POST", "path": path, "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()]}  # fmt: skip


def test_a_body_that_does_not_come_is_given_up() -> None:
    keys, sent = Keys(8765), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was let through")

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    for path, kind in (("/api/stop", "application/json"), ("/api/text", "application/octet-stream")):
        scope = scope_of(path, keys, **{"content-type": kind})
        guard = Guard(app, {HOST}, keys, patience=0.01)
        with ThreadPoolExecutor(1) as pool:  # Playwright leaves a loop running in this thread
            pool.submit(lambda guard, scope: asyncio.run(guard(scope, receive, send)), guard, scope).result()
        assert sent.pop(0)["status"] == 408
        sent.clear()
