import { PacketType } from "../packets.ts";

/** Nothing but a fixed header in all versions (MQTT 5 §3.12, §3.13). */
export const PINGREQ: Uint8Array = Uint8Array.of(PacketType.PINGREQ << 4, 0);
export const PINGRESP: Uint8Array = Uint8Array.of(PacketType.PINGRESP << 4, 0);
