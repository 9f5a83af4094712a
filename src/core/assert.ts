/** Our own bugs: they end the process. What the world does is an `MpfwdError` or a counted drop. */

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug in mpfwd: ${message}`);
}

/** The `default` of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Error(`bug in mpfwd: unreachable value ${String(value)}`);
}
