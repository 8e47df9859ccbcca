/** Functions of EMQ X 4.0 on what a client subscribes to. */
import { topicMatches } from "../../bus/topic.ts";
import { member, type Value } from "../value.ts";
import { count, type FunctionTable, list, of, optional, text } from "./define.ts";

/** An element of `topic_filters`: a filter, or one with its QoS. */
const filterOf = (each: Value): Value => (typeof each === "string" ? each : member(each, "topic"));

const finding = (fits: (filter: string, topic: string) => boolean) =>
  of([list, text, optional(count)], (filters, topic, qos) =>
    filters.some((each) => {
      const filter = filterOf(each);
      return (
        typeof filter === "string" &&
        fits(filter, topic) &&
        (qos === undefined || member(each, "qos") === qos)
      );
    }),
  );

export const TOPICS: FunctionTable = {
  contains_topic: finding((filter, topic) => filter === topic),
  contains_topic_match: finding(topicMatches),
};
