#!/usr/bin/env python3
"""A client for TCP in another language, written from docs/protocol.md alone: proof that it says enough.

    client.py HOST PORT METHOD JSON     prints the reply in JSON
    client.py HOST PORT                 tries the rules of the protocol against a service that has the method `echo`

Exit codes: 0 well; 1 the method's own error, or a failure; 2 usage; 69 unavailable; 75 the deadline passed.
"""

import json
import socket
import struct
import sys

MAGIC = b"\xf5SVC"
HEADER = struct.Struct("<4sBBBBQQQIIQ")
HELLO, WELCOME, REFUSED, CALL, REPLY, CANCEL, GOODBYE = range(1, 8)
JSON_CODEC = 2
HANDSHAKE_MAX = 64 * 1024
TEXT_MAX = 4096
RESULT, OWN_ERROR, FAILURE = range(3)
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()
DONE, NOT_STARTED, UNKNOWN = range(3)
OUTCOMES = ["the call ran", "the call did not start", "the call may have run"]


class CallFailed(Exception):
    """There is no answer of the method. `outcome` says whether the call ran."""

    def __init__(self, code, outcome, message):
        super().__init__(f"{code}: {message} ({OUTCOMES[outcome]})")
        self.code, self.outcome, self.message = code, outcome, message


class OwnError(Exception):
    """The method ran and answered with its own, typed error."""

    def __init__(self, value):
        super().__init__(json.dumps(value))
        self.value = value


def frame(kind, body=b"", call=0, word=0, left_us=0, codec=0):
    return HEADER.pack(MAGIC, 1, kind, 0, codec, call, word, left_us, len(body), len(body), 0) + body


class Connection:
    """One connection; calls are sent with `send` and waited for with `receive`, in any order."""

    def __init__(self, host, port, methods, service="", timeout=30.0):
        try:
            self.socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise CallFailed("UNAVAILABLE", NOT_STARTED, str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_call, self.goodbye, self.waiting, self.replies = 1, False, set(), {}
        self.body_max = HANDSHAKE_MAX
        self.greet(service, methods)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def greet(self, service, methods):
        hello = {"version_min": 1, "version_max": 1, "library": "client.py/1", "service": service}
        hello["methods"] = [{"name": name} for name in methods]
        self.write(frame(HELLO, json.dumps(hello).encode()), NOT_STARTED)
        kind, _, _, body = self.read(NOT_STARTED)
        if kind == REFUSED:
            refusal = json.loads(body)
            raise CallFailed(refusal["code"], NOT_STARTED, refusal["message"])
        if kind != WELCOME:
            raise CallFailed("UNAVAILABLE", NOT_STARTED, f"frame {kind} in answer to a greeting")
        welcome = json.loads(body)
        self.ids = {name: int(given["id"], 16) for name, given in zip(methods, welcome["methods"], strict=True)}
        self.deadline_us = welcome["deadline_us"] or 30_000_000
        self.message_max = welcome["message_max"]
        self.body_max = self.message_max + TEXT_MAX
        self.socket.settimeout(self.deadline_us / 1e6)

    def send(self, method, value, method_id=None):
        return self.send_json(method, json.dumps(value).encode(), method_id)

    def send_json(self, method, body, method_id=None):
        """Sends a call and returns its id. `method_id` is for ids that no welcome gave."""
        if self.goodbye:
            raise CallFailed("UNAVAILABLE", NOT_STARTED, "the worker takes no new calls: connect again")
        call, self.next_call = self.next_call, self.next_call + 1
        word = self.ids[method] if method_id is None else method_id
        self.waiting.add(call)
        self.write(frame(CALL, body, call, word, self.deadline_us, JSON_CODEC), UNKNOWN)
        return call

    def receive(self, call):
        """Waits for the reply to a call; replies to others are kept for them."""
        while call not in self.replies:
            kind, answered, status, body = self.read(UNKNOWN)
            if kind == REPLY and answered in self.waiting:
                self.waiting.remove(answered)
                self.replies[answered] = (status, body)
            elif kind == GOODBYE:
                self.goodbye = True
            elif kind != REPLY:
                raise CallFailed("INTERNAL", UNKNOWN, f"frame {kind} from a service")
        return self.understand(*self.replies.pop(call))

    def call(self, method, value):
        return self.receive(self.send(method, value))

    def cancel(self, call):
        self.waiting.discard(call)
        self.write(frame(CANCEL, call=call), NOT_STARTED)

    @staticmethod
    def understand(status, body):
        kind, code, outcome = status & 255, status >> 8 & 255, status >> 16 & 255
        if kind == RESULT:
            return json.loads(body)
        if kind == OWN_ERROR:
            raise OwnError(json.loads(body))
        if kind != FAILURE:
            raise CallFailed("UNKNOWN", UNKNOWN, f"a status of kind {kind}")
        name = CODES[code] if 0 < code < len(CODES) else "UNKNOWN"
        raise CallFailed(name, outcome if outcome < UNKNOWN else UNKNOWN, body[:TEXT_MAX].decode(errors="replace"))

    def write(self, data, outcome):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise self.lost(error, outcome) from error

    def read(self, outcome):
        head = self.exactly(HEADER.size, outcome)
        magic, version, kind, flags, codec, call, word, left, length, same, later = HEADER.unpack(head)
        if (magic, version, flags, codec, left, later) != (MAGIC, 1, 0, 0, 0, 0) or length != same:
            raise CallFailed("DATA_LOSS", outcome, "what came is not a frame of a service")
        if length > self.body_max:
            raise CallFailed("DATA_LOSS", outcome, f"a body of {length} bytes, over {self.body_max}")
        return kind, call, word, self.exactly(length, outcome)

    def exactly(self, length, outcome):
        data = bytearray()
        while len(data) < length:
            try:
                piece = self.socket.recv(min(length - len(data), 1 << 16))
            except OSError as error:
                raise self.lost(error, outcome) from error
            if not piece:
                raise CallFailed("UNAVAILABLE", outcome, "the service closed the connection")
            data += piece
        return bytes(data)

    @staticmethod
    def lost(error, outcome):
        code = "DEADLINE_EXCEEDED" if isinstance(error, TimeoutError) else "UNAVAILABLE"
        return CallFailed(code, outcome, str(error))


def call_once(host, port, method, text):
    with Connection(host, port, [method]) as connection:
        print(json.dumps(connection.receive(connection.send_json(method, text.encode())), ensure_ascii=False))


def refused(attempt):
    """How an attempt fails, and in which outcome."""
    try:
        attempt()
    except CallFailed as failed:
        return failed.code, failed.outcome
    return None


def fnv1a(text):
    number = 0xCBF29CE484222325
    for byte in text.encode():
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number


def try_rules(host, port):
    with Connection(host, port, ["echo"]) as connection:
        assert connection.ids["echo"] == fnv1a("echo.echo(&str) -> String")
        first, second = connection.send("echo", "first"), connection.send("echo", "sécond 😀")
        assert connection.receive(second) == "sécond 😀"
        assert connection.receive(first) == "first"
        given_up, later = connection.send("echo", "nobody waits"), connection.send("echo", "later")
        connection.cancel(given_up)
        assert connection.receive(later) == "later"
        assert refused(lambda: connection.call("echo", {"no": "text"})) == ("INVALID_ARGUMENT", NOT_STARTED)
        unknown = connection.send("echo", "x", method_id=1)
        assert refused(lambda: connection.receive(unknown)) == ("UNIMPLEMENTED", NOT_STARTED)
        too_long = connection.send("echo", "x" * connection.message_max)
        assert refused(lambda: connection.receive(too_long)) == ("RESOURCE_EXHAUSTED", NOT_STARTED)
        assert connection.call("echo", "still here") == "still here"
    assert refused(lambda: Connection(host, port, ["eco"])) == ("UNIMPLEMENTED", NOT_STARTED)
    assert refused(lambda: Connection(host, port, [], service="other")) == ("NOT_FOUND", NOT_STARTED)
    print("all rules hold")


def main(arguments):
    if len(arguments) not in (2, 4) or not arguments[1].isdigit():
        print(__doc__, file=sys.stderr)
        return 2
    host, port, *what = arguments
    try:
        call_once(host, int(port), *what) if what else try_rules(host, int(port))
    except OwnError as error:
        print(f"the method's own error: {error}", file=sys.stderr)
        return 1
    except CallFailed as failed:
        print(failed, file=sys.stderr)
        return {"UNAVAILABLE": 69, "DEADLINE_EXCEEDED": 75}.get(failed.code, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
