import { NO_BYTES, text } from "#core/lib/bytes.ts";
import { encodeConnack3, encodeConnack5 } from "#core/mqtt/codec/encode-connack.ts";
import { PacketType } from "#core/mqtt/packets.ts";
import { ReasonCode, ReturnCode } from "#core/mqtt/reason-codes.ts";

const NAMES: readonly string[] = ["MQTT", "MQIsdp"];

/**
 * CONNACK for a client whom the transport has refused, from the beginning of its CONNECT: protocol name and level
 * (MQTT 5 §3.1.2.1, §3.1.2.2), and nothing behind them. Undefined while they have not come.
 */
export function turnAway(first: Uint8Array, why: string): Uint8Array | undefined {
  if (first.length > 0 && (first[0] as number) >> 4 !== PacketType.CONNECT) return NO_BYTES;
  let at = 1;
  // The remaining length has four octets at most, all but the last with the highest bit (§1.5.5).
  while (at < 5 && (first[at] ?? 0) > 0x7f) at++;
  const name = at + 3;
  const length = ((first[at + 1] ?? 0) << 8) | (first[at + 2] ?? 0);
  if (first.length <= name + length) return first.length > ENOUGH ? NO_BYTES : undefined;
  if (!NAMES.includes(text(first.subarray(name, name + length)) ?? "")) return NO_BYTES;
  return first[name + length] === 5
    ? encodeConnack5(false, ReasonCode.notAuthorized, { reasonString: why })
    : encodeConnack3(false, ReturnCode.notAuthorized);
}

/** Fixed header, the longer name and the level. */
const ENOUGH = 5 + 2 + 6 + 1;
