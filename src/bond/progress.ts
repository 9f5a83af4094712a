/**
 * How far each link of a bond has got: up to which order number everything that the peer sent on it has
 * arrived, for a link keeps its own order.
 */
import { MS, SECOND, type TimeUs } from "../core/time.ts";

/** How many links may have their say; numbers are below this. */
const LINKS = 16;
/** A link that delivered nothing in order for this long has no say. */
const QUIET_US = 100 * MS;
/** A link on which anything came within this time may be carrying packets: probes come twice a second. */
const ALIVE_US = 1.5 * SECOND;

export class Progress {
  /** A link that is alive had no say when `floor` was last asked: it may have packets under way. */
  someQuiet = false;
  readonly #floor = new Float64Array(LINKS).fill(-1);
  /** When a link last had its say on order, and when anything came on it. */
  readonly #heardUs = new Float64Array(LINKS).fill(Number.NEGATIVE_INFINITY);
  readonly #aliveUs = new Float64Array(LINKS).fill(Number.NEGATIVE_INFINITY);

  /** Everything up to `order` that went out on `link` has come or will not come. */
  raise(nowUs: TimeUs, link: number, order: number): void {
    this.#heardUs[link] = nowUs;
    this.#aliveUs[link] = nowUs;
    if (order > (this.#floor[link] as number)) this.#floor[link] = order;
  }

  /** Something without order came on `link`. */
  alive(nowUs: TimeUs, link: number): void {
    this.#aliveUs[link] = nowUs;
  }

  /** Below this every link that has a say has delivered; -1 when none has. */
  floor(nowUs: TimeUs): number {
    let floor = Number.POSITIVE_INFINITY;
    this.someQuiet = false;
    for (let link = 0; link < LINKS; link += 1) {
      if (nowUs - (this.#heardUs[link] as number) > QUIET_US) {
        if (nowUs - (this.#aliveUs[link] as number) < ALIVE_US) this.someQuiet = true;
        continue;
      }
      floor = Math.min(floor, this.#floor[link] as number);
    }
    return floor === Number.POSITIVE_INFINITY ? -1 : floor;
  }
}
