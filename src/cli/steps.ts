/** What has been done so far and how each is undone: in reverse, every one, whatever fails. */
import type { Log } from "../core/log.ts";

export class Steps {
  readonly #undo: { readonly name: string; readonly run: () => Promise<void> }[] = [];

  /** Call it before the step is done when a failing step may leave a part behind. */
  push(name: string, run: () => Promise<void>): void {
    this.#undo.push({ name, run });
  }

  /** @returns whether everything could be undone */
  async unwind(log: Log): Promise<boolean> {
    let clean = true;
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      try {
        await step.run();
      } catch (error) {
        clean = false;
        log.error(`${step.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return clean;
  }
}
