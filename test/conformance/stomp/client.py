"""A session of Debian's python3-stomp, told by its arguments: port, version, scenario. Prints what it saw as JSON."""
import json
import sys
import threading

import stomp

PORT, VERSION, SCENARIO = int(sys.argv[1]), sys.argv[2], sys.argv[3]
CONNECTION = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}[VERSION]
WAIT = 10


class Ear(stomp.ConnectionListener):
    def __init__(self):
        self.frames = []
        self.changed = threading.Condition()

    def _hear(self, command, frame):
        with self.changed:
            self.frames.append({"command": command, "headers": dict(frame.headers), "body": frame.body})
            self.changed.notify_all()

    def on_message(self, frame):
        self._hear("MESSAGE", frame)

    def on_receipt(self, frame):
        self._hear("RECEIPT", frame)

    def on_error(self, frame):
        self._hear("ERROR", frame)

    def on_disconnected(self):
        with self.changed:
            self.frames.append({"command": "end", "headers": {}, "body": ""})
            self.changed.notify_all()

    def of(self, command):
        return [frame for frame in self.frames if frame["command"] == command]

    def until(self, command, count=1):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.of(command)) >= count, WAIT):
                raise SystemExit(f"no {count} {command}: {self.frames}")
            return self.of(command)


def connect(**options):
    headers = options.pop("headers", {})
    if VERSION == "1.0":
        connection = CONNECTION([("127.0.0.1", PORT)])
    else:
        connection = CONNECTION([("127.0.0.1", PORT)], heartbeats=options.pop("heartbeats", (2000, 2000)))
    ear = Ear()
    connection.set_listener("", ear)
    connection.connect(options.get("login"), options.get("passcode"), wait=True, headers=headers)
    return connection, ear


def acknowledge(connection, message, negative=False):
    headers = message["headers"]
    act = connection.nack if negative else connection.ack
    if VERSION == "1.0":
        act(headers["message-id"])
    elif VERSION == "1.1":
        act(headers["message-id"], headers["subscription"])
    else:
        act(headers["ack"])


def exchange():
    connection, ear = connect()
    connection.subscribe(destination=f"/topic/python/{VERSION}/ä", id="1", ack="auto")
    for number, body in enumerate(["hellö", "two\nlines", ""]):
        headers = {"köy": "v:1\\x", "receipt": str(number)}
        connection.send(f"/topic/python/{VERSION}/ä", body, content_type="text/plain", headers=headers)
    ear.until("RECEIPT", 3)
    messages = ear.until("MESSAGE", 3)
    connection.disconnect(receipt="bye")
    return [[m["body"], m["headers"].get("köy"), m["headers"]["destination"], m["headers"]["content-type"]] for m in messages]


def redelivery():
    mode = "client" if VERSION == "1.0" else "client-individual"
    first, heard = connect()
    second, again = connect()
    publisher, _ = connect()
    first.subscribe(destination=f"/queue/python/{VERSION}", id="1", ack=mode, headers={"receipt": "s"})
    heard.until("RECEIPT")
    for body in ["1", "2", "3"]:
        publisher.send(f"/queue/python/{VERSION}", body)
    messages = heard.until("MESSAGE", 3)
    acknowledge(first, messages[0])
    second.subscribe(destination=f"/queue/python/{VERSION}", id="1", ack=mode, headers={"receipt": "s"})
    again.until("RECEIPT")
    first.disconnect()
    return sorted(m["body"] for m in again.until("MESSAGE", 2))


def refusal():
    connection, ear = connect()
    connection.subscribe(destination=f"/topic/python/{VERSION}/nack", id="1", ack="client-individual")
    connection.send(f"/topic/python/{VERSION}/nack", "no thanks")
    acknowledge(connection, ear.until("MESSAGE")[0], negative=True)
    return [m["headers"].get("redelivered") for m in ear.until("MESSAGE", 2)]


def transaction():
    connection, ear = connect()
    connection.subscribe(destination=f"/topic/python/{VERSION}/tx", id="1", ack="auto")
    lost = connection.begin()
    connection.send(f"/topic/python/{VERSION}/tx", "never", transaction=lost)
    connection.abort(lost)
    kept = connection.begin()
    for body in ["1", "2"]:
        connection.send(f"/topic/python/{VERSION}/tx", body, transaction=kept)
    connection.send(f"/topic/python/{VERSION}/tx", "outside")
    connection.commit(kept)
    return [m["body"] for m in ear.until("MESSAGE", 3)]


def error():
    connection, ear = connect()
    connection.send_frame("SUBSCRIBE", {"id": "1", "destination": "/topic/a", "selector": "x > 5"})
    message = ear.until("ERROR")[0]["headers"]["message"]
    ear.until("end")
    return message


def durable():
    name = {"durable-subscription-name": "py"}
    bodies = []
    for round_ in range(2):
        connection, ear = connect(headers={"client-id": f"python-{VERSION}"})
        connection.subscribe(destination=f"/topic/python/{VERSION}/durable", id="1", ack="auto", headers={**name, "receipt": "s"})
        ear.until("RECEIPT")
        if round_ == 1:
            bodies = [m["body"] for m in ear.until("MESSAGE", 1)]
        connection.disconnect()
        publisher, heard = connect()
        publisher.send(f"/topic/python/{VERSION}/durable", "while away", headers={"receipt": "1"})
        heard.until("RECEIPT")
        publisher.disconnect()
    return bodies


def mqtt():
    connection, ear = connect()
    connection.subscribe(destination="/topic/bridge/to-stomp", id="1", ack="client", headers={"receipt": "s"})
    ear.until("RECEIPT")
    print(json.dumps("ready"), flush=True)
    message = ear.until("MESSAGE")[0]
    acknowledge(connection, message)
    connection.send("/topic/bridge/to-mqtt", "answer to " + message["body"], headers={"qos": "1"})
    connection.disconnect(receipt="bye")
    return message["headers"]


print(json.dumps(globals()[SCENARIO]()), flush=True)
