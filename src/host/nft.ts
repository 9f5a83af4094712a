/**
 * Runs nftables for the guard: rules on standard input, no shell. A machine without `nft`, or whose
 * kernel or privileges refuse it, is told apart by a complaint and is no failure: a portal works
 * without its guard.
 */
import { execFile } from "node:child_process";
import { MpfwdError } from "../core/errors.ts";
import { type Guard, guardRules, guardTable, guardTablesIn } from "./guard.ts";

const TIMEOUT_MS = 10_000;
const MISSING = "the command nft is missing; install it with: apt-get install nftables";

/**
 * Installs the guard in one transaction, in place of one of the same name.
 *
 * @param tracked - with the rules for connection tracking
 * @returns null, or why this machine does not take it
 */
export async function raiseGuard(guard: Guard, tracked: boolean): Promise<string | null> {
  const table = `table inet ${guardTable(guard.name)}`;
  // Deleting what is not there is refused: so it is made first.
  const { failed, complaint } = await run(
    ["-f", "-"],
    `${table}\ndelete ${table}\n${guardRules(guard, tracked)}`,
  );
  return failed ? complaint : null;
}

/** Arguments of `nft` that take a guard back. */
export function lowerCommand(table: string): string[] {
  return ["delete", "table", "inet", table];
}

/**
 * Removes those of the tables that are still there.
 *
 * @returns what was removed
 * @throws MpfwdError ERR_HOST when one is still there afterwards
 */
export async function lowerGuards(tables: readonly string[]): Promise<string[]> {
  const there = (await guardTables()).filter((table) => tables.includes(table));
  for (const table of there) {
    const { failed, complaint } = await run(lowerCommand(table), "");
    if (failed && (await guardTables()).includes(table)) {
      const mend = `do it by hand: nft ${lowerCommand(table).join(" ")}`;
      throw new MpfwdError("ERR_HOST", `could not remove the guard (${complaint}); ${mend}`);
    }
  }
  return there;
}

/** The tables of all guards in this network namespace, whoever made them; none where nft does not run. */
export async function guardTables(): Promise<string[]> {
  const { failed, output } = await run(["list", "tables", "inet"], "");
  return failed ? [] : guardTablesIn(output);
}

interface Outcome {
  readonly failed: boolean;
  readonly output: string;
  readonly complaint: string;
}

function run(args: readonly string[], input: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile("nft", args, { timeout: TIMEOUT_MS }, (error, output, complaint) => {
      const missing = error !== null && (error as NodeJS.ErrnoException).code === "ENOENT";
      const said = missing ? MISSING : complaintOf(complaint) || (error?.message ?? "");
      resolve({ failed: error !== null, output, complaint: said });
    });
    // A process that ends early closes its input; its exit tells why.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

/** The first line of what nft says; it goes on with the rule and a caret below it. */
function complaintOf(complaint: string): string {
  const [first = ""] = complaint.trim().split("\n");
  return first.replace(/^\S*:\d+:\d+-\d+: /, "");
}
