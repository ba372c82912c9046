// Encodes texts with the page's modules: `node tokenize.mjs FOLDER`, a request on standard input.
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { unpack } = await import(new URL("archive.js", folder));
const { BertFolding } = await import(new URL("bert.js", folder));
const { Folding, UnicodeTable } = await import(new URL("text.js", folder));
const { Tokenizer } = await import(new URL("tokenizer.js", folder));

const table = new UnicodeTable(JSON.parse(readFileSync(new URL("unicode.json", folder))));
const { files, texts, pairs, maxLength, codes, foldings } = JSON.parse(readFileSync(0));

/** The hash of what a function makes of every character. */
function everyCharacter(change) {
  const changed = codes.map((code) => change(String.fromCodePoint(code)));
  return createHash("sha256").update(changed.join("\n")).digest("hex");
}

const result = { tokenizers: [], characters: [] };
for (const path of files) {
  const tokenizer = new Tokenizer((await unpack(readFileSync(path))).files, table);
  const pieces = texts.map((text) => tokenizer.pieces(text));
  result.tokenizers.push({
    pieces,
    single: texts.map((text) => tokenizer.encode(text, null, maxLength)),
    paired: texts.map((text, i) => tokenizer.encode(text, pairs[i], maxLength)),
    sources: texts.map((text) => tokenizer.encodeSource(text, maxLength)),
    decoded: pieces.map((ids) => tokenizer.decode(ids)),
  });
}
for (const settings of foldings) {
  const folding = new (settings.bert ? BertFolding : Folding)(table, settings);
  result.characters.push(everyCharacter((character) => folding.words(character).join(" ")));
}
for (const form of ["NFKC", "NFC"]) {
  result.characters.push(everyCharacter((character) => table.normalize(character, form)));
}
console.log(JSON.stringify(result));
