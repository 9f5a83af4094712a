/** Moves the wall clock of chosen processes (`clock-shift.cc`); every other clock goes on as it was. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../command.ts";

/** Beside the sources: nothing copies it to where the compiled files are. */
const SOURCE = fileURLToPath(new URL("../../../netns/load/clock-shift.cc", import.meta.url));

export class ClockShift {
  readonly #file: string;
  /** For the processes whose clock is to be moved. */
  readonly env: Readonly<Record<string, string>>;

  private constructor(directory: string) {
    this.#file = join(directory, "clock-shift");
    this.env = { LD_PRELOAD: join(directory, "clock-shift.so"), CLOCK_SHIFT_FILE: this.#file };
  }

  /** Builds what is preloaded. @throws MpfwdError ERR_HOST without a compiler */
  static async build(directory: string): Promise<ClockShift> {
    const shift = new ClockShift(directory);
    shift.move(0);
    const compiler = process.env["CXX"] ?? "g++";
    const library = shift.env["LD_PRELOAD"] as string;
    await run(compiler, ["-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"]);
    return shift;
  }

  /** From now on the clock shows `seconds` more than it should. */
  move(seconds: number): void {
    const octets = Buffer.from(new BigInt64Array([BigInt(seconds)]).buffer);
    // The processes have mapped this very file: it must not become shorter, not even for a moment.
    const file = openSync(this.#file, constants.O_RDWR | constants.O_CREAT, 0o600);
    writeSync(file, octets, 0, octets.length, 0);
    closeSync(file);
  }
}
