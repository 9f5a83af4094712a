/** All cells of the matrix, by name. */
import type { Cell } from "../cell.ts";
import { bondCells } from "./bonds.ts";
import { changeCells } from "./changes.ts";
import { failoverCells } from "./failovers.ts";
import { innerCells } from "./inner.ts";
import { returnCells } from "./returns.ts";
import { sharingCells } from "./sharing.ts";
import { singleCells } from "./single.ts";

export const CELLS: readonly Cell[] = [
  ...singleCells(),
  ...bondCells(),
  ...sharingCells(),
  ...changeCells(),
  ...failoverCells(),
  ...returnCells(),
  ...innerCells(),
];

export function cellNamed(name: string): Cell | undefined {
  return CELLS.find((cell) => cell.name === name);
}
