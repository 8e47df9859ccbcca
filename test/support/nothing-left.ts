/** Before and behind each test: what it has begun in virtual time is ended, and leaves nothing behind. */
import { afterEach, beforeEach } from "vitest";
import { leaveOut } from "./before-a-broker.ts";
import { testBegins, testEnds } from "./endings.ts";

leaveOut();
beforeEach(testBegins);
afterEach(({ task }) => testEnds(task.result?.state !== "fail"));
