/** Packets of the TCP protocol for people; what devices of raw listeners send has no meaning here. */
import { type Dissection, type Dissector, type Sender, unreadable } from "#core/contract/dissection.ts";
import { decode, packetFraming } from "./codec.ts";
import { FrameType, type Packet } from "./packets.ts";

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(FrameType).map(([name, type]) => [type, name]),
);

export class TcpDissector implements Dissector {
  lengthOf(bytes: Uint8Array, at: number): number | undefined {
    const length = packetFraming.lengthOf(bytes, at, bytes.length, 0);
    return typeof length === "object" ? bytes.length - at : length;
  }

  dissect(frame: Uint8Array, _from: Sender): Dissection {
    const decoded = decode(frame);
    if (!decoded.ok) return unreadable(frame, decoded.error.problem, decoded.error.clause);
    return { ...PLAIN, name: NAMES.get(decoded.value.type) ?? "", ...tell(decoded.value, frame) };
  }
}

/** A raw listener's: octets. */
export class RawDissector implements Dissector {
  dissect(frame: Uint8Array): Dissection {
    return { ...PLAIN, name: "data", summary: `${frame.length} B`, fields: { payload: frame } };
  }
}

const PLAIN = { summary: "", fields: {}, exchanges: [], begins: true, expects: false, secrets: [] } as const;

function tell(packet: Packet, frame: Uint8Array): Partial<Dissection> {
  switch (packet.type) {
    case FrameType.CONNECT: {
      const { version, keepAlive, clientId, username, password } = packet;
      const user = username === undefined ? "" : ` user ${JSON.stringify(username)}`;
      const hidden = password === undefined ? undefined : "••";
      return {
        summary: `${JSON.stringify(clientId)}${user} keep-alive ${keepAlive} s`,
        fields: { version, keepAlive, clientId, username, password: hidden },
        exchanges: ["connect"],
        expects: true,
        // The password is the last field.
        secrets: password === undefined ? [] : [[frame.length - password.length, frame.length]],
      };
    }
    case FrameType.CONNACK: {
      const { code, message } = packet;
      return {
        summary: `${code} ${message}`,
        fields: { code, message },
        exchanges: ["connect"],
        begins: false,
      };
    }
    case FrameType.DATATRANS:
      return { summary: `${packet.payload.length} B`, fields: { payload: packet.payload } };
    case FrameType.PING:
      return { exchanges: ["ping"], expects: true };
    case FrameType.PONG:
      return { exchanges: ["ping"], begins: false };
    default:
      return {};
  }
}
