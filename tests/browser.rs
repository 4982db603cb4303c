//! The pages in a real browser, where one is installed: nothing on the console, nothing wider than the window, and the box
//! gives the ids of the command.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::{Workshop, root};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=5000 --dump-dom";
const TYPED: &str = "词元 <b>is</b> 今天天气 1234 it's";

/// What is asked of a page after it has started: types into its box, if it has one, and looks at itself.
const QUESTIONS: &str = "<script>const box = document.getElementById('try-text');
    if (box) { box.value = TYPED; box.dispatchEvent(new Event('input')); }
    const all = (what) => [...document.querySelectorAll(what)];
    document.body.dataset.found = JSON.stringify({
      check: document.getElementById('try-check')?.textContent,
      ids: all('#try-out .ids').map((one) => one.textContent),
      marked: all('#try-out b').length,
      plots: all('figure svg').length,
      flat: all('figure svg').filter((one) => one.getBoundingClientRect().height < 40).length,
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    });</script>";

fn browser() -> Option<&'static str> {
    BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|ran| ran.status.success()))
}

/// What a page says of itself in a window of this width, and what it wrote on the console.
fn open(browser: &str, workshop: &Workshop, page: &Path, width: u32) -> (Value, Vec<String>) {
    let text = std::fs::read_to_string(page).unwrap();
    let asked = QUESTIONS.replace("TYPED", &serde_json::to_string(TYPED).unwrap().replace('<', "\\u003c"));
    let asked = text.replacen("</body>", &format!("{asked}</body>"), 1);
    assert_ne!(asked, text);
    let page = workshop.write("asked.html", asked);
    let mut command = Command::new(browser);
    command.args(FLAGS.split_whitespace()).arg(format!("--window-size={width},900"));
    command.arg(format!("--user-data-dir={}", workshop.path("profile").display()));
    let ran = command.arg(format!("file://{}", page.display())).output().unwrap();
    let [dom, log] = [&ran.stdout, &ran.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let found = dom.split("data-found=\"").nth(1).and_then(|rest| rest.split('"').next());
    let found = found.unwrap_or_else(|| panic!("the page says nothing; log: {log}"));
    let found = found.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (serde_json::from_str(&found).unwrap(), console)
}

/// All kinds of pages that there are.
fn pages(workshop: &Workshop) -> Vec<&'static str> {
    let corpora = root().join("corpora").display().to_string();
    let model = "--vocab-size 400 --context 32 --width 32 --heads 2 --layers 2 --batch 4";
    let run = |line: &str, more: &[&str]| {
        let words: Vec<&str> = line.split_whitespace().chain(more.iter().copied()).collect();
        workshop.run(&words).ok();
    };
    run(&format!("prepare -o run {model} --steps 6"), &[&corpora]);
    run("inspect run --output attention.html --attention", &["今天 <the> weather"]);
    run("learn -o words.json --vocab-size 700", &[&corpora]);
    run("learn -o runs.json --vocab-size 700 --han runs --pattern gpt2", &[&corpora]);
    let on = ["zh", "en"].map(|language| format!("{language}={corpora}/{language}"));
    run("compare words.json runs.json --txt-documents lines -o compared --on", &[&on[0], &on[1]]);
    let small = "--txt-documents lines --seeds 2 --width 16 --layers 1 --heads 2 --batch 2 --context-bytes 64 --epochs 0.2 \
                 --val 0.1 --cuts 8 --force --learning-rates 0.002,0.004";
    run(&format!("probe words.json runs.json {small} -o probed --on"), &[&on[0], &on[1]]);
    vec!["run/report.html", "attention.html", "compared/report.html", "probed/report.html"]
}

#[test]
fn pages_open_in_a_browser() {
    // The box is tried by `compare_page`, too, and the pages' text by their own tests.
    let Some(browser) = browser() else { return };
    let workshop = Workshop::new();
    for page in pages(&workshop) {
        for width in [500, 1200] {
            let (found, console) = open(browser, &workshop, &workshop.path(page), width);
            assert!(console.is_empty(), "{page}: {console:?}");
            assert_eq!((&found["wide"], &found["flat"]), (&0.into(), &0.into()), "{page} in {width}: {found}");
            assert!(page.starts_with("attention") || found["plots"].as_u64() > Some(1), "{page}: {found}");
            if page.starts_with("compared") {
                assert!(found["check"].as_str().unwrap().contains("the ids that ciyuan gave for all"), "{found}");
                let ids = ["words.json", "runs.json"].map(|name| {
                    let ids = workshop.run_with(&["tokenize", "-t", name], TYPED.as_bytes()).ok();
                    format!("ids: {}", ids.trim_end())
                });
                assert_eq!(found["ids"], serde_json::json!(ids));
                assert_eq!(found["marked"], 0, "what is typed is text");
            }
        }
    }
    // What is wrong with a page is found.
    let wide = "<body><p style=\"width: 2000px\">wide<script>missing()</script></body>";
    let (found, console) = open(browser, &workshop, &workshop.write("wrong.html", wide), 500);
    assert!(found["wide"].as_u64() > Some(1000) && console.len() == 1, "{found} {console:?}");
}
