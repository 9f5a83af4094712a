/** What a portal says of the room that the kernel gives it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { logBuffers } from "../../src/portal/buffers.ts";

function warned(receive: number): string[] {
  const lines: string[] = [];
  const engine = {
    openSocket: () => 1,
    bufferBytes: () => ({ receive, send: receive }),
    close() {},
  };
  logBuffers({ warn: (line) => lines.push(line) }, engine);
  return lines;
}

test("a receive buffer that holds 50 ms of small packets is not worth a word", () => {
  assert.deepEqual(warned(16 << 20), []);
});

test("the default of an unprivileged process is, with what to do", () => {
  assert.match(warned(425_984).join(""), /416 KiB.*CAP_NET_ADMIN.*net\.core\.rmem_max to 8388608/);
});
