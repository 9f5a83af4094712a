/** A capture as seen by the command: asks a running portal for it and gives its records, chunk by chunk. */
import { connect, type Socket } from "node:net";
import { MpfwdError } from "../core/errors.ts";
import { connectFailure } from "./client.ts";
import {
  FRAME_HEADER_OCTETS,
  FRAME_OCTETS_MAX,
  instancePaths,
  REQUEST_OCTETS_MAX,
} from "./control.ts";

/** How long the portal may take to begin, and to send the rest after it was told to stop. */
const ANSWER_TIMEOUT_MS = 3000;

export interface CaptureWish {
  readonly snapOctets: number;
  readonly link: string | null;
}

export class CaptureConnection {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #parts: AsyncIterator<Buffer>;
  /** Received, and not given out yet. */
  #pending: Buffer = Buffer.alloc(0);
  #missed: number | null = null;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    this.#parts = socket[Symbol.asyncIterator]();
  }

  /**
   * @throws MpfwdError ERR_NOT_RUNNING, ERR_PRIVILEGE, ERR_CONTROL with what the portal says against it
   */
  static async begin(
    stateDirectory: string,
    name: string,
    wish: CaptureWish,
  ): Promise<CaptureConnection> {
    const { control } = instancePaths(stateDirectory, name);
    const socket = await connected(control, name);
    const connection = new CaptureConnection(socket, name);
    const { snapOctets: snap, link } = wish;
    socket.write(`${JSON.stringify({ request: "capture", snap, link })}\n`);
    const limit = setTimeout(() => socket.destroy(), ANSWER_TIMEOUT_MS);
    const answer = await connection.#line().finally(() => clearTimeout(limit));
    if (answer["error"] !== undefined) {
      socket.destroy();
      throw new MpfwdError("ERR_CONTROL", `${name} answered: ${answer["error"]}`);
    }
    return connection;
  }

  /** Chunks of whole pcap records in this machine's byte order, until the capture has ended. */
  async *records(): AsyncGenerator<Buffer> {
    for (;;) {
      const header = await this.#take(FRAME_HEADER_OCTETS);
      const octets = header.readUInt32BE();
      if (octets === 0) break;
      if (octets > FRAME_OCTETS_MAX) throw this.#failure("sends something else than records");
      yield await this.#take(octets);
    }
    this.#missed = Number((await this.#line())["missed"]);
    this.#socket.destroy();
  }

  /** Packets that the portal could not pass on; null before the end. */
  get missed(): number | null {
    return this.#missed;
  }

  /** Asks for the rest and the end; what does not come soon is given up. */
  stop(): void {
    this.#socket.write('{"request":"stop"}\n');
    setTimeout(() => this.#socket.destroy(), ANSWER_TIMEOUT_MS).unref();
  }

  /** Ends the capture at once. */
  close(): void {
    this.#socket.destroy();
  }

  async #line(): Promise<Readonly<Record<string, unknown>>> {
    let end = this.#pending.indexOf("\n");
    while (end < 0) {
      if (this.#pending.length > REQUEST_OCTETS_MAX) throw this.#failure("answers without end");
      await this.#more();
      end = this.#pending.indexOf("\n");
    }
    const text = (await this.#take(end + 1)).toString("utf8");
    try {
      return JSON.parse(text) as Readonly<Record<string, unknown>>;
    } catch {
      throw this.#failure("answered with something else than JSON");
    }
  }

  async #take(octets: number): Promise<Buffer> {
    const parts = [this.#pending];
    let length = this.#pending.length;
    while (length < octets) {
      const part = await this.#next();
      parts.push(part);
      length += part.length;
    }
    const whole = parts.length === 1 ? this.#pending : Buffer.concat(parts, length);
    this.#pending = whole.subarray(octets);
    return whole.subarray(0, octets);
  }

  async #more(): Promise<void> {
    this.#pending = Buffer.concat([this.#pending, await this.#next()]);
  }

  async #next(): Promise<Buffer> {
    try {
      const { value, done } = await this.#parts.next();
      if (done !== true) return value;
    } catch (cause) {
      throw this.#failure("hung up", cause);
    }
    throw this.#failure("hung up");
  }

  #failure(what: string, cause?: unknown): MpfwdError {
    this.#socket.destroy();
    return new MpfwdError("ERR_CONTROL", `${this.#name} ${what}`, cause);
  }
}

function connected(path: string, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const onError = (error: NodeJS.ErrnoException) => reject(connectFailure(error, name, path));
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      resolve(socket);
    });
  });
}
