"use strict";
// Hover, touch and arrow keys read values off the plots; a click on a recognised word plays from there.

function show(value) {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  return size && size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function element(parent, name, attributes, text) {
  const made = document.createElementNS(parent.namespaceURI, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low > 0 && value - sorted[low - 1] < sorted[low] - value ? low - 1 : low;
}

function reader(figure) {
  const svg = figure.querySelector("svg"), tip = figure.querySelector(".tip"), cursor = figure.querySelector(".cursor");
  const data = JSON.parse(figure.querySelector("script").textContent);
  const series = data.series.filter(one => one.x.length);
  if (!series.length) return;
  const main = series.reduce((a, b) => (b.x.length > a.x.length ? b : a));
  let at = main.x.length - 1;

  const x = value => data.x[2] + (value - data.x[0]) / (data.x[1] - data.x[0]) * (data.x[3] - data.x[2]);
  const y = value => {
    const [low, high, bottom, top] = data.y, scale = data.log ? Math.log : Number;
    return bottom + (scale(value) - scale(low)) / (scale(high) - scale(low)) * (top - bottom);
  };

  function line(one, index, step) {
    const i = nearest(one.x, step), value = one.y[i];
    if (value === null) return;
    const row = element(tip, "div", {});
    if (one.text) { row.textContent = one.text[i]; return; }
    element(row, "i", {class: "swatch c" + index});
    const range = one.low && one.low[i] !== null && one.low[i] !== one.high[i] ? ` (${show(one.low[i])} to ${show(one.high[i])})` : "";
    const where = one.x[i] === step ? "" : `, ${data.label} ${show(one.x[i])}`;
    row.append(`${one.name} ${show(value)}${data.suffix}${range}${where}`);
    element(cursor, "circle", {cx: x(one.x[i]), cy: y(value), r: 4.5, class: "c" + index});
  }

  function move(index) {
    at = Math.max(0, Math.min(main.x.length - 1, index));
    const step = main.x[at];
    cursor.replaceChildren();
    tip.replaceChildren();
    element(cursor, "path", {d: `M${x(step)} ${data.y[3]}V${data.y[2]}`});
    if (!main.text) element(tip, "div", {}, `${data.label} ${show(step)}`);
    data.series.forEach((one, i) => one.x.length && line(one, i, step));
    tip.hidden = false;
    const box = svg.getBoundingClientRect(), left = x(step) / svg.viewBox.baseVal.width * box.width;
    const side = left > box.width / 2 ? left - tip.offsetWidth - 12 : left + 12;
    tip.style.left = Math.max(0, Math.min(box.width - tip.offsetWidth, side)) + "px";
    tip.style.top = "8px";
  }

  function hide() {
    tip.hidden = true;
    cursor.replaceChildren();
  }

  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const pixel = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    move(nearest(main.x, data.x[0] + (pixel - data.x[2]) / (data.x[3] - data.x[2]) * (data.x[1] - data.x[0])));
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", event => {
    const far = Math.max(1, Math.round(main.x.length / 20));
    const to = {ArrowLeft: at - 1, ArrowRight: at + 1, PageDown: at - far, PageUp: at + far, Home: 0, End: main.x.length - 1}[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
}

document.querySelectorAll(".chart").forEach(reader);

document.addEventListener("click", event => {
  const word = event.target.closest("[data-start]");
  const audio = word && word.closest(".version, .utterance").querySelector("audio");
  if (!audio) return;
  audio.currentTime = Number(word.dataset.start);
  audio.play();
});

document.addEventListener("play", event => {
  document.querySelectorAll("audio").forEach(other => other !== event.target && other.pause());
}, true);

window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
