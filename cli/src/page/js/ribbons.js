// Two columns of groups, and ribbons from one to the other.

const GROUP_GAP = 6;
const RIBBON_WIDTH = 260;

function ribbonsOf(data) {
  const { ribbons } = data;
  if (!ribbons) return null;
  const reasons = [...new Set(ribbons.links.map(([, , , reason]) => reason))];
  const sides = ribbons.groups.map((groups, side) => placed(groups, ribbons.links, side));
  const height = Math.max(...sides.map((boxes) => (boxes.length ? boxes[boxes.length - 1].bottom : 0))) + 4;
  const svg = draw('svg', { class: 'ribbons', width: RIBBON_WIDTH, height, 'aria-hidden': 'true' });
  const used = sides.map((boxes) => boxes.map(({ start }) => start));
  const paths = ribbons.links.map(([left, right, keys, reason, grade]) => {
    const [from, to] = [left, right].map((group, side) => {
      const start = used[side][group];
      used[side][group] += thickness(keys);
      return start;
    });
    const name = grade ? `open ${grade}` : `hue${reasons.indexOf(reason) % 8}`;
    const path = draw('path', { class: `ribbon ${name}`, d: ribbonPath(from, to, thickness(keys)) });
    path.append(draw('title', {}, `${ribbons.groups[0][left][0]} → ${ribbons.groups[1][right][0]}: ${reason}, ${plural(keys, 'key')}`));
    svg.append(path);
    return { path, left, right };
  });
  const readout = make('p', { class: 'readout', 'aria-live': 'polite' });
  const columns = sides.map((boxes, side) => make('div', { class: `groups ${side ? 'right' : 'left'}` },
    boxes.map((box, number) => groupOf(box, ribbons, side, number, paths, readout))));
  columns.forEach((column) => { column.style.height = `${height}px`; });
  return make('section', { class: 'fit' }, make('h2', {}, 'What goes where'),
    make('div', { class: 'heads' }, make('h3', {}, nameText(ribbons.titles[0])), make('h3', {}, nameText(ribbons.titles[1]))),
    make('div', { class: 'pair' }, columns[0], svg, columns[1]),
    make('ul', { class: 'legend' }, reasons.map((reason, i) => {
      const grade = ribbons.links.find((link) => link[3] === reason)[4];
      return make('li', {}, make('i', { class: grade ? `open ${grade}` : `hue${i % 8}` }), nameText(reason));
    })), readout);
}

// How thick a ribbon of some keys is.
function thickness(keys) {
  return Math.min(60, 6 + 3 * Math.log2(keys + 1));
}

// The groups of a side one below the other, each as high as its ribbons and its name.
function placed(groups, links, side) {
  let top = 2;
  return groups.map(([name, keys, alone, grade], number) => {
    const own = links.filter((link) => link[side] === number);
    const thick = own.reduce((sum, link) => sum + thickness(link[2]), 0);
    const height = Math.max(22, thick);
    const box = { name, keys, alone, grade, top, bottom: top + height, start: top + (height - thick) / 2, isAlone: !own.length };
    top += height + GROUP_GAP;
    return box;
  });
}

function ribbonPath(from, to, thick) {
  const [end, half] = [RIBBON_WIDTH, RIBBON_WIDTH / 2];
  return `M0 ${from}C${half} ${from} ${half} ${to} ${end} ${to}V${to + thick}C${half} ${to + thick} ${half} ${from + thick} 0 ${from + thick}Z`;
}

function groupOf(box, ribbons, side, number, paths, readout) {
  const own = paths.filter((it) => (side ? it.right : it.left) === number);
  const say = (isOn) => {
    own.forEach(({ path }) => path.classList.toggle('lit', isOn));
    if (!isOn) return;
    const links = ribbons.links.filter((link) => link[side] === number);
    const others = links.map((link) => `${side ? '←' : '→'} ${ribbons.groups[1 - side][link[1 - side]][0]} (${link[3]}, ${plural(link[2], 'key')})`);
    put(clear(readout), [make('b', {}, nameText(box.name)), ` ${plural(box.keys, 'key')} ${box.alone} ${others.join('; ')}`]);
  };
  const group = make('button', { class: `end ${box.grade} ${box.isAlone ? 'alone' : ''}`, onfocus: () => say(true), onblur: () => say(false),
    onpointerenter: () => say(true), onpointerleave: () => say(false) }, nameText(box.name),
    box.keys > 1 ? make('em', {}, ` ×${box.keys}`) : null, box.alone ? make('small', {}, box.alone) : null);
  Object.assign(group.style, { top: `${box.top}px`, height: `${box.bottom - box.top}px` });
  return group;
}

