"""How the contact sheet looks: on paper, on a phone, by day and by night. Pure."""

import base64
import hashlib


def style(width: int, height: int) -> str:
    """For pictures of that shape."""
    shape = f".tile, .about video {{ aspect-ratio: {width} / {height}; }}\n" if width > 0 and height > 0 else ""
    return _STYLE + shape


def source_of(css: str) -> str:
    """What a content security policy calls exactly this style (CSP 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()}'"


_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f5f5f2; --card: #fff; --text: #1b1c1f; --quiet: #5c5e66; --line: #e2e2dc; --accent: #3a56d4;
  --notice: #8a5300; --tile: #e9e9e4;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131417; --card: #1d1f24; --text: #eceef2; --quiet: #a3a7b3; --line: #2e3138; --accent: #9db0ff;
    --notice: #f2bf66; --tile: #26282e;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 0 clamp(1.1rem, 4vw, 3.5rem) 4rem; background: var(--ground);
  color: var(--text); overflow-wrap: anywhere; }
p, ul, ol, h1, h2 { margin: 0; padding: 0; }
ul, ol { list-style: none; }
a { color: var(--accent); text-underline-offset: .18em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .3rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .4rem .8rem; z-index: 1; }
.quiet { color: var(--quiet); }
.figures { font-variant-numeric: tabular-nums; }

header { padding: clamp(2rem, 5vw, 4rem) 0 clamp(1.5rem, 3vw, 2.2rem); display: grid; gap: 1rem; }
h1 { font-size: clamp(1.9rem, 5.5vw, 3.2rem); line-height: 1.1; letter-spacing: -.03em; text-wrap: balance; }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; color: var(--quiet); }
.facts b { color: var(--text); font-weight: 600; }
.links { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .4rem; }
.links a { display: inline-block; padding: .35rem .85rem; border: 1px solid var(--line); border-radius: 99rem;
  background: var(--card); text-decoration: none; font-size: .92rem; }
.links a:hover { border-color: var(--accent); }

main { display: grid; gap: clamp(2.2rem, 5vw, 3.4rem); grid-template-columns: minmax(0, 1fr); }
.notes { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  align-items: start; }
.note { padding: 1rem 1.3rem; background: var(--card); border: 1px solid var(--line); border-radius: .8rem;
  border-left: .35rem solid var(--notice); }
.note.calm { border-left-color: var(--accent); }
.note summary { cursor: pointer; }
.note summary h2 { display: inline; font-size: 1.02rem; letter-spacing: 0; }
.note ul { margin-top: .6rem; display: grid; gap: .35rem; font-size: .92rem; line-height: 1.45; }
.contents { columns: 17rem; column-gap: 2.5rem; }
.contents li { display: flex; gap: .8rem; break-inside: avoid; padding: .2rem 0; }
.contents a { flex: 1; }

h2 { scroll-margin-top: 1.5rem; font-size: clamp(1.3rem, 3vw, 1.7rem); line-height: 1.2; letter-spacing: -.02em;
  text-wrap: balance; }
.section { display: grid; gap: 1.3rem; grid-template-columns: minmax(0, 1fr); }
.head { display: grid; gap: .4rem; padding-top: 1.3rem; border-top: 1px solid var(--line); }
.head audio { max-width: 30rem; margin-top: .4rem; }
.sheet { display: grid; gap: 2rem clamp(1.1rem, 2.2vw, 1.8rem);
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); align-items: start; }
.card { display: grid; gap: .7rem; grid-template-columns: minmax(0, 1fr); content-visibility: auto;
  contain-intrinsic-size: auto 24rem; scroll-margin-top: 1rem; }
.card:target .tile { outline: 3px solid var(--accent); outline-offset: -3px; }
.tile a:focus-visible { outline-offset: -3px; border-radius: .6rem; }
.tile { display: grid; place-items: center; overflow: hidden; max-height: 26rem; width: 100%; border-radius: .6rem;
  background: var(--tile); color: var(--quiet); text-align: center; font-size: .92rem; }
.tile img, .tile video { display: block; width: 100%; height: 100%; object-fit: contain; }
.tile a { display: block; width: 100%; height: 100%; }
.tile span { padding: 1rem; }
.when { display: flex; flex-wrap: wrap; gap: 0 .9rem; font-size: .88rem; color: var(--quiet); }
.when b { color: var(--text); font-weight: 600; }
.text { font-size: 1.06rem; line-height: 1.45; white-space: pre-line; }
audio { display: block; width: 100%; height: 2.6rem; }
.about { display: grid; gap: .5rem; font-size: .88rem; grid-template-columns: minmax(0, 1fr); }
.lacking { color: var(--notice); }
.about summary { cursor: pointer; color: var(--quiet); }
.about details > * + * { margin-top: .5rem; }
.about video { display: block; width: 100%; max-height: 22rem; border-radius: .6rem; background: var(--tile); }
.files { display: grid; gap: .5rem; }

footer { margin-top: clamp(3rem, 7vw, 5rem); padding-top: 1.2rem; border-top: 1px solid var(--line);
  font-size: .88rem; }

@media print {
  :root { --ground: #fff; --card: #fff; --text: #000; --quiet: #444; --line: #ccc; --accent: #000; --notice: #000;
    --tile: #f2f2f2; color-scheme: light; font-size: 10pt; }
  body { max-width: none; padding: 0; }
  header { padding: 0 0 1rem; }
  main { gap: 1.6rem; }
  .sheet { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1.2rem 1rem; }
  .card { content-visibility: visible; break-inside: avoid; }
  .head { break-after: avoid; }
  .note { border-left-width: 1px; }
  .skip, .links, .contents, audio, .about details { display: none; }
  .tile video { visibility: hidden; }
  a { color: inherit; text-decoration: none; }
}
"""
