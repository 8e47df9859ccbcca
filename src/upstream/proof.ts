/** A login of several messages (MQTT 5 §4.12), which a device has with its server: what each says goes to the other. */
import type { Exchange } from "../contract/client.ts";
import { copyOf, NO_BYTES } from "../lib/bytes.ts";
import type { ReasonPacket } from "../mqtt/packets.ts";
import type { Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";

export class Proof {
  readonly #exchange: Exchange;
  readonly #done: () => void;
  /** The device has answered something of this connection, which it will not answer again on another one. */
  begun = false;

  /** `done`: the server is content, where it is not CONNACK that says so. */
  constructor(exchange: Exchange, done: () => void = () => {}) {
    this.#exchange = exchange;
    this.#done = done;
  }

  /** Of the packet that begins it. */
  get properties(): Properties {
    const { method, data } = this.#exchange;
    return { authenticationMethod: method, authenticationData: data };
  }

  /** AUTH of the server. False: it speaks of another method [MQTT-4.12.0-5]. */
  heard({ reason, properties }: ReasonPacket, say: (auth: ReasonPacket) => void): boolean {
    const authenticationMethod = this.#exchange.method;
    if (properties.authenticationMethod !== authenticationMethod) return false;
    if (reason === ReasonCode.success) {
      this.succeeded(properties);
      this.#done();
      return true;
    }
    this.begun = true;
    this.#exchange.challenge(copyOf(properties.authenticationData ?? NO_BYTES), (authenticationData) => {
      if (authenticationData === undefined) return;
      say({
        reason: ReasonCode.continueAuthentication,
        properties: { authenticationMethod, authenticationData },
      });
    });
    return true;
  }

  /** What goes with CONNACK, or with the last AUTH. */
  succeeded({ authenticationData }: Readonly<Properties>): void {
    if (authenticationData !== undefined) this.#exchange.success(copyOf(authenticationData));
  }
}
