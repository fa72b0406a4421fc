// Parts by layers: a row for each part, a column for each layer, shaded by a figure.

const SHADES = 12;
const CELL_HEIGHT = 20;
const MOST_STACKS = 8;
const MOST_PARTS = 60;
// Numbers of one place beyond which they are experts and the like, which are taken together.
const MOST_NUMBERS = 8;
const INNER = /^\.(?:(?:blocks?|layers?|resnets|attentions|transformer_blocks|units|stages?|h)\.)?(\d+)(?=\.|$)/;
// How far from the others of its part a cell has to be to get a mark.
const FAR = 3;

function heatOf(data, pick) {
  const stacks = stacksOf(data);
  if (!stacks.length) return null;
  const shades = shadesOf(data);
  const state = { metric: shades.some(([name]) => name === data.shade) ? data.shade : 'bytes', isRelative: false };
  const figures = make('div');
  const legend = make('div', { class: 'scale' });
  const readout = make('p', { class: 'readout', 'aria-live': 'polite' });
  const show = () => {
    const [shown, hidden] = [stacks.slice(0, MOST_STACKS), stacks.slice(MOST_STACKS)];
    const scale = scaleOf(data, shown, state);
    put(clear(legend), legendOf(scale));
    put(clear(figures), shown.map((stack) => gridOf(stack, scale, readout, pick)));
    if (hidden.length) figures.append(make('p', { class: 'aside' }, `and ${plural(hidden.length, 'smaller stack')}`));
  };
  const metric = choice('shade by ', shades, state.metric, (name) => {
    state.metric = name;
    show();
  });
  const relative = make('label', { class: 'choice' }, make('input', { type: 'checkbox',
    onchange: (event) => {
      state.isRelative = event.target.checked;
      show();
    } }), ' against the median of each part');
  show();
  return make('section', { class: 'heat' }, make('h2', {}, 'Parts × layers'),
    make('div', { class: 'tools' }, metric, relative, legend), figures, readout);
}

// The first number of a name that is a segment, or ends one, and what is before and after it.
function layerOf(name) {
  const found = /(^|[^\d])(\d+)(?=\.|\/|$)/.exec(name);
  if (!found) return null;
  const at = found.index + found[1].length;
  const before = name.slice(0, at);
  let [layer, rest] = [[Number(found[2])], name.slice(at + found[2].length)];
  const inner = INNER.exec(rest);
  if (inner && (!/[./]$/.test(before) || inner[0].length > inner[1].length + 1)) {
    layer = [...layer, Number(inner[1])];
    rest = rest.slice(inner[0].length);
  }
  rest = rest.replace(/^[./]/, '') || '(itself)';
  return { before: before.replace(/[./]$/, ''), layer, rest, form: rest.replace(/\b\d+\b/g, '*') };
}

// Stacks of layers, the largest first: their parts, their layers, and the rows of each cell.
function stacksOf(data) {
  const numbers = new Map();
  const places = data.names.map((name) => {
    const place = layerOf(name);
    if (place) countNumbers(place, numbers);
    return place;
  });
  const stacks = new Map();
  const bytes = metricOf(data, 'bytes');
  places.forEach((place, row) => {
    if (!place) return;
    if (!stacks.has(place.before)) stacks.set(place.before, { name: place.before, bytes: 0, parts: new Map(), layers: new Map() });
    const stack = stacks.get(place.before);
    const part = numbers.get(`${place.before}\n${place.form}`).size > MOST_NUMBERS ? place.form : place.rest;
    const layer = place.layer.join('.');
    stack.bytes += bytes(row);
    stack.layers.set(layer, place.layer);
    if (!stack.parts.has(part)) stack.parts.set(part, new Map());
    const cells = stack.parts.get(part);
    if (!cells.has(layer)) cells.set(layer, []);
    cells.get(layer).push(row);
  });
  return [...stacks.values()].filter((stack) => stack.layers.size > 1)
    .sort((a, b) => isOptimizer(a) - isOptimizer(b) || b.bytes - a.bytes);
}

function isOptimizer(stack) {
  return /(^|\/)optim/.test(stack.name.toLowerCase());
}

function countNumbers({ before, form: own, rest }, numbers) {
  const form = `${before}\n${own}`;
  if (!numbers.has(form)) numbers.set(form, new Set());
  const known = numbers.get(form);
  if (known.size <= MOST_NUMBERS) known.add(rest);
}

// Whether a tensor has NaN or infinities, or in a comparison what is due to them.
function flawOf(data) {
  const [nan, inf, apart] = ['nan', 'inf', 'max_abs'].map((name) => metricOf(data, name));
  return (row) => nan(row) > 0 || inf(row) > 0 || apart(row) === Infinity;
}

// What each cell is worth, and how that becomes a shade.
function scaleOf(data, stacks, { metric, isRelative }) {
  const of = metricOf(data, metric);
  const isFlawed = flawOf(data);
  const values = new Map();
  const all = [];
  for (const stack of stacks) {
    for (const cells of stack.parts.values()) {
      const own = [...cells].map(([layer, rows]) => [layer, rows, together(metric, rows.map(of))]);
      const middle = median(own.map(([, , it]) => Math.abs(it)).filter((it) => it > 0));
      for (const [layer, rows, it] of own) {
        const ratio = own.length > 2 && middle > 0 && it !== 0 ? Math.abs(it) / middle : NaN;
        const flawed = rows.some(isFlawed);
        values.set(rows, { value: it, ratio, flawed, layer });
        if (Math.abs(it) > 0 && Number.isFinite(it) && (!isOptimizer(stack) || isOptimizer(stacks[0]))) all.push(Math.abs(it));
      }
    }
  }
  all.sort((a, b) => a - b);
  const edge = (share) => all[Math.round(share * (all.length - 1))] ?? 1;
  const isOne = edge(0.98) === edge(0.02);
  const [low, high] = [edge(0.02), Math.max(edge(0.98), edge(0.02) * 1.0001)];
  const shade = isRelative
    ? ({ ratio }) => (Number.isNaN(ratio) ? null : Math.round(SHADES / 2 + (SHADES / 2) * Math.max(-1, Math.min(1, Math.log2(ratio || 0.01) / 2))))
    : ({ value: it }) => {
      if (Number.isNaN(it)) return null;
      const part = Math.log(Math.abs(it) / low) / Math.log(high / low);
      // What is not zero never looks as if it were.
      return it === 0 ? 0 : Math.max(1, Math.round(SHADES * Math.min(1, part)));
    };
  return { data, metric, isRelative, values, low, high, isOne, shade };
}

function legendOf({ data, low, high, isOne, metric, isRelative }) {
  const cells = Array.from({ length: SHADES + 1 }, (_, i) => draw('rect', {
    x: i, y: 0, width: 1.02, height: 1, class: `${isRelative ? 'tilt' : 'shade'}${i}` }));
  const [least, most] = isRelative ? ['¼ of the median', '4 ×'] : [metricText(metric, low), metricText(metric, isOne ? low : high)];
  return [make('span', {}, least),
    draw('svg', { viewBox: `0 0 ${SHADES + 1} 1`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${titleOf(data, metric)} from ${least} to ${most}` }, cells),
    make('span', {}, most), make('span', { class: 'marks' }, '▲▼ over 3 × off its part · ✖ NaN or Inf · ╱ no such tensor')];
}

function gridOf(stack, scale, readout, pick) {
  const layers = [...stack.layers].sort(([, a], [, b]) => a[0] - b[0] || (a[1] ?? 0) - (b[1] ?? 0)).map(([layer]) => layer);
  const order = [...stack.parts];
  const parts = order.slice(0, MOST_PARTS);
  const width = Math.max(7, Math.min(64, Math.floor(820 / layers.length)));
  const height = CELL_HEIGHT * (parts.length + 1);
  const svg = draw('svg', { class: 'grid', tabindex: 0, role: 'img', width: width * layers.length + 1, height,
    'aria-label': `${stack.name}: ${parts.length} parts by ${layers.length} layers; arrow keys read the cells, the table has them all` });
  const skip = Math.ceil(26 / width);
  layers.forEach((layer, x) => {
    if (x % skip === 0) svg.append(draw('text', { x: x * width + width / 2, y: 14, class: 'layer' }, layer));
  });
  parts.forEach(([, cells], y) => layers.forEach((layer, x) => {
    svg.append(...cellOf(cells.get(layer), scale, { x: x * width, y: (y + 1) * CELL_HEIGHT, width }));
  }));
  const cursor = draw('rect', { class: 'cursor', width, height: CELL_HEIGHT });
  svg.append(cursor);
  followCells({ svg, cursor, stack, layers, parts, width, scale, readout, pick });
  const left = order.length - parts.length;
  return make('figure', {}, make('figcaption', {}, nameText(stack.name || '(root)'), ` · ${plural(layers.length, isOptimizer(stack) ? 'parameter' : 'layer')}`),
    make('div', { class: 'rows' },
      make('ol', { class: 'parts' }, parts.map(([part]) => make('li', {}, nameText(part)))),
      make('div', { class: 'scroll' }, svg)),
    left ? make('p', { class: 'aside' }, `and ${plural(left, 'part')} more, in the table`) : null);
}

function cellOf(rows, scale, { x, y, width }) {
  const box = { x, y: y + 0.5, width: width - 1, height: CELL_HEIGHT - 1.5 };
  if (!rows) return [draw('path', { class: 'missing', d: `M${x + 2} ${y + CELL_HEIGHT - 4}l${Math.min(width - 4, 10)} -${Math.min(width - 4, 10)}` })];
  const it = scale.values.get(rows);
  const shade = scale.shade(it);
  const name = scale.isRelative ? 'tilt' : 'shade';
  const cell = [draw('rect', { ...box, class: shade === null ? 'unknown' : `${name}${shade}` })];
  const isDark = shade !== null && (scale.isRelative ? Math.abs(shade - SHADES / 2) > 3 : shade > SHADES / 2);
  const mark = it.flawed ? '✖' : it.ratio > FAR ? '▲' : it.ratio < 1 / FAR ? '▼' : '';
  const text = { x: x + (width - 1) / 2, y: y + 14, class: isDark ? 'on-dark' : 'on-light' };
  if (mark) cell.push(draw('text', { ...text, class: `${text.class} mark` }, mark));
  else if (isSame(scale.metric, it.value)) cell.push(draw('text', { ...text, class: 'same' }, '='));
  else if (width >= 40 && !Number.isNaN(it.value)) cell.push(draw('text', text, shortText(scale.metric, it.value)));
  return cell;
}

// True for a distance that is none: the values are the same.
function isSame(metric, value) {
  return value === 0 && ['rel_l2', 'max_abs', 'max_rel', 'changed'].includes(metric);
}

function shortText(metric, value) {
  if (metric === 'bytes' || metric === 'count') return metricText(metric, value).replace(/(\d)(\.\d+)? (?=\D)/, '$1');
  const text = metricText(metric, value);
  if (text.length < 6) return text;
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e4 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
}

// The cell below the pointer or the cursor of the keyboard is read out.
function followCells({ svg, cursor, stack, layers, parts, width, scale, readout, pick }) {
  let [x, y] = [0, 0];
  const say = () => {
    cursor.setAttribute('x', x * width);
    cursor.setAttribute('y', (y + 1) * CELL_HEIGHT);
    const [part, cells] = parts[y];
    const rows = cells.get(layers[x]);
    put(clear(readout), [make('b', {}, nameText(`${stack.name} ${layers[x]} · ${part}`)), ' ',
      rows ? described(rows, scale) : 'not there']);
  };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const [column, line] = [Math.floor((event.clientX - box.left) / width), Math.floor((event.clientY - box.top) / CELL_HEIGHT) - 1];
    if (column < 0 || line < 0 || column >= layers.length || line >= parts.length) return false;
    [x, y] = [column, line];
    say();
    return true;
  };
  const open = () => {
    const rows = parts[y][1].get(layers[x]);
    if (rows) pick(rows);
  };
  svg.addEventListener('pointermove', at);
  svg.addEventListener('click', (event) => at(event) && open());
  svg.addEventListener('focus', say);
  svg.addEventListener('keydown', (event) => {
    const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
    if (event.key === 'Enter') open();
    if (!dx && !dy) return;
    x = Math.max(0, Math.min(layers.length - 1, x + dx));
    y = Math.max(0, Math.min(parts.length - 1, y + dy));
    event.preventDefault();
    say();
  });
}

function described(rows, { data, metric, values }) {
  const { distinct, index } = data.kinds;
  const kind = distinct[index[rows[0]]];
  const { value, ratio } = values.get(rows);
  const several = rows.length > 1 ? `${plural(rows.length, 'tensor')}, ` : '';
  const off = ratio > FAR || ratio < 1 / FAR ? ` · ${figureText(ratio)} × the median of its part` : '';
  return `${several}${titleOf(data, metric)} ${metricText(metric, value)}${off} · ${kind.dtype} [${kind.shape}]`;
}

