"use strict";
// Byte-level BPE for the box of a report: the plainest way, as encode/naive.rs does it. What is typed goes nowhere.
const ciyuan = (() => {
  /** The characters that stand for bytes in a vocabulary: GPT-2's `bytes_to_unicode`. */
  const characterOfByte = (() => {
    const isShown = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    let next = 256;
    return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isShown(byte) ? byte : next++));
  })();
  const byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]));
  const pairKey = (left, right) => left * 2 ** 24 + right;

  /** A class of characters from the ends of its ranges. */
  function classOf(ranges) {
    const hex = (code) => `\\u{${code.toString(16)}}`;
    let out = "[";
    for (let at = 0; at < ranges.length; at += 2) out += `${hex(ranges[at])}-${hex(ranges[at + 1])}`;
    return out + "]";
  }

  /** A tokenizer from the data of the page. */
  function make(data, sets) {
    const source = data.pattern.map((part) => (typeof part === "number" ? classOf(sets[part]) : part)).join("");
    const idOfToken = new Map();
    data.tokens.forEach((token, id) => { if (token !== null) idOfToken.set(token, id); });
    const pairs = new Map();
    for (let at = 0; at < data.merges.length; at += 3) pairs.set(pairKey(data.merges[at], data.merges[at + 1]), at);
    return {
      name: data.name,
      pattern: new RegExp(source, "gu"),
      han: data.han === null ? null : new RegExp(`${classOf(sets[data.han])}|${classOf(sets[data.han]).replace("[", "[^")}+`, "gu"),
      whole: data.whole,
      idOfToken,
      pairs,
      merges: data.merges,
      bytes: data.tokens.map((token) => Uint8Array.from(token === null ? [] : [...token], (c) => byteOfCharacter.get(c))),
      memo: new Map(),
    };
  }

  /** The pre-tokens of a text: each match, and each stretch between matches. */
  function preTokens(tokenizer, text) {
    const out = [];
    let done = 0;
    for (const found of text.matchAll(tokenizer.pattern)) {
      if (found.index > done) out.push(text.slice(done, found.index));
      if (found[0].length > 0) out.push(found[0]);
      done = found.index + found[0].length;
    }
    if (done < text.length) out.push(text.slice(done));
    return tokenizer.han === null ? out : out.flatMap((piece) => piece.match(tokenizer.han));
  }

  /** Merges the pair of lowest rank, of equal ones the leftmost, until none merges. */
  function merge(tokenizer, ids) {
    for (;;) {
      let best = Infinity;
      let place = -1;
      for (let at = 0; at + 1 < ids.length; at++) {
        const rank = tokenizer.pairs.get(pairKey(ids[at], ids[at + 1]));
        if (rank !== undefined && rank < best) [best, place] = [rank, at];
      }
      if (place < 0) return ids;
      ids.splice(place, 2, tokenizer.merges[best + 2]);
    }
  }

  function idsOfPiece(tokenizer, piece) {
    const known = tokenizer.memo.get(piece);
    if (known !== undefined) return known;
    const characters = Array.from(new TextEncoder().encode(piece), (byte) => characterOfByte[byte]);
    const whole = tokenizer.whole ? tokenizer.idOfToken.get(characters.join("")) : undefined;
    const ids = whole !== undefined ? [whole] : merge(tokenizer, characters.map((c) => tokenizer.idOfToken.get(c)));
    tokenizer.memo.set(piece, ids);
    return ids;
  }

  /** The ids of a text. */
  function encode(tokenizer, text) {
    return preTokens(tokenizer, text).flatMap((piece) => idsOfPiece(tokenizer, piece));
  }

  /** The names of tokenizers with a sample line whose ids are others than those that ciyuan wrote here. */
  function failures(tokenizers, samples) {
    const differs = (at) => samples.some((one) => encode(tokenizers[at], one.text).join() !== one.ids[at].join());
    return tokenizers.filter((_, at) => differs(at)).map((tokenizer) => tokenizer.name);
  }

  /** Ids in pieces that are whole characters, as far as their bytes are. */
  function pieces(tokenizer, ids) {
    const out = [];
    let bytes = [];
    let held = [];
    ids.forEach((id, at) => {
      bytes.push(...tokenizer.bytes[id]);
      held.push(id);
      let text = null;
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
      } catch {
        if (bytes.length >= 16 || at + 1 === ids.length) text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
      }
      if (text !== null) {
        out.push({ text, ids: held });
        [bytes, held] = [[], []];
      }
    });
    return out;
  }

  function show(tokenizers, text, out) {
    const element = (name, content, className) => {
      const made = document.createElement(name);
      made.textContent = content;
      if (className) made.className = className;
      return made;
    };
    out.replaceChildren(...tokenizers.map((tokenizer) => {
      const ids = encode(tokenizer, text);
      const page = element("p", "", "page");
      page.append(...pieces(tokenizer, ids).map((piece, at) => {
        const span = element("span", piece.text, `t${at % 5}`);
        span.title = piece.ids.join(" ");
        return span;
      }));
      const column = element("div", "");
      column.append(element("h3", `${tokenizer.name}: ${ids.length} tokens`), page, element("p", `ids: ${ids.join(" ")}`, "note ids"));
      return column;
    }));
  }

  function start() {
    const find = (id) => document.getElementById(id);
    const check = find("try-check");
    find("try").hidden = false;
    try {
      const data = JSON.parse(find("try-data").textContent);
      const tokenizers = data.tokenizers.map((one) => make(one, data.sets));
      const wrong = failures(tokenizers, data.samples);
      check.textContent = wrong.length === 0
        ? `The box gives the ids that ciyuan gave for all ${data.samples.length} sample lines.`
        : `The box differs from ciyuan on a sample line for ${wrong.join(", ")}: do not trust it there.`;
      const box = find("try-text");
      const first = data.samples[0];
      box.value = first.text;
      const ours = tokenizers.map((tokenizer, at) => `${tokenizer.name}: ${first.ids[at].join(" ")}`);
      check.append(` The ids by ciyuan of the line shown first: ${ours.join("; ")}.`);
      const again = () => show(tokenizers, box.value, find("try-out"));
      box.addEventListener("input", again);
      again();
    } catch (error) {
      find("try-text").hidden = true;
      check.textContent = `This browser cannot tokenize here: ${error.message}`;
    }
  }

  return { make, encode, failures, pieces, start };
})();
if (typeof document !== "undefined") ciyuan.start();
else if (typeof module !== "undefined") module.exports = ciyuan;
