/** What an experiment found: figures, what was demanded of them, and whether it was met. */

export type Operator = ">=" | "<=" | "==";

export interface Criterion {
  /** Name of a figure. */
  readonly name: string;
  readonly value: number | null;
  readonly op: Operator;
  readonly limit: number;
  readonly pass: boolean;
}

/** Numbers, or words such as the sender's congestion control; null: could not be measured. */
export type Figures = Readonly<Record<string, number | string | null>>;

export interface Result {
  readonly schema: 1;
  readonly experiment: string;
  readonly pass: boolean;
  readonly figures: Figures;
  readonly criteria: readonly Criterion[];
}

export type Demand = readonly [name: string, op: Operator, limit: number];

/** A figure that is missing or no number fails its criterion. */
export function judge(experiment: string, figures: Figures, demands: readonly Demand[]): Result {
  const criteria = demands.map(([name, op, limit]): Criterion => {
    const figure = figures[name];
    const value = typeof figure === "number" && Number.isFinite(figure) ? figure : null;
    return { name, value, op, limit, pass: value !== null && holds(value, op, limit) };
  });
  const pass = criteria.every((criterion) => criterion.pass);
  return { schema: 1, experiment, pass, figures, criteria };
}

/** For people: one line a figure, the demanded ones with their limit. */
export function resultText(result: Result): string {
  const width = Math.max(...Object.keys(result.figures).map((name) => name.length));
  const lines = Object.entries(result.figures).map(([name, value]) => {
    const demanded = result.criteria
      .filter((criterion) => criterion.name === name)
      .map(({ op, limit, pass }) => `  ${op} ${limit} ${pass ? "ok" : "FAILED"}`);
    return `  ${name.padEnd(width)}  ${value ?? "not measured"}${demanded.join("")}`;
  });
  const verdict = result.pass ? "passed" : "FAILED";
  return [`${result.experiment}: ${verdict}`, ...lines].join("\n");
}

/** Three decimals are more than any measurement here is worth. */
export function round(value: number, decimals = 3): number {
  return Number(value.toFixed(decimals));
}

function holds(value: number, op: Operator, limit: number): boolean {
  if (op === ">=") return value >= limit;
  return op === "<=" ? value <= limit : value === limit;
}
