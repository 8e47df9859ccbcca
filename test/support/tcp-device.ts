import { UnitConversion } from "#core/config/convert.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import { fillDefaults } from "#core/settings/defaults.ts";
import type { JsonSchema } from "#core/settings/json-schema.ts";
import { type TcpConfig, tcpSchema } from "#gateways/tcp/config.ts";
import { tcp } from "#gateways/tcp/index.ts";
import type { StreamListener, VirtualStream, World } from "./world.ts";

/** The configuration as the loader would make it. */
export function tcpConfig(given: Record<string, unknown> = {}): TcpConfig {
  const schema = tcpSchema as unknown as JsonSchema;
  const units = new UnitConversion(() => undefined);
  const config = units.convert(schema, fillDefaults(schema, given)) as TcpConfig;
  if (units.problems.length > 0) throw new Error(JSON.stringify(units.problems));
  return config;
}

/** A listener in a world; its name is `test`. */
export function tcpListener(
  world: World,
  config: Record<string, unknown> = {},
  policy: Partial<ListenerPolicy> = {},
): StreamListener {
  const gateway = world.open(tcp, tcpConfig(config));
  return world.streams("tcp", gateway.endpoint({ name: "test", transport: "tcp" }), policy);
}

const string = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
};
const packet = (header: number, payload: Buffer): Buffer =>
  Buffer.concat([Buffer.of(header, payload.length >> 8, payload.length & 0xff), payload]);

/** A device that speaks the framed protocol, written from the manual's tables and not with our codec. */
export class TcpDevice {
  readonly stream: VirtualStream;

  constructor(listener: StreamListener, peer: Partial<Peer> = {}) {
    this.stream = listener.connect(peer);
  }

  connect(clientId: string, { keepAlive = 60, username = "", password = "", header = 0x11 } = {}): this {
    const strings = [
      clientId,
      ...(username === "" ? [] : [username]),
      ...(password === "" ? [] : [password]),
    ];
    this.stream.send(packet(header, Buffer.concat([Buffer.of(keepAlive), ...strings.map(string)])));
    return this;
  }

  data(payload: string | Uint8Array): void {
    this.stream.send(packet(0x30, Buffer.from(payload as string)));
  }

  say(hex: string): void {
    this.stream.send(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  }

  /** What came since the last call, in hexadecimal; texts of CONNACK and payloads of data as text. */
  heard(): string[] {
    const bytes = Buffer.from(this.stream.takeBytes());
    const packets: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const header = bytes[at] as number;
      const type = header >> 4;
      const length = type === 2 || type === 3 ? bytes.readUInt16BE(at + 1) : -2;
      const payload = length < 0 ? "" : bytes.toString("utf8", at + 3, at + 3 + length);
      packets.push(payload === "" ? header.toString(16) : `${header.toString(16)} ${payload}`);
      at += 3 + length;
    }
    return packets;
  }
}
