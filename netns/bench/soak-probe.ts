/**
 * Preloaded into a portal under test: on SIGUSR2 it collects all garbage and prints what memory is left, a line of
 * `memory` and JSON (octets). Needs `--expose-gc`.
 */
process.on("SIGUSR2", () => {
  globalThis.gc?.();
  process.stdout.write(`memory ${JSON.stringify(process.memoryUsage())}\n`);
});
