// Where the bytes are: blocks as large as what they take, modules that are alike as one.

const MAP_HEIGHT = 420;
const LEAST_AREA = 24;
const MOST_BLOCKS = 300;
const MOST_HUES = 12;
const LABEL_HEIGHT = 19;

function treemapOf(data, pick) {
  const root = blockOf('', [modulesOf(data)], data);
  if (!root.bytes) return null;
  const map = make('div', { class: 'treemap', role: 'group', 'aria-label': 'Modules by size' });
  const crumbs = make('p', { class: 'crumbs' });
  const readout = make('p', { class: 'readout', 'aria-live': 'polite' });
  const legend = make('ul', { class: 'legend' });
  const colours = coloursOf(data);
  let [way, colour] = [[root], colours[0]];
  const show = () => drawMap({ data, map, crumbs, readout, legend, way, colour, pick, go });
  const go = (next) => {
    way = next;
    show();
    map.querySelector('button')?.focus({ preventScroll: true });
  };
  const select = choice('colour by ', colours.map(({ name }) => [name, name]), colour.name, (name) => {
    colour = colours.find((it) => it.name === name);
    show();
  });
  new ResizeObserver(() => show()).observe(map);
  return make('section', { class: 'map' },
    make('h2', {}, 'Where the bytes are'),
    make('div', { class: 'tools' }, crumbs, colours.length > 1 ? select : null),
    map, legend, readout);
}

// Ways to colour blocks: words of each tensor.
function coloursOf(data) {
  const { distinct, index } = data.kinds;
  const part = { name: 'part', of: (row) => partOf(data.names[row]) };
  const type = { name: 'type', of: (row) => distinct[index[row]].dtype };
  const labels = data.labels.filter((label) => label.distinct.length <= 8).map((label) => (
    { name: label.title, of: (row) => label.distinct[label.index[row]] || 'none' }));
  return [...labels, part, ...(new Set(distinct.map((kind) => kind.dtype)).size > 1 ? [type] : [])];
}

// The word of most bytes of a block, if it has over nine tenths of them.
function wordOf(block, colour, bytes) {
  const [word, most] = bytesByWord(rowsBelow(block), colour, bytes)[0] ?? ['', 0];
  return most >= 0.9 * block.bytes ? word : 'several';
}

// The words of rows with the bytes of each, the most first.
function bytesByWord(rows, colour, bytes) {
  const sums = new Map();
  for (const row of rows) {
    const word = colour.of(row);
    sums.set(word, (sums.get(word) ?? 0) + bytes(row));
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function drawMap(view) {
  const { data, map, crumbs, readout, legend, way, colour, go } = view;
  const width = map.clientWidth || 900;
  const [bytes, block] = [metricOf(data, 'bytes'), way[way.length - 1]];
  const words = wordsOf(data, colour, bytes);
  const boxes = [];
  place(block.below.length ? block : { below: [block] }, { x: 0, y: 0, w: width, h: MAP_HEIGHT }, 0, boxes);
  const describe = (it) => {
    const share = (100 * it.bytes / way[0].bytes).toFixed(1);
    const times = it.times > 1 ? ` · ${it.times} alike, ${bytesText(it.bytes / it.times)} each` : '';
    return `${bytesText(it.bytes)}, ${share} %${times}`;
  };
  const buttons = boxes.map(({ block: it, box, isFrame }, i) => {
    const word = isFrame ? 'frame' : wordOf(it, colour, bytes);
    const hue = isFrame ? 'frame' : words.get(word) ?? 'hueless';
    const title = `${it.label}: ${describe(it)}${isFrame ? '' : `, ${word}`}`;
    const button = make('button', { class: `block ${hue}`, tabindex: i ? -1 : 0, title, 'aria-label': title,
      onclick: () => (it.below.length && it !== block ? go([...way, it]) : view.pick(it)),
      onfocus: () => put(clear(readout), [make('b', {}, nameText(it.label)), ` ${describe(it)}`, isFrame ? '' : ` · ${word}`]) },
    box.w > 30 && box.h > 13 ? make('span', {}, nameText(it.label),
      it.times > 1 ? make('em', {}, ` ×${it.times}`) : null,
      box.w > 90 && (isFrame || box.h > 30) ? make('small', {}, bytesText(it.bytes)) : null) : null);
    Object.assign(button.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.w}px`, height: `${box.h}px` });
    return button;
  });
  put(clear(map), buttons);
  map.onkeydown = (event) => moveFocus(event, buttons, () => way.length > 1 && go(way.slice(0, -1)));
  map.onmouseover = (event) => event.target.closest('button')?.dispatchEvent(new Event('focus'));
  put(clear(crumbs), way.flatMap((it, i) => [i ? ' › ' : null, i + 1 < way.length
    ? make('button', { class: 'crumb', onclick: () => go(way.slice(0, i + 1)) }, nameText(it.label || 'all'))
    : make('b', {}, nameText(it.label || 'all'))]));
  const isMixed = map.querySelector('.hueless') !== null;
  const meanings = [...words, ...(isMixed ? [[`several of these, or another ${colour.name}`, 'hueless']] : [])];
  put(clear(legend), meanings.map(([word, hue]) => make('li', {}, make('i', { class: hue }), nameText(word))));
}

// Each word's hue, the word of most bytes first.
function wordsOf(data, colour, bytes) {
  const words = bytesByWord(data.names.keys(), colour, bytes);
  return new Map(words.slice(0, MOST_HUES).map(([word], i) => [word, hueOf(word, i)]));
}

// What is the same recedes, and what is missing or wrong stands out; others have hues in turn.
function hueOf(word, place) {
  if (word === 'the same' || word === 'the same name') return 'hue7';
  if (/^(missing|ambiguous|another shape)/.test(word)) return 'hue6';
  return `hue${place % 6}`;
}

// Arrows go from one element to the next, Escape goes out.
function moveFocus(event, elements, out) {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key === 'Escape' || event.key === 'Backspace') {
    if (out()) event.preventDefault();
  } else if (steps[event.key]) {
    const at = elements.indexOf(document.activeElement) + steps[event.key];
    elements[Math.max(0, Math.min(elements.length - 1, at))]?.focus();
    event.preventDefault();
  }
}

// Places the blocks below one in a box, and what is below those, as far as there is room.
function place(block, box, depth, boxes) {
  const all = largest(block.below.filter((it) => it.bytes > 0));
  for (const [it, own] of squares(all, box)) {
    const inner = { x: own.x + 2, y: own.y + LABEL_HEIGHT, w: own.w - 4, h: own.h - LABEL_HEIGHT - 2 };
    const isFrame = it.below.length > 0 && depth < 6 && inner.w > 46 && inner.h > 26;
    boxes.push({ block: it, box: own, isFrame });
    if (isFrame) place(it, inner, depth + 1, boxes);
  }
}

// The largest, and all others as one.
function largest(blocks) {
  if (blocks.length <= MOST_BLOCKS) return blocks;
  const others = blocks.slice(MOST_BLOCKS);
  const bytes = others.reduce((sum, it) => sum + it.bytes, 0);
  const label = `${others.length} smaller ones`;
  const rest = { label, times: 1, bytes, rows: [], below: others };
  return [...blocks.slice(0, MOST_BLOCKS), rest].sort((a, b) => b.bytes - a.bytes);
}

// Squarified treemaps (Bruls, Huizing, van Wijk): rows along the shorter side, each as square as it gets.
function squares(blocks, box) {
  const placed = [];
  let { x, y, w, h } = box;
  let left = blocks.reduce((sum, it) => sum + it.bytes, 0);
  for (let i = 0; i < blocks.length;) {
    const [side, scale] = [Math.min(w, h), (w * h) / left];
    let [row, sum, worst] = [[], 0, Infinity];
    while (i + row.length < blocks.length) {
      const next = blocks[i + row.length];
      const area = (sum + next.bytes) * scale;
      const least = Math.min(next.bytes, ...row.map((it) => it.bytes)) * scale;
      const most = Math.max(next.bytes, ...row.map((it) => it.bytes)) * scale;
      const ratio = Math.max((side * side * most) / (area * area), (area * area) / (side * side * least));
      if (row.length && ratio > worst) break;
      [row, sum, worst] = [[...row, next], sum + next.bytes, ratio];
      if (row.length > 200) break;
    }
    const depth = side ? (sum * scale) / side : 0;
    let along = 0;
    for (const it of row) {
      const length = sum ? (it.bytes / sum) * side : 0;
      const own = w >= h ? { x, y: y + along, w: depth, h: length } : { x: x + along, y, w: length, h: depth };
      if (own.w * own.h >= LEAST_AREA) placed.push([it, own]);
      along += length;
    }
    if (w >= h) [x, w] = [x + depth, w - depth];
    else [y, h] = [y + depth, h - depth];
    left -= sum;
    i += row.length;
  }
  return placed;
}

