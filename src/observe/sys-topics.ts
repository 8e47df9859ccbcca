import { arch, type } from "node:os";
import { utf8 } from "../lib/bytes.ts";
import { between, type Clock, type Duration, type Instant } from "../lib/time.ts";
import { timerLength } from "../lib/timer-length.ts";
import type { OperatorAlarm } from "./alarms.ts";
import { METRICS, type Metric, STATISTICS, type Statistic } from "./sys-names.ts";

/** Where the numbers come from and where the topics go. */
export interface SysPorts {
  publish(topic: string, payload: Uint8Array, retain: boolean): void;
  /** Somebody is subscribed to it. */
  hears(topic: string): boolean;
  /** Counts what takes long, so that `statistics` have it. */
  count?(): Promise<unknown>;
  /** A number now; a name that is absent is not published. */
  readonly statistics: Readonly<Partial<Record<Statistic, () => number>>>;
  readonly metrics: Readonly<Partial<Record<Metric, () => number>>>;
}

export interface SysIdentity {
  /** Name of this node, a topic level. */
  readonly node: string;
  readonly version: string;
}

/** A client that came or went. */
export interface PresenceEvent {
  readonly gateway: string;
  readonly listener: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  /** `MQTT 5.0`, `STOMP 1.2`, ... */
  readonly protocol: string;
}

/** How it came. */
export interface PresenceArrival {
  readonly cleanStart: boolean;
  /** In seconds; 0 for none. */
  readonly keepAlive: number;
}

/**
 * The `$SYS` topics: what the node is and how it does, on a beat; clients as they come and go, at once. All but the
 * coming and going is retained, so that whoever subscribes sees it without waiting for the next beat.
 */
export class SysTopics {
  readonly #prefix: string;
  readonly #identity: SysIdentity;
  readonly #ports: SysPorts;
  readonly #clock: Clock;
  readonly #start: Instant;
  readonly #highest = new Map<Statistic, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(identity: SysIdentity, ports: SysPorts, clock: Clock) {
    this.#prefix = `$SYS/brokers/${identity.node}`;
    this.#identity = identity;
    this.#ports = ports;
    this.#clock = clock;
    this.#start = clock.now();
  }

  /** Publishes as soon as all is counted, and then on the beat. */
  start(interval: Duration): void {
    const publish = (): void => void this.countAndBeat();
    this.#timer = setInterval(publish, timerLength(interval)).unref();
    publish();
  }

  async countAndBeat(): Promise<void> {
    const timer = this.#timer;
    await this.#ports.count?.();
    // It may have been stopped meanwhile.
    if (timer === this.#timer) this.beat();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The highest that a number has been since the start. */
  highest(name: Statistic): number {
    return this.#highest.get(name) ?? 0;
  }

  beat(): void {
    const now = this.#clock.now();
    this.#retain("$SYS/brokers", this.#identity.node);
    this.#retain(`${this.#prefix}/version`, this.#identity.version);
    this.#retain(`${this.#prefix}/sysdescr`, `Isthmus on ${type()} ${arch()}`);
    this.#retain(`${this.#prefix}/uptime`, uptimeText(between(this.#start, now)));
    this.#retain(`${this.#prefix}/datetime`, dateText(now));
    for (const name of STATISTICS) this.#statistic(name);
    for (const name of METRICS) {
      const read = this.#ports.metrics[name];
      if (read !== undefined) this.#retain(`${this.#prefix}/metrics/${name}`, String(read()));
    }
  }

  connected(event: PresenceEvent, { cleanStart, keepAlive }: PresenceArrival): void {
    // Peaks between two beats are made of arrivals.
    this.#sample("connections");
    this.#sample("clients");
    this.#sample("sessions");
    const { name, version } = protocolNumbers(event.protocol);
    this.#presence(event, "connected", {
      connack: 0,
      proto_name: name,
      proto_ver: version,
      clean_start: cleanStart,
      keepalive: keepAlive,
    });
  }

  disconnected(event: PresenceEvent, reason: string): void {
    this.#presence(event, "disconnected", { reason });
  }

  /**
   * An alarm that is raised or over, in the forms of all three brokers whose topics these are: `activate` and `deactivate`
   * (EMQX 5), `alert` and `clear` (EMQ X 4), and these two below the alarm's name (EMQ 2).
   */
  alarm(
    event: "raised" | "cleared",
    { name, message, details, severity, raisedAt, clearedAt }: OperatorAlarm,
  ): void {
    const raised = event === "raised";
    const text = JSON.stringify({
      name,
      message,
      details,
      severity,
      activate_at: Math.round(raisedAt * 1000),
      deactivate_at: clearedAt === undefined ? "infinity" : Math.round(clearedAt * 1000),
      activated: raised,
    });
    const legacy = raised ? "alert" : "clear";
    for (const topic of [raised ? "activate" : "deactivate", legacy, `${topicLevel(name)}/${legacy}`]) {
      this.#ports.publish(`${this.#prefix}/alarms/${topic}`, utf8(text), false);
    }
  }

  #presence(event: PresenceEvent, what: string, more: Readonly<Record<string, unknown>>): void {
    const topic = `${this.#prefix}/clients/${topicLevel(event.clientId)}/${what}`;
    if (!this.#ports.hears(topic)) return;
    const { clientId, username, address, protocol, gateway, listener } = event;
    const ts = Math.floor(this.#clock.now() / 1000);
    const facts = {
      clientid: clientId,
      username,
      ipaddress: address,
      ...more,
      ts,
      protocol,
      gateway,
      listener,
    };
    this.#ports.publish(topic, utf8(JSON.stringify(facts)), false);
  }

  #statistic(name: Statistic): void {
    const count = this.#sample(name);
    if (count === undefined) return;
    this.#retain(`${this.#prefix}/stats/${name}/count`, String(count));
    this.#retain(`${this.#prefix}/stats/${name}/max`, String(this.#highest.get(name)));
  }

  #sample(name: Statistic): number | undefined {
    const count = this.#ports.statistics[name]?.();
    if (count !== undefined) this.#highest.set(name, Math.max(count, this.#highest.get(name) ?? 0));
    return count;
  }

  #retain(topic: string, text: string): void {
    this.#ports.publish(topic, utf8(text), true);
  }
}

/** A client id as one topic level: what would make more levels or a wildcard is percent-encoded. */
export const topicLevel = (clientId: string): string =>
  clientId.replace(
    /[%/+#\0]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );

export function uptimeText(length: Duration): string {
  let rest = Math.floor(length / 1000);
  const parts: string[] = [];
  for (const [unit, size] of [
    ["days", 86_400],
    ["hours", 3600],
    ["minutes", 60],
    ["seconds", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || parts.length > 0 || unit === "seconds") parts.push(`${count} ${unit}`);
  }
  return parts.join(", ");
}

/** UTC, so that nodes in different places agree. */
const dateText = (now: Instant): string =>
  `${new Date(now).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** MQTT's own protocol names and levels; other protocols by their name and major version. */
function protocolNumbers(protocol: string): { name: string; version: number } {
  if (protocol === "MQTT 3.1") return { name: "MQIsdp", version: 3 };
  if (protocol === "MQTT 3.1.1") return { name: "MQTT", version: 4 };
  const space = protocol.lastIndexOf(" ");
  if (space < 0) return { name: protocol, version: 0 };
  return { name: protocol.slice(0, space), version: Number.parseInt(protocol.slice(space + 1), 10) || 0 };
}
