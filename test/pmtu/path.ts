/** A path in virtual time that carries packets up to a size, loses some and delays all; and a link's sizes that ask it. */
import { SeededRandom } from "../../src/core/random.ts";
import { MS } from "../../src/core/time.ts";
import { DATAGRAM_TRANSPORTS, type DatagramTransport, LinkSizes } from "../../src/pmtu/pmtu.ts";
import { decodePmtuProbe, type PmtuAnswer } from "../../src/wire/pmtu.ts";
import { controlMessage } from "../wire/control-message.ts";

export const HEADER_OCTETS: Readonly<Record<DatagramTransport, number>> = { raw: 20, udp: 28 };
const STEP_US = MS;

export class PathWorld {
  nowUs = 0;
  /** Octets of the longest packet that passes, by transport; 0: none does. */
  readonly carries: Record<DatagramTransport, number> = { raw: 1500, udp: 1500 };
  lossShare = 0;
  probes = 0;
  probeOctets = 0;
  readonly sizes: LinkSizes;
  readonly rttUs: number;
  readonly #peer = new LinkSizes(1500);
  readonly #random: SeededRandom;
  #underWay: { atUs: number; answer: PmtuAnswer }[] = [];

  constructor(seed: number, rttUs: number, sizeMax = 1500) {
    this.#random = new SeededRandom(seed);
    this.rttUs = rttUs;
    this.sizes = new LinkSizes(sizeMax);
  }

  open(): void {
    for (const transport of DATAGRAM_TRANSPORTS) {
      this.sizes.open(this.nowUs, transport, HEADER_OCTETS[transport], true);
    }
  }

  run(forUs: number): void {
    const untilUs = this.nowUs + forUs;
    for (; this.nowUs < untilUs; this.nowUs += STEP_US) {
      const due = this.#underWay.filter(({ atUs }) => atUs <= this.nowUs);
      this.#underWay = this.#underWay.filter(({ atUs }) => atUs > this.nowUs);
      for (const { answer } of due) this.sizes.answered(answer);
      this.#send();
    }
  }

  #send(): void {
    for (;;) {
      const sent = this.sizes.poll(this.nowUs, this.rttUs);
      if (sent === null) return;
      const octets = sent.probe.octets + HEADER_OCTETS[sent.transport];
      this.probes += 1;
      this.probeOctets += octets;
      if (octets > this.carries[sent.transport] || this.#lost()) continue;
      const probe = decodePmtuProbe(controlMessage(sent.body));
      if (probe === "truncated") throw new Error("a probe of ours is truncated");
      const answered = this.#peer.heard(probe);
      if (answered === 0 || this.#lost()) continue;
      const answer = {
        transport: probe.transport,
        link: 0,
        search: probe.search,
        octets: answered,
      };
      this.#underWay.push({ atUs: this.nowUs + this.rttUs, answer });
    }
  }

  #lost(): boolean {
    return this.#random.next() < this.lossShare;
  }
}
