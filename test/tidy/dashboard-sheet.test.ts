/**
 * The design of the dashboard, line by line (D-020 to D-164): the tests that hold it, and where it is said that it is
 * otherwise here. A line without a row fails, and so does a row that points nowhere.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const span = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The numbers of the design that state a behaviour; those between are free. */
const LINES = [
  ...[
    span(20, 21),
    span(30, 33),
    span(40, 48),
    span(50, 58),
    span(60, 67),
    span(70, 74),
    span(80, 83),
  ].flat(),
  ...[span(90, 97), span(100, 102), span(110, 115), span(120, 123), span(125, 126), span(130, 133)].flat(),
  ...[span(135, 137), span(150, 151), span(160, 164)].flat(),
];

const inBrowser = (name: string): string => `test/dashboard/${name}.test.ts`;
const VIEWS = inBrowser("views");
const PICTURE = inBrowser("picture");
const WORK = inBrowser("work");
const FIGURES = inBrowser("figures");
const CLICKS = inBrowser("clicks");
const ACTS = inBrowser("acts");
const KEYS = inBrowser("keys");
const ORDERS = inBrowser("orders-by-keys");
const PAGES = inBrowser("pages");
const TREE = inBrowser("tree");
const HEARD = inBrowser("heard");
const STATES = inBrowser("states");
const FLEET = inBrowser("fleet");
const HOSTILE = inBrowser("hostile");
const PROXY = inBrowser("proxy");
const LONG = inBrowser("long");
const BUDGETS = inBrowser("budgets");
const FIRST_PAINT = inBrowser("first-paint");
const API = "test/conformance/api";
const SERVED = `${API}/dashboard.test.ts`;
const CLIENTS = `${API}/clients.test.ts`;
const ACCESS = `${API}/access.test.ts`;
const TRACES = `${API}/traces.test.ts`;
const TRACE_WALK = "test/walks/core/trace.test.ts";
const SNAPSHOTS = "test/unit/api/snapshots.test.ts";
const SOURCES = "test/tidy/dashboard.test.ts";
const CAUSES = "test/unit/dashboard/causes.test.ts";
const QUANTITIES = "test/unit/dashboard/quantities.test.ts";
const VALUES = "test/unit/dashboard/lwm2m-values.test.ts";
const VISIBLE = "test/unit/dashboard/visible.test.ts";
/** Of a test that holds most of a picture. */
const FIVE_LANES =
  "who said what to whom, what waits, what has no answer, pauses, and what is chosen (D-061 to D-067)";
/** What was decided otherwise. */
const DECIDED = "src/dashboard/README.md";

/** By line: file, and words of it, of a test's name or of a decision. */
const SHOWN: Readonly<Record<number, readonly (readonly [file: string, words: string])[]>> = {
  20: [[VIEWS, "in two clicks at most from the overview (D-020, D-021)"]],
  21: [[VIEWS, "in two clicks at most from the overview (D-020, D-021)"]],
  30: [
    [SERVED, "is the page, with the path of the proxy in front of its addresses"],
    [DECIDED, "| addresses (D-030) |"],
  ],
  31: [
    [VIEWS, "opens clients of any id by its links, and again when the page is loaded anew (D-031)"],
    [CLIENTS, "a broken escape in a path is a problem and no exception"],
    [PROXY, "lives, changes its address, is opened by a link"],
  ],
  32: [[VIEWS, "the same view: filter, sort, columns, tab, window (D-032, D-051)"]],
  33: [
    [VISIBLE, "reads a filter's words, and names the ones there are for a wrong one"],
    [CLICKS, "clients are filtered by words that stand above the table"],
  ],
  40: [
    [VIEWS, "four entries at the bottom, and clients as cards (D-040"],
    [DECIDED, "| menu (D-040) |"],
  ],
  41: [[VIEWS, "what was refused and lost and why, and nothing where nothing is (D-041)"]],
  42: [
    [FLEET, "offers a simulated fleet: by one click devices of all protocols are seen"],
    [VIEWS, "the same view: filter, sort, columns, tab, window (D-032, D-051)"],
  ],
  43: [
    [STATES, "shows nothing for 150 ms, then lines; what was there stays (D-043)"],
    [STATES, "an answer that is slow is waited for, and not asked for again and again"],
    [DECIDED, "| loading (D-043) |"],
  ],
  44: [
    [STATES, "what fails says so in its own place, with its code, and the rest of the page lives"],
    [STATES, "goes grey, and shows no number that looks live; then it is fresh again"],
    [VIEWS, "when nothing comes for five seconds, whatever the connection looks like (D-044)"],
    [VIEWS, "at most 30 s between its tries to be live again"],
  ],
  45: [
    [STATES, "what needs another role says which, and is not done (D-045)"],
    [STATES, "what was typed there is there again (D-045)"],
  ],
  46: [
    [STATES, "are listed a hundred at a time, sorted, filtered and paged by the node"],
    [DECIDED, "| lists (D-046) |"],
  ],
  47: [
    [CLICKS, "a list that is read stands still: who comes is announced"],
    [ACTS, "text that is selected stays"],
    [LONG, "a tab that nobody looks at lets go of its streams"],
  ],
  48: [
    [PAGES, "asks in dialogs that Enter opens and Escape leaves"],
    [ACTS, "clearing them asks for their number"],
    [VIEWS, "tells of what was done to several what was done and what was not (D-048)"],
  ],
  50: [
    [CLIENTS, "a client that went without a word before its time is overdue"],
    [FLEET, "is overdue on its own page and in the list (D-050)"],
  ],
  51: [
    [VIEWS, "the same view: filter, sort, columns, tab, window (D-032, D-051)"],
    [DECIDED, "| columns (D-051) |"],
  ],
  52: [
    [KEYS, "rows are gone through, opened, traced, chosen from and left by their keys (D-052, D-125)"],
    [VIEWS, "and clients as cards (D-040, D-052, D-114)"],
  ],
  53: [[CLIENTS, "the list as CSV keeps formulas out of spreadsheets"]],
  54: [[STATES, "of an hour, a day or a week, with gaps where nothing is known (D-054)"]],
  55: [
    [VIEWS, "shows what waits with who has sent it"],
    [DECIDED, "| what waits (D-055) |"],
  ],
  56: [
    [VIEWS, "what comes and goes as it does, and what the gateway knows (D-055 to D-057)"],
    [DECIDED, "| a client (D-056) |"],
  ],
  57: [[VIEWS, "what the gateway knows (D-055 to D-057)"]],
  58: [
    [inBrowser("refusals"), "refusals say what was asked, how often, and what has decided"],
    ["test/unit/observe/refusals.test.ts", "of a scanner neither wash the others out nor fill the log"],
    [DECIDED, "| refusals (D-058) |"],
  ],
  60: [
    [TRACE_WALK, "ends when its time is over or it holds as many rows as it may"],
    [CLICKS, "a message to a sleeper is seen waiting, and acknowledged when it wakes"],
    [DECIDED, "| traces (D-060) |"],
  ],
  61: [
    [PICTURE, FIVE_LANES],
    [CAUSES, "who has set it off is at the left, and who is given something at the right"],
    [DECIDED, "| causes (D-061, D-065) |"],
  ],
  62: [
    [PICTURE, FIVE_LANES],
    [ACTS, "REGISTER, an answer that stays away, and what is sent again are under its cause"],
  ],
  63: [
    [PICTURE, FIVE_LANES],
    [CAUSES, "a frame that asks for an answer (D-063)"],
  ],
  64: [
    [PICTURE, FIVE_LANES],
    [DECIDED, "| time (D-064) |"],
  ],
  65: [
    [ACTS, "five hundred messages are a line each, found by their words, and only those in view are drawn"],
    [LONG, "a live translation holds its 5,000 rows, however many there were"],
    [DECIDED, "| causes (D-061, D-065) |"],
  ],
  66: [
    [PICTURE, FIVE_LANES],
    [KEYS, "its rows gone through with their cause"],
    [TRACES, "is listed, shows no payload to a viewer"],
    [DECIDED, "| a row (D-066) |"],
  ],
  67: [
    [HEARD, "hear each row of a translation as one sentence: time, cause, who and what (D-067)"],
    [PICTURE, FIVE_LANES],
  ],
  70: [
    [CLICKS, "an LwM2M device is shown with names, and a wrong value is not sent"],
    [ACTS, "followed step by step to its end, and a package that is not there refused"],
    [DECIDED, "| LwM2M (D-070, D-073) |"],
  ],
  71: [[VIEWS, "asks a device for nothing when its tree is opened"]],
  72: [
    [VIEWS, "and sends what is out of range only anyway (D-071, D-072)"],
    [VALUES, "in the range %j: %s (D-072)"],
    [ACTS, "is read, written to by its definition, observed and executed"],
    [DECIDED, "| editors (D-072) |"],
  ],
  73: [
    [ACTS, "waits, and changes in place when it was answered (D-073)"],
    [ORDERS, "several values of an LwM2M device are read together, observed together, and no longer"],
    [DECIDED, "| LwM2M (D-070, D-073) |"],
  ],
  74: [
    [
      `${API}/devices.test.ts`,
      "says an integer that no number holds as a text, in its answer and in the event",
    ],
    [VALUES, "of 64 bits as text (D-074)"],
  ],
  80: [
    [
      VIEWS,
      "plots numbers that a topic's JSON holds, and keeps what came before beside its last value (D-080)",
    ],
    [ACTS, "six levels of topics are opened; of ten thousand below one a thousand are shown"],
    [DECIDED, "| topics (D-080) |"],
  ],
  81: [[ACTS, "clearing them asks for their number"]],
  82: [
    [VIEWS, "publishes octets with all that a message may have, by Ctrl+Enter"],
    [ACTS, "a message by hand to nobody, and one to a client that is away, say which it was"],
    [DECIDED, "| by hand (D-082, D-083) |"],
  ],
  83: [
    [VIEWS, "subscribes to eight filters, holds what comes, shows only what has a text"],
    [BUDGETS, "it is sent few of them, stays quick, and costs devices no latency"],
    [DECIDED, "| by hand (D-082, D-083) |"],
  ],
  90: [
    [CLICKS, "a listener is closed and opened again"],
    [ORDERS, "a gateway is restarted"],
    [DECIDED, "| gateways (D-090) |"],
  ],
  91: [
    [ORDERS, "an alarm is cleared, found among those that are over, and they are forgotten"],
    [VIEWS, "bans for a time"],
    [inBrowser("upstream"), "servers are seen with their sessions, drained and taken back"],
    [DECIDED, "| alarms, bans (D-091) |"],
  ],
  92: [
    [VIEWS, "lists changes of one object or of one who made them (D-091, D-092)"],
    [ORDERS, "Changes of it are one link away (D-092)"],
    [ACCESS, "changes are noted without them"],
  ],
  93: [
    [CLICKS, "a key of the configuration is refused, tried, changed and taken back, and Changes shows it"],
  ],
  94: [
    [CLICKS, "the first account is made with the code from the log; then keys do without a mouse"],
    [ORDERS, "sessions are ended, and one's own password is changed"],
  ],
  95: [
    [CLICKS, "the first account is made with the code from the log"],
    [ACCESS, "passwords that are tried first are common ones"],
    [ACCESS, "before anybody has an account this machine gets in"],
  ],
  96: [[ACCESS, "an unknown name and a wrong password sound the same, and the next attempt waits 1, 2, 4 s"]],
  97: [
    [FLEET, "are seen, observed and plotted; Stop leaves none"],
    [DECIDED, "| fleet (D-097) |"],
  ],
  100: [
    ["test/unit/operate/series.test.ts", "keeps 15 minutes by the second"],
    ["test/unit/operate/series.test.ts", "coarser points hold the mean and the highest of their seconds"],
    [DECIDED, "| plots (D-100, D-101) |"],
  ],
  101: [
    [VIEWS, "the same view: filter, sort, columns, tab, window (D-032, D-051)"],
    [DECIDED, "| plots (D-100, D-101) |"],
  ],
  102: [
    [SERVED, "are there for plots a second after the start, and come each second to who follows them"],
    [TREE, "and its policy reports nothing"],
  ],
  110: [
    [SOURCES, "both ways to dark lead to the same colours"],
    [VIEWS, "keeps its theme, and says times in UTC when that is asked for (D-110, D-123)"],
  ],
  111: [[SOURCES, "lines of gateways are told apart by dash too (D-111)"]],
  112: [[SOURCES, "every text can be read on every ground"]],
  113: [[SOURCES, "type has few sizes and two weights, and no font is loaded (D-113)"]],
  114: [
    [VIEWS, "gives fingers 44 pixels"],
    [PAGES, "400 % of a desktop (WCAG 2.2 §1.4.10)"],
  ],
  115: [[SOURCES, "icons are drawn on 16 × 16, and each is used (D-115)"]],
  120: [[TREE, "tables with headers, and our words (D-120)"]],
  121: [
    [TREE, "tables with headers, and our words (D-120)"],
    [SOURCES, "no text exclaims (D-121)"],
  ],
  122: [
    [FIGURES, "each under its title, in its unit and in its order"],
    [QUANTITIES, "numbers are written as the whole dashboard writes them (D-122)"],
  ],
  123: [
    [QUANTITIES, "lengths of time (D-123)"],
    [STATES, "a clock of the browser that is two hours %s harms no age"],
    [DECIDED, "| ages (D-123) |"],
  ],
  125: [
    [KEYS, "(D-052, D-125)"],
    [VIEWS, "pauses by p, and hears no key where they are switched off (D-125)"],
  ],
  126: [
    [TREE, "has its heading, landmarks, names, tables with headers"],
    [TREE, "is entered at the heading of each page that is gone to"],
    [TREE, "speaks by itself at most every 5 s, however much changes (D-126)"],
    [HEARD, "come by Tab to every control of every page"],
  ],
  130: [
    [HOSTILE, "stay texts on every page: no dialog, no report of the policy, no request to elsewhere"],
    [SOURCES, "no source of the dashboard has %s"],
  ],
  131: [[VISIBLE, "is shown as what it is"]],
  132: [
    [SERVED, "sends a content security policy with Trusted Types, and lets nobody frame it"],
    ["test/unit/api/server.test.ts", "with api.hosts a request under another name is refused"],
  ],
  133: [
    [PROXY, "it is signed in to, lives, changes its address"],
    [ACCESS, "changes nothing without the token"],
    [SOURCES, "kept in the browser"],
  ],
  135: [
    [
      BUDGETS,
      "the bundle is within its budgets, packed: 120 KB of scripts, 70 KB of them first, 12 KB of styles",
    ],
    [SERVED, "files may be kept for ever, and come packed for who takes that"],
  ],
  136: [
    [FIRST_PAINT, "and waits neither for scripts nor for the API"],
    [FIRST_PAINT, "in half a second of a processor that is four times slower"],
    [BUDGETS, "the overview with its plots costs a processor that is four times as slow at most 1 s (D-136)"],
    [WORK, "four paints a second at most, of what is in view, and few calls for each row (D-136)"],
    [WORK, "few elements are made, and functions are called as often as there are points (D-136)"],
    [LONG, "eight hours of the overview hold no more than its first one (D-136, D-164)"],
  ],
  137: [
    [BUDGETS, "it is sent few of them, stays quick, and costs devices no latency"],
    [
      LONG,
      "two pages and eighteen streams as of more of them are all live at once, and a message is not later for them",
    ],
  ],
  150: [
    [SNAPSHOTS, "100,000 rows are sorted in slices: others have hundreds of turns meanwhile"],
    [SNAPSHOTS, "shares one, a minute later its cursors are gone, and eight are kept"],
    [CLIENTS, "its pages repeat nobody and leave out nobody"],
  ],
  151: [
    [TRACES, "streams what a client says and gets as it happens, and says when it has ended"],
    [`${API}/streams.test.ts`, "messages come as they are published"],
    [SERVED, "are there for plots a second after the start"],
  ],
  160: [
    [PAGES, "is whole at $name"],
    [STATES, "no page is blank, each says what failed in its place"],
  ],
  161: [
    [CLICKS, "the first account is made with the code from the log"],
    [ACTS, "three are banned at once"],
    [ACTS, "new firmware is ordered after a question"],
    [inBrowser("rules"), "a user is added, changed, found, exported and removed"],
  ],
  162: [
    [HOSTILE, "stay texts on every page"],
    [HOSTILE, "the table for spreadsheets holds no formula"],
  ],
  163: [
    [KEYS, "(D-125, D-163): each order of each page is carried out, and no mouse is there"],
    [ORDERS, "By keys alone (D-163), the orders that are given seldom"],
    [inBrowser("upstream"), "by keys alone a server is drained and taken back"],
    [PAGES, "and axe-core finds nothing"],
    [PAGES, "400 % of a desktop (WCAG 2.2 §1.4.10)"],
  ],
  164: [
    [STATES, "without the stream every page is grey and says so; by a wrong clock every page says that"],
    [STATES, "a node that goes and comes"],
    [PROXY, "below /iot/ of a proxy"],
    [LONG, "a live translation holds its 5,000 rows, however many there were"],
  ],
};

describe("the design of the dashboard", () => {
  it("has a test or a decision for each of its lines", () => {
    expect(LINES.filter((line) => (SHOWN[line] ?? []).length === 0)).toEqual([]);
  });

  it("points only to tests and decisions that there are", () => {
    const nowhere = Object.entries(SHOWN).flatMap(([line, rows]) =>
      rows
        .filter(([file, words]) => !existsSync(file) || !readFileSync(file, "utf8").includes(words))
        .map(([file, words]) => `D-${line.padStart(3, "0")}: ${file}: ${words}`),
    );
    expect(nowhere).toEqual([]);
  });
});
