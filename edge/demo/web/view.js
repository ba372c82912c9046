/** What stands on the page, and what is said to those who listen to it. */

const SHOWN_LABELS = 5;
const KINDS = { image: "picture", audio: "sound" };
const TASKS = {
  classification: { title: "Classification", label: "Text to classify" },
  "multi-label": { title: "Classification", label: "Text to classify" },
  regression: { title: "Regression", label: "Text to measure" },
  "token-classification": { title: "Tags", label: "Text to tag" },
  "question-answering": { title: "Answers", label: "Question", second: "Context" },
  translation: { title: "Translation", label: "Text to translate", action: "Translate" },
  "language-modeling": { title: "Continuation", label: "How the text begins", action: "Continue" },
};

const element = (id) => document.getElementById(id);
export const fields = Object.fromEntries(
  ["form", "text", "pair", "language", "file", "live", "preview"].map((id) => [id, element(id)]),
);
const cards = [];

/** Shows what is loaded, and lets the user begin. */
export function showModels(models) {
  const { model } = models[0];
  const { title, label, action, second } = TASKS[model.task];
  document.title = element("title").textContent = title;
  const isPair = model.pair && !second;
  element("text-label").textContent = isPair ? "First text" : label;
  const isText = model.reads === "text";
  element("text-field").hidden = !isText;
  element("media-field").hidden = isText;
  if (!isText) {
    const kind = KINDS[model.reads];
    element("file-label").textContent = `${kind[0].toUpperCase()}${kind.slice(1)}`;
    element("about").textContent = `The model runs in this browser; each ${kind} stays here.`;
  }
  element("pair-label").textContent = second ?? "Second text";
  element("pair-field").hidden = !model.pair;
  element("actions").hidden = !model.writes;
  element("run").textContent = action ?? "Run";
  element("run").disabled = false;
  element("language-field").hidden = !(model.writes && model.labels.length);
  if (model.writes) fields.language.replaceChildren(...model.labels.map((name) => new Option(name)));
  for (const { model: one, name, bytes } of models) {
    const card = element("model-card").content.cloneNode(true).firstElementChild;
    card.querySelector("h2").textContent = one.precision;
    card.querySelector(".file").textContent = `${name}, ${(bytes / 1e6).toFixed(2)} MB`;
    element("models").append(card);
    cards.push(card);
  }
  if (!model.writes && model.labels.length) {
    element("about").prepend(`${model.labels.length} labels. `);
  }
  notice("");
  clear();
}

/** Shows that there is nothing to show. */
export function clear() {
  element("tokens").hidden = true;
  notice("");
  for (const card of cards) {
    card.querySelector(".result").replaceChildren(made("p", "empty", "The result appears here."));
    card.querySelector(".speed").textContent = "";
  }
}

/** Empties the cards for new results. */
export function clearResults() {
  for (const card of cards) {
    card.querySelector(".result").replaceChildren();
    card.querySelector(".speed").textContent = "";
  }
}

/** Shows labels with their probabilities, or a number. */
export function showPrediction(place, { labels, value, milliseconds, runs }) {
  const card = cards[place];
  let result;
  if (value === null) {
    result = made("ol", "labels");
    for (const { label, probability, chosen } of shownOf(labels)) {
      const bar = made("span", "bar");
      bar.style.setProperty("--share", probability);
      bar.setAttribute("aria-hidden", "true");
      const row = made("li", chosen ? "chosen" : "");
      row.append(made("span", "label", label), made("span", "probability", percent(probability)), bar);
      result.append(row);
    }
  } else {
    result = made("p", "value", value.toFixed(3));
  }
  card.querySelector(".result").replaceChildren(result);
  card.querySelector(".speed").textContent =
    `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms on one thread` +
    (runs > 1 ? `, median of ${runs} runs` : "");
}

/** Shows a text with its entities, tags or answer, each with its type and its probability. */
export function showSpans(place, characters, { spans, score, milliseconds, runs }) {
  const card = cards[place];
  const paragraph = made("p", "marked");
  const textOf = (start, end) => characters.slice(start, end).join("");
  let shown = 0;
  for (const { label, start, end, score: probability } of spans) {
    const mark = made("mark", "", textOf(start, end));
    mark.append(made("small", "", ` ${label} ${percent(probability)}`));
    paragraph.append(textOf(shown, start), mark);
    shown = end;
  }
  paragraph.append(textOf(shown));
  const none = score === null ? "Nothing is found." : `No answer (${percent(score)}).`;
  const said = spans.length ? [] : [made("p", "empty", none)];
  card.querySelector(".result").replaceChildren(...said, paragraph);
  card.querySelector(".speed").textContent =
    `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms on one thread` +
    (runs > 1 ? ` for ${runs} windows` : "");
}

/** The first labels, and all that are chosen. */
function shownOf(labels) {
  return labels.filter(({ chosen }, place) => chosen || place < SHOWN_LABELS);
}

/** Shows what is written so far. */
export function showText(place, prompt, { text, tokens, readMilliseconds, perSecond }) {
  const card = cards[place];
  const paragraph = made("p", "written");
  paragraph.append(made("span", "prompt", prompt), text);
  card.querySelector(".result").replaceChildren(paragraph);
  card.querySelector(".speed").textContent =
    `${tokens} tokens, ${Math.round(perSecond)} tokens/s, read in ${readMilliseconds.toFixed(1)} ms`;
}

/** Says the results, the best label of each or what it wrote, to those who listen to the page. */
export function speakResults() {
  const results = cards.map((card) => {
    const marks = [...card.querySelectorAll(".result mark")];
    const others = ".result li.chosen, .result p:not(.marked)";
    const chosen = marks.length ? marks : [...card.querySelectorAll(others)];
    const said = chosen.map((one) => one.innerText.replaceAll("\n", " ")).join(", ");
    return `${card.querySelector("h2").textContent}: ${said || "no label"}`;
  });
  element("spoken").textContent = results.join(". ");
}

/** Shows the tokens that the models read; ids past the tokenizer's are languages. */
export function showTokens(tokenizer, { ids, truncated }, languages = []) {
  const items = ids.map((id) => {
    const isLanguage = id >= tokenizer.size;
    const name = isLanguage ? languages[id - tokenizer.size] : tokenizer.model.name(id);
    const item = made("li", "", name);
    item.append(made("small", "", id));
    return item;
  });
  element("token-list").replaceChildren(...items);
  element("token-count").textContent = `(${ids.length})`;
  element("tokens").hidden = false;
  notice(truncated ? `The text is cut to the ${ids.length} tokens that the model reads.` : "");
}

/** Shows the tokens of the first window that the models read, and says if there are more. */
export function showWindows(tokenizer, { windows, truncated }) {
  const ids = windows[0]?.ids ?? [];
  showTokens(tokenizer, { ids, truncated: false });
  const split = `The text is read in ${windows.length} windows of ${ids.length} tokens or fewer.`;
  const cut = "A word, or the question, is too long for the model and cut.";
  notice([windows.length > 1 ? split : "", truncated ? cut : ""].filter((one) => one).join(" "));
}

export function busy(isBusy) {
  element("models").setAttribute("aria-busy", String(isBusy));
}

/** Shows an error in place of results, or none. */
export function showError(error) {
  element("error").hidden = error === null;
  element("error").textContent = error === null ? "" : error.message;
  if (error === null) return;
  notice("");
  clearResults();
}

/** Says something about the input, or nothing. */
export function notice(text) {
  element("notice").textContent = text;
}

function made(tag, name = "", text = "") {
  const one = document.createElement(tag);
  one.className = name;
  one.textContent = text;
  return one;
}

function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}
