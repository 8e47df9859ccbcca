/** A stock CoAP library registers, is read, is observed and sends, over real sockets; an MQTT library asks. */
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type OutgoingMessage, type Server } from "coap";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

type Report = { msgType: string; data: Record<string, unknown>; [field: string]: unknown };

let gateway: TestGateway;
let application: MqttClient;
const heard: Report[] = [];
let arrived: () => void = () => {};

beforeAll(async () => {
  gateway = await startGateway({
    gateways: {
      mqtt: {},
      coap: {},
      lwm2m: { listeners: { own: { transport: "udp" } } },
    },
  });
  application = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
  application.on("message", (_topic, payload) => {
    heard.push(JSON.parse(payload.toString()) as Report);
    arrived();
  });
  await application.subscribeAsync("lwm2m/+/up/#");
});

afterAll(async () => {
  await application.endAsync(true);
  await gateway.stop();
});

beforeEach(() => heard.splice(0));

/** The next report that fits. */
async function report(fits: (report: Report) => boolean): Promise<Report> {
  for (;;) {
    const found = heard.find(fits);
    if (found !== undefined) {
      heard.splice(heard.indexOf(found), 1);
      return found;
    }
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

/** A device made of the npm package coap: one socket for what it asks and what it is asked. */
class ForeignDevice {
  readonly server: Server;
  readonly port: number;
  agent: Agent | undefined = undefined;

  constructor(port: number, answer: (request: IncomingMessage, response: OutgoingMessage) => void) {
    this.port = port;
    this.server = createServer(answer);
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", () => resolve()));
    // Registrations must come from the socket at which the device is asked.
    const socket = (this.server as unknown as { _sock: never })._sock;
    this.agent = new Agent({ type: "udp4", socket });
  }

  async request(
    method: string,
    path: string,
    query: string,
    payload: string | Buffer = "",
    format?: string,
  ): Promise<IncomingMessage> {
    const request = (this.agent as Agent).request({
      hostname: "127.0.0.1",
      port: this.port,
      pathname: path,
      query,
      method: method as never,
      ...(format === undefined ? {} : { options: { "Content-Format": format } }),
    });
    request.end(payload);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response;
  }

  close(): void {
    this.server.close();
  }
}

interface WireOption {
  readonly name: string;
  readonly value: Buffer;
}

const locationOf = (response: IncomingMessage): string =>
  (response as unknown as { options: readonly WireOption[] }).options
    .filter((option) => option.name === "Location-Path")
    .map((option) => String(option.value))
    .join("/");

describe.each([
  ["on the port of the CoAP gateway", "coap", "udp"],
  ["on a port of its own", "lwm2m", "own"],
])("the npm package coap as a device, %s", (_where, name, listener) => {
  let device: ForeignDevice;

  beforeEach(async () => {
    device = new ForeignDevice(gateway.port(name, listener), (request, response) => {
      response.code = "2.05";
      response.end(request.url === "/3/0/0" ? "npm" : "100");
    });
    await device.open();
  });
  afterEach(() => device.close());

  it("registers, is read and written over MQTT, updates, and de-registers", async () => {
    const ep = `foreign-${name}`;
    const registered = await device.request(
      "POST",
      "/rd",
      `ep=${ep}&lt=300&lwm2m=1.0&b=U`,
      "</1/0>,</3/0>",
      "application/link-format",
    );
    expect(registered.code).toBe("2.01");
    const location = locationOf(registered);
    expect(location).toMatch(/^rd\//);
    expect(await report((each) => each.msgType === "register")).toMatchObject({
      data: { ep, lt: 300, objectList: ["/1/0", "/3/0"] },
    });

    application.publish(
      `lwm2m/${ep}/dn/x`,
      JSON.stringify({ reqID: 1, msgType: "read", data: { path: "/3/0/0" } }),
    );
    expect(await report((each) => each.msgType === "read")).toEqual({
      reqID: 1,
      msgType: "read",
      data: {
        reqPath: "/3/0/0",
        code: "2.05",
        codeMsg: "content",
        content: [{ path: "/3/0/0", value: "npm" }],
      },
    });

    expect((await device.request("POST", `/${location}`, "lt=600")).code).toBe("2.04");
    expect((await report((each) => each.msgType === "update")).data["lt"]).toBe(600);
    expect((await device.request("DELETE", `/${location}`, "")).code).toBe("2.02");
    expect((await device.request("POST", `/${location}`, "")).code).toBe("4.04");
  });

  it("sends by itself, and is refused what is not its own", async () => {
    const ep = `sender-${name}`;
    await device.request("POST", "/rd", `ep=${ep}&lt=300&lwm2m=1.1&b=U`, "</3/0>", "application/link-format");
    const sent = await device.request("POST", "/dp", "", '[{"n":"/3/0/9","v":77}]', "application/senml+json");
    expect(sent.code).toBe("2.04");
    expect(await report((each) => each.msgType === "send")).toEqual({
      msgType: "send",
      data: { content: [{ path: "/3/0/9", value: 77 }] },
    });
    expect((await device.request("POST", "/rd/guessed", "")).code).toBe("4.04");
    expect((await device.request("POST", "/rd", `ep=${ep}&lwm2m=9.9`, "")).code).toBe("4.12");
  });
});
