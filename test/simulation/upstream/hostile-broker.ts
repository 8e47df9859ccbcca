/**
 * A broker written to be bad company, in virtual time and from a seed. It keeps sessions as MQTT asks of it; what it says
 * comes late, twice, in another order, cut off at any octet or not at all. With lies it says what is not so besides: wrong
 * packet ids, reason codes and types, octets that are no MQTT, a second CONNACK.
 */
import mqttPacket from "mqtt-packet";
import { topicMatches } from "#core/bus/topic.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, milliseconds } from "#core/lib/time.ts";
import { DialError, type StreamConnection, type StreamReceiver } from "#core/net/transport.ts";
import type { Server } from "#core/upstream/server-choice.ts";
import type { AnyPacket } from "../../support/mqtt-device.ts";
import { type PipeEnd, virtualPipe } from "../../support/virtual-pipe.ts";
import type { World } from "../../support/world.ts";
import { lieAbout } from "./lies.ts";

/** How often which misdeed is done: chances from 0 to 1 for each packet that the broker says. */
export interface Mood {
  readonly delay: number;
  readonly swap: number;
  readonly repeat: number;
  readonly cut: number;
  /** From now on it hears and says nothing on this connection. */
  readonly mute: number;
  /** It goes on answering PINGREQ, and nothing else. */
  readonly sulk: number;
  readonly lie: number;
  /** Nobody can connect. */
  readonly refuse: number;
  /** More in flight than the client's Receive Maximum. */
  readonly overshoot: number;
  /** It says that it has a session whose connection broke, and sends it nothing until the client throws it away. */
  readonly deaf: number;
}

export const GENTLE: Mood = {
  ...{ delay: 0, swap: 0, repeat: 0, cut: 0, mute: 0, sulk: 0, lie: 0, refuse: 0, overshoot: 0, deaf: 0 },
};

/** What may come in another order: who waits for it knows it by its id. */
const OVERTAKEN: ReadonlySet<string> = new Set(["puback", "suback", "unsuback"]);

interface Held {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 1 | 2;
}

/** One client's session as a broker keeps it. */
class Kept {
  readonly filters = new Map<string, 0 | 1 | 2>();
  queue: Held[] = [];
  readonly inFlight = new Map<number, { held: Held; stage: "publish" | "release" }>();
  /** QoS 2 messages of the client that it has not released. */
  readonly received = new Set<number>();
  link: Link | undefined = undefined;
  endsWithLink = false;
  deaf = false;
  /** Its connection broke, and nobody has come back to it since. */
  broken = false;
  #lastId = 0;

  nextId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.inFlight.has(this.#lastId));
    return this.#lastId;
  }
}

export class HostileBroker {
  mood: Mood = GENTLE;
  /** Payloads that were acknowledged: as the gateway has heard it, octet for octet. */
  readonly acknowledged = new Set<string>();
  /** How often each payload was taken: a repeat of a QoS 2 message is not. */
  readonly accepted = new Map<string, number>();
  readonly sessions = new Map<string, Kept>();
  /** CONNECTs of each client. */
  readonly connects = new Map<string, number>();
  readonly misdeeds = new Map<string, number>();
  readonly world: () => World;
  readonly random: () => number;
  readonly #links = new Set<Link>();
  #ports = 1;

  constructor(world: () => World, random: () => number) {
    this.world = world;
    this.random = random;
  }

  readonly server: Server = {
    name: "tcp://hostile:1883",
    version: "auto",
    caps: { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" },
    dial: (connected, failed) => {
      let cancelled = false;
      this.world().defer(() => {
        if (cancelled) return;
        if (this.chance("refuse")) failed(new DialError("connection-refused", "nobody listens"));
        else this.#connect(connected);
      });
      return {
        cancel: () => {
          cancelled = true;
        },
      };
    },
  };

  #connect(connected: (connection: StreamConnection) => StreamReceiver | undefined): void {
    const defer = (run: () => void) => this.world().defer(run);
    const here = { transport: "tcp", address: "10.9.9.9", port: this.#ports++ } as const;
    const [ours, theirs] = virtualPipe({ ...here, port: 1883 }, here, defer);
    const tap = new Tap(this.acknowledged);
    const write = ours.write.bind(ours);
    ours.write = (bytes, written) => {
      tap.said(bytes);
      return write(bytes, written);
    };
    const receiver = connected(ours);
    if (receiver === undefined) {
      ours.end();
      return;
    }
    ours.receiver = {
      received: (bytes) => {
        tap.heard(bytes);
        receiver.received(bytes);
      },
      drained: () => receiver.drained(),
      ended: () => receiver.ended(),
      closed: (error) => receiver.closed(error),
    };
    const link = new Link(this, theirs);
    this.#links.add(link);
    theirs.receiver = {
      received: (bytes) => link.receive(bytes),
      drained: () => {},
      ended: () => this.gone(link),
      closed: () => this.gone(link),
    };
  }

  gone(link: Link): void {
    link.open = false;
    this.#links.delete(link);
    const { kept, clientId } = link;
    if (kept?.link !== link) return;
    kept.link = undefined;
    if (kept.endsWithLink) this.sessions.delete(clientId);
  }

  /** Those are served as they should be, whatever becomes of others. */
  isCalm = (clientId: string): boolean => clientId.startsWith("calm");

  /** A sleeper is never with its server for long enough that anybody could notice that it is sent nothing. */
  staysAwake = (clientId: string): boolean => /^(mqtt|stomp)-/.test(clientId);

  chance(what: keyof Mood): boolean {
    if (this.mood[what] === 0 || this.random() >= this.mood[what]) return false;
    this.count(what);
    return true;
  }

  count(misdeed: string): void {
    this.misdeeds.set(misdeed, (this.misdeeds.get(misdeed) ?? 0) + 1);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }

  accept(topic: string, payload: string): void {
    this.accepted.set(payload, (this.accepted.get(payload) ?? 0) + 1);
    this.publish(topic, payload, 1);
  }

  /** To whoever has subscribed. */
  publish(topic: string, payload: string, qos: 1 | 2): void {
    for (const kept of this.sessions.values()) {
      const granted = [...kept.filters].filter(([filter]) => topicMatches(filter, topic));
      const most = Math.min(qos, Math.max(0, ...granted.map(([, level]) => level)));
      if (most === 0) continue;
      kept.queue.push({ topic, payload, qos: most as 1 | 2 });
      kept.link?.pump();
    }
  }

  /** Breaks all connections but those of the calm. */
  cutAll(): void {
    for (const link of [...this.#links]) if (!this.isCalm(link.clientId)) link.cut();
  }

  /** As after a restart without persistence. */
  forgetAll(): void {
    for (const [clientId, kept] of this.sessions) {
      if (this.isCalm(clientId)) continue;
      kept.link?.cut();
      this.sessions.delete(clientId);
    }
  }

  /** All is well from now on; who was left without an answer finds the connection gone. */
  heal(): void {
    this.mood = GENTLE;
    this.cutAll();
  }
}

/** The broker's end of one connection. */
export class Link {
  readonly broker: HostileBroker;
  clientId = "";
  kept: Kept | undefined = undefined;
  version: 4 | 5 = 4;
  open = true;
  #receiveMaximum = 65_535;
  #mute = false;
  #sulks = false;
  /** Nothing said later may arrive before this. */
  #lastAt = 0;
  readonly #end: PipeEnd;
  readonly #parser = mqttPacket.parser();

  constructor(broker: HostileBroker, end: PipeEnd) {
    this.broker = broker;
    this.#end = end;
    this.#parser.on("packet", (packet) => this.#handle(packet as unknown as AnyPacket));
    this.#parser.on("error", (error) => {
      throw new Error(`the gateway has sent what is no MQTT: ${error.message}`);
    });
  }

  get #calm(): boolean {
    return this.broker.isCalm(this.clientId);
  }

  receive(bytes: Uint8Array): void {
    if (this.open && !this.#mute) this.#parser.parse(Buffer.from(bytes));
  }

  cut(): void {
    this.open = false;
    if (this.kept?.link === this) this.kept.broken = true;
    if (this.broker.random() < 0.5) this.#end.cut("connection reset");
    else this.#end.end();
    this.broker.gone(this);
  }

  // ---- what it does as a broker

  #handle(packet: AnyPacket): void {
    if (!this.open || this.#mute) return;
    const id = packet["messageId"] as number;
    const { kept, broker } = this;
    if (packet.cmd === "connect") {
      this.#welcome(packet);
      return;
    }
    if (kept === undefined) throw new Error(`the gateway has sent ${packet.cmd} before CONNECT`);
    switch (packet.cmd) {
      case "publish":
        this.#take(packet, kept, id);
        break;
      case "pubrel":
        kept.received.delete(id);
        this.say({ cmd: "pubcomp", messageId: id });
        break;
      case "puback":
      case "pubcomp":
        kept.inFlight.delete(id);
        this.pump();
        break;
      case "pubrec": {
        const flight = kept.inFlight.get(id);
        if (((packet["reasonCode"] as number | undefined) ?? 0) >= 0x80) {
          kept.inFlight.delete(id);
          this.pump();
          break;
        }
        if (flight !== undefined) flight.stage = "release";
        this.say({ cmd: "pubrel", messageId: id });
        break;
      }
      case "subscribe": {
        const asked = packet["subscriptions"] as { topic: string; qos: 0 | 1 | 2 }[];
        for (const { topic, qos } of asked) kept.filters.set(topic, qos);
        this.say({ cmd: "suback", messageId: id, granted: asked.map(({ qos }) => qos) });
        break;
      }
      case "unsubscribe":
        for (const filter of packet["unsubscriptions"] as string[]) kept.filters.delete(filter);
        this.say({ cmd: "unsuback", messageId: id, granted: [0] });
        break;
      case "pingreq":
        this.say({ cmd: "pingresp" });
        break;
      case "disconnect":
        if ((packet["properties"] as AnyPacket | undefined)?.["sessionExpiryInterval"] === 0)
          kept.endsWithLink = true;
        this.#end.end();
        broker.gone(this);
        break;
    }
  }

  #welcome(packet: AnyPacket): void {
    const { broker } = this;
    if (this.kept !== undefined) throw new Error("the gateway has sent CONNECT twice");
    const properties = packet["properties"] as AnyPacket | undefined;
    this.version = packet["protocolVersion"] as 4 | 5;
    (this.#parser as unknown as { settings: object }).settings = { protocolVersion: this.version };
    this.clientId = packet["clientId"] as string;
    this.#receiveMaximum = (properties?.["receiveMaximum"] as number | undefined) ?? 65_535;
    broker.connects.set(this.clientId, (broker.connects.get(this.clientId) ?? 0) + 1);
    const left = broker.sessions.get(this.clientId);
    left?.link?.supersede();
    const clean = packet["clean"] === true;
    const known = clean ? undefined : broker.sessions.get(this.clientId);
    const kept = known ?? new Kept();
    broker.sessions.set(this.clientId, kept);
    this.kept = kept;
    kept.link = this;
    kept.endsWithLink = this.version === 4 ? clean : properties?.["sessionExpiryInterval"] === undefined;
    const noticed = kept.filters.size > 0 && broker.staysAwake(this.clientId);
    if (kept.broken && noticed && broker.chance("deaf")) kept.deaf = true;
    kept.broken = false;
    this.say({ cmd: "connack", sessionPresent: known !== undefined, reasonCode: 0, returnCode: 0 });
    if (kept.deaf) return;
    for (const [messageId, { held, stage }] of kept.inFlight) {
      if (stage === "release") this.say({ cmd: "pubrel", messageId });
      else this.say({ cmd: "publish", ...held, messageId, dup: true });
    }
    this.pump();
  }

  /** Another connection has the session. */
  supersede(): void {
    if (this.version === 5) this.say({ cmd: "disconnect", reasonCode: 0x8e });
    this.broker.gone(this);
    this.#end.end();
  }

  #take(packet: AnyPacket, kept: Kept, messageId: number): void {
    const topic = packet["topic"] as string;
    const payload = String(packet["payload"]);
    const qos = packet["qos"] as 0 | 1 | 2;
    if (qos !== 2 || !kept.received.has(messageId)) this.broker.accept(topic, payload);
    if (qos === 2) kept.received.add(messageId);
    if (qos > 0) this.say({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
  }

  /** Sends what waits, as far as the client takes it. */
  pump(): void {
    const { kept, broker } = this;
    while (kept?.deaf === false && kept.queue.length > 0) {
      if (kept.inFlight.size >= this.#receiveMaximum && (this.#calm || !broker.chance("overshoot"))) return;
      const held = kept.queue.shift() as Held;
      const messageId = kept.nextId();
      kept.inFlight.set(messageId, { held, stage: "publish" });
      this.say({ cmd: "publish", ...held, messageId });
    }
  }

  // ---- how it says it

  encode(packet: object): Buffer {
    return mqttPacket.generate(packet as never, { protocolVersion: this.version } as never);
  }

  say(packet: AnyPacket): void {
    if (this.#calm) {
      this.#end.write(this.encode(packet));
      return;
    }
    const { broker } = this;
    if (!this.open || this.#mute || (this.#sulks && packet.cmd !== "pingresp")) return;
    if (broker.chance("mute")) {
      this.#mute = true;
      return;
    }
    if (broker.chance("sulk")) this.#sulks = true;
    const lies = broker.chance("lie") ? lieAbout(this, packet) : undefined;
    const bytes = lies ?? this.encode(packet);
    if (broker.chance("cut")) {
      const whole = broker.random() < 0.3;
      this.#send(whole ? bytes : bytes.subarray(0, Math.floor(broker.random() * bytes.length)));
      this.#later(() => this.cut());
      return;
    }
    this.#send(bytes, OVERTAKEN.has(packet.cmd));
    if (lies === undefined && packet.cmd !== "connack" && broker.chance("repeat")) this.#redeliver();
  }

  /** On a live connection: messages of which it has not heard yet. */
  #redeliver(): void {
    if (this.kept?.deaf === true) return;
    for (const [messageId, { held, stage }] of this.kept?.inFlight ?? []) {
      if (stage === "publish" && this.broker.random() < 0.5)
        this.#send(this.encode({ cmd: "publish", ...held, messageId, dup: true }));
    }
  }

  #send(bytes: Uint8Array, mayBeOvertaken = false): void {
    const { broker } = this;
    const now = broker.world().now;
    const late = broker.chance("delay") ? Math.floor(broker.random() ** 3 * 20_000) : 0;
    if (mayBeOvertaken && broker.chance("swap")) {
      const at = after(now, milliseconds(1 + Math.floor(broker.random() * 500)));
      broker.world().ring(new CallbackAlarm(() => this.#write(bytes)), at);
      return;
    }
    this.#later(() => this.#write(bytes), late);
  }

  /** Behind all that was said before. */
  #later(run: () => void, late = 0): void {
    const world = this.broker.world();
    const at = Math.max(world.now + late, this.#lastAt);
    this.#lastAt = at;
    if (at <= world.now) run();
    else world.ring(new CallbackAlarm(run), after(world.now, milliseconds(at - world.now)));
  }

  #write(bytes: Uint8Array): void {
    if (this.open) this.#end.write(bytes);
  }
}

/** Listens at the gateway's end of a connection: what has been acknowledged there, in octets. */
class Tap {
  readonly #acknowledged: Set<string>;
  readonly #published = new Map<number, string>();
  readonly #parser = mqttPacket.parser();
  #rest: Buffer = Buffer.alloc(0);

  constructor(acknowledged: Set<string>) {
    this.#acknowledged = acknowledged;
    this.#parser.on("packet", (packet) => {
      const { cmd, protocolVersion, messageId, payload } = packet as unknown as AnyPacket;
      if (cmd === "connect") (this.#parser as unknown as { settings: object }).settings = { protocolVersion };
      if (cmd === "publish" && messageId !== undefined)
        this.#published.set(messageId as number, String(payload));
    });
    this.#parser.on("error", () => {});
  }

  said(bytes: Uint8Array): void {
    this.#parser.parse(Buffer.from(bytes));
  }

  heard(bytes: Uint8Array): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const rest = this.#rest;
      let length = 0;
      let at = 1;
      for (let shift = 0; at < rest.length; shift += 7) {
        const octet = rest[at++] as number;
        length += (octet & 0x7f) * 2 ** shift;
        if (octet < 0x80) break;
      }
      if (at === 1 || rest.length < at + length) return;
      const type = (rest[0] as number) >> 4;
      const reason = length > 2 ? (rest[at + 2] as number) : 0;
      if ((type === 4 || type === 5) && length >= 2 && reason < 0x80) {
        const payload = this.#published.get(rest.readUInt16BE(at));
        if (payload !== undefined) this.#acknowledged.add(payload);
      }
      this.#rest = rest.subarray(at + length);
    }
  }
}
