/** Threads that take jobs from one list: as many as there are cores to share, one job at a time each. */
import { Worker } from "node:worker_threads";

/** More would only share the cores that there are. */
const WORKERS = 2;

/**
 * @param script - the worker's module; it answers each message, a job, with one message, its outcome
 * @throws what a worker throws
 */
export async function runJobs<Job, Outcome>(
  script: URL,
  jobs: readonly Job[],
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  let next = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(script, { execArgv: ["--enable-source-maps"] });
      const feed = () => {
        const job = jobs[next];
        next += 1;
        if (job !== undefined) worker.postMessage(job);
        else void worker.terminate().then(() => resolve());
      };
      worker.on("message", (outcome: Outcome) => {
        onOutcome(outcome);
        feed();
      });
      worker.on("error", reject);
      feed();
    });
  await Promise.all(Array.from({ length: Math.min(WORKERS, jobs.length) }, one));
}
