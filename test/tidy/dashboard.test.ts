/** Rules that the dashboard's sources keep: no markup from texts, no other hosts, colours that can be read. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { expect, it, test } from "vitest";

const FOLDER = "src/dashboard";
const sources = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((name) => [".ts", ".tsx", ".css", ".html"].includes(extname(name)))
  .map((name) => ({ name, text: readFileSync(join(FOLDER, name), "utf8") }));

const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [
    /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|srcdoc|document\.write/,
    "markup from text",
  ],
  [/\beval\(|new Function\(|setTimeout\("|setInterval\("/, "code from text"],
  [/https?:\/\/(?!www\.w3\.org\/2000\/svg)[a-z]/, "another host"],
  [
    /localStorage(?!\.(getItem|setItem)\(`isthmus\.)|sessionStorage|indexedDB|document\.cookie/,
    "kept in the browser",
  ],
];

test.each(FORBIDDEN)("no source of the dashboard has %s: %s", (pattern) => {
  const found = sources.flatMap(({ name, text }) =>
    text
      .split("\n")
      .filter((line) => pattern.test(line) && !line.trim().startsWith("*"))
      .map((line) => `${name}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});

it("no text has a word that means something else here (D-120)", () => {
  const WORDS = /\b(brokers?|consumers?|in-?flight|mqueue|purged?|online|offline)\b|something went wrong/i;
  const found = sources.flatMap(({ name, text }) =>
    [...text.matchAll(/>([^<>{}=]+)<|"([^"\n]* [^"\n]*)"/g)]
      .map(([, shown, said]) => shown ?? said ?? "")
      .filter((said) => WORDS.test(said))
      .map((said) => `${name}: ${said.trim()}`),
  );
  expect(found).toEqual([]);
});

it("no text exclaims (D-121)", () => {
  const found = sources.flatMap(({ name, text }) =>
    [...text.matchAll(/>[^<>{}=]*[a-z]!\s*<|"[^"\n]*[a-z]!"|\b(please|successfully)\b/gi)].map(
      ([said]) => `${name}: ${said}`,
    ),
  );
  expect(found).toEqual([]);
});

// ---- type, icons, lines

const styles = sources.filter(({ name }) => name.endsWith(".css")).map(({ text }) => text);
const declared = (property: string): readonly string[] =>
  [
    ...new Set(
      styles.flatMap((text) =>
        [...text.matchAll(new RegExp(`${property}: ([^;]+);`, "g"))].map(([, is]) => is!),
      ),
    ),
  ].sort();

it("type has few sizes and two weights, and no font is loaded (D-113)", () => {
  expect(declared("font-weight")).toEqual(["400", "600"]);
  // Names of invisible characters, and ids in texts and titles, are smaller than what they stand in.
  expect(declared("font-size")).toEqual([
    ...["0.85em", "12.5px", "12px", "13px", "14px", "16px", "18px", "20px", "28px"],
  ]);
  expect(styles.filter((text) => /@font-face|url\(/.test(text))).toEqual([]);
});

const sourceOf = (wanted: string): string =>
  sources.find(({ name }) => name === join("parts", wanted))?.text ?? "";

it("icons are drawn on 16 × 16, and each is used (D-115)", () => {
  const icons = sourceOf("icons.tsx");
  expect(icons).toContain('viewBox="0 0 16 16"');
  const others = sources.filter(({ name }) => !name.endsWith("icons.tsx")).map(({ text }) => text);
  const names = [...icons.matchAll(/^ {2}"?(\w+)"?:$|^ {2}(\w+): "/gm)].map(
    ([, one, other]) => one ?? other!,
  );
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !others.some((text) => text.includes(`"${name}"`)))).toEqual([]);
});

it("lines of gateways are told apart by dash too (D-111)", () => {
  const plot = sourceOf("plot.tsx");
  const dashes = JSON.parse(/const DASHES[^=]*= (\[.*\]);/.exec(plot)![1]!) as number[][];
  const places = /const OWN[^=]*= \{([^}]*)\}/
    .exec(plot)![1]!
    .match(/\d+(?=,|\s*$)/g)!
    .map(Number);
  const own = places.map((place) => JSON.stringify(dashes[place]));
  expect([own.length, new Set(own).size]).toEqual([5, 5]);
});

// ---- contrast (WCAG 2.2 §1.4.3, §1.4.11)

const tokens = readFileSync(join(FOLDER, "style", "tokens.css"), "utf8");
const colours = (block: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name!, value!]),
  );
const [light = "", ...dark] = tokens.split(/:root\[data-theme="dark"\]|@media/);
const THEMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  light: colours(light),
  dark: colours(dark[0] ?? ""),
  "dark by system": colours(dark[1] ?? ""),
};

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.slice(1).match(/../g) ?? []).map((pair) => {
    const part = Number.parseInt(pair, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((one, other) => other - one);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["ground", "surface", "sunken", "selected"];
const TEXTS = [
  "text",
  "second",
  "accent",
  "ok",
  "warning",
  "bad",
  "asleep",
  "mqtt",
  "mqtt-sn",
  "coap",
  "lwm2m",
  "stomp",
];

it.each(Object.keys(THEMES))("every text can be read on every ground: %s", (name) => {
  const theme = THEMES[name]!;
  const pairs = [
    ...TEXTS.flatMap((text) => GROUNDS.map((ground) => [text, ground] as const)),
    ...["ok", "warning", "bad", "asleep"].map((state) => [state, `${state}-ground`] as const),
    ["on-accent", "accent"] as const,
  ];
  const poor = pairs.filter(([text, ground]) => !(contrast(theme[text] ?? "#", theme[ground] ?? "#") >= 4.5));
  expect(poor).toEqual([]);
  const outlines = GROUNDS.filter(
    (ground) => !(contrast(theme["outline"] ?? "#", theme[ground] ?? "#") >= 3),
  );
  expect(outlines).toEqual([]);
});

it("both ways to dark lead to the same colours", () => {
  expect(THEMES["dark by system"]).toEqual(THEMES["dark"]);
  expect(Object.keys(THEMES["dark"] ?? {}).sort()).toEqual(Object.keys(THEMES["light"] ?? {}).sort());
});
