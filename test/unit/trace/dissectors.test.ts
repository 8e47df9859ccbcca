/** What the gateways' dissectors make of frames, and of what is none. */
import { describe, expect, it } from "vitest";
import type { Dissector, Sender } from "#core/contract/dissection.ts";
import type { Transport } from "#core/contract/peer.ts";
import { MODULES } from "#core/modules.ts";
import { fc } from "../../support/property.ts";

const CONFIGS: Readonly<Record<string, unknown>> = { stomp: { sockjs: ["/stomp"] }, tcp: { raw: [] } };

function dissectorOf(name: string, transport: Transport = "udp", path?: string): Dissector {
  const module = MODULES.find((each) => each.name === name);
  const peer = { transport, address: "10.0.0.1", port: 1, ...(path === undefined ? {} : { path }) };
  return module!.dissector!({ peer, listener: "x", protocol: undefined }, CONFIGS[name] as never);
}

const said = (dissector: Dissector, from: Sender, hex: string): string => {
  const { name, summary } = dissector.dissect(Buffer.from(hex.replaceAll(" ", ""), "hex"), from);
  return `${name} ${summary}`.trim();
};

describe("every gateway", () => {
  it("has a dissector", () => {
    expect(MODULES.filter(({ dissector }) => dissector === undefined).map(({ name }) => name)).toEqual([]);
  });

  it.each(MODULES.map(({ name }) => name))(
    "%s: reads any octets without throwing, hides nothing but octets that are there, and cuts streams without standing still",
    (name) => {
      const octets = fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom<Transport>("udp", "tcp", "ws"),
        fc.constantFrom<Sender>("device", "gateway"),
        (bytes, transport, from) => {
          const dissector = dissectorOf(name, transport);
          const { secrets, name: called } = dissector.dissect(bytes, from);
          expect(typeof called).toBe("string");
          for (const [start, end] of secrets) {
            expect(start).toBeGreaterThanOrEqual(0);
            expect(end).toBeLessThanOrEqual(bytes.length);
            expect(end).toBeGreaterThanOrEqual(start);
          }
          for (let at = 0; at < bytes.length; ) {
            const length = dissector.lengthOf?.(bytes, at, from) ?? bytes.length - at;
            expect(length).toBeGreaterThan(0);
            at += length;
          }
        },
      );
      fc.assert(octets);
    },
  );
});

describe("MQTT", () => {
  it("tells acknowledgements with their ids and reasons", () => {
    const dissector = dissectorOf("mqtt", "tcp");
    expect(said(dissector, "device", "10 0d 00044d515454 04 02 003c 0001 61")).toBe(
      'CONNECT MQTT 3.1.1 "a" keep-alive 60 s clean',
    );
    expect(said(dissector, "gateway", "40 02 0001")).toBe("PUBACK 1");
    expect(said(dissector, "device", "62 02 0007")).toBe("PUBREL 7");
    expect(said(dissector, "gateway", "90 03 0001 80")).toBe("SUBACK unspecified error");
    const five = dissectorOf("mqtt", "tcp");
    said(five, "device", "10 0e 00044d515454 05 02 003c 00 0001 61");
    expect(said(five, "gateway", "40 03 0001 87")).toBe("PUBACK 1 not authorized");
    expect(said(five, "gateway", "e0 01 8e")).toBe("DISCONNECT session taken over");
  });

  it("puts a topic in the place of its alias, once it is known (MQTT 5 §3.3.2.3.4)", () => {
    const five = dissectorOf("mqtt", "tcp");
    said(five, "device", "10 0e 00044d515454 05 02 003c 00 0001 61");
    expect(said(five, "device", "30 09 0001 74 03 230005 7879")).toBe('PUBLISH "t" QoS 0, 2 B');
    expect(said(five, "device", "30 07 0000 03 230005 7a")).toBe('PUBLISH "t" QoS 0, 1 B');
    expect(said(five, "device", "30 07 0000 03 230006 7a")).toBe('PUBLISH "alias 6" QoS 0, 1 B');
  });
});

describe("MQTT-SN", () => {
  it("puts a name in the place of a topic id, once it was agreed on (MQTT-SN 1.2 §6.5, §6.9)", () => {
    const dissector = dissectorOf("mqtt-sn");
    expect(said(dissector, "gateway", "07 0c 00 0009 0000")).toBe("PUBLISH id 9 QoS 0, 0 B");
    expect(said(dissector, "device", "08 12 20 0001 61 2f 62")).toBe("SUBSCRIBE a/b QoS 1");
    expect(said(dissector, "gateway", "08 13 20 0009 0001 00")).toBe("SUBACK QoS 1 accepted");
    expect(said(dissector, "gateway", "09 0c 20 0009 0002 6869")).toBe('PUBLISH 9 "a/b" QoS 1, 2, 2 B');
    expect(said(dissector, "device", "07 0d 0009 0002 00")).toBe("PUBACK 2 accepted");
    expect(said(dissector, "device", "04 18 0e10")).toBe("DISCONNECT sleeps 3600 s");
  });
});

describe("CoAP", () => {
  it("tells requests, answers, acknowledgements and blocks", () => {
    const dissector = dissectorOf("coap");
    expect(said(dissector, "device", "42 01 0001 7474 60 52 7073 01 61")).toBe(
      "CON GET /ps/a observe 0, 0001",
    );
    expect(said(dissector, "gateway", "62 45 0001 7474 60 ff 31")).toBe(
      "ACK 2.05 Content /ps/a observe 0, 0001, 1 B",
    );
    expect(said(dissector, "device", "60 00 0002")).toBe("ACK 0002");
    expect(said(dissector, "device", "40 03 0003 b1 78 d1 03 0a")).toBe("CON PUT /x Block1 0+/64, 0003");
  });

  it("hides the token that a connection gives, and what LwM2M's security object holds", () => {
    const dissector = dissectorOf("coap");
    const frame = (hex: string) => Buffer.from(hex, "hex");
    dissector.dissect(frame("420200017474b46d7174740a636f6e6e656374696f6e"), "device");
    const token = frame("624100017474ff313233");
    expect(dissector.dissect(token, "gateway")).toMatchObject({
      secrets: [[7, 10]],
      fields: { payload: "••" },
    });
    const write = dissector.dissect(frame("420300057474b1300130ff0102"), "gateway");
    expect(write).toMatchObject({ name: "CON PUT", secrets: [[11, 13]] });
  });
});

describe("STOMP", () => {
  it("tells frames by what their headers say, and heart-beats", () => {
    const dissector = dissectorOf("stomp", "tcp");
    const hex = (text: string): string => Buffer.from(text).toString("hex");
    expect(said(dissector, "device", hex("SEND\ndestination:a/b\nreceipt:1\n\nhi\0"))).toBe(
      "SEND destination a/b, receipt 1, 2 B",
    );
    expect(said(dissector, "gateway", hex("RECEIPT\nreceipt-id:1\n\n\0"))).toBe("RECEIPT receipt-id 1");
    expect(said(dissector, "device", "0a")).toBe("heart-beat 1 B");
    const bytes = Buffer.from("SEND\ndestination:a\ncontent-length:3\n\n\0\0\0\0\nSEND\n");
    expect([dissector.lengthOf?.(bytes, 0, "device"), dissector.lengthOf?.(bytes, 42, "device")]).toEqual([
      41,
      undefined,
    ]);
  });

  it("hides a passcode also within SockJS", () => {
    const frame = Buffer.from(JSON.stringify(["CONNECT\nlogin:ana\npasscode:hunter2\n\n\0"]));
    const dissection = dissectorOf("stomp", "ws", "/stomp/0/x/websocket").dissect(frame, "device");
    expect(dissection.name).toBe("CONNECT");
    expect(dissection.secrets).toEqual([[0, frame.length]]);
    expect(JSON.stringify(dissection.fields)).not.toContain("hunter2");
  });
});
