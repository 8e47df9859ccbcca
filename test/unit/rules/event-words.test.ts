import { describe, expect, it } from "vitest";
import { endOf, reasonOf } from "#core/rules/event-words.ts";
import type { Stopped } from "#core/session/context.ts";
import type { Departure } from "#core/session/sessions.ts";

const WORDS: readonly (readonly [
  how: Departure,
  stopped: Stopped | undefined,
  says: string,
  word: string,
])[] = [
  ["closed", undefined, "closed", "normal"],
  ["parted", undefined, "lost", "normal"],
  ["lost", undefined, "read ECONNRESET", "tcp_closed"],
  ["silent", undefined, "nothing came in time", "keepalive_timeout"],
  ["refused", undefined, "unexpected CONNECT ([MQTT-3.1.0-2])", "protocol_error"],
  ["refused", undefined, "internal error", "internal_error"],
  ["lost", "kicked", "kicked", "kicked"],
  ["lost", "forbidden", "forbidden", "not_authorized"],
  ["lost", "taken-over", "taken-over", "takenover"],
  // A device that only moved is told nothing, and its gateway takes it for gone in peace.
  ["closed", "taken-over", "closed", "takenover"],
  ["lost", "discarded", "taken-over", "discarded"],
  ["expected", "shutdown", "expected", "shutdown"],
];

describe("why a client has gone (R-048)", () => {
  it.each(WORDS)("%s, stopped because of %s, in words %s: %s", (how, stopped, says, word) => {
    expect(reasonOf({ how, stopped, said: undefined }, says)).toBe(word);
  });

  it("and a session", () => {
    expect((["closed", "silent", "discarded", "expired"] as const).map(endOf)).toEqual([
      ...["normal", "keepalive_timeout", "discarded", "expired"],
    ]);
  });
});
