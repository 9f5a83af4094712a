/**
 * What a running portal tells its operator: events, not packets. Whoever starts the portal decides
 * where the lines go. A text is one line, without time and without level.
 */
export interface Log {
  /** Something changed as it should. */
  info(text: string): void;
  /** Something is worse than it could be; the portal goes on. */
  warn(text: string): void;
  /** Something that was asked for could not be done. */
  error(text: string): void;
}
