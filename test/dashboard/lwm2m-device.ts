/** An LwM2M 1.1 device by hand, on one socket: what it is asked it answers from a few values, and it may sleep. */
import { createSocket } from "node:dgram";
import {
  ACK,
  CON,
  NON,
  readMessage,
  textOption,
  textsOf,
  uintOf,
  uintOption,
  type WireMessage,
  writeMessage,
} from "../support/coap-bytes.ts";
import type { Ports } from "./site.ts";

const OBSERVE = 6;
const LOCATION_PATH = 8;
const URI_PATH = 11;
const CONTENT_FORMAT = 12;
const URI_QUERY = 15;
const BLOCK1 = 27;
const TEXT_PLAIN = 0;
const LINK_FORMAT = 40;
const SENML_JSON = 110;
/** The M bit of a block option (RFC 7959 §2.2). */
const MORE = 8;
const REPEAT_MS = 2_000;

/** Of /5/0/3 and /5/0/5 (LwM2M object 5 version 1.0). */
const IDLE = "0";
const DOWNLOADED = "2";
const SUCCESS = "1";

const LINKS = "</1/0>,</3/0>,</5/0>,</3303/0>";
/** The same, of one that takes SenML JSON and so can be asked for several things at once. */
export const WITH_SENML = `</>;rt="oma.lwm2m";ct=${SENML_JSON},${LINKS}`;

const METHODS: Readonly<Record<string, string>> = {
  ...{ "0.01": "GET", "0.02": "POST", "0.03": "PUT", "0.04": "DELETE", "0.05": "FETCH" },
};

export interface HandDevice {
  /** `GET /3/0/0`, in their order. */
  readonly asked: readonly string[];
  readonly values: Map<string, string>;
  /** Octets of the firmware that have come. */
  readonly firmware: number;
  /** Notifies of what was observed, with its value of now. */
  notify(path: string): void;
  /** It has restarted into its new firmware. */
  updated(): void;
  /** Answers nothing from now on. */
  sleep(): void;
  /** Is there again, and says so by an Update. */
  wake(): Promise<void>;
  close(): void;
}

export async function lwm2mDevice(
  { coap: port }: Ports,
  endpoint: string,
  {
    binding = "U",
    values = {},
    links = LINKS,
  }: { binding?: string; values?: Readonly<Record<string, string>>; links?: string } = {},
): Promise<HandDevice> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const known = new Map(Object.entries({ "/5/0/3": IDLE, "/5/0/5": "0", ...values }));
  const asked: string[] = [];
  const observed = new Map<string, string>();
  const answers = new Map<number, (answer: WireMessage) => void>();
  let messageId = 1;
  let sequence = 1;
  let firmware = 0;
  let asleep = false;
  let location: readonly string[] = [];
  const send = (bytes: Uint8Array): void => socket.send(bytes, port, "127.0.0.1");

  /** Until it is answered, as RFC 7252 §4.2 does. */
  const ask = async (message: Pick<WireMessage, "options"> & { payload?: Uint8Array }) => {
    const id = messageId++;
    const bytes = writeMessage({ type: CON, code: "0.02", id, token: "0a", ...message });
    const answered = new Promise<WireMessage>((resolve) => answers.set(id, resolve));
    send(bytes);
    const again = setInterval(() => send(bytes), REPEAT_MS);
    const answer = await answered;
    clearInterval(again);
    return answer;
  };

  const value = (path: string): Partial<WireMessage> => {
    const found = known.get(path);
    return found === undefined
      ? { code: "4.04" }
      : { code: "2.05", options: [uintOption(CONTENT_FORMAT, TEXT_PLAIN)], payload: Buffer.from(found) };
  };

  /** What names in SenML ask for (LwM2M 1.1 §6.3.9). */
  const pack = (payload: Uint8Array): Partial<WireMessage> => {
    const names = (JSON.parse(Buffer.from(payload).toString()) as { n: string }[]).map(({ n }) => n);
    const records = names.map((n) => {
      const text = known.get(n) ?? "";
      return Number.isFinite(Number(text)) ? { n, v: Number(text) } : { n, vs: text };
    });
    return {
      ...{ code: "2.05", options: [uintOption(CONTENT_FORMAT, SENML_JSON)] },
      payload: Buffer.from(JSON.stringify(records)),
    };
  };

  /** One block of the package (RFC 7959 §2.5). */
  const block = ({ options, payload }: WireMessage): Partial<WireMessage> => {
    firmware += payload.length;
    const option = options.find(({ number }) => number === BLOCK1);
    const more = option !== undefined && ((option.value.at(-1) ?? 0) & MORE) !== 0;
    if (!more) known.set("/5/0/3", DOWNLOADED);
    return { code: more ? "2.31" : "2.04", options: option === undefined ? [] : [option] };
  };

  const answerTo = (request: WireMessage): Partial<WireMessage> => {
    const path = `/${textsOf(request, URI_PATH).join("/")}`;
    const method = METHODS[request.code] ?? request.code;
    asked.push(`${method} ${path}`);
    if (method === "GET" || method === "FETCH") {
      const answer = method === "GET" ? value(path) : pack(request.payload);
      if (uintOf(request, OBSERVE) !== 0 || answer.code !== "2.05") return answer;
      observed.set(path, request.token);
      return { ...answer, options: [uintOption(OBSERVE, sequence++), ...(answer.options ?? [])] };
    }
    if (method === "PUT" && path === "/5/0/0") return block(request);
    if (method === "PUT") known.set(path, Buffer.from(request.payload).toString());
    if (method === "DELETE") return { code: "2.02" };
    if (method === "POST" && path.lastIndexOf("/") === 0) return { code: "2.01" };
    return { code: "2.04" };
  };

  socket.on("message", (bytes) => {
    if (asleep) return;
    const message = readMessage(bytes);
    const isRequest = message.code.startsWith("0.") && message.code !== "0.00";
    if (!isRequest) {
      answers.get(message.id)?.(message);
      return;
    }
    send(
      writeMessage({
        ...{ type: ACK, code: "2.04", id: message.id, token: message.token, options: [] },
        ...answerTo(message),
      }),
    );
  });

  const notify = (path: string): void => {
    const token = observed.get(path);
    if (token === undefined) throw new Error(`${path} is not observed`);
    const { code = "", options = [], payload = Buffer.of() } = value(path);
    const said = { type: NON, code, id: messageId++, token, payload };
    send(writeMessage({ ...said, options: [uintOption(OBSERVE, sequence++), ...options] }));
  };

  const registered = await ask({
    options: [
      textOption(URI_PATH, "rd"),
      uintOption(CONTENT_FORMAT, LINK_FORMAT),
      ...[`ep=${endpoint}`, "lt=600", "lwm2m=1.1", `b=${binding}`].map((part) => textOption(URI_QUERY, part)),
    ],
    payload: Buffer.from(links),
  });
  if (registered.code !== "2.01") throw new Error(`${registered.code} ${Buffer.from(registered.payload)}`);
  location = textsOf(registered, LOCATION_PATH);

  return {
    asked,
    values: known,
    get firmware() {
      return firmware;
    },
    notify,
    updated(): void {
      known.set("/5/0/3", IDLE);
      known.set("/5/0/5", SUCCESS);
      notify("/5/0/5");
    },
    sleep(): void {
      asleep = true;
    },
    async wake(): Promise<void> {
      asleep = false;
      await ask({ options: location.map((part) => textOption(URI_PATH, part)) });
    },
    close: () => socket.close(),
  };
}
