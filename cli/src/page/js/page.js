// The page: each sheet's pictures and table, made of its packed block.

function copying(remedy) {
  const code = remedy.querySelector('code');
  const button = make('button', { class: 'copy', type: 'button', onclick: async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'selected';
    }
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  } }, 'copy');
  remedy.append(button);
}

async function drawSheet(sheet) {
  const data = await unpacked(sheet.querySelector('.data').textContent);
  const table = tableOf(data);
  const pickBlock = (block) => table.pick(rowsBelow(block));
  const parts = [ribbonsOf(data), treemapOf(data, pickBlock), data.ribbons ? null : heatOf(data, table.pick), table.section];
  put(sheet.querySelector('.drawn'), data.size || data.ribbons ? parts : []);
  sheet.dataset.drawn = 'yes';
  return table;
}

async function start() {
  document.querySelectorAll('.remedy').forEach(copying);
  const tables = await Promise.all([...document.querySelectorAll('.sheet')].map(drawSheet));
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target.closest('input[type=search], select')) return;
    event.preventDefault();
    tables[0]?.input.focus();
  });
  document.documentElement.dataset.ready = 'yes';
}

start().catch((error) => {
  const text = `The pictures and the table could not be drawn here: ${error.message}`;
  document.querySelector('main').prepend(make('p', { class: 'noscript', role: 'alert' }, text));
});
