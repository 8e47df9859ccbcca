/** A registered device and an application that asks it over MQTT. */
import { Lwm2mWorld, type Report } from "./lwm2m-world.ts";

export function registered(query: Record<string, string> = {}, links?: string, settings: object = {}) {
  const world = new Lwm2mWorld(settings);
  const device = world.device("meter");
  device.register(query, links);
  world.watch("meter");
  const ask = (command: object | string): Report[] => {
    world.command("meter", command);
    return world.reports("meter");
  };
  return { world, device, ask };
}

export const read = (path: string, more: object = {}) => ({
  reqID: 7,
  msgType: "read",
  data: { path, ...more },
});
export const values = (reports: Report[]) =>
  (reports[0]?.data["content"] as { path: string; value: unknown }[] | undefined)?.map(({ path, value }) => [
    path,
    value,
  ]);
