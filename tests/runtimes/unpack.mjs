// Unpacks files with the page's module: `node unpack.mjs FOLDER FILE...`, a line of JSON for each.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { unpack } = await import(new URL("archive.js", folder));

for (const path of process.argv.slice(3)) {
  let found;
  try {
    const { flatbuffer, files } = await unpack(new Uint8Array(readFileSync(path)));
    found = { flatbuffer: flatbuffer.length, files: [...files.keys()] };
  } catch (error) {
    // Anything but an Error of one sentence would be a fault of the page's.
    found = { error: error.constructor === Error ? error.message : `${error.stack}` };
  }
  console.log(JSON.stringify(found));
}
