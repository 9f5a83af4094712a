/**
 * When a running portal has to end: on a signal in good order, on a failure in good order but failed.
 * A second signal ends the process at once; but `timeout`, `sudo` and terminals like to deliver one
 * request twice, so a signal close behind the first counts as the same.
 */
import type { Log } from "../core/log.ts";
import { EXIT } from "./exit.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const SAME_REQUEST_MS = 500;

export class StopSignal {
  /** Settles when the portal has to end. */
  readonly asked: Promise<void>;
  #askedMs = Number.POSITIVE_INFINITY;
  #failed = false;
  readonly #log: Log;
  #resolve: () => void = () => {};

  constructor(log: Log) {
    this.asked = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (performance.now() > this.#askedMs + SAME_REQUEST_MS) process.exit(EXIT.failed);
        if (!this.isAsked) log.info(`${signal}: stopping`);
        this.#ask();
      });
    }
    this.#log = log;
    const onBug = (error: unknown) => {
      this.fail(`bug in mpfwd: ${error instanceof Error ? error.stack : String(error)}`);
    };
    process.on("uncaughtException", onBug);
    process.on("unhandledRejection", onBug);
  }

  get isAsked(): boolean {
    return this.#askedMs < Number.POSITIVE_INFINITY;
  }

  /** The portal cannot go on: ends it in good order, but failed. */
  fail(text: string): void {
    this.#log.error(text);
    this.#failed = true;
    this.#ask();
  }

  /** A failure, not a signal, ended the portal. */
  get failed(): boolean {
    return this.#failed;
  }

  #ask(): void {
    this.#askedMs = Math.min(this.#askedMs, performance.now());
    this.#resolve();
  }
}
