// A map of many points on three canvases: land below, points as pixels, what is chosen above.

const KEY_STEP = 0.15, ZOOM_STEP = 1.5, REACH_PX = 14, THUMB_PX = 30, MOST_THUMBS = 60

export class PointMap {
  // element: holds three canvases; onPick(row), onCorner(x, y): what clicks do
  constructor(element, { onPick, onCorner }) {
    this.element = element
    this.layers = [...element.querySelectorAll("canvas")].map((one) => one.getContext("2d"))
    Object.assign(this, { onPick, onCorner, xy: new Float32Array(), chosen: -1, marked: [], corners: [], drawing: false, thumbs: new Map() })
    this.centre = [0, 0]
    this.scale = 1
    this.listen()
    new ResizeObserver(() => this.resize()).observe(element)
    matchMedia("(prefers-color-scheme:dark)").addEventListener("change", () => this.draw())
  }

  // xy: x and y of each point in turn, NaN where unknown; onGround: degrees, not components
  show(xy, onGround) {
    this.xy = xy
    this.onGround = onGround
    // of locations across the antimeridian longitudes go on beyond 180, where the land is drawn again
    this.turns = onGround && xy.some((x, i) => i % 2 === 0 && x > 180) ? [0, 360] : [0]
    this.colours = new Uint32Array(xy.length / 2)
    this.on = new Uint8Array(xy.length / 2)
    this.resize()
    this.all()
  }

  setLand(land) {
    const corners = (number) => (number < 0 ? backwards(land.lines[~number]) : land.lines[number])
    this.land = new Path2D()
    for (const ring of land.rings) this.land.addPath(path(ring.flatMap(corners), true))
    this.borders = new Path2D()
    for (const line of land.lines) this.borders.addPath(path(line, false))
    this.draw()
  }

  all() {
    const box = [Infinity, Infinity, -Infinity, -Infinity]
    for (let i = 0; i < this.xy.length; i += 2) {
      const x = this.xy[i], y = this.xy[i + 1]
      if (x !== x) continue
      if (x < box[0]) box[0] = x
      if (y < box[1]) box[1] = y
      if (x > box[2]) box[2] = x
      if (y > box[3]) box[3] = y
    }
    if (box[0] > box[2]) return
    this.centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    // a degree of longitude is as much shorter as it is in the middle of what is shown
    this.narrow = this.onGround ? Math.max(0.05, Math.cos((this.centre[1] * Math.PI) / 180)) : 1
    const wide = Math.max((box[2] - box[0]) * this.narrow, 1e-4), high = Math.max(box[3] - box[1], 1e-4)
    this.scale = 0.88 * Math.min(this.width / wide, this.height / high)
    this.draw()
  }

  toScreen(x, y) {
    return [(x - this.centre[0]) * this.narrow * this.scale + this.width / 2, this.height / 2 - (y - this.centre[1]) * this.scale]
  }

  fromScreen(px, py) {
    return [(px - this.width / 2) / (this.narrow * this.scale) + this.centre[0], (this.height / 2 - py) / this.scale + this.centre[1]]
  }

  goTo(row) {
    const x = this.xy[2 * row], y = this.xy[2 * row + 1]
    if (x !== x) return
    const [px, py] = this.toScreen(x, y)
    if (px < 20 || py < 20 || px > this.width - 20 || py > this.height - 20) this.centre = [x, y]
    this.draw()
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.fromScreen(px, py)
    this.scale = Math.min(Math.max(this.scale * factor, 0.2), 1e8)
    const [nx, ny] = this.fromScreen(px, py)
    this.centre = [this.centre[0] + x - nx, this.centre[1] + y - ny]
    this.draw()
  }

  // the point nearest to a place on the screen; -1 where none is in reach
  rowAt(px, py, reach = REACH_PX) {
    const [x, y] = this.fromScreen(px, py)
    let best = (reach / this.scale) ** 2, row = -1
    for (let i = 0; i < this.xy.length; i += 2) {
      const dx = (this.xy[i] - x) * this.narrow, dy = this.xy[i + 1] - y, apart = dx * dx + dy * dy
      if (apart <= best) [best, row] = [apart, i / 2]
    }
    return row
  }

  resize() {
    const ratio = (this.ratio = devicePixelRatio || 1), { clientWidth: width, clientHeight: height } = this.element
    if (this.width && this.height) this.scale *= Math.min(width / this.width, height / this.height) || 1
    this.width = width
    this.height = height
    for (const { canvas } of this.layers) {
      canvas.width = Math.max(1, Math.round(this.width * ratio))
      canvas.height = Math.max(1, Math.round(this.height * ratio))
    }
    this.draw()
  }

  draw() {
    if (this.waiting) return
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0
      if (!this.xy.length) return
      this.drawLand()
      this.drawPoints()
      this.drawMarks()
    })
  }

  drawLand() {
    const [ink] = this.layers, style = getComputedStyle(this.element), look = (name) => style.getPropertyValue(name)
    ink.clearRect(0, 0, ink.canvas.width, ink.canvas.height)
    if (!this.land || !this.onGround) return
    const r = this.ratio, sx = this.narrow * this.scale * r, sy = -this.scale * r
    const land = new Path2D(), borders = new Path2D()
    for (const turn of this.turns) {
      const matrix = new DOMMatrix([sx, 0, 0, sy, (this.width / 2) * r + (turn - this.centre[0]) * sx, (this.height / 2) * r - this.centre[1] * sy])
      land.addPath(this.land, matrix)
      borders.addPath(this.borders, matrix)
    }
    ink.fillStyle = look("--land")
    ink.fill(land, "evenodd")
    ink.strokeStyle = look("--border")
    ink.lineWidth = r * 0.8
    ink.stroke(borders)
  }

  drawPoints() {
    const ink = this.layers[1], { width, height } = ink.canvas, image = ink.createImageData(width, height)
    const pixels = new Uint32Array(image.data.buffer), r = this.ratio
    const share = Math.sqrt((this.width * this.height) / Math.max(1, this.seen())) / 3
    const base = Math.min(9, Math.max(2, share)) * r
    const sx = this.narrow * this.scale * r, sy = this.scale * r
    const ox = width / 2 - this.centre[0] * sx, oy = height / 2 + this.centre[1] * sy
    for (let above = 0; above < 2; above++) {
      const side = Math.round(above ? base + 2 * r : base), half = side >> 1
      for (let row = 0; row < this.on.length; row++) {
        if (this.on[row] !== above) continue
        const left = Math.round(this.xy[2 * row] * sx + ox) - half, top = Math.round(oy - this.xy[2 * row + 1] * sy) - half
        if (!(left > -side && top > -side && left < width && top < height)) continue
        const colour = this.colours[row], right = Math.min(width, left + side), bottom = Math.min(height, top + side)
        for (let y = Math.max(0, top); y < bottom; y++) pixels.fill(colour, y * width + Math.max(0, left), y * width + right)
      }
    }
    ink.putImageData(image, 0, 0)
  }

  // how many points are in view
  seen() {
    const [west, north] = this.fromScreen(0, 0), [east, south] = this.fromScreen(this.width, this.height)
    let count = 0
    for (let i = 0; i < this.xy.length; i += 2)
      if (this.xy[i] >= west && this.xy[i] <= east && this.xy[i + 1] >= south && this.xy[i + 1] <= north) count++
    return count
  }

  drawMarks() {
    const ink = this.layers[2], r = this.ratio, style = getComputedStyle(this.element)
    ink.setTransform(r, 0, 0, r, 0, 0)
    ink.clearRect(0, 0, this.width, this.height)
    this.drawThumbs(ink)
    ink.strokeStyle = ink.fillStyle = style.getPropertyValue("--ink")
    ink.lineWidth = 1.5
    this.marked.forEach((row) => this.ring(ink, row, 8))
    ink.lineWidth = 2.5
    ink.strokeStyle = style.getPropertyValue("--accent")
    if (this.chosen >= 0) this.ring(ink, this.chosen, 11)
    if (this.drawing) this.drawPolygon(ink)
  }

  drawPolygon(ink) {
    const corners = this.corners.map(([x, y]) => this.toScreen(x, y))
    ink.beginPath()
    corners.forEach(([px, py], i) => (i ? ink.lineTo(px, py) : ink.moveTo(px, py)))
    if (corners.length > 2) ink.closePath()
    ink.stroke()
    corners.forEach(([px, py]) => ink.fillRect(px - 3, py - 3, 6, 6))
    ink.fillRect(this.width / 2 - 6, this.height / 2, 13, 1)
    ink.fillRect(this.width / 2, this.height / 2 - 6, 1, 13)
  }

  // pictures of footprints, once these are large enough and few
  drawThumbs(ink) {
    if (!this.boxes || !this.pictured) return
    const shown = []
    for (let row = 0; row < this.on.length && shown.length <= MOST_THUMBS; row++) {
      const [west, south, east, north] = this.boxes.subarray(4 * row, 4 * row + 4)
      if (!((north - south) * this.scale >= THUMB_PX)) continue
      const [left, top] = this.toScreen(west, north), [right, bottom] = this.toScreen(east, south)
      if (right > 0 && bottom > 0 && left < this.width && top < this.height) shown.push([row, left, top, right - left, bottom - top])
    }
    if (shown.length > MOST_THUMBS) return
    ink.imageSmoothingEnabled = false
    for (const [row, ...place] of shown) {
      const image = this.thumb(row)
      if (image.complete && image.naturalWidth) ink.drawImage(image, ...place)
      if (this.on[row]) {
        ink.strokeStyle = "#" + (this.colours[row] & 0xffffff).toString(16).padStart(6, "0").match(/../g).reverse().join("")
        ink.lineWidth = 3
        ink.strokeRect(...place)
      }
    }
  }

  thumb(row) {
    if (!this.thumbs.has(row)) {
      const image = new Image()
      image.onload = () => this.draw()
      image.src = `picture?row=${row}`
      this.thumbs.set(row, image)
    }
    return this.thumbs.get(row)
  }

  ring(ink, row, radius) {
    const [px, py] = this.toScreen(this.xy[2 * row], this.xy[2 * row + 1])
    ink.beginPath()
    ink.arc(px, py, radius, 0, 7)
    ink.stroke()
  }

  listen() {
    const fingers = new Map()
    let moved = false, spread = 0
    const place = (event) => {
      const box = this.element.getBoundingClientRect()
      return [event.clientX - box.left, event.clientY - box.top]
    }
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId)
      fingers.set(event.pointerId, place(event))
      if (fingers.size === 1) moved = false
      spread = 0
    })
    this.element.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId), now = place(event)
      if (!before) return
      if (fingers.size === 1) {
        if (!moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return
        this.centre = [this.centre[0] - (now[0] - before[0]) / (this.narrow * this.scale), this.centre[1] + (now[1] - before[1]) / this.scale]
      }
      moved = true
      fingers.set(event.pointerId, now)
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()], apart = Math.hypot(a[0] - b[0], a[1] - b[1])
        if (spread) this.zoom(apart / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        spread = apart
      }
      this.draw()
    })
    this.element.addEventListener("pointerup", (event) => {
      const there = fingers.get(event.pointerId)
      fingers.delete(event.pointerId)
      if (!there || moved) return
      if (this.drawing) this.onCorner(...this.fromScreen(...there))
      else if (this.rowAt(...there) >= 0) this.onPick(this.rowAt(...there))
    })
    this.element.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId))
    this.element.addEventListener("wheel", (event) => {
      event.preventDefault()
      this.zoom(Math.exp(-event.deltaY / 300), ...place(event))
    }, { passive: false })
    this.element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key]
      if (step) {
        this.centre = [this.centre[0] + (step[0] * KEY_STEP * this.width) / (this.narrow * this.scale), this.centre[1] + (step[1] * KEY_STEP * this.height) / this.scale]
        this.draw()
      } else if (event.key === "+" || event.key === "=") this.zoom(ZOOM_STEP)
      else if (event.key === "-") this.zoom(1 / ZOOM_STEP)
      else if (event.key === "Home") this.all()
      else if (event.key === "Enter") {
        if (this.drawing) this.onCorner(...this.centre)
        else if (this.rowAt(this.width / 2, this.height / 2, Infinity) >= 0) this.onPick(this.rowAt(this.width / 2, this.height / 2, Infinity))
      } else return
      event.preventDefault()
    })
  }
}

function path(corners, closed) {
  const line = new Path2D()
  for (let i = 0; i < corners.length; i += 2) i ? line.lineTo(corners[i], corners[i + 1]) : line.moveTo(corners[i], corners[i + 1])
  if (closed) line.closePath()
  return line
}

function backwards(line) {
  const turned = []
  for (let i = line.length - 2; i >= 0; i -= 2) turned.push(line[i], line[i + 1])
  return turned
}
