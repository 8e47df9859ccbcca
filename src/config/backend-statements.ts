/** Statements of backends, with the tables and keys of EMQ X's manuals. */
import type { BackendSettings } from "./backends.ts";

/** How messages are given to who subscribes to their topic, and what their acknowledgement does. */
interface Fetching {
  readonly fetch: readonly string[];
  readonly acked: readonly string[];
  readonly unsubscribed: readonly string[];
}

export interface Statements {
  readonly online: readonly string[];
  readonly offline: readonly string[];
  readonly subscriptions: readonly string[];
  readonly publish: readonly string[];
  readonly queue: Fetching;
  readonly pubsub: Fetching;
  readonly retain: readonly string[];
  readonly unretain: readonly string[];
  readonly restore: readonly string[];
}

type Limits = Pick<BackendSettings, "maximum" | "timeRange">;

const secondsOf = ({ timeRange }: Limits): number => Math.max(1, Math.floor(timeRange / 1000));

/** How far a client has come with a topic: the place of the last message that it has acknowledged. */
const POSITION =
  "coalesce((select mid from mqtt_acked where clientid = ${clientid} and topic = ${topic}), 0)";
const MESSAGES = "select msgid, topic, qos, payload from mqtt_msg where topic = ${topic}";
const SUBSCRIPTIONS = "select topic, qos from mqtt_sub where clientid = ${clientid}";
const RETAINED = "select msgid, topic, qos, payload from mqtt_retain where topic = ${topic}";
const FORGET = "delete from mqtt_acked where clientid = ${clientid} and topic = ${topic}";
const DELETE = "delete from mqtt_msg where msgid = ${id}";
const UNRETAIN = "delete from mqtt_retain where topic = ${topic}";

/** A message that is written a second time, because nobody knows whether the first time has succeeded, is there once. */
const ONCE = "where not exists (select 1 from mqtt_msg where msgid = ${id})";

function postgres(limits: Limits): Statements {
  const recent = `arrived > now() - interval '${secondsOf(limits)} seconds' order by id limit ${limits.maximum}`;
  const at = "to_timestamp(${timestamp}::double precision / 1000)";
  return {
    online: [
      `insert into mqtt_client(clientid, state, node, online_at, created) values (\${clientid}, 1, \${node}, ${at}, now()) on conflict (clientid) do update set state = 1, node = excluded.node, online_at = excluded.online_at, offline_at = null`,
    ],
    offline: [`update mqtt_client set state = 0, offline_at = ${at} where clientid = \${clientid}`],
    subscriptions: [SUBSCRIPTIONS],
    publish: [
      `insert into mqtt_msg(msgid, sender, topic, qos, retain, payload, arrived) select \${id}::varchar, \${clientid}::varchar, \${topic}::varchar, \${qos}::integer, \${retained}::integer, \${payload}::text, ${at} ${ONCE}`,
    ],
    queue: { fetch: [`${MESSAGES} and ${recent}`], acked: [DELETE], unsubscribed: [] },
    pubsub: {
      fetch: [`${MESSAGES} and id > ${POSITION} and ${recent}`],
      acked: [
        "insert into mqtt_acked(clientid, topic, mid, created) select ${clientid}::varchar, ${topic}::varchar, id, now() from mqtt_msg where msgid = ${id} on conflict (clientid, topic) do update set mid = greatest(mqtt_acked.mid, excluded.mid)",
      ],
      unsubscribed: [FORGET],
    },
    retain: [
      `insert into mqtt_retain(topic, msgid, sender, qos, payload, arrived) values (\${topic}, \${id}, \${clientid}, \${qos}, \${payload}, ${at}) on conflict (topic) do update set msgid = excluded.msgid, sender = excluded.sender, qos = excluded.qos, payload = excluded.payload, arrived = excluded.arrived`,
    ],
    unretain: [UNRETAIN],
    restore: [RETAINED],
  };
}

function mysql(limits: Limits): Statements {
  const recent = `arrived > now() - interval ${secondsOf(limits)} second order by id limit ${limits.maximum}`;
  const at = "from_unixtime(${timestamp} / 1000)";
  return {
    online: [
      `insert into mqtt_client(clientid, state, node, online_at) values (\${clientid}, '1', \${node}, ${at}) on duplicate key update state = '1', node = values(node), online_at = values(online_at), offline_at = null`,
    ],
    offline: [`update mqtt_client set state = '0', offline_at = ${at} where clientid = \${clientid}`],
    subscriptions: [SUBSCRIPTIONS],
    publish: [
      `insert into mqtt_msg(msgid, sender, topic, node, qos, retain, payload, arrived) select \${id}, \${clientid}, \${topic}, \${node}, \${qos}, \${retained}, \${payload}, ${at} from dual ${ONCE}`,
    ],
    queue: { fetch: [`${MESSAGES} and ${recent}`], acked: [DELETE], unsubscribed: [] },
    pubsub: {
      fetch: [`${MESSAGES} and id > ${POSITION} and ${recent}`],
      acked: [
        "insert into mqtt_acked(clientid, topic, mid, created) select ${clientid}, ${topic}, id, now() from mqtt_msg where msgid = ${id} on duplicate key update mid = greatest(mqtt_acked.mid, values(mid))",
      ],
      unsubscribed: [FORGET],
    },
    retain: [
      `insert into mqtt_retain(topic, msgid, sender, node, qos, payload, arrived) values (\${topic}, \${id}, \${clientid}, \${node}, \${qos}, \${payload}, ${at}) on duplicate key update msgid = values(msgid), sender = values(sender), node = values(node), qos = values(qos), payload = values(payload), arrived = values(arrived)`,
    ],
    unretain: [UNRETAIN],
    restore: [RETAINED],
  };
}

const MESSAGE =
  "id ${id} from ${clientid} qos ${qos} topic ${topic} retain ${retained} payload ${payload} ts ${ts}";

/**
 * Messages of a topic in their order, those left out that are not above what was acknowledged last: ids begin with their
 * time. Those that have expired leave the set.
 */
const script = ({ maximum }: Limits): string =>
  [
    "local set, last = 'mqtt:msg:' .. ARGV[1], ARGV[2] ~= '' and redis.call('GET', ARGV[2]) or false",
    "local found = {}",
    "for _, id in ipairs(redis.call('ZRANGE', set, 0, -1)) do",
    "if not last or id > last then",
    "local message = redis.call('HGETALL', 'mqtt:msg:' .. id)",
    "if #message > 0 then found[#found + 1] = message else redis.call('ZREM', set, id) end",
    `if #found >= ${maximum} then break end`,
    "end end return found",
  ].join(" ");

function redis(limits: Limits): Statements {
  const seconds = secondsOf(limits);
  const fetch = (position: string): string => `EVAL "${script(limits)}" 0 \${topic} ${position}`;
  return {
    online: [
      "HMSET mqtt:client:${clientid} state 1 online_at ${ts} offline_at undefined",
      "HSET mqtt:node:${node} ${clientid} ${ts}",
    ],
    offline: ["HMSET mqtt:client:${clientid} state 0 offline_at ${ts}", "HDEL mqtt:node:${node} ${clientid}"],
    subscriptions: ["HGETALL mqtt:sub:${clientid}"],
    publish: [
      `HMSET mqtt:msg:\${id} ${MESSAGE}`,
      `EXPIRE mqtt:msg:\${id} ${seconds}`,
      "ZADD mqtt:msg:${topic} ${timestamp} ${id}",
      "ZREMRANGEBYSCORE mqtt:msg:${topic} -inf ${stale}",
      `EXPIRE mqtt:msg:\${topic} ${seconds}`,
    ],
    queue: {
      fetch: [fetch("''")],
      acked: ["ZREM mqtt:msg:${topic} ${id}", "DEL mqtt:msg:${id}"],
      unsubscribed: [],
    },
    pubsub: {
      fetch: [fetch("mqtt:acked:${clientid}:${topic}")],
      acked: [`SET mqtt:acked:\${clientid}:\${topic} \${id} EX ${seconds}`],
      unsubscribed: ["DEL mqtt:acked:${clientid}:${topic}"],
    },
    retain: [`HMSET mqtt:retain:\${topic} ${MESSAGE}`],
    unretain: ["DEL mqtt:retain:${topic}"],
    restore: ["HGETALL mqtt:retain:${topic}"],
  };
}

/** By the kind of connector. */
export const STATEMENTS: Readonly<Record<string, (limits: Limits) => Statements>> = {
  redis,
  postgres,
  mysql,
};
