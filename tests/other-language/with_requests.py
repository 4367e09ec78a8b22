#!/usr/bin/env python3
"""docs/from-python.md with the library `requests`, which has to be installed: pip install requests.

    with_requests.py http://127.0.0.1:PORT      against a service `test` as in tests/src/test_service.rs
"""

import base64
import sys
from concurrent.futures import ThreadPoolExecutor

import requests


def main(url):
    session = requests.Session()

    def call(method, arguments, **more):
        return session.post(f"{url}/test/{method}", json=arguments, timeout=30, **more)

    assert call("echo", "hi", headers={"Speedysvc-Timeout-Ms": "30000"}).json() == "hi"
    data = bytes(range(256)) * 4000
    echoed = call("echo_bytes", base64.b64encode(data).decode())
    assert base64.b64decode(echoed.json()) == data
    for _ in range(200):
        assert call("echo", "again").json() == "again"
    own = call("fail", "x")
    assert own.status_code == 422 and own.json()["error"] == {"Wrong": {"text": "x", "length": 1}}
    failed = call("panic", "on purpose")
    assert failed.status_code == 500 and failed.json()["outcome"] == "done"
    over = call("echo", "x" * (17 << 20))
    assert over.status_code == 413 and over.json()["code"] == "RESOURCE_EXHAUSTED"
    assert call("echo", "still here").json() == "still here"
    streamed = session.post(f"{url}/test/echo", data=iter([b'"in ', b'pieces"']))
    assert streamed.json() == "in pieces"
    assert session.head(f"{url}/test").headers["Content-Length"] == str(len(session.get(f"{url}/test").content))
    assert session.options(f"{url}/test/echo").headers["Allow"] == "POST, OPTIONS"
    assert session.put(f"{url}/test/echo", json=1).status_code == 405
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: call("echo", str(number)).json(), range(500))) == [
            str(number) for number in range(500)
        ]
    print("all well")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
