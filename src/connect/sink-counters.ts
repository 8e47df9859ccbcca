/** The numbers of a sink: taken + restored = success + failed + expired + full + inflight + queuing. */
export interface SinkCounters {
  taken: number;
  /** They waited in the store when this process began. */
  restored: number;
  success: number;
  /** The sink will never take them: they were dead-lettered. */
  failed: number;
  /** Parts of failed: refused for good, tried as often as may be, an error nobody has thought of, of another version. */
  failedRefused: number;
  failedTried: number;
  failedUnexpected: number;
  failedUnread: number;
  expired: number;
  full: number;
  /** Parts of success and failed: what needed more than one try. */
  retriedSuccess: number;
  retriedFailed: number;
  /** Batches given to the sink, tries that failed among them, and those of them that it did not answer in time. */
  batches: number;
  tries: number;
  late: number;
  /** Milliseconds from event to acknowledgement, of all in success together. */
  latency: number;
  /** What a broker has sent that had come over this connector before. */
  cameAgain: number;
}

export const newSinkCounters = (): SinkCounters => ({
  ...{ taken: 0, restored: 0, success: 0, failed: 0, expired: 0, full: 0 },
  ...{ failedRefused: 0, failedTried: 0, failedUnexpected: 0, failedUnread: 0 },
  ...{ retriedSuccess: 0, retriedFailed: 0, batches: 0, tries: 0, late: 0, latency: 0, cameAgain: 0 },
});

/** What each is, for who reads metrics or asks the API. */
export const SINK_COUNTERS: Readonly<Record<keyof SinkCounters, string>> = {
  taken: "Messages that rules gave to the connector",
  restored: "Messages that waited in the store when this process began",
  success: "Messages that the sink has acknowledged",
  failed: "Messages that were dead-lettered",
  failedRefused: "Of those that failed, those that the sink refuses for good",
  failedTried: "Of those that failed, those that were tried as often as may be",
  failedUnexpected: "Of those that failed, those with an error that nobody has thought of",
  failedUnread: "Of those that failed, those that another version has written",
  expired: "Messages that expired before the sink had them",
  full: "Messages dropped because the queue was full",
  retriedSuccess: "Of those that succeeded, those that needed more than one try",
  retriedFailed: "Of those that failed, those that were tried more than once",
  batches: "Batches that were begun",
  tries: "Requests to the sink, those that failed among them",
  late: "Of the tries, those that the sink did not answer in time",
  latency: "Milliseconds from event to acknowledgement, of all that succeeded together",
  cameAgain: "Messages of a broker that had come over the connector before, and were left out",
};
