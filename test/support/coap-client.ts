/** A CoAP client of its own making for simulations: it retransmits, acknowledges and orders as the RFCs ask. */
import { type Heard, heard, packet, type Sent } from "./coap-device.ts";
import type { DatagramNetwork, World } from "./world.ts";

interface Open {
  readonly bytes: Uint8Array;
  readonly token: string;
  readonly done: (answer: Heard | undefined) => void;
  due: number;
  timeout: number;
  tries: number;
}

export interface Weather {
  /** Chance that a datagram is lost, and that it comes twice. */
  readonly loss: number;
  readonly twice: number;
  /** Longest delay in milliseconds; different delays reorder. */
  readonly delay: number;
}

/** A lossy network between simulated clients and a gateway, all in virtual time. */
export class RoughNetwork {
  weather: Weather;
  readonly world: World;
  readonly #network: DatagramNetwork;
  readonly #flying: { at: number; arrive: () => void }[] = [];
  readonly #clients: SimulatedClient[] = [];

  constructor(world: World, network: DatagramNetwork, weather: Weather) {
    this.world = world;
    this.#network = network;
    this.weather = weather;
    network.toDevice = (datagram) => {
      const bytes = Uint8Array.from(datagram.bytes);
      this.#fly(() => network.arrive({ ...datagram, bytes }));
    };
  }

  client(port: number): SimulatedClient {
    const client = new SimulatedClient(this, port);
    this.#network.attach("10.0.0.1", port, (bytes) => client.receive(bytes));
    this.#clients.push(client);
    return client;
  }

  toGateway(bytes: Uint8Array, port: number): void {
    this.#fly(() => this.#network.deliver(Uint8Array.from(bytes), "10.0.0.1", port));
  }

  /** Lets time pass in steps of 10 ms, so that whatever is due happens close to its time. */
  run(milliseconds: number): void {
    const end = this.world.now + milliseconds;
    while (this.world.now < end) {
      this.world.advance(10 as never);
      const now = this.world.now;
      for (const client of this.#clients) client.tick(now);
      for (let index = 0; index < this.#flying.length; index++) {
        const each = this.#flying[index];
        if (each === undefined || each.at > now) continue;
        this.#flying.splice(index--, 1);
        each.arrive();
      }
    }
  }

  #fly(arrive: () => void): void {
    const { random } = this.world;
    const { loss, twice, delay } = this.weather;
    for (let copies = random() < twice ? 2 : 1; copies > 0; copies--) {
      if (random() >= loss) this.#flying.push({ at: this.world.now + random() * delay, arrive });
    }
  }
}

const SEQUENCE = 0x1000000;

export class SimulatedClient {
  readonly #network: RoughNetwork;
  readonly #port: number;
  readonly #open = new Map<number, Open>();
  /** Message ids of CONs that were heard, with the ACK that was sent. */
  readonly #heard = new Set<number>();
  readonly #observing = new Map<string, { sequence: number; at: number; take: (payload: string) => void }>();
  #id = 1;

  constructor(network: RoughNetwork, port: number) {
    this.#network = network;
    this.#port = port;
  }

  request(sent: Sent, done: Open["done"] = () => {}): void {
    const id = this.#id++ & 0xffff;
    const bytes = packet({ ...sent, type: "CON", id });
    const timeout = 2000 + this.#network.world.random() * 1000;
    const due = this.#network.world.now + timeout;
    this.#open.set(id, { bytes, token: sent.token ?? "", done, due, timeout, tries: 0 });
    this.#network.toGateway(bytes, this.#port);
  }

  /** Registers, and again whenever it is called with the same token. */
  observe(path: string, token: string, take: (payload: string) => void): void {
    if (!this.#observing.has(token)) this.#observing.set(token, { sequence: -1, at: 0, take });
    this.request({ path, token, options: [[6, 0]] }, (answer) => {
      if (answer !== undefined) this.#notified(answer);
    });
  }

  tick(now: number): void {
    for (const [id, open] of this.#open) {
      if (open.due > now) continue;
      if (open.tries === 4) {
        this.#open.delete(id);
        open.done(undefined);
        continue;
      }
      open.tries++;
      open.timeout *= 2;
      open.due = now + open.timeout;
      this.#network.toGateway(open.bytes, this.#port);
    }
  }

  receive(bytes: Uint8Array): void {
    const message = heard(bytes);
    const open = this.#open.get(message.id);
    if (message.code === "0.00") {
      if (message.type === "CON") this.#empty("RST", message.id);
      else if (message.type === "RST" && open !== undefined) this.#open.delete(message.id);
      return;
    }
    if (message.type === "ACK") {
      if (open === undefined || open.token !== message.token) return;
      this.#open.delete(message.id);
      open.done(message);
      return;
    }
    const known = this.#observing.has(message.token);
    if (message.type === "CON") this.#empty(known ? "ACK" : "RST", message.id);
    if (!known || this.#heard.has(message.id)) return;
    this.#heard.add(message.id);
    this.#notified(message);
  }

  #notified(message: Heard): void {
    const observing = this.#observing.get(message.token);
    const sequence = message.number(6);
    if (observing === undefined || sequence === undefined) return;
    const { now } = this.#network.world;
    const ahead = (sequence - observing.sequence + SEQUENCE) % SEQUENCE;
    const newer =
      observing.sequence < 0 || (ahead > 0 && ahead < SEQUENCE / 2) || now > observing.at + 128_000;
    if (!newer) return;
    observing.sequence = sequence;
    observing.at = now;
    observing.take(message.payload);
  }

  #empty(type: "ACK" | "RST", id: number): void {
    this.#network.toGateway(packet({ type, code: "0.00", id }), this.#port);
  }
}
