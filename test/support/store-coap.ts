/** CoAP on a real socket, for a gateway that is killed: a request is repeated until it is answered, and nothing else is sent before. */
import { createSocket } from "node:dgram";
import {
  ACK,
  CON,
  RST,
  readMessage,
  textOption,
  uintOf,
  uintOption,
  type WireMessage,
  writeMessage,
} from "./coap-bytes.ts";

/** Shorter than ACK_TIMEOUT (RFC 7252 §4.8): the network is this machine. */
const REPEAT_MS = 100;
const OBSERVE = 6;
const URI_PATH = 11;
const URI_QUERY = 15;
const ACCEPT = 17;
const TEXT = 0;

type Request = Pick<WireMessage, "code" | "options"> & { readonly payload?: string };

export class CoapSocket {
  readonly #socket = createSocket("udp4");
  readonly #port: number;
  readonly #answers = new Map<string, (answer: WireMessage) => void>();
  readonly #notified = new Map<string, { sequence: number; readonly take: (payload: string) => void }>();
  #id = Math.floor(Math.random() * 30_000);
  #closed = false;
  /** A request of the gateway, answered with what this returns. */
  asked: (request: WireMessage) => Omit<WireMessage, "type" | "id" | "token"> | undefined = () => undefined;

  constructor(port: number) {
    this.#port = port;
    this.#socket.on("message", (bytes) => this.#receive(readMessage(bytes)));
    // Nobody listens while the gateway is down.
    this.#socket.on("error", () => {});
  }

  /** Resolves with the code of the first answer that is a success; what else comes is taken for trouble of the moment. */
  put(topic: string, payload: string): Promise<string> {
    const path = ["ps", ...topic.split("/")].map((segment) => textOption(URI_PATH, segment));
    const options = [...path, textOption(URI_QUERY, "retain=true"), textOption(URI_QUERY, "qos=1")];
    return this.request({ code: "0.03", options, payload }).then(({ code }) => code);
  }

  /** Registers once; `take` hears the first value and those that follow, until the gateway dies. */
  async observe(topic: string, take: (payload: string) => void): Promise<void> {
    const path = ["ps", ...topic.split("/")].map((segment) => textOption(URI_PATH, segment));
    const options = [uintOption(OBSERVE, 0), ...path, uintOption(ACCEPT, TEXT)];
    await this.request({ code: "0.01", options }, take);
  }

  /** The same message, id and token, until a success answers it, also across processes (RFC 7252 §4.2). */
  request(request: Request, take?: (payload: string) => void): Promise<WireMessage> {
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const token = id.toString(16).padStart(4, "0");
    const payload = Buffer.from(request.payload ?? "");
    const bytes = writeMessage({ type: CON, id, token, ...request, payload });
    if (take !== undefined) this.#notified.set(token, { sequence: -1, take });
    return new Promise((resolve) => {
      const send = (): void => {
        if (!this.#closed) this.#socket.send(bytes, this.#port, "127.0.0.1", () => {});
      };
      const timer = setInterval(send, REPEAT_MS);
      timer.unref();
      this.#answers.set(token, (answer) => {
        if (!answer.code.startsWith("2.")) return;
        clearInterval(timer);
        this.#answers.delete(token);
        resolve(answer);
      });
      send();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #receive(message: WireMessage): void {
    const { type, code, id, token } = message;
    const [group] = code;
    if (group === "0" && code !== "0.00") {
      const answer = this.asked(message);
      if (answer === undefined) return;
      this.#send(writeMessage({ ...answer, type: ACK, id, token }));
      return;
    }
    if (code === "0.00") {
      // A ping (RFC 7252 §4.3): more than three times what was sent from here comes only behind its answer (RFC 9175 §2.4).
      if (type === CON) this.#send(writeMessage({ type: RST, code, id }));
      return;
    }
    if (type === CON) this.#send(writeMessage({ type: ACK, code: "0.00", id }));
    this.#answers.get(token)?.(message);
    if (group === "2") this.#notify(message);
  }

  /** Not what has been overtaken, as the answer to a repeated request may be (RFC 7641 §3.4). */
  #notify(message: WireMessage): void {
    const observing = this.#notified.get(message.token);
    const sequence = uintOf(message, OBSERVE);
    if (observing === undefined || sequence === undefined || sequence <= observing.sequence) return;
    observing.sequence = sequence;
    observing.take(Buffer.from(message.payload).toString());
  }

  #send(bytes: Uint8Array): void {
    if (!this.#closed) this.#socket.send(bytes, this.#port, "127.0.0.1", () => {});
  }
}
