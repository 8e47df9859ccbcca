/** Clients, sessions and subscriptions with the manuals' fields. */
import type { ClientDetail, ClientSummary } from "../../operate/clients.ts";
import type { ApiPorts } from "../ports.ts";
import type { Call } from "./call.ts";
import { CODES, ManualError } from "./codes.ts";

/** `undefined` where something was looked at that is no row. */
export type Rows = Iterable<object | undefined>;

/** Local time, as the manuals write it. */
export function dateTime(at: number | undefined): string {
  if (at === undefined) return "undefined";
  const date = new Date(at);
  const two = (number: number): string => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const LEVELS: Readonly<Record<string, number>> = { "MQTT 3.1": 3, "MQTT 3.1.1": 4, "MQTT 5.0": 5 };

export const clientOf = (client: ClientSummary): object => ({
  client_id: client.clientId,
  username: client.username ?? "undefined",
  ipaddress: client.address ?? "undefined",
  port: client.port ?? 0,
  clean_sess: client.cleanStart,
  proto_ver: LEVELS[client.protocol ?? ""] ?? 0,
  keepalive: client.keepAlive,
  connected_at: dateTime(client.since),
});

export const sessionOf = (client: ClientSummary): object => ({
  client_id: client.clientId,
  clean_sess: client.cleanStart,
  subscriptions: client.subscriptions,
  max_inflight: 0,
  inflight_len: client.unsettled,
  inflight_queue: client.unsettled,
  mqueue_len: client.queued,
  message_queue: client.queued,
  mqueue_dropped: client.lost,
  message_dropped: client.lost,
  awaiting_rel_len: 0,
  awaiting_rel: 0,
  awaiting_ack: client.unsettled,
  awaiting_comp: 0,
  deliver_msg: 0,
  enqueue_msg: 0,
  created_at: dateTime(client.since),
});

/** So many clients are looked at at a time, before others may have their turn. */
const STEP = 32;

/** Connected clients for the list of clients, all for that of sessions. */
export function* rowsOf(
  { operator: { clients } }: ApiPorts,
  row: (client: ClientSummary) => object,
): Generator<object | undefined> {
  const filter = row === clientOf ? ({ presence: "connected" } as const) : {};
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = clients.page(filter, { after, limit: STEP, looks: STEP });
    for (const client of page.items) yield row(client);
    yield undefined;
    after = page.next;
  }
}

export function* subscriptionsOf({ operator: { clients } }: ApiPorts): Generator<object | undefined> {
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = clients.page({}, { after, limit: STEP, looks: STEP });
    for (const { gateway, clientId } of page.items) {
      for (const { filter, options } of clients.subscriptions(gateway, clientId) ?? []) {
        yield { client_id: clientId, topic: filter, qos: options.qos };
      }
    }
    yield undefined;
    after = page.next;
  }
}

/** MQTT's first; code 112 when there is none. */
export function connectedClient({ ports, params }: Pick<Call, "ports" | "params">): ClientDetail {
  const id = params["id"] ?? "";
  const { clients, gateways } = ports.operator;
  const names = ["mqtt", ...gateways.list().map(({ name }) => name)];
  for (const gateway of names) {
    const found = clients.get(gateway, id);
    if (found !== undefined) return found;
  }
  throw new ManualError(CODES.offline, `no client ${id}`);
}
