/**
 * Runs iproute2: questions as JSON, changes as one batch on standard input. No shell, and nothing
 * but arguments of our own making. Two to four milliseconds a call.
 */
import { execFile } from "node:child_process";
import { MpfwdError } from "../core/errors.ts";

const TIMEOUT_MS = 10_000;
const OUTPUT_OCTETS_MAX = 16 * 1_048_576;
/** The kernel lets a device be called so, but in a batch it begins a comment, a quotation or another word. */
const UNSAYABLE = /^$|[\s#"'\\]/;

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
 * Runs the commands in order and stops at the first that fails. One that no batch can say stops all of them.
 *
 * @throws MpfwdError ERR_HOST naming the command and what the kernel said
 */
export async function runIp(commands: readonly (readonly string[])[]): Promise<void> {
  if (commands.length === 0) return;
  const { lines, unsaid } = batchOf(commands);
  if (unsaid !== "") throw new MpfwdError("ERR_HOST", unsaid);
  const { failed, complaint } = await run(["-batch", "-"], lines);
  if (failed) throw new MpfwdError("ERR_HOST", batchFailure(commands, complaint));
}

/** Runs every command that a batch can say, whatever becomes of those before it; the complaints in one text, "" for none. */
export async function runIpForced(commands: readonly (readonly string[])[]): Promise<string> {
  const { lines, unsaid } = batchOf(commands);
  if (lines === "") return unsaid;
  const { complaint } = await run(["-force", "-batch", "-"], lines);
  return [unsaid, complaint].filter((text) => text !== "").join("; ");
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

/**
 * The commands as lines for `ip -batch -`; `unsaid` names the word, a device of the machine's, that left one of
 * them out, "" for none. What is mutilated on the way would be another command, not a failed one.
 */
export function batchOf(commands: readonly (readonly string[])[]): {
  readonly lines: string;
  readonly unsaid: string;
} {
  const words = commands.flatMap((command) => command.filter((word) => UNSAYABLE.test(word)));
  const sayable = commands.filter((command) => !command.some((word) => UNSAYABLE.test(word)));
  const [name] = words;
  const mend = "rename the device: ip link set dev OLD name NEW";
  return {
    lines: sayable.map((command) => `${command.join(" ")}\n`).join(""),
    unsaid:
      name === undefined ? "" : `ip -batch cannot take the name ${JSON.stringify(name)}; ${mend}`,
  };
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
