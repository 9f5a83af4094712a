/** Draws a run: rate, window and flight, queue delay over time, a lane each, a colour a link. SVG. */
import { MS, SECOND } from "../../src/core/time.ts";
import { SERIES_STEP_US, type Series } from "./record.ts";
import type { World } from "./world.ts";

const WIDTH = 1000;
const LANE = 200;
const LEFT = 70;
const TOP = 30;
const GAP = 40;
const COLOURS = [
  "#1f77b4",
  "#d62728",
  "#2ca02c",
  "#9467bd",
  "#ff7f0e",
  "#17becf",
  "#8c564b",
  "#7f7f7f",
];
/** Marks on the axis of time. */
const TICKS_MAX = 20;
/** Points of a curve; more cannot be told apart. */
const POINTS_MAX = 900;

interface Curve {
  readonly label: string;
  readonly colour: string;
  readonly dashed: boolean;
  /** One value for each step of 10 ms. */
  readonly values: readonly number[];
}

interface Lane {
  readonly title: string;
  readonly curves: readonly Curve[];
}

/** The world must have been recorded. */
export function plot(world: World, title: string): string {
  const lanes = [rates(world), windows(world), queues(world)];
  const seconds = world.nowUs / SECOND;
  const height = TOP + lanes.length * (LANE + GAP) + 20;
  const body = lanes.map((lane, index) => drawLane(lane, TOP + 20 + index * (LANE + GAP), seconds));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + LEFT + 20} ${height}"`,
    ` font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="${LEFT}" y="20" font-size="15">${escaped(title)}</text>`,
    ...body,
    "</svg>\n",
  ].join("\n");
}

function rates(world: World): Lane {
  const perStep = 8 / SERIES_STEP_US;
  const curves = world.paths.map(({ up }, index) =>
    curve(`link ${index}`, index, smooth(scaled(up.passed, perStep), 10)),
  );
  return { title: "rate, Mbit/s", curves };
}

function windows(world: World): Lane {
  const curves = world.records.flatMap(({ name, cwnd, inFlight }, index) => [
    curve(`${name} window`, index, held(cwnd, 1e-3)),
    curve(`${name} in flight`, index, held(inFlight, 1e-3), true),
  ]);
  return { title: "window (line) and in flight (dashed), kB", curves };
}

function queues(world: World): Lane {
  const curves = world.paths.map(({ up }, index) =>
    curve(`link ${index}`, index, scaled(up.waits, 1 / MS)),
  );
  return { title: "queue delay, ms (maximum each 10 ms)", curves };
}

function curve(label: string, index: number, values: readonly number[], dashed = false): Curve {
  return { label, colour: COLOURS[index % COLOURS.length] as string, dashed, values };
}

function scaled(series: Series, factor: number): number[] {
  return Array.from(series.values.subarray(0, series.length), (value) => value * factor);
}

/** As `scaled`; a step without a value keeps the one before. */
function held(series: Series, factor: number): number[] {
  const values = scaled(series, factor);
  for (let at = 1; at < values.length; at += 1)
    if (values[at] === 0) values[at] = values[at - 1] ?? 0;
  return values;
}

function smooth(values: readonly number[], steps: number): number[] {
  let sum = 0;
  return values.map((value, at) => {
    sum += value - (at >= steps ? (values[at - steps] ?? 0) : 0);
    return sum / steps;
  });
}

function drawLane({ title, curves }: Lane, y: number, seconds: number): string {
  const top = niceAbove(Math.max(1e-9, ...curves.map(({ values }) => Math.max(0, ...values))));
  const parts = [
    `<rect x="${LEFT}" y="${y}" width="${WIDTH}" height="${LANE}" fill="none" stroke="#999"/>`,
    `<text x="${LEFT}" y="${y - 5}">${escaped(title)}</text>`,
  ];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y + LANE * (1 - share);
    parts.push(
      `<line x1="${LEFT}" x2="${LEFT + WIDTH}" y1="${at}" y2="${at}" stroke="#eee"/>`,
      `<text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${round(top * share)}</text>`,
    );
  }
  const stepS = niceAbove(seconds / TICKS_MAX);
  for (let atS = 0; atS <= seconds; atS += stepS) {
    const x = (LEFT + (WIDTH * atS) / seconds).toFixed(1);
    parts.push(
      `<line x1="${x}" x2="${x}" y1="${y}" y2="${y + LANE}" stroke="#eee"/>`,
      `<text x="${x}" y="${y + LANE + 14}" text-anchor="middle">${round(atS)} s</text>`,
    );
  }
  curves.forEach((one, index) => {
    parts.push(drawCurve(one, y, top, seconds));
    const x = LEFT + WIDTH - 10;
    const labelY = y + 14 + 14 * index;
    if (index < 12) {
      parts.push(
        `<text x="${x}" y="${labelY}" fill="${one.colour}" text-anchor="end">${escaped(one.label)}</text>`,
      );
    }
  });
  return parts.join("\n");
}

function drawCurve(
  { values, colour, dashed }: Curve,
  y: number,
  top: number,
  seconds: number,
): string {
  const steps = Math.ceil((seconds * SECOND) / SERIES_STEP_US);
  const stride = Math.max(1, Math.ceil(steps / POINTS_MAX));
  const points: string[] = [];
  for (let at = 0; at < values.length; at += stride) {
    const value = Math.max(...values.slice(at, at + stride));
    const x = LEFT + (WIDTH * at) / steps;
    points.push(`${x.toFixed(1)},${(y + LANE * (1 - value / top)).toFixed(1)}`);
  }
  const dash = dashed ? ` stroke-dasharray="3 3"` : "";
  return `<polyline fill="none" stroke="${colour}"${dash} points="${points.join(" ")}"/>`;
}

/** The next of 1, 2, 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
}

function round(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
