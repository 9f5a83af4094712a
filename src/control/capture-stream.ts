/**
 * The portal's end of a capture over the control socket: records in frames, as fast as the other side
 * reads them. The connection serves nothing else afterwards; when it breaks, the capture ends.
 */
import type { Socket } from "node:net";
import type { CaptureOptions, CaptureSink, RunningCapture } from "../portal/capture.ts";
import { type CaptureRequest, FRAME_HEADER_OCTETS } from "./control.ts";

/** Where a capture is begun. */
interface Captured {
  capture(options: CaptureOptions, sink: CaptureSink): RunningCapture;
}

export class CaptureStream {
  readonly #socket: Socket;
  readonly #capture: RunningCapture;
  #ended = false;

  /** @throws MpfwdError when the portal cannot capture now; nothing was written then */
  constructor(socket: Socket, { snap, link }: CaptureRequest, portal: Captured) {
    this.#socket = socket;
    this.#capture = portal.capture(
      { snapOctets: snap, link },
      { write: (records) => this.#write(records), end: (missed) => this.#end(missed) },
    );
    socket.write('{"capture":"begun"}\n');
    socket.on("drain", () => this.#capture.drained());
    socket.on("close", () => this.#capture.abandon());
  }

  /** Nothing more is written; the other side may still have to read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The other side has enough: sends what is left. */
  stop(): void {
    this.#capture.stop();
  }

  #write(records: Uint8Array): boolean {
    this.#socket.cork();
    this.#socket.write(frameHeader(records.length));
    const room = this.#socket.write(records);
    this.#socket.uncork();
    return room;
  }

  #end(missed: number): void {
    this.#ended = true;
    this.#socket.write(frameHeader(0));
    this.#socket.end(`${JSON.stringify({ capture: "ended", missed })}\n`);
  }
}

function frameHeader(octets: number): Uint8Array {
  const header = Buffer.alloc(FRAME_HEADER_OCTETS);
  header.writeUInt32BE(octets);
  return header;
}
