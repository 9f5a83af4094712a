/** Ctrl-C and its like: every lab of this process is removed before it ends. */
import type { Lab } from "./topology/lab.ts";

/** Exit codes as a shell gives them: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** `onSignal` is called before anything is removed. @returns what takes the handlers away again */
export function removeOnSignal(labs: ReadonlySet<Lab>, onSignal = () => {}): () => void {
  const remove = (signal: keyof typeof SIGNALS) => {
    onSignal();
    process.stderr.write(`\n${signal}: removing ${labs.size} lab\n`);
    const gone = [...labs].map((lab) => lab.down());
    void Promise.allSettled(gone).then(() => process.exit(SIGNALS[signal]));
  };
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  for (const name of names) process.once(name, remove);
  return () => {
    for (const name of names) process.off(name, remove);
  };
}
