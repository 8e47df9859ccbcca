import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";

const folder = mkdtempSync(join(tmpdir(), "mqtt-sn-restart-"));
let gateway: TestGateway | undefined;

const start = async (): Promise<TestGateway> => {
  gateway = await startGateway({
    dataFolder: folder,
    store: { engine: "embedded" },
    gateways: { mqtt: {}, "mqtt-sn": {} },
  });
  return gateway;
};
const stop = async (): Promise<void> => {
  await gateway?.stop();
  gateway = undefined;
};
const publish = async (running: TestGateway, topic: string, payload: string): Promise<void> => {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.port("mqtt", "tcp")}`);
  await client.publishAsync(topic, payload, { qos: 1 });
  await client.endAsync();
};

afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("MQTT-SN 1.2 §6.14, a sleeper and a restart of the gateway", () => {
  it("is found by its client id, and gets what was published before and after", async () => {
    const first = await start();
    const device = await SnSocket.open(first.port("mqtt-sn", "udp"));
    expect(await device.ask(message(`04 00 01 003c ${hexOf("d1")}`))).toBe("030500");
    expect(await device.ask(message(`12 20 0001 ${hexOf("a/b")}`))).toBe("0813200001000100");
    expect(await device.ask(message(`0a 0000 0002 ${hexOf("up")}`))).toBe("070b0002000200");
    expect(await device.ask("0418 0e10")).toBe("0218");
    await publish(first, "a/b", "before");
    await device.close();
    await stop();

    const second = await start();
    await publish(second, "a/b", "after");
    const awake = await SnSocket.open(second.port("mqtt-sn", "udp"));
    expect(await awake.ask(message(`16 ${hexOf("d1")}`))).toBe(message(`0a 0001 0001 ${hexOf("a/b")}`));
    expect(await awake.ask("070b 0001 0001 00")).toBe(message(`0c 20 0001 0001 ${hexOf("before")}`));
    expect(await awake.ask("070d 0001 0001 00")).toBe(message(`0c 20 0001 0002 ${hexOf("after")}`));
    expect(await awake.ask("070d 0001 0002 00")).toBe("0217");
    // Its topic ids are the old ones (MQTT-SN 1.2 §6.5).
    expect(await awake.ask(message(`0c 20 0002 0005 ${hexOf("x")}`))).toBe("070d0002000500");
    await awake.close();
  });
});
