// Names that differ in numbers alone, taken together.

// Blocks of one numbered list that may differ from each other.
const MOST_FORMS = 4;

function templateOf(name) {
  return name.replace(/\d+/g, '{}');
}

// `{0..31}`, `{0..3,7}`: numbers as short as they can be said.
function rangesOf(numbers) {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end] + 1) end++;
    parts.push(end === i ? `${sorted[i]}` : end === i + 1 ? `${sorted[i]},${sorted[end]}` : `${sorted[i]}..${sorted[end]}`);
    i = end + 1;
  }
  if (parts.length === 1 && sorted.length === 1) return parts[0];
  return `{${parts.length > 6 ? [...parts.slice(0, 3), '…', ...parts.slice(-2)].join(',') : parts.join(',')}}`;
}

// One name for several: each number that differs becomes the range of them.
function foldedName(names) {
  if (names.length === 1) return names[0];
  const numbers = names.map((name) => (name.match(/\d+/g) ?? []).map(Number));
  let place = 0;
  return names[0].replace(/\d+/g, () => {
    const at = place++;
    return rangesOf(numbers.map((all) => all[at]));
  });
}

function segmentsOf(data, row) {
  const path = data.paths.distinct[data.paths.index[row]];
  const key = data.keys[row];
  const parts = key.includes('.') ? key.split('.') : key.split('/');
  return path ? [...path.split('/'), ...parts] : parts;
}

// The modules of a file: what lies below each.
function modulesOf(data) {
  const root = { below: new Map(), row: -1 };
  for (let row = 0; row < data.size; row++) {
    let module = root;
    for (const segment of segmentsOf(data, row)) {
      let next = module.below.get(segment);
      if (!next) module.below.set(segment, (next = { below: new Map(), row: -1 }));
      module = next;
    }
    module.row = row;
  }
  sign(root, data, new Map(), new Map());
  return root;
}

// Gives modules that are alike the same number, and those that have the same names in them another.
function sign(module, data, likes, forms) {
  const [like, form] = [[module.row < 0 ? '' : data.kinds.index[module.row]], [module.row < 0]];
  for (const [name, below] of module.below) {
    sign(below, data, likes, forms);
    like.push(name, below.like);
    form.push(name, below.form);
  }
  module.like = numberFor(like.join('\n'), likes);
  module.form = numberFor(form.join('\n'), forms);
}

function numberFor(text, known) {
  if (!known.has(text)) known.set(text, known.size);
  return known.get(text);
}

// Names below some modules, those together that differ in numbers and are alike; where too many
// numbers have something of their own, those that have the same names in them.
function alikeBelow(module) {
  const groups = (sameness) => {
    const alike = new Map();
    for (const [name, below] of module.below) {
      const form = /\d/.test(name) ? `${templateOf(name)}\n${below[sameness]}` : name;
      if (!alike.has(form)) alike.set(form, []);
      alike.get(form).push(name);
    }
    return [...alike.values()];
  };
  const alike = groups('like');
  const numbered = alike.filter(([name]) => /^\d+$/.test(name)).length;
  return numbered > MOST_FORMS ? groups('form') : alike;
}

// A block for modules that are alike, and blocks below it.
function blockOf(label, modules, data) {
  const block = { label, times: modules.length, bytes: 0, rows: [], below: [] };
  for (const { row } of modules) if (row >= 0) block.rows.push(row);
  for (const names of alikeBelow(modules[0])) {
    const members = modules.flatMap((module) => names.map((name) => module.below.get(name)));
    block.below.push(blockOf(foldedName(names), members, data));
  }
  const bytes = metricOf(data, 'bytes');
  for (const row of block.rows) block.bytes += bytes(row);
  for (const below of block.below) block.bytes += below.bytes;
  block.below.sort((a, b) => b.bytes - a.bytes);
  // A module with one thing in it is that thing.
  if (block.below.length === 1 && !block.rows.length && label !== '') {
    const only = block.below[0];
    return { ...only, label: `${label}.${only.label}` };
  }
  return block;
}

function rowsBelow(block) {
  return block.below.length ? [...block.rows, ...block.below.flatMap(rowsBelow)] : block.rows;
}

const PARTS = [
  ['optimizer', /(^|\/)optim|exp_avg|momentum_buffer/],
  ['adapter', /lora|adapter|hypernet/],
  ['norm', /norm|(^|[._/])(bn|ln)[\d._]|[._](bn|ln)\d?$|running_(mean|var)/],
  ['head', /(^|[._/])(head|lm_head|classifier|logits|score)/],
  ['embedding', /emb|wte|wpe|token|position/],
  ['attention', /attn|attention|qkv|([._/]|^)(q|k|v|o)(_proj)?[._]|query|[._]key[._]|[._]value[._]/],
  ['feed-forward', /mlp|ffn|feed_?forward|expert|gate|up_proj|down_proj|intermediate|([._/]|^)(c_)?fc\d?[._]|[._]w[123][._]|linear\d?[._]/],
  ['convolution', /conv|downsample|upsample|kernel|stem/],
];

// What a tensor is a part of, by its name.
function partOf(name) {
  const lower = name.toLowerCase();
  const found = PARTS.find(([, pattern]) => pattern.test(lower));
  return found ? found[0] : 'other';
}

