/** Text in columns, as wide as they must be; numbers to the right. */

/** @param rows - the first one is the head */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const right = widths.map((_, column) => rows.slice(1).every((row) => isFigure(row[column])));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return right[column] ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

/** A number, with a unit or not, or its absence. */
function isFigure(cell = ""): boolean {
  return /^(-|[\d.]+( \S+)?)$/.test(cell) && !/^\d+\.\d+\.\d+/.test(cell);
}
