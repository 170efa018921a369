"""Walks a site by its links, one page of each kind, and says what is wrong with a page for the people who use it."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Literal

from playwright.sync_api import BrowserContext, Page, Response

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NOT_PAGES = re.compile(r"^/(api|admin|static|live|metrics|healthz|readyz|demo)\b")

COMPLAINTS = """async () => {
  await Promise.allSettled(document.getAnimations().map((one) => one.finished));
  const said = [];
  const name = (element) => element.outerHTML.slice(0, 120);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("main *, header *")].filter((e) => {
      const box = e.getBoundingClientRect();
      return box.width && box.right > root.clientWidth + 1;
    });
    said.push(`wider than the screen by ${root.scrollWidth - root.clientWidth} px: ${wide.slice(0, 3).map(name)}`);
  }
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  if ([...document.querySelectorAll("h1")].filter(seen).length !== 1) said.push("not exactly one heading of the page");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (seen(field) && !field.labels?.length && !field.ariaLabel && !field.getAttribute("aria-labelledby")) {
      said.push(`a field without a label: ${name(field)}`);
    }
  }
  for (const target of document.querySelectorAll("a[href], button, summary")) {
    if (seen(target) && !target.innerText.trim() && !target.ariaLabel && !target.title) {
      said.push(`nothing says what this does: ${name(target)}`);
    }
  }
  for (const id of [...document.querySelectorAll("[id]")].map((e) => e.id)) {
    if (document.querySelectorAll(`#${CSS.escape(id)}`).length > 1) said.push(`two elements are called ${id}`);
  }
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const parts = (colour) => {
    if (!known.has(colour)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour; // whatever notation: color-mix(), oklch() and the like
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      known.set(colour, { r, g, b, a: a / 255 });
    }
    return known.get(colour);
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a),
    a: 1,
  });
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      layers.push(colour);
      if (colour.a === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !seen(element)) continue;
    if (element.closest(":disabled, [aria-disabled=true], .visually-hidden, svg")) continue;
    const ground = behind(element);
    const style = getComputedStyle(element);
    const [a, b] = [light(over(parts(style.color), ground)), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const big = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (contrast < (big ? 3 : 4.5)) faint.add(`hard to read (${contrast.toFixed(2)}): ${name(element)}`);
  }
  return [...said, ...faint];
}"""


class _Inline(HTMLParser):
    """What the Content-Security-Policy would refuse: scripts, styles and handlers written into the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(f"inline {tag}")
        self.found += [f"{name}= on {tag}" for name in names if name == "style" or name.startswith(("on", "hx-on"))]


def inline(html: str) -> list[str]:
    parser = _Inline()
    parser.feed(html)
    return parser.found


def pages(context: BrowserContext, *starts: str, at_most: int = 40) -> Iterator[tuple[str, Page, list[str]]]:
    """Every kind of page that links lead to, opened, with what is wrong with it. ``/leads/1`` and ``/leads/2`` are one
    kind. All in one tab, as people do."""
    queue, known = list(starts), {_kind(start) for start in starts}
    said: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(f"script failed: {error}"))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for _ in range(at_most):
        if not queue:
            break
        path = queue.pop(0)
        page.emulate_media(color_scheme=SCHEMES[0], reduced_motion="reduce")
        response = page.goto(path)
        assert response
        wrong = _wrong_with(page, response)
        yield path, page, said + wrong
        said.clear()
        for link in page.eval_on_selector_all("a[href]:not([download])", "all => all.map(a => a.getAttribute('href'))"):
            if link.startswith("/") and not NOT_PAGES.match(link) and _kind(link) not in known:
                known.add(_kind(link))
                queue.append(link)
    page.close()


def _kind(path: str) -> str:
    """The address without what differs between pages of a kind."""
    address, _, query = path.partition("#")[0].partition("?")
    names = sorted(pair.partition("=")[0] for pair in query.split("&"))
    return re.sub(r"\d+", "0", address) + "?" + "&".join(names)


def _wrong_with(page: Page, response: Response) -> list[str]:
    if response.status != 200:
        return [f"status {response.status}"]
    found = inline(response.text())
    if "Content-Security-Policy" not in {name.title() for name in response.headers}:
        found.append("no Content-Security-Policy")
    for scheme in SCHEMES:
        if scheme != SCHEMES[0]:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.reload()
        found += [f"{scheme}: {complaint}" for complaint in page.evaluate(COMPLAINTS)]
    return found
