/** Captures of a trace, as Wireshark reads them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sender } from "#core/contract/dissection.ts";
import type { Transport } from "#core/contract/peer.ts";
import { masked } from "#core/trace/mask.ts";
import { PcapWriter, pcapHeader } from "#core/trace/pcapng.ts";
import type { FrameRow } from "#core/trace/rows.ts";
import { lacks } from "../../support/programs.ts";

const START = 1_700_000_000_000;
let numbers = 0;

function frame(
  gateway: string,
  transport: Transport,
  from: Sender,
  hex: string,
  more: Partial<FrameRow> = {},
): FrameRow {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  return {
    kind: "frame",
    number: ++numbers,
    cause: 7,
    at: START + numbers / 10,
    channel: 1,
    gateway,
    listener: "test",
    transport,
    address: "10.1.4.17",
    port: 40_112,
    clients: ["pump-7"],
    from,
    name: "X",
    summary: "",
    fields: {},
    bytes,
    length: bytes.length,
    masked: false,
    expects: false,
    again: 0,
    ...more,
  };
}

describe.skipIf(lacks("tshark"))("a capture", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-pcap-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function tshark(rows: readonly FrameRow[], ...options: string[]): string[] {
    const file = join(folder, `${++numbers}.pcapng`);
    const writer = new PcapWriter();
    writeFileSync(file, Buffer.concat([pcapHeader(), ...rows.map((row) => writer.packets(row))]));
    const out = execFileSync("tshark", ["-n", "-r", file, ...options], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    return out.toString().split("\n").filter(Boolean);
  }

  it("shows MQTT over TCP, in packets of a stream that goes on both ways", () => {
    const rows = [
      frame("mqtt", "tcp", "device", "10 0d 0004 4d515454 04 02 003c 0001 61"),
      frame("mqtt", "tls", "gateway", "20 02 00 00"),
      frame("mqtt", "tcp", "device", "30 0a 0005 612f622f63 323135"),
    ];
    const fields = [
      "-T",
      "fields",
      "-e",
      "mqtt.msgtype",
      "-e",
      "mqtt.topic",
      "-e",
      "tcp.seq",
      "-e",
      "tcp.ack",
    ];
    expect(tshark(rows, ...fields).map((line) => line.split("\t"))).toEqual([
      ["1", "", "1", "1"],
      ["2", "", "1", "16"],
      ["3", "a/b/c", "16", "5"],
    ]);
  });

  it("shows CoAP over UDP and over TCP, of IPv4 and IPv6", () => {
    const ipv6 = { address: "2001:db8:1::44", port: 5683 };
    const rows = [
      frame("coap", "udp", "device", "44 03 41a2 74746b6e b2 7073 01 61 ff 7b7d"),
      frame("coap", "udp", "gateway", "64 44 41a2 74746b6e", ipv6),
      frame("lwm2m", "tcp", "device", "61 02 74 b2 7264 41 61 11 28"),
    ];
    const fields = [
      "-T",
      "fields",
      "-e",
      "_ws.col.Protocol",
      "-e",
      "coap.code",
      "-e",
      "coap.opt.uri_path",
      "-e",
      "ipv6.dst",
    ];
    expect(tshark(rows, ...fields).map((line) => line.split("\t"))).toEqual([
      ["CoAP", "3", "ps,a", ""],
      ["CoAP", "68", "", "2001:db8:1::44"],
      ["CoAP", "2", expect.stringContaining("rd"), ""],
    ]);
  });

  it("shows MQTT-SN on port 1884, whatever the listener has, which is what Wireshark is told it by", () => {
    const rows = [
      frame("mqtt-sn", "udp", "gateway", "14 0a 0007 0001 636d642f70756d702d372f736574"),
      frame("mqtt-sn", "dtls", "device", "07 0b 0007 0001 00", { address: "fe80::1" }),
    ];
    const fields = [
      "-d",
      "udp.port==1884,mqttsn",
      "-T",
      "fields",
      "-e",
      "_ws.col.Protocol",
      "-e",
      "mqttsn.msg.type",
      "-e",
      "mqttsn.topic",
    ];
    expect(tshark(rows, ...fields).map((line) => line.split("\t"))).toEqual([
      ["MQTT-SN", "0x0a", "cmd/pump-7/set"],
      ["MQTT-SN", "0x0b", ""],
    ]);
  });

  it("shows STOMP, which Wireshark does not know, as the octets of a TCP stream on its port", () => {
    const rows = [frame("stomp", "wss", "device", Buffer.from("SEND\ndestination:a\n\nx\0").toString("hex"))];
    expect(tshark(rows, "-T", "fields", "-e", "tcp.dstport", "-e", "tcp.len")).toEqual(["61613\t22"]);
  });

  it("has the sentence of the row as a comment, its time to the microsecond, and whole checksums", () => {
    const rows = [frame("coap", "udp", "device", "40 01 0001", { at: START + 0.25, summary: "/x" })];
    const check = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
    const fields = [
      "-T",
      "fields",
      "-e",
      "frame.comment",
      "-e",
      "frame.time_epoch",
      "-e",
      "udp.checksum.status",
    ];
    const [line = ""] = tshark(rows, ...check, ...fields);
    expect(line.split("\t")).toEqual([
      "cause 7: coap pump-7 10.1.4.17:40112 -> X /x",
      "1700000000.000250000",
      "1",
    ]);
  });

  it("tells a frame that was cut as one of which not all was captured, and a long one in several segments", () => {
    const long = frame("mqtt", "tcp", "device", `30 ff c7 04 0001 61 ${"00".repeat(74_993)}`);
    const cut = frame("coap", "udp", "device", "40 01 0001", { length: 5000 });
    const sizes = tshark(
      [long, cut],
      "-T",
      "fields",
      "-e",
      "frame.len",
      "-e",
      "frame.cap_len",
      "-e",
      "tcp.len",
    );
    expect(sizes).toEqual(["60040\t60040\t60000", "15040\t15040\t15000", "5028\t32\t"]);
  });

  it("never holds an octet of a password: Wireshark sees asterisks of the same length", () => {
    const secret = Buffer.from("101400044d51545404c2003c00016100017500026869", "hex");
    const bytes = masked(secret, [[secret.length - 2, secret.length]], 1000);
    const rows = [frame("mqtt", "tcp", "device", Buffer.from(bytes).toString("hex"), { masked: true })];
    expect(tshark(rows, "-T", "fields", "-e", "mqtt.username", "-e", "mqtt.passwd")).toEqual(["u\t**"]);
  });
});
