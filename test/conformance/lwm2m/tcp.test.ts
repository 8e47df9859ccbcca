/** LwM2M over TCP (LwM2M 1.1 Transport §6.4, RFC 8323): the same registration, asked over the same connection. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connectAsync } from "mqtt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { textOption, uintOption, type WireMessage, writeMessage } from "../../support/coap-bytes.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ gateways: { mqtt: {}, coap: {}, lwm2m: {} } });
});
afterAll(() => gateway.stop());

/** A message framed for streams (RFC 8323 §3.2): the length of options and payload, code, token, the rest. */
function frame(message: Partial<WireMessage> & { code: string }): Uint8Array {
  const datagram = writeMessage({ type: 0, id: 0, ...message });
  const tokenLength = (datagram[0] as number) & 15;
  const length = datagram.length - 4 - tokenLength;
  const head = length < 13 ? [(length << 4) | tokenLength] : [0xd0 | tokenLength, length - 13];
  return Buffer.from([...head, datagram[1] as number, ...datagram.subarray(4)]);
}

/** Cuts the stream into frames: code byte, token and what follows. */
class Frames {
  #bytes = Buffer.alloc(0);
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  async next(): Promise<{ code: number; token: string; rest: Buffer }> {
    for (;;) {
      const found = this.#take();
      if (found !== undefined) return found;
      const [chunk] = (await once(this.#socket, "data")) as [Buffer];
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    }
  }

  #take(): { code: number; token: string; rest: Buffer } | undefined {
    const [first, second] = this.#bytes;
    if (first === undefined || second === undefined) return undefined;
    const extended = first >> 4 === 13 ? 1 : 0;
    const length = extended === 1 ? 13 + second : first >> 4;
    const tokenAt = 2 + extended;
    const restAt = tokenAt + (first & 15);
    if (this.#bytes.length < restAt + length) return undefined;
    const found = {
      code: this.#bytes[1 + extended] as number,
      token: this.#bytes.toString("hex", tokenAt, restAt),
      rest: this.#bytes.subarray(restAt, restAt + length),
    };
    this.#bytes = this.#bytes.subarray(restAt + length);
    return found;
  }
}

const CSM = 0xe1;

/** A connection on which both sides have said what they can. */
async function connected(): Promise<{ socket: Socket; frames: Frames }> {
  const socket = connect(gateway.port("coap", "tcp"), "127.0.0.1");
  await once(socket, "connect");
  const frames = new Frames(socket);
  socket.write(Buffer.from([0x00, CSM]));
  expect((await frames.next()).code).toBe(CSM);
  return { socket, frames };
}

function register(ep: string): Uint8Array {
  const queries = [`ep=${ep}`, "lt=300", "lwm2m=1.1", "b=T"].map((part) => textOption(15, part));
  const options = [textOption(11, "rd"), ...queries, uintOption(12, 40)];
  return frame({ code: "0.02", token: "01", options, payload: Buffer.from("</3/0>") });
}

it("LightweightM2M-1.1-int-106 a device registers over TCP and is read over MQTT", async () => {
  const { socket, frames } = await connected();
  socket.write(register("wired"));
  expect(await frames.next()).toMatchObject({ code: 0x41, token: "01" });

  const application = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
  await application.subscribeAsync("lwm2m/wired/up/resp");
  const answered = new Promise<Buffer>((resolve) => {
    application.on("message", (_topic, payload) => resolve(payload));
  });
  await application.publishAsync("lwm2m/wired/dn/x", '{"msgType":"read","data":{"path":"/3/0/9"}}');
  const asked = await frames.next();
  expect(asked.code).toBe(0x01);
  socket.write(frame({ code: "2.05", token: asked.token, payload: Buffer.from("77") }));
  expect(JSON.parse((await answered).toString())).toEqual({
    msgType: "read",
    data: { reqPath: "/3/0/9", code: "2.05", codeMsg: "content", content: [{ path: "/3/0/9", value: 77 }] },
  });
  await application.endAsync();
  socket.destroy();
});

it("a device that loses its connection updates its registration on the next one", async () => {
  const first = await connected();
  first.socket.write(register("plugged"));
  const created = await first.frames.next();
  // Location-Path rd, and behind it the location: 12 characters.
  const location = created.rest.toString("latin1", 4, 16);
  first.socket.destroy();
  const second = await connected();
  const options = [textOption(11, "rd"), textOption(11, location)];
  second.socket.write(frame({ code: "0.02", token: "02", options }));
  expect(await second.frames.next()).toMatchObject({ code: 0x44, token: "02" });
  second.socket.write(frame({ code: "0.04", token: "03", options }));
  expect(await second.frames.next()).toMatchObject({ code: 0x42, token: "03" });
  second.socket.destroy();
});
