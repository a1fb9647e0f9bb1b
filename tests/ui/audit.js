// What must hold of the page whatever was captured. The answer: sentences of what does not.
() => {
  const faults = [];
  const say = (text) => faults.length < 8 && faults.push(text);
  const about = (element) =>
    `<${element.tagName.toLowerCase()} class="${element.className}"> ` +
    JSON.stringify(element.textContent.slice(0, 40));

  if (window.__ran !== undefined) say("a captured script ran");
  const foreign = "iframe, object, embed, img, base, form[action], link[href*='//'], a[href^=javascript], style";
  for (const element of document.querySelectorAll(foreign))
    if (element.closest(".uplot") === null) say(`made from captured text: ${about(element)}`);
  if (document.scripts.length !== 1) say(`${document.scripts.length} scripts`);

  const page = document.scrollingElement;
  if (page.scrollWidth > page.clientWidth) say(`the page scrolls sideways: ${page.scrollWidth} px`);
  for (const region of document.querySelectorAll(".rail, .bar, .status, dialog[open], .inspector")) {
    const box = region.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < -1) say(`out of the window: ${about(region)}`);
    if (region.matches(".rail, .bar, dialog[open]") && region.scrollWidth > region.clientWidth + 1)
      say(`scrolls sideways: ${region.className} ${region.scrollWidth} > ${region.clientWidth}`);
  }
  for (const row of document.querySelectorAll("main.list .rows [role=row]"))
    if (Math.abs(row.getBoundingClientRect().height - 22) > 0.5)
      say(`a row is ${row.getBoundingClientRect().height} px high: ${about(row)}`);

  // Text is drawn inside of its cell: what is outside of a box that clips is not drawn.
  const cells = "[role=gridcell], td, th, li > button, .turn-head > *, .fact, .status li, [role=option] > *";
  for (const cell of document.querySelectorAll(cells)) {
    const box = cell.getBoundingClientRect();
    if (box.width === 0 || cell.closest(".spoken-only") !== null) continue;
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const drawn = drawnOf(node);
      if (drawn === null) continue;
      if (drawn.right > box.right + 2 || drawn.left < box.left - 2)
        say(`text leaves its cell by ${Math.round(drawn.right - box.right)} px: ${about(cell)}`);
      if (drawn.bottom > box.bottom + 6 || drawn.top < box.top - 6)
        say(`text leaves its line: ${about(cell)}`);
    }
  }

  // Nothing that moves, hides or controls text is on the page, nor in what is spoken or hovered.
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e0fff}]/u;
  const all = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
  for (let node = all.currentNode; node !== null; node = all.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE && hidden.test(node.data))
      say(`unseen characters: ${JSON.stringify(node.data.slice(0, 60))} in ${about(node.parentElement)}`);
    if (node.nodeType === Node.ELEMENT_NODE)
      for (const { name, value } of node.attributes) {
        if (name.startsWith("on")) say(`${name} on ${about(node)}`);
        if (name !== "value" && hidden.test(value)) say(`unseen characters in ${name} of ${about(node)}`);
      }
  }
  if (hidden.test(document.title)) say("unseen characters in the title");
  return faults;

  function drawnOf(node) {
    const range = document.createRange();
    range.selectNodeContents(node);
    let { left, right, top, bottom } = range.getBoundingClientRect();
    for (let element = node.parentElement; element !== null; element = element.parentElement) {
      if (getComputedStyle(element).overflow !== "visible" || element.classList.contains("spoken-only")) {
        const clip = element.getBoundingClientRect();
        [left, right] = [Math.max(left, clip.left), Math.min(right, clip.right)];
        [top, bottom] = [Math.max(top, clip.top), Math.min(bottom, clip.bottom)];
      }
    }
    return left < right && top < bottom ? { left, right, top, bottom } : null;
  }
};
