/** What is refused, in words that the log, the metrics, the API and its readers share. */
export const REFUSALS = [
  "unauthenticated", // wrong or missing credentials
  "forbidden", // the ACL, or a listener rule, says no
  "banned", // on the ban list, or flapping
  "malformed", // a topic, filter or client id that no client may use
  "congested", // a rate or a queue limit; trying again later may help
  "quota", // a limit of this client (subscriptions, topic levels, ...); trying again will not help
  "too-large", // over the packet or payload size limit
  "unavailable", // the bus or the store cannot accept anything now
] as const;

/** What we refuse; each gateway maps it to its protocol's own code in one exhaustive switch. */
export type Refusal = (typeof REFUSALS)[number];
