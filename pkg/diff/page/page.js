
'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const source = byId('data');
  const { policies, resources } = JSON.parse(source.textContent);
  source.remove(); // megabytes that nobody needs twice

  const severities = ['critical', 'high', 'medium', 'low', 'info'];
  const batch = 100; // resources that are shown at once
  const context = 3; // unchanged lines around a change
  const foldable = 5; // unchanged lines that are shown rather than folded

  // el makes an element. Texts come in as text nodes: nothing is ever parsed.
  const el = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== false) e.setAttribute(name, value === true ? '' : value);
    }
    e.append(...children.filter((c) => c !== undefined && c !== ''));
    return e;
  };
  const count = (n, noun) => n.toLocaleString('en') + ' ' + noun + (n === 1 ? '' : 's');
  const severityOf = (word) => (severities.includes(word) ? word : 'none');
  const rank = (word) => (severities.includes(word) ? severities.indexOf(word) : severities.length);

  // What the filters ask about each resource.
  for (const [i, r] of resources.entries()) {
    r.index = i;
    r.id = (r.namespace ? r.namespace + '/' : '') + r.kind + '/' + r.name;
    r.at = r.file ? r.file + (r.line ? ':' + r.line : '') : '';
    r.by = new Set(r.fields.filter((f) => f.policy !== undefined).map((f) => f.policy));
    const words = [...r.by].map((p) => severityOf(policies[p].severity));
    r.severities = new Set(words.length ? words : ['none']);
    r.severity = [...r.severities].sort((a, b) => rank(a) - rank(b))[0];
  }
  const texts = []; // for the search, made when it is first used
  const textOf = (r) => {
    texts[r.index] ??= [r.id, r.apiVersion, r.at]
      .concat(...r.fields.map((f) => [f.path, f.before, f.after, rule(f)]))
      .filter(Boolean).join('\n').toLowerCase();
    return texts[r.index];
  };
  const rule = (f) => (f.policy === undefined ? '' : policies[f.policy].name + (f.rule ? '/' + f.rule : ''));

  // The filters.
  const form = byId('filters');
  const filters = {
    text: byId('text'), policy: byId('policy'), namespace: byId('namespace'), kind: byId('kind'), severity: byId('severity'),
  };
  const noNamespace = ''; // cannot be the name of one
  const options = (select, all, tally, label = (v) => v, compare) => {
    const values = [...tally.keys()].sort(compare || ((a, b) => (label(a) < label(b) ? -1 : 1)));
    select.append(el('option', { value: 'all' }, all + ' (' + resources.length.toLocaleString('en') + ')'));
    for (const v of values) select.append(el('option', { value: '=' + v }, label(v) + ' (' + tally.get(v).toLocaleString('en') + ')'));
  };
  const tally = (valuesOf) => {
    const out = new Map();
    for (const r of resources) for (const v of valuesOf(r)) out.set(v, (out.get(v) || 0) + 1);
    return out;
  };
  options(filters.policy, 'All', tally((r) => r.by), (p) => policies[p].name);
  options(filters.namespace, 'All', tally((r) => [r.namespace || noNamespace]), (n) => n || '(no namespace)');
  options(filters.kind, 'All', tally((r) => [r.kind]));
  options(filters.severity, 'All', tally((r) => r.severities), (s) => s, (a, b) => rank(a) - rank(b));

  const matches = () => {
    const words = filters.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = (name) => (filters[name].value === 'all' ? undefined : filters[name].value.slice(1));
    const policy = chosen('policy'), namespace = chosen('namespace'), kind = chosen('kind'), severity = chosen('severity');
    return resources.filter((r) =>
      (policy === undefined || r.by.has(Number(policy))) &&
      (namespace === undefined || (r.namespace || noNamespace) === namespace) &&
      (kind === undefined || r.kind === kind) &&
      (severity === undefined || r.severities.has(severity)) &&
      words.every((w) => textOf(r).includes(w)));
  };

  // The list.
  const list = byId('list'), more = byId('more'), toggle = byId('toggle'), shown = byId('shown');
  const opened = new Set(); // resources that the reader opened
  let found = [];

  const item = (r) => {
    const about = el('span', { class: 'about' },
      r.at ? el('code', {}, r.at) : '',
      el('span', {}, r.generated ? 'generated' : count(r.fields.length, 'field')),
      r.severity === 'none' ? '' : el('span', { class: 'severity ' + r.severity }, r.severity),
      el('span', {}, [...r.by].map((p) => policies[p].name).join(', ')));
    const details = el('details', {}, el('summary', {}, el('h3', {}, r.id), about));
    const fill = () => {
      if (details.childElementCount === 1) details.append(inside(r));
    };
    details.firstChild.addEventListener('click', fill); // before it opens
    details.addEventListener('toggle', () => {
      if (details.open) {
        fill();
        opened.add(r.index);
      } else {
        opened.delete(r.index);
      }
      label();
    });
    if (opened.has(r.index)) {
      fill();
      details.open = true;
    }
    return el('li', {}, details);
  };

  const label = () => {
    const all = list.querySelectorAll(':scope > li > details');
    const closed = list.querySelectorAll(':scope > li > details:not([open])');
    toggle.hidden = all.length === 0;
    toggle.textContent = closed.length ? 'Open all shown' : 'Close all shown';
  };

  const extend = () => {
    const from = list.childElementCount;
    const part = document.createDocumentFragment();
    for (const r of found.slice(from, from + batch)) part.append(item(r));
    const first = part.firstElementChild;
    list.append(part);
    const left = found.length - list.childElementCount;
    more.hidden = left === 0;
    more.textContent = 'Show ' + Math.min(left, batch) + ' more of ' + left.toLocaleString('en') + ' left';
    const upTo = left > 0 ? ', the first ' + list.childElementCount.toLocaleString('en') + ' are listed' : '';
    shown.textContent = resources.length === 0 ? 'No resource changes' : found.length === resources.length
      ? count(resources.length, 'resource') + upTo
      : found.length.toLocaleString('en') + ' of ' + count(resources.length, 'resource') + ' match' + upTo;
    label();
    return first;
  };

  const update = () => {
    found = matches();
    list.replaceChildren();
    extend();
    remember();
  };

  // The address keeps the filters, so that a link to the page can.
  const remember = () => {
    const query = new URLSearchParams();
    if (filters.text.value) query.set('text', filters.text.value);
    for (const name of ['policy', 'namespace', 'kind', 'severity']) {
      const option = filters[name].value;
      if (option !== 'all') query.set(name, name === 'policy' ? policies[option.slice(1)].name : option.slice(1));
    }
    const hash = query.toString();
    try {
      history.replaceState(null, '', hash ? '#' + hash : location.pathname + location.search);
    } catch { /* a sandbox may forbid it */ }
  };
  const clear = () => {
    filters.text.value = '';
    for (const name of ['policy', 'namespace', 'kind', 'severity']) filters[name].value = 'all';
  };
  const recall = () => {
    clear();
    const query = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(filters)) {
      const value = query.get(name);
      if (value === null) continue;
      if (name === 'text') {
        filters.text.value = value;
        continue;
      }
      const option = '=' + (name === 'policy' ? policies.findIndex((p) => p.name === value) : value);
      if ([...filters[name].options].some((o) => o.value === option)) filters[name].value = option;
    }
  };

  // One resource: its fields, and its YAML before and after.
  const kinds = {
    '+': ['added', 'added'], '-': ['removed', 'removed'], '~': ['changed', 'changed'],
  };
  const signOf = (f) => (f.before === undefined ? '+' : f.after === undefined ? '-' : '~');
  const sign = (s) => el('td', { class: 'sign ' + kinds[s][0] },
    el('span', { 'aria-hidden': 'true' }, s), el('span', { class: 'unseen' }, kinds[s][1]));

  const inside = (r) => {
    const box = el('div', { class: 'inside' });
    box.append(el('div', { class: 'scroll', role: 'group', 'aria-label': 'Fields of ' + r.id, tabindex: '0' }, fieldsTable(r)));
    if (r.hidden) {
      box.append(el('p', { class: 'soft' }, 'The YAML is not shown, because values of a Secret are in it.'));
    } else {
      box.append(el('div', { class: 'scroll', role: 'group', 'aria-label': 'YAML of ' + r.id + ' before and after', tabindex: '0' }, yamlTable(r)));
    }
    return box;
  };

  // breakable lets a path go on in the next line at its dots.
  const breakable = (path) => path.split(/(?=[.[])/).flatMap((step, i) => (i ? [el('wbr'), step] : [step]));

  const fieldsTable = (r) => {
    const body = el('tbody');
    for (const f of r.fields) {
      const s = signOf(f);
      const severity = f.policy === undefined ? 'none' : severityOf(policies[f.policy].severity);
      body.append(el('tr', {},
        sign(s),
        el('td', { class: 'path' }, ...(f.path === undefined ? ['(the resource)'] : breakable(f.path))),
        el('td', {}, rule(f) || 'as written'),
        el('td', { class: severity === 'none' ? 'soft' : 'severity ' + severity }, severity),
        el('td', {}, r.file ? el('code', {}, r.file + (f.line || r.line ? ':' + (f.line || r.line) : '')) : '')));
    }
    const heads = ['Field', 'Policy/rule', 'Severity', 'File'].map((h) => el('th', { scope: 'col' }, h));
    return el('table', { class: 'fields' },
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, el('span', { class: 'unseen' }, 'Change')), ...heads)), body);
  };

  // rowsOf lists the lines of a resource side by side. text is segments of lines:
  // [lines] are the same, [old, new] are not, and a number counts lines that are
  // the same and not there.
  const rowsOf = (r) => {
    const rows = [];
    let left = 0, right = 0;
    const push = (before, after, kind) => rows.push({
      kind, before, after, left: before === undefined ? 0 : ++left, right: after === undefined ? 0 : ++right, notes: [],
    });
    const lines = (s) => s.split('\n').slice(0, -1);
    const key = (line) => line.replace(/:.*$/, ':');
    for (const segment of r.text) {
      if (typeof segment === 'number') {
        rows.push({ kind: 'missing', n: segment, notes: [] });
        left += segment;
        right += segment;
      } else if (segment.length === 1) {
        for (const line of lines(segment[0])) push(line, line, 'same');
      } else {
        const old = lines(segment[0]), now = lines(segment[1]);
        let next = 0;
        for (const line of old) {
          const pair = old.length === now.length ? next : now.findIndex((n, i) => i >= next && key(n) === key(line));
          if (pair < 0) {
            push(line, undefined, 'changed');
            continue;
          }
          for (; next < pair; next++) push(undefined, now[next], 'changed');
          push(line, now[next++], 'changed');
        }
        for (; next < now.length; next++) push(undefined, now[next], 'changed');
      }
    }
    for (const f of r.fields) {
      if (!f.at) continue;
      const removed = signOf(f) === '-';
      const row = rows.find((row) => (removed ? row.left : row.right) === f.at);
      if (row) row.notes.push(f);
    }
    return rows;
  };

  // keep marks the rows that are shown at once: what changes, what is around it,
  // and the keys above it.
  const keep = (rows) => {
    const indent = (row) => (row.after ?? row.before ?? '').search(/[^ -]|$/);
    for (const [i, row] of rows.entries()) {
      if (row.kind === 'same' && !row.notes.length) continue;
      for (let j = Math.max(i - context, 0); j <= Math.min(i + context, rows.length - 1); j++) rows[j].kept = true;
      let depth = indent(row);
      for (let j = i - 1; j >= 0 && depth > 0; j--) {
        if (rows[j].kind === 'missing') break;
        if (indent(rows[j]) < depth && (rows[j].after ?? rows[j].before).trim()) {
          depth = indent(rows[j]);
          rows[j].kept = true;
        }
      }
    }
  };

  const yamlTable = (r) => {
    const rows = rowsOf(r);
    keep(rows);
    const body = el('tbody');
    for (let i = 0; i < rows.length;) {
      let end = i;
      while (end < rows.length && !rows[end].kept && rows[end].kind === 'same') end++;
      if (end - i > foldable) {
        body.append(gap(rows.slice(i, end)));
        i = end;
        continue;
      }
      body.append(line(rows[i++]));
    }
    const cols = ['line', '', 'line', '', 'rule'].map((c) => el('col', { class: c || undefined }));
    const head = (text, wide) => el('th', { scope: 'col', colspan: wide ? '2' : undefined }, text);
    return el('table', { class: 'yaml' }, el('caption', { class: 'unseen' }, 'YAML of ' + r.id),
      el('colgroup', {}, ...cols), el('thead', {}, el('tr', {}, head('Before', true), head('After', true), head('Policy/rule'))), body);
  };

  const gap = (rows) => {
    const button = el('button', { type: 'button' }, 'Show ' + count(rows.length, 'unchanged line'));
    const tr = el('tr', { class: 'gap' }, el('td', { colspan: '5' }, button));
    button.addEventListener('click', () => {
      const region = tr.closest('.scroll');
      tr.replaceWith(...rows.map(line));
      region.focus(); // the button is gone
    });
    return tr;
  };

  const line = (row) => {
    if (row.kind === 'missing') {
      return el('tr', { class: 'gap' }, el('td', { colspan: '5' }, el('p', {}, count(row.n, 'unchanged line') + ', left out of this page for its size')));
    }
    const changed = row.kind === 'changed';
    const [before, after] = changed && row.left && row.right ? marked(row.before, row.after) : [
      changed && row.left ? [el('del', {}, row.before)] : [row.before ?? ''],
      changed && row.right ? [el('ins', {}, row.after)] : [row.after ?? ''],
    ];
    const side = (number, content, name, sign, word) => {
      const c = !number ? 'none' : changed ? name : undefined;
      return [
        el('td', { class: 'n' + (c ? ' ' + c : '') }, number ? String(number) : '', number && changed ? el('span', { 'aria-hidden': 'true' }, ' ' + sign) : ''),
        el('td', { class: c }, number && changed ? el('span', { class: 'unseen' }, word + ': ') : '', ...content.filter((x) => x !== '')),
      ];
    };
    const notes = row.notes.map((f) => el('div', { class: kinds[signOf(f)][0], title: f.path }, rule(f) || 'as written'));
    return el('tr', { class: row.notes.length ? 'noted' : undefined },
      ...side(row.left, before, 'del', '-', 'removed'), ...side(row.right, after, 'add', '+', 'added'), el('td', { class: 'rule' }, ...notes));
  };

  // marked marks what differs between two lines.
  const marked = (a, b) => {
    let from = 0, to = 0;
    while (from < a.length && from < b.length && a[from] === b[from]) from++;
    while (to < a.length - from && to < b.length - from && a[a.length - 1 - to] === b[b.length - 1 - to]) to++;
    const parts = (s, tag) => [s.slice(0, from), from < s.length - to ? el(tag, { class: 'part' }, s.slice(from, s.length - to)) : '', s.slice(s.length - to)];
    return [parts(a, 'del'), parts(b, 'ins')];
  };

  // The summary by policy.
  const byPolicy = byId('policies');
  const fields = new Map();
  for (const r of resources) for (const f of r.fields) fields.set(f.policy, (fields.get(f.policy) || 0) + 1);
  const inResources = tally((r) => r.by);
  for (const p of [...inResources.keys()].sort((a, b) => rank(policies[a].severity) - rank(policies[b].severity) || (policies[a].name < policies[b].name ? -1 : 1))) {
    const button = el('button', { type: 'button', title: 'Show what ' + policies[p].name + ' changes' }, policies[p].name);
    button.addEventListener('click', () => {
      filters.policy.value = '=' + p;
      update();
      byId('changes').focus();
    });
    const s = severityOf(policies[p].severity);
    byPolicy.append(el('tr', {}, el('td', {}, button), el('td', { class: s === 'none' ? 'soft' : 'severity ' + s }, s),
      el('td', { class: 'number' }, inResources.get(p).toLocaleString('en')), el('td', { class: 'number' }, fields.get(p).toLocaleString('en'))));
  }

  form.addEventListener('input', update);
  form.addEventListener('submit', (e) => e.preventDefault());
  form.addEventListener('reset', (e) => {
    e.preventDefault(); // it would come after this event
    clear();
    update();
  });
  more.addEventListener('click', () => extend().querySelector('summary').focus());
  toggle.addEventListener('click', () => {
    const open = toggle.textContent.startsWith('Open');
    for (const d of list.querySelectorAll(':scope > li > details')) d.open = open;
  });
  // Between resources the arrows are faster than the tabulator.
  list.addEventListener('keydown', (e) => {
    if (!e.target.matches('#list > li > details > summary') || e.altKey || e.ctrlKey || e.metaKey || e.shiftKey) return;
    const li = e.target.closest('li');
    const to = { ArrowDown: li.nextElementSibling, ArrowUp: li.previousElementSibling, Home: list.firstElementChild, End: list.lastElementChild }[e.key];
    if (to) {
      e.preventDefault();
      to.querySelector('summary').focus();
    }
  });
  addEventListener('hashchange', () => {
    if (location.hash.includes('=')) {
      recall();
      update();
    }
  });

  byId('by-policy').hidden = inResources.size === 0;
  form.hidden = resources.length === 0;
  recall();
  if (resources.length <= 10) for (const r of resources) opened.add(r.index);
  update();
})();
