// Returns what is wrong with the page for readers who use a keyboard, a screen
// reader, high zoom, or need contrast: the rules of WCAG 2.2 AA that a program
// can check.
const faults = [];
const fault = (e, text) => {
  const where = e ? ' at <' + e.tagName.toLowerCase() + (e.id ? ' id=' + e.id : '') + (e.className ? ' class=' + e.className : '') + '> ' + e.textContent.trim().slice(0, 40) : '';
  faults.push(text + where);
};
const all = (selector) => [...document.querySelectorAll(selector)];
const visible = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.unseen, .skip');

// The document, its landmarks and headings.
if (!document.documentElement.lang) fault(null, 'no language');
if (!document.title.trim()) fault(null, 'no title');
if (!document.querySelector('meta[name=viewport]')) fault(null, 'no viewport');
for (const landmark of ['body > header', 'main', 'form[role=search]', 'body > footer']) {
  if (all(landmark).length !== 1) fault(null, all(landmark).length + ' of ' + landmark);
}
for (const e of document.body.children) {
  if (visible(e) && !e.matches('header, main, form[role=search], footer, script')) fault(e, 'outside of the landmarks');
}
let level = 0;
if (all('h1').length !== 1) fault(null, all('h1').length + ' h1');
for (const h of all('h1, h2, h3, h4, h5, h6').filter(visible)) {
  const n = Number(h.tagName[1]);
  if (n > level + 1) fault(h, h.tagName.toLowerCase() + ' below h' + level);
  level = n;
}

// Names, roles and references.
const ids = new Set();
for (const e of all('[id]')) {
  if (ids.has(e.id)) fault(e, 'id ' + e.id + ' is there twice');
  ids.add(e.id);
}
for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
  for (const e of all('[' + attribute + ']')) {
    for (const id of e.getAttribute(attribute).split(' ')) if (!ids.has(id)) fault(e, attribute + ' names ' + id + ', which is not there');
  }
}
const nameOf = (e) => e.getAttribute('aria-label') || (e.labels && [...e.labels].map((l) => l.textContent).join(' ')) || (e.matches('input, select') ? '' : e.textContent.trim());
for (const e of all('button, a[href], input, select, summary, [role=region], [role=group], [tabindex="0"]').filter(visible)) {
  if (!nameOf(e)) fault(e, e.tagName.toLowerCase() + ' without a name');
}
for (const e of all('img')) if (!e.hasAttribute('alt')) fault(e, 'img without a text');
for (const e of all('table').filter(visible)) {
  if (!e.querySelector('th[scope=col]')) fault(e, 'table without headings');
  for (const th of e.querySelectorAll('th')) if (!th.textContent.trim()) fault(th, 'empty heading');
}
for (const e of all('ol > *, ul > *')) if (e.tagName !== 'LI') fault(e, 'no item of a list');
if (!document.querySelector('[role=status]')) fault(null, 'nothing tells how much is shown');
for (const e of all('[aria-hidden=true] :is(a, button, input, select, [tabindex])')) fault(e, 'hidden, and takes the focus');

// The keyboard.
for (const e of all('[tabindex]')) if (Number(e.getAttribute('tabindex')) > 0) fault(e, 'tabindex above 0');
for (const e of all('*').filter(visible)) {
  const style = getComputedStyle(e);
  const scrolls = (axis, full, part) => /auto|scroll/.test(style['overflow' + axis]) && full > part + 1;
  if ((scrolls('X', e.scrollWidth, e.clientWidth) || scrolls('Y', e.scrollHeight, e.clientHeight)) && e.tabIndex < 0 && e !== document.documentElement) {
    fault(e, 'scrolls, and the keyboard does not get there');
  }
}
for (const e of all('button, input, select, summary').filter(visible)) {
  const box = e.getBoundingClientRect();
  if (box.height < 24 || box.width < 24) fault(e, 'a target of ' + Math.round(box.width) + ' x ' + Math.round(box.height) + ' pixels');
}
for (const e of all('button, input, select, summary, a[href], [tabindex="0"]').filter(visible).slice(0, 40)) {
  e.focus({ focusVisible: true, preventScroll: true });
  const style = getComputedStyle(e);
  if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) fault(e, 'the focus does not show');
}
document.activeElement.blur();

// Zoom: at 320 pixels only tables of code may need to be scrolled sideways.
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = all('body *').filter((e) => visible(e) && !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth).pop();
  fault(wide, 'the page is ' + document.documentElement.scrollWidth + ' pixels, wider than the window');
}

// Contrast.
const rgb = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return [r, g, b, a];
};
const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
const background = (e) => {
  if (!e) return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0, 1] : [255, 255, 255, 1];
  const own = rgb(getComputedStyle(e).backgroundColor);
  return own[3] === 1 ? own : over(own, background(e.parentElement));
};
const luminance = (c) => {
  const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255, v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
for (const e of all('body *').filter(visible)) {
  const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim()) || e.matches('input, select');
  if (!own || e.matches('script, style, option, noscript')) continue;
  const style = getComputedStyle(e);
  const size = parseFloat(style.fontSize);
  const need = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  const colors = [style.color];
  if (e.matches('input[placeholder]')) colors.push(getComputedStyle(e, '::placeholder').color);
  for (const color of colors) {
    const back = background(e);
    const got = contrast(over(rgb(color), back), back);
    if (got < need) fault(e, 'contrast of ' + got.toFixed(2) + ', expected ' + need);
  }
}
for (const e of all('input, select').filter(visible)) {
  const got = contrast(rgb(getComputedStyle(e).borderTopColor), background(e.parentElement));
  if (got < 3) fault(e, 'contrast of the border of ' + got.toFixed(2) + ', expected 3');
}
return [...new Set(faults)];
