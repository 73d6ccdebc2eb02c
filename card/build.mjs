/** Builds the card: `node build.mjs FOLDER OUTPUT VERSION`, where FOLDER has this one's files and `node_modules`.
 *
 * packaging/card_page.py runs it. The same sources give the same bytes.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, output, version] = process.argv.slice(2);
const { build, transform } = createRequire(path.join(folder, "package.json"))("esbuild");
const source = (name) => path.join(folder, "src", name);

/** What stands in for parts of commonmark.js, of which the card needs the two parsers and nothing else. */
const replacements = {
  name: "replacements",
  setup({ onResolve, onLoad }) {
    const replace = (filter, name) => onResolve({ filter }, () => ({ path: source(`standins/${name}.ts`) }));
    replace(/^entities$/, "entities");
    replace(/^\.\/node\.js$/, "tree");
    replace(/^\.\/common\.js$/, "common");
    replace(/^\.\/from-code-point\.js$/, "from-code-point");
    onResolve({ filter: /^\.\/render\// }, ({ path: name }) => ({ path: name, namespace: "nothing" }));
    onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "export default undefined" }));
  },
};

/** Properties of commonmark.js and of the card itself, and of nothing that a browser has: they get short names, which
 * saves a tenth of the page.
 */
const INTERNAL = new RegExp(
  `^(?:_\\w+|(?:advance|closeUnm|findNext|handle|incorporate|last(?:Line|Matched)|next(?:Non|Line)|parse|process|remove[BD]|reset|scan|spn)[A-Z]?\\w+|${[
    "acceptsLines|addBracket|addChild|addLine|allClosed|blockStarts|bracketAfter|brackets|breakOutOfLists|bulletChar",
    "canContain|can_close|can_open|currentLine|delimiters|finalize|indented|inlineParser|lineNumber|markerOffset",
    "appendChild|blank|column|delimiter|destination|entering|insertAfter|numdelims|offset|oldtip|origdelims|padding",
    "partiallyConsumedTab|peek|previous|previousDelimiter|refmap|sourcepos|subject|unlink",
    "alternatives|citations|codeRuns|documents|estimated|evidence|failed|firstToken|fromText|metOnly|queries|reasoning",
    "covering|marked|pieces|places|register|sandbox|spans|steps|tokens|toolCalls|warnings|withoutCost",
  ].join("|")})$`,
);

const { outputFiles } = await build({
  entryPoints: [source("main.ts")],
  bundle: true,
  write: false,
  minify: true,
  drop: ["console"],
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  mainFields: ["module", "main"],
  define: { VERSION: JSON.stringify(version) },
  tsconfigRaw: { compilerOptions: { target: "es2022", useDefineForClassFields: true } },
  mangleProps: INTERNAL,
  plugins: [replacements],
});
/** The parser of HTML reads `<!--` within a script as the beginning of a comment. */
const script = outputFiles[0].text.trim().replaceAll("<!--", "<\\!--");
const css = await transform(readFileSync(source("card.css"), "utf8"), { loader: "css", minify: true, charset: "utf8" });
const style = css.code.trim().replace(/--[\w-]+:[^;}"]+/g, (property) => property.replace(/([:,]) +/g, "$1"));
if (/<\/?script[\s/>]/i.test(script) || /<\/style/i.test(style)) throw new Error("the page would end too early");

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "font-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join(";");
const parts = {
  ORIGIN: " Built from card/ by `make card`; do not edit. With commonmark.js, see card.licences.txt. ",
  POLICY: policy,
  STYLE: style,
  SCRIPT: script,
};
const page = readFileSync(source("card.html"), "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
writeFileSync(output, page);
