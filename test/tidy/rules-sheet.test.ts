/**
 * What the manuals and today's peers do with a message on the bus, line by line (rules sheet ): where each is
 * shown, or where it is said that it is otherwise here. A line without a row fails, and so does a row that points nowhere.
 * Behind R-109 the sheet has libraries and servers for tests, which are no behaviour.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const span = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The numbers of the sheet; those between are free. */
const LINES = [
  ...[span(1, 8), span(10, 15), span(20, 28), span(30, 32), span(40, 51), span(55, 71)].flat(),
  ...[span(75, 82), span(85, 109)].flat(),
];

const [RULES, SHEET, DEPARTURES] = ["rules", "sheet", "departures"].map(
  (name) => `test/conformance/rules/${name}.test.ts`,
) as [string, string, string];
const [EXAMPLES, FUNCTIONS, PARSE] = ["examples", "functions", "parse"].map(
  (name) => `test/unit/rules/${name}.test.ts`,
) as [string, string, string];
const connector = (kind: string): string => `test/conformance/connect/${kind}.test.ts`;
const API = "test/conformance/api";
const WEBHOOKS = "test/conformance/webhooks.test.ts";
const BACKENDS = "test/conformance/backends.test.ts";
const [PIPELINES, FILTERS] = ["test/conformance/pipelines.test.ts", "test/unit/pipelines/pipelines.test.ts"];
const GUIDE = "docs/rules.md";

/** Line, file, and words of it: of a test's name or row, or of a decision. */
const SHOWN: readonly (readonly [line: number, file: string, words: string])[] = [
  [
    1,
    `${API}/manuals-changes.test.ts`,
    "a resource is made, shown by its type, used, and not removed while it is (O-024)",
  ],
  [2, EXAMPLES, "an alias can be used in WHERE, and = is strict about types"],
  [3, "test/conformance/rules/large-payload.test.ts", "fails each rule that asks for a member of it"],
  [4, FUNCTIONS, `["contains_topic_match(['t/#', 'x'], 't/1')", true]`],
  [4, EXAMPLES, "WHERE topic =~ 't/#' is true for t and everything below it"],
  [5, SHEET, '["R-005", "message.publish"'],
  [5, SHEET, '["R-005", "client.unsubscribe"'],
  [5, GUIDE, "`session.subscribed` are one event here, of each filter once it is subscribed"],
  [6, `${API}/rules.test.ts`, "are listed with their numbers"],
  [6, RULES, "fails alone: the message goes on its way"],
  [6, connector("numbers"), "say of each rule, action and connector what became of every message"],
  [7, `${API}/rules.test.ts`, "are tried on an event: outputs, and what each action would do"],
  [8, PARSE, "are topic filters, and events by the names of three generations"],
  [10, EXAMPLES, "WHERE topic =~ 't/#' is true for t and everything below it"],
  [11, EXAMPLES, "an alias can be used in WHERE, and = is strict about types"],
  [12, EXAMPLES, "dots go into nested members of the payload"],
  [13, EXAMPLES, "client.connected has the peer's name and client_id"],
  [14, EXAMPLES, "client.subscribe has the filter and its QoS"],
  [15, EXAMPLES, "the webhook's body has the selected fields, in 32 octets"],
  [
    15,
    connector("http"),
    "is sent the selected fields as JSON, with the headers of the connector, and for nobody else",
  ],
  [20, EXAMPLES, "all fields have what the inspect action of 4.0 shows"],
  [20, "test/unit/rules/console.test.ts", "console writes each output down"],
  [21, connector("mysql"), "keeps a message as the manual's statement says"],
  [22, connector("postgres"), "keeps a message as the manual's statement says"],
  [23, connector("cassandra"), "has the manual's row, by the guide's configuration"],
  [23, connector("mongodb"), "insert the manual's document, by the guide's configuration"],
  [23, connector("dynamodb"), "has the manual's item, by the guide's configuration"],
  [24, connector("redis"), "and a payload with spaces as one value"],
  [25, connector("influxdb"), "has the manual's point: tags, and fields that are numbers"],
  [26, connector("opentsdb"), "has the manual's data point, and answers when its storage has it"],
  [27, connector("postgres"), "takes TimescaleDB's form of rows from a flat payload"],
  [28, connector("kafka"), "tries again what the cluster refuses for now"],
  [28, connector("rabbitmq"), "waits for an exchange, and for a queue that takes it, with an alarm"],
  [28, connector("mqtt"), "publishes what rules send, remapped, over MQTT %s"],
  [30, WEBHOOKS, "events with %s, payloads encoded: %s (R-030)"],
  [30, "docs/webhooks.md", "one SUBSCRIBE of one filter is two requests"],
  [31, WEBHOOKS, "are posted once each, with all fields of the manuals and no other"],
  [
    32,
    connector("http"),
    "gets it again after 5xx, 429 and a broken connection, with the same key and in order",
  ],
  [40, PARSE, "are topic filters, and events by the names of three generations"],
  [40, RULES, "what a bridge brings is published: expected the topic filter that it is published to"],
  [41, EXAMPLES, "FOREACH names its element with AS, and of several expressions the last is the list"],
  [41, EXAMPLES, "DO says what each output has, INCASE which elements have one"],
  [42, EXAMPLES, "CASE takes the first branch that is true"],
  [42, EXAMPLES, "user properties are found by quoted names"],
  [43, EXAMPLES, "= is strict about types"],
  [44, GUIDE, "jq, schemas and Sparkplug are not there."],
  [45, RULES, "of logins and rights say what was decided and who has (R-045, R-048, R-049)"],
  [46, SHEET, '["R-046", "t"'],
  [47, SHEET, '{ reason: "packet_identifier_inuse", payload: "3" }'],
  [47, SHEET, '["R-047", "$events/delivery_dropped"'],
  [47, SHEET, "puback_props: SAID"],
  [48, SHEET, '["R-048", "$events/client_connack"'],
  [48, DEPARTURES, "is told of as %s (R-048)"],
  [48, "test/unit/rules/event-words.test.ts", "why a client has gone (R-048)"],
  [49, SHEET, '["R-049", "$events/session_unsubscribed"'],
  [50, SHEET, '["R-050", "$events/client_asleep"'],
  [50, DEPARTURES, "CoAP: the begin and the end of an observation (R-050)"],
  [50, GUIDE, "registrations of LwM2M are `lwm2m/+/up/resp`"],
  [51, "test/unit/rules/matching.test.ts", "are found in the tree, without a look at the others (R-051)"],
  [55, RULES, "makes a message of each element of a list"],
  [56, RULES, "fills in what DO has selected, and `undefined` for what it has not"],
  [57, EXAMPLES, "nth and tokens take the name out of a client id"],
  [58, EXAMPLES, "CASE takes the first branch that is true"],
  [59, EXAMPLES, "texts have no escapes: unescape makes a line feed"],
  [60, EXAMPLES, "user properties are found by quoted names, the last of several of one name"],
  [61, FUNCTIONS, "what fails the run of a rule, and says why"],
  [62, FUNCTIONS, '["fmod(6.5, 2.5)", 1.5]'],
  [63, FUNCTIONS, '["is_null(null)", false]'],
  [63, GUIDE, "(`is_int(1.0)` is true, since JSON's 1.0 is 1 here)"],
  [64, FUNCTIONS, `["int('+200')", 200]`],
  [65, FUNCTIONS, String.raw`["regex_extract('Hello', '(\\d+)')", []]`],
  [66, `${API}/rules-bounds.test.ts`, "a regular expression (R-066)"],
  [67, FUNCTIONS, '["nth(2, [1, 2, 3])", 2]'],
  [67, FUNCTIONS, '["first([])", "first: the list is empty"]'],
  [68, FUNCTIONS, `["bin2hexstr(zip('hello'))", "CB48CDC9C90700"]`],
  [68, GUIDE, "jq, schemas and Sparkplug are not there."],
  [69, FUNCTIONS, '["bitand(-10, -8)", -16]'],
  [69, FUNCTIONS, `["subbits(hexstr2bin('9F4E58'), 9, 4)", 4]`],
  [70, FUNCTIONS, `["now_timestamp('nanosecond')", 1708703790000000000n]`],
  [71, FUNCTIONS, '["int(-3.14)", -4]'],
  [75, RULES, "direct reaches subscribers and no rule"],
  [75, RULES, "sends properties of MQTT 5, also those that the message had"],
  [76, "test/unit/rules/template.test.ts", '"clientid=undefined"]'],
  [76, connector("postgres"), "binds values: no payload changes what a statement does"],
  [77, connector("http"), "has a queue that drops the oldest at its limit, which is counted"],
  [77, connector("http"), "gets nothing that has expired meanwhile"],
  [78, connector("counters"), "add up when their sinks are killed while they are asked, and come back"],
  [
    79,
    connector("http"),
    "never gets again what it refuses: that is dead-lettered with the reason, and nobody waits",
  ],
  [80, connector("kafka"), "sends records with key, headers and the delivery's id"],
  [
    80,
    connector("rabbitmq"),
    "gives messages to an exchange, persistent, with headers and the delivery's id",
  ],
  [81, connector("after-sink"), "withholds MQTT's PUBACK and PUBREC, and answers what needs no sink before"],
  [
    82,
    connector("http"),
    "hands what it had acknowledged to the service in its next life, under the same keys",
  ],
  [85, connector("kafka"), "gives a batch again when the cluster does not answer in time"],
  [85, connector("kafka"), "loses nothing that was acknowledged when the gateway is killed"],
  [86, GUIDE, "What the Kafka bridge of EMQ X 4 sent is a rule with these fields"],
  [87, GUIDE, "And of its RabbitMQ bridge, with exchange `emq.pub`"],
  [88, connector("pulsar"), "has the message, by the guide's configuration, with key"],
  [89, connector("mqtt"), "brings what is subscribed to there, remapped, and sends none of it back"],
  [90, BACKENDS, "(on_subscribe_lookup, then on_message_fetch, R-090)"],
  [91, BACKENDS, "(on_client_connected, on_client_disconnected, R-091, R-093, R-094)"],
  [91, BACKENDS, "(pubsub with forget: on_acked_delete, R-091)"],
  [92, BACKENDS, "(offline_opts.time_range, R-092)"],
  [
    93,
    connector("redis-channel"),
    "subscribes and unsubscribes the client that the manual's messages name, and no other",
  ],
  [94, BACKENDS, "(on_client_connected, on_client_disconnected, R-091, R-093, R-094)"],
  [94, "docs/backends.md", "Not there: the same for MongoDB, Cassandra and DynamoDB."],
  [95, connector("influxdb"), "takes lines over UDP"],
  [95, connector("manual-templates"), "TimescaleDB's template"],
  [96, connector("manual-templates"), "makes %s (R-096, R-098)"],
  [97, connector("manual-templates"), "and numbers as numbers (R-097)"],
  [98, connector("manual-templates"), "makes a row of the whole payload (R-098)"],
  [99, RULES, "by the names of EMQ X 4.0's hooks too (R-030, R-099)"],
  [100, FILTERS, "ends at END, and swallows what passes without brokerMode (R-100)"],
  [101, FILTERS, "counts levels from behind one leading slash (R-101)"],
  [102, FILTERS, "finds expressions anywhere in a level, unless they are anchored (R-102)"],
  [
    103,
    FILTERS,
    "leaves out a header whose level is missing, and fails without the level that decides (R-103)",
  ],
  [104, PIPELINES, "follows the seed's own topicIndex 3, which makes iot_other of its first example (R-104)"],
  [105, FILTERS, "reads the seed's second and third example: %s (R-105)"],
  [106, FILTERS, "makes headers of loc/device/ID/event: %s/%s/%s/%s (R-106)"],
  [107, FILTERS, "reads the policies of Easegress's own tests (R-107)"],
  [
    108,
    PIPELINES,
    "runs the guide's own example: limits, validates, sends, and delivers here too (R-100, R-108)",
  ],
  [
    109,
    `${API}/manuals.test.ts`,
    "Easegress's publish reaches whoever subscribed to the topic, with wildcards or without (R-109)",
  ],
];

describe("the rules sheet", () => {
  it("has a test or a decision for each of its lines", () => {
    const shown = new Set(SHOWN.map(([line]) => line));
    expect(LINES.filter((line) => !shown.has(line))).toEqual([]);
  });

  it("points only to tests and decisions that there are", () => {
    const nowhere = SHOWN.filter(
      ([, file, words]) => !existsSync(file) || !readFileSync(file, "utf8").includes(words),
    );
    expect(nowhere).toEqual([]);
  });
});
