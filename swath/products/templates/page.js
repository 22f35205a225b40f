"use strict";
// What a page does beyond being read: tables are sorted and filtered, figures enlarged and saved. Without it all is there.

function made(tag, given = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), given);
  element.append(...inside);
  return element;
}

function button(text, does, given = {}) {
  const element = made("button", { type: "button", onclick: does, ...given }, text);
  if (given.title) element.setAttribute("aria-label", given.title);
  return element;
}

// -- tables -------------------------------------------------------------------------------------------------------

const FILTERED = 25; // rows from which a table can be filtered
const NUMBER = /^[<>+]?\s*-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?=$|[\s%–(])/i;
const SECONDS = { h: 3600, min: 60, s: 1 };

// What a cell says first: its value, and not the interval below it.
function said(cell) {
  const value = cell.querySelector("b") ?? [...cell.childNodes].find((one) => one.textContent.trim()) ?? cell;
  return value.textContent.replace(/\u00a0/g, " ").replace(/−/g, "-").trim();
}

function asNumber(text) {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?) (h|min|s)\b/g)];
  if (parts.length) return parts.reduce((sum, [, n, unit]) => sum + n * SECONDS[unit], 0);
  const found = text.match(NUMBER);
  if (!found) return NaN;
  const value = Number(found[0].replace(/[<>+,\s]/g, ""));
  return text[0] === "<" ? value - Math.abs(value) / 2 : value;
}

// An order of rows by a column; cells that say nothing come last both ways.
function ordered(rows, column, descending) {
  const texts = new Map(rows.map((row) => [row, said(row.cells[column])]));
  const told = (row) => !["", "–"].includes(texts.get(row));
  const numbers = new Map(rows.map((row) => [row, asNumber(texts.get(row))]));
  const numeric = rows.filter(told).every((row) => !Number.isNaN(numbers.get(row)));
  const compare = numeric
    ? (a, b) => numbers.get(a) - numbers.get(b)
    : (a, b) => texts.get(a).localeCompare(texts.get(b), "en", { numeric: true });
  const sorted = rows.filter(told).sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
  return [...sorted, ...rows.filter((row) => !told(row))];
}

const narrow = matchMedia("(max-width:640px)");

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const asWritten = [...body.rows];
  const choice = made("select");
  const buttons = [];
  const sort = (column, direction) => {
    heads.forEach((head, i) => (i === column && direction ? head.setAttribute("aria-sort", direction) : head.removeAttribute("aria-sort")));
    body.append(...(direction ? ordered(asWritten, column, direction === "descending") : asWritten));
    choice.value = direction ? `${column} ${direction}` : "";
  };
  choice.append(made("option", { value: "" }, "as written"));
  heads.forEach((head, column) => {
    const called = [...head.childNodes].map((one) => one.textContent.trim()).join(" ").trim();
    if (!called || head.classList.contains("stripcell")) return;
    const first = head.classList.contains("num") ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const next = { [first]: second, [second]: null };
    const own = button("", () => sort(column, head.hasAttribute("aria-sort") ? next[head.getAttribute("aria-sort")] : first), { className: "sort" });
    own.append(...head.childNodes);
    head.append(own);
    buttons.push(own);
    for (const direction of [first, second]) choice.append(made("option", { value: `${column} ${direction}` }, `${called}, ${direction}`));
  });
  choice.onchange = () => sort(...(choice.value ? [Number(choice.value.split(" ")[0]), choice.value.split(" ")[1]] : [0, null]));
  const controls = made("div", { className: "controls" }, made("label", { className: "sortby" }, "Sort by ", choice));
  if (asWritten.length > FILTERED) {
    controls.append(filtered(asWritten));
    table.closest(".scroll").classList.add("long");
  }
  table.closest(".scroll").before(controls);
  // on a phone a stacked table has no visible head, and is sorted by the list instead
  const fit = () => buttons.forEach((own) => (own.tabIndex = narrow.matches && table.classList.contains("stack") ? -1 : 0));
  narrow.addEventListener("change", fit);
  fit();
}

function filtered(rows) {
  const count = made("span", { className: "quiet", role: "status" });
  const field = made("input", { type: "search" });
  const texts = rows.map((row) => row.textContent.toLowerCase());
  field.oninput = () => {
    const wanted = field.value.trim().toLowerCase();
    rows.forEach((row, i) => (row.hidden = !texts[i].includes(wanted)));
    count.textContent = wanted ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
  };
  return made("span", {}, made("label", {}, "Rows with ", field), " ", count);
}

for (const table of document.querySelectorAll(".scroll > table:not(.confusion, .beside)"))
  if (table.tHead && table.tBodies[0]?.rows.length > 1) sortable(table);

// -- figures ------------------------------------------------------------------------------------------------------

const LARGEST = 8; // times the width at which a figure fits

const view = made("div", { className: "view", tabIndex: 0, role: "region" });
view.setAttribute("aria-label", "Figure; the arrow keys move it");
const name = made("h2");
const viewer = made(
  "dialog",
  { className: "viewer" },
  made(
    "div",
    { className: "tools" },
    name,
    button("−", () => zoom(1 / 1.5), { title: "Smaller" }),
    button("+", () => zoom(1.5), { title: "Larger" }),
    button("Fit", () => zoom(0)),
    button("Close", () => viewer.close()),
  ),
  view,
);
name.id = "viewed";
viewer.setAttribute("aria-labelledby", name.id);
document.body.append(viewer);
let scale = 1;

function zoom(by) {
  const [x, y] = [view.scrollLeft + view.clientWidth / 2, view.scrollTop + view.clientHeight / 2];
  const before = scale;
  scale = by ? Math.min(LARGEST, Math.max(1, scale * by)) : 1;
  view.style.setProperty("--zoom", scale);
  view.scrollTo((x * scale) / before - view.clientWidth / 2, (y * scale) / before - view.clientHeight / 2);
}

function enlarge(drawn, called) {
  name.textContent = called;
  view.replaceChildren(...drawn.map((one) => one.cloneNode(true)));
  viewer.showModal();
  zoom(0);
  view.focus();
}

viewer.onkeydown = (event) => {
  if (event.target.tagName === "BUTTON" && !"+-0".includes(event.key)) return;
  const by = { "+": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
  if (by !== undefined) zoom(by);
};
viewer.onclose = () => view.replaceChildren();
view.onwheel = (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.25 : 0.8);
};

// A drawing as a file of its own: with the colours of the light page, which are the first rule of its style.
function saved(drawing) {
  const copy = drawing.cloneNode(true);
  const light = document.styleSheets[0].cssRules[0].style;
  const [, , width, height] = copy.getAttribute("viewBox").split(/[\s,]+/);
  Object.entries({ width, height, "font-family": "DejaVu Sans, Arial, sans-serif" }).forEach(([key, value]) => copy.setAttribute(key, value));
  const text = new XMLSerializer().serializeToString(copy).replace(/var\((--[\w-]+)\)/g, (_, variable) => light.getPropertyValue(variable).trim());
  return new Blob([text], { type: "image/svg+xml" });
}

function save(drawing) {
  const address = URL.createObjectURL(saved(drawing));
  made("a", { href: address, download: `${drawing.dataset.name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

for (const figure of document.querySelectorAll("figure")) {
  const drawing = figure.querySelector("svg.plot");
  const shots = figure.querySelector(".shots");
  if (drawing) {
    const called = drawing.getAttribute("aria-label");
    const tools = figure.querySelector(".tools") ?? figure.appendChild(made("div", { className: "tools" }));
    tools.prepend(button("Enlarge", () => enlarge([drawing], called), { title: `Enlarge: ${called}` }), button("SVG", () => save(drawing), { title: `Save as SVG: ${called}` }));
  } else if (shots?.querySelector("img")) {
    const pictures = [...shots.querySelectorAll("img")];
    const called = figure.querySelector("figcaption")?.textContent.trim() || pictures[0].alt;
    const opener = button("", () => enlarge(pictures, called), { className: "opener", title: `Enlarge: ${called}` });
    shots.replaceWith(opener);
    opener.append(shots);
  }
}

// -- paper --------------------------------------------------------------------------------------------------------

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => folded.forEach((one) => (one.open = false)));
