// The packed block of a sheet, taken apart: a JSON head, and columns of bytes behind it.

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return tensorsOf(head, bytes.subarray(4 + length));
}

function tensorsOf(head, columns) {
  const size = head.rests.length;
  let at = 0;
  const next = (width) => {
    const codes = new Uint32Array(size);
    for (let plane = 0; plane < width; plane++) {
      for (let i = 0; i < size; i++) codes[i] |= columns[at + i] << (8 * plane);
      at += size;
    }
    return codes;
  };
  const keys = keysOf(head.rests, next(1));
  const paths = { distinct: head.paths.distinct, index: next(head.paths.width) };
  const kinds = { distinct: head.kinds.distinct.map(kindOf), index: next(head.kinds.width) };
  const labels = head.labels.map(({ name, title, values }) => (
    { name, title, distinct: values.distinct, index: next(values.width) }));
  const figures = head.figures.map((figure) => (
    { name: figure.name, title: figure.title, values: numbersOf(figure, next(figure.width)) }));
  const histograms = head.histograms ? columns.subarray(at, at + 8 * size) : null;
  const names = keys.map((key, i) => {
    const path = paths.distinct[paths.index[i]];
    return path ? `${path}/${key}` : key;
  });
  return { size, keys, paths, names, kinds, labels, figures, histograms,
    shade: head.shade, ribbons: head.ribbons };
}

// Each key begins with as much of the one before as is said.
function keysOf(rests, shared) {
  let last = '';
  return rests.map((rest, i) => (last = last.slice(0, shared[i]) + rest));
}

function kindOf([dtype, shape, count, bytes, layout]) {
  return { dtype, shape, count, bytes, layout };
}

// Codes are powers at even distances, the last of a sign is infinite; 0 is no number and 1 is zero.
function numbersOf({ low, step, levels }, codes) {
  return Float64Array.from(codes, (code) => {
    if (code < 2) return code ? 0 : NaN;
    const [sign, place] = code - 2 < levels ? [1, code - 2] : [-1, code - 2 - levels];
    return sign * (place === levels - 1 ? Infinity : Math.exp(low + step * place));
  });
}

// The heights of a tensor's histogram, or null.
function heightsOf(data, row) {
  if (!data.histograms) return null;
  const heights = [];
  for (let pair = 0; pair < 8; pair++) {
    const both = data.histograms[pair * data.size + row];
    heights.push(both & 15, both >> 4);
  }
  while (heights.length && heights[heights.length - 1] === 0) heights.pop();
  return heights.length ? heights : null;
}

