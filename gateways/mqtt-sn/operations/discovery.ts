/** ADVERTISE, SEARCHGW and GWINFO (MQTT-SN 1.2 §6.1). */
import type { Endpoint, Route } from "#core/contract/endpoint.ts";
import { inSeconds } from "#core/lib/time.ts";
import { encode, encodeEncapsulated } from "../encode.ts";
import { ADVERTISE, GWINFO } from "../packets.ts";
import type { Setup } from "../setup.ts";

const NO_ADDRESS = new Uint8Array(0);
/** The two bits of the Ctrl octet. */
const RADIUS_MAX = 3;

/** One listener's discovery; a stand-by gateway listens to the beat of another one. */
export class Discovery {
  readonly #setup: Setup;
  readonly #gwinfo: Uint8Array;
  #beatsUnheard = 0;
  /** GWINFO of others. */
  #infos = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    // Sent by a gateway, GWINFO has no address in it (§5.4.3).
    this.#gwinfo = encode({ type: GWINFO, gatewayId: setup.config.gatewayId, address: NO_ADDRESS });
  }

  /** For `Endpoint.beacon`. The duration told is the real one, and there is none while the bus is down. */
  beacon(): Endpoint["beacon"] {
    const { gatewayId, discovery } = this.#setup.config;
    if (!discovery.advertise) return undefined;
    const bytes = encode({ type: ADVERTISE, gatewayId, duration: inSeconds(discovery.interval) });
    return {
      period: discovery.interval,
      bytes: () => (this.#setup.host.healthy() && this.#isOurTurn() ? bytes : undefined),
    };
  }

  /**
   * `node`: who asked from behind a forwarder, which is told the radius (§5.5). `toAll`: it was not sent to us alone, as
   * far as we know.
   */
  answer(radius: number, node: Uint8Array | undefined, toAll: boolean): Route {
    const { search, broadcastInfo, searchDelay } = this.#setup.config.discovery;
    if (!search) return { to: "nobody", why: "discovery is off" };
    if (!this.#setup.host.healthy()) return { to: "nobody", why: "the bus is down" };
    if (node !== undefined) {
      return { to: "sender", bytes: encodeEncapsulated(Math.min(radius, RADIUS_MAX), node, this.#gwinfo) };
    }
    const heard = this.#infos;
    const leisure = { most: searchDelay, wanted: () => this.#infos === heard };
    return {
      to: "sender",
      bytes: this.#gwinfo,
      ...(broadcastInfo ? { broadcast: true } : {}),
      ...(toAll && searchDelay > 0 ? { leisure } : {}),
    };
  }

  /** A GWINFO from elsewhere: whoever searches has found a gateway. */
  informed(gatewayId: number): void {
    if (gatewayId !== this.#setup.config.gatewayId) this.#infos++;
  }

  /** An ADVERTISE from elsewhere: another gateway is active. Our own, heard on the broadcast address, is not. */
  heard(gatewayId: number): void {
    if (gatewayId !== this.#setup.config.gatewayId) this.#beatsUnheard = 0;
  }

  #isOurTurn(): boolean {
    const { standby, missed } = this.#setup.config.discovery;
    if (!standby) return true;
    if (this.#beatsUnheard < missed) this.#beatsUnheard++;
    return this.#beatsUnheard >= missed;
  }
}
