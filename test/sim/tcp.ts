/** One TCP connection of the traffic models, from its sender to its receiver. */
import type { TimeUs } from "../../src/core/time.ts";
import type { TcpReceiver } from "./tcp-receiver.ts";
import type { TcpSender } from "./tcp-sender.ts";

export class TcpFlow {
  readonly sender: TcpSender;
  readonly receiver: TcpReceiver;

  constructor(sender: TcpSender, receiver: TcpReceiver) {
    this.sender = sender;
    this.receiver = receiver;
  }

  mark(nowUs: TimeUs): void {
    this.sender.mark();
    this.receiver.mark(nowUs);
  }

  /** Payload octets since the mark. */
  goodputMbit(): number {
    return this.receiver.goodputMbit();
  }
}
