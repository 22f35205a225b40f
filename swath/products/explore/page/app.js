// The page: what is asked of the server, and what is shown. Names come from strangers, so text is only ever textContent.

import { PointMap } from "./map.js"

const $ = (id) => document.getElementById(id)
const NONE = 255, FAINT = 0x66
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
const page = { classes: [], labels: new Uint8Array(), similar: null, predicted: null, row: -1, queue: [] }

// Talking to the server

async function ask(path, options) {
  const answer = await fetch(path, options).catch(() => null)
  if (!answer) throw new Error("swath explore does not answer: it was stopped")
  if (answer.ok) return answer
  const { error, remedy } = await answer.json()
  throw new Error(remedy ? `${error}: ${remedy}` : error)
}

const json = async (path) => (await ask(path)).json()
const bytes = async (path) => (await ask(path)).arrayBuffer()
const tell = async (path, said) =>
  (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) })).json()

function say(text, wrong = false) {
  $("status").textContent = text
  $("status").classList.toggle("wrong", wrong)
}

function note(sentences) {
  sentences.forEach((one) => $("notes").append(make("li", { textContent: one })))
  $("notes-box").hidden = !$("notes").children.length
}

// whatever goes wrong is said, and changes nothing
const trying = (work) => async (...given) => {
  try {
    return await work(...given)
  } catch (error) {
    say(error.message, true)
  }
}

const map = new PointMap($("map"), { onPick: trying(choose), onCorner: corner })
export { map, page }

// What is known

async function load() {
  const [state, points, labels] = await Promise.all([json("state"), bytes("points"), bytes("labels")])
  page.onGround = state.layout === "ground"
  map.pictured = state.pictures
  page.labels = new Uint8Array(labels)
  map.show(new Float32Array(points), page.onGround)
  $("name").textContent = `${state.name} · ${state.rows.toLocaleString("en")} embeddings · ${state.encoder}, ${state.dims} dimensions`
  page.mostBytes = state.most_bytes
  note(state.notes)
  know(state)
  say("Ready")
  requestAnimationFrame(() => performance.mark("swath-painted"))
  if (page.onGround) {
    map.setLand(await json("land.json"))
    map.boxes = new Float32Array(await bytes("boxes"))
    map.draw()
  }
  if (fittable()) await refit()
}

function know(state) {
  page.classes = state.classes
  $("classes").replaceChildren(...state.classes.map((one, i) => {
    const button = make("button", { title: i < 9 ? `${i + 1}` : "" })
    button.append(swatch(one.colour), make("span", { className: "name", textContent: one.name }), make("span", { className: "quiet", textContent: one.count }))
    button.onclick = trying(() => give(one.name))
    const item = make("li")
    item.append(button)
    return item
  }))
  $("undo").disabled = !state.acts
  paint()
}

const fittable = () => page.classes.filter((one) => one.count).length > 1

// Colours

const packed = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0
const parsed = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))

function ramp(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1), i = Math.min(Math.floor(at), RAMP.length - 2)
  return RAMP[i].map((from, k) => Math.round(from + (at - i) * (RAMP[i + 1][k] - from)))
}

function paint() {
  const mode = $("mode").value, plain = packed(parsed(getComputedStyle($("map")).getPropertyValue("--point").trim()), 200)
  const colours = page.classes.map((one) => parsed(one.colour)), own = page.labels
  const { similar, predicted } = page
  const ramps = Array.from({ length: 256 }, (_, i) => packed(ramp(i / 255)))
  let low = 0, high = 1
  if (mode === "similar" && similar) [low, high] = range(similar)
  for (let row = 0; row < map.colours.length; row++) {
    const label = own[row]
    map.on[row] = label !== NONE ? 1 : 0
    let colour = plain
    if (label !== NONE && mode !== "similar" && mode !== "entropy") colour = packed(colours[label])
    else if (mode === "similar" && similar) colour = ramps[Math.round(255 * Math.min(Math.max((similar[row] - low) / (high - low), 0), 1))]
    else if (mode === "entropy" && predicted) colour = ramps[predicted.entropy[row]]
    else if (mode === "predicted" && predicted && predicted.classes[row] < colours.length)
      colour = packed(colours[predicted.classes[row]], FAINT + Math.round((1 - predicted.entropy[row] / 255) * (255 - FAINT)))
    map.colours[row] = colour
  }
  legend(mode, low, high)
  map.draw()
}

// from the 5th percentile to the largest of another location
function range(values) {
  const sorted = values.filter((_, row) => row !== page.row).sort()
  const low = sorted[Math.floor(0.05 * sorted.length)] ?? 0, high = sorted.at(-1) ?? 1
  return high > low ? [low, high] : [high - 1, high]
}

function legend(mode, low, high) {
  const bar = () => make("span", { className: "ramp" })
  const texts = {
    similar: page.similar ? [`cosine ${low.toFixed(2)}`, bar(), high.toFixed(2)] : ["choose a location"],
    entropy: page.predicted ? ["sure", bar(), "uncertain"] : ["label two classes"],
    predicted: page.predicted ? ["faint: uncertain; large: labelled"] : ["label two classes"],
    labels: [],
  }
  $("legend").replaceChildren(...texts[mode])
}

// Locations

async function choose(row) {
  page.row = map.chosen = row
  map.goTo(row)
  const [similar, location, near] = await Promise.all([bytes(`similar?row=${row}`), json(`location?row=${row}`), json(`near?row=${row}`)])
  if (page.row !== row) return
  page.similar = new Float32Array(similar)
  const where = location.x === null ? "" : page.onGround ? ` · ${location.x.toFixed(4)}°, ${location.y.toFixed(4)}°` : ""
  $("location").textContent = `${location.uid}${location.date ? ` · ${location.date}` : ""}${where}${verdict(row)}`
  $("chips").replaceChildren(...location.chips.map((one) => {
    const card = picture(`picture?chip=${one.chip}`, `${one.date} ${one.sensor}`, one.row === null ? null : one.row)
    card.classList.toggle("on", one.row === row)
    return card
  }))
  $("near").replaceChildren(...near.map((one) => picture(`picture?row=${one.row}`, `${one.score.toFixed(4)} ${one.uid} ${one.date}${one.km === null ? "" : ` · ${one.km.toFixed(1)} km`}`, one.row)))
  page.near = near
  map.marked = near.map((one) => one.row)
  paint()
  say(`${location.uid} is chosen`)
}

function verdict(row) {
  const label = page.labels[row], said = page.predicted
  const labelled = label === NONE ? "" : ` · label: ${page.classes[label].name}`
  return said && page.classes[said.classes[row]]
    ? `${labelled} · prediction: ${page.classes[said.classes[row]].name} (${Math.round(said.probability[row] / 2.55)} %)`
    : labelled
}

function picture(source, text, row) {
  const button = make("button", { disabled: row === null })
  if (map.pictured) {
    const image = make("img", { src: source, alt: "", loading: "lazy" })
    image.onerror = () => image.remove()
    button.append(image)
  }
  button.append(text)
  button.onclick = trying(() => choose(row))
  return button
}

// Labels

async function give(name) {
  const said = { class: name }
  if (map.drawing) said.polygon = map.corners
  else if (page.row >= 0) said.rows = [page.row]
  else throw new Error("choose a location first, or draw a polygon")
  const before = page.labels
  await relabelled(await tell("label", said))
  const changed = page.labels.reduce((sum, label, row) => sum + (label !== before[row]), 0)
  if (map.drawing) draw(false)
  say(`${name === null ? "no class" : name}: ${changed} changed, saved`)
}

async function relabelled(state) {
  page.labels = new Uint8Array(await bytes("labels"))
  know(state)
  if (page.row >= 0) $("location").textContent = $("location").textContent.replace(/ · (label|prediction): .*/, "") + verdict(page.row)
  if (fittable()) await refit()
  else page.predicted = null
}

async function refit() {
  const start = performance.now()
  const said = new Uint8Array(await bytes("predictions")), n = page.labels.length
  page.predicted = { classes: said.subarray(0, n), entropy: said.subarray(n, 2 * n), probability: said.subarray(2 * n) }
  $("fit").textContent = `${n.toLocaleString("en")} predictions in ${((performance.now() - start) / 1000).toFixed(2)} s`
  page.queue = []
  paint()
  await suggest()
}

async function suggest() {
  page.queue = await json("suggestions")
  $("suggested").replaceChildren(...page.queue.map((one) => picture(`picture?row=${one.row}`, `${one.uid} ${one.date}`, one.row)))
}

async function next() {
  if (!page.queue.length) await suggest()
  const one = page.queue.shift()
  if (!one) throw new Error("everything is labelled")
  await choose(one.row)
}

async function open(file, column) {
  if (!file) throw new Error("choose a file first")
  if (file.size > page.mostBytes)
    throw new Error(`the file has ${Math.round(file.size / 1e6)} MB, and the page takes ${Math.round(page.mostBytes / 1e6)}: swath explore INDEX --open FILE`)
  const asked = new URLSearchParams({ name: file.name, column })
  const how = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file }
  const state = await (await ask(`open?${asked}`, how)).json()
  await relabelled(state)
  note(state.said)
  say(state.said.at(-1))
}

function corner(x, y) {
  map.corners.push([x, y])
  map.draw()
  say(`${map.corners.length} corners; then choose a class`)
}

function draw(on) {
  map.drawing = on
  map.corners = []
  $("draw").setAttribute("aria-pressed", on)
  map.draw()
}

// The document

function make(kind, given = {}) {
  return Object.assign(document.createElement(kind), given)
}

function swatch(colour) {
  const one = make("span", { className: "swatch" })
  one.style.background = colour
  return one
}

const undo = async () => {
  await relabelled(await tell("undo", {}))
  say("taken back")
}
const startDrawing = () => {
  draw(!map.drawing)
  say(map.drawing ? "click the corners, then choose a class" : "no polygon")
}
const keys = {
  u: undo, r: refit, n: next, p: startDrawing, 0: () => give(null),
  Escape: () => draw(false),
  "/": () => $("text").focus(),
}

document.addEventListener("keydown", trying(async (event) => {
  if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return
  const one = /^[1-9]$/.test(event.key) ? page.classes[event.key - 1] : null
  const act = one ? () => give(one.name) : keys[event.key]
  if (!act) return
  event.preventDefault()
  await act()
}))
$("find").addEventListener("submit", trying(async (event) => {
  event.preventDefault()
  await choose((await json(`find?text=${encodeURIComponent($("text").value)}`)).row)
  map.element.focus()
}))
$("declare").addEventListener("submit", trying(async (event) => {
  event.preventDefault()
  const colour = $("colour").dataset.chosen ? { colour: $("colour").value } : {}
  know(await tell("class", { name: $("class").value, ...colour }))
  say(`${$("class").value} is declared, saved`)
  $("class").value = ""
  delete $("colour").dataset.chosen
}))
$("open").addEventListener("submit", trying(async (event) => {
  event.preventDefault()
  await open($("file").files[0], $("column").value)
  $("open").reset()
}))
$("colour").addEventListener("input", () => ($("colour").dataset.chosen = "yes"))
$("mode").addEventListener("change", paint)
$("undo").onclick = trying(undo)
$("erase").onclick = trying(() => give(null))
$("refit").onclick = trying(refit)
$("next").onclick = trying(next)
$("draw").onclick = startDrawing
$("in").onclick = () => map.zoom(1.5)
$("out").onclick = () => map.zoom(1 / 1.5)
$("all").onclick = () => map.all()
matchMedia("(prefers-color-scheme:dark)").addEventListener("change", paint)

trying(load)()
