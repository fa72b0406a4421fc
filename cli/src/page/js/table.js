// Every tensor in a table: filtered, sorted, folded. Only the rows in sight are elements.

const ROW_HEIGHT = 26;
const ROWS_BEYOND = 12;
const MOST_POINTS = 2000;

function tableOf(data) {
  const columns = columnsOf(data);
  const state = { query: '', folded: data.size > 24, sort: null, down: true, open: new Set(), active: -1, only: null };
  const view = { data, columns, state, lines: [] };
  view.counted = make('output', { class: 'counted' });
  view.scroll = make('div', { class: 'scroll lines', tabindex: 0, role: 'region', 'aria-label': 'Tensors' });
  view.body = make('tbody');
  view.detail = make('div', { class: 'detail', 'aria-live': 'polite' });
  view.heads = columns.map((column) => headOf(column, view));
  const input = make('input', { type: 'search', placeholder: 'filter: words, *globs*, -not, std>0.1, bytes>1MB   ( / )',
    'aria-label': 'Filter tensors', spellcheck: 'false', oninput: () => {
      state.query = input.value;
      state.only = null;
      refresh(view);
    } });
  const fold = make('label', { class: 'choice' }, make('input', { type: 'checkbox', class: 'fold', checked: state.folded,
    onchange: (event) => {
      state.folded = event.target.checked;
      refresh(view);
    } }), ' fold numbers');
  view.scroll.append(make('table', { 'aria-rowcount': data.size },
    make('thead', {}, make('tr', {}, view.heads)), view.body));
  view.scroll.addEventListener('scroll', () => fill(view));
  view.scroll.addEventListener('keydown', (event) => keyDown(event, view));
  view.body.addEventListener('click', (event) => {
    const line = event.target.closest('tr')?.dataset.line;
    if (line !== undefined) activate(view, Number(line), true);
  });
  refresh(view);
  const section = make('section', { class: 'tensors' }, make('h2', {}, 'Tensors'),
    make('div', { class: 'tools' }, input, fold, view.counted), view.scroll, view.detail);
  new ResizeObserver(() => requestAnimationFrame(() => fill(view))).observe(view.scroll);
  return { section, input, pick: (rows) => {
    Object.assign(state, { only: new Set(rows), query: '', folded: rows.length > 24 });
    input.value = '';
    fold.firstChild.checked = state.folded;
    refresh(view);
    activate(view, 0, false);
    section.scrollIntoView({ block: 'start' });
  } };
}

// A column: how a row is shown, and what it is sorted by.
function columnsOf(data) {
  const { distinct, index } = data.kinds;
  const kind = (row) => distinct[index[row]];
  const columns = [
    { name: 'key', title: 'key', isText: true, of: (row) => data.names[row] },
    ...data.labels.map((label) => ({ name: label.name, title: label.title, isText: true, of: (row) => label.distinct[label.index[row]] })),
    { name: 'dtype', title: 'type', isText: true, of: (row) => kind(row).dtype + (kind(row).layout ? ` (${kind(row).layout})` : '') },
    { name: 'shape', title: 'shape', isText: true, sort: (row) => kind(row).count, of: (row) => `[${kind(row).shape}]` },
    { name: 'count', title: 'elements', of: (row) => kind(row).count },
    { name: 'bytes', title: 'bytes', of: (row) => kind(row).bytes },
  ];
  if (data.histograms) columns.push({ name: 'histogram', title: 'histogram', isPicture: true });
  return [...columns, ...data.figures.map(({ name, title, values }) => ({ name, title, of: (row) => values[row] }))];
}

function headOf(column, view) {
  const cell = make('th', { scope: 'col', class: column.isText || column.isPicture ? column.name : 'number' });
  if (column.isPicture) return put(cell, [column.title]);
  return put(cell, [make('button', { onclick: () => {
    const { state } = view;
    if (state.sort !== column) Object.assign(state, { sort: column, down: !column.isText });
    else if (state.down === !column.isText) state.down = !state.down;
    else state.sort = null;
    refresh(view);
  } }, column.title, make('i', { 'aria-hidden': 'true' }))]);
}

// A query is words all of which a tensor has: parts of its name, globs, comparisons of columns.
function testOf(query, view) {
  const tests = query.trim().split(/\s+/).filter(Boolean).map((word) => {
    const isNot = word.length > 1 && word.startsWith('-');
    const test = wordTest((isNot ? word.slice(1) : word).toLowerCase(), view);
    return isNot ? (row) => !test(row) : test;
  });
  return (row) => tests.every((test) => test(row));
}

function wordTest(word, { data, columns }) {
  const compared = /^(\w+)(<=|>=|<|>|=|:)(.+)$/.exec(word);
  const column = compared && columns.find((it) => !it.isPicture && (it.name === compared[1] || it.title.toLowerCase() === compared[1]));
  if (column?.isText) return (row) => column.of(row).toLowerCase().includes(compared[3]);
  if (column) return comparison(column.of, compared[2], numberOf(compared[3]));
  const texts = columns.filter((it) => it.isText);
  if (/[*?]/.test(word)) {
    const pattern = new RegExp(word.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.'));
    return (row) => pattern.test(data.names[row].toLowerCase());
  }
  return (row) => texts.some((it) => it.of(row).toLowerCase().includes(word));
}

function comparison(of, sign, number) {
  if (sign === '<') return (row) => of(row) < number;
  if (sign === '<=') return (row) => of(row) <= number;
  if (sign === '>') return (row) => of(row) > number;
  if (sign === '>=') return (row) => of(row) >= number;
  return (row) => of(row) === number;
}

// `1MB`, `4k`, `50%`, `1e-3`.
function numberOf(text) {
  const found = /^([-+.\de]+?)(k|m|g|t)?(b|%)?$/.exec(text);
  if (!found) return NaN;
  const unit = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 }[found[2]] ?? 1;
  return Number(found[1]) * unit * (found[3] === '%' ? 0.01 : 1);
}

// Works out the lines of the table.
function refresh(view) {
  const { data, state } = view;
  const test = testOf(state.query, view);
  const rows = [];
  for (let row = 0; row < data.size; row++) {
    if ((!state.only || state.only.has(row)) && test(row)) rows.push(row);
  }
  const groups = state.folded ? groupsOf(data, rows) : rows.map((row) => [row]);
  view.lines = linesOf(view, groups);
  const bytes = metricOf(data, 'bytes');
  const sum = rows.reduce((all, row) => all + bytes(row), 0);
  const some = rows.length === data.size ? plural(data.size, 'tensor') : `${rows.length.toLocaleString('en')} of ${plural(data.size, 'tensor')}`;
  view.counted.textContent = `${some}, ${bytesText(sum)}`;
  view.heads.forEach((head, i) => {
    const isSorted = state.sort === view.columns[i];
    if (isSorted) head.setAttribute('aria-sort', state.down ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
    const sign = head.querySelector('i');
    if (sign) sign.textContent = isSorted ? (state.down ? ' ▾' : ' ▴') : '';
  });
  state.active = Math.min(state.active, view.lines.length - 1);
  view.scroll.scrollTop = 0;
  fill(view, true);
}

// Tensors that are alike and whose names differ in numbers alone.
function groupsOf(data, rows) {
  const groups = new Map();
  for (const row of rows) {
    const form = `${data.kinds.index[row]}\n${templateOf(data.names[row])}`;
    if (!groups.has(form)) groups.set(form, []);
    groups.get(form).push(row);
  }
  return [...groups.values()];
}

// A line for each group, and below those that are open for each of their tensors.
function linesOf(view, groups) {
  const { state, columns } = view;
  const lines = groups.map((rows) => ({ rows, cells: groupCells(columns, rows), form: rows[0] }));
  sortLines(lines, state);
  return lines.flatMap((line) => {
    if (line.rows.length === 1 || !state.open.has(line.form)) return [line];
    const below = line.rows.map((row) => ({ rows: [row], cells: groupCells(columns, [row]), isBelow: true }));
    sortLines(below, state);
    return [line, ...below];
  });
}

function sortLines(lines, { sort, down }) {
  if (!sort) return;
  const sign = down ? -1 : 1;
  const collator = new Intl.Collator('en', { numeric: true });
  const key = (line) => (sort.sort ? sort.sort(line.rows[0]) : cellOfRows(sort, line.rows));
  const keyed = lines.map((line, i) => [key(line), i, line]);
  keyed.sort(([a, i], [b, j]) => {
    if (typeof a === 'string') return sign * collator.compare(a, b) || i - j;
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || i - j;
    return sign * (a - b) || i - j;
  });
  keyed.forEach(([, , line], i) => { lines[i] = line; });
}

// The values of a line, worked out when they are wanted.
function groupCells(columns, rows) {
  let cells = null;
  return () => (cells ??= Object.fromEntries(columns.filter((it) => !it.isPicture)
    .map((column) => [column.name, cellOfRows(column, rows)])));
}

function cellOfRows(column, rows) {
  if (rows.length === 1) return column.of(rows[0]);
  if (column.name === 'key') return foldedName(rows.map(column.of));
  if (column.isText) {
    const words = rows.map(column.of);
    if (words.every((word) => word === words[0])) return words[0];
    const form = templateOf(words[0]);
    return words.every((word) => templateOf(word) === form) ? foldedName(words) : 'several';
  }
  return together(column.name, rows.map(column.of));
}

// Puts the lines in sight into the table.
function fill(view, isNew = false) {
  const { scroll, body, lines, state } = view;
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW_HEIGHT) - ROWS_BEYOND);
  const last = Math.min(lines.length, first + Math.ceil(scroll.clientHeight / ROW_HEIGHT) + 2 * ROWS_BEYOND);
  if (!isNew && view.first === first && view.last === last && view.shownActive === state.active) return;
  Object.assign(view, { first, last, shownActive: state.active });
  const gap = (height) => {
    const row = make('tr', { class: 'gap', 'aria-hidden': 'true' }, make('td', { colspan: view.columns.length }));
    row.style.height = `${height}px`;
    return row;
  };
  const rows = [];
  for (let i = first; i < last; i++) rows.push(rowOf(view, i));
  put(clear(body), [gap(first * ROW_HEIGHT), rows, gap((lines.length - last) * ROW_HEIGHT)]);
}

function rowOf(view, number) {
  const { columns, lines, state, data } = view;
  const line = lines[number];
  const cells = line.cells();
  const isGroup = line.rows.length > 1;
  const name = `${isGroup ? 'group' : ''} ${line.isBelow ? 'below' : ''} ${number === state.active ? 'active' : ''}`;
  return make('tr', { class: name, 'data-line': number, 'aria-rowindex': number + 1, 'aria-selected': number === state.active },
    columns.map((column) => {
      if (column.name === 'key') {
        return make('th', { scope: 'row', class: 'key' }, make('i', { class: 'twist', 'aria-hidden': 'true' }, isGroup ? (isOpen(view, number) ? '▾' : '▸') : ''),
          nameText(cells.key), isGroup ? make('em', {}, ` ×${line.rows.length}`) : null);
      }
      if (column.isPicture) return make('td', { class: 'histogram' }, isGroup ? courseOf(data, line.rows) : pictureOf(data, line.rows[0]));
      if (column.isText) return make('td', { class: column.name }, wordOrNone(cells[column.name]));
      const isBad = (column.name === 'nan' || column.name === 'inf') && cells[column.name] > 0;
      return make('td', { class: isBad ? 'number bad' : 'number' }, isBad ? '✖ ' : null, metricText(column.name, cells[column.name]));
    }));
}

function pictureOf(data, row) {
  const heights = heightsOf(data, row);
  if (!heights) return null;
  const [least, most] = ['min', 'max'].map((name) => figureText(metricOf(data, name)(row)));
  return histogramOf(heights, `values from ${least} to ${most}`);
}

// How the figure that maps are shaded by goes along the tensors of a group.
function courseOf(data, rows) {
  const metric = data.shade;
  const numbers = rows.map(metricOf(data, metric)).filter((it) => !Number.isNaN(it));
  const [least, most] = [Math.min(...numbers.slice(0, MOST_POINTS)), Math.max(...numbers.slice(0, MOST_POINTS))];
  if (numbers.length < 3 || numbers.length > MOST_POINTS || !(most > least)) return null;
  const points = numbers.map((it, i) => `${(100 * i) / (numbers.length - 1)},${14 - (13 * (it - least)) / (most - least)}`);
  const title = `${titleOf(data, metric)} along the ${rows.length}: ${metricText(metric, least)} to ${metricText(metric, most)}`;
  return draw('svg', { class: 'histogram', viewBox: '0 0 100 15', preserveAspectRatio: 'none', role: 'img', 'aria-label': title },
    draw('title', {}, title), draw('polyline', { points: points.join(' ') }));
}

function keyDown(event, view) {
  const { state, lines, scroll } = view;
  const page = Math.max(1, Math.floor(scroll.clientHeight / ROW_HEIGHT) - 2);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -lines.length, End: lines.length };
  if (event.target.closest('button')) return;
  if (steps[event.key]) activate(view, state.active + steps[event.key], false);
  else if (event.key === 'Enter' || event.key === ' ') activate(view, state.active, true);
  else if (event.key === 'ArrowRight' && !isOpen(view, state.active)) activate(view, state.active, true);
  else if (event.key === 'ArrowLeft' && isOpen(view, state.active)) activate(view, state.active, true);
  else return;
  event.preventDefault();
}

function isOpen({ lines, state }, number) {
  return Boolean(lines[number]) && lines[number].rows.length > 1 && state.open.has(lines[number].form);
}

// Makes a line the active one; with a click a group opens or closes.
function activate(view, number, isClick) {
  const { state, scroll } = view;
  if (!view.lines.length) return;
  state.active = Math.max(0, Math.min(view.lines.length - 1, number));
  const line = view.lines[state.active];
  if (isClick && line.rows.length > 1) {
    if (!state.open.delete(line.form)) state.open.add(line.form);
    const top = scroll.scrollTop;
    const { active } = state;
    refresh(view);
    Object.assign(state, { active });
    scroll.scrollTop = top;
  }
  const [top, head] = [state.active * ROW_HEIGHT, ROW_HEIGHT];
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  if (top + 2 * head > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + 2 * head - scroll.clientHeight;
  fill(view, true);
  put(clear(view.detail), detailOf(view, view.lines[state.active]));
}

// All that is known of a line.
function detailOf({ columns, data }, line) {
  const cells = line.cells();
  return [make('h3', {}, nameText(cells.key)),
    make('dl', {}, columns.filter((it) => !it.isPicture && it.name !== 'key').map((column) => make('div', {},
      make('dt', {}, column.title), make('dd', {}, column.isText ? wordOrNone(cells[column.name]) : metricText(column.name, cells[column.name]))))),
    line.rows.length === 1 ? pictureOf(data, line.rows[0]) : null];
}

