import type { MqttClient } from "mqtt";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { CoapSocket, mqttClient, within } from "./clients.ts";
import { GUARDED, type Site } from "./site.ts";

const REGISTRATION = { code: "POST", path: "rd", options: [[12, 40]] as const, payload: "</3/0>" };

let devices = 0;

/** Each at an address of its own, since each has its line of the log once a minute. */
async function withDevice<T>(site: Site, use: (device: CoapSocket) => Promise<T>): Promise<T> {
  const device = new CoapSocket(site.port("coap", "udp"), `127.0.0.${++devices + 1}`);
  try {
    return await use(device);
  } finally {
    device.close();
  }
}

const register = (device: CoapSocket, ep: string, ...more: string[]) =>
  device.ask({ ...REGISTRATION, query: [`ep=${ep}`, "lt=60", "lwm2m=1.1", "b=U", ...more] });

/** An application that asks a device by JSON, and what it is answered. */
async function application<T>(site: Site, use: (client: MqttClient) => Promise<T>): Promise<T> {
  const client = await mqttClient(site.port("mqtt", "tcp"));
  try {
    return await use(client);
  } finally {
    client.end(true);
  }
}

interface Report {
  readonly msgType: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const answerOf = (client: MqttClient, ep: string, command: object): Promise<Report> =>
  within(
    "an answer to the command",
    (async () => {
      await client.subscribeAsync(`lwm2m/${ep}/up/#`);
      const answer = new Promise<Report>((resolve) => {
        client.on("message", (_, payload) => {
          const report = JSON.parse(payload.toString());
          if (report.reqID === 7) resolve(report);
        });
      });
      await client.publishAsync(`lwm2m/${ep}/dn/cmd`, JSON.stringify({ reqID: 7, ...command }), { qos: 1 });
      return answer;
    })(),
  );

const READ = { msgType: "read", data: { path: "/3/0/0" } };

const OPEN: readonly Case[] = [
  {
    row: "`4.00` to a registration",
    play: (site) =>
      withDevice(site, async (device) => [
        (await device.ask({ ...REGISTRATION, query: ["lt=60", "lwm2m=1.1"] })).code,
      ]),
  },
  {
    row: "`4.12` to a registration",
    play: (site) =>
      withDevice(site, async (device) => [
        (await device.ask({ ...REGISTRATION, query: ["ep=new", "lt=60", "lwm2m=9.0"] })).code,
      ]),
  },
  {
    row: "`4.04` to an Update",
    play: (site) =>
      withDevice(site, async (device) => [(await device.ask({ code: "POST", path: "rd/1234567" })).code]),
  },
  {
    row: "a command is answered with `coap_timeout`",
    play: (site) =>
      withDevice(site, (device) =>
        application(site, async (client) => {
          await register(device, "deaf");
          const { msgType } = await answerOf(client, "deaf", READ);
          return [String(msgType)];
        }),
      ),
  },
  {
    row: "a command is not answered, or with `queued`: the device sleeps",
    play: (site) =>
      withDevice(site, (device) =>
        application(site, async (client) => {
          await register(device, "sleeper", "Q");
          const kinds = new Set<string>();
          client.on("message", (_, payload) => kinds.add(JSON.parse(payload.toString()).msgType));
          await client.subscribeAsync("lwm2m/sleeper/up/#");
          // As soon as it is taken to be asleep.
          await until(async () => {
            await client.publishAsync("lwm2m/sleeper/dn/cmd", JSON.stringify({ reqID: 7, ...READ }), {
              qos: 1,
            });
            return kinds.has("queued");
          }, "it sleeps");
          return ["queued"];
        }),
      ),
  },
  {
    row: "a command is not answered: nobody of that name is registered",
    play: (site) =>
      application(site, async (client) => {
        await client.publishAsync("lwm2m/nobody/dn/cmd", JSON.stringify({ reqID: 7, ...READ }), { qos: 1 });
        return [];
      }),
  },
  {
    row: "a command is answered with code `4.00`",
    play: (site) =>
      withDevice(site, (device) =>
        application(site, async (client) => {
          await register(device, "misread");
          const command = { msgType: "raed", data: { path: "/3/0/0" } };
          const { data } = await answerOf(client, "misread", command);
          return [String(data["code"])];
        }),
      ),
  },
];

export const LWM2M: Group = {
  name: "LwM2M",
  settings: () => ({
    gateways: {
      lwm2m: { queueMode: { awake: "1s" }, commands: { reportQueued: true } },
      coap: { stack: { ackTimeout: "50ms", maxRetransmit: 1, ask: { timeout: "1s" } } },
    },
  }),
  cases: OPEN,
};

export const LWM2M_GUARDED: Group = {
  name: "LwM2M with logins",
  settings: () => GUARDED,
  cases: [
    {
      row: "`4.03` to a registration",
      play: (site) => withDevice(site, async (device) => [(await register(device, "meter")).code]),
    },
  ],
};
