/** A model file in the browser: its description, its tokenizers, and its signatures in LiteRT.js. */

import { Tensor, loadAndCompile } from "@litertjs/core";
import { textOf, unpack } from "./archive.js";
import { checkGraphs } from "./graphs.js";
import { Tokenizer } from "./tokenizer.js";

export class Model {
  /**
   * @param {{flatbuffer: Uint8Array, description: object, files: Map}} parts of the file
   * @param {UnicodeTable} table
   * @param {object} compiled by LiteRT.js
   */
  constructor({ description, files }, table, compiled) {
    this.description = description;
    this.table = table;
    this.task = description.task.name;
    this.outputKind = description.output_kind;
    this.constrained = description.task.constrained ?? true;
    this.stride = description.task.stride ?? 0;
    this.nullThreshold = description.metrics?.null_threshold ?? null;
    this.pair = description.task.pair;
    this.precision = description.precision;
    this.maxLength = description.max_length;
    this.lengths = description.lengths ?? [description.max_length];
    this.labels = textOf(files, "labels.txt").split("\n").slice(0, -1);
    this.choosesSets = description.output_kind === "label sets";
    this.thresholds = description.task.thresholds;
    this.temperature = description.task.temperature ?? 1;
    this.outOfScope = description.task.out_of_scope;
    this.reads = description.modality ?? "text";
    this.settings = description.model?.modality_settings ?? {};
    if (this.reads !== "text") return Object.assign(this, { compiled });
    this.tokenizer = new Tokenizer(files, table);
    this.writer = files.has("target_tokenizer.json")
      ? new Tokenizer(files, table, "target_")
      : this.tokenizer;
    this.compiled = compiled;
  }

  /** Loads a model from an address. */
  static async load(address, table) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address} could not be read (${response.status}).`);
    const parts = await unpack(new Uint8Array(await response.arrayBuffer()));
    checkGraphs(parts.flatbuffer);
    const compiled = await loadAndCompile(parts.flatbuffer, { accelerator: "wasm" });
    return new Model(parts, table, compiled);
  }

  /** Whether the model writes text, rather than labels or a number. */
  get writes() {
    return "decode" in this.compiled.signatures;
  }

  /** Whether the model reads a text in windows, for it has outputs at each position. */
  get readsWindows() {
    return ["tags", "answers"].includes(this.outputKind);
  }

  /** Whether the model reads which of two texts a token is from. */
  get hasSegments() {
    const inputs = this.compiled.signatures.predict.getInputDetails();
    return inputs.some(({ name }) => name === "segment_ids");
  }

  /** Returns the shortest length of the file's inputs that holds so many tokens. */
  lengthFor(tokens) {
    return this.lengths.find((length) => length >= tokens);
  }

  /** Returns the shape of a signature's input. */
  inputShape(signature, name) {
    const inputs = this.compiled.signatures[signature].getInputDetails();
    return Array.from(inputs.find((input) => input.name === name).shape);
  }

  /**
   * Runs a signature, `kind` at its longest length or `kind_N`.
   * @param {string} kind
   * @param {number} length
   * @param {Object<string, Tensor>} inputs
   * @return {Promise<Object<string, Tensor>>} that the caller is to delete
   */
  run(kind, length, inputs) {
    const isLongest = length === this.lengths[this.lengths.length - 1];
    return this.compiled.run(isLongest ? kind : `${kind}_${length}`, inputs);
  }
}

/** Returns ids (1, length) with padding, 0, behind them. */
export function idTensor(ids, length) {
  const padded = new Int32Array(length);
  padded.set(ids);
  return new Tensor(padded, [1, length]);
}

/** Frees tensors, which LiteRT.js leaves to its user. */
export function free(tensors) {
  for (const tensor of Object.values(tensors)) tensor.delete();
}
