/**
 * The changes of the machine that a running portal has made: written down before they are made, changed while
 * it runs, undone at its end.
 */
import type { HostChange, RouteChange } from "../host/change.ts";
import { applyChanges, ownRoutes, replaceRoutes, undoChanges } from "../host/host.ts";
import { removeRecord, writeRecord } from "../host/record.ts";

export class KeptChanges {
  readonly #record: string;
  #changes: readonly HostChange[] = [];
  /** What is under way: one thing at a time. */
  #busy: Promise<unknown> = Promise.resolve();
  #undone = false;

  /** `record`: path of the file that outlives a killed run. */
  constructor(record: string) {
    this.#record = record;
  }

  /** @throws MpfwdError ERR_HOST; what was done before the failure is then still there */
  async make(changes: readonly HostChange[]): Promise<void> {
    writeRecord(this.#record, changes);
    this.#changes = changes;
    await applyChanges(changes);
  }

  /**
   * Has these host routes lead past the tunnel, in place of those before; makes again what the kernel has removed
   * with a device. A complaint of `ip`, or "". @throws MpfwdError ERR_HOST
   */
  replaceOuter(next: readonly RouteChange[]): Promise<string> {
    return this.#after(async () => {
      if (this.#undone) return "";
      const shown = (await ownRoutes()).filter((change) => isOuter(change));
      const before = this.#changes.filter((change) => isOuter(change));
      const added = next.filter((route) => !shown.some((known) => same(route, known)));
      const stale = before.filter((route) => !next.some((known) => same(route, known)));
      if (added.length === 0 && stale.length === 0) return "";
      const others = this.#changes.filter((change) => !isOuter(change));
      // A kill at any moment leaves nothing that the next start does not know of.
      this.#changes = [...before, ...added, ...others];
      writeRecord(this.#record, this.#changes);
      const complaint = await replaceRoutes(added, stale);
      this.#changes = [...next, ...others];
      writeRecord(this.#record, this.#changes);
      return complaint;
    });
  }

  /** @throws MpfwdError ERR_HOST when something is still there afterwards */
  undo(): Promise<void> {
    return this.#after(async () => {
      this.#undone = true;
      await undoChanges(this.#changes);
      removeRecord(this.#record);
    });
  }

  #after<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(task, task);
    this.#busy = done;
    return done;
  }
}

/** The routes into the tunnel have no metric. */
function isOuter(change: HostChange): change is RouteChange {
  return change.kind === "route" && change.metric !== undefined;
}

function same(a: RouteChange, b: RouteChange): boolean {
  return a.to === b.to && a.device === b.device && a.via === b.via && a.metric === b.metric;
}
