/** What a gateway does otherwise than the broker behind it: why, and what exactly is heard instead. */
export interface Unlike {
  readonly why: string;
  /** Line by line, or field by field (`differences`). */
  readonly heard: readonly string[];
}

const SILENT = "mosquitto closes without a word, the gateway says why first";
const LEVEL = "mosquitto answers as MQTT 3.1.1 does, the gateway as MQTT 5 does";
const NAMELESS = "the gateway gives the id: its rules ask for one";

export const UNLIKE: ReadonlyMap<string, Unlike> = new Map([
  [
    "MQTT 5: takeover",
    {
      why: `${SILENT} [MQTT-3.1.4-3]`,
      heard: ["1 closed → 1 disconnect 0x8e", "2 pingresp → 1 closed", "nothing → 2 pingresp"],
    },
  ],
  [
    "MQTT 5: a second CONNECT",
    { why: SILENT, heard: ["1 closed → 1 disconnect 0x82", "nothing → 1 closed"] },
  ],
  [
    "MQTT 5: 5.0: receive maximum 0",
    { why: SILENT, heard: ["1 closed → 1 connack 0x82", "nothing → 1 closed"] },
  ],
  [
    "MQTT 5: 5.0: the same property twice",
    { why: SILENT, heard: ["1 closed → 1 connack 0x82", "nothing → 1 closed"] },
  ],
  ["MQTT 4: protocol level 6", { why: LEVEL, heard: ["1 connack returnCode: 1 → 132"] }],
  ["MQTT 5: protocol level 6", { why: LEVEL, heard: ["1 connack reasonCode: 1 → 132"] }],
  [
    "MQTT 5: keep alive 0",
    {
      why: "each side of the gateway has its own: a server's is passed on where it is the shorter",
      heard: ["1 connack serverKeepAlive: 65535 → nothing"],
    },
  ],
  [
    "MQTT 5: 5.0: session expiry without end",
    {
      why: "session.expiryMax, and the client is told",
      heard: ["1 connack sessionExpiryInterval: nothing → 604800"],
    },
  ],
  [
    "MQTT 5: PUBREL of nothing",
    {
      why: "mosquitto says success, the gateway 0x92 (MQTT 5 §3.7.2.1)",
      heard: ["1 pubcomp reasonCode: 0 → 146"],
    },
  ],
  [
    "MQTT 5: 5.0: a topic with a wildcard",
    {
      why: "mosquitto says 0x82, the gateway 0x90 (MQTT 5 §3.3.2.1)",
      heard: ["1 disconnect reasonCode: 130 → 144"],
    },
  ],
  [
    "MQTT 5: 5.0: AUTH without a method",
    { why: SILENT, heard: ["1 closed → 1 disconnect 0x82", "nothing → 1 closed"] },
  ],
  [
    "MQTT 4: an empty client id, which it does not take",
    { why: NAMELESS, heard: ["1 connack returnCode: 2 → 0", "1 closed → 1 pingresp"] },
  ],
  [
    "MQTT 5: an empty client id, which it does not take",
    {
      why: NAMELESS,
      heard: [
        '1 connack assignedClientIdentifier: nothing → "assigned"',
        "1 connack maximumPacketSize: nothing → 2000",
        "1 connack reasonCode: 128 → 0",
        "1 connack receiveMaximum: nothing → 5",
        "1 connack retainAvailable: nothing → false",
        "1 connack serverKeepAlive: nothing → 30",
        "1 connack topicAliasMaximum: nothing → 3",
        "1 closed → 1 pingresp",
      ],
    },
  ],
  [
    "MQTT 4: filters that overlap",
    {
      why: "mosquitto hands a client of MQTT 5 what each of its filters matches, one of 3.1.1 one copy: the gateway speaks MQTT 5 to it for both",
      heard: [
        "2 publish messageId: 3 → 2",
        "2 publish qos: 1 → 2",
        '2 publish topic: "over/end/x" → "over/x"',
        "1 pingresp → 2 publish",
        "2 pingresp → 2 pubrel",
        "nothing → 1 pingresp",
        "nothing → 2 pingresp",
      ],
    },
  ],
  [
    "MQTT 5: 5.0: no local on a shared filter [MQTT-3.8.3-4]",
    {
      why: "mosquitto takes it, the gateway says that it is a protocol error",
      heard: ["1 suback → 1 disconnect 0x82", "1 pingresp → 1 closed"],
    },
  ],
  [
    "MQTT 5: 5.0: subscription identifier 0",
    {
      why: "mosquitto says malformed, the gateway protocol error (MQTT 5 §3.8.2.1.2)",
      heard: ["1 disconnect reasonCode: 129 → 130"],
    },
  ],
  [
    "MQTT 5: 5.0: more at once than the broker takes (its Receive Maximum is 20)",
    {
      why: "mosquitto says 0x97 in PUBREC, the gateway 0x93 (MQTT 5 §3.3.4)",
      heard: ["1 pubrec 0x97 → 1 disconnect 0x93", "1 pingresp → 1 closed"],
    },
  ],
  [
    "MQTT 5: 5.0: alias 0 [MQTT-3.3.2-8]",
    {
      why: "mosquitto says malformed, the gateway 0x94 (MQTT 5 §3.3.2.3.4)",
      heard: ["1 disconnect reasonCode: 129 → 148"],
    },
  ],
  [
    "MQTT 5: a client that says nothing for one and a half times its keep alive is lost [MQTT-3.1.2-22]",
    { why: SILENT, heard: ["2 closed → 2 disconnect 0x8d", "1 pingresp → 2 closed", "nothing → 1 pingresp"] },
  ],
]);
