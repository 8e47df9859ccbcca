/** Multicast with real sockets: groups joined by setting, CoAP's and MQTT-SN's discovery. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

const GROUP = "239.255.77.9";
const CORE = Buffer.from("5101123477bb2e77656c6c2d6b6e6f776e04636f7265", "hex");
const SEARCHGW = Uint8Array.of(3, 1, 0);
const GWINFO = "030201";

let gateway: TestGateway | undefined;
let sender: Socket | undefined;
afterEach(async () => {
  sender?.close();
  sender = undefined;
  await gateway?.stop();
  gateway = undefined;
});

async function start(batches: boolean): Promise<Socket> {
  const udp = { bind: "0.0.0.0", udp: { batches, multicast: [`${GROUP}%lo`] } };
  gateway = await startGateway({
    gateways: {
      coap: { stack: { leisure: "100ms", amplification: "off" }, listeners: { udp } },
      "mqtt-sn": { discovery: { searchDelay: "100ms" }, listeners: { udp } },
    },
  });
  sender = createSocket("udp4");
  sender.bind(0, "127.0.0.1");
  await once(sender, "listening");
  sender.setMulticastInterface("127.0.0.1");
  return sender;
}

describe.each([
  ["many datagrams a call", true],
  ["one datagram a call, as Node does it", false],
])("a listener that has joined a group, %s", (_, batches) => {
  it("answers a GET of /.well-known/core and a SEARCHGW that the group was sent, from its own address", async () => {
    const from = await start(batches);
    for (const [bytes, name] of [
      [CORE, "coap"],
      [SEARCHGW, "mqtt-sn"],
    ] as const) {
      const port = gateway!.port(name, "udp");
      from.send(bytes, port, GROUP);
      const [answer, by] = (await once(from, "message")) as [Buffer, { address: string; port: number }];
      expect(by).toMatchObject({ address: "127.0.0.1", port });
      if (name === "mqtt-sn") expect(answer.toString("hex")).toBe(GWINFO);
      // NON (or, where nothing says that it was a group, as for one alone), 2.05, the token.
      else expect([answer[0]! >> 4, answer[1], answer[4]]).toEqual([5, 0x45, 0x77]);
    }
  });
});

it("what a group was sent and is no discovery is not answered, and the same to one alone is", async () => {
  const from = await start(true);
  const port = gateway!.port("coap", "udp");
  const heard: string[] = [];
  from.on("message", (bytes: Buffer) => heard.push(bytes.subarray(2, 4).toString("hex")));
  // Pings, which are reset (RFC 7252 §4.3): two to the group, and one behind them.
  for (const [id, to] of [
    [1, GROUP],
    [2, GROUP],
    [3, "127.0.0.1"],
  ] as const)
    from.send(Uint8Array.of(0x40, 0, 0, id), port, to);
  while (heard.length === 0) await once(from, "message");
  expect(heard).toEqual(["0003"]);
});
