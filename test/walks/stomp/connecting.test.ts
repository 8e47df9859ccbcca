import { describe, expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import type { Verdict } from "#core/policy/policy.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { frame, header } from "../../support/stomp-frames.ts";
import { permissive, World } from "../../support/world.ts";

describe("S1 the first frame", () => {
  it.each(["CONNECT", "STOMP"])("%s opens the session", (command) => {
    const client = new StompClient(stompListener(new World()));
    client.say(command, { "accept-version": "1.2", host: "h" });
    expect(brief(client.next(), "version")).toBe("CONNECTED version=1.2");
    expect(client.closed).toBe(false);
  });

  it.each(["SEND", "SUBSCRIBE", "BEGIN", "DISCONNECT", "ACK"])(
    "%s before CONNECT is an ERROR, with its receipt, and closes",
    (command) => {
      const world = new World();
      const heard = world.listen("#");
      const client = new StompClient(stompListener(world));
      client.say(command, { destination: "a", receipt: "r1", id: "0", transaction: "t" });
      expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=not connected receipt-id=r1");
      expect(client.closed).toBe(true);
      expect(heard).toHaveLength(0);
    },
  );

  it("a second CONNECT is an ERROR", () => {
    const client = StompClient.connected(stompListener(new World()));
    client.say("CONNECT", { "accept-version": "1.2", host: "h" });
    expect(brief(client.next(), "message")).toBe("ERROR message=already connected");
    expect(client.closed).toBe(true);
  });

  it("nothing is read after an ERROR", () => {
    const world = new World();
    const heard = world.listen("#");
    const client = StompClient.connected(stompListener(world));
    client.raw(Buffer.concat([frame("NONSENSE"), frame("SEND", { destination: "a" }, "x")]));
    expect(client.heard().map(({ command }) => command)).toEqual(["ERROR"]);
    expect(heard).toHaveLength(0);
  });
});

describe("S2 version negotiation (STOMP 1.2 Protocol Negotiation)", () => {
  it.each([
    ["1.2", "1.2"],
    ["1.0,1.1,1.2", "1.2"],
    ["1.0,1.1,2.0", "1.1"],
    [" 1.1 , 1.0 ", "1.1"],
    ["1.0", "1.0"],
    ["2.1,1.2,0.9", "1.2"],
  ])("accept-version %j gives %s", (accepted, version) => {
    const client = new StompClient(stompListener(new World()));
    client.say("CONNECT", { "accept-version": accepted, host: "h" });
    expect(header(client.next(), "version")).toBe(version);
  });

  it("no accept-version is a client of STOMP 1.0", () => {
    const client = new StompClient(stompListener(new World()));
    client.raw("CONNECT\nlogin: me\n\n\0");
    expect(header(client.next(), "version")).toBe("1.0");
  });

  it.each(["2.0,2.1", "", "1", "1.20"])(
    "accept-version %j is an ERROR that names the versions",
    (accepted) => {
      const client = new StompClient(stompListener(new World()));
      client.say("CONNECT", { "accept-version": accepted, host: "h" });
      const error = client.next();
      expect(brief(error, "message", "version")).toBe("ERROR message=no common version version=1.0,1.1,1.2");
      expect(error?.body.toString()).toContain("1.0 1.1 1.2");
      expect(client.closed).toBe(true);
    },
  );
});

describe("S3 host (STOMP 1.2 CONNECT or STOMP Frame)", () => {
  const connect = (config: object, headers: Record<string, string>) => {
    const client = new StompClient(stompListener(new World(), { ...config }));
    client.say("CONNECT", headers);
    return brief(client.next(), "message");
  };

  it("is not required by default", () => {
    expect(connect({}, { "accept-version": "1.2" })).toContain("CONNECTED");
  });

  it("is required of 1.1 and 1.2 clients when the setting says so, and never of 1.0 clients", () => {
    expect(connect({ requireHost: true }, { "accept-version": "1.1" })).toBe(
      "ERROR message=missing header host",
    );
    expect(connect({ requireHost: true }, {})).toContain("CONNECTED");
  });

  it("must be one of the configured hosts", () => {
    const config = { hosts: ["plant"] };
    expect(connect(config, { "accept-version": "1.2", host: "plant" })).toContain("CONNECTED");
    expect(connect(config, { "accept-version": "1.2", host: "office" })).toBe("ERROR message=unknown host");
  });
});

describe("S4 CONNECTED", () => {
  it("carries version, session, server and heart-beat", () => {
    const client = new StompClient(stompListener(new World()));
    client.say("CONNECT", { "accept-version": "1.2", host: "h" });
    const connected = client.next();
    expect(brief(connected, "version", "server", "heart-beat")).toBe(
      "CONNECTED version=1.2 server=Isthmus heart-beat=1000,10000",
    );
    expect(header(connected, "session")).toMatch(/^[0-9a-f]{12}$/);
  });

  it("hides the server when it is told to, and sends no heart-beat header to STOMP 1.0", () => {
    const client = new StompClient(stompListener(new World(), { server: "" }));
    client.raw("CONNECT\nheart-beat:nonsense\n\n\0");
    const connected = client.next();
    expect(connected?.headers.map(([name]) => name)).toEqual(["version", "session"]);
  });

  it("gives every connection its own session", () => {
    const listener = stompListener(new World());
    const sessions = [1, 2, 3].map(() => header(new StompClient(listener).login(), "session"));
    expect(new Set(sessions).size).toBe(3);
  });
});

describe("S6 login and passcode", () => {
  const asked: { username: string | undefined; password: string | undefined; clientId: string }[] = [];
  const authenticate = (request: {
    username?: string | undefined;
    password?: Uint8Array | undefined;
    clientId: string;
  }): Verdict => {
    const password = request.password && Buffer.from(request.password).toString();
    asked.push({ username: request.username, password, clientId: request.clientId });
    return { ok: false, refusal: "unauthenticated", reason: "wrong password" };
  };

  it("go through the policy chain; a refusal is an ERROR and closes", () => {
    const client = new StompClient(stompListener(new World(), {}, { authenticate }));
    client.say("CONNECT", {
      "accept-version": "1.2",
      host: "h",
      login: "me",
      passcode: "secret",
      "client-id": "c",
    });
    expect(asked.pop()).toEqual({ username: "me", password: "secret", clientId: "c" });
    const error = client.next();
    expect(brief(error, "message")).toBe("ERROR message=access refused");
    expect(JSON.stringify(error) + error?.body.toString()).not.toContain("secret");
    expect(client.closed).toBe(true);
  });

  it.each(["p:w", "p\\cw", "p\\nw\\", " padded "])("F11, F12 a passcode %j is taken as it is", (passcode) => {
    const client = new StompClient(stompListener(new World(), {}, { authenticate }));
    client.raw(`CONNECT\naccept-version:1.2\nhost:h\nlogin:me\npasscode:${passcode}\n\n\0`);
    expect(asked.pop()?.password).toBe(passcode);
  });

  it("F12 STOMP 1.0 trims login and passcode", () => {
    const client = new StompClient(stompListener(new World(), {}, { authenticate }));
    client.raw("CONNECT\nlogin: me \npasscode:\tpw \n\n\0");
    expect(asked.pop()).toMatchObject({ username: "me", password: "pw" });
  });

  it("F11 a lenient setting undoes escapes in CONNECT", () => {
    const client = new StompClient(stompListener(new World(), { unescapeConnect: true }, { authenticate }));
    client.raw("CONNECT\naccept-version:1.2\nhost:h\npasscode:p\\cw\n\n\0");
    expect(asked.pop()?.password).toBe("p:w");
  });

  it("frames behind a CONNECT whose answer is late wait for it, in order", async () => {
    const world = new World();
    const heard = world.listen("#");
    const allow = permissive("stomp");
    const client = new StompClient(
      stompListener(world, {}, { authenticate: async (...request) => allow.authenticate(...request) }),
    );
    client.raw(
      Buffer.concat([
        frame("CONNECT", { "accept-version": "1.2", host: "h" }),
        frame("SEND", { destination: "a", receipt: "1" }, "one"),
      ]),
    );
    client.say("SEND", { destination: "a", receipt: "2" }, "two");
    expect(client.heard()).toEqual([]);
    expect(client.stream.readingPaused).toBe(true);
    await Promise.resolve().then(() => Promise.resolve());
    world.settle();
    const [connected, ...receipts] = client.heard().map((one) => brief(one, "receipt-id"));
    expect(connected).toBe("CONNECTED receipt-id=undefined");
    expect(receipts.sort()).toEqual(["RECEIPT receipt-id=1", "RECEIPT receipt-id=2"]);
    expect(client.stream.readingPaused).toBe(false);
    expect(heard.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["one", "two"]);
  });

  it("must come in time, whatever else is sent", () => {
    const world = new World({ limits: { connectTimeout: seconds(10) } });
    const client = new StompClient(stompListener(world));
    world.advance(seconds(9));
    client.raw("\n\n");
    expect(client.heard()).toEqual([]);
    world.advance(seconds(1));
    expect(brief(client.next(), "message")).toBe("ERROR message=no CONNECT in time");
    expect(client.closed).toBe(true);
  });

  it.each(["", "a//b"])("a client-id %j is refused", (clientId) => {
    const client = new StompClient(stompListener(new World()));
    client.say("CONNECT", { "accept-version": "1.2", host: "h", "client-id": clientId });
    expect(brief(client.next(), "message")).toBe("ERROR message=bad header client-id");
  });

  it("a second connection with the client id takes over, and the first is told", () => {
    const listener = stompListener(new World());
    const first = StompClient.connected(listener, { "client-id": "c" });
    const second = StompClient.connected(listener, { "client-id": "c" });
    expect(brief(first.next(), "message")).toBe("ERROR message=the client id has connected elsewhere");
    expect([first.closed, second.closed]).toEqual([true, false]);
  });
});

describe("S5 and F15 heart-beats (STOMP 1.2 Heart-beating)", () => {
  const open = (heartBeat: string, config: object = {}) => {
    const world = new World();
    const client = new StompClient(stompListener(world, { heartBeat: config }));
    client.say("CONNECT", { "accept-version": "1.2", host: "h", "heart-beat": heartBeat });
    const connected = client.next();
    return { world, client, connected };
  };

  it.each(["x", "1", "1,", ",1", "-1,0", "1,2,3", "1.5,2", " 1,2", "9999999999,1"])(
    "%j is an ERROR",
    (value) => {
      const { client, connected } = open(value);
      expect(brief(connected, "message")).toBe("ERROR message=bad header heart-beat");
      expect(client.closed).toBe(true);
    },
  );

  it("the gateway sends at least every max(sx, cy), and never more often than needed", () => {
    const { world, client } = open("0,2000");
    for (let beat = 1; beat <= 5; beat++) {
      world.advance(milliseconds(1499));
      client.heard();
      expect(client.reader.beats).toBe(beat - 1);
      world.advance(milliseconds(1));
      client.heard();
      expect(client.reader.beats).toBe(beat);
    }
  });

  it("a slower offer of the gateway wins over a faster wish of the client", () => {
    const { world, client, connected } = open("0,100", { send: "4s" });
    expect(header(connected, "heart-beat")).toBe("4000,10000");
    world.advance(milliseconds(2999));
    client.heard();
    expect(client.reader.beats).toBe(0);
    world.advance(milliseconds(1));
    client.heard();
    expect(client.reader.beats).toBe(1);
  });

  it("a frame that is sent counts as a beat", () => {
    const { world, client } = open("0,2000");
    client.say("SUBSCRIBE", { id: "0", destination: "a" });
    world.advance(milliseconds(1000));
    world.publish("a", "x");
    world.advance(milliseconds(1400));
    client.heard();
    expect(client.reader.beats).toBe(0);
    world.advance(milliseconds(200));
    client.heard();
    expect(client.reader.beats).toBe(1);
  });

  it("a client is lost after twice max(cx, sy) and a grace, not before", () => {
    const { world, client } = open("1000,0", { receive: "5s" });
    world.advance(milliseconds(10_999));
    expect(client.closed).toBe(false);
    world.advance(milliseconds(1));
    expect(brief(client.next(), "message")).toBe("ERROR message=heart-beat missed");
    expect(client.closed).toBe(true);
    expect(world.disconnects).toMatchObject([{ reason: "heart-beat missed", how: "silent" }]);
  });

  it("a client that is not read from, because it does not read, is not lost, nor is its transaction", () => {
    const { world, client } = open("1000,0", { receive: "1s" });
    client.say("SUBSCRIBE", { id: "0", destination: "a" });
    client.say("BEGIN", { transaction: "t" });
    client.stream.capacity = 100;
    world.publish("a", "x".repeat(1000));
    for (let second = 0; second < 100; second++) {
      client.raw("\n");
      world.advance(milliseconds(1000));
    }
    client.say("COMMIT", { transaction: "t", receipt: "r" });
    expect(client.closed).toBe(false);
    expect(client.heard().map(({ command }) => command)).toContain("MESSAGE");
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
    world.advance(milliseconds(10_000));
    expect(brief(client.next(), "message")).toBe("ERROR message=heart-beat missed");
  });

  it("any octet is a sign of life, also in the middle of a frame", () => {
    const { world, client } = open("1000,0", { receive: "1s" });
    client.raw("SEND\n");
    for (const octet of "destination:a\n\nbody") {
      world.advance(milliseconds(2900));
      client.raw(octet);
    }
    expect(client.closed).toBe(false);
    world.advance(milliseconds(3000));
    expect(client.closed).toBe(true);
  });

  it("an end of line alone is legal although no beats were agreed, and is no frame", () => {
    const { world, client } = open("0,0");
    client.raw("\n\r\n\n");
    world.advance(seconds(3600));
    expect(client.closed).toBe(false);
    expect(client.heard()).toEqual([]);
    expect(client.reader.beats).toBe(0);
  });

  it("says 0 for what it is configured not to do", () => {
    const { world, client, connected } = open("1000,1000", { send: 0, receive: "forever" });
    expect(header(connected, "heart-beat")).toBe("0,0");
    world.advance(seconds(3600));
    expect(client.closed).toBe(false);
  });
});

describe("S17 rapid connect and disconnect (STOMP 1.2 Connection Lingering)", () => {
  it("two thousand connections come and go and leave nothing behind", () => {
    const world = new World();
    const listener = stompListener(world);
    for (let round = 0; round < 2000; round++) {
      const client = new StompClient(listener);
      const parts = [
        frame("CONNECT", { "accept-version": "1.2", host: "h" }),
        frame("SUBSCRIBE", { id: "0", destination: "a/#", ack: "client" }),
        frame("DISCONNECT", { receipt: "bye" }),
      ];
      client.raw(Buffer.concat(parts.slice(0, 1 + (round % 3))));
      if (round % 3 !== 2) client.stream.drop();
      else expect(brief(client.heard().pop(), "receipt-id")).toBe("RECEIPT receipt-id=bye");
    }
    expect(world.sessions.count).toBe(0);
    expect(world.bus.filters).toBe(0);
  });
});
