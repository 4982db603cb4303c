#!/usr/bin/env python3
"""Take the prose out of unpacked Debian documentation packages.

    extract.py --packages      print the names of the packages to fetch, one a line
    extract.py ROOT OUT        read ROOT/<package>/..., write OUT/<language>/<package>.jsonl

fetch.sh calls it. Needs Python 3.9+, standard library only. The output depends on nothing but the
packages' files: paths are sorted by code point; nothing is ordered by hash, clock or locale.

Kept: paragraphs, headings, list items and program listings, joined by empty lines. What is
dropped, and why, is said at each rule below; the counts are printed at the end.
"""
import gzip, hashlib, json, os, re, sys
from collections import Counter
from html.parser import HTMLParser

# (package, language, kind, folder inside the package). The language comes from the folder or the
# package, never from a guess; script() below is the one exception.
SOURCES = [
    ("manpages-zh", "zh", "man", "usr/share/man/zh_CN"),
    ("debian-reference-zh-cn", "zh", "html", "usr/share/debian-reference"),
    ("debian-handbook", "zh", "html", "usr/share/doc/debian-handbook/html/zh-CN"),
    ("installation-guide-amd64", "zh", "html", "usr/share/doc/installation-guide-amd64/zh_CN"),
    ("debian-faq-zh-cn", "zh", "html", "usr/share/doc/debian/FAQ/zh-cn"),
    ("maint-guide-zh-cn", "zh", "html", "usr/share/doc/maint-guide-zh-cn/html"),
    ("libreoffice-help-zh-cn", "zh", "html", "usr/share/libreoffice/help/zh-CN/text"),
    ("fortunes-zh", "zh", "fortune", "usr/share/games/fortunes"),
    ("manpages-zh", "zh_trad", "man", "usr/share/man/zh_TW"),
    ("debian-reference-zh-tw", "zh_trad", "html", "usr/share/debian-reference"),
    ("debian-handbook", "zh_trad", "html", "usr/share/doc/debian-handbook/html/zh-TW"),
    ("maint-guide-zh-tw", "zh_trad", "html", "usr/share/doc/maint-guide-zh-tw/html"),
    ("libreoffice-help-zh-tw", "zh_trad", "html", "usr/share/libreoffice/help/zh-TW/text"),
    ("manpages", "en", "man", "usr/share/man"),
    ("manpages-dev", "en", "man", "usr/share/man"),
    ("perl-doc", "en", "man", "usr/share/man/man1"),  # man3 is module reference: mostly code
    ("debian-reference-en", "en", "html", "usr/share/debian-reference"),
    ("debian-handbook", "en", "html", "usr/share/doc/debian-handbook/html/en-US"),
    ("installation-guide-amd64", "en", "html", "usr/share/doc/installation-guide-amd64/en"),
    ("debian-faq", "en", "html", "usr/share/doc/debian/FAQ"),
    ("developers-reference", "en", "html", "usr/share/developers-reference"),
]
FILES = {"man": r".*\.[1-8]\w*\.gz", "html": r".*\.html", "fortune": r"[^.]+"}
SKIP_FILES = re.compile(r"perltoc|perluniprops|genindex|search\.html")   # lists, no prose
MIN_BYTES, MIN_FORTUNE = 200, 60   # shorter documents (UTF-8 bytes) are dropped
MIN_HAN = 0.25                     # Han share of letters below which a Chinese page is untranslated
BOILER_CHARS, BOILER_DOCS = 40, 5  # a paragraph this long in more documents than this is boilerplate

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
CJK = HAN + "\u2018-\u201d\u2026\u3001-\u303f\uff01-\uff65"
HAN_RE, WORD_RE = re.compile(f"[{HAN}]"), re.compile("[A-Za-z]{2,}")
ENGLISH_RE = re.compile(r"\b(?:the|a|an|of|to|is|are|be|and|or|in|on|for|with|this|you|from|by|as|choose|"
                        r"click|press|https?)\b", re.I)
BAD_CHARS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2060\ufeff\ue000-\uf8ff]")
BR, GLUE = "\x00", "\x01"          # inside a paragraph: a hard line break; "no space here"


def fill(text):
    """Re-flow a paragraph. A source line end between two CJK characters is no space."""
    text = re.sub(GLUE + r"\n?", "", text)
    text = re.sub(r"[ \t\xa0]*[\r\n]\s*", "\n", text)
    text = re.sub(f"(?<=[{CJK}])\n(?=[{CJK}])", "", text)
    text = re.sub(r"\s+", " ", text)
    return re.sub(f" ?{BR}[ {BR}]*", "\n", text).strip()


def listing(text):
    """Keep the lines of a listing, without their common indentation."""
    lines = [s.expandtabs().rstrip() for s in re.sub(f"[{BR}{GLUE}]", "", text).split("\n")]
    indent = min((len(s) - len(s.lstrip(" ")) for s in lines if s), default=0)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(s[indent:] for s in lines).strip("\n"))


# --- man pages: a small reader of man(7) source -------------------------------------------------

CHARS = dict(s.split(" ") for s in (
    "aq '@cq ’@oq ‘@lq “@rq ”@dq \"@em —@en –@hy -@mi -@pl +@eq =@bu •@co ©@rg ®@tm ™@ti ~@ha ^@rs \\@"
    "sl /@ga `@mu ×@+- ±@<= ≤@>= ≥@!= ≠@-> →@<- ←@de °@ul _@dg †@** *@*W -@*p π@*b β@*m μ@12 ½@14 ¼@"
    "sc §@sh #@Do $@lB [@rB ]@lC {@rC }@fm ′@S2 ²@S3 ³@la ⟨@ra ⟩@:A Ä@:O Ö@:U Ü@:a ä@:o ö@:u ü@"
    "^o ô@'e é@ss ß@ae æ@Fo «@Fc »@if ∞@pc ·@bv |@ba |@br |@or |").split("@"))
STRINGS = {'L"': '"', 'R"': '"', "Aq": "'", "--": "--", "PI": "pi", "C+": "C++", "lq": "“", "rq": "”",
           "R": "®", "Tm": "™"}   # those of pod2man and man(7); code stays without quotes
OTHERS = {**dict.fromkeys("dupzcra&|^,/%:{}!)", ""), **dict.fromkeys("~0t", " "), "e": "\\", "E": "\\"}
ESCAPE = re.compile(r"""\\(?:
      [fFmMgkYVOn][+-]?(?:\(..|\[[^]]*\]|.)              # fonts, colours, registers: nothing
    | s(?:[+-]?(?:\[\w*\]|\(\d\d)|[+-]\d|[1-3]\d|\d)     # sizes: nothing
    | [hvwlLobDXZxAHRS]'[^']*'                           # motions and drawings: nothing
    | \*(?:\((?P<str2>..)|\[(?P<strn>[^]]*)\]|(?P<str1>.))
    | \[u(?P<code>[0-9A-F]{4,6})\] | \((?P<char2>..) | \[(?P<charn>[^]]*)\] | (?P<other>.) | $ )""", re.X)
# Sections that hold no prose or are the same in every page: synopses, references, names,
# licences, and the Chinese translation project's signature.
EN = "synopsis|see also|colophon|copyright|licen[cs]e|authors?|keywords|reporting bugs|standard options"
DROP_SECTION = re.compile(
    rf"^\W*(?:{EN})(?![a-z])|(?<![a-z])(?:{EN})\W*$|^(?:attributes|library|语法|語法|摘要)$|"
    "总览|總覽|概述|概要|参见|參見|另见|另見|又见|又見|参阅|參閱|参看|參看|版权|版權|著作|许可|許可|作者|译者|"
    "譯者|关键字|關鍵字|报告错误|報告錯誤|报告 ?bug|跋|中文版|翻译计划|翻譯計劃|手册翻译|手冊翻譯|维护人|維護人", re.I)
REQUESTS = set("br sp in ti nf fi ad na nh hy ne ta ft if ie el de ds nr tr".split()) | {""}
LISTING, END_LISTING = {"nf", "EX", "Vb", "CS", "DS"}, {"fi", "EE", "Ve", "CE", "DE"}
UNREAD = {"TS": r"[.']\s*TE", "EQ": r"[.']\s*EN", "PS": r"[.']\s*PE",       # tables, equations, pictures
          "de": r"\.\.\s*$", "am": r"\.\.\s*$", "ig": r"\.\.\s*$"}          # macro definitions


class Man:
    """man(7), with the conditionals and listing macros of pod2man's, DocBook's and Tcl's pages."""

    def __init__(self, source):
        self.blocks, self.buf, self.tag, self.strings = [], [], "", dict(STRINGS)
        self.want = None                  # what the next line is: "tag", "h1", "h2"
        self.url = ("", 0)
        self.skip = self.last_if = self.nofill = False
        self.depth, self.until = 0, None  # inside a false \{ block; inside UNREAD, to this line
        for line in source.replace("\\\n", "").split("\n"):
            self.line(line)
        self.flush()

    def text(self, s):
        def one(m):
            kind, value = m.lastgroup or "none", m[m.lastgroup] if m.lastgroup else ""
            if kind.startswith("str"):
                return self.strings.get(value, "")
            if kind.startswith("char"):
                return CHARS.get(value, "")
            return chr(int(value, 16)) if kind == "code" else OTHERS.get(value, value)
        return ESCAPE.sub(one, s)

    def flush(self):
        body, tag = (listing if self.nofill else fill)("\n".join(self.buf)), fill(self.tag)
        kind = "pre" if self.nofill and not tag else "p"
        if tag and body and len(tag) <= 4:        # "1." or a bullet: no line of its own
            tag, body = "", body if tag in "•*-–—+oO·" else f"{tag} {body}"
        if (tag or body) and not self.skip:
            self.blocks.append((kind, f"{tag}\n{body}".strip("\n")))
        self.buf, self.tag, self.want = [], "", None

    def add(self, s):
        if self.want == "tag":
            self.tag, self.want = self.tag + BR * bool(self.tag) + s, None
        elif self.want:
            self.heading(self.want, s)
        else:
            self.buf.append(s)

    def heading(self, kind, title):
        self.want, title = None, fill(title)
        if kind == "h1":
            self.skip = bool(DROP_SECTION.search(title))
        if title and not self.skip:
            self.blocks.append((kind, title))

    def line(self, s):
        if self.depth:
            self.depth = max(0, self.depth + s.count("\\{") - s.count("\\}"))
            return
        if self.until:
            self.until = None if re.match(self.until, s) else self.until
            return
        s = re.sub(r'(?<!\\)\\["#].*', "", s).replace("\\}", "")     # comments, ends of true blocks
        m = re.match(r"([.'])\s*(\S*)\s*(.*)", s)
        if m and m[2] in ("if", "ie", "el"):
            self.condition(m[2], m[3])
        elif m and (m[1] == "." or m[2] in REQUESTS):
            self.macro(m[2], m[3])
        elif s.strip() or self.nofill:
            lead = BR if s[:1] == " " and self.buf and not self.nofill else ""
            self.add(lead + self.text(re.sub(r"\\c\s*$", GLUE, s)))
        elif not self.want:
            self.flush()

    def condition(self, name, rest):
        """As groff -T utf8 would; comparisons of registers, all about devices, count as false."""
        test, _, then = ("", "", rest) if name == "el" else rest.partition(" ")
        holds = not self.last_if if name == "el" else test in ("n", "!t", r"\n(.g")
        if name == "ie":
            self.last_if = holds
        if not holds:
            self.depth = max(0, then.count("\\{") - then.count("\\}"))
        elif then.strip(" \\{"):
            self.line(re.sub(r"^\\\{\s*", "", then.strip()))

    def macro(self, name, rest):
        args = [self.text((m[2] or m[1] or "").replace('""', '"')) for m in
                re.finditer(r'"((?:[^"]|"")*)"?|((?:\\.|[^\s\\])+)', rest)]
        if name in UNREAD:
            self.until = UNREAD[name]
        elif name == "ds" and args:
            self.strings.setdefault(args[0], " ".join(args[1:]))
        elif name in ("SH", "SS"):
            self.flush()
            self.nofill, self.want = False, "h1" if name == "SH" else "h2"
            if args:
                self.heading(self.want, " ".join(args))
        elif name in ("B", "I", "R", "SM", "SB") and args:
            self.add(" ".join(args))
        elif len(name) == 2 and set(name) <= set("BIR") or name == "q":   # .q: a quoted word
            self.add("".join(args))
        elif name in ("TP", "IP", "TQ"):
            if not (name == "TQ" and self.tag and not self.buf):
                self.flush()
            if name != "IP":
                self.want = "tag"
            elif args:
                self.tag = args[0]
        elif name in LISTING | END_LISTING:
            self.flush()
            self.nofill = name in LISTING
        elif name in ("PP", "P", "LP", "HP", "RS", "RE", "sp", "Sp", "bp"):
            if not self.nofill:
                self.flush()
            elif self.buf:
                self.buf.append("")
        elif name in ("br", "ti") and self.buf and not self.nofill:
            self.buf.append(BR)
        elif name in ("UR", "MT"):                # the link's text is kept; its address if none
            self.url = ("".join(args[:1]), len(self.buf))
        elif name in ("UE", "ME"):
            if len(self.buf) == self.url[1]:
                self.add(self.url[0])
            if self.buf:
                self.buf[-1] += "".join(args[:1])


# --- HTML ---------------------------------------------------------------------------------------

VOID = set("area base br col embed hr img input link meta param source track wbr".split())
INLINE = set("a abbr acronym b big cite code del em font i img ins kbd label mark q s samp small span "
             "strike strong sub sup tt u var wbr br".split())
SKIP_TAG = set("head script style nav header footer aside form button select svg".split())
# Navigation, contents, indexes and title pages (DocBook, Publican, Sphinx, LibreOffice); "MAC" is
# LibreOffice's second wording of a menu path for another system.
SKIP_CLASS = set("navheader navfooter docnav toc list-of-tables list-of-figures list-of-examples "
                 "navigation related sphinxsidebar footer headerlink indexterm index relatedtopics "
                 "howtoget noteicon MAC legalnotice authorgroup revhistory copyright edition banner".split())
KINDS = {"dt": "dt", "dd": "p", "pre": "pre", "table": "td", **{f"h{n}": f"h{n}" for n in range(1, 7)}}
CAPTION = re.compile(r"(?:table|figure|表|图|圖)\s*\w+([.-]\w+)*\b", re.I)


class Page(HTMLParser):
    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.blocks, self.buf = [], []
        self.stack, self.skip_at = [], None  # open elements (tag, kind); where a skipped one began
        self.links = 0                       # characters of the current block that are link text
        self.tag = ""                        # a <dt> waiting for its <dd>
        self.feed(source)
        self.close()
        self.flush()
        if self.tag:
            self.blocks.append(("p", self.tag))

    def kind(self):
        return next((kind for _, kind in reversed(self.stack) if kind), "p")

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            self.buf.append("\n" if self.kind() == "pre" else BR)
        if tag in VOID:
            return
        if tag not in INLINE:
            self.flush()
        attr = dict(attrs)
        names = f"{attr.get('class')} {attr.get('id')} {attr.get('role')}".split()
        is_title = tag == "p" and "title" in names    # DocBook's, of notes, examples and tables
        self.stack.append((tag, "h6" if is_title else KINDS.get(tag)))
        if self.skip_at is None and (tag in SKIP_TAG or not SKIP_CLASS.isdisjoint(names)):
            self.skip_at = len(self.stack)

    def handle_endtag(self, tag):
        if not any(tag == name for name, _ in self.stack):
            return
        if tag not in INLINE:
            self.flush()
        while self.stack.pop()[0] != tag:
            pass
        if self.skip_at is not None and len(self.stack) < self.skip_at:
            self.skip_at = None

    def handle_data(self, data):
        if self.skip_at is None:
            self.buf.append(data)
            if any(name == "a" for name, _ in self.stack):
                self.links += len(data.strip())

    def flush(self):
        if not self.buf:
            return
        raw, links, kind = "".join(self.buf), self.links, self.kind()
        self.buf, self.links = [], 0
        text = listing(raw) if kind == "pre" else fill(raw)
        # A block that is nearly all link text is navigation. Of tables only sentences are kept,
        # so their captions go too, and those of figures.
        if not text or kind != "pre" and links > 0.8 * len(text) or kind == "h6" and CAPTION.match(text):
            return
        if kind == "td" and (len(text) < 20 or text[-1] not in ".!?:。！？：；」”)）"):
            return
        if kind == "dt":
            self.tag += "\n" * bool(self.tag) + text
            return
        if self.tag and kind in ("p", "td"):
            text = f"{self.tag}\n{text}"
        elif self.tag:
            self.blocks.append(("p", self.tag))
        self.tag = ""
        self.blocks.append(("p" if kind == "td" else kind, text))


# --- documents ----------------------------------------------------------------------------------

def han_share(text):
    letters = sum(map(str.isalpha, text))
    return len(HAN_RE.findall(text)) / letters if letters else 0.0


def untranslated(kind, text):
    """A paragraph of a half-translated Chinese page that was left in English, or a bare link.
    Listings stay, and so do short lines without an English word, such as commands."""
    words = len(WORD_RE.findall(text))
    if kind == "pre" or HAN_RE.search(text):
        return kind != "pre" and words >= 12 and han_share(text) < 0.1
    return words >= (2 if kind[0] == "h" else 3 if ENGLISH_RE.search(text) else 8)


def script(text):
    """Classical poems in traditional script stand among fortunes-zh's simplified ones: tell them
    apart by the commonest characters that only one of the scripts has."""
    simplified = "们这来时为说会国学对发经过现开关问还进动见长门东车马书无风云岁万"
    traditional = "們這來時為說會國學對發經過現開關問還進動見長門東車馬書無風雲歲萬"
    return "zh_trad" if sum(map(text.count, traditional)) > sum(map(text.count, simplified)) else "zh"


def files(root, folder, kind):
    """Regular files, sorted. Links are second names of the same page: left out."""
    found = [os.path.join(path, name) for path, _, names in os.walk(os.path.join(root, folder))
             for name in names if re.fullmatch(FILES[kind], name) and not SKIP_FILES.search(name)]
    return sorted(os.path.relpath(p, root).replace(os.sep, "/") for p in found if not os.path.islink(p))


def read(root, path, kind, dropped):
    """One file's documents, as (suffix of the id, blocks)."""
    with open(os.path.join(root, path), "rb") as f:
        data = f.read()
    try:
        source = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        dropped["not UTF-8"] += 1
        return
    if kind == "man" and re.search(r"(?m)^\.Dd", source):
        dropped["mdoc"] += 1                         # another macro language, for a few pages only
    elif kind != "fortune":
        yield "", (Man if kind == "man" else Page)(source).blocks
    else:
        source = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", source)          # ANSI colours
        for n, entry in enumerate(re.split(r"(?m)^%\s*\n", source), 1):
            if re.search(r"│|Debian 参考[手卡]|\A\s*[\dA-Z]+(\.\d+)+\.\s", entry):
                dropped["copy of Debian Reference"] += 1
            else:
                yield f"#{n}", [("fortune", listing(entry))]


def assemble(blocks):
    """Join the blocks, without headings whose section has become empty."""
    kept = []
    for kind, text in reversed(blocks):
        if not re.fullmatch("h[1-6]", kind) or kept and not "h1" <= kept[-1][0] <= kind:
            kept.append((kind, text))
    return "\n\n".join(text for _, text in reversed(kept))


def documents(root, package, language, kind, folder, dropped):
    """Yield (id, language, text) for one row of SOURCES."""
    pages, seen_in = [], Counter()
    for path in files(root, folder, kind):
        for suffix, blocks in read(root, path, kind, dropped):
            blocks = [(k, BAD_CHARS.sub("", t.replace("\xa0", " ")).strip("\n")) for k, t in blocks
                      if "\ufffd" not in t]
            if language != "en" and kind != "fortune":
                kept = [b for b in blocks if not untranslated(*b)]
                dropped["paragraphs not translated"] += len(blocks) - len(kept)
                blocks = kept
            seen_in.update({t for _, t in blocks if len(t) >= BOILER_CHARS})
            pages.append((f"{package}/{path}{suffix}", blocks))
    for name, blocks in pages:
        kept = [b for b in blocks if seen_in[b[1]] <= BOILER_DOCS]
        dropped["boilerplate paragraphs"] += len(blocks) - len(kept)
        text, prose = assemble(kept), "\n".join(t for k, t in kept if k != "pre")
        if len(text.encode()) < (MIN_FORTUNE if kind == "fortune" else MIN_BYTES):
            dropped["too short"] += 1
        elif language != "en" and (han_share(prose) < MIN_HAN or han_share(text) < MIN_HAN / 2):
            dropped["not translated"] += 1
        else:
            yield name, script(text) if language == "zh" else language, text


def version_and_licence(root, package):
    """The licence is the short name for "Files: *" in debian/copyright, "-" if that is free text."""
    with open(os.path.join(root, package, "DEBIAN/control"), encoding="utf-8") as f:
        version = re.search(r"(?m)^Version:\s*(\S+)", f.read())[1]
    doc = os.path.join(root, package, "usr/share/doc", package)
    owner = os.path.basename(os.readlink(doc)) if os.path.islink(doc) else package
    try:
        with open(os.path.join(root, owner, "usr/share/doc", owner, "copyright"), encoding="utf-8") as f:
            found = re.search(r"(?ms)^Files:\s*\*\s*$.*?^License:[ \t]*(.*?)$", f.read())
    except OSError:
        found = None
    return version, found[1].strip() if found else "-"


def main():
    if sys.argv[1:] == ["--packages"]:
        print("\n".join(dict.fromkeys(row[0] for row in SOURCES)))
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root, out = sys.argv[1:]
    outputs, seen, dropped, totals, rows = {}, set(), {}, Counter(), []
    for package, language, kind, folder in SOURCES:
        if not os.path.isdir(os.path.join(root, package)):
            continue                                     # fetch.sh --skip-missing
        counts = dropped[language, package] = Counter()
        before = len(seen)
        for name, lang, text in documents(os.path.join(root, package), package, language, kind, folder, counts):
            digest = hashlib.sha256(" ".join(text.split()).encode()).digest()
            if digest in seen:
                counts["duplicate"] += 1
            else:
                seen.add(digest)
                outputs.setdefault((lang, package), []).append((name, text))
        if len(seen) == before:
            sys.exit(f"extract.py: {package}: no text under {folder}: another layout? See SOURCES")
    print(f"{'language':9}{'package':25}{'documents':>9}{'text bytes':>12}  dropped")
    for (language, package), docs in outputs.items():
        os.makedirs(os.path.join(out, language), exist_ok=True)
        body = "".join(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n" for name, text in docs)
        with open(os.path.join(out, language, package + ".jsonl"), "wb") as f:
            f.write(body.encode())
        size = sum(len(text.encode()) for _, text in docs)
        totals[language] += size
        rows.append((language, package, *version_and_licence(root, package), str(len(docs)), str(size),
                     hashlib.sha256(body.encode()).hexdigest()))
        why = ", ".join(f"{n} {k}" for k, n in sorted(dropped.get((language, package), {}).items()) if n)
        print(f"{language:9}{package:25}{len(docs):>9}{size:>12}  {why}")
    for language, size in totals.items():
        print(f"{language:9}{'total':25}{'':9}{size:>12}")
    with open(os.path.join(out, "PACKAGES.tsv"), "w", encoding="utf-8", newline="\n") as f:
        f.write("language\tpackage\tversion\tlicence\tdocuments\ttext_bytes\tsha256\n")
        f.writelines("\t".join(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
