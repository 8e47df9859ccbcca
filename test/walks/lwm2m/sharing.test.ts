import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { CoapConfig } from "#gateways/coap/config.ts";
import { coap } from "#gateways/coap/index.ts";
import { lwm2m } from "#gateways/lwm2m/index.ts";
import { sessionOf } from "../../support/engine-of-run.ts";
import { definitionFiles, lwm2mConfig } from "../../support/lwm2m-config.ts";
import { Lwm2mDevice } from "../../support/lwm2m-device.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { World } from "../../support/world.ts";

function shared(settings: object = {}) {
  const world = new World({ files: definitionFiles(3) });
  world.open(lwm2m, lwm2mConfig(settings));
  const { config } = loadText([coap], "{}");
  const gateway = world.open(coap, config.gateways["coap"] as unknown as CoapConfig);
  const network = world.datagrams("coap", gateway.endpoint({ name: "udp", transport: "udp" }));
  return { world, device: new Lwm2mDevice(network, "meter") };
}

describe("one socket for CoAP and LwM2M", () => {
  it("serves /rd beside /ps, and lists both", () => {
    const { world, device } = shared();
    const heard = world.listen("room/temp");
    expect(device.register().code).toBe("2.01");
    expect(device.request("0.02", "ps/room/temp", [], "21").code).toMatch(/^2\./);
    expect(heard).toHaveLength(1);
    const links = Buffer.from(device.request("0.01", ".well-known/core", []).payload).toString();
    expect(links).toContain("</rd>");
    expect(links).toContain("</ps>");
  });

  it("the device is a client of the LwM2M gateway, whatever listener it came through", () => {
    const { world, device } = shared();
    device.register();
    expect(sessionOf(world, "lwm2m", "meter")).toBeDefined();
    expect(sessionOf(world, "coap", "meter")).toBeUndefined();
  });

  it("by setting the CoAP listeners know nothing of LwM2M", () => {
    const { device } = shared({ shareCoapListeners: false });
    expect(device.register().code).toBe("4.04");
  });
});

describe("a mountpoint", () => {
  it("comes in front of the topics in both directions, and the device knows nothing of it", () => {
    const world = new Lwm2mWorld(
      {},
      { policy: { mountpoint: (identity) => `site/${identity.endpointName}/` } },
    );
    const device = world.device("meter").on("GET /3/0/0", { code: "2.05", payload: "x" });
    const heard = world.listen("#");
    device.register();
    world.publish("site/meter/lwm2m/meter/dn/x", '{"msgType":"read","data":{"path":"/3/0/0"}}');
    world.publish("lwm2m/meter/dn/x", '{"msgType":"read","data":{"path":"/3/0/0"}}');
    expect(device.lines()).toEqual(["GET /3/0/0"]);
    const reports = heard.map((message) => message.topic).filter((topic) => topic.includes("/up/"));
    expect(reports).toEqual(["site/meter/lwm2m/meter/up/resp", "site/meter/lwm2m/meter/up/resp"]);
  });
});

describe("reload", () => {
  it("brings new definitions into use at the next registration, without a restart", () => {
    const files: Record<string, Uint8Array> = {};
    const world = new Lwm2mWorld({}, { files });
    const device = world.device("meter").on("GET /9000/0/1", { code: "2.05", payload: "1" });
    device.register();
    world.watch("meter");
    const read = () => {
      world.command("meter", { msgType: "read", data: { path: "/9000/0/1" } });
      const content = world.reports("meter")[0]?.data["content"] as { value: unknown }[] | undefined;
      return content?.[0]?.value;
    };
    expect(read()).toBe(1);
    const xml =
      '<LWM2M><Object><ObjectID>9000</ObjectID><Resources><Item ID="1"><Operations>R</Operations><Type>Boolean</Type></Item></Resources></Object></LWM2M>';
    world.addFile("xml/9000.xml", Buffer.from(xml));
    world.gateway.reload?.(lwm2mConfig({}));
    device.register();
    world.reports("meter");
    expect(read()).toBe(true);
  });

  it("a file that cannot be read is noted once, when the first device needs definitions, and left out", () => {
    const world = new Lwm2mWorld({}, { files: { "xml/broken.xml": Buffer.from("<LWM2M>") } });
    const noted = () => world.notes.filter(({ note }) => note.event === "definition-unreadable").length;
    for (const name of ["meter", "other"]) {
      const device = world.device(name).on("GET /3/0/0", { code: "2.05", payload: "x" });
      expect(device.register().code).toBe("2.01");
    }
    expect(noted()).toBe(0);
    for (const name of ["meter", "other"]) {
      world.command(name, { msgType: "read", data: { path: "/3/0/0" } });
    }
    expect(noted()).toBe(1);
  });

  it("a reload says at once which file cannot be read", () => {
    const world = new Lwm2mWorld({}, { files: {} });
    world.addFile("xml/broken.xml", Buffer.from("<LWM2M>"));
    world.gateway.reload?.(lwm2mConfig({}));
    expect(world.notes.some(({ note }) => note.event === "definition-unreadable")).toBe(true);
    expect(world.device("meter").register().code).toBe("2.01");
  });
});
