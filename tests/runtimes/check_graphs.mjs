// Checks graphs with the page's module: `node check_graphs.mjs FOLDER FILE...`, a line of JSON each.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { checkGraphs } = await import(new URL("graphs.js", folder));

for (const path of process.argv.slice(3)) {
  let found = null;
  try {
    checkGraphs(new Uint8Array(readFileSync(path)));
  } catch (error) {
    // Anything but an Error of one sentence would be a fault of the page's.
    found = error.constructor === Error ? error.message : `${error.stack}`;
  }
  console.log(JSON.stringify(found));
}
