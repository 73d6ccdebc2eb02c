/** Finds the tables that GitHub's Markdown has and CommonMark has not. */

/** The lines of a table: its head, the line below it, its rows. */
export interface Table {
  readonly lines: readonly string[];
}

const MANY_COLUMNS = 30;
const MANY_ROWS = 400;

/** The parts of a text, Markdown or a table, in order. `plain` takes signs out of a line. */
export function* split(text: string, plain: (line: string) => string): Generator<string | Table> {
  const lines = text.split("\n");
  let from = 0;
  let fence = "";
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    const edge = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line);
    if (edge && fence) {
      if (edge[1]!.startsWith(fence) && edge[2]!.trim() === "") fence = "";
    } else if (edge && !(edge[1]![0] === "`" && edge[2]!.includes("`"))) fence = edge[1]!;
    if (fence || !isHead(line, plain(lines[at + 1] ?? ""))) continue;
    let end = at + 2;
    while (end < lines.length && lines[end]!.includes("|") && end - at < MANY_ROWS) end += 1;
    if (at > from) yield lines.slice(from, at).join("\n");
    yield { lines: [line, plain(lines[at + 1]!), ...lines.slice(at + 2, end)] };
    from = end;
    at = end - 1;
  }
  if (from < lines.length) yield lines.slice(from).join("\n");
}

function isHead(line: string, below: string): boolean {
  if (!line.includes("|") || !below.includes("-") || below.length > 1000 || line.length > 5000) return false;
  if (!/^[\s|:-]+$/.test(below) || /^ {4}|^\t/.test(line)) return false;
  const rule = cells(below);
  return rule.length <= MANY_COLUMNS && rule.every((cell) => /^:?-+:?$/.test(cell)) && cells(line).length === rule.length;
}

/** The cells of each row, as many as the head has, and to which side each column keeps. */
export function rowsOf({ lines }: Table): { head: string[]; rows: string[][]; align: (string | undefined)[] } {
  const [head = "", rule = "", ...rows] = lines;
  const names = cells(head);
  const align = cells(rule).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "end") : undefined,
  );
  const filled = rows.map((row) => {
    const found = cells(row);
    return names.map((_, column) => found[column] ?? "");
  });
  return { head: names, rows: filled, align };
}

/** The cells of a line: a bar behind a backslash, or in code, divides nothing. */
function cells(line: string): string[] {
  const found: string[] = [];
  let cell = "";
  let code = false;
  const inner = line.trim().replace(/^\|/, "");
  for (let at = 0; at < inner.length; at += 1) {
    const unit = inner[at]!;
    if (unit === "\\" && inner[at + 1] === "|") {
      cell += "|";
      at += 1;
    } else if (unit === "|" && !code) {
      found.push(cell.trim());
      cell = "";
    } else {
      if (unit === "`" && (code || inner.includes("`", at + 1))) code = !code;
      cell += unit;
    }
  }
  if (cell.trim() !== "") found.push(cell.trim());
  return found;
}
