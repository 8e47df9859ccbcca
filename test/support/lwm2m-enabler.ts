/** The minimum configurations of OMA's enabler test cases, as devices that answer by them (ETS Appendix C). */
import { type Asked, hex, type Lwm2mDevice, type Reply } from "./lwm2m-device.ts";
import { Lwm2mWorld, type Report } from "./lwm2m-world.ts";

/** Objects of configuration 1 and its supersets, with Portfolio where a case wants it. */
export const LINKS = '</>;rt="oma.lwm2m";ct="0 60 110 112 11542 11543",</1/0>,</3/0>,</16/0>';

/** A registered device of LwM2M 1.1 and an application that asks it. */
export function enabler(query: Record<string, string> = {}, links = LINKS, settings: object = {}) {
  const world = new Lwm2mWorld(settings);
  world.watch("meter");
  const device = world.device("meter");
  device.register({ lwm2m: "1.1", lt: "86400", ...query }, links);
  world.reports("meter");
  const ask = (msgType: string, data: object): Report => {
    world.command("meter", { reqID: 1, msgType, data });
    const reports = world.reports("meter", "resp");
    if (reports.length !== 1) throw new Error(`${reports.length} answers to ${msgType}`);
    return reports[0] as Report;
  };
  /** `path: value` of an answer. */
  const read = (msgType: string, data: object): Record<string, unknown> => {
    const report = ask(msgType, data);
    const content = (report.data["content"] ?? []) as { path: string; value: unknown }[];
    return Object.fromEntries(content.map(({ path, value }) => [path, value]));
  };
  const code = (msgType: string, data: object): unknown => ask(msgType, data).data["code"];
  return { world, device, ask, read, code };
}

export const content = (format: number, payload: string | Uint8Array): Reply => ({
  code: "2.05",
  format,
  payload: typeof payload === "string" ? payload : Buffer.from(payload),
});
export const bodyOf = (asked: Asked): string => Buffer.from(asked.payload).toString();
export const hexOf = (asked: Asked): string => Buffer.from(asked.payload).toString("hex");

/** Device object of configuration 1 in the formats of the cases. */
export const DEVICE = {
  tlv: hex("c8000a4f7065726174696f6e73 c1 01 4d c4 02 53393939 c3 03 312e32 83 0b 41 00 00 c1 10 55"),
  json: '{"bn":"/3/0/","e":[{"n":"0","sv":"Operations"},{"n":"1","sv":"M"},{"n":"2","sv":"S999"},{"n":"3","sv":"1.2"},{"n":"11/0","v":0},{"n":"16","sv":"U"}]}',
  senmlJson:
    '[{"bn":"/3/0/","n":"0","vs":"Operations"},{"n":"1","vs":"M"},{"n":"2","vs":"S999"},{"n":"3","vs":"1.2"},{"n":"11/0","v":0},{"n":"16","vs":"U"}]',
  values: {
    "/3/0/0": "Operations",
    "/3/0/1": "M",
    "/3/0/2": "S999",
    "/3/0/3": "1.2",
    "/3/0/11/0": 0,
    "/3/0/16": "U",
  },
} as const;

/** Server object of configuration 3: what a case restores. */
export const SERVER_VALUES = {
  "/1/0/0": 1,
  "/1/0/1": 86_400,
  "/1/0/2": 1,
  "/1/0/3": 10,
  "/1/0/5": 86_400,
  "/1/0/6": false,
  "/1/0/7": "U",
};
export const SERVER_TLV = hex(
  "c10001 c40100015180 c10201 c1030a c40500015180 c10600 c10755".replaceAll(" ", ""),
);

/** Observed at these paths, with the value of each. */
export function observing(device: Lwm2mDevice, values: Readonly<Record<string, string>>): void {
  for (const [path, payload] of Object.entries(values)) {
    device.on(`GET ${path}`, (asked) => ({
      code: "2.05",
      payload,
      ...(asked.observe === 0 ? { observe: 10 } : {}),
    }));
  }
}
