/** Topics by levels with their last messages, and the filters that somebody is subscribed to. */
import { type Static, Type } from "@sinclair/typebox";
import { time } from "./parts.ts";

const Last = Type.Object({
  at: time("When it was published."),
  qos: Type.Integer(),
  retain: Type.Boolean(),
  bytes: Type.Integer({ description: "Length of the payload." }),
  from: Type.String({
    description: "Who published it, as <gateway>:<client id>; empty for the node itself.",
  }),
  payload: Type.Optional(Type.String({ description: "Its beginning, 512 bytes at most; for operators." })),
  encoding: Type.Optional(Type.String({ description: "text or base64." })),
});

export const Level = Type.Object({
  level: Type.String({ description: "Name of the level." }),
  topic: Type.String({ description: "The topic that ends with it." }),
  below: Type.Integer({ description: "Topics below it." }),
  messages: Type.Integer({ description: "Messages since they are counted." }),
  retained: Type.Boolean({ description: "A message is retained for it." }),
  last: Type.Optional(Last),
});
export type Level = Static<typeof Level>;

export const Levels = Type.Object({
  items: Type.Array(Level),
  next: Type.Optional(Type.String({ description: "For `after`; absent on the last page." })),
  since: Type.Optional(time("From when on messages are looked at.")),
  count: Type.Integer({ description: "Topics that are kept." }),
  left: Type.Integer({ description: "Messages whose topics found no room." }),
});
export type Levels = Static<typeof Levels>;

export const Filter = Type.Object({
  filter: Type.String(),
  subscribers: Type.Integer({ description: "Clients subscribed to it." }),
  groups: Type.Array(Type.String(), { description: "Groups that share it." }),
});
export type Filter = Static<typeof Filter>;
