/**
 * After an absence of the path (a hand-over): its queue has run empty meanwhile, so what comes now shows how long it
 * is, and within a round trip it is known by how much that has changed.
 */
export class Absence {
  #untilUs = Number.NEGATIVE_INFINITY;
  /** How long the empty path was before, microseconds; 0: there is nothing to be learnt. */
  #restBeforeUs = 0;

  /** The path is being looked at. */
  get learning(): boolean {
    return this.#restBeforeUs > 0;
  }

  begin(restUs: number, untilUs: number): void {
    this.#restBeforeUs = restUs;
    this.#untilUs = untilUs;
  }

  /** By how much the path has become longer, once that is known; 0 before. */
  longerUs(nowUs: number, restUs: number): number {
    if (nowUs < this.#untilUs) return 0;
    const longerUs = restUs - this.#restBeforeUs;
    this.#restBeforeUs = 0;
    return longerUs;
  }

  reset(): void {
    this.#restBeforeUs = 0;
  }
}
