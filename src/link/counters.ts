/** Totals of a link since it was made; octets of inner packets. */
export interface LinkCounters {
  packetsOut: number;
  packetsIn: number;
  bytesOut: number;
  bytesIn: number;
  probesSent: number;
  feedbackSent: number;
  /** FEEDBACK that acknowledged what was never sent. */
  feedbackInvalid: number;
}

export function newLinkCounters(): LinkCounters {
  return {
    ...{ packetsOut: 0, packetsIn: 0, bytesOut: 0, bytesIn: 0 },
    ...{ probesSent: 0, feedbackSent: 0, feedbackInvalid: 0 },
  };
}
