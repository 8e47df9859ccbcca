/** `isthmus lwm2m firmware`: orders an update, and follows it to its end. */
import type { Command } from "commander";
import { EXIT } from "../errors.ts";
import { withProgress } from "../progress.ts";
import { ApiError, type ApiEvent, inPath } from "./api-client.ts";
import type { Steering, SteeringCommands } from "./steering.ts";

interface FirmwareOptions {
  readonly pull?: boolean;
  readonly update: boolean;
  readonly wait?: string;
}

interface Ordered {
  readonly id: string;
}

/** Of the request, and of the steps of the update. */
interface Report {
  readonly id?: string;
  readonly state?: string;
  readonly failure?: string;
  readonly data?: { readonly code?: string; readonly status?: string } & Readonly<Record<string, unknown>>;
}

const isUri = (given: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(given);

/** What the gateway takes: a URI that the device fetches, or a file of the gateway's folder. */
function orderOf(given: string, { pull, update }: FirmwareOptions): object {
  if (isUri(given)) return { mode: "pull", uri: given, update };
  return { mode: pull === true ? "pull" : "push", file: given, update };
}

async function firmware(steering: Steering<FirmwareOptions>): Promise<number> {
  const { api, args, options, io, json, done } = steering;
  const [endpoint = "", given = ""] = args;
  const { part, query } = inPath("device", endpoint);
  const end = new AbortController();
  io.interrupted().addEventListener("abort", () => end.abort());
  // Before the order: what comes of it may come at once.
  const events = await api.follow("/devices/lwm2m/events", { device: endpoint }, end.signal);
  try {
    const { id } = await api.ask<Ordered>("POST", `/devices/lwm2m/${part}/firmware`, {
      query: { ...query, timeout: "0s", wait: options.wait },
      body: orderOf(given, options),
    });
    const ended = await withProgress(io, `${endpoint}: waiting for the device`, (progress) =>
      followed(steering, events, id, (status) => progress.at(status)),
    );
    if (ended !== undefined && !json) done(`${endpoint}: ${ended}`);
    if (ended !== undefined) return EXIT.ok;
    io.error(`isthmus: not followed to its end; the update of ${endpoint} goes on without this command\n`);
    return EXIT.waiting;
  } finally {
    end.abort();
  }
}

/** Resolves to its last step, or to undefined when the stream has ended before; throws what made it fail. */
async function followed(
  { io, json, args, options }: Steering<FirmwareOptions>,
  events: AsyncIterable<ApiEvent>,
  id: string,
  step: (status: string) => void,
): Promise<string | undefined> {
  const refuse = (why: unknown): never => {
    throw new ApiError("api-refused", `${args[0]}: ${why}`);
  };
  let accepted = false;
  for await (const { event, data } of events) {
    const { id: of, state, failure, data: detail = {} } = (data as { report?: Report }).report ?? {};
    const own = event === "result" ? of === id : event === "firmware" && accepted;
    if (!own) continue;
    if (json) io.out(`${JSON.stringify({ event, data })}\n`);
    const { code, status = "", reason, resultMsg } = detail;
    if (event === "result") {
      if (state !== "answered" || code !== "2.04") refuse(failure ?? reason ?? code);
      accepted = true;
      continue;
    }
    step(status);
    if (status === "failed") refuse(reason ?? resultMsg ?? status);
    // With the package there, the device's part is done where somebody else tells it to take it.
    if (status === "success" || (status === "downloaded" && !options.update)) return status;
  }
  return undefined;
}

export function addFirmware(lwm2m: Command, commands: SteeringCommands): void {
  commands.add<FirmwareOptions>(
    lwm2m,
    "firmware <endpoint> <package>",
    "update the firmware of a device, and follow that to its end; the package is a URI that the device fetches, or a file of gateways.lwm2m.firmware.folder",
    [],
    firmware,
    (command) =>
      command
        .option("--pull", "let the device fetch the file from the gateway; else it is sent to it in blocks")
        .option("--no-update", "end when the device has the package, and do not tell it to take it")
        .option("--wait <seconds>", "how long the request may wait for a device that sleeps"),
  );
}
