// Reads texts in windows with the page's modules: `node windows.mjs FOLDER`, a request on stdin.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(name, folder));
const { bestAnswer } = await load("answers.js");
const { unpack } = await load("archive.js");
const { logSum } = await load("logits.js");
const { predictSpans, readWindows } = await load("predict.js");
const { tagSpans } = await load("tags.js");
const { UnicodeTable } = await load("text.js");
const { Tokenizer } = await load("tokenizer.js");
const { questionWindows, tagWindows } = await load("windows.js");
const { wordsOf } = await load("words.js");

const table = new UnicodeTable(JSON.parse(readFileSync(new URL("unicode.json", folder))));
const { files, texts, questions, rules, labels, threshold, logits } = JSON.parse(readFileSync(0));

/** Outputs that tell positions and ids apart, the same in Python. */
function outputsOf(windows, units) {
  const of = (id, place, unit) => ((id * 7919 + place * 104729 + unit * 1299709) % 99991) / 4096;
  return windows.map(({ ids }) =>
    Float32Array.from({ length: ids.length * units }, (_, i) =>
      of(ids[Math.floor(i / units)], Math.floor(i / units), i % units),
    ),
  );
}

const places = texts.map((text) => wordsOf(text, table).places);
const logSums = logits.map((row) => logSum(Float32Array.from(row)));
const result = { places, logSums, tokenizers: [] };
for (const path of files) {
  const tokenizer = new Tokenizer((await unpack(readFileSync(path))).files, table);
  const found = [];
  for (const [maxLength, stride] of rules) {
    for (const [row, text] of texts.entries()) {
      const { places, words } = wordsOf(text, table);
      const tagged = tagWindows(tokenizer, words, maxLength, stride);
      const spans = labels.flatMap((names) =>
        [true, false].map((constrained) => {
          const outputs = outputsOf(tagged.windows, names.length);
          return tagSpans({ labels: names, constrained }, places, tagged.windows, outputs);
        }),
      );
      const asked = questionWindows(tokenizer, questions[row], words, maxLength, stride);
      const outputs = outputsOf(asked.windows, 2);
      const answers = [null, threshold].map((one) => bestAnswer(places, asked.windows, outputs, one));
      found.push({
        tagged: tagged.windows, tagTruncated: tagged.truncated, spans,
        asked: asked.windows, askTruncated: asked.truncated, answers,
      });
    }
  }
  result.tokenizers.push(found);
}
// The page's own calls, with a model that gives the same outputs.
for (const [number, path] of files.slice(0, 1).entries()) {
  const [[maxLength, stride]] = rules;
  const { files: parts } = await unpack(readFileSync(path));
  const model = {
    tokenizer: new Tokenizer(parts, table), table, maxLength, stride, labels: labels[0],
    constrained: true, outputKind: "tags", nullThreshold: threshold, hasSegments: true, lengthFor: () => maxLength,
    run: async (kind, length, { ids, segment_ids: segments }) => {
      if (segments.data.length !== length) throw new Error("no segments");
      const units = model.outputKind === "tags" ? model.labels.length : 2;
      const [output] = outputsOf([{ ids: Array.from(ids.data) }], units);
      return { output: { toTypedArray: () => output, delete() {} } };
    },
  };
  const tagged = await predictSpans(model, readWindows(model, texts.at(-1), null));
  model.outputKind = "answers";
  const read = readWindows(model, questions.at(-1), texts.at(-1));
  const answered = await predictSpans(model, read);
  const none = await predictSpans(model, readWindows(model, "a", " "));
  result.page = { number, tagged, answered, none };
}
console.log(JSON.stringify(result));
