// Elements and numbers. What comes from a file is only ever put into text nodes and attributes.

function put(parent, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) parent.append(child);
  }
  return parent;
}

function clear(element) {
  element.replaceChildren();
  return element;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? '' : value);
  }
  return put(element, children);
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return put(element, children);
}

// A name that may be cut in its middle by the window; the whole of it is its title. Quotes show where one
// ends that would not be seen.
function nameText(name) {
  return make('bdi', { title: name }, name && name.trim() === name ? name : `"${name}"`);
}

// A word of a column that may have none.
function wordOrNone(word) {
  return word ? nameText(word) : null;
}

function choice(label, options, chosen, change) {
  const select = make('select', { onchange: () => change(select.value) },
    options.map(([value, title]) => make('option', { value, selected: value === chosen }, title)));
  return make('label', { class: 'choice' }, label, select);
}

function plural(number, thing) {
  return `${number.toLocaleString('en')} ${thing}${number === 1 ? '' : 's'}`;
}

function scaled(number, base, units) {
  if (number < base) return null;
  let unit = -1;
  while (number >= base * 0.9995 && unit + 1 < units.length) {
    number /= base;
    unit++;
  }
  return `${number < 9.995 ? number.toFixed(2) : number < 99.95 ? number.toFixed(1) : number.toFixed(0)} ${units[unit]}`;
}

function bytesText(bytes) {
  return scaled(bytes, 1000, ['kB', 'MB', 'GB', 'TB', 'PB', 'EB']) ?? `${bytes} B`;
}

function amountText(number) {
  if (number < 10000) return String(number);
  return scaled(number, 1000, ['k', 'M', 'G', 'T', 'P', 'E']);
}

function figureText(number) {
  if (Number.isNaN(number)) return '';
  if (number === 0) return '0';
  if (!Number.isFinite(number)) return number < 0 ? '−∞' : '∞';
  const size = Math.abs(number);
  if (size >= 1e-3 && size < 1e6) return String(Number(number.toPrecision(4)));
  return number.toExponential(2);
}

function metricText(metric, number) {
  if (Number.isNaN(number)) return '–';
  if (metric === 'bytes') return bytesText(number);
  if (metric === 'count' || metric === 'nan' || metric === 'inf') return amountText(number);
  if (metric === 'zeros') return number === 0 ? '0' : `${Number((100 * number).toPrecision(3))} %`;
  return figureText(number);
}

// Numbers of a tensor by the name of a column.
function metricOf(data, metric) {
  const { distinct, index } = data.kinds;
  if (metric === 'bytes') return (row) => distinct[index[row]].bytes;
  if (metric === 'count') return (row) => distinct[index[row]].count;
  const figure = data.figures.find((it) => it.name === metric);
  return (row) => (figure ? figure.values[row] : NaN);
}

// The figure of several tensors: of counts the sum, of extremes the farthest, of others the mean.
function together(metric, all) {
  const numbers = all.filter((it) => !Number.isNaN(it));
  if (!numbers.length) return NaN;
  if (['count', 'bytes', 'nan', 'inf', 'changed'].includes(metric)) return numbers.reduce((a, b) => a + b);
  if (metric === 'min') return numbers.reduce((a, b) => Math.min(a, b));
  if (metric.startsWith('max')) return numbers.reduce((a, b) => Math.max(a, b));
  return numbers.reduce((a, b) => a + b) / numbers.length;
}

// The columns that maps can be shaded by.
function shadesOf(data) {
  const figures = data.figures.map(({ name, title }) => [name, title]);
  return [...figures, ['bytes', 'bytes'], ['count', 'elements']];
}

function titleOf(data, metric) {
  return shadesOf(data).find(([name]) => name === metric)?.[1] ?? metric;
}

function median(numbers) {
  if (!numbers.length) return NaN;
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Bars of a histogram, as wide as the cell.
function histogramOf(heights, title) {
  const bars = heights.map((height, i) => draw('rect', {
    x: i, y: 15 - height, width: 0.9, height: Math.max(height, 0) }));
  return draw('svg', { class: 'histogram', viewBox: `0 0 ${Math.max(heights.length, 4)} 15`,
    preserveAspectRatio: 'none', role: 'img', 'aria-label': title }, draw('title', {}, title), bars);
}

