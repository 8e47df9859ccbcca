/** The octets of CONNECT's variable header that both ends must agree on (MQTT 5 §3.1.2). */

export const CONNECT_FLAG = {
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willRetain: 0x20,
  password: 0x40,
  username: 0x80,
} as const;

/** Set in the protocol level by mosquitto, and others since, where the client is a broker that bridges. */
export const LEVEL_OF_BRIDGE = 0x80;
