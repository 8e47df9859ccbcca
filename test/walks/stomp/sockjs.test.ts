import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { stompListener } from "../../support/stomp-client.ts";
import { FrameReader, frame, header, type ServerFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const open = (path = "/ws/000/abc/websocket", config: Record<string, unknown> = {}) => {
  const world = new World();
  const listener = stompListener(world, { sockjs: ["/ws", "/api/v1.0/live/"], ...config }, {}, "ws");
  const stream = listener.connect({ transport: "ws", path });
  /** One WebSocket message a line, as text. */
  const messages = (): string[] => {
    const texts = stream.written.map((bytes) => Buffer.from(bytes).toString("utf8"));
    stream.takeBytes();
    return texts;
  };
  return { world, stream, messages };
};
const say = (...frames: Buffer[]) => Buffer.from(JSON.stringify(frames.map((one) => one.toString("utf8"))));
const CONNECT = frame("CONNECT", { "accept-version": "1.2", host: "h", "heart-beat": "0,10000" });

describe("SockJS's websocket transport", () => {
  it("frames STOMP in o, a[...] and c[...]", () => {
    const { world, stream, messages } = open();
    expect(messages()).toEqual(["o"]);
    stream.send(say(CONNECT, frame("SUBSCRIBE", { id: "0", destination: "a" })));
    world.publish("a", 'with "quotes" and ä');
    const reader = new FrameReader();
    const frames: ServerFrame[] = messages().flatMap((text) => {
      expect(text[0]).toBe("a");
      const strings = JSON.parse(text.slice(1)) as string[];
      expect(strings).toHaveLength(1);
      return reader.push(Buffer.from(strings[0] ?? ""));
    });
    expect(frames.map(({ command }) => command)).toEqual(["CONNECTED", "MESSAGE"]);
    expect(frames[1]?.body.toString()).toBe('with "quotes" and ä');
    stream.send(say(frame("DISCONNECT", { receipt: "r" })));
    const [receipt, close] = messages();
    const answer = reader.push(Buffer.from((JSON.parse((receipt ?? "").slice(1)) as string[])[0] ?? ""));
    expect(header(answer[0], "receipt-id")).toBe("r");
    expect(close).toBe('c[1000,"Normal closure"]');
    expect(stream.closed).toBe(true);
  });

  it("sends h so that proxies keep an idle connection", () => {
    const { world, stream, messages } = open();
    stream.send(say(CONNECT));
    messages();
    world.advance(seconds(26));
    const beats = messages();
    expect(beats.filter((text) => text === "h")).toHaveLength(1);
    // STOMP's own heart-beats travel inside.
    expect(beats.filter((text) => text === 'a["\\n"]').length).toBeGreaterThanOrEqual(2);
  });

  it("a client that is not read from, because it does not read, is not lost (K50)", () => {
    const { world, stream, messages } = open("/ws/000/abc/websocket", { heartBeat: { receive: "1s" } });
    stream.send(say(frame("CONNECT", { "accept-version": "1.2", host: "h", "heart-beat": "1000,0" })));
    stream.send(say(frame("SUBSCRIBE", { id: "0", destination: "a" })));
    stream.capacity = 100;
    world.publish("a", "x".repeat(1000));
    for (let second = 0; second < 100; second++) {
      stream.send(say(Buffer.from("\n")));
      world.advance(seconds(1));
    }
    expect(stream.closed).toBe(false);
    expect(messages().join("")).toContain("xxx");
    world.advance(seconds(10));
    expect(messages().join("")).toContain("heart-beat missed");
  });

  it("takes a single string as well as an array, and frames cut across messages", () => {
    const { stream, messages } = open();
    const text = CONNECT.toString();
    stream.send(Buffer.from(JSON.stringify(text.slice(0, 9))));
    stream.send(Buffer.from(JSON.stringify([text.slice(9, 20), text.slice(20)])));
    expect(messages()[1]).toMatch(/^a\["CONNECTED/);
  });

  it.each(["{", "[1]", '{"a":"b"}', "[", 'a["x"]', "null"])("%s is broken framing and closes", (text) => {
    const { stream, messages } = open();
    stream.send(Buffer.from(text));
    expect(messages()).toEqual(["o", 'c[1003,"Broken framing"]']);
    expect(stream.closed).toBe(true);
  });

  it("an ERROR is framed too, and closes", () => {
    const { stream, messages } = open();
    stream.send(say(frame("NONSENSE")));
    const [, error, close] = messages();
    expect(error).toMatch(/^a\["ERROR\\nmessage:unknown command/);
    expect(close).toBe('c[1000,"Normal closure"]');
  });

  it.each([
    ["/stomp", undefined],
    ["/ws/000/abc/xhr", undefined],
    ["/ws/0.0/abc/websocket", undefined],
    ["/other/000/abc/websocket", undefined],
    ["/ws/000/abc/websocket", "o"],
    ["/api/v1.0/live/17/x-y/websocket", "o"],
    ["/api/v1x0/live/17/x-y/websocket", undefined],
  ])("the path %s opens with %s", (path, first) => {
    expect(open(path).messages()[0]).toBe(first);
  });

  it("is off by default", () => {
    expect(open("/ws/000/abc/websocket", { sockjs: [] }).messages()).toEqual([]);
  });

  it("a message over the limits is refused before it is parsed", () => {
    const limits = { body: 100, headers: 2, headerLength: 50, connectLength: 100 };
    const { stream, messages } = open(undefined, { limits });
    stream.send(Buffer.from(`["${"x".repeat(2000)}"]`));
    expect(messages()).toEqual(["o", 'c[1003,"Broken framing"]']);
  });
});
