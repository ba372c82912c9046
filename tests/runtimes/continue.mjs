// Continues prompts with the page's modules and a model that writes given ids:
// `node continue.mjs FOLDER`, a request on standard input.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(name, folder));
const { unpack } = await load("archive.js");
const { generate, readerIds } = await load("generate.js");
const { UnicodeTable } = await load("text.js");
const { Tokenizer } = await load("tokenizer.js");

const table = new UnicodeTable(JSON.parse(readFileSync(new URL("unicode.json", folder))));
const { file, task, prompts, newTokens } = JSON.parse(readFileSync(0));
const tokenizer = new Tokenizer((await unpack(readFileSync(file))).files, table);

/** What the page knows of a model, whose most probable ids are given. */
function modelOf(written) {
  let fed = 0;
  const steps = {
    prefill: () => ({}),
    encode: () => ({}),
    decode: () => {
      const logits = new Float32Array(tokenizer.size);
      for (const id of written[fed++]) logits[id] = 9;
      return { logits: { toTypedArray: () => logits, delete() {} } };
    },
  };
  return {
    task,
    tokenizer,
    writer: tokenizer,
    labels: [],
    maxLength: 999,
    lengths: [newTokens],
    lengthFor: () => 999,
    compiled: { signatures: { decode: { getInputDetails: () => [] } } },
    run: async (kind) => steps[kind](),
  };
}

const results = [];
for (const [text, written] of prompts) {
  const model = modelOf(written);
  const read = readerIds(model, text, null);
  if (task !== "translation") model.lengths = [read.ids.length + newTokens - 1];
  const texts = [];
  for await (const made of generate(model, read)) texts.push(made.text);
  results.push({ ids: read.ids, texts });
}
console.log(JSON.stringify(results));
