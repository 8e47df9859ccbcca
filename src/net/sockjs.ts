import type { IncomingMessage, ServerResponse } from "node:http";
import type { Peer } from "../contract/peer.ts";
import { type Expiring, sweep } from "./sweep.ts";
import type { SocketLimits } from "./tcp.ts";
import type { StreamConnection, StreamReceiver } from "./transport.ts";

/** How long a session lives without a request that waits for messages, in milliseconds (SockJS's disconnect delay). */
const DISCONNECT_DELAY = 5000;
/** A stream ends after so many octets and the client asks anew: browsers keep all of a response in memory. */
const STREAM_OCTETS_MAX = 128 * 1024;
/** Messages of the client that wait because reading is paused; the client sends one at a time. */
const WAITING_MAX = 16;
const PRELUDE = "h".repeat(2048);

/** How a response carries messages. */
export interface Carriage {
  readonly method: "GET" | "POST";
  readonly type: string;
  readonly prelude: string;
  readonly before: string;
  readonly after: string;
  /** It goes on after the first message. */
  readonly streams: boolean;
}

const JAVASCRIPT = "application/javascript; charset=UTF-8";
/** The transports of SockJS that are plain HTTP, by the last segment of their path. */
export const CARRIAGES: Readonly<Record<string, Carriage>> = {
  xhr: { method: "POST", type: JAVASCRIPT, prelude: "", before: "", after: "\n", streams: false },
  xhr_streaming: {
    method: "POST",
    type: JAVASCRIPT,
    prelude: `${PRELUDE}\n`,
    before: "",
    after: "\n",
    streams: true,
  },
  eventsource: {
    method: "GET",
    type: "text/event-stream; charset=UTF-8",
    prelude: "\r\n",
    before: "data: ",
    after: "\r\n\r\n",
    streams: true,
  },
};

/** A response that waits for messages. */
interface Waiting {
  readonly response: ServerResponse;
  readonly carriage: Carriage;
  sent: number;
}

/** What a client has sent, and the response that says it was taken. */
interface Sending {
  readonly bytes: Uint8Array;
  readonly response: ServerResponse;
}

/**
 * One SockJS session over plain HTTP. To the runtime it is a connection that comes in messages, as a WebSocket is: a
 * response that waits carries what is written, and each body of `xhr_send` is one message.
 */
export class SockJsSession implements StreamConnection, Expiring {
  readonly peer: Peer;
  expiresAt = 0;
  receiver: StreamReceiver | undefined = undefined;
  readonly #limits: SocketLimits;
  readonly #gone: () => void;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #waiting: Waiting | undefined = undefined;
  readonly #inbox: Sending[] = [];
  /** What has come of bodies, and of messages that wait because reading is paused. */
  #gathered = 0;
  #paused = false;
  #congested = false;
  #state: "open" | "ending" | "closed" = "open";

  /** `gone`: nothing more can come of it, and its name is free. */
  constructor(peer: Peer, limits: SocketLimits, gone: () => void) {
    this.peer = peer;
    this.#limits = limits;
    this.#gone = gone;
  }

  // ---- the runtime's side

  write(bytes: Uint8Array, written?: () => void): boolean {
    if (this.#state === "open") {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      this.#flush();
    }
    written?.();
    if (this.backlog <= this.#limits.highWaterMark) return true;
    this.#congested = true;
    return false;
  }

  get backlog(): number {
    return this.#queued + (this.#waiting?.response.writableLength ?? 0);
  }

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    this.#read();
  }

  /** What is queued, and with it the closing frame, may still be fetched for a while. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#expect(this.#limits.linger);
    this.#flush();
  }

  destroy(): void {
    this.#close();
  }

  // ---- requests

  /** A request that waits for messages. */
  wait(response: ServerResponse, carriage: Carriage): void {
    if (this.#waiting !== undefined) {
      begin(response, carriage);
      finish(response, carriage, 'c[2010,"Another connection still open"]');
      return;
    }
    if (this.#state === "open") this.#forgetExpiry();
    this.#waiting = { response, carriage, sent: 0 };
    response.on("error", () => {});
    begin(response, carriage);
    response.on("drain", () => this.#drained());
    response.on("close", () => {
      // One that did not come to its end has lost what was written to it.
      if (this.#waiting?.response === response) this.#close("connection interrupted");
    });
    this.#flush();
  }

  /** So much more has come of a body, or less is held of it. */
  gather(more: number): void {
    this.#gathered += more;
    this.receiver?.gathering?.(this.#gathered);
  }

  /** A message of the client. */
  take(bytes: Uint8Array, response: ServerResponse): void {
    if (this.#state !== "open") {
      answer(response, 404, "");
    } else if (this.#inbox.length >= WAITING_MAX) {
      answer(response, 503, "too many messages at a time");
    } else {
      this.#inbox.push({ bytes, response });
      this.gather(bytes.length);
      this.#read();
    }
  }

  /** Nobody waits for messages any more. */
  expired(): void {
    this.#close(this.#state === "open" ? "the client stays away" : undefined);
  }

  #read(): void {
    while (!this.#paused && this.#state === "open") {
      const next = this.#inbox.shift();
      if (next === undefined) return;
      answer(next.response, 204, "");
      this.#gathered -= next.bytes.length;
      this.receiver?.gathering?.(this.#gathered);
      this.receiver?.received(next.bytes);
    }
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    if (this.#queue.length > 0) {
      const { carriage, response } = waiting;
      const parts = this.#queue.flatMap((frame) => [carriage.before, frame, carriage.after]);
      const bytes = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
      this.#queue.length = 0;
      this.#queued = 0;
      waiting.sent += bytes.length;
      response.write(bytes);
      if (this.#state === "ending") this.#close();
      else if (!carriage.streams || waiting.sent >= STREAM_OCTETS_MAX) this.#release();
      if (this.backlog === 0) this.#drained();
    } else if (this.#state === "ending") this.#close();
  }

  /** Ends the response; the client asks anew. */
  #release(): void {
    const { response } = this.#waiting as Waiting;
    this.#waiting = undefined;
    response.end();
    this.#expect(DISCONNECT_DELAY);
  }

  #drained(): void {
    if (!this.#congested || this.backlog > this.#limits.highWaterMark) return;
    this.#congested = false;
    this.receiver?.drained();
  }

  #expect(delay: number): void {
    this.#forgetExpiry();
    this.expiresAt = performance.now() + delay;
    sweep.add(this);
  }

  #forgetExpiry(): void {
    if (this.expiresAt !== 0) sweep.delete(this);
    this.expiresAt = 0;
  }

  #close(error?: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#forgetExpiry();
    this.#waiting?.response.end();
    this.#waiting = undefined;
    for (const { response } of this.#inbox.splice(0)) answer(response, 404, "");
    this.#gone();
    const { receiver } = this;
    this.receiver = undefined;
    receiver?.closed(error);
  }
}

function begin(response: ServerResponse, { type, prelude }: Carriage): void {
  response.writeHead(200, { "content-type": type });
  if (prelude === "") response.flushHeaders();
  else response.write(prelude);
}

export function finish(response: ServerResponse, { before, after }: Carriage, frame: string): void {
  response.end(`${before}${frame}${after}`);
}

export function answer(response: ServerResponse, status: number, text: string, type = "text/plain"): void {
  response.writeHead(status, { "content-type": `${type}; charset=UTF-8` });
  response.end(text);
}

/** A request for which no session is there to answer. */
export function decline(response: ServerResponse, carriage: Carriage, frame: string): void {
  begin(response, carriage);
  finish(response, carriage, frame);
}

/** Reads a body of at most `limit` octets; undefined when it is longer, or the client went away. `gather`: so much more is held. */
export function readBody(
  request: IncomingMessage,
  limit: number,
  gather: (more: number) => void,
  done: (body: Uint8Array | undefined) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const stop = (body: Uint8Array | undefined) => {
    request.removeAllListeners("data").removeAllListeners("end").removeAllListeners("close");
    gather(-length);
    done(body);
  };
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length > limit) {
      length -= chunk.length;
      stop(undefined);
    } else {
      chunks.push(chunk);
      gather(chunk.length);
    }
  });
  request.on("end", () => stop(new Uint8Array(Buffer.concat(chunks))));
  request.on("close", () => stop(undefined));
}
