/** Devices on real sockets that begin something at one gateway and go on at another. */
import { expect } from "vitest";
import { textOption, textsOf, uintOption, type WireMessage, type WireOption } from "./coap-bytes.ts";
import { hexOf, message, SnSocket } from "./mqtt-sn-socket.ts";
import { CoapSocket } from "./store-coap.ts";

const URI_PATH = 11;
const URI_QUERY = 15;
const OBSERVE = 6;
const LOCATION_PATH = 8;
const CONTENT_FORMAT = 12;
const LINK_FORMAT = 40;

/** Opens devices' sockets, and closes them all. */
export class Sockets {
  readonly #open: { close(): void | Promise<void> }[] = [];

  async sn(port: number): Promise<SnSocket> {
    const socket = await SnSocket.open(port);
    this.#open.push(socket);
    return socket;
  }

  coap(port: number): CoapSocket {
    const socket = new CoapSocket(port);
    this.#open.push(socket);
    return socket;
  }

  async close(): Promise<void> {
    for (const socket of this.#open.splice(0)) await socket.close();
  }
}

// ---- MQTT-SN

/** Connects; `clean` throws an earlier session away. */
export async function connectSn(socket: SnSocket, id: string, clean = false): Promise<void> {
  expect(await socket.ask(message(`04 ${clean ? "04" : "00"} 01 003c ${hexOf(id)}`))).toBe("030500");
}

/** Registers a topic: the gateway gives it this id (MQTT-SN 1.2 §6.5). */
export async function registerTopic(socket: SnSocket, topic: string, messageId: string, topicId: string) {
  const answer = await socket.ask(message(`0a 0000 ${messageId} ${hexOf(topic)}`));
  expect(answer).toBe(`070b${topicId}${messageId}00`);
}

/** Publishes at QoS 1 by an id that the topic was given, and is told that the cluster has it. */
export async function publishById(socket: SnSocket, topicId: string, messageId: string, text: string) {
  const answer = await socket.ask(message(`0c 20 ${topicId} ${messageId} ${hexOf(text)}`));
  expect(answer).toBe(`070d${topicId}${messageId}00`);
}

/** Says that it sleeps for an hour. */
export async function sleep(socket: SnSocket): Promise<void> {
  expect(await socket.ask("0418 0e10")).toBe("0218");
}

/** Wakes for what waits (MQTT-SN 1.2 §6.14): all of it in its order, and the ids under which topics are told to it. */
export async function wakeUp(socket: SnSocket, id: string) {
  await socket.send(message(`16 ${hexOf(id)}`));
  const texts: string[] = [];
  const topicIds: string[] = [];
  for (let datagram = await socket.next(); datagram !== "0217"; datagram = await socket.next()) {
    const type = datagram.slice(2, 4);
    if (type === "0a") {
      topicIds.push(datagram.slice(4, 8));
      await socket.send(`07 0b ${datagram.slice(4, 12)} 00`);
    }
    if (type !== "0c") continue;
    const text = Buffer.from(datagram.slice(14), "hex").toString();
    // Repeated, where an acknowledgement was late.
    if (!texts.includes(text)) texts.push(text);
    await socket.send(`07 0d ${datagram.slice(6, 14)} 00`);
  }
  return { texts, topicIds };
}

// ---- LwM2M

/** Registers for an hour; at which location it is. `UQ`: it sleeps (queue mode). */
export async function register(socket: CoapSocket, endpoint: string, binding = "U"): Promise<WireOption[]> {
  const query = [`ep=${endpoint}`, "lt=3600", "lwm2m=1.1", `b=${binding}`];
  const options = [
    textOption(URI_PATH, "rd"),
    ...query.map((part) => textOption(URI_QUERY, part)),
    uintOption(CONTENT_FORMAT, LINK_FORMAT),
  ];
  const answer = await socket.request({ code: "0.02", options, payload: "</3/0>" });
  expect(answer.code).toBe("2.01");
  return textsOf(answer, LOCATION_PATH).map((part) => textOption(URI_PATH, part));
}

export async function update(socket: CoapSocket, location: readonly WireOption[]): Promise<void> {
  expect((await socket.request({ code: "0.02", options: [...location] })).code).toBe("2.04");
}

export async function deregister(socket: CoapSocket, location: readonly WireOption[]): Promise<void> {
  expect((await socket.request({ code: "0.04", options: [...location] })).code).toBe("2.02");
}

/** Answers what it is commanded with 2.04; the paths, in their order. */
export function executes(socket: CoapSocket): string[] {
  const paths: string[] = [];
  const known = new Set<number>();
  socket.asked = (request: WireMessage) => {
    if (!known.has(request.id)) paths.push(`/${textsOf(request, URI_PATH).join("/")}`);
    known.add(request.id);
    return { code: "2.04", options: [], payload: new Uint8Array(0) };
  };
  return paths;
}

/** Of a path that is executed, for an application to publish. */
export const execute = (reqID: number, path: string, mheaders?: object): string =>
  JSON.stringify({ reqID, msgType: "execute", data: { path }, ...(mheaders && { mheaders }) });

// ---- CoAP

/** Observes `news` under a name of its own; hears what comes by `told`, and returns what is there now. */
export async function observe(socket: CoapSocket, told?: (text: string) => void): Promise<string> {
  const options = [
    uintOption(OBSERVE, 0),
    ...["ps", "news"].map((part) => textOption(URI_PATH, part)),
    textOption(URI_QUERY, "clientid=watcher"),
  ];
  const answer = await socket.request({ code: "0.01", options }, told);
  expect(answer.code).toBe("2.05");
  return Buffer.from(answer.payload).toString();
}
