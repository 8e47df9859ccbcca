/** A built node in a process of its own, and a browser that looks at it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { freeTcpPort, freeUdpPort } from "../support/free-ports.ts";
import { searchPath } from "../support/programs.ts";

export interface Ports {
  readonly api: number;
  readonly mqtt: number;
  readonly mqttSn: number;
  readonly coap: number;
  readonly stomp: number;
}

export interface Site {
  readonly base: string;
  readonly ports: Ports;
  /** From the log: what the first account is made with. */
  readonly code: string;
  ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Ends the process as it stands, and starts another on the same ports and data. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const yamlOf = ({ api, mqtt, mqttSn, coap, stomp }: Ports, more: string, basePath: string): string => `
api: { port: ${api}, basePath: ${basePath} }
log: { format: json }
${/^alarms:/m.test(more) ? "" : "alarms: { enable: false }"}
gateways:
  mqtt: { listeners: { tcp: { port: ${mqtt}, bind: 127.0.0.1 }, ws: { enable: false } } }
  mqtt-sn: { listeners: { udp: { port: ${mqttSn}, bind: 127.0.0.1 } } }
  coap: { listeners: { udp: { port: ${coap}, bind: 127.0.0.1 }, tcp: { enable: false } } }
  stomp: { listeners: { tcp: { port: ${stomp}, bind: 127.0.0.1 }, ws: { enable: false } } }
${more}`;

/** `more`: further lines of the configuration, alarms too where they are wanted. `basePath`: below which a proxy has it. */
export async function startSite(more = "", basePath = "/"): Promise<Site> {
  for (let left = 3; ; left--) {
    try {
      return await startOnce(more, basePath);
    } catch (error) {
      // Somebody else took one of the ports between the look and the start.
      if (left === 0 || !String(error).includes("port-in-use")) throw error;
    }
  }
}

async function startOnce(more: string, basePath: string): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-dashboard-"));
  const ports: Ports = {
    api: await freeTcpPort(),
    mqtt: await freeTcpPort(),
    mqttSn: await freeUdpPort(),
    coap: await freeUdpPort(),
    stomp: await freeTcpPort(),
  };
  const file = join(folder, "isthmus.yaml");
  writeFileSync(file, yamlOf(ports, more, basePath));
  const base = `http://127.0.0.1:${ports.api}`;
  let running: ChildProcess | undefined;
  let log = "";
  const start = async (): Promise<void> => {
    log = "";
    const child = spawn(
      process.execPath,
      ["dist/src/bin.js", "start", "--config", file, "--data", join(folder, "data")],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    running = child;
    const heard = (chunk: Buffer): void => {
      log += chunk.toString();
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the node has ended:\n${log}`);
      const ready = await fetch(`${base}/ready`).catch(() => undefined);
      if (ready?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    base,
    ports,
    get code() {
      return /"code":"([A-Z2-7-]+)"/.exec(log)?.[1] ?? "";
    },
    async ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
      const answer = await fetch(`${base}/api/v1${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return (answer.status === 204 ? undefined : await answer.json()) as Answer;
    },
    kill: () => end("SIGKILL"),
    start,
    async stop() {
      await end("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where Debian puts it, or where the path or `CHROMIUM` says. */
function chromiumPath(): string {
  const folders = searchPath().split(delimiter);
  return (
    process.env["CHROMIUM"] ??
    folders.map((folder) => join(folder, "chromium")).find(existsSync) ??
    "chromium"
  );
}

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** In which what can be done is done: a desktop by day and a phone by night. Pages are looked at in all four. */
export const CLICKED = [
  { name: "1280 pixels, light", viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  { name: "360 pixels, dark", viewport: { width: 360, height: 780 }, colorScheme: "dark" },
] as const;

/** A page and what has gone wrong on it: reports of the policy, exceptions, requests to elsewhere, dialogs. */
export interface Looking {
  readonly page: Page;
  readonly wrong: string[];
  close(): Promise<void>;
}

/** What does not come in that time never comes, also where a machine has other things to do. */
const WAIT_MS = 60_000;
/** Refusals that a test provokes are no failures of the page. */
const EXPECTED = /Failed to load resource/;

export async function look(
  browser: Browser,
  base: string,
  options: BrowserContextOptions = {},
): Promise<Looking> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on("pageerror", (error) => wrong.push(`exception: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text()))
      wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(base)) wrong.push(`request to ${request.url()}`);
  });
  return { page, wrong, close: () => context.close() };
}

/** In, without an account, as this machine may while nobody has one. */
export async function enter(page: Page, base: string, path = "/"): Promise<void> {
  await page.goto(base + path);
  await page.getByRole("button", { name: "Look around first" }).click();
  await page.locator("main#content h1").waitFor();
}

/** Another page, as a link does it. */
export async function visit(page: Page, path: string): Promise<void> {
  await page.evaluate(
    `history.pushState(null, "", ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent("popstate"))`,
  );
  await page.locator("main#content h1").first().waitFor();
}

/** Where the page is, by itself: what the browser tells of it comes later. */
export const urlOf = async (page: Page): Promise<URL> =>
  new URL(String(await page.evaluate("location.href")));

export function shoot(page: Page, name: string): Promise<unknown> {
  const folder = process.env["SHOTS"];
  if (folder === undefined) return Promise.resolve();
  mkdirSync(folder, { recursive: true });
  return page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

// ---- what is looked for on a page

export const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });
export const row = (page: Page, text: string) => page.locator("main tr[data-row]").filter({ hasText: text });
export const textOf = async (found: Locator): Promise<string> => (await found.textContent()) ?? "";
export const dialog = (page: Page) => page.locator("dialog[open]");
export const told = (page: Page, text: string | RegExp) =>
  page.locator(".notices").getByText(text).first().waitFor();
