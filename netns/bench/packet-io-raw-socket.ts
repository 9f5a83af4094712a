/**
 * Packet I/O by the npm package `raw-socket`: it sends and receives one packet a turn of the event
 * loop, and allocates a request, a buffer and an address text for each.
 */
import { createRequire } from "node:module";
import {
  BATCH,
  type Backend,
  BUFFER_OCTETS,
  IP_HEADER_OCTETS,
  IP_PROTOCOL,
} from "./packet-io-backend.ts";

interface RawSocket {
  on(event: "message", listener: (packet: Buffer, source: string) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  send(
    packet: Buffer,
    offset: number,
    length: number,
    address: string,
    after: (error: Error | null) => void,
  ): void;
  setOption(level: number, option: number, value: number): void;
  pauseRecv(): void;
}

interface RawSocketPackage {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
  readonly SocketLevel: { readonly SOL_SOCKET: number };
  readonly SocketOption: { readonly SO_RCVBUF: number; readonly SO_SNDBUF: number };
}

const PACKET_OCTETS_MAX = 65_535;

/** Kept for as long as the process runs: it closes itself when it is collected. */
let socket: RawSocket;

export const rawSocket: Backend = {
  async send(setup, meter, endMs) {
    socket = open();
    socket.pauseRecv();
    const packet = Buffer.alloc(setup.octets - IP_HEADER_OCTETS);
    const { address } = setup.remote;
    await new Promise<void>((resolve) => {
      const send = () => socket.send(packet, 0, packet.length, address, after);
      const after = (error: Error | null) => {
        if (error === null) meter.add(1);
        if (performance.now() < endMs) send();
        else resolve();
      };
      for (let count = 0; count < BATCH; count += 1) send();
    });
  },

  receive(setup, meter) {
    socket = open();
    socket.on("message", (packet) => {
      if (packet.length === setup.octets) meter.add(1);
    });
  },
};

function open(): RawSocket {
  const { createSocket, SocketLevel, SocketOption } = createRequire(import.meta.url)(
    "raw-socket",
  ) as RawSocketPackage;
  const opened = createSocket({ protocol: IP_PROTOCOL, bufferSize: PACKET_OCTETS_MAX });
  opened.on("error", (error) => {
    throw error;
  });
  for (const option of [SocketOption.SO_RCVBUF, SocketOption.SO_SNDBUF]) {
    opened.setOption(SocketLevel.SOL_SOCKET, option, BUFFER_OCTETS);
  }
  return opened;
}
