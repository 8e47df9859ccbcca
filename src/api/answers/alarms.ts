import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { time } from "./parts.ts";

export const Alarm = Type.Object({
  name: Type.String({ description: "One of a name is raised at one time." }),
  severity: choice(["warning", "error", "critical"], { description: "How bad it is." }),
  message: Type.String({ description: "What is wrong, and the fix where there is one." }),
  details: Type.Record(Type.String(), Type.Unknown()),
  raisedAt: time("When it began."),
  clearedAt: Type.Optional(time("When it was over; absent while it is raised.")),
  clearedBy: Type.Optional(Type.String({ description: "Who has cleared it by hand." })),
});
export type Alarm = Static<typeof Alarm>;
