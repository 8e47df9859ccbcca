/** What CONNECT says of a session. */
import { Message } from "../bus/message.ts";
import type { Will } from "../contract/client.ts";
import { sameBytes, utf8 } from "../lib/bytes.ts";
import { between, type Duration, FOREVER, type Instant, inSeconds } from "../lib/time.ts";
import type { ConnectPacket, WillPacket } from "../mqtt/packets.ts";
import type { Properties } from "../mqtt/properties.ts";
import { expiryInterval } from "../mqtt/session-expiry.ts";
import type { UpstreamOptions } from "./options.ts";
import type { Proof } from "./proof.ts";

/** Who speaks in CONNECT. */
export interface Speaker {
  /** The client id that servers know it by. */
  readonly upstreamId: string;
  readonly expiry: Duration;
  readonly expectedUntil: Instant | undefined;
  readonly durable: boolean;
  readonly will: Will | undefined;
  readonly mountpoint: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** What it says to its server itself. */
  readonly properties: Readonly<Properties>;
  /** Its login, where that takes several messages. */
  readonly proof: Proof | undefined;
}

/** What CONNECT has told a server of a session. */
export interface Told {
  readonly version: 4 | 5;
  readonly expiry: Duration;
  readonly will: Will | undefined;
  /** The session ends with its connection. */
  readonly clean: boolean;
}

/** How CONNECT is said this time; `clean`: what the server has is thrown away. */
interface Manner {
  readonly clean: boolean;
  readonly receiveMaximum: number;
  readonly version: 4 | 5;
}

/** For how long it counts as connected, whatever becomes of its connection. */
export const expectedFor = ({ expectedUntil }: Pick<Speaker, "expectedUntil">, now: Instant): number =>
  expectedUntil === undefined ? 0 : between(now, expectedUntil);

export function connectOf(
  speaker: Speaker,
  { clean, receiveMaximum, version }: Manner,
  options: UpstreamOptions,
  now: Instant,
): { readonly packet: ConnectPacket; readonly told: Told } {
  const { upstreamId: clientId, will, mountpoint, username, password, durable, proof } = speaker;
  // A session outlives a broken connection for as long as we try to mend it, whatever its device wants.
  const expiry = Math.max(speaker.expiry, options.linger, expectedFor(speaker, now)) as Duration;
  const told = { version, expiry, will, clean: version === 4 && (clean || !durable) };
  const cleanStart = clean || told.clean;
  const properties = { ...speaker.properties, ...proof?.properties };
  const application = {
    ...{ clientId, cleanStart, expiry, will, mountpoint, username, password },
    receiveMaximum,
    properties,
  };
  return { packet: connectPacket(application, options, version), told };
}

interface Application {
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** How long the server shall keep the session. */
  readonly expiry: Duration;
  readonly will: Will | undefined;
  readonly mountpoint: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly receiveMaximum: number;
  /** What an MQTT client of version 5 says to its server itself, and with which proof. */
  readonly properties: Readonly<Properties>;
}

function connectPacket(application: Application, options: UpstreamOptions, version: 4 | 5): ConnectPacket {
  const { clientId, cleanStart } = application;
  return {
    version,
    bridge: false,
    clientId,
    cleanStart,
    keepAlive: inSeconds(options.keepAlive),
    properties: version === 5 ? propertiesOf(application, options) : {},
    will: willPacket(application, options, version),
    ...credentialsOf(application, options),
  };
}

/** Whose user name and password the server is told. */
export function credentialsOf(
  { username, password }: Pick<Application, "username" | "password">,
  options: UpstreamOptions,
): Pick<ConnectPacket, "username" | "password"> {
  return options.credentials === "device" ? { username, password } : serviceCredentials(options);
}

export const serviceCredentials = ({
  username,
  password,
}: UpstreamOptions): Pick<ConnectPacket, "username" | "password"> => ({
  username: username === "" ? undefined : username,
  password: password === "" ? undefined : utf8(password),
});

function propertiesOf(
  { expiry, receiveMaximum, properties: own }: Application,
  options: UpstreamOptions,
): Properties {
  const { packetSize, topicAliases } = options;
  const properties: Properties = {
    ...own,
    sessionExpiryInterval: expiryInterval(expiry),
    receiveMaximum: Math.min(receiveMaximum, 65_535),
    maximumPacketSize: packetSize,
  };
  if (topicAliases > 0) properties.topicAliasMaximum = topicAliases;
  return properties;
}

/** A will that shall be delayed by its topic is nothing that a server knows. */
export const isServersWill = (will: Will | undefined): will is Will =>
  will !== undefined && !will.topic.startsWith("$delayed/");

function willPacket(
  { will, mountpoint }: Application,
  { linger }: UpstreamOptions,
  version: 4 | 5,
): WillPacket | undefined {
  if (!isServersWill(will)) return undefined;
  const { topic, payload, qos, retain } = will;
  const properties = version === 5 ? willProperties(will, linger) : {};
  return { topic: mountpoint + topic, payload, qos, retain, properties };
}

/** It is held back while a broken connection may be mended. */
function willProperties({ delay, options }: Will, linger: Duration): Properties {
  const { properties, expiry = FOREVER } = options;
  return {
    ...properties,
    willDelayInterval: expiryInterval(Math.max(delay, linger) as Duration),
    ...(expiry === FOREVER ? {} : { messageExpiryInterval: inSeconds(expiry) }),
  };
}

export const sameWills = (a: Will | undefined, b: Will | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.topic === b.topic &&
    a.qos === b.qos &&
    a.retain === b.retain &&
    a.delay === b.delay &&
    a.options.properties === b.options.properties &&
    a.options.expiry === b.options.expiry &&
    sameBytes(a.payload, b.payload));

/** A will that is published from here. */
export function willMessage(will: Will, mountpoint: string, now: Instant): Message {
  const { topic, payload, qos, retain, options } = will;
  const { properties, expiry } = options;
  return new Message(mountpoint + topic, payload, qos, retain, now, properties, expiry);
}
