/**
 * Running other programs: to their end (`run`) or beside us (`Children`). No shell; every run has a
 * time limit; what was started is known by its pid and ended by it. Children get their own session,
 * so that Ctrl-C reaches only this process, which then ends them in order.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { MpfwdError } from "../src/core/errors.ts";

/** `ip`, `tc`, `nft` and `ethtool` need milliseconds; this is for a machine that is very busy. */
const COMMAND_LIMIT_MS = 30_000;
/** Between SIGTERM and SIGKILL. */
const END_GRACE_MS = 3_000;
/** What is kept of one output stream; more is cut off at the front. */
const OUTPUT_CHARS_MAX = 8 * 1024 * 1024;

export interface RunOptions {
  /** Written to standard input. */
  readonly input?: string;
  /** Milliseconds until the program is ended; default 30 s. */
  readonly limitMs?: number;
  /** Do not throw when the exit code is not 0. */
  readonly mayFail?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Finished {
  /** Exit code; 128 and up when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs beside us. */
export class Child {
  readonly pid: number;
  readonly done: Promise<Finished>;
  readonly #process: ChildProcessWithoutNullStreams;
  #stdout = "";
  #stderr = "";
  #ended = false;
  #onOutput: (() => void) | null = null;

  constructor(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#process = spawn(command, args, { detached: true, env: { ...process.env, ...env } });
    this.pid = this.#process.pid ?? 0;
    this.#process.stdin.on("error", () => {}); // It may end without reading all of its input.
    this.#process.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-OUTPUT_CHARS_MAX);
      this.#onOutput?.();
    });
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-OUTPUT_CHARS_MAX);
      this.#onOutput?.();
    });
    this.done = new Promise((resolve, reject) => {
      this.#process.on("error", (cause) => {
        this.#ended = true;
        reject(new MpfwdError("ERR_HOST", `${command} cannot be started: ${cause.message}`, cause));
      });
      this.#process.on("close", (code, signal) => {
        this.#ended = true;
        this.#onOutput?.();
        const stdout = this.#stdout;
        resolve({ code: code ?? (signal === "SIGKILL" ? 137 : 143), stdout, stderr: this.#stderr });
      });
    });
    this.done.catch(() => {}); // Whoever waits for it gets the error; nobody has to.
  }

  get ended(): boolean {
    return this.#ended;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#ended) this.#process.kill(name);
  }

  write(text: string): void {
    this.#process.stdin.end(text);
  }

  /** Lets this process end while the child runs on. */
  release(): void {
    this.#process.unref();
    for (const stream of [this.#process.stdin, this.#process.stdout, this.#process.stderr]) {
      stream.destroy();
    }
  }

  /** Waits until it has printed `text`, on either stream. @throws MpfwdError ERR_HOST when it ends or the limit passes */
  async saw(text: string, limitMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => this.#fail(reject, `did not print "${text}"`), limitMs);
      this.#onOutput = () => {
        if (this.#stdout.includes(text) || this.#stderr.includes(text)) {
          clearTimeout(limit);
          resolve();
        } else if (this.#ended) {
          clearTimeout(limit);
          this.#fail(reject, "ended early");
        }
      };
      this.#onOutput();
    });
    this.#onOutput = null;
  }

  /** SIGTERM, then SIGKILL after a grace; returns when it is gone. */
  async end(graceMs = END_GRACE_MS): Promise<void> {
    if (this.#ended) return;
    this.signal("SIGTERM");
    const kill = setTimeout(() => this.signal("SIGKILL"), graceMs);
    await this.done.catch(() => {});
    clearTimeout(kill);
  }

  #fail(reject: (reason: MpfwdError) => void, what: string): void {
    const command = this.#process.spawnargs.join(" ");
    reject(new MpfwdError("ERR_HOST", `${command} ${what}: ${this.#stderr.slice(-2_000)}`));
  }
}

/** Every program that is running, so that all of them can be ended. */
export class Children {
  readonly #running = new Set<Child>();

  spawn(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Child {
    const child = new Child(command, args, env);
    this.#running.add(child);
    const forget = () => this.#running.delete(child);
    child.done.then(forget, forget);
    return child;
  }

  /** Newest first: loads before portals, portals before emulators. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#running].reverse().map((child) => child.end()));
  }

  /** Lets this process end while all of them run on. */
  release(): void {
    for (const child of this.#running) child.release();
  }

  /** @throws MpfwdError ERR_HOST with the command, its input and what it said */
  async run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const child = this.spawn(command, args, options.env);
    child.write(options.input ?? "");
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      void child.end();
    }, options.limitMs ?? COMMAND_LIMIT_MS);
    const finished = await child.done.finally(() => clearTimeout(limit));
    if (late) throw failure(command, args, options, "did not end in time");
    if (finished.code !== 0 && options.mayFail !== true) {
      throw failure(command, args, options, finished.stderr.trim() || `exit code ${finished.code}`);
    }
    return finished;
  }
}

/** A one-off run that belongs to no lab. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return new Children().run(command, args, options);
}

function failure(
  command: string,
  args: readonly string[],
  options: RunOptions,
  why: string,
): MpfwdError {
  const input = options.input === undefined ? "" : `\n${options.input}`;
  return new MpfwdError("ERR_HOST", `${command} ${args.join(" ")}: ${why}${input}`);
}
