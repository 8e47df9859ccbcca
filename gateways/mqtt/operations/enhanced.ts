/** Enhanced authentication (MQTT 5 §4.12): AUTH packets back and forth, before CONNACK and whenever the client likes. */
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Exchange } from "#core/contract/client.ts";
import { decodeAuth } from "#core/mqtt/codec/decode-reason.ts";
import { encodeAuth } from "#core/mqtt/codec/encode-reason.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { breach, type PacketError, PacketType } from "#core/mqtt/packets.ts";
import type { Properties } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import type { MqttCounters } from "../counters.ts";

const NO_DATA = new Uint8Array(0);

/** One exchange, and what it waits for. */
export class EnhancedLogin implements Exchange {
  readonly method: string;
  readonly data: Uint8Array;
  /** What the server says at the end of one that succeeds. */
  final: Uint8Array | undefined = undefined;
  readonly #host: ChannelHost;
  readonly #counters: MqttCounters;
  #asked: () => void;
  #answer: ((data: Uint8Array | undefined) => void) | undefined = undefined;

  /** `asked`: the client has been asked, and its AUTH is to be read. */
  constructor(
    host: ChannelHost,
    counters: MqttCounters,
    method: string,
    data: Uint8Array = NO_DATA,
    asked: () => void = () => {},
  ) {
    this.#host = host;
    this.#counters = counters;
    this.method = method;
    // The packet is a view of what is read into again.
    this.data = data.slice();
    this.#asked = asked;
  }

  /** The next AUTH of the client is awaited. */
  get awaits(): boolean {
    return this.#answer !== undefined;
  }

  whenAsked(asked: () => void): void {
    this.#asked = asked;
  }

  challenge(data: Uint8Array, answer: (data: Uint8Array | undefined) => void): void {
    this.#host.turn(() => {
      this.#answer = answer;
      this.say(ReasonCode.continueAuthentication, data);
      this.#asked();
    });
  }

  success(data: Uint8Array): void {
    this.final = data;
  }

  /** AUTH with this reason; it repeats the method [MQTT-4.12.0-5]. */
  say(reason: ReasonCode, data: Uint8Array | undefined): void {
    const properties: Properties = { authenticationMethod: this.method };
    if (data !== undefined) properties.authenticationData = data;
    this.#counters.sent[PacketType.AUTH]!.value++;
    this.#host.send(encodeAuth(reason, properties));
  }

  /** An AUTH of the client: what is wrong with it, if anything. */
  hear(packet: AuthPacket): PacketError | undefined {
    const { reason, properties } = packet;
    const answer = this.#answer;
    if (answer === undefined || reason !== ReasonCode.continueAuthentication) {
      return breach(ReasonCode.protocolError, "MQTT 5 §4.12", "AUTH that was not asked for");
    }
    if (properties.authenticationMethod !== this.method) {
      return breach(ReasonCode.protocolError, "[MQTT-4.12.0-5]", "AUTH with another method than CONNECT's");
    }
    this.#answer = undefined;
    answer((properties.authenticationData ?? NO_DATA).slice());
    return undefined;
  }

  giveUp(): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(undefined);
  }
}

type AuthPacket = ReturnType<typeof decodeAuth>;

/** AUTH, or what is wrong with it. */
export function readAuth(
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  maximumItems: number,
): { readonly packet: AuthPacket; readonly error: PacketError | undefined } {
  const reader = new Reader(bytes, start, body, end, maximumItems);
  const packet = decodeAuth(reader);
  return { packet, error: reader.error };
}

/** AUTH of a client that is logged in: it authenticates again (§4.12.1), or goes on with that. */
export function authenticate(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): void {
  const { packet, error } = readAuth(bytes, start, body, end, connection.maximumItems);
  const { authenticationMethod: method } = connection.terms;
  if (error !== undefined) connection.fail(error);
  else if (method === undefined) {
    const problem = "AUTH without enhanced authentication";
    connection.fail(breach(ReasonCode.protocolError, "[MQTT-4.12.0-7]", problem));
  } else if (packet.reason === ReasonCode.reAuthenticate) again(connection, method, packet);
  else {
    const wrong =
      connection.reauthentication?.hear(packet) ??
      (connection.reauthentication === undefined
        ? breach(ReasonCode.protocolError, "MQTT 5 §4.12", "AUTH that was not asked for")
        : undefined);
    if (wrong !== undefined) connection.fail(wrong);
  }
}

function again(connection: Connection, method: string, { properties }: AuthPacket): void {
  if (properties.authenticationMethod !== method) {
    const problem = "re-authentication by another method";
    connection.fail(breach(ReasonCode.protocolError, "[MQTT-4.12.1-1]", problem));
    return;
  }
  if (connection.reauthentication !== undefined) {
    const problem = "re-authentication while one is under way";
    connection.fail(breach(ReasonCode.protocolError, "MQTT 5 §4.12.1", problem));
    return;
  }
  const { host, counters, client } = connection;
  const exchange = new EnhancedLogin(host, counters, method, properties.authenticationData);
  connection.reauthentication = exchange;
  client.authenticateAgain(exchange, (ok) =>
    host.turn(() => {
      connection.reauthentication = undefined;
      if (connection.phase === "ended") return;
      if (ok) exchange.say(ReasonCode.success, exchange.final);
      else connection.disconnect(ReasonCode.notAuthorized, "not authenticated again");
    }),
  );
}
