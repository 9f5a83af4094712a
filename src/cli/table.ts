/** Text in columns, as wide as they must be; numbers to the right. */

/** @param rows - the first one is the head */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const right = widths.map((_, column) => {
    const cells = rows.slice(1).map((row) => row[column] ?? "");
    // The first column names its row, even where names are numbers.
    return column > 0 && cells.every(isFigure) && cells.some((cell) => cell !== "-");
  });
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
function isFigure(cell: string): boolean {
  return /^(-|[\d.]+( \S+)?)$/.test(cell) && !/^\d+\.\d+\.\d+/.test(cell);
}
