"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const count = data.tokens.length, headCount = data.heads.length, cells = count * count;
const $ = (id) => document.getElementById(id);
// Colours of heads: evenly around the wheel of hues, in steps that set neighbours apart.
const colours = data.heads.map((_, i) => `hsl(${(i * 137.5 + 205) % 360} 68% ${i % 2 ? 42 : 54}%)`);
const state = { layer: 0, heads: new Set(data.heads.keys()), side: "", token: -1, held: false };
const layers = new Map();  // by index: Float32Array [head][query][key], unpacked when first shown

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Steps of 1/255 of the square root; of causal models the keys up to the query alone are there.
async function layer(index) {
  if (layers.has(index)) return layers.get(index);
  const packed = await unpack(data.maps[index]);
  const weights = new Float32Array(headCount * cells);
  let at = 0;
  for (let h = 0; h < headCount; ++h) {
    for (let q = 0; q < count; ++q) {
      const keys = data.causal ? q + 1 : count;
      for (let k = 0; k < keys; ++k) weights[h * cells + q * count + k] = (packed[at++] / 255) ** 2;
    }
  }
  layers.set(index, weights);
  return weights;
}

const ramp = data.ramp.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
const dark = matchMedia("(prefers-color-scheme: dark)");
function colour(weight) {
  const place = Math.sqrt(Math.min(1, weight)) * (ramp.length - 1);
  return ramp[Math.round(dark.matches ? ramp.length - 1 - place : place)];
}

function paint(canvas, weights, head, side) {
  const pool = Math.ceil(count / side), n = Math.ceil(count / pool), base = head * cells;
  canvas.width = canvas.height = n;
  const context = canvas.getContext("2d"), image = context.createImageData(n, n);
  for (let r = 0; r < n; ++r) {
    for (let c = 0; c < n; ++c) {
      let largest = 0;
      for (let q = r * pool; q < Math.min(count, (r + 1) * pool); ++q) {
        for (let k = c * pool; k < Math.min(count, (c + 1) * pool); ++k) {
          largest = Math.max(largest, weights[base + q * count + k]);
        }
      }
      image.data.set([...colour(largest), 255], 4 * (r * n + c));
    }
  }
  context.putImageData(image, 0, 0);
}

const lineHeight = count > 200 ? 13 : count > 60 ? 17 : 24;
document.documentElement.style.setProperty("--lh", lineHeight + "px");
document.documentElement.style.setProperty("--fs", Math.min(14, lineHeight - 3) + "px");

function makeSide(id) {
  data.tokens.forEach((token, i) => {
    const box = document.createElement("div");
    box.textContent = token;
    box.title = `${token}  (${i})`;
    box.setAttribute("role", "option");
    box.tabIndex = i === 0 ? 0 : -1;
    box.dataset.index = i;
    $(id).append(box);
  });
  $(id).addEventListener("mouseover", (e) => e.target.dataset.index && choose(id, +e.target.dataset.index));
  $(id).addEventListener("mouseleave", () => choose("", -1));
  $(id).addEventListener("click", (e) => e.target.dataset.index && hold(id, +e.target.dataset.index));
  $(id).addEventListener("focusin", (e) => choose(id, +e.target.dataset.index, true));
  $(id).addEventListener("keydown", (e) => {
    const at = +e.target.dataset.index;
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: count - 1, PageDown: at + 10, PageUp: at - 10 };
    const other = id === "queries" ? "keys" : "queries";
    if (e.key in steps) move($(id).children[Math.max(0, Math.min(count - 1, steps[e.key]))], e.target);
    else if (e.key === "ArrowLeft" || e.key === "ArrowRight") move($(other).children[at], e.target);
    else if (e.key === "Enter" || e.key === " ") hold(id, at);
    else if (e.key === "Escape") { state.held = false; choose("", -1); }
    else return;
    e.preventDefault();
  });
}
function move(to, from) {
  if (to.parentNode === from.parentNode) from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function choose(side, token, byKey) {
  if (state.held && !byKey) return;
  if (byKey) state.held = false;
  if (state.side === side && state.token === token) return;
  state.side = side;
  state.token = token;
  show();
}
function hold(side, token) {
  const same = state.held && state.side === side && state.token === token;
  state.held = false;
  choose(side, token);
  state.held = !same;
  show();
}

// body(other token, head, weight) for what the chosen token looks at, or is looked at by.
function each(weights, body) {
  for (const head of state.heads) {
    for (let i = 0; i < count; ++i) {
      const place = state.side === "queries" ? state.token * count + i : i * count + state.token;
      body(i, head, weights[head * cells + place]);
    }
  }
}

function drawWires(weights) {
  const canvas = $("wires"), scale = Math.min(window.devicePixelRatio || 1, 16000 / (count * lineHeight));
  const width = canvas.clientWidth, height = count * lineHeight;
  canvas.style.height = height + "px";
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const line = (query, key, head, weight, opacity) => {
    const y1 = (query + 0.5) * lineHeight, y2 = (key + 0.5) * lineHeight, bend = width * 0.45;
    context.globalAlpha = opacity;
    context.strokeStyle = colours[head];
    context.lineWidth = 0.5 + 4 * weight;
    context.beginPath();
    context.moveTo(0, y1);
    context.bezierCurveTo(bend, y1, width - bend, y2, width, y2);
    context.stroke();
  };
  if (state.token >= 0) {
    each(weights, (i, head, weight) => {
      if (weight < 0.005) return;
      const [query, key] = state.side === "queries" ? [state.token, i] : [i, state.token];
      line(query, key, head, weight, Math.min(1, 0.15 + weight));
    });
    return;
  }
  // all tokens at once: the strongest lines alone, or nothing could be seen
  const strong = [];
  for (const head of state.heads) {
    for (let i = 0; i < cells; ++i) {
      const weight = weights[head * cells + i];
      if (weight > 0.1) strong.push([weight, head, i]);
    }
  }
  strong.sort((a, b) => a[0] - b[0]);
  for (const [weight, head, i] of strong.slice(-4000)) {
    line(Math.floor(i / count), i % count, head, weight, 0.1 + 0.5 * weight);
  }
}

function drawDetail(weights) {
  const sums = new Float32Array(count), other = state.side === "queries" ? "keys" : "queries";
  for (const id of ["queries", "keys"]) {
    [...$(id).children].forEach((box, i) => {
      const on = state.side === id && state.token === i;
      box.classList.toggle("on", on);
      box.classList.toggle("held", on && state.held);
      box.setAttribute("aria-selected", on);
      box.style.removeProperty("--heat");
    });
  }
  if (state.token < 0) {
    $("detail").innerHTML = '<p class="hint">No token is chosen.</p>';
    return;
  }
  const best = [];
  each(weights, (i, head, weight) => {
    sums[i] += weight / state.heads.size;
    if (weight >= 0.005) best.push([weight, i, head]);
  });
  best.sort((a, b) => b[0] - a[0]);
  const table = document.createElement("table"), caption = table.createCaption();
  const name = `“${data.tokens[state.token]}” (${state.token})`;
  caption.textContent = state.side === "queries" ? `${name} looks at` : `${name} is looked at by`;
  for (const [weight, i, head] of best.slice(0, 12)) {
    const row = table.insertRow();
    row.insertCell().textContent = data.tokens[i];
    row.insertCell().textContent = `(${i})`;
    const mark = row.insertCell(), chip = document.createElement("i");
    chip.style.background = colours[head];
    mark.append(chip, `head ${data.heads[head]}`);
    row.insertCell().textContent = weight.toFixed(3);
  }
  $("detail").replaceChildren(table);
  const most = Math.max(...sums, 1e-6);
  [...$(other).children].forEach((box, i) => {
    const share = Math.round((sums[i] / most) * 45);
    if (share > 2) box.style.setProperty("--heat", `color-mix(in srgb, var(--focus) ${share}%, transparent)`);
  });
}

function drawMap(weights) {
  const head = [...state.heads].sort((a, b) => a - b)[0];
  if (head === undefined) return;
  const canvas = $("map"), side = Math.min(420, Math.max(160, count * 18));
  paint(canvas, weights, head, side);
  canvas.style.width = canvas.style.height = side + "px";
  $("map-label").textContent = `Heat map of layer ${data.layers[state.layer]}, head ${data.heads[head]}`;
  canvas.onmousemove = (e) => {
    const box = canvas.getBoundingClientRect();
    const q = Math.min(count - 1, Math.max(0, Math.floor(((e.clientY - box.top) / box.height) * count)));
    const k = Math.min(count - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * count)));
    $("map-note").textContent =
      `“${data.tokens[q]}” (${q}) → “${data.tokens[k]}” (${k}): ${weights[head * cells + q * count + k].toFixed(3)}`;
  };
  $("map-note").textContent = "Rows are queries, columns keys; point at a cell to read it.";
}

let turn = 0;
async function show(everything) {
  const mine = ++turn, weights = await layer(state.layer);
  if (mine !== turn && !everything) return;
  drawWires(weights);
  drawDetail(weights);
  if (everything) drawMap(weights);
  document.body.dataset.ready = `${state.layer}:${[...state.heads].join(",")}:${state.side}:${state.token}`;
}

function pick(index, heads) {
  state.layer = index;
  if (heads) state.heads = new Set(heads);
  [...$("layers").children].forEach((button, i) => {
    button.setAttribute("aria-checked", i === index);
    button.tabIndex = i === index ? 0 : -1;
  });
  [...$("heads").querySelectorAll("[data-head]")].forEach((button) =>
    button.setAttribute("aria-pressed", state.heads.has(+button.dataset.head)));
  document.querySelectorAll("#overview canvas").forEach((canvas) =>
    canvas.classList.toggle("on", +canvas.dataset.layer === index && state.heads.has(+canvas.dataset.head)));
  return show(true);
}

function makeControls() {
  data.layers.forEach((number, i) => {
    const button = document.createElement("button");
    button.textContent = number;
    button.setAttribute("role", "radio");
    button.onclick = () => pick(i);
    button.onkeydown = (e) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
      if (!step) return;
      e.preventDefault();
      const next = (i + step + data.layers.length) % data.layers.length;
      pick(next);
      $("layers").children[next].focus();
    };
    $("layers").append(button);
  });
  const all = document.createElement("button");
  all.textContent = "all";
  all.onclick = () => pick(state.layer, data.heads.keys());
  $("heads").append(all);
  data.heads.forEach((number, i) => {
    const button = document.createElement("button");
    button.textContent = number;
    button.dataset.head = i;
    button.title = "double-click: only this head";
    button.style.setProperty("--c", colours[i]);
    button.setAttribute("aria-label", `head ${number}`);
    button.onclick = () => {
      if (!state.heads.delete(i)) state.heads.add(i);
      pick(state.layer);
    };
    button.ondblclick = () => pick(state.layer, [i]);
    $("heads").append(button);
  });
}

async function makeOverview() {
  const grid = $("overview");
  grid.style.gridTemplateColumns = `max-content repeat(${headCount}, max-content)`;
  const label = (text, top) => {
    const span = document.createElement("span");
    span.textContent = text;
    if (top) span.className = "top";
    grid.append(span);
  };
  label("", true);
  data.heads.forEach((number) => label(number, true));
  const all = data.layers.map((number, l) => {
    label(number);
    return data.heads.map((head, h) => {
      const canvas = document.createElement("canvas");
      canvas.dataset.layer = l;
      canvas.dataset.head = h;
      canvas.tabIndex = l === 0 && h === 0 ? 0 : -1;
      canvas.setAttribute("role", "gridcell");
      canvas.setAttribute("aria-label", `layer ${number}, head ${head}`);
      canvas.onclick = () => pick(l, [h]);
      grid.append(canvas);
      return canvas;
    });
  });
  grid.onkeydown = (e) => {
    const l = +e.target.dataset.layer, h = +e.target.dataset.head;
    const to = { ArrowDown: [l + 1, h], ArrowUp: [l - 1, h], ArrowRight: [l, h + 1], ArrowLeft: [l, h - 1] }[e.key];
    if (to && all[to[0]]?.[to[1]]) move(all[to[0]][to[1]], e.target);
    else if (e.key === "Enter" || e.key === " ") pick(l, [h]);
    else return;
    e.preventDefault();
  };
  // one layer at a time, so that the page answers meanwhile; large ones are not kept
  for (let l = 0; l < all.length; ++l) {
    const kept = layers.has(l), weights = await layer(l);
    all[l].forEach((canvas, h) => paint(canvas, weights, h, 34));
    if (!kept && l !== state.layer && cells * headCount > 1e6) layers.delete(l);
    await new Promise((next) => setTimeout(next));
  }
  document.body.dataset.overview = "ready";
}

makeSide("queries");
makeSide("keys");
makeControls();
pick(0).then(makeOverview);
addEventListener("resize", () => show());
dark.addEventListener("change", () => pick(state.layer));
