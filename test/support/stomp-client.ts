import { UnitConversion } from "#core/config/convert.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import { fillDefaults } from "#core/settings/defaults.ts";
import type { JsonSchema } from "#core/settings/json-schema.ts";
import { type StompConfig, stompSchema } from "#gateways/stomp/config.ts";
import { stomp } from "#gateways/stomp/index.ts";
import { FrameReader, frame, header, type ServerFrame } from "./stomp-frames.ts";
import type { StreamListener, VirtualStream, World } from "./world.ts";

/** The configuration as the loader would make it. */
export function stompConfig(given: Record<string, unknown> = {}): StompConfig {
  const tree = fillDefaults(stompSchema as unknown as JsonSchema, given);
  const units = new UnitConversion(() => undefined);
  const config = units.convert(stompSchema as unknown as JsonSchema, tree) as StompConfig;
  if (units.problems.length > 0) throw new Error(JSON.stringify(units.problems));
  return config;
}

/** A STOMP listener in a world. */
export function stompListener(
  world: World,
  config: Record<string, unknown> = {},
  policy: Partial<ListenerPolicy> = {},
  transport: "tcp" | "ws" = "tcp",
): StreamListener {
  const gateway = world.open(stomp, stompConfig(config));
  return world.streams("stomp", gateway.endpoint({ name: "test", transport }), policy);
}

/** A scripted client: says what it is told, shows what it was answered. */
export class StompClient {
  readonly stream: VirtualStream;
  readonly reader = new FrameReader();
  readonly #frames: ServerFrame[] = [];

  constructor(listener: StreamListener, peer: Partial<Peer> = {}) {
    this.stream = listener.connect(peer);
  }

  /** Connects and logs in. */
  static connected(
    listener: StreamListener,
    headers: Record<string, string> = {},
    version = "1.2",
    peer: Partial<Peer> = {},
  ): StompClient {
    const client = new StompClient(listener, peer);
    client.login(headers, version);
    return client;
  }

  login(headers: Record<string, string> = {}, version = "1.2"): ServerFrame {
    this.reader.version = version;
    const accept: Record<string, string> =
      version === "1.0" ? {} : { "accept-version": version, host: "isthmus" };
    this.say("CONNECT", { ...accept, ...headers });
    const answer = this.next();
    if (answer?.command !== "CONNECTED") throw new Error(`not connected: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** One frame; without content-length. */
  say(command: string, headers: Record<string, string> = {}, body: string | Uint8Array = ""): void {
    this.stream.send(frame(command, headers, body));
  }

  /** Bytes as they are. */
  raw(bytes: string | Uint8Array): void {
    this.stream.send(Buffer.from(bytes));
  }

  /** All frames since the last call. */
  heard(): ServerFrame[] {
    this.#read();
    return this.#frames.splice(0);
  }

  /** The next frame, or undefined. */
  next(): ServerFrame | undefined {
    this.#read();
    return this.#frames.shift();
  }

  /** The bodies of all MESSAGE frames since the last call. */
  bodies(): string[] {
    return this.heard()
      .filter(({ command }) => command === "MESSAGE")
      .map(({ body }) => body.toString("utf8"));
  }

  get closed(): boolean {
    return this.stream.closed;
  }

  #read(): void {
    this.#frames.push(...this.reader.push(this.stream.takeBytes()));
  }
}

/** A frame in one line, for expectations: `RECEIPT receipt-id=1`. */
export const brief = (one: ServerFrame | undefined, ...names: string[]): string =>
  one === undefined
    ? "nothing"
    : [one.command, ...names.map((name) => `${name}=${header(one, name)}`)].join(" ");
