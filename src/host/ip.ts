/**
 * Runs iproute2: questions as JSON, changes as one batch on standard input. No shell, and nothing
 * but arguments of our own making. Two to four milliseconds a call.
 */
import { execFile } from "node:child_process";
import { MpfwdError } from "../core/errors.ts";

const TIMEOUT_MS = 10_000;
const OUTPUT_OCTETS_MAX = 16 * 1_048_576;

/** @returns the parsed answer; an empty list where `ip` prints nothing */
export async function askIp(...question: string[]): Promise<unknown> {
  const { failed, output, complaint } = await run(["-json", ...question], "");
  if (failed) throw new MpfwdError("ERR_HOST", `ip ${question.join(" ")}: ${complaint}`);
  return output.trim() === "" ? [] : JSON.parse(output);
}

/** The same for a question that the kernel may refuse; null then. */
export async function tryIp(...question: string[]): Promise<unknown> {
  const { failed, output } = await run(["-json", ...question], "");
  return failed ? null : JSON.parse(output);
}

/**
 * Runs the commands in order and stops at the first that fails.
 *
 * @throws MpfwdError ERR_HOST naming the command and what the kernel said
 */
export async function runIp(commands: readonly (readonly string[])[]): Promise<void> {
  if (commands.length === 0) return;
  const { failed, complaint } = await run(["-batch", "-"], batchOf(commands));
  if (failed) throw new MpfwdError("ERR_HOST", batchFailure(commands, complaint));
}

/** Runs every command, whatever becomes of those before it; the complaints in one text, "" for none. */
export async function runIpForced(commands: readonly (readonly string[])[]): Promise<string> {
  if (commands.length === 0) return "";
  const { complaint } = await run(["-force", "-batch", "-"], batchOf(commands));
  return complaint;
}

/** Names the command that `ip -batch -` complains about by its line number. */
export function batchFailure(commands: readonly (readonly string[])[], complaint: string): string {
  const line = /Command failed -:(\d+)/.exec(complaint)?.[1];
  const command = commands[Number(line) - 1];
  const reason = complaint.replace(/\s*Command failed -:\d+\s*/, "").trim();
  if (command === undefined) return `ip: ${complaint}`;
  const known = command[0] === "route" && reason.includes("File exists");
  const mend = known ? "; the machine has such a route: remove it, or the one in the file" : "";
  return `ip ${command.join(" ")}: ${reason}${mend}`;
}

function batchOf(commands: readonly (readonly string[])[]): string {
  return commands.map((command) => `${command.join(" ")}\n`).join("");
}

interface Outcome {
  readonly failed: boolean;
  readonly output: string;
  readonly complaint: string;
}

function run(args: readonly string[], input: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_OCTETS_MAX };
    const child = execFile("ip", args, options, (error, output, complaint) => {
      if (error !== null && (error as NodeJS.ErrnoException).code === "ENOENT") {
        const mend = "the command ip is missing; install it with: apt-get install iproute2";
        reject(new MpfwdError("ERR_HOST", mend, error));
        return;
      }
      const said = complaint.trim() || (error?.message ?? "");
      resolve({ failed: error !== null, output, complaint: said });
    });
    // A process that ends early closes its input; its exit tells why.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
