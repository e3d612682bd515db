"use strict";
(() => {
  const SIDE_BY_SIDE = 2; // models that are asked unless others are chosen
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const root = document.documentElement, form = at("form"), tip = at("tip");

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const drawn = (name, attributes, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // Theme
  const night = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (night.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { at("theme").textContent = isDark() ? "Light theme" : "Dark theme"; };
  at("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  night.addEventListener("change", nameTheme);
  nameTheme();

  // The server
  const ask = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    if (at("key").value) headers.Authorization = `Bearer ${at("key").value}`;
    const response = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
    const answer = await response.json();
    if (response.status === 401) at("locked").hidden = false;
    if (!response.ok) throw new Error(answer.error.message);
    return answer;
  };
  const known = () => [...at("models").querySelectorAll("input")];
  const listModels = async () => {
    const { data } = await ask("v1/models");
    data.forEach(({ id }, place) => {
      const box = element("input", { type: "checkbox", value: id, checked: place < SIDE_BY_SIDE });
      at("models").append(element("label", {}, box, id));
    });
    at("models").hidden = data.length < 2;
  };
  // Once, also when a text is sent before they are here; anew after a fault, such as a key that was missing.
  let models = null;
  const findModels = () => (models ??= listModels().catch((error) => {
    models = null;
    throw error;
  }));

  // A text, word by word
  const late = (layer, layers) => (layers > 1 ? layer / (layers - 1) : 1);
  const said = (details, place) => {
    const { exit_layers: left, settled_layers: settled, vertices, copied, canvas } = details;
    const lines = [settled[place] < left[place]
      ? `unchanged since layer ${settled[place]}, left at layer ${left[place]}`
      : `left at layer ${left[place]}`];
    if (copied[place]) lines.push("copied from your text");
    lines.push(`position ${vertices[place]} of 0 to ${canvas - 1} on the canvas`);
    return lines.join("\n");
  };
  const words = (details) => {
    const line = element("p", { className: "written" });
    details.tokens.forEach((piece, place) => {
      const word = element("span", { className: "t", textContent: piece || "end", tabIndex: place ? -1 : 0 });
      word.classList.toggle("end", !piece);
      word.classList.toggle("copied", details.copied[place]);
      word.style.setProperty("--late", late(details.settled_layers[place], details.layers));
      word.dataset.said = said(details, place);
      word.setAttribute("aria-describedby", "tip");
      line.append(word);
    });
    return line;
  };
  const path = ({ vertices, canvas }) => {
    const label = `The path: ${vertices.length} of ${canvas} positions of the canvas`;
    const line = drawn("line", { x1: 0, x2: canvas, y1: 5, y2: 5 });
    const stops = vertices.map((vertex) => drawn("rect", { x: vertex, y: 0, width: 0.8, height: 10 }));
    return drawn("svg", { class: "path", viewBox: `0 0 ${canvas} 10`, preserveAspectRatio: "none", role: "img", "aria-label": label }, line, ...stops);
  };
  const skips = ({ vertices }) => vertices.some((vertex, place) => place && vertex - vertices[place - 1] > 1);
  const card = (model, { choices: [{ text, details }], usage }, waited) => {
    const cut = usage.cut_tokens ? `; ${usage.cut_tokens} tokens of your text had no room` : "";
    const times = `${details.ms.toFixed(1)} ms in the model, ${waited.toFixed(0)} ms until here; ${usage.completion_tokens} tokens${cut}`;
    const made = element("article", {}, element("h2", { textContent: model }), element("p", { className: "times", textContent: times }));
    made.append(details.tokens ? words(details) : element("p", { className: "written", textContent: text || "(an empty text)" }));
    if (details.tokens && skips(details)) made.append(path(details));
    return made;
  };
  const explain = (all) => {
    const traced = all.filter((details) => details.tokens);
    at("key-to-colours").hidden = !traced.length;
    const layers = Math.max(0, ...traced.map((details) => details.layers));
    const steps = [...Array(layers).keys()].map((layer) => {
      const step = element("span", { textContent: layer });
      step.style.setProperty("--late", late(layer, layers));
      return step;
    });
    at("scale").replaceChildren("Layer ", ...steps);
    const soft = traced.some((details) => details.settled_layers.some((layer, place) => layer < details.exit_layers[place]));
    const parts = [soft ? "A word has the colour of the layer since which it no longer changed." : "A word has the colour of the layer where it left."];
    if (traced.some((details) => details.copied.some(Boolean))) parts.push("Underlined with dots: copied from your text.");
    if (traced.some(skips)) parts.push("The line below a text is the canvas, with the path that was taken.");
    at("meaning").textContent = parts.join(" ");
  };
  const write = async () => {
    hide();
    at("status").textContent = "";
    at("write").disabled = true;
    try {
      await findModels();
      const chosen = known().filter((box) => box.checked).map((box) => box.value);
      if (!chosen.length) throw new Error("Choose a model.");
      const answered = await Promise.all(chosen.map(async (model) => {
        const start = performance.now();
        const answer = await ask("v1/completions", { model, prompt: at("text").value, details: true });
        return { answer, card: card(model, answer, performance.now() - start) };
      }));
      at("answers").replaceChildren(...answered.map((one) => one.card));
      explain(answered.map((one) => one.answer.choices[0].details));
    } catch (error) {
      at("status").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    } finally {
      at("write").disabled = false;
    }
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); write(); });
  at("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  findModels().catch((error) => { at("status").textContent = error.message; });

  // What a word says of itself
  const hide = () => {
    tip.hidden = true;
    for (const stop of document.querySelectorAll(".path .at")) stop.classList.remove("at");
  };
  const show = (word) => {
    hide();
    const place = [...word.parentElement.children].indexOf(word);
    word.closest("article").querySelectorAll(".path rect")[place]?.classList.add("at");
    tip.textContent = word.dataset.said;
    tip.hidden = false;
    const box = word.getClientRects()[0], own = tip.getBoundingClientRect();
    const left = Math.max(4, Math.min(box.left + box.width / 2 - own.width / 2, root.clientWidth - own.width - 4));
    const above = box.top - own.height - 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 4 ? box.bottom + 6 : above}px`;
  };
  const wordOf = (event) => event.target.closest?.(".t");
  const enter = (event) => { const word = wordOf(event); if (word) show(word); };
  document.addEventListener("mouseover", enter);
  document.addEventListener("focusin", enter);
  document.addEventListener("mouseout", (event) => { if (wordOf(event)) hide(); });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("click", (event) => { const word = wordOf(event); if (word) { word.focus({ preventScroll: true }); show(word); } });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const word = wordOf(event), step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    const next = word && step && word[step];
    if (!next) return;
    event.preventDefault();
    word.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
})();
