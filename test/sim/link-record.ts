/** Window, flight and phase of one link over time, for plots. */
import type { TimeUs } from "../../src/core/time.ts";
import type { Link } from "../../src/link/link.ts";
import { Series } from "./record.ts";

export class LinkRecord {
  readonly name: string;
  readonly cwnd = new Series();
  readonly inFlight = new Series();
  readonly phases: { readonly atUs: TimeUs; readonly phase: string }[] = [];
  readonly #link: Link;
  #phase = "";

  constructor(link: Link) {
    this.#link = link;
    this.name = link.name;
  }

  take(nowUs: TimeUs): void {
    const { controller, inFlightBytes } = this.#link.sender;
    this.cwnd.set(nowUs, controller.cwndBytes);
    this.inFlight.raise(nowUs, inFlightBytes);
    if (controller.phase === this.#phase) return;
    this.#phase = controller.phase;
    this.phases.push({ atUs: nowUs, phase: controller.phase });
  }
}
