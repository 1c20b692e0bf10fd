// Put into copies of a page by ci/page.sh, each in a frame of some width: tells the outer page what a
// reader would stumble over.
const problems = [];
const seen = (box) => box.width > 0 && box.height > 0;
const wide = document.documentElement.scrollWidth - window.innerWidth;
if (wide > 0) problems.push(`${wide} px wider than the window`);

const name = (node) => node.textContent.trim().slice(0, 40);
for (const svg of document.querySelectorAll("svg[role=img]")) {
  const texts = [...svg.querySelectorAll("text")].filter((node) => node.textContent.trim());
  const boxes = texts.map((node) => node.getBoundingClientRect());
  boxes.forEach((box, at) => {
    if (!seen(box)) return;
    if (box.left < 0 || box.right > window.innerWidth) problems.push(`cut off: ${name(texts[at])}`);
    for (let other = at + 1; other < boxes.length; other += 1) {
      const [a, b] = [box, boxes[other]];
      const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
      if (seen(b) && !apart) problems.push(`overlap: ${name(texts[at])} and ${name(texts[other])}`);
    }
  });
}
for (const node of document.querySelectorAll("h1, h2, h3, p, li, summary, footer")) {
  if (node.scrollWidth > node.clientWidth + 1 && seen(node.getBoundingClientRect())) {
    problems.push(`too long: ${name(node)}`);
  }
}
const found = problems.length ? problems.slice(0, 5).join("; ") : "none";
window.parent.document.body.setAttribute(`data-found-${window.innerWidth}`, found);
