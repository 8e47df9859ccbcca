/**
 * What the manuals and today's peers let an operator see and do, line by line (operate sheet O-001 to O-099): where each is
 * shown, or where it is said that it is otherwise here. A line without a row fails, and so does a row that points nowhere.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ROUTES } from "#core/api/routes.ts";

const span = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The numbers of the sheet up to where conventions of ours begin; those between are free. */
const LINES = [
  ...[span(1, 26), span(30, 54), span(60, 66), span(70, 73), span(80, 81), span(85, 90), span(95, 99)].flat(),
];

const API = "test/conformance/api";
const [FIELDS, MANUALS, CHANGES] = ["manual-fields", "manuals", "manuals-changes"].map(
  (name) => `${API}/${name}.test.ts`,
) as [string, string, string];
const [DEVICES, CLIENTS, ACCESS] = ["devices", "clients", "access"].map(
  (name) => `${API}/${name}.test.ts`,
) as [string, string, string];
const SYS = "test/conformance/mqtt/sys.test.ts";
const MARKS = "test/unit/observe/alarm-marks.test.ts";
const FROM_CTL = "test/unit/cli/from-emqx-ctl.test.ts";

/** Line, file, and words of it: of a test's name, or of a decision. */
const SHOWN: readonly (readonly [line: number, file: string, words: string])[] = [
  [1, FIELDS, "whose answers are 200 with a code and %s (O-001, O-025)"],
  [2, FIELDS, "and 10,000 at most (O-002)"],
  [3, FIELDS, '["O-003", "management/nodes/isthmus"'],
  [4, FIELDS, '["O-004", "monitoring/nodes/isthmus"'],
  [5, FIELDS, '["O-005", "clients/c1"'],
  [6, FIELDS, "clean_acl_cache forgets what was remembered of a client's rights (O-006)"],
  [7, FIELDS, '["O-007", "node/isthmus/sessions"'],
  [8, FIELDS, '["O-008", "subscriptions/c1"'],
  [9, FIELDS, '["O-009", "routes//World"'],
  [10, FIELDS, "all else has the manuals' defaults (O-010, O-020)"],
  [11, MANUALS, "with the codes for what is wrong (O-010, O-011, O-017)"],
  [12, CHANGES, "plug-ins are gateways (O-012)"],
  [13, FIELDS, '["O-013", "monitoring/listeners/isthmus"'],
  [14, FIELDS, '["O-014", "monitoring/stats/isthmus"'],
  [15, CHANGES, "configuration while it runs (O-015)"],
  [16, CHANGES, "users of the dashboard (O-016)"],
  [17, CHANGES, "with the manual's codes (O-017)"],
  [18, MANUALS, "and answers ok (O-018)"],
  [19, MANUALS, "without credentials (O-019)"],
  [20, FIELDS, "(O-010, O-020)"],
  [21, "test/conformance/authenticate/lists.test.ts", "client ids and user names (A-030, O-021)"],
  [22, CHANGES, "rules, actions and resources (O-022 to O-025)"],
  [23, CHANGES, "(O-023)"],
  [24, CHANGES, "(O-024)"],
  [25, FIELDS, "(O-001, O-025)"],
  [26, `${API}/bans.test.ts`, "and is lifted (O-026, O-038)"],
  [30, "test/tidy/openapi.test.ts", "as OpenAPI 3.1 asks"],
  [31, ACCESS, "a key has a role and an end, its secret is shown once"],
  [32, "src/api/README.md", "**Errors are problem details** also where other products have"],
  [33, CLIENTS, "its pages repeat nobody and leave out nobody (O-033, O-035, O-040)"],
  [34, CLIENTS, "kicked and its session ended by an operator (O-034, O-036)"],
  [35, CLIENTS, "whether they began anew (O-035)"],
  [36, CLIENTS, "(O-034, O-036)"],
  [37, "test/tidy/operate-sheet.test.ts", "has an address here (O-034, O-037)"],
  [38, `${API}/bans.test.ts`, "(O-026, O-038)"],
  [39, "test/unit/api/audit-log.test.ts", "and the oldest goes (O-039)"],
  [40, CLIENTS, "(O-033, O-035, O-040)"],
  [41, `${API}/health.test.ts`, "health (O-041, O-042)"],
  [42, `${API}/health.test.ts`, "health (O-041, O-042)"],
  [43, "docs/dashboard.md", "## "],
  [44, DEVICES, "a device that is awake (O-044, O-046)"],
  [45, DEVICES, "its objects with names and versions (O-045)"],
  [46, DEVICES, "a device that sleeps (O-046, O-119)"],
  [47, DEVICES, "is shown with its registration (O-047)"],
  [48, "test/walks/lwm2m/operator.test.ts", "for those who look on (O-048)"],
  [
    49,
    "test/dashboard/acts.test.ts",
    "an LwM2M device is read, written to by its definition, observed and executed",
  ],
  [50, "gateways/lwm2m/README.md", "not put together by an operator step by step"],
  [51, "src/api/README.md", "**Addresses of mosquitto's `http_api`**"],
  [52, "src/api/README.md", "nothing by messages to `$CONTROL`"],
  [53, MANUALS, "also at 2, and reads base64 (O-053)"],
  [54, "docs/dashboard.md", "## "],
  [60, FROM_CTL, "(O-060, O-061, O-064, O-065)"],
  [61, FROM_CTL, "(O-060, O-061, O-064, O-065)"],
  [62, "src/cli/README.md", "Lines as `emqx_ctl` prints them"],
  [63, ACCESS, "its secret is shown once, and removed it lets nobody in"],
  [64, FROM_CTL, "(O-060, O-061, O-064, O-065)"],
  [65, FROM_CTL, "(O-060, O-061, O-064, O-065)"],
  [66, "src/cli/README.md", "`rules create` had two forms"],
  [70, SYS, "the list of nodes, and who this one is (O-070)"],
  [71, SYS, "with the manuals' fields (O-071)"],
  [72, SYS, "in the forms of three versions (O-072)"],
  [73, "src/observe/README.md", "`sysmon/` is the"],
  [80, SYS, "has its count and its maximum (O-080)"],
  [81, "src/observe/README.md", "its names with dots, are not under `$SYS`"],
  [85, SYS, "is a number (O-085 to O-087)"],
  [86, SYS, "acknowledgements of what was not on its way (O-086)"],
  [87, SYS, "is a number (O-085 to O-087)"],
  [88, SYS, "in /metrics (O-088)"],
  [89, "test/unit/operate/measures.test.ts", "metrics of a topic filter (O-089)"],
  [90, "test/unit/operate/measures.test.ts", "slow subscriptions (O-090)"],
  [95, MARKS, "(O-095, O-096, O-097)"],
  [96, MARKS, "(O-095, O-096, O-097)"],
  [97, MARKS, "(O-095, O-096, O-097)"],
  [98, "test/walks/core/trace.test.ts", "of one client holds nothing of others"],
  [
    99,
    "test/walks/core/trace.test.ts",
    "is one cause from the PUT over its wait to the PUBACK, and the PINGREQ another",
  ],
];

describe("the operate sheet", () => {
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

/** What EMQX 5 has below `/api/v5`, and where that is. */
const EMQX_5: Readonly<Record<string, string>> = {
  "/clients, /clients_v2, /sessions_count": "GET /clients",
  "/clients/kickout/bulk": "POST /clients/kick",
  "/clients/{id}": "GET /clients/{id}",
  "/clients/{id} DELETE": "DELETE /clients/{id}",
  "/clients/{id}/authorization/cache": "DELETE /authentication/decisions",
  "/clients/{id}/subscriptions": "GET /clients/{id}/subscriptions",
  "/clients/{id}/subscribe[/bulk]": "POST /clients/{id}/subscriptions",
  "/clients/{id}/unsubscribe[/bulk]": "DELETE /clients/{id}/subscriptions",
  "/clients/{id}/mqueue_messages, /inflight_messages": "GET /clients/{id}/waiting",
  "/status, /nodes": "GET /node",
  "/metrics, /stats": "GET /metrics",
  "/monitor_current": "GET /series",
  "/publish": "POST /publish",
  "/publish/bulk": "POST /publish/batch",
  "/banned": "GET /bans",
  "/banned/{as}/{who}": "DELETE /bans",
  "/alarms?activated=true": "GET /alarms",
  "/rules": "GET /rules",
  "/connectors, /actions": "GET /connectors",
  "/login": "POST /session",
};

it.each(Object.entries(EMQX_5))(
  "what EMQX 5 has at %s has an address here (O-034, O-037): %s",
  (_theirs, ours) => {
    expect(ROUTES.map(({ method, path }) => `${method} ${path}`)).toContain(ours);
  },
);
