/**
 * What sessions at an external broker must do, line by line (upstream sheet U-001 to U-108, and what real clusters did,
 * S1 to S10 and R1 to R5): where each is shown, or where it is said that it is otherwise here. A line without a row fails,
 * and so does a row that points nowhere. Lines that only tell how others do it, and ask nothing of us, have none.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const span = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The numbers of the sheet; those between are free. */
const SHEET = [
  ...[span(1, 8), span(20, 26), span(30, 34), span(40, 67), span(70, 76)].flat(),
  ...[span(80, 90), span(95, 96), span(100, 108)].flat(),
];
const LINES: readonly string[] = [
  ...SHEET.map((line) => `U-${String(line).padStart(3, "0")}`),
  ...span(1, 10).map((line) => `S${line}`),
  ...["R1", "R2", "R3", "R3b", "R4", "R5"],
];

/** Facts about others: their users' wishes, settings of their bridges, a broker that is not used here. */
const OF_OTHERS: readonly string[] = ["U-004", "U-020", "U-021", "U-025", "U-105"];

const [CONNECT, TRAFFIC, FAILURES, LIMITS, EACH] = [
  ...["connect", "traffic", "failures", "limits", "gateways"].map(
    (name) => `test/walks/upstream/${name}.test.ts`,
  ),
] as [string, string, string, string, string];
const [MET, SERVERS, REDIRECTS, SETTINGS] = ["met-servers", "servers", "redirects", "settings"].map(
  (name) => `test/unit/upstream/${name}.test.ts`,
) as [string, string, string, string];
const AT = "test/conformance/upstream";
const [MOSQUITTO, METRICS, GROUPS, SECURED, ANY_GATEWAY] = [
  ...["mosquitto", "metrics", "groups", "secured", "any-gateway"].map((name) => `${AT}/${name}.test.ts`),
] as [string, string, string, string, string];
const ALIKE = `${AT}/transparent/cases.ts`;
const ROUTES = "test/conformance/api/upstream.test.ts";
const BRIDGE = "test/conformance/connect/mqtt.test.ts";
const HOOKS = "test/walks/core/hooks.test.ts";
const HOSTILE = "test/simulation/upstream/hostile-broker.test.ts";
const KINDS = "test/clusters/clusters.test.ts";
const DECIDED = "src/upstream/README.md";
const TRIED = "src/upstream/clusters.md";
const PAPER = "src/upstream/ten-million-devices.md";

/** Line, file, and words of it: of a test's name, or of a decision. */
const SHOWN: readonly (readonly [line: string, file: string, words: string])[] = [
  // What the seeds do.
  ["U-001", `${AT}/transparent.test.ts`, "MQTT $version, $broker broker, TCP and $ended: $name"],
  ["U-002", HOOKS, "changes topic, payload, QoS, retain, properties and expiry"],
  ["U-002", HOOKS, "tell what has happened, in order"],
  ["U-003", HOOKS, "changes filter and QoS, and what is unsubscribed is what was made of the filter"],
  ["U-003", HOOKS, "answers CONNECT with 0x87 and the reason"],
  ["U-005", ROUTES, "leads clients of that address and protocol level to that server, at once"],
  ["U-006", ROUTES, "may have level 5, several nodes, and a balance by client id"],
  ["U-007", CONNECT, "%s goes through to an MQTT device that keeps its session"],
  ["U-008", FAILURES, "its session is at the server, under the same id"],
  ["U-008", MOSQUITTO, "keeps a device connected over a restart of the broker"],
  ["U-008", MET, "is acknowledged to it when the device has acknowledged it, and not before"],
  // Bridges and links.
  ["U-022", BRIDGE, "brings what is subscribed to there, remapped, and sends none of it back"],
  ["U-023", DECIDED, "The cluster's own bridges and links are its own affair"],
  ["U-024", GROUPS, "moves sessions off a server that is drained, with what they are subscribed to"],
  ["U-026", BRIDGE, "loses nothing when the broker is killed under load, in either direction"],
  // Modes.
  ["U-030", MOSQUITTO, "publishes and is sent messages at all QoS, in order"],
  ["U-031", DECIDED, "Clients that share an identity (MQTT-SN's aggregating mode) have a connection each"],
  ["U-032", BRIDGE, "publishes what rules send, remapped, over MQTT %s"],
  ["U-033", DECIDED, "Only what has no session shares connections"],
  ["U-034", SERVERS, "chooses the same server for a client id in every gateway"],
  ["U-034", SERVERS, "gets nobody after so many failures in a row"],
  ["U-034", SERVERS, "stand for a server for each address, looked up again"],
  // CONNECT.
  ["U-040", CONNECT, "is made by the template %s"],
  ["U-040", CONNECT, "names one session whichever gateway its device comes through"],
  ["U-040", DECIDED, "an empty client id is given one here"],
  ["U-041", CONNECT, "three closes that follow each other quickly end the device: there is no ping-pong"],
  ["U-041", MET, "is believed when it comes again at once: there is no ping-pong"],
  ["U-041", MOSQUITTO, "ends a device whose session another client has taken at the broker"],
  ["U-042", CONNECT, "and at least until its connection may be mended"],
  ["U-042", CONNECT, "the device is told when the server grants less"],
  ["U-042", CONNECT, "before MQTT 5 the session is wiped first where it begins anew and stays"],
  ["U-043", CONNECT, "a sleeper that is held keeps its connection"],
  ["U-043", CONNECT, "LwM2M: a registration's session outlives its lifetime"],
  ["U-043", CONNECT, "STOMP: a session ends with its connection"],
  ["U-043", CONNECT, "publish over connections of the gateway itself"],
  ["U-044", CONNECT, "a device that comes back is told that its session is lost"],
  ["U-044", CONNECT, "its subscriptions are made again from what is remembered here"],
  ["U-044", CONNECT, "one that the server still has is left as it is"],
  ["U-045", CONNECT, "which holds it back while a broken connection may be mended"],
  ["U-045", CONNECT, "and is the server's where its device asks for it (0x04)"],
  ["U-045", CONNECT, "WILLTOPICUPD and WILLMSGUPD are told by a new CONNECT"],
  ["U-045", DECIDED, "Before MQTT 5.0 a server fires wills when our connection breaks"],
  ["U-046", CONNECT, "is ours, not the device's: PINGREQ goes when nothing else does"],
  ["U-046", CONNECT, "is the server's where CONNACK says so"],
  ["U-047", CONNECT, "is what the device can have in flight"],
  ["U-047", CONNECT, "of which the device gets one at a time, and the server PUBACK for what it took"],
  ["U-047", DECIDED, "what a sleeper is to be handed has to be here when it is told that there is no more"],
  ["U-048", LIMITS, "Maximum QoS: MQTT 5 devices are told"],
  ["U-048", LIMITS, "Retain Available 0"],
  ["U-048", LIMITS, "Maximum Packet Size"],
  ["U-048", LIMITS, "Topic Alias Maximum: no alias above"],
  ["U-049", CONNECT, "3.1.1 is tried at once, and remembered of that server"],
  ["U-049", ALIKE, "is told words with each answer"],
  ["U-050", TRAFFIC, "REGISTER stays here (U-050)"],
  ["U-050", EACH, "a short sleep is held, a long one gives the connection up"],
  ["U-050", EACH, "a device that is lost has its will published"],
  ["U-051", EACH, "GET is a short subscription of the gateway itself: what is retained, or 4.04"],
  ["U-051", EACH, "an observation is a subscription for as long"],
  ["U-051", EACH, "DELETE is an empty retained message"],
  ["U-052", "test/walks/lwm2m/released.test.ts", "its commands wait there, in order"],
  ["U-052", EACH, "a command is acknowledged to the server when the device has answered it"],
  ["U-053", EACH, "ack:client with ACK for all before it"],
  ["U-053", EACH, "NACK: MQTT knows no redelivery on request"],
  ["U-053", EACH, "a transaction is held here until COMMIT"],
  ["U-053", DECIDED, "that all or nothing of it arrives no server promises"],
  ["U-054", CONNECT, "the device what it says to the server, the gateway what is between the two"],
  ["U-054", DECIDED, "A gateway adds no marks of its own"],
  // Traffic.
  ["U-055", TRAFFIC, "is acknowledged when the server has acknowledged it, and not before"],
  ["U-055", TRAFFIC, "no matching subscribers"],
  ["U-056", MET, "is acknowledged to it when the device has acknowledged it, and not before"],
  ["U-056", TRAFFIC, "is not read from the server until the device has taken what is here"],
  ["U-057", TRAFFIC, "goes again first, under its id, with DUP where the server has the session"],
  ["U-057", TRAFFIC, "it is PUBREL that goes again, and the message does not"],
  ["U-058", EACH, "go over one connection, so that their order holds"],
  ["U-059", TRAFFIC, "for the others nothing is asked for but what 3.1.1 has"],
  ["U-059", TRAFFIC, "goes on as the server says it, either way"],
  ["U-060", LIMITS, "as the shared group of that name"],
  ["U-060", LIMITS, "are refused with 0x9E where %s, and it is not asked"],
  ["U-061", LIMITS, "a subscription that the server refuses (U-061)"],
  ["U-062", CONNECT, "it is told the device's user name and password, or by setting the gateway's for all"],
  ["U-062", CONNECT, "%s is said in each protocol's own words"],
  ["U-062", ALIKE, "proves itself once more"],
  ["U-063", SECURED, "leads over TLS with certificates on both sides"],
  ["U-063", SECURED, "asks for the server by name and offers its protocol (SNI, ALPN)"],
  ["U-063", SECURED, "leads over TLS with a shared key (PSK)"],
  ["U-063", "test/unit/net/dial.test.ts", "takes the session up again at the next connection"],
  ["U-064", REDIRECTS, "is followed three times at most"],
  ["U-064", REDIRECTS, "never goes from TLS to plain"],
  ["U-065", BRIDGE, "what is published there comes here again"],
  ["U-065", "test/conformance/rules/circles.test.ts", "end with what the first of them has back once"],
  ["U-065", DECIDED, "they go round in no circle that a hop count could end"],
  ["U-066", TRAFFIC, "Message Expiry Interval is counted down by the time that a message waited here"],
  ["U-066", ALIKE, "names what it wants, and is given it"],
  ["U-067", SETTINGS, "are those of its profile where nothing else is said"],
  ["U-067", TRIED, "Their profiles are by their makers' words"],
  // Thousands of connections.
  ["U-070", PAPER, "memory a session, beyond the device's own"],
  ["U-071", `${AT}/local-addresses.test.ts`, "the server's failure names the remedy"],
  ["U-072", PAPER, "2 a device on TCP, 1 on UDP"],
  ["U-072", "test/unit/net/tcp.test.ts", "before the last file descriptors are gone, with a word on the fix"],
  ["U-073", FAILURES, "connections begin no faster than `connects.rate`"],
  ["U-074", FAILURES, "they come back spread over the whole pause (full jitter)"],
  ["U-074", FAILURES, "within `grace` devices stay and what they publish waits"],
  ["U-074", FAILURES, "then each protocol has its own word"],
  [
    "U-074",
    "test/walks/mqtt-sn/discovery.test.ts",
    "advertises and answers only while the bus accepts messages",
  ],
  ["U-075", `${AT}/proxy-protocol.test.ts`, "is told the device's own address and port"],
  ["U-076", METRICS, "connects, publishes and deliveries of each QoS, sessions and servers"],
  ["U-076", METRICS, "and how long a server takes to answer"],
  ["U-076", ROUTES, "are listed with how they fare, and drained"],
  // Failures.
  ["U-080", FAILURES, "are told in their protocols' words when their patience is over"],
  ["U-080", FAILURES, "by its login: the device is told, and nobody tries again"],
  ["U-080", FAILURES, "the login of the gateway's own connections is not hammered at"],
  ["U-081", FAILURES, "is found by the PINGREQ that nobody answers"],
  ["U-081", FAILURES, "holds no more than its limits"],
  [
    "U-082",
    TRAFFIC,
    "what a device had not acknowledged when it was lost is the server's to send to it again",
  ],
  ["U-082", FAILURES, "a device that waits is let in when the server is there within its patience"],
  ["U-082", ANY_GATEWAY, "a sleeper wakes at the other with its topic ids and its queue in order"],
  ["U-083", SERVERS, "moves only the share of a server that goes, and only the share of one that comes"],
  ["U-083", SERVERS, "by hash only its own come back"],
  ["U-083", GROUPS, "goes to the next server where one is dead, and nobody is disconnected for it"],
  ["U-084", CONNECT, "a session that the server has lost while its device was connected is made again"],
  ["U-085", CONNECT, "is the same when the gateway comes back after a restart"],
  ["U-085", DECIDED, "A device that is away has no connection"],
  ["U-086", FAILURES, "says DISCONNECT for each device, without its will and with its session's own expiry"],
  ["U-086", DECIDED, "coming\n  back is what is paced"],
  ["U-087", LIMITS, "what a server cannot do is answered here, in each protocol's own words"],
  ["U-087", LIMITS, "a dot or a blank at NATS"],
  ["U-088", TRAFFIC, "a slow device fills its own Receive Maximum; what is for others goes on"],
  ["U-089", TRAFFIC, "what a device can never take is acknowledged to the server as not taken, and counted"],
  ["U-090", TRAFFIC, "whose time is over, is acknowledged and not delivered"],
  // Hooks.
  ["U-095", HOOKS, "the next hook gets what the one before made of it"],
  ["U-096", HOOKS, "is said in the other protocols' own words (U-096)"],
  ["U-096", "test/walks/mqtt/publish-in.test.ts", 'refusedPublish: "disconnect"'],
  // Clusters that can be run.
  ["U-100", KINDS, 'name: "mosquitto"'],
  ["U-101", "test/clusters/rabbitmq.slow.test.ts", 'name: "rabbitmq with quorum queues"'],
  ["U-102", KINDS, 'name: "nats"'],
  ["U-103", KINDS, 'name: "ejabberd"'],
  ["U-104", TRIED, "ActiveMQ 5.17.2 (MQTT 3.1.1) was measured by hand"],
  ["U-106", `${AT}/proxy-protocol.test.ts`, "a haproxy before mosquitto"],
  ["U-107", TRIED, "**Not run here:** EMQX, HiveMQ and AWS IoT"],
  ["U-108", HOSTILE, "a broker that lies"],
  // What real clusters did.
  ["S1", MET, "S1: DISCONNECT 0x8E within two seconds of CONNACK"],
  ["S2", "test/clusters/limits.ts", "of 25 messages to a device that takes as many and acknowledges none"],
  ["S3", MET, "S3: more outstanding than Receive Maximum"],
  ["S4", MET, "S4: no session, and SUBSCRIBE closes the connection"],
  ["S5", MET, "S5: NATS sends again what is not acknowledged"],
  ["S6", MET, "S6: closed without CONNACK a second after CONNECT"],
  ["S7", MET, "S7: NATS takes half a second for each subscription"],
  ["S8", MET, "S8: ActiveMQ says that there is no session, and has it"],
  ["S9", MET, "S9: MQTT 5 is closed without CONNACK"],
  ["S10", MET, "S10: RabbitMQ answers a QoS 2 PUBLISH with PUBACK"],
  ["R1", KINDS, 'name: "mosquitto"'],
  ["R2", "test/clusters/rabbitmq.slow.test.ts", 'name: "rabbitmq with classic queues"'],
  ["R3", KINDS, 'name: "nats"'],
  ["R3b", MET, "a deaf session (R3b)"],
  ["R4", KINDS, 'name: "ejabberd"'],
  ["R5", TRIED, "ActiveMQ 5.17.2 (MQTT 3.1.1) was measured by hand"],
];

describe("the upstream sheet", () => {
  it("has a test or a decision for each of its lines that asks something of us", () => {
    const shown = new Set([...SHOWN.map(([line]) => line), ...OF_OTHERS]);
    expect(LINES.filter((line) => !shown.has(line))).toEqual([]);
    expect([...shown].filter((line) => !LINES.includes(line))).toEqual([]);
  });

  it("points only to tests and decisions that there are", () => {
    const nowhere = SHOWN.filter(
      ([, file, words]) => !existsSync(file) || !readFileSync(file, "utf8").includes(words),
    );
    expect(nowhere).toEqual([]);
  });
});
