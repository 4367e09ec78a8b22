#!/usr/bin/env python3
"""The examples of docs/from-python.md, and what stands beside them, with Python's own library.

    http_client.py http://127.0.0.1:PORT      against a service `test` as in tests/src/test_service.rs
"""

import base64
import sys
import threading
import urllib.parse
import urllib.request

# begin: docs/from-python.md
import http.client
import json


class CallFailed(Exception):
    """`code` and `outcome` as in docs/http.md; `error` is the method's own error, if it is that."""

    def __init__(self, status, told):
        super().__init__(f"{told['code']} ({told['outcome']}): {told.get('message', told.get('error'))}")
        self.status, self.code, self.outcome = status, told["code"], told["outcome"]
        self.error = told.get("error")


class Service:
    """One connection, kept open. For one thread at a time: make one for each thread."""

    def __init__(self, host, port, name, timeout=30.0):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.name = name

    def call(self, method, arguments=None, timeout_ms=None):
        headers = {"Content-Type": "application/json"}
        if timeout_ms is not None:
            headers["Speedysvc-Timeout-Ms"] = str(timeout_ms)
        self.connection.request("POST", f"/{self.name}/{method}", json.dumps(arguments), headers)
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise CallFailed(response.status, answer)
        return answer
# end


def failure(act):
    try:
        act()
    except CallFailed as failed:
        return failed
    raise AssertionError("it did not fail")


def calls(service):
    assert service.call("echo", "Grüße 😀") == "Grüße 😀"
    assert service.call("sum", [1, 2, 39]) == 42
    assert service.call("pid") > 0
    data = bytes(range(256)) * 400
    assert base64.b64decode(service.call("echo_bytes", base64.b64encode(data).decode())) == data
    assert service.call("fail", "well") is None


def reuse(service):
    service.call("echo", "a")
    socket = service.connection.sock
    for number in range(50):
        service.call("echo", str(number), timeout_ms=60_000)
    assert service.connection.sock is socket, "one connection for all"
    failure(lambda: service.call("fail", "x"))
    failure(lambda: service.call("echo", {"not": "text"}))
    assert service.connection.sock is socket, "an error is no reason to connect again"


def errors(service):
    own = failure(lambda: service.call("fail", "x"))
    assert (own.status, own.code, own.outcome) == (422, "APPLICATION", "done")
    assert own.error == {"Wrong": {"text": "x", "length": 1}}
    wrong = failure(lambda: service.call("note", {"file": "a"}))
    assert (wrong.status, wrong.code, wrong.outcome) == (400, "INVALID_ARGUMENT", "not_started")
    broken = failure(lambda: service.call("panic", "on purpose"))
    assert (broken.status, broken.code, broken.outcome) == (500, "INTERNAL", "done")
    missing = failure(lambda: service.call("ecco", "x"))
    assert (missing.status, missing.code, missing.outcome) == (404, "UNIMPLEMENTED", "not_started")
    assert "echo" in str(missing)


def chunked(service):
    pieces = (piece for piece in (b'"in ', b"pieces", b'"'))
    service.connection.request("POST", "/test/echo", pieces, encode_chunked=True)
    assert json.loads(service.connection.getresponse().read()) == "in pieces"


def pages(url):
    def get(path):
        with urllib.request.urlopen(url + path) as response:
            assert response.headers["Content-Type"] == "application/json"
            return json.load(response)

    assert get("/")["openapi"] == "/openapi.json"
    described = get("/test")
    assert "echo" in [method["name"] for method in described["methods"]]
    openapi = get("/openapi.json")
    assert openapi["openapi"] == "3.1.0" and "post" in openapi["paths"]["/test/echo"]


def many(host, port):
    failed = []

    def caller(number):
        service = Service(host, port, "test")
        for call in range(200):
            text = f"{number}.{call}"
            if service.call("echo", text) != text:
                failed.append(text)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def main(url):
    parts = urllib.parse.urlsplit(url)
    service = Service(parts.hostname, parts.port, "test")
    for act in (calls, reuse, errors, chunked):
        act(service)
    pages(url)
    many(parts.hostname, parts.port)
    print("all well")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
