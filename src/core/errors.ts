/** What the world around us can do to us. Stable: users and scripts match on the code. */
export type ErrorCode =
  | "ERR_ADDON_MISSING"
  | "ERR_CONFIG"
  | "ERR_CONTROL"
  | "ERR_HOST"
  | "ERR_IN_USE"
  | "ERR_LINK"
  | "ERR_NOT_RUNNING"
  | "ERR_PRIVILEGE"
  | "ERR_TUN"
  | "ERR_USAGE";

/** A failure the operator can repair. Says what was tried and the mend; `cause` keeps what the kernel said. */
export class MpfwdError extends Error {
  override readonly name = "MpfwdError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
