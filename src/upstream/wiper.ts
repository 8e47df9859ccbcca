import { type Instant, inSeconds } from "../lib/time.ts";
import type { ConnectPacket } from "../mqtt/packets.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import type { SessionInfo } from "./server-choice.ts";
import { Uplink, type UplinkUser } from "./uplink.ts";

/** What CONNECT needs to reach a session. */
export type Credentials = Pick<ConnectPacket, "clientId" | "username" | "password">;

/** Connects once as somebody who is gone, so that the server forgets the session. */
export class Wiper implements UplinkUser {
  readonly subscribing = false;
  readonly exchanges = undefined;
  readonly #context: UpstreamContext;
  readonly #info: SessionInfo;
  readonly #credentials: Credentials;
  readonly #uplink: Uplink;

  constructor(context: UpstreamContext, info: SessionInfo, credentials: Credentials) {
    this.#context = context;
    this.#info = info;
    this.#credentials = credentials;
    this.#uplink = new Uplink(context, this);
  }

  start(now: Instant): void {
    this.#uplink.start(now);
  }

  info(): SessionInfo {
    return this.#info;
  }

  application(version: 4 | 5): ConnectPacket {
    const keepAlive = inSeconds(this.#context.options.keepAlive);
    const properties = {};
    return {
      version,
      bridge: false,
      cleanStart: true,
      keepAlive,
      properties,
      will: undefined,
      ...this.#credentials,
    };
  }

  up(_link: unknown, _connack: unknown, now: Instant): void {
    this.#uplink.stop(ReasonCode.success, {}, now);
  }

  down(): void {}

  /** Its client may be back by then: it is not tried again. */
  missed(_why: string, _connack: unknown, now: Instant): void {
    this.#uplink.abandon(now);
  }

  denied(): void {}
  dismissed(): void {}
  writable(): void {}
  challenged(): void {}
  arrived(): void {}
  acknowledged(): void {}
  subscribed(): void {}
  unsubscribed(): void {}
  ponged(): void {}
}
